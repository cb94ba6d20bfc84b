"""May we ring? The claim, and what a message that is there already answers (docs/protocol.md, Sending, step 2).

Only the holder of a fresh claim may ring. It is one conditional write: of two senders one wins, and the other learns
what is there. A claim of which nobody knows whether it was applied is undone.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from voice_gateway import outcomes, reply
from voice_gateway.calling import Caller, Invocation
from voice_gateway.errors import AwsUnavailable
from voice_gateway.model import Code, Fault, Message, Request, State
from voice_gateway.outcomes import Outcomes
from voice_gateway.planning import LEASE_SECONDS, Plan, Planner, expired
from voice_gateway.reply import Result
from voice_gateway.routing import Carrier
from voice_gateway.store import Changed, Store

_MOVED = (
    *("state", "attempt", "lease", "look_at", "vendor", "called_at", "error", "deferred_until"),
    *("redials", "earlier_vendor", "redialled_at", "asked", "request", "updated_at"),
)
"""What taking a stored message over changes."""

REDIAL_MARK_SECONDS = 600
"""How long ``sweep``'s mark lets ``send`` redial: longer than the topic's and Lambda's own retries take."""
TOO_LITTLE_TIME = "too little time was left to call and to write down what came of it"


@dataclass(frozen=True)
class Claim:
    """This invocation's own: ring by the carriers, in order, and write down what comes of it."""

    message: Message
    carriers: tuple[Carrier, ...]


class Claims:
    """Claims messages. Everything here raises TryLater where AWS fails: nothing was rung yet."""

    def __init__(
        self, store: Store, planner: Planner, caller: Caller, written: Outcomes, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._planner = planner
        self._caller = caller
        self._outcomes = written
        self._clock = clock

    def claim(self, request: Request, message: Message, plan: Plan, invocation: Invocation) -> Claim | Result:
        """Puts the message as planned where there is none, else goes by what is there; a result rings nobody."""
        for _ in range(3):
            self._time_left(plan, message, invocation)
            planned = as_planned(message, plan, self._clock())
            try:
                with self._undone(planned):
                    self._store.put_new(planned)
                    if plan.stale:
                        self._planner.count_anew(plan.carriers[0], planned, self._clock())
            except Changed as changed:
                seen = changed.message
                if seen is None:
                    continue
                if not _mine(seen, planned):
                    try:
                        return self._meet(request, seen, planned, plan, invocation)
                    except Changed:
                        continue  # somebody else was quicker: look again
            return _won(planned, plan)
        raise self._later(message, "the message is being changed by others")

    def put(self, message: Message) -> Result:
        """Stores a message that was refused before anything could be planned, where its id is still free."""
        try:
            with self.nothing_rung_yet(message):
                self._store.put_new(message)
        except Changed as changed:
            seen = changed.message
            if seen is not None and seen.fingerprint != message.fingerprint:
                return self._conflict(seen)
            return reply.result(seen or message, replayed=seen is not None and seen.attempt != message.attempt)
        return reply.result(message)

    @contextmanager
    def nothing_rung_yet(self, message: Message) -> Iterator[None]:
        """Turns AwsUnavailable into TryLater."""
        try:
            yield
        except AwsUnavailable as error:
            raise self._later(message, str(error)) from None

    def _meet(
        self, request: Request, seen: Message, message: Message, plan: Plan, invocation: Invocation
    ) -> Claim | Result:
        """A message of this id is there already. Raises Changed where it no longer is as it was seen."""
        now = self._clock()
        if seen.fingerprint != message.fingerprint:
            return self._conflict(seen)
        if seen.state is State.CALLING:
            return self._leased(seen, now)
        waits = seen.state is State.RELEASED or (seen.state is State.DUE and (seen.deferred_until or 0) <= now)
        redial = _redial_due(seen, now)
        if not (waits or redial):
            return reply.result(seen, replayed=True)
        with self.nothing_rung_yet(seen):
            plan = self._plan_again(request, seen, plan, now, redial=redial)
        if redial and not plan.rings:
            return reply.result(seen, replayed=True)
        self._time_left(plan, seen, invocation)
        moved = as_planned(seen.but(attempt=message.attempt), plan, now)
        if redial:
            # A receipt of the first call is told by who made that call, and when.
            moved = moved.but(
                redials=1, called_at=seen.called_at, earlier_vendor=seen.vendor, redialled_at=now, asked=0
            )
        return _won(self._taken_over(seen, moved, plan), plan)

    def _taken_over(self, seen: Message, moved: Message, plan: Plan) -> Message:
        """Raises Changed, TryLater."""
        with self._undone(moved):
            if plan.stale:
                self._planner.count_anew(plan.carriers[0], moved, self._clock())
            try:
                return self._store.take_over(seen, {name: _stored(getattr(moved, name)) for name in _MOVED})
            except Changed as changed:
                if changed.message is None or not _mine(changed.message, moved):
                    raise
                return changed.message  # our own write, whose reply was lost

    def _plan_again(self, request: Request, seen: Message, plan: Plan, now: float, *, redial: bool) -> Plan:
        """The stored message decides on expiry; a redial counts on its own, and tries another vendor first."""
        if seen.expires_at is not None and seen.expires_at <= now:
            return expired()
        if redial:
            return self._planner.plan(request, seen.but(redials=1), now, avoid=seen.vendor)
        return plan if plan.rings else self._planner.plan(request, seen, now)

    def _leased(self, seen: Message, now: float) -> Result:
        """Somebody was ringing: where the lease is over, nobody can say any more whether the phone was rung."""
        if (seen.lease or 0) > now:
            return reply.in_progress(seen)
        with self.nothing_rung_yet(seen):
            return reply.result(self._outcomes.give_up(seen), replayed=True)

    def _conflict(self, seen: Message) -> Result:
        fault = Fault(Code.CONFLICT, "message_id: another request was stored under this id")
        return reply.not_stored(seen.message_id, State.REJECTED, fault, self._clock())

    @contextmanager
    def _undone(self, claimed: Message) -> Iterator[None]:
        try:
            yield
        except AwsUnavailable as error:
            why = str(error)
        else:
            return
        fault = outcomes.not_handed_over(claimed, why)
        if claimed.redials:
            self._outcomes.redial_undone(claimed, fault)
        elif claimed.state is State.CALLING:
            self._outcomes.claim_undone(claimed, fault)
        raise outcomes.try_later(claimed, fault, self._clock())

    def _time_left(self, plan: Plan, message: Message, invocation: Invocation) -> None:
        if plan.rings and not self._caller.time_for_a_call(invocation):
            raise self._later(message, TOO_LITTLE_TIME)

    def _later(self, message: Message, why: str) -> Exception:
        return outcomes.try_later(message, outcomes.not_handed_over(message, why), self._clock())


def as_planned(message: Message, plan: Plan, now: float) -> Message:
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


def _won(message: Message, plan: Plan) -> Claim | Result:
    return Claim(message, plan.carriers) if plan.rings else reply.result(message)


def _redial_due(seen: Message, now: float) -> bool:
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


def _mine(seen: Message, written: Message) -> bool:
    """Whether what is there is what this invocation wrote, and only the reply was lost."""
    return seen.attempt == written.attempt and seen.state is written.state


def _stored(value: Any) -> Any:
    """An empty text is stored as no attribute."""
    return None if value == "" else value
