"""What ``send`` does: read, plan, claim, call, record (docs/protocol.md, Sending)."""

import json
import random
import time
from collections.abc import Callable
from typing import Any, Self

from voice_gateway.model.errors import AwsUnavailable, TryLater
from voice_gateway.model.faults import Code
from voice_gateway.model.message import Message, State
from voice_gateway.model.moving_on import released
from voice_gateway.model.request import Request
from voice_gateway.model.result import Result, log_fields, result, to_json
from voice_gateway.platform.callback_tokens import CallbackKeys
from voice_gateway.platform.observability import Invocation, log
from voice_gateway.platform.settings import Settings
from voice_gateway.sending.calling import Caller
from voice_gateway.sending.catalogue import TemplateCatalogue
from voice_gateway.sending.claiming import Claims, NoSlot, mendable
from voice_gateway.sending.pacing import Pacing
from voice_gateway.sending.planning import NothingRung, Planner, new_attempt
from voice_gateway.sending.reading import InvalidRequest, read
from voice_gateway.sending.receiving import Arrival, arrivals
from voice_gateway.sending.recording import Recorder, not_handed_over
from voice_gateway.sending.routing import Resting, Router
from voice_gateway.sending.used_up import UsedUp
from voice_gateway.storage.calls_table import CallsTable
from voice_gateway.storage.lanes import Lanes
from voice_gateway.storage.messages import MessageChanged
from voice_gateway.storage.outbox import Outbox
from voice_gateway.vendors.common.accounts import Accounts

_MOST_RECEIVES = 200
"""What finds no slot after coming so often is kept in the table: the queue would make a dead letter of it at 1,000."""


class Sender:
    """Sends messages. One for each process."""

    def __init__(
        self,
        settings: Settings,
        planner: Planner,
        claims: Claims,
        caller: Caller,
        recorder: Recorder,
        lanes: Lanes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._lanes = lanes
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
        wait: Callable[[float], None] = time.sleep,
    ) -> Self:
        """A sender with its steps, each handed what it needs."""
        resting = Resting(clock)
        router = Router(settings, accounts, resting, UsedUp(table.credit, clock))
        templates = TemplateCatalogue(settings.templates_prefix)
        planner = Planner(settings, table.quotas, router, templates.load, keys.number_hash)
        pacing = Pacing(settings, table.pace, clock, wait)
        claims = Claims(settings, table, planner, pacing, clock)
        caller = Caller(settings, table, keys.callback_address, resting, pacing, clock)
        recorder, lanes = Recorder(settings, table, outbox, clock), Lanes(settings)
        return cls(settings, planner, claims, caller, recorder, lanes, clock)

    def receive(self, event: Any, context: Any, invocation: Invocation) -> Any:
        """What Lambda hands over: a request by invoke, or the records of SNS or of a lane.

        Returns the result, or the list of results; of a lane's records those that go back to it. Raises TryLater.
        """
        came = arrivals(event, self._settings)
        if came is None:
            return self._noted(Arrival(event, context.aws_request_id), invocation)
        if came[0].bulk is None:
            return [self._noted(arrival, invocation) for arrival in came]
        back = [arrival.record_id for arrival in came if self._goes_back(arrival, invocation)]
        return {"batchItemFailures": [{"itemIdentifier": record_id} for record_id in back]}

    def send(self, raw: Any, source_id: str, invocation: Invocation, came: Arrival | None = None) -> Result:
        """Hands one message over, or says why not; ``source_id`` is the id of a request that brings none.

        What is stored is the gateway's to finish. Raises TryLater only if it could not even be stored; NoSlot if it
        ``came`` by a lane, and is to wait there.
        """
        began = self._clock()
        try:
            request = read(raw, source_id, began)
        except InvalidRequest as invalid:
            return self._reject(invalid)
        invocation.record.note(message_id=request.message_id, callee=request.callee)
        try:
            claim = self._claims.claim(request, invocation, came)
        except NoSlot as none:
            if came is not None and came.bulk is not None and came.received < _MOST_RECEIVES:
                raise
            return self._put_off(request, none)
        except NothingRung as nothing:
            return self._put_off(request, nothing)
        if not claim.carriers:
            return result(claim.message, replayed=claim.replayed)
        try:
            rung = self._caller.ring(claim, invocation)
            if claim.first and rung.vendor:
                asked = came.at if came is not None and came.at else began
                invocation.record.counts["RequestToRingSeconds"] = max(0.0, round(self._clock() - asked, 3))
            message = self._recorder.record(rung)
        except MessageChanged as changed:  # no longer ours: the sweep gave it up, or a receipt settled it
            message = changed.message or claim.message
        return result(message)

    def _goes_back(self, arrival: Arrival, invocation: Invocation) -> bool:
        """Sends what came by a lane; whether it must come again: it found no slot, or it is not known what became."""
        try:
            if arrival.bulk is False and arrival.seen is None and _asks_for_bulk(arrival.raw):
                self._lanes.move_to_bulk(arrival.body)
                invocation.record.count("MovedToBulk")
                return False
            told = self._noted(arrival, invocation)
        except NoSlot as none:
            invocation.record.count("NoSlot")
            self._wait_in_lane(arrival, none.seconds)
            return True
        except (TryLater, AwsUnavailable) as error:
            log.error("goes back to its lane", extra={"why": type(error).__name__, "source_id": arrival.source_id})
            invocation.record.count("WentBack")
            return True
        return (told["error"] or {}).get("code") == Code.IN_PROGRESS

    def _wait_in_lane(self, arrival: Arrival, seconds: float) -> None:
        """Sooner than the queue would by itself, and not all of them at the same moment."""
        again = min(60.0, 1 + seconds + random.uniform(0, 2))  # noqa: S311
        try:
            self._lanes.give_back(arrival.handle, bulk=arrival.bulk is True, seconds=again)
        except AwsUnavailable as error:
            log.warning("comes again when the queue lets it", extra={"why": str(error)})

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

    def _noted(self, arrival: Arrival, invocation: Invocation) -> Result:
        """Sends, and writes the result into the invocation's line."""
        try:
            told = self.send(arrival.raw, arrival.source_id, invocation, arrival)
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
    marks = {name: told[name] or None for name in ("replayed", "dry_run")}
    invocation.record.note(**log_fields(told), **marks)


def _asks_for_bulk(raw: Any) -> bool:
    return isinstance(raw, dict) and raw.get("priority") == "bulk"
