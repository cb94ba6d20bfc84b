"""Calls of which it is not known whether the vendor took them: the next number's turn comes, or a redial's.

The next number is rung where nothing was heard for too long (docs/using.md, Until somebody knows). A redial is what the
caller asked for by ``on_unknown: redial_once``. Both wait while a receipt waits that might be this call's. What became
of the ring before may still be told by its receipt.
"""

from collections.abc import Callable

from voice_gateway.model.message import Message, State
from voice_gateway.model.moving_on import after_ring, escalates_at
from voice_gateway.platform.observability import Invocation, Record, log
from voice_gateway.platform.settings import Settings
from voice_gateway.storage.lanes import Lanes
from voice_gateway.storage.messages import Messages
from voice_gateway.sweeping.common import ASK_AGAIN, CLOCKS_APART, SideBySide
from voice_gateway.sweeping.waiting_receipts import WaitingReceipts


class Unknown:
    """Makes them due for the next ring, or hands them over for a redial."""

    def __init__(
        self,
        settings: Settings,
        messages: Messages,
        waiting: WaitingReceipts,
        lanes: Lanes,
        side_by_side: SideBySide,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._messages = messages
        self._waiting = waiting
        self._lanes = lanes
        self._side_by_side = side_by_side
        self._clock = clock

    def look(self, invocation: Invocation) -> None:
        self._side_by_side.each(self._messages.in_state(State.UNKNOWN, self._clock()), self._look, invocation)

    def _look(self, seen: Message, record: Record) -> None:
        now = self._clock()
        redial_at = self._redial_at(seen, now)
        if is_due(seen, now):
            if not self._waiting.may_be_of(seen, now, linked_soon=True):
                next_number(self._messages, seen, now, record)
        elif redial_at is not None and redial_at <= now:
            if not self._waiting.may_be_of(seen, now):
                marked = self._messages.touch(seen, {"asked": int(now), "look_at": now + ASK_AGAIN})
                self._lanes.hand_over([marked])
                record.count("Redialled")
        else:
            times = [at for at in (escalates_at(seen), redial_at) if at is not None]
            self._messages.touch(seen, {"look_at": min(times, default=None)})

    def _redial_at(self, seen: Message, now: float) -> float | None:
        """When it is to be rung once more; None if it is not."""
        wanted = seen.on_unknown == "redial_once" and seen.redials == 0 and not seen.no_more
        if not wanted or (seen.expires_at is not None and seen.expires_at <= now):
            return None
        first = seen.updated_at + self._settings.redial_after_seconds + CLOCKS_APART
        return max(first, seen.asked + ASK_AGAIN) if seen.asked else first


def is_due(seen: Message, now: float) -> bool:
    at = escalates_at(seen)
    return at is not None and at <= now


def next_number(messages: Messages, seen: Message, now: float, record: Record) -> None:
    """Leaves the ring behind as it stands. Raises MessageChanged, AwsUnavailable."""
    moved = after_ring(seen, now)
    if moved.state is not State.DUE:  # its time ran out meanwhile
        messages.advance(seen, seen.but(no_more=True, look_at=None, updated_at=now))
        return
    messages.advance(seen, moved)
    log.info("escalated", extra={"message_id": seen.message_id, "ring": seen.ring, "vendor": seen.vendor})
    record.count("Escalated")
