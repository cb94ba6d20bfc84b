"""Deferred messages: those whose time has come are sent, those whose time is over expire."""

from collections.abc import Callable

from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.message import Message, State
from voice_gateway.platform.observability import Invocation
from voice_gateway.storage.messages import Messages
from voice_gateway.sweeping.common import ASK_AGAIN, CLOCKS_APART, Handover, each


class Due:
    """Sends and expires."""

    def __init__(self, messages: Messages, handover: Handover, clock: Callable[[], float]) -> None:
        self._messages = messages
        self._handover = handover
        self._clock = clock

    def send(self, invocation: Invocation) -> None:
        now = self._clock()

        def look(seen: Message) -> str:
            if seen.expires_at is not None and seen.expires_at <= now:
                return self._expire(seen)
            self._handover.hand_over(seen, {"look_at": now + ASK_AGAIN})
            return "Due"

        each(self._messages.in_state(State.DUE, now - CLOCKS_APART), look, invocation)

    def expire_released(self, invocation: Invocation) -> None:
        each(self._messages.in_state(State.RELEASED, self._clock()), self._expire, invocation)

    def _expire(self, seen: Message) -> str:
        """Ends a message that was never rung, and whose time is over."""
        last = f"; last: {seen.error['message']}" if seen.error else ""
        fault = Fault(Code.EXPIRED, f"expires_at passed before the phone could be rung{last}", seen.vendor)
        changes = {
            "state": State.EXPIRED,
            "error": fault.as_dict(),
            "look_at": None,
            "deferred_until": None,
            "request": None,
            "updated_at": self._clock(),
        }
        self._messages.take_over(seen, changes)
        return "Expired"
