"""When the call may begin: waits for its vendor's next slot, if the deployment sets a pace (docs/scale.md).

A slot is taken before the claim: one that is lost with its function costs a slot, not a ring. What is bulk takes only
slots of the next second, so that what is urgent always finds one within two.
"""

import random
import time
from collections.abc import Callable

from voice_gateway.platform.settings import Settings
from voice_gateway.storage.pace import Pace

_LONGEST_WAIT = 2.0
"""Seconds that a function waits for a slot, at the most."""
_BULK_AHEAD = 1.0


class Pacing:
    """Waits for slots. One for each process."""

    def __init__(
        self, settings: Settings, pace: Pace, clock: Callable[[], float], wait: Callable[[float], None] = time.sleep
    ) -> None:
        self._settings = settings
        self._pace = pace
        self._clock = clock
        self._wait = wait

    def wait_for_slot(self, vendor: str, *, bulk: bool) -> float | None:
        """Returns None when the call may begin; or for how many seconds there is no slot. Raises AwsUnavailable."""
        per_second = self._settings.per_second(vendor)
        if per_second == 0:
            return None
        ahead = _BULK_AHEAD if bulk else _LONGEST_WAIT
        until = self._clock() + _LONGEST_WAIT
        while True:
            now = self._clock()
            slot = self._pace.take(vendor, per_second, now, min(now + ahead, until))
            if slot.taken:
                self._wait(max(0.0, slot.at - self._clock()))
                return None
            # Not all of those who wait at the same moment.
            again = slot.at - ahead + random.uniform(0, 2 / per_second)  # noqa: S311
            if again <= now or again >= until:
                return slot.at - now
            self._wait(again - now)
