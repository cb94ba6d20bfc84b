"""The story of ``send``: look and count, claim, call, link, outcome (shared/protocol.md, Send).

It answers one question before all others: may we ring? Only the holder of a fresh claim may, once, and every way out
of the call leaves a state behind that says what is known.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from voice_gateway import letters, numbers, parse, reply
from voice_gateway.calling import Caller, Invocation
from voice_gateway.errors import AwsUnavailable, TryLater
from voice_gateway.letters import Kind
from voice_gateway.model import (
    PUBLIC_STATUS,
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
from voice_gateway.observability import log
from voice_gateway.outbox import Outbox
from voice_gateway.planning import LEASE_SECONDS, Plan, Planner, expired, over_the_cap
from voice_gateway.reply import Result
from voice_gateway.routing import Carrier, Resting
from voice_gateway.settings import Settings
from voice_gateway.settling import Settling
from voice_gateway.store import DAY, Changed, Counted, Store

_MOVED = (
    *("state", "attempt", "lease", "look_at", "vendor", "called_at", "error", "deferred_until"),
    *("redials", "earlier_vendor", "redialled_at", "asked", "request", "updated_at"),
)
"""What taking a stored message over changes."""

REDIAL_MARK_SECONDS = 600
"""How long ``sweep``'s mark lets ``send`` redial: longer than the topic's and Lambda's own retries take."""
TOO_LITTLE_TIME = "too little time was left to call and to write down what came of it"


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
        self._outbox = outbox
        self._planner = planner
        self._caller = caller
        self._resting = resting
        self._clock = clock
        self._settling = Settling(store)
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
                raise TryLater(_text(result))
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
            return self._noted(self._refuse(invalid, now), invocation)
        invocation.record.note(message_id=request.message_id, callee=numbers.last_four(request.mobile))
        try:
            return self._noted(self._handed_over(request, now, invocation), invocation)
        except TryLater as later:
            invocation.record.note(status="deferred", error=json.loads(str(later))["error"])
            raise

    def _handed_over(self, request: Request, now: float, invocation: Invocation) -> Result:
        message = self._draft(request, now)
        with self._nothing_rung_yet(message):
            message = message.but(number_hash=self._caller.number_hash(request.mobile))
            plan = self._planner.plan(request, message, now)
        if not request.dry_run:
            return self._enter(request, message, plan, invocation)
        would_be = {State.CALLING: State.ACCEPTED, State.EXPIRED: State.REJECTED}
        return reply.result(_planned(message, plan, now).but(state=would_be.get(plan.state, plan.state)))

    # Claim.

    def _enter(self, request: Request, message: Message, plan: Plan, invocation: Invocation) -> Result:
        """Puts the message where there is none; else goes by what is there."""
        for _ in range(3):
            now = self._clock()
            self._time_left(plan, message, invocation)
            planned = _planned(message, plan, now)
            try:
                with self._undone(planned):
                    self._store.put_new(planned)
                    if plan.stale:
                        self._planner.count_anew(plan.carriers[0], planned, now)
            except Changed as changed:
                seen = changed.message
                if seen is None:
                    continue
                if not _mine(seen, planned):
                    try:
                        return self._meet(request, seen, planned, plan, invocation)
                    except Changed:
                        continue  # somebody else was quicker: look again
            return self._go_on(request, planned, plan, invocation)
        raise self._later(message, "the message is being changed by others")

    def _meet(self, request: Request, seen: Message, message: Message, plan: Plan, invocation: Invocation) -> Result:
        """A message of this id is there already. Raises Changed where it no longer is as it was seen."""
        now = self._clock()
        if seen.fingerprint != message.fingerprint:
            return self._conflict(seen.message_id, now)
        waits = seen.state is State.RELEASED or (seen.state is State.DUE and (seen.deferred_until or 0) <= now)
        redial = self._redial_due(seen, now)
        if seen.state is State.CALLING:
            return self._leased(seen, now)
        if not (waits or redial):
            return reply.result(seen, replayed=True)
        with self._nothing_rung_yet(seen):
            plan = self._plan_again(request, seen, plan, now, redial=redial)
        if redial and not plan.rings:
            return reply.result(seen, replayed=True)
        self._time_left(plan, seen, invocation)
        moved = _planned(seen.but(attempt=message.attempt), plan, now)
        if redial:
            # A receipt of the first call is told by who made that call, and when.
            moved = moved.but(
                redials=1, called_at=seen.called_at, earlier_vendor=seen.vendor, redialled_at=now, asked=0
            )
        with self._undone(moved):
            if plan.stale:
                self._planner.count_anew(plan.carriers[0], moved, now)
            try:
                moved = self._store.take_over(seen, {name: _plain(getattr(moved, name)) for name in _MOVED})
            except Changed as changed:
                if changed.message is None or not _mine(changed.message, moved):
                    raise
                moved = changed.message  # our own write, whose reply was lost
        return self._go_on(request, moved, plan, invocation)

    def _plan_again(self, request: Request, seen: Message, plan: Plan, now: float, *, redial: bool) -> Plan:
        """The stored message decides on expiry; a redial counts on its own, and tries another vendor first."""
        if seen.expires_at is not None and seen.expires_at <= now:
            return expired()
        if redial:
            return self._planner.plan(request, seen.but(redials=1), now, avoid=seen.vendor)
        return plan if plan.rings else self._planner.plan(request, seen, now)

    def _redial_due(self, seen: Message, now: float) -> bool:
        """Whether an unknown message is to be rung once more, as its caller asked for.

        ``sweep`` decides when, for it alone looks whether a receipt is waiting for that number: it leaves a mark.
        """
        return (
            seen.state is State.UNKNOWN
            and seen.on_unknown == "redial_once"
            and seen.redials == 0
            and seen.asked > now - REDIAL_MARK_SECONDS
            and (seen.expires_at is None or seen.expires_at > now)
        )

    def _leased(self, seen: Message, now: float) -> Result:
        """Somebody was ringing: where the lease is over, nobody can say any more whether the phone was rung."""
        if (seen.lease or 0) > now:
            return reply.in_progress(seen)
        given_up = self._settling.give_up(seen, now)
        return reply.result(given_up, replayed=True)

    def _go_on(self, request: Request, message: Message, plan: Plan, invocation: Invocation) -> Result:
        if not plan.rings:
            return reply.result(message)
        if not self._caller.time_for_a_call(invocation):  # the claim took too long
            return self._released(message, Fault(Code.VENDOR_UNAVAILABLE, TOO_LITTLE_TIME))
        try:
            return self._ring(request, message, plan.carriers, invocation)
        except Changed as changed:  # no longer ours: a sweep gave it up, or a receipt settled it
            return reply.result(changed.message or message)

    # Call and outcome.

    def _ring(
        self, request: Request, message: Message, carriers: tuple[Carrier, ...], invocation: Invocation
    ) -> Result:
        """Calls one vendor after the other, each only where the one before provably did not ring."""
        faults: list[Fault] = []
        passing = False
        for at, carrier in enumerate(carriers):
            if at:
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
            fault = _fault(carrier, outcome)
            if isinstance(outcome, Accepted):
                return reply.result(self._accepted(message, carrier, outcome.call_id))
            if isinstance(outcome, Unknown):
                return reply.result(self._unknown(message, fault))
            faults.append(fault)
            if isinstance(outcome, Refused) and outcome.refusal is RefusalClass.FINAL:
                return reply.result(self._refused(message, fault))
            passing |= isinstance(outcome, NotSent) or outcome.refusal is RefusalClass.TRANSIENT
            if isinstance(outcome, Refused) and outcome.refusal is RefusalClass.NEXT:
                self._resting.rest(carrier.vendor.name, self._settings.vendor_rest_seconds)
        if passing:
            return self._released(message, faults[0])
        return reply.result(self._refused(message, faults[0]))

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

    def _accepted(self, message: Message, carrier: Carrier, call_id: str) -> Message:
        now = self._clock()
        vendor = carrier.vendor
        changes = {
            "vendor": vendor.name,
            "call_id": call_id,
            "error": None,
            "look_at": now + self._settings.question_times[0],
            "updated_at": now,
        }
        if vendor.own_address:
            return self._written(message, State.ACCEPTED, changes)
        try:
            settled = self._settling.meet(message, vendor.name, call_id, now)
        except AwsUnavailable as error:
            # Kept first: the table may take its time to fail again, and the letter links the call id as well.
            self._kept(Kind.OUTCOME, letters.outcome(message, State.ACCEPTED, changes, meets=True), str(error))
            settled = None
        return settled or self._written(message, State.ACCEPTED, changes, meets=True)

    def _unknown(self, message: Message, fault: Fault, **changes: Any) -> Message:
        now = self._clock()
        changes |= {"error": fault.as_dict(), "look_at": message.called_at, "updated_at": now}
        return self._written(message, State.UNKNOWN, changes)

    def _refused(self, message: Message, fault: Fault) -> Message:
        """Never rung; but where this was a redial the first call may have rung, so that nobody can say."""
        now = self._clock()
        if message.redials:
            return self._unknown(message, _first_call_may_have_rung(fault))
        changes = {"vendor": fault.vendor, "error": fault.as_dict(), "look_at": None, "updated_at": now}
        return self._written(message, State.REJECTED, changes)

    def _released(self, message: Message, fault: Fault) -> Result:
        """Raises TryLater, unless something surer was written meanwhile; a redial that did not ring is none."""
        if message.redials:
            return reply.result(self._redial_undone(message, fault))
        now = self._clock()
        changes = {"error": fault.as_dict(), "look_at": message.expires_at, "updated_at": now}
        result = reply.result(self._written(message, State.RELEASED, changes))
        if result["status"] != PUBLIC_STATUS[State.RELEASED]:
            return result
        raise TryLater(_text(result))

    def _redial_undone(self, message: Message, fault: Fault) -> Message:
        """Unknown as before, and still to be redialled: the call just tried provably rang nobody."""
        undone = {"redials": 0, "vendor": message.earlier_vendor, "earlier_vendor": None, "redialled_at": None}
        return self._unknown(message, _first_call_may_have_rung(fault), **undone)

    def _written(self, message: Message, state: State, changes: dict[str, Any], *, meets: bool = False) -> Message:
        """Writes the outcome, or keeps it in the outbox; with neither, the lease runs out and a receipt may tell."""
        try:
            return self._settling.outcome(message, state, changes)
        except AwsUnavailable as error:
            self._kept(Kind.OUTCOME, letters.outcome(message, state, changes, meets=meets), str(error))
            return message.but(state=state, **changes)

    # What goes wrong before the call.

    @contextmanager
    def _nothing_rung_yet(self, message: Message) -> Iterator[None]:
        try:
            yield
        except AwsUnavailable as error:
            raise self._later(message, str(error)) from None

    @contextmanager
    def _undone(self, claimed: Message) -> Iterator[None]:
        """A claim whose reply never came is released: nobody else would know that it never rang."""
        try:
            yield
        except AwsUnavailable as error:
            why = str(error)
        else:
            return
        later = self._later(claimed, why)
        if claimed.redials:
            self._redial_undone(claimed, Fault(Code.VENDOR_UNAVAILABLE, why))
        elif claimed.state is State.CALLING:
            self._claim_undone(claimed, json.loads(str(later))["error"])
        raise later

    def _claim_undone(self, claimed: Message, error: dict[str, Any]) -> None:
        now = self._clock()
        free = claimed.but(state=State.RELEASED, lease=None, look_at=claimed.expires_at, error=error, updated_at=now)
        try:
            with suppress(Changed):  # not ours, or something surer is there
                self._store.put_released(free)
        except AwsUnavailable as unavailable:
            self._kept(Kind.RELEASE, letters.release(free), str(unavailable))

    def _time_left(self, plan: Plan, message: Message, invocation: Invocation) -> None:
        if plan.rings and not self._caller.time_for_a_call(invocation):
            raise self._later(message, TOO_LITTLE_TIME)

    def _later(self, message: Message, why: str) -> TryLater:
        fault = Fault(Code.VENDOR_UNAVAILABLE, f"not handed over: {why}", message.vendor)
        waiting = message.but(state=State.RELEASED, error=fault.as_dict(), updated_at=self._clock())
        return TryLater(_text(reply.result(waiting)))

    def _kept(self, kind: Kind, content: letters.Content, why: str) -> None:
        try:
            self._outbox.keep(kind, content)
        except AwsUnavailable as error:
            log.error("neither table nor outbox", extra={"kind": kind, "why": why, "outbox": str(error)})

    # Replies.

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
        if invalid.dry_run:
            return reply.result(message)
        try:
            with self._nothing_rung_yet(message):
                self._store.put_new(message)
        except Changed as changed:
            seen = changed.message
            if seen is not None and seen.fingerprint != message.fingerprint:
                return self._conflict(seen.message_id, now)
            replayed = seen is not None and seen.attempt != message.attempt
            return reply.result(seen or message, replayed=replayed)
        return reply.result(message)

    def _conflict(self, message_id: str, now: float) -> Result:
        fault = Fault(Code.CONFLICT, "message_id: another request was stored under this id")
        return reply.not_stored(message_id, State.REJECTED, fault, now)

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

    def _noted(self, result: Result, invocation: Invocation) -> Result:
        error = result["error"] or {}
        invocation.record.note(
            message_id=result["message_id"],
            status=result["status"],
            vendor=result["vendor"],
            call_id=result["call_id"],
            error=error.get("code"),
            vendor_code=error.get("vendor_code"),
            replayed=result["replayed"] or None,
        )
        if not result["replayed"]:
            metric = "Conflict" if error.get("code") == Code.CONFLICT else _METRICS.get(result["status"] or "")
            if metric and not result["dry_run"]:
                invocation.record.count(metric)
        return result


_METRICS = {
    "accepted": "Accepted",
    "rejected": "Rejected",
    "unknown": "OutcomeUnknown",
    "deferred": "Deferred",
    "expired": "Expired",
}


def _planned(message: Message, plan: Plan, now: float) -> Message:
    """The message as the plan has it."""
    rings = plan.rings
    look_at = {State.CALLING: now + LEASE_SECONDS, State.DUE: plan.deferred_until}.get(plan.state)
    vendor = plan.carriers[0].vendor.name if rings else plan.error.vendor if plan.error else None
    return message.but(
        state=plan.state,
        vendor=vendor,
        lease=now + LEASE_SECONDS if rings else None,
        called_at=now if rings else message.called_at,
        look_at=look_at,
        error=plan.error.as_dict() if plan.error else None,
        deferred_until=plan.deferred_until,
        # What will never be sent again needs no number and no text.
        request=message.request if rings or plan.state is State.DUE else "",
        updated_at=now,
    )


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
    return Fault(Code.OUTCOME_UNKNOWN, "", name)


def _first_call_may_have_rung(fault: Fault) -> Fault:
    why = f"the first call may have rung; the second did not: {fault.message}"
    return Fault(Code.OUTCOME_UNKNOWN, why, fault.vendor, fault.vendor_code, fault.vendor_message)


def _mine(seen: Message, written: Message) -> bool:
    """Whether what is there is what this invocation wrote, and only the reply was lost."""
    return seen.attempt == written.attempt and seen.state is written.state


def _plain(value: Any) -> Any:
    return value if value != "" else None


def _attempt() -> str:
    return uuid.uuid4().hex[:16]


def _from_sns(event: Any) -> bool:
    records = event.get("Records") if isinstance(event, dict) else None
    return isinstance(records, list) and bool(records) and all(isinstance(r, dict) and "Sns" in r for r in records)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _text(result: Result) -> str:
    return json.dumps(result, ensure_ascii=False)
