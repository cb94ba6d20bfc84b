"""Which vendors have no credit left: they are called last of all, and never left out (docs/using.md, Which vendor)."""

import time
from collections.abc import Callable

from voice_gateway.model.errors import AwsUnavailable
from voice_gateway.platform.observability import log
from voice_gateway.storage.credit import CreditStates

_A_MINUTE = 60.0
"""Seconds for which what was read of a vendor is taken as it is."""


class UsedUp:
    """Vendors whose credit was used up when ``balance_check`` last knew it. One for each process.

    A vendor is looked at when somebody asks after it, at most once a minute. A read that fails changes nothing, and
    counts as a look: credit only puts vendors in order, and must not delay a call again and again.
    """

    def __init__(self, credit: CreditStates, clock: Callable[[], float] = time.time) -> None:
        self._credit = credit
        self._clock = clock
        self._again_at: dict[str, float] = {}
        self._used_up: set[str] = set()

    def __contains__(self, vendor: object) -> bool:
        name = str(vendor)
        if self._clock() >= self._again_at.get(name, 0.0):
            self._look(name)
            self._again_at[name] = self._clock() + _A_MINUTE
        return name in self._used_up

    def _look(self, name: str) -> None:
        try:
            level = self._credit.get(name).get("level")  # the last that was known, also while the state is unknown
        except AwsUnavailable as error:
            log.warning(
                "the credit could not be read, and is taken as it was", extra={"vendor": name, "why": str(error)}
            )
            return
        (self._used_up.add if level == "empty" else self._used_up.discard)(name)
