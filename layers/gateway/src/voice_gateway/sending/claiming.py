"""May we ring? The claim, and what a message that is already stored answers (docs/protocol.md, Sending, step 2).

Only the holder of a fresh claim may ring. The claim is one conditional write: of two senders one wins, and the other is
given the stored message.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from voice_gateway.model.errors import AwsUnavailable
from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.message import DEFERRED, Message, State
from voice_gateway.model.request import Request
from voice_gateway.platform.observability import Invocation
from voice_gateway.platform.settings import Settings
from voice_gateway.sending.beginning import as_planned, redialled
from voice_gateway.sending.pacing import Pacing
from voice_gateway.sending.planning import NothingRung, Plan, Planner
from voice_gateway.sending.receiving import Arrival
from voice_gateway.sending.routing import Carrier
from voice_gateway.storage.calls_table import CallsTable
from voice_gateway.storage.messages import MessageChanged

REDIAL_MARK_SECONDS = 600
"""For how long ``sweep``'s mark lets ``send`` redial: longer than the retries of the topic and of Lambda take."""
TOO_LITTLE_TIME = "too little time was left to call and to write down what came of it"


@dataclass(eq=False)
class NoSlot(NothingRung):
    """The pace has no slot for the call; ``seconds`` until there may be one."""

    seconds: float = 0.0


class Claim(NamedTuple):
    """The message as it is now. With ``carriers`` this invocation holds it, and calls them in order.

    Without carriers nobody is rung; ``replayed`` is true if the message was stored before. ``first``: it is rung as
    soon as it was asked for, and was never put off.
    """

    message: Message
    carriers: tuple[Carrier, ...] = ()
    replayed: bool = False
    first: bool = False


@dataclass
class _Try:
    """What is asked for, as it would be stored, by which invocation; the vendors whose slot it has by now."""

    request: Request
    draft: Message
    invocation: Invocation
    slots: set[str] = field(default_factory=set)


class Claims:
    """Claims messages. Every method raises NothingRung if AWS fails, and NoSlot."""

    def __init__(
        self,
        settings: Settings,
        table: CallsTable,
        planner: Planner,
        pacing: Pacing,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._messages = table.messages
        self._quotas = table.quotas
        self._numbers = table.numbers
        self._planner = planner
        self._pacing = pacing
        self._clock = clock

    def claim(self, request: Request, invocation: Invocation, came: Arrival | None = None) -> Claim:
        """Puts the message as planned if there is none; otherwise the stored message decides.

        What was handed over is claimed as it was seen then, and looked at only if that is not how it is.
        """
        draft = self._planner.draft(request, self._clock(), bulk=came is not None and came.bulk is True)
        one = _Try(request, draft, invocation)
        handed_over = came.seen if came else None
        plan: Plan | None = None
        for _ in range(3):
            seen, handed_over = handed_over or self._looked_up(request, draft), None
            if seen is None:
                plan = plan or self._planned(request, draft)
                planned = self._ready(plan, plan.message, one)
                if planned.dry_run:
                    return Claim(planned)
                seen = self._put(planned)
                if seen is None:
                    self._renew(plan, planned)
                    return Claim(planned, plan.carriers, first=True)
            try:
                return self._claim_stored(seen, plan, one)
            except MessageChanged:
                continue  # somebody else was quicker: look again
        raise NothingRung(draft, "the message is being changed by others")

    def _looked_up(self, request: Request, draft: Message) -> Message | None:
        """The stored message, where its ring decides what to plan: a plan for another would count in its quota."""
        if request.sequence is None or request.dry_run:
            return None
        with _nothing_rung(draft):
            return self._messages.get(draft.message_id)

    def _planned(self, request: Request, message: Message, *, stored: bool = False) -> Plan:
        with _nothing_rung(message, stored=stored):
            return self._planner.plan(request, message, self._clock())

    def _put(self, planned: Message) -> Message | None:
        """Puts the message, or returns the one that is there; None also where that is our own, its reply lost."""
        try:
            with _nothing_rung(planned):
                self._messages.put_new(planned)
        except MessageChanged as changed:
            seen = changed.message
            return None if seen is None or _own_write(seen, planned) else seen
        return None

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
                return Claim(self.conflict(seen))  # another request took the id a moment ago
        return Claim(message)

    def _reject_stored(self, seen: Message, message: Message) -> Claim:
        """Raises MessageChanged if the stored message is no longer as it was seen."""
        same = seen.fingerprint == message.fingerprint
        with _nothing_rung(message):
            if same and seen.state in DEFERRED:  # an earlier release took what is refused today
                given = {name: getattr(message, name) for name in ("state", "error", "attempt", "updated_at")}
                ended = seen.but(**given, request="", look_at=None, deferred_until=None)
                return Claim(self._messages.take_over(seen, ended))
            if not same and mendable(seen):
                self._messages.put_in_place_of(seen, message)
                return Claim(message)
        return Claim(seen, replayed=True) if same else Claim(self.conflict(seen))

    def _claim_stored(self, seen: Message, plan: Plan | None, one: _Try) -> Claim:
        """Decides by the stored message of this id. Raises MessageChanged if it is no longer as it was seen."""
        request, now = one.request, self._clock()
        if not request.has_fingerprint(seen.fingerprint):
            if not mendable(seen):
                return Claim(self.conflict(seen))
            return self._mend(seen, plan or self._planned(request, one.draft), one)
        if seen.state is State.CALLING:
            return self._leased(seen, now)
        waits = seen.state is State.RELEASED or (seen.state is State.DUE and (seen.deferred_until or 0) <= now)
        redial = _redial_due(seen, now)
        if not (waits or redial):
            return Claim(seen, replayed=True)
        if redial:
            with _nothing_rung(seen, stored=True):
                plan = self._planner.plan(request, seen.but(redials=1), now)
            if not plan.rings:
                return Claim(seen, replayed=True)
        elif plan is None or not plan.rings or _expired(seen, now) or request.sequence:
            # Of a sequence always anew: it may be another ring's turn than when the plan was made.
            plan = self._planned(request, seen, stored=True)
        return Claim(self._take_over(seen, plan, one, redial=redial), plan.carriers)

    def _mend(self, seen: Message, plan: Plan, one: _Try) -> Claim:
        """A good request takes the place of a bad one. Raises MessageChanged."""
        planned = self._ready(plan, plan.message, one)
        with _nothing_rung(planned):
            self._messages.put_in_place_of(seen, planned)
        self._renew(plan, planned)
        return Claim(planned, plan.carriers, first=True)

    def _take_over(self, seen: Message, plan: Plan, one: _Try, *, redial: bool) -> Message:
        """Raises MessageChanged."""
        # An earlier version kept no callees, and neither the number's key.
        callees, number = seen.callees or one.draft.callees, seen.number or plan.message.number
        base = seen.but(attempt=one.draft.attempt, number_hash=plan.message.number_hash, number=number, callees=callees)
        planned = self._ready(plan, base, one, seen)
        moved = redialled(seen, planned, self._clock()) if redial else planned
        self._renew(plan, moved)
        with _nothing_rung(moved):
            if moved.place and plan.rings:
                self._numbers.note(moved, moved.number_hash or "", self._clock())
            try:
                return self._messages.take_over(seen, moved)
            except MessageChanged as changed:
                if changed.message is None or not _own_write(changed.message, moved):
                    raise
                return changed.message  # our own write, whose reply was lost

    def _ready(self, plan: Plan, message: Message, one: _Try, stored: Message | None = None) -> Message:
        """The message as planned, once its call may begin: there is a slot for it, and time is left."""
        nothing = stored or message
        if plan.rings and not message.dry_run:
            vendor = plan.carriers[0].vendor.name
            if vendor not in one.slots:
                with _nothing_rung(nothing, stored=stored is not None):
                    seconds = self._pacing.wait_for_slot(vendor, bulk=message.bulk)
                if seconds is not None:
                    why = f"more calls are to be begun than {vendor}'s pace allows"
                    raise NoSlot(nothing, why, stored is not None, seconds)
                one.slots.add(vendor)
            if one.invocation.remaining() < self._settings.seconds_for_a_call:
                raise NothingRung(nothing, TOO_LITTLE_TIME, stored is not None)
        return as_planned(plan, message, self._clock())

    def _leased(self, seen: Message, now: float) -> Claim:
        """Another invocation was calling. If its lease is over, it died, and whether the phone rang is not known."""
        if (seen.lease or 0) > now:
            fault = Fault(Code.IN_PROGRESS, "another invocation is handing this message over", seen.vendor)
            return Claim(seen.but(error=fault.as_dict()), replayed=True)
        with _nothing_rung(seen, stored=True):
            return Claim(self._messages.give_up(seen, self._clock()), replayed=True)

    def conflict(self, seen: Message) -> Message:
        """The answer to another request of a stored id: that message stays as it is, and nothing of it is shown."""
        fault = Fault(Code.CONFLICT, "message_id: another request was stored under this id")
        return Message(seen.message_id, State.REJECTED, self._clock(), error=fault.as_dict())

    def _renew(self, plan: Plan, claimed: Message) -> None:
        """A quota that counts this message at an earlier attempt gets the time of the one about to ring."""
        with _nothing_rung(claimed):
            if plan.stale:
                self._quotas.renew(plan.carriers[0].quota, self._clock())


@contextmanager
def _nothing_rung(message: Message, *, stored: bool = False) -> Iterator[None]:
    """Turns AwsUnavailable into NothingRung."""
    try:
        yield
    except AwsUnavailable as error:
        raise NothingRung(message, str(error), stored) from None


def _expired(seen: Message, now: float) -> bool:
    return seen.expires_at is not None and seen.expires_at <= now


def _redial_due(seen: Message, now: float) -> bool:
    """Whether an unknown message is to be rung once more, as its caller asked.

    ``sweep`` decides when, because only ``sweep`` checks for waiting receipts of that number. It marks the message.
    """
    return (
        seen.state is State.UNKNOWN
        and seen.on_unknown == "redial_once"
        and seen.redials == 0
        and not seen.no_more
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


def mendable(seen: Message) -> bool:
    """Whether a message was refused as a bad request, so that a mended one may take its id: nobody was called."""
    refused = seen.state is State.REJECTED and seen.called_at is None and not seen.receipts
    return refused and (seen.error or {}).get("code") in _BAD_REQUEST


def _own_write(seen: Message, written: Message) -> bool:
    """Whether the stored message is this invocation's own write, whose reply was lost."""
    return seen.attempt == written.attempt and seen.state is written.state
