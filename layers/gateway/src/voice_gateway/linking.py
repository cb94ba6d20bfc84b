"""Receipts that came before anybody knew whose they are (docs/protocol.md, Sweep).

They wait at their call id. Sooner or later the message is known there, or an accepted message turns out to carry that
call id; and where the call id was never learnt, for the reply was lost, the number tells, if it can only be one.
"""

from collections import defaultdict
from collections.abc import Iterable

from voice_gateway.model import Message, State
from voice_gateway.observability import Record
from voice_gateway.settling import Settling
from voice_gateway.store import Changed, Meeting, Store

OLDEST = 26 * 3600.0
"""Seconds after which a waiting receipt or an unknown message meets nobody any more."""
_AFTER_A_CALL = 3600.0
"""A receipt belongs to a call of the hour before it."""
_INTERVAL = 60.0
"""Seconds between two runs."""


class Linking:
    """Brings waiting receipts and messages together. ``patience`` seconds are left to the sender, which knows best."""

    def __init__(self, store: Store, settling: Settling, *, by_number: bool, patience: float) -> None:
        self._store = store
        self._settling = settling
        self._by_number = by_number
        self._patience = patience

    def waiting(self, now: float) -> list[Meeting]:
        """The receipts that wait. Raises AwsUnavailable."""
        return list(self._store.waiting(now, since=now - OLDEST))

    def link(self, now: float, record: Record) -> None:
        """Settles what can be settled; counts what stays open. Raises AwsUnavailable."""
        orphans = []
        for meeting in self.waiting(now):
            if meeting.message is None:
                orphans.append(meeting)
            else:
                self._apply(meeting, "call_id", now, record)
        accepted = list(self._store.messages(State.ACCEPTED, now + OLDEST)) if orphans else []
        orphans = self._link_accepted(orphans, accepted, now, record)
        if self._by_number:
            self._link_by_number(orphans, accepted, now, record)

    def _link_accepted(
        self, orphans: list[Meeting], accepted: list[Message], now: float, record: Record
    ) -> list[Meeting]:
        """A message that carries the call id lacks only the link. Returns the others."""
        known = {(message.vendor, message.call_id): message for message in accepted}
        left = []
        for meeting in orphans:
            message = known.get((meeting.vendor, meeting.call_id))
            if message is None:
                left.append(meeting)
            else:
                self._link(meeting, message, "call_id", now, record)
        return left

    def _link_by_number(self, orphans: list[Meeting], accepted: list[Message], now: float, record: Record) -> None:
        """Only where it can be one message alone; else the receipts are counted, and shown by ``status``."""
        # First: whoever is given up between the two is seen twice, and not missed.
        calling = list(self._store.messages(State.CALLING, now + OLDEST))
        unknown = list(self._store.messages(State.UNKNOWN, now, since=now - OLDEST))
        # After a redial the first call's receipt may still come, though the second call is accepted by now.
        possible = {message.message_id: message for message in accepted if message.redials}
        possible |= {message.message_id: message for message in unknown}
        # Nothing is linked to who is still calling; but what may be theirs is not surely another's.
        theirs, shared, nobodys = _sorted(orphans, {**{each.message_id: each for each in calling}, **possible})
        for meeting in nobodys:
            if -_INTERVAL < _marked(meeting) - (now - self._patience) <= 0:
                record.count("UnlinkedReceipts")  # by the one run that finds it so
        open_: dict[str, int] = {}
        for message_id, message in possible.items():
            mine = sorted(theirs[message_id], key=_since)
            if any(_marked(meeting) > now - self._patience for meeting in mine):
                open_[message_id] = message.unlinked  # as it was, until its sender has had its time
            elif message_id in shared or len(mine) > 1 + message.redials:
                open_[message_id] = len(mine)
            else:
                for meeting in mine:
                    self._link(meeting, message, "number", now, record)
        self._show(possible.values(), open_, record)

    def _show(self, possible: Iterable[Message], open_: dict[str, int], record: Record) -> None:
        """How many receipts might be a message's, and nobody can tell."""
        for message in possible:
            count = open_.get(message.message_id, 0)
            if message.unlinked != count:
                try:
                    self._store.touch(message, {"unlinked": count})
                except Changed:
                    continue
                if count:
                    record.count("UnlinkedReceipts")

    def _link(self, meeting: Meeting, message: Message, linked_by: str, now: float, record: Record) -> None:
        try:
            linked = self._store.link(meeting.vendor, meeting.call_id, message)
        except Changed:
            return  # it is another's meanwhile; the next run applies it
        self._apply(linked, linked_by, now, record)

    def _apply(self, meeting: Meeting, linked_by: str, now: float, record: Record) -> None:
        settled = self._settling.at_meeting(meeting, now, linked_by=linked_by)
        self._store.unmark(meeting)
        record.count(f"Receipt{settled.title()}")


def _sorted(
    orphans: Iterable[Meeting], messages: dict[str, Message]
) -> tuple[dict[str, list[Meeting]], set[str], list[Meeting]]:
    """Which receipts could be each message's; the messages that share one with another; and nobody's receipts."""
    by_number: dict[str | None, list[Message]] = defaultdict(list)
    for message in messages.values():
        by_number[message.number_hash].append(message)
    theirs: dict[str, list[Meeting]] = defaultdict(list)
    shared: set[str] = set()
    nobodys = []
    for meeting in orphans:
        ids = {message.message_id for message in by_number.get(meeting.rhash, []) if could_be(meeting, message)}
        for message_id in ids:
            theirs[message_id].append(meeting)
        if len(ids) > 1:
            shared |= ids
        if not ids:
            nobodys.append(meeting)
    return theirs, shared, nobodys


def could_be(meeting: Meeting, message: Message) -> bool:
    """Same number, a vendor that may have rung it, its call id not known, and within the hour after."""
    called_at = message.called_at or 0.0
    latest = (message.redialled_at or called_at) + _AFTER_A_CALL
    return (
        meeting.vendor in {message.vendor, message.earlier_vendor}
        and message.number_hash == meeting.rhash is not None
        and (message.call_id is None or (message.redials > 0 and message.call_id != meeting.call_id))
        and called_at <= _since(meeting) <= latest
    )


def _since(meeting: Meeting) -> float:
    """When the first receipt came."""
    return meeting.waiting or 0.0


def _marked(meeting: Meeting) -> float:
    """When it was written down that nobody knows whose it is: later, if it lay in the outbox."""
    return meeting.look_at or _since(meeting)
