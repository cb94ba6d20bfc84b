"""Receipts whose message was not known when they came (docs/protocol.md, Sweep).

They wait at their call id. Either the call id is linked to its message later, or an accepted message carries that call
id. If the vendor's reply was lost, no message knows the call id: then the number tells, if only one message fits.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from voice_gateway.model.message import DEFERRED, FINAL, LEASE_SECONDS, Message, State
from voice_gateway.model.moving_on import at_ring, current_ring, is_open
from voice_gateway.platform.observability import Invocation, Record
from voice_gateway.receipts.settling import Settling
from voice_gateway.storage.call_ids import CallId, CallIdChanged
from voice_gateway.storage.calls_table import CallsTable
from voice_gateway.storage.messages import MessageChanged
from voice_gateway.sweeping.common import INTERVAL

OLDEST = 26 * 3600.0
"""Seconds after which a waiting receipt or an unknown message is no longer matched."""
_AFTER_A_CALL = 3600.0
"""Seconds: a receipt belongs to a call of the hour before it."""
PATIENCE = LEASE_SECONDS + INTERVAL
"""Seconds for which a receipt is left to the sender, which knows its message for certain."""


class WaitingReceipts:
    """Matches waiting receipts and messages."""

    def __init__(self, table: CallsTable, settling: Settling, clock: Callable[[], float], *, by_number: bool) -> None:
        self._messages = table.messages
        self._call_ids = table.call_ids
        self._settling = settling
        self._clock = clock
        self._by_number = by_number

    def waiting(self, now: float) -> list[CallId]:
        """The call ids whose receipts wait. Raises AwsUnavailable."""
        return list(self._call_ids.waiting(now, since=now - OLDEST))

    def link(self, invocation: Invocation) -> None:
        """Settles what can be settled; counts what stays open. Raises AwsUnavailable."""
        now, record = self._clock(), invocation.record
        unlinked = []
        for call in self.waiting(now):
            if call.message is None:
                unlinked.append(call)
            else:
                self._apply(call, "call_id", now, record)
        accepted = list(self._messages.in_state(State.ACCEPTED, now + OLDEST)) if unlinked else []
        # Read before ``unknown``: a message that is given up between the two is seen twice, and not missed.
        calling = list(self._messages.in_state(State.CALLING, now + OLDEST))
        unknown = list(self._messages.in_state(State.UNKNOWN, now, since=now - OLDEST))
        waits = self._in_states(DEFERRED, now, 0) if unlinked else []
        ended = self._in_states(FINAL, now, now) if unlinked else []
        whole = {one.message_id: one for one in (*ended, *waits, *accepted, *unknown, *calling)}
        earlier = [at_ring(message, ring) for message in whole.values() for ring in message.past]
        earlier += [at_ring(message, ring) for message in ended if (ring := current_ring(message)) and is_open(ring)]
        unlinked = self._link_accepted(unlinked, [*accepted, *earlier], now, record)
        if self._by_number:
            self._link_by_number(unlinked, _Open(whole, accepted, calling, unknown, earlier), now, record)

    def _in_states(self, states: Iterable[State], now: float, since: float) -> list[Message]:
        return [
            message for state in states for message in self._messages.in_state(state, now + 2 * OLDEST, since=since)
        ]

    def _link_accepted(
        self, unlinked: list[CallId], accepted: list[Message], now: float, record: Record
    ) -> list[CallId]:
        """Links the call ids that an accepted message carries. Returns the others."""
        by_call_id = {(message.vendor, message.call_id): message for message in accepted}
        left = []
        for call in unlinked:
            message = by_call_id.get((call.vendor, call.call_id))
            if message is None:
                left.append(call)
            else:
                self._link(call, message, "call_id", now, record)
        return left

    def _link_by_number(self, unlinked: list[CallId], ones: "_Open", now: float, record: Record) -> None:
        """Links a receipt only if one ring alone fits; otherwise it is counted, and shown by ``status``."""
        # After a redial the first call's receipt may still come, though the second call is accepted by now.
        possible = {_key(message): message for message in ones.accepted if message.redials}
        possible |= {_key(message): message for message in (*ones.earlier, *ones.unknown)}
        # Nothing is linked to a message that is still calling; but its receipt must not be taken for another's.
        owners = _owners(unlinked, {**{_key(each): each for each in ones.calling}, **possible})
        for call in owners.without:
            if -INTERVAL < call.marked - (now - PATIENCE) <= 0:
                record.count("UnlinkedReceipts")  # counted by one run only
        still_open: dict[_Key, int] = {}
        for key, message in possible.items():
            calls = sorted(owners.calls[key], key=lambda call: call.since)
            if any(call.marked > now - PATIENCE for call in calls):
                still_open[key] = message.unlinked  # unchanged, until its sender has had its time
            elif key in owners.sharing or len(calls) > 1 + message.redials:
                still_open[key] = len(calls)
            else:
                for call in calls:
                    self._link(call, message, "number", now, record)
        self._show(ones.whole, possible, still_open, record)

    def _show(
        self,
        whole: dict[str, Message],
        possible: dict["_Key", Message],
        still_open: dict["_Key", int],
        record: Record,
    ) -> None:
        """Writes how many receipts might belong to each message, in whichever of its rings."""
        counts: dict[str, int] = defaultdict(int)
        for key in possible:
            counts[key[0]] = max(counts[key[0]], still_open.get(key, 0))
        for message_id, count in counts.items():
            message = whole[message_id]
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


@dataclass(frozen=True)
class _Open:
    """The messages that a receipt may be for, by what is known of them; ``earlier`` are rings that were left behind.

    ``whole`` are all of them by their ids, as they are now.
    """

    whole: dict[str, Message]
    accepted: list[Message]
    calling: list[Message]
    unknown: list[Message]
    earlier: list[Message]


@dataclass
class _Owners:
    """Which call ids could belong to each ring; the rings that share one; the call ids without any."""

    calls: dict[_Key, list[CallId]] = field(default_factory=lambda: defaultdict(list))
    sharing: set[_Key] = field(default_factory=set)
    without: list[CallId] = field(default_factory=list)


def _owners(unlinked: Iterable[CallId], messages: dict[_Key, Message]) -> _Owners:
    by_number: dict[str | None, list[Message]] = defaultdict(list)
    for message in messages.values():
        by_number[message.number_hash].append(message)
    owners = _Owners()
    for call in unlinked:
        keys = {_key(message) for message in by_number.get(call.rhash, []) if could_be(call, message)}
        for key in keys:
            owners.calls[key].append(call)
        if len(keys) > 1:
            owners.sharing |= keys
        if not keys:
            owners.without.append(call)
    return owners


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
