"""Receipts whose message was not known when they came (docs/protocol.md, Sweep).

They wait at their call id. Either the call id is linked to its message later, or an accepted message carries that call
id. If the vendor's reply was lost, no message knows the call id: then the number tells, if only one message fits.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from voice_gateway.model.message import LEASE_SECONDS, UNDER_WAY, Message, State
from voice_gateway.model.moving_on import at_ring, current_ring, is_open
from voice_gateway.platform.observability import Invocation, Record
from voice_gateway.receipts.settling import Settling
from voice_gateway.storage.call_ids import CallId, CallIdChanged
from voice_gateway.storage.calls_table import CallsTable
from voice_gateway.storage.messages import MessageChanged
from voice_gateway.sweeping.common import INTERVAL, SideBySide

_OLDEST = 26 * 3600.0
"""Seconds after which a waiting receipt is no longer matched."""
_AFTER_A_CALL = 3600.0
"""Seconds: a receipt belongs to a call of the hour before it."""
_AROUND = 2 * 3600.0
"""Seconds before a receipt of which its number's calls are looked at: that hour, and the time between two calls."""
_PATIENCE = LEASE_SECONDS + INTERVAL
"""Seconds for which a receipt is left to the sender, which knows its message for certain."""
_SELDOM = 1800.0
"""A receipt that is not found a message for is looked at less and less often; every so many seconds at least."""


@dataclass(frozen=True)
class _OfNumber:
    """What concerns one number: its messages by their ids, and the receipts that wait without a message."""

    messages: dict[str, Message]
    unlinked: list[CallId]

    def accepted(self) -> dict[tuple[str | None, str | None], Message]:
        """By vendor and call id: each ring whose call id its message knows."""
        views = [at_ring(message, ring) for message in self.messages.values() for ring in message.past]
        return {(view.vendor, view.call_id): view for view in (*views, *self.messages.values()) if view.call_id}


class WaitingReceipts:
    """Matches waiting receipts and messages, one number after the other."""

    def __init__(
        self,
        table: CallsTable,
        settling: Settling,
        side_by_side: SideBySide,
        clock: Callable[[], float],
        *,
        by_number: bool,
    ) -> None:
        self._messages = table.messages
        self._call_ids = table.call_ids
        self._numbers = table.numbers
        self._settling = settling
        self._side_by_side = side_by_side
        self._clock = clock
        self._by_number = by_number

    def link(self, invocation: Invocation) -> None:
        """Settles what can be settled; counts what stays open. Raises AwsUnavailable."""
        numbers: dict[str, list[CallId]] = defaultdict(list)
        for call in self._call_ids.waiting(self._clock()):
            # One without a number, or with its message, is for itself.
            numbers[(call.message is None and call.rhash) or f"{call.vendor} {call.call_id}"].append(call)
        self._side_by_side.each(numbers.values(), self._one_number, invocation)

    def may_be_of(self, seen: Message, now: float, *, linked_soon: bool = False) -> bool:
        """Whether a receipt waits that might be this message's. Raises AwsUnavailable.

        ``linked_soon``: only such that may yet be linked by its number: what is still open after that stays so.
        """
        if seen.number_hash is None:
            return False
        waiting = self._of_number(seen.number_hash, (seen.called_at or now) - INTERVAL, receipts_only=True).unlinked
        latest = now - _PATIENCE - INTERVAL if linked_soon else 0.0
        return any(could_be(call, seen) and call.marked > latest for call in waiting)

    def _one_number(self, calls: list[CallId], record: Record) -> None:
        now = self._clock()
        if calls[0].message is not None:
            self._apply(calls[0], "call_id", now, record)
            return
        if calls[0].rhash is None:
            ones = _OfNumber({}, [])
        else:
            ones = self._of_number(calls[0].rhash, min(call.since for call in calls) - _AROUND)
        # The index may not have them yet, and may have further ones that are looked at less often.
        unlinked = {(call.vendor, call.call_id): call for call in (*ones.unlinked, *calls)}
        left = self._link_accepted(list(unlinked.values()), ones, now, record)
        if self._by_number:
            self._link_by_number(left, ones, now, record)
        for call in calls:
            self._look_later(call, now)

    def _of_number(self, number_hash: str, since: float, *, receipts_only: bool = False) -> _OfNumber:
        messages, unlinked = {}, []
        for entry in self._numbers.of(number_hash, since):
            if entry.message_id is None:
                call = self._call_ids.get(entry.vendor, entry.call_id)
                if call is not None and call.waiting and call.message is None:
                    unlinked.append(call)
            elif not receipts_only and entry.message_id not in messages:
                message = self._messages.get(entry.message_id)
                if message is not None:
                    messages[entry.message_id] = message
        return _OfNumber(messages, unlinked)

    def _look_later(self, call: CallId, now: float) -> None:
        age = now - call.marked
        if age > _OLDEST:
            self._call_ids.look_again(call, None)
        elif age > _PATIENCE + INTERVAL:
            self._call_ids.look_again(call, now + min(age / 4, _SELDOM))

    def _link_accepted(self, unlinked: list[CallId], ones: _OfNumber, now: float, record: Record) -> list[CallId]:
        """Links the call ids that an accepted message carries. Returns the others."""
        by_call_id = ones.accepted()
        left = []
        for call in unlinked:
            message = by_call_id.get((call.vendor, call.call_id))
            if message is None:
                left.append(call)
            else:
                self._link(call, message, "call_id", now, record)
        return left

    def _link_by_number(self, unlinked: list[CallId], ones: _OfNumber, now: float, record: Record) -> None:
        """Links a receipt only if one ring alone fits; otherwise it is counted, and shown by ``status``."""
        rings = {_key(ring): ring for message in ones.messages.values() for ring in _open_rings(message)}
        # Nothing is linked to a message that is still calling; but its receipt must not be taken for another's. After a
        # redial the first call's receipt may still come, though the second call is accepted by now.
        possible = {
            key: ring
            for key, ring in rings.items()
            if ring.state is State.UNKNOWN or (ring.state is State.ACCEPTED and ring.redials)
        }
        owners = _owners(unlinked, rings)
        for call in owners.without:
            if -INTERVAL < call.marked - (now - _PATIENCE) <= 0:
                record.count("UnlinkedReceipts")  # counted by one run only
        still_open: dict[_Key, int] = {}
        for key, ring in possible.items():
            calls = sorted(owners.calls[key], key=lambda call: call.since)
            if any(call.marked > now - _PATIENCE for call in calls):
                still_open[key] = ring.unlinked  # unchanged, until its sender has had its time
            elif key in owners.sharing or len(calls) > 1 + ring.redials:
                still_open[key] = len(calls)
            else:
                for call in calls:
                    self._link(call, ring, "number", now, record)
        self._show(ones.messages, possible, still_open, record)

    def _show(
        self,
        messages: dict[str, Message],
        possible: dict["_Key", Message],
        still_open: dict["_Key", int],
        record: Record,
    ) -> None:
        """Writes how many receipts might belong to each message, in whichever of its rings."""
        counts: dict[str, int] = defaultdict(int)
        for key in possible:
            counts[key[0]] = max(counts[key[0]], still_open.get(key, 0))
        for message_id, count in counts.items():
            message = messages[message_id]
            if message.unlinked != count:
                try:
                    self._messages.touch(message, {"unlinked": count})
                except MessageChanged:
                    continue
                if count:
                    record.count("UnlinkedReceipts")

    def _link(self, call: CallId, message: Message, linked_by: str, now: float, record: Record) -> None:
        try:
            linked = self._call_ids.link(call.vendor, call.call_id, message)
        except CallIdChanged:
            return  # linked to another message meanwhile; the next run applies it
        self._apply(linked, linked_by, now, record)

    def _apply(self, call: CallId, linked_by: str, now: float, record: Record) -> None:
        settled = self._settling.apply(call, now, linked_by=linked_by)
        self._call_ids.unmark(call)
        record.count(f"Receipt{settled.title()}")


_Key = tuple[str, int]
"""Message id and ring."""


def _key(message: Message) -> _Key:
    return message.message_id, message.ring


@dataclass
class _Owners:
    """Which call ids could belong to each ring; the rings that share one; the call ids without any."""

    calls: dict[_Key, list[CallId]] = field(default_factory=lambda: defaultdict(list))
    sharing: set[_Key] = field(default_factory=set)
    without: list[CallId] = field(default_factory=list)


def _owners(unlinked: Iterable[CallId], rings: Mapping[_Key, Message]) -> _Owners:
    owners = _Owners()
    for call in unlinked:
        keys = {key for key, ring in rings.items() if could_be(call, ring)}
        for key in keys:
            owners.calls[key].append(call)
        if len(keys) > 1:
            owners.sharing |= keys
        if not keys:
            owners.without.append(call)
    return owners


def _open_rings(message: Message) -> Iterator[Message]:
    """The message as each of its rings left it whose receipt its number alone may tell; and as it is under way."""
    if message.state in UNDER_WAY:
        yield message
    elif (ring := current_ring(message)) and is_open(ring):
        yield at_ring(message, ring)
    yield from (at_ring(message, ring) for ring in message.past if is_open(ring))


def could_be(call: CallId, message: Message) -> bool:
    """Same number, a vendor that may have rung it, its call id not known, and within the hour after."""
    called_at = message.called_at or 0.0
    latest = (message.redialled_at or called_at) + _AFTER_A_CALL
    return (
        call.vendor in {message.vendor, message.earlier_vendor}
        and message.number_hash == call.rhash is not None
        and (message.call_id is None or (message.redials > 0 and message.call_id != call.call_id))
        and called_at <= call.since <= latest
    )
