"""Where a message gets its result: a call's outcome, or a receipt, whichever comes first and is surer.

Used by the sender, by the callbacks, and by the sweep, which applies what the other two could not write: one way to do
it for all three. A receipt that is there first settles in place of the outcome; the first receipt stands.
"""

from dataclasses import replace
from enum import StrEnum
from typing import Any

from voice_gateway.errors import AwsUnavailable
from voice_gateway.model import Code, Fault, Message, Receipt, State
from voice_gateway.observability import log
from voice_gateway.outbox import DeadLetters
from voice_gateway.store import Changed, Meeting, Store, receipt_text


class Settled(StrEnum):
    """What became of a receipt."""

    SETTLED = "settled"
    DUPLICATE = "duplicate"
    LATER = "later"
    """Kept beside the one that stands."""
    WAITING = "waiting"
    """No message is known for its call id yet."""
    MISMATCH = "mismatch"
    """Its number is not the message's: kept, not applied."""
    GONE = "gone"
    """The message is no longer there: kept as a dead letter."""


class Settling:
    """Applies outcomes and receipts. ``dead_letters`` is only needed where receipts come in."""

    def __init__(self, store: Store, dead_letters: DeadLetters | None = None) -> None:
        self._store = store
        self._dead_letters = dead_letters

    # Receipts.

    def of_message(self, message_id: str, receipt: Receipt, linked_by: str, now: float) -> Settled:
        """A receipt whose message is known. Raises AwsUnavailable."""
        try:
            self._store.settle(message_id, receipt, linked_by, now)
        except Changed as changed:
            return self._beside(message_id, changed.message, receipt)
        return Settled.SETTLED

    def at_call_id(self, receipt: Receipt, rhash: str | None, ttl: int, now: float, came_at: float) -> Settled:
        """A receipt that names its call id only: written there first, then applied, or marked as waiting.

        It waits since ``came_at``, even if it lay in the outbox meanwhile.

        Raises AwsUnavailable.
        """
        meeting = self._store.record_receipt(receipt, rhash, ttl)
        if meeting.message is None:
            try:
                self._store.mark_waiting(meeting, now, came_at)
            except Changed as changed:
                meeting = changed.meeting
            else:
                return Settled.WAITING
        return self.at_meeting(meeting, now, only=replace(receipt, number_hash=rhash))

    def at_meeting(
        self, meeting: Meeting, now: float, *, linked_by: str = "call_id", only: Receipt | None = None
    ) -> Settled:
        """Applies the receipts of a call id whose message is known: the first one settles, the others are kept beside.

        One for another number than the message's is kept where it is, and not applied. ``only`` names the one that came
        just now, where the others are known to be there. Raises AwsUnavailable.
        """
        if meeting.message is None:
            return Settled.WAITING
        fitting = meeting.fitting
        if not fitting or (only and not meeting.fits(only)):
            log.warning(
                "a receipt's number is not its message's",
                extra={"message_id": meeting.message, "vendor": meeting.vendor, "call_id": meeting.call_id},
            )
            return Settled.MISMATCH
        settled = self.of_message(meeting.message, fitting[0], linked_by, now)
        for other in [only] if only else fitting[1:]:
            if other != fitting[0]:
                settled = self.of_message(meeting.message, other, linked_by, now)
        return settled

    def _beside(self, message_id: str, message: Message | None, receipt: Receipt) -> Settled:
        if message is None:
            if self._dead_letters is None:
                raise AwsUnavailable("a message vanished while it was being sent")
            self._dead_letters.keep("no such message", {"message_id": message_id, "receipt": receipt_text(receipt)})
            return Settled.GONE
        if receipt_text(receipt) in message.receipts:
            return Settled.DUPLICATE
        try:
            self._store.keep_later(message_id, receipt)
        except Changed:
            log.warning("no room for another receipt", extra={"message_id": message_id})
        return Settled.LATER

    # Outcomes.

    def outcome(self, message: Message, state: State, changes: dict[str, Any]) -> Message:
        """Writes an outcome under the protocol's conditions; returns what is there then. Raises AwsUnavailable."""
        try:
            return self._store.outcome(message.message_id, message.attempt or "", state, changes)
        except Changed as changed:
            if changed.message is None:
                log.error("a message vanished while it was being sent", extra={"message_id": message.message_id})
                return message
            return changed.message

    def give_up(self, seen: Message, now: float) -> Message:
        """Whoever held the lease died, perhaps after the vendor took the call. Raises Changed, AwsUnavailable."""
        why = "the function ended while it was calling; nobody can say whether the phone was rung"
        fault = Fault(Code.OUTCOME_UNKNOWN, why, seen.vendor)
        return self._store.give_up(seen, {"error": fault.as_dict(), "look_at": seen.called_at, "updated_at": now})

    def meet(self, message: Message, vendor: str, call_id: str, now: float) -> Message | None:
        """Links a call id to its message, and applies a receipt that was quicker: then the message as it is now.

        None where no receipt was there, so that the outcome is still to be written. Raises AwsUnavailable.
        """
        try:
            meeting = self._store.link(vendor, call_id, message)
            if not meeting.fitting:
                return None
            self.at_meeting(meeting, now)
            return self._store.message(message.message_id)
        except Changed:
            log.error("a call id is another message's already", extra={"message_id": message.message_id})
        return None
