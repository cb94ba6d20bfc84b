"""What becomes of a receipt: it settles its message, is kept beside the one that did, or waits for a message.

Used by the callbacks, by the sender (a receipt may be quicker than the vendor's reply) and by the sweep (which applies
what the other two could not write). The first receipt stands.
"""

from enum import StrEnum

from voice_gateway.model.errors import AwsUnavailable
from voice_gateway.model.message import FINAL, Message, State
from voice_gateway.model.moving_on import after_receipt, at_ring
from voice_gateway.model.receipt import Receipt
from voice_gateway.platform.observability import log
from voice_gateway.storage.call_ids import CallId, CallIdChanged, CallIds
from voice_gateway.storage.dead_letters import DeadLetters
from voice_gateway.storage.messages import MessageChanged, Messages


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
    """Applies receipts. The sender needs no ``dead_letters``. Every method raises AwsUnavailable."""

    def __init__(self, messages: Messages, call_ids: CallIds, dead_letters: DeadLetters | None = None) -> None:
        self._messages = messages
        self._call_ids = call_ids
        self._dead_letters = dead_letters

    def of_message(
        self, message_id: str, receipt: Receipt, linked_by: str, now: float, attempt: str | None = None
    ) -> Settled:
        """A receipt whose message is known, for the call of that ``attempt``."""
        try:
            self._messages.settle(message_id, receipt, linked_by, now)
        except MessageChanged as changed:
            seen = changed.message
            if seen is None or (seen.sequence is None and seen.first_attempt is None):
                return self._beside(message_id, seen, receipt)
            return self._as_it_is(seen, receipt, attempt, linked_by, now)
        return Settled.SETTLED

    def _as_it_is(self, seen: Message, receipt: Receipt, attempt: str | None, linked_by: str, now: float) -> Settled:
        """What it means depends on the message, which is looked at again if it changed meanwhile."""
        for _ in range(_TRIES):
            if seen.state in FINAL or receipt.text in seen.receipts:
                break
            moved = after_receipt(seen, receipt, attempt, linked_by, now)
            if moved is None:
                break
            try:
                self._messages.advance(seen, moved, receipt)
            except MessageChanged as changed:
                if changed.message is None:
                    return self._beside(seen.message_id, None, receipt)
                seen = changed.message
            else:
                return Settled.SETTLED if seen.state is not moved.state else Settled.LATER
        else:
            raise AwsUnavailable("the message is being changed by others")
        return self._beside(seen.message_id, seen, receipt)

    def of_call_id(self, receipt: Receipt, ttl: int, now: float, came_at: float) -> Settled:
        """A receipt that names its call id: written there first, then applied, or marked as waiting.

        It has waited since ``came_at``, even if it lay in the outbox meanwhile.
        """
        call = self._call_ids.record_receipt(receipt, ttl)
        if call.message is None and receipt.message_id:
            call = self._linked_by_own_id(call, receipt, receipt.message_id)
        if call.message is None:
            try:
                self._call_ids.mark_waiting(call, now, came_at)
            except CallIdChanged as changed:
                call = changed.call_id
            else:
                return Settled.WAITING
        return self.apply(call, now, only=receipt)

    def apply(self, call: CallId, now: float, *, linked_by: str = "call_id", only: Receipt | None = None) -> Settled:
        """Applies the receipts of a call id whose message is known: the first settles it, the others are kept beside.

        One for another number than the message's stays at the call id, and is not applied. ``only`` is the receipt that
        came just now, if the others were applied before.
        """
        if call.message is None:
            return Settled.WAITING
        fitting = call.fitting
        if not fitting or (only and not call.fits(only)):
            if only is None:  # a callback's own line says it
                log.warning(
                    "a receipt's number is not its message's",
                    extra={"message_id": call.message, "vendor": call.vendor, "call_id": call.call_id},
                )
            return Settled.MISMATCH
        settled = self.of_message(call.message, fitting[0], linked_by, now, call.attempt)
        for other in [only] if only else fitting[1:]:
            if other != fitting[0]:
                settled = self.of_message(call.message, other, linked_by, now, call.attempt)
        return settled

    def link(self, message: Message, vendor: str, call_id: str, now: float) -> Message | None:
        """Links a call id to its message. If a receipt was quicker, applies it, and returns the message as it is then.

        None if no receipt was there: then the call's outcome is still to be written.
        """
        try:
            call = self._call_ids.link(vendor, call_id, message)
        except CallIdChanged:
            log.error("a call id is another message's already", extra={"message_id": message.message_id})
            return None
        if not call.fitting:
            return None
        self.apply(call, now)
        return self._messages.get(message.message_id)

    def _linked_by_own_id(self, call: CallId, receipt: Receipt, message_id: str) -> CallId:
        """Links by the message id that the vendor echoed, if it rang that message, in this ring or another."""
        message = self._messages.get(message_id)
        views = [message, *(at_ring(message, ring) for ring in reversed(message.past))] if message else []
        message = next((view for view in views if _may_belong(call, receipt, view)), None)
        if message is None:
            # Without the id: it is the vendor's text, and may be a number.
            log.warning(
                "a receipt echoes an id that is not its message's",
                extra={"vendor": receipt.vendor, "call_id": call.call_id},
            )
            return call
        try:
            return self._call_ids.link(receipt.vendor, call.call_id, message)
        except CallIdChanged as changed:
            return changed.call_id

    def _beside(self, message_id: str, message: Message | None, receipt: Receipt) -> Settled:
        if message is None:
            if self._dead_letters is None:
                raise AwsUnavailable("a message vanished while it was being sent")
            self._dead_letters.keep("no such message", {"message_id": message_id, "receipt": receipt.text})
            return Settled.GONE
        if receipt.text in message.receipts:
            return Settled.DUPLICATE
        try:
            self._messages.keep_later(message_id, receipt, len(message.past))
        except MessageChanged:
            log.warning("no room for another receipt", extra={"message_id": message_id})
        return Settled.LATER


_TRIES = 8
"""How often a receipt is tried on a message that others change at the same time."""
_RANG = frozenset({State.CALLING, State.UNKNOWN, State.ACCEPTED, State.DELIVERED, State.FAILED})


def _may_belong(call: CallId, receipt: Receipt, message: Message) -> bool:
    """Whether that vendor may have rung the message, at that call id, with that number as far as it is known."""
    return (
        message.state in _RANG
        and receipt.vendor in {message.vendor, message.earlier_vendor}
        and (message.call_id in {None, call.call_id} or message.redials > 0)
        and receipt.number_hash in {None, message.number_hash}
    )
