"""Rings without a final result for too long: the next number is rung (docs/using.md, Until somebody knows)."""

from collections.abc import Callable

from voice_gateway.model.message import Message, State
from voice_gateway.model.moving_on import after_ring, escalates_at
from voice_gateway.platform.observability import Invocation, log
from voice_gateway.storage.call_ids import CallId
from voice_gateway.storage.messages import Messages
from voice_gateway.sweeping.common import INTERVAL, each
from voice_gateway.sweeping.waiting_receipts import OLDEST, PATIENCE, WaitingReceipts, could_be


class Escalate:
    """Makes them due for the next ring. What became of the ring before may still be told by its receipt."""

    def __init__(self, messages: Messages, waiting: WaitingReceipts, clock: Callable[[], float]) -> None:
        self._messages = messages
        self._waiting = waiting
        self._clock = clock

    def escalate(self, invocation: Invocation) -> None:
        """Calls of which it is not known whether the vendor took them. Those that it took: see ``unanswered``."""
        now = self._clock()
        unknown = self._messages.in_state(State.UNKNOWN, now, since=now - OLDEST)
        wanted = [seen for seen in unknown if is_due(seen, now)]
        waiting = [call for call in self._waiting.waiting(now) if _linked_soon(call, now)] if wanted else []

        def look(seen: Message) -> str | None:
            if any(could_be(call, seen) for call in waiting):
                return None
            return next_number(self._messages, seen, now)

        each(wanted, look, invocation)


def is_due(seen: Message, now: float) -> bool:
    at = escalates_at(seen)
    return at is not None and at <= now


def next_number(messages: Messages, seen: Message, now: float) -> str | None:
    """Leaves the ring behind as it stands. Raises MessageChanged, AwsUnavailable."""
    moved = after_ring(seen, now)
    if moved.state is not State.DUE:  # its time ran out meanwhile
        messages.advance(seen, seen.but(no_more=True, updated_at=now))
        return None
    messages.advance(seen, moved)
    log.info("escalated", extra={"message_id": seen.message_id, "ring": seen.ring, "vendor": seen.vendor})
    return "Escalated"


def _linked_soon(call: CallId, now: float) -> bool:
    """Whether a waiting receipt may yet be linked by its number: what is still open after that stays so."""
    return call.marked > now - PATIENCE - INTERVAL
