"""May we ring? The claim, and what a message that is already stored answers (docs/protocol.md, Sending, step 2).

Only the holder of a fresh claim may ring. The claim is one conditional write: of two senders one wins, and the other is
given the stored message.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from voice_gateway.model.errors import AwsUnavailable
from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.message import LEASE_SECONDS, Message, State
from voice_gateway.platform.observability import Invocation
from voice_gateway.platform.settings import Settings
from voice_gateway.sending.planning import NothingRung, Plan, Planner, expired
from voice_gateway.sending.routing import Carrier
from voice_gateway.storage.calls_table import CallsTable
from voice_gateway.storage.messages import MessageChanged

_MOVED = (
    *("state", "attempt", "lease", "look_at", "vendor", "called_at", "error", "deferred_until"),
    *("redials", "earlier_vendor", "redialled_at", "asked", "request", "updated_at"),
)
"""What taking a stored message over changes."""

REDIAL_MARK_SECONDS = 600
"""For how long ``sweep``'s mark lets ``send`` redial: longer than the retries of the topic and of Lambda take."""
TOO_LITTLE_TIME = "too little time was left to call and to write down what came of it"


@dataclass(frozen=True)
class Claim:
    """The message as it is now. With ``carriers`` this invocation holds it, and calls them in order.

    Without carriers nobody is rung; ``replayed`` is true if the message was stored before.
    """

    message: Message
    carriers: tuple[Carrier, ...] = ()
    replayed: bool = False


class Claims:
    """Claims messages. Every method raises NothingRung if AWS fails."""

    def __init__(
        self,
        settings: Settings,
        table: CallsTable,
        planner: Planner,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._messages = table.messages
        self._quotas = table.quotas
        self._planner = planner
        self._clock = clock

    def claim(self, plan: Plan, invocation: Invocation) -> Claim:
        """Puts the message as planned if there is none; otherwise the stored message decides."""
        for _ in range(3):
            self._time_left(plan, plan.message, invocation)
            planned = _as_planned(plan, self._clock())
            if planned.dry_run:
                return Claim(planned)
            try:
                with _nothing_rung(planned, claimed=True):
                    self._messages.put_new(planned)
            except MessageChanged as changed:
                seen = changed.message
                if seen is None:
                    continue
                if not _own_write(seen, planned):
                    try:
                        return self._claim_stored(seen, plan, planned, invocation)
                    except MessageChanged:
                        continue  # somebody else was quicker: look again
            self._renew(plan, planned)
            return Claim(planned, plan.carriers)
        raise NothingRung(plan.message, "the message is being changed by others")

    def reject(self, message: Message) -> Claim:
        """Stores a message whose request was bad, if its id is still free or holds another bad request."""
        try:
            with _nothing_rung(message):
                self._messages.put_new(message)
        except MessageChanged as changed:
            seen = changed.message
            if seen is None or _own_write(seen, message):
                return Claim(message)
            try:
                return self._reject_stored(seen, message)
            except MessageChanged:
                return self._conflict(seen)  # another request took the id a moment ago
        return Claim(message)

    def _reject_stored(self, seen: Message, message: Message) -> Claim:
        """Raises MessageChanged if the stored message is no longer as it was seen."""
        same = seen.fingerprint == message.fingerprint
        with _nothing_rung(message):
            if same and seen.state in {State.DUE, State.RELEASED}:  # an earlier release took what is refused today
                given = {name: getattr(message, name) for name in ("state", "error", "attempt", "updated_at")}
                gone = {"request": None, "look_at": None, "deferred_until": None}
                return Claim(self._messages.take_over(seen, given | gone))
            if not same and _mendable(seen):
                self._messages.put_in_place_of(seen, message)
                return Claim(message)
        return Claim(seen, replayed=True) if same else self._conflict(seen)

    def _claim_stored(self, seen: Message, plan: Plan, planned: Message, invocation: Invocation) -> Claim:
        """Decides by the stored message of this id. Raises MessageChanged if it is no longer as it was seen."""
        now = self._clock()
        if not plan.request.has_fingerprint(seen.fingerprint):
            if not _mendable(seen):
                return self._conflict(seen)
            with _nothing_rung(planned, claimed=True):
                self._messages.put_in_place_of(seen, planned)
            self._renew(plan, planned)
            return Claim(planned, plan.carriers)
        if seen.state is State.CALLING:
            return self._leased(seen, now)
        waits = seen.state is State.RELEASED or (seen.state is State.DUE and (seen.deferred_until or 0) <= now)
        redial = _redial_due(seen, now)
        if not (waits or redial):
            return Claim(seen, replayed=True)
        attempt = plan.message.attempt
        with _nothing_rung(seen):
            plan = self._plan_again(seen, plan, now, redial=redial)
        if redial and not plan.rings:
            return Claim(seen, replayed=True)
        self._time_left(plan, seen, invocation)
        return Claim(self._take_over(seen, plan, attempt, now, redial=redial), plan.carriers)

    def _take_over(self, seen: Message, plan: Plan, attempt: str | None, now: float, *, redial: bool) -> Message:
        """Raises MessageChanged."""
        moved = _as_planned(plan, now, seen.but(attempt=attempt))
        if redial:
            # A receipt of the first call is recognised by that call's vendor and time.
            moved = moved.but(
                redials=1, called_at=seen.called_at, earlier_vendor=seen.vendor, redialled_at=now, asked=0
            )
        self._renew(plan, moved)
        with _nothing_rung(moved, claimed=True):
            try:
                return self._messages.take_over(seen, {name: _stored(getattr(moved, name)) for name in _MOVED})
            except MessageChanged as changed:
                if changed.message is None or not _own_write(changed.message, moved):
                    raise
                return changed.message  # our own write, whose reply was lost

    def _plan_again(self, seen: Message, plan: Plan, now: float, *, redial: bool) -> Plan:
        """The stored message decides on expiry; a redial counts on its own, and tries another vendor first."""
        if seen.expires_at is not None and seen.expires_at <= now:
            return expired(plan.request, seen)
        if redial:
            return self._planner.plan(plan.request, seen.but(redials=1), now, avoid=seen.vendor)
        return plan if plan.rings else self._planner.plan(plan.request, seen, now)

    def _leased(self, seen: Message, now: float) -> Claim:
        """Another invocation was calling. If its lease is over, it died, and whether the phone rang is not known."""
        if (seen.lease or 0) > now:
            fault = Fault(Code.IN_PROGRESS, "another invocation is handing this message over", seen.vendor)
            return Claim(seen.but(error=fault.as_dict()), replayed=True)
        with _nothing_rung(seen):
            return Claim(self._messages.give_up(seen, self._clock()), replayed=True)

    def _conflict(self, seen: Message) -> Claim:
        """The stored message stays as it is, and nothing of it is shown."""
        fault = Fault(Code.CONFLICT, "message_id: another request was stored under this id")
        return Claim(Message(seen.message_id, State.REJECTED, self._clock(), error=fault.as_dict()))

    def _renew(self, plan: Plan, claimed: Message) -> None:
        """A quota that counts this message at an earlier attempt gets the time of the one about to ring."""
        with _nothing_rung(claimed, claimed=True):
            if plan.stale:
                self._quotas.renew(plan.carriers[0].quota, self._clock())

    def _time_left(self, plan: Plan, message: Message, invocation: Invocation) -> None:
        if plan.rings and not message.dry_run and invocation.remaining() < self._settings.seconds_for_a_call:
            raise NothingRung(message, TOO_LITTLE_TIME)


@contextmanager
def _nothing_rung(message: Message, *, claimed: bool = False) -> Iterator[None]:
    """Turns AwsUnavailable into NothingRung."""
    try:
        yield
    except AwsUnavailable as error:
        raise NothingRung(message, str(error), claimed) from None


def _as_planned(plan: Plan, now: float, seen: Message | None = None) -> Message:
    """The plan's message, or the stored one that was ``seen`` in its place, as the plan says."""
    message = seen or plan.message
    rings = plan.rings
    look_at = {State.CALLING: now + LEASE_SECONDS, State.DUE: plan.deferred_until}.get(plan.state)
    state = plan.state
    if message.dry_run:  # as it would be at hand-over
        state = {State.CALLING: State.ACCEPTED, State.EXPIRED: State.REJECTED}.get(state, state)
    return message.but(
        state=state,
        vendor=plan.carriers[0].vendor.name if rings else plan.error.vendor if plan.error else None,
        lease=now + LEASE_SECONDS if rings else None,
        called_at=now if rings else message.called_at,
        look_at=look_at,
        error=plan.error.as_dict() if plan.error else None,
        deferred_until=plan.deferred_until,
        # A message that will not be sent again keeps no number and no text.
        request=message.request if rings or plan.state is State.DUE else "",
        updated_at=now,
    )


def _redial_due(seen: Message, now: float) -> bool:
    """Whether an unknown message is to be rung once more, as its caller asked.

    ``sweep`` decides when, because only ``sweep`` checks for waiting receipts of that number. It marks the message.
    """
    return (
        seen.state is State.UNKNOWN
        and seen.on_unknown == "redial_once"
        and seen.redials == 0
        and seen.asked > now - REDIAL_MARK_SECONDS
        and (seen.expires_at is None or seen.expires_at > now)
    )


_BAD_REQUEST = frozenset(
    {
        Code.INVALID_REQUEST,
        Code.INVALID_MOBILE,
        Code.UNKNOWN_TEMPLATE,
        Code.TEMPLATE_MISMATCH,
        Code.CONTENT_TOO_LONG,
    }
)


def _mendable(seen: Message) -> bool:
    """Whether a message was refused as a bad request, so that a mended one may take its id: nobody was called."""
    refused = seen.state is State.REJECTED and seen.called_at is None and not seen.receipts
    return refused and (seen.error or {}).get("code") in _BAD_REQUEST


def _own_write(seen: Message, written: Message) -> bool:
    """Whether the stored message is this invocation's own write, whose reply was lost."""
    return seen.attempt == written.attempt and seen.state is written.state


def _stored(value: Any) -> Any:
    """An empty text is stored as no attribute."""
    return None if value == "" else value
