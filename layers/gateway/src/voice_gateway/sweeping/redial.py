"""Unknown messages whose caller asked for ``redial_once``: handed to ``send`` again after ``RedialAfterSeconds``."""

from collections.abc import Callable

from voice_gateway.model.message import Message, State
from voice_gateway.platform.observability import Invocation
from voice_gateway.platform.settings import Settings
from voice_gateway.storage.messages import Messages
from voice_gateway.sweeping.common import ASK_AGAIN, CLOCKS_APART, Handover, each
from voice_gateway.sweeping.waiting_receipts import OLDEST, WaitingReceipts, could_be


class Redial:
    """Redials, unless a receipt is waiting that might be the first call's."""

    def __init__(
        self,
        settings: Settings,
        messages: Messages,
        waiting: WaitingReceipts,
        handover: Handover,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._messages = messages
        self._waiting = waiting
        self._handover = handover
        self._clock = clock

    def redial(self, invocation: Invocation) -> None:
        now = self._clock()
        wanted = self._wanted(now)
        waiting = self._waiting.waiting(now) if wanted else []

        def look(seen: Message) -> str | None:
            if any(could_be(call, seen) for call in waiting):
                return None
            self._handover.hand_over(seen, {"asked": int(now)})
            return "Redialled"

        each(wanted, look, invocation)

    def _wanted(self, now: float) -> list[Message]:
        before = now - self._settings.redial_after_seconds - CLOCKS_APART
        return [
            seen
            for seen in self._messages.in_state(State.UNKNOWN, before, since=now - OLDEST)
            if seen.on_unknown == "redial_once" and seen.redials == 0 and not seen.no_more
            if seen.updated_at <= before
            if seen.asked <= now - ASK_AGAIN and (seen.expires_at is None or seen.expires_at > now)
        ]
