"""What ``send`` does: read, plan, claim, call, record (docs/protocol.md, Sending)."""

import json
import time
from collections.abc import Callable
from typing import Any, Self

from voice_gateway.model.errors import TryLater
from voice_gateway.model.faults import Code
from voice_gateway.model.message import Message, State
from voice_gateway.model.moving_on import released
from voice_gateway.model.request import Request, valid_message_id
from voice_gateway.model.result import Result, log_fields, result, to_json
from voice_gateway.model.text import without_mark
from voice_gateway.platform.callback_tokens import CallbackKeys
from voice_gateway.platform.observability import Invocation
from voice_gateway.platform.settings import Settings
from voice_gateway.sending.calling import Caller
from voice_gateway.sending.catalogue import TemplateCatalogue
from voice_gateway.sending.claiming import Claims, mendable
from voice_gateway.sending.planning import NothingRung, Planner, new_attempt
from voice_gateway.sending.reading import InvalidRequest, read
from voice_gateway.sending.recording import Recorder, not_handed_over
from voice_gateway.sending.routing import Resting, Router
from voice_gateway.storage.calls_table import CallsTable
from voice_gateway.storage.messages import MessageChanged
from voice_gateway.storage.outbox import Outbox
from voice_gateway.vendors.common.accounts import Accounts


class Sender:
    """Sends messages. One for each process."""

    def __init__(
        self,
        settings: Settings,
        planner: Planner,
        claims: Claims,
        caller: Caller,
        recorder: Recorder,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._planner = planner
        self._claims = claims
        self._caller = caller
        self._recorder = recorder
        self._clock = clock

    @classmethod
    def wired(
        cls,
        settings: Settings,
        table: CallsTable,
        outbox: Outbox,
        keys: CallbackKeys,
        accounts: Accounts,
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """A sender with its steps, each handed what it needs."""
        resting = Resting(clock)
        router, templates = Router(settings, accounts, resting), TemplateCatalogue(settings.templates_prefix)
        planner = Planner(settings, table.quotas, router, templates.load, keys.number_hash)
        claims = Claims(settings, table, planner, clock)
        caller = Caller(settings, table, keys.callback_address, resting, clock)
        return cls(settings, planner, claims, caller, Recorder(settings, table, outbox, clock), clock)

    def receive(self, event: Any, context: Any, invocation: Invocation) -> Result | list[Result]:
        """What Lambda hands over: a request by invoke, or the records of SNS. Raises TryLater."""
        if not _from_sns(event):
            return self._noted(event, context.aws_request_id, invocation)
        return [
            self._noted(_json(record["Sns"]["Message"]), record["Sns"]["MessageId"], invocation)
            for record in event["Records"]
        ]

    def send(self, raw: Any, source_id: str, invocation: Invocation) -> Result:
        """Hands one message over, or says why not; ``source_id`` is the id of a request that brings none.

        What is stored is the gateway's to finish. Raises TryLater only if it could not even be stored.
        """
        try:
            request = read(raw, source_id, self._clock())
        except InvalidRequest as invalid:
            return self._reject(invalid)
        invocation.record.note(message_id=request.message_id, callee=request.callee)
        try:
            claim = self._claims.claim(request, invocation)
        except NothingRung as nothing:
            return self._put_off(request, nothing)
        if not claim.carriers:
            return result(claim.message, replayed=claim.replayed)
        try:
            rung = self._caller.ring(claim, invocation)
            message = self._recorder.record(rung)
        except MessageChanged as changed:  # no longer ours: the sweep gave it up, or a receipt settled it
            message = changed.message or claim.message
        return result(message)

    def _reject(self, invalid: InvalidRequest) -> Result:
        """A bad request is stored as ``rejected``, so that its caller finds it; nothing reaches a vendor."""
        now = self._clock()
        message = Message(
            invalid.message_id,
            State.REJECTED,
            now,
            fingerprint=invalid.fingerprint,
            notify_data=invalid.notify_data,
            attempt=new_attempt(),
            error=invalid.fault.as_dict(),
            ttl=int(now) + self._settings.retention_seconds,
            dry_run=invalid.dry_run,
        )
        if invalid.dry_run:
            return result(message)
        try:
            claim = self._claims.reject(message)
        except NothingRung as nothing:
            why = not_handed_over(message, nothing.why).as_dict()
            raise TryLater(to_json(released(message.but(error=why), now))) from None
        return result(claim.message, replayed=claim.replayed)

    def _put_off(self, request: Request, nothing: NothingRung) -> Result:
        """Nothing was rung, for a reason that will pass: kept, and tried again."""
        message = nothing.message
        if message.dry_run:
            why = not_handed_over(message, nothing.why).as_dict()
            raise TryLater(to_json(released(message.but(error=why), self._clock())))
        kept = message if nothing.stored else self._recorder.put_off(message, nothing.why)
        if not request.has_fingerprint(kept.fingerprint):
            if mendable(kept):  # it was to take the place of a bad request
                raise TryLater(to_json(message.but(state=State.RELEASED)))
            return result(self._claims.conflict(kept))
        if nothing.stored or kept.attempt != message.attempt:
            return result(self._recorder.put_off_again(kept, nothing.why), replayed=True)
        return result(kept)

    def _noted(self, raw: Any, source_id: str, invocation: Invocation) -> Result:
        """Sends, and writes the result into the invocation's line."""
        try:
            told = self.send(raw, source_id, invocation)
        except TryLater as later:
            _note(json.loads(str(later)), invocation)
            raise
        _note(told, invocation)
        metric = _metric(told)
        if metric:
            invocation.record.count(metric)
        return told


_METRICS = {
    "accepted": "Accepted",
    "rejected": "Rejected",
    "unknown": "OutcomeUnknown",
    "deferred": "Deferred",
    "expired": "Expired",
}


def _metric(told: Result) -> str | None:
    """What a result is counted as; a replay and a dry run are not counted."""
    if told["replayed"] or told["dry_run"]:
        return None
    if (told["error"] or {}).get("code") == Code.CONFLICT:
        return "Conflict"
    return _METRICS.get(told["status"] or "")


def _note(told: Result, invocation: Invocation) -> None:
    invocation.record.note(**log_fields(told), replayed=told["replayed"] or None)


def _from_sns(event: Any) -> bool:
    records = event.get("Records") if isinstance(event, dict) else None
    return isinstance(records, list) and bool(records) and all(_is_sns(r) for r in records)


def _is_sns(record: Any) -> bool:
    sns = record.get("Sns") if isinstance(record, dict) else None
    # A bad id is not from SNS: anybody who may invoke can send what looks like an SNS event.
    return (
        isinstance(sns, dict) and isinstance(sns.get("Message"), str) and bool(valid_message_id(sns.get("MessageId")))
    )


def _json(text: str) -> Any:
    try:
        return json.loads(without_mark(text))
    except (ValueError, RecursionError):
        return text
