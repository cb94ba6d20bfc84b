"""Calls that were cut off: their sender's lease is over, and whether the phone was rung is not known."""

from collections.abc import Callable

from voice_gateway.model.message import Message, State
from voice_gateway.platform.observability import Invocation, Record, log
from voice_gateway.storage.messages import Messages
from voice_gateway.sweeping.common import SideBySide


class Stale:
    """Makes them ``unknown``."""

    def __init__(self, messages: Messages, side_by_side: SideBySide, clock: Callable[[], float]) -> None:
        self._messages = messages
        self._side_by_side = side_by_side
        self._clock = clock

    def give_up(self, invocation: Invocation) -> None:
        now = self._clock()

        def look(seen: Message, record: Record) -> None:
            self._messages.give_up(seen, now)
            log.warning("a call was cut off", extra={"message_id": seen.message_id, "vendor": seen.vendor})
            record.count("OutcomeUnknown")

        self._side_by_side.each(self._messages.in_state(State.CALLING, now), look, invocation)
