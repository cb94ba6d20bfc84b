"""Deferred messages: those whose time has come are sent, those whose time is over expire.

They wait for an opening, for the next ring of their sequence, or, as nobody could take them, for a retry.
"""

from collections.abc import Callable
from functools import partial

from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.message import Message, State
from voice_gateway.model.moving_on import out_of_time
from voice_gateway.platform.observability import Invocation
from voice_gateway.storage.messages import Messages
from voice_gateway.sweeping.common import ASK_AGAIN, CLOCKS_APART, Handover, each

_LATEST_RETRY = 1000.0
"""Seconds: no retry is further ahead. Earlier versions left it to others, and looked again when the message expired."""
_MONTHS = 100 * 86400.0


class Due:
    """Sends and expires."""

    def __init__(self, messages: Messages, handover: Handover, clock: Callable[[], float]) -> None:
        self._messages = messages
        self._handover = handover
        self._clock = clock

    def send(self, invocation: Invocation) -> None:
        """What was kept until its time."""
        now = self._clock()
        each(self._messages.in_state(State.DUE, now - CLOCKS_APART), partial(self._hand_over, "Due", now), invocation)

    def retry(self, invocation: Invocation) -> None:
        """What nobody could take before."""
        now = self._clock()
        retry = partial(self._hand_over, "Retried", now)
        each(self._messages.in_state(State.RELEASED, now), retry, invocation)
        earlier = self._messages.in_state(State.RELEASED, now + _MONTHS, since=now + _LATEST_RETRY)
        each(earlier, retry, invocation)

    def _hand_over(self, metric: str, now: float, seen: Message) -> str:
        if seen.expires_at is not None and seen.expires_at <= now:
            return self._expire(seen)
        self._handover.hand_over(seen, {"look_at": now + ASK_AGAIN})
        return metric

    def _expire(self, seen: Message) -> str:
        """Ends a message whose time is over before a ring could bring it to an end."""
        last = f"; last: {seen.error['message']}" if seen.error else ""
        fault = Fault(Code.EXPIRED, f"expires_at passed before the phone could be rung{last}", seen.vendor)
        self._messages.take_over(seen, out_of_time(seen, fault, self._clock()))
        return "Expired"
