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
        unknown = list(self._store.messages(State.UNKNOWN, now, since=now - OLDEST))
        # After a redial the first call's receipt may still come, though the second call is accepted by now.
        possible = unknown + [message for message in accepted if message.redials]
        by_number: dict[str | None, list[Message]] = defaultdict(list)
        for message in possible:
            by_number[message.number_hash].append(message)
        rivals: dict[str, list[Meeting]] = defaultdict(list)
        shared: set[str] = set()
        for meeting in orphans:
            messages = [message for message in by_number.get(meeting.rhash, []) if could_be(meeting, message)]
            for message in messages:
                rivals[message.message_id].append(meeting)
            if len(messages) > 1:
                shared |= {message.message_id for message in messages}
            elif not messages and -_INTERVAL < _since(meeting) - (now - self._patience) <= 0:
                record.count("UnlinkedReceipts")  # nobody's: counted by the one run that finds it so
        open_: dict[str, int] = {}
        for message in possible:
            mine = sorted(rivals[message.message_id], key=_since)
            if not mine or _since(mine[-1]) > now - self._patience:
                continue
            if message.message_id in shared or len(mine) > 1 + message.redials:
                open_[message.message_id] = len(mine)
            else:
                for meeting in mine:
                    self._link(meeting, message, "number", now, record)
        self._show(possible, open_, record)

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
    return meeting.waiting or 0.0
