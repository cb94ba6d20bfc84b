"""The story of ``send``: look and count, claim, call, link, outcome (docs/protocol.md, Sending)."""

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from voice_gateway import numbers, outcomes, parse, reply
from voice_gateway.calling import Caller, Invocation
from voice_gateway.claiming import TOO_LITTLE_TIME, Claim, Claims, as_planned
from voice_gateway.errors import AwsUnavailable, TryLater
from voice_gateway.model import (
    Accepted,
    Catalogue,
    Code,
    Fault,
    Message,
    NotSent,
    Outcome,
    RefusalClass,
    Refused,
    Request,
    State,
    Unknown,
)
from voice_gateway.outbox import Outbox
from voice_gateway.outcomes import Outcomes
from voice_gateway.planning import LEASE_SECONDS, Planner, over_the_cap
from voice_gateway.reply import Result
from voice_gateway.routing import Carrier, Resting
from voice_gateway.settings import Settings
from voice_gateway.store import DAY, Changed, Counted, Store


class Sender:
    """Sends messages. One a process: it remembers which vendors rest."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        outbox: Outbox,
        planner: Planner,
        caller: Caller,
        resting: Resting,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._store = store
        self._planner = planner
        self._caller = caller
        self._resting = resting
        self._clock = clock
        self._outcomes = Outcomes(settings, store, outbox, clock)
        self._claims = Claims(store, planner, caller, self._outcomes, clock)
        if not settings.poll:
            _ = settings.callback_base_url  # a bad address shows before anything is claimed, not after

    def receive(self, event: Any, context: Any, invocation: Invocation) -> Result | list[Result]:
        """What Lambda hands over: a request by invoke, or the records of SNS. Raises TryLater."""
        if not _from_sns(event):
            return self.send(event, context.aws_request_id, invocation)
        results = []
        for record in event["Records"]:
            result = self.send(_json(record["Sns"]["Message"]), record["Sns"]["MessageId"], invocation)
            if (result["error"] or {}).get("code") == Code.IN_PROGRESS:
                # Nobody reads what is returned here; Lambda hands the message over again once the lease is over.
                raise TryLater(json.dumps(result, ensure_ascii=False))
            results.append(result)
        return results

    def send(self, raw: Any, source_id: str, invocation: Invocation) -> Result:
        """Hands one message over, or says why not; ``source_id`` names a request that brings no id.

        Raises TryLater where nothing was rung and the same message may be handed over again.
        """
        now = self._clock()
        try:
            request = parse.parse(raw, source_id)
        except parse.InvalidRequest as invalid:
            return _noted(self._refuse(invalid, now), invocation)
        invocation.record.note(message_id=request.message_id, callee=numbers.last_four(request.mobile))
        try:
            return _noted(self._hand_over(request, now, invocation), invocation)
        except TryLater as later:
            _note(json.loads(str(later)), invocation)
            raise

    def _hand_over(self, request: Request, now: float, invocation: Invocation) -> Result:
        message = self._draft(request, now)
        with self._claims.nothing_rung_yet(message):
            message = message.but(number_hash=self._caller.number_hash(request.mobile))
            plan = self._planner.plan(request, message, now)
        if request.dry_run:
            would_be = {State.CALLING: State.ACCEPTED, State.EXPIRED: State.REJECTED}.get(plan.state, plan.state)
            return reply.result(as_planned(message, plan, now).but(state=would_be))
        claimed = self._claims.claim(request, message, plan, invocation)
        if not isinstance(claimed, Claim):
            return claimed
        try:
            settled = self._ring(request, claimed, invocation)
        except Changed as changed:  # no longer ours: a sweep gave it up, or a receipt settled it
            settled = changed.message or claimed.message
        if settled.state is State.RELEASED:
            raise outcomes.later(settled)
        return reply.result(settled)

    def _refuse(self, invalid: parse.InvalidRequest, now: float) -> Result:
        """A bad request is stored as ``rejected``, so that its caller finds it; nothing reaches a vendor."""
        message = Message(
            invalid.message_id,
            State.REJECTED,
            now,
            fingerprint=invalid.fingerprint,
            notify_data=invalid.notify_data,
            attempt=_attempt(),
            error=invalid.fault.as_dict(),
            ttl=int(now) + self._settings.retention_days * DAY,
            dry_run=invalid.dry_run,
        )
        return reply.result(message) if invalid.dry_run else self._claims.put(message)

    def _draft(self, request: Request, now: float) -> Message:
        """The message as it would be stored, without the hash of its number and what a plan decides."""
        expires_at = request.expires_at.timestamp() if request.expires_at else now + DAY
        keep_until = max(now + self._settings.retention_days * DAY, expires_at + DAY)
        return Message(
            request.message_id,
            State.CALLING,
            now,
            fingerprint=parse.fingerprint(request),
            request=parse.to_json(request),
            template=request.form.template if isinstance(request.form, Catalogue) else None,
            notify_data=request.notify_data,
            on_unknown=request.on_unknown or "stop",
            attempt=_attempt(),
            expires_at=expires_at,
            ttl=int(keep_until),
            dry_run=request.dry_run,
        )

    def _ring(self, request: Request, claim: Claim, invocation: Invocation) -> Message:
        """Calls one vendor after the other, each only where the one before provably did not ring.

        Raises Changed where the message is no longer ours.
        """
        message = claim.message
        if not self._caller.time_for_a_call(invocation):  # the claim took too long
            return self._outcomes.released(message, outcomes.not_handed_over(message, TOO_LITTLE_TIME))
        faults: list[Fault] = []
        passing = False
        for carrier in claim.carriers:
            if faults:
                try:
                    moved = self._fail_over(message, carrier, invocation)
                except AwsUnavailable:
                    passing = True
                    break
                if moved is None:
                    faults.append(over_the_cap(carrier))
                    continue
                message = moved
            outcome = self._caller.place(request, message, carrier, invocation)
            if isinstance(outcome, Accepted):
                return self._outcomes.accepted(message, carrier.vendor, outcome.call_id)
            faults.append(_fault(carrier, outcome))
            if isinstance(outcome, Unknown):
                return self._outcomes.unknown(message, faults[-1])
            if isinstance(outcome, Refused) and outcome.refusal is RefusalClass.FINAL:
                return self._outcomes.refused(message, faults[-1])
            if isinstance(outcome, Refused) and outcome.refusal is RefusalClass.NEXT:
                self._resting.rest(carrier.vendor.name, self._settings.vendor_rest_seconds)
            passing |= isinstance(outcome, NotSent) or outcome.refusal is RefusalClass.TRANSIENT
        return (self._outcomes.released if passing else self._outcomes.refused)(message, faults[0])

    def _fail_over(self, message: Message, carrier: Carrier, invocation: Invocation) -> Message | None:
        """Writes the next vendor down before it is called; None where its cap is full.

        Raises AwsUnavailable, also where too little time is left; Changed where the message is no longer ours.
        """
        if not self._caller.time_for_a_call(invocation):
            raise AwsUnavailable("too little time is left for another vendor")
        now = self._clock()
        counted = self._planner.count(carrier, message, now)
        if counted is Counted.FULL:
            return None
        if counted is Counted.STALE:
            self._planner.count_anew(carrier, message, now)
        return self._store.fail_over(message, carrier.vendor.name, now + LEASE_SECONDS, now)


_METRICS = {
    "accepted": "Accepted",
    "rejected": "Rejected",
    "unknown": "OutcomeUnknown",
    "deferred": "Deferred",
    "expired": "Expired",
}


def _noted(result: Result, invocation: Invocation) -> Result:
    """Writes a result into the invocation's line, and counts it; a replay and a dry run count as nothing."""
    _note(result, invocation)
    metric = (
        "Conflict" if (result["error"] or {}).get("code") == Code.CONFLICT else _METRICS.get(result["status"] or "")
    )
    if metric and not result["replayed"] and not result["dry_run"]:
        invocation.record.count(metric)
    return result


def _note(result: Result, invocation: Invocation) -> None:
    invocation.record.note(**reply.summary(result), replayed=result["replayed"] or None)


def _fault(carrier: Carrier, outcome: Outcome) -> Fault:
    name = carrier.vendor.name
    match outcome:
        case Refused(_, code, vendor_code, text):
            return Fault(code, f"{name} refused the call", name, vendor_code, text)
        case NotSent(why):
            return Fault(Code.VENDOR_UNAVAILABLE, f"{name} could not be reached: {why}", name)
        case Unknown(why, vendor_code, text):
            why = f"{name}: {why}; nobody can say whether the phone was rung"
            return Fault(Code.OUTCOME_UNKNOWN, why, name, vendor_code, text)
    return Fault(Code.OUTCOME_UNKNOWN, f"{name} took the call", name)


def _attempt() -> str:
    return uuid.uuid4().hex[:16]


def _from_sns(event: Any) -> bool:
    records = event.get("Records") if isinstance(event, dict) else None
    return isinstance(records, list) and bool(records) and all(_is_sns(r) for r in records)


def _is_sns(record: Any) -> bool:
    sns = record.get("Sns") if isinstance(record, dict) else None
    # An id that cannot be one is not from SNS: whoever may invoke can hand over what looks like its event.
    return (
        isinstance(sns, dict) and isinstance(sns.get("Message"), str) and bool(parse.message_id(sns.get("MessageId")))
    )


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
