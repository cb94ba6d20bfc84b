"""The pace at a vendor, ``PACE#<vendor>#<part>``: how many calls are begun a second, by all functions together.

The item's ``free_at`` is the moment of the next slot that nobody has. Who takes it moves it on by one step, in one
conditional write, and begins the call at that moment. A slot that is taken and not used is lost, and nothing else.
"""

import math
import random
from typing import NamedTuple

from voice_gateway.storage.table import SCHEMA, Change, ConditionFailed, Table

_A_PART = 100
"""Calls a second of one item: a quicker pace is shared by several, for DynamoDB takes 1,000 writes a second on one."""
_TRIES = 6


class Slot(NamedTuple):
    """``at`` is the slot's moment, epoch seconds. If it is not ``taken``, it is too far ahead."""

    at: float
    taken: bool


class Pace:
    """Gives out slots. It remembers what it saw last, so that most slots cost one request."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._seen: dict[str, float] = {}

    def take(self, vendor: str, per_second: int, now: float, latest: float) -> Slot:
        """The next slot, if it is not after ``latest``. Raises AwsUnavailable."""
        parts = math.ceil(per_second / _A_PART)
        pk = f"PACE#{vendor}#{random.randrange(parts)}"  # noqa: S311 -- which of the parts is no secret
        step = math.ceil(1000 * parts / per_second) / 1000
        # What was taken a second ago has others in front of it by now.
        seen = self._seen.get(pk, 0.0)
        free_at = max(now, seen) if seen > now - 1 else 0.0
        for _ in range(_TRIES):
            if free_at > latest:
                return Slot(free_at, taken=False)
            try:
                free_at = self._free_now(pk, now, step) if free_at < now else self._in_turn(pk, now, latest, step)
            except ConditionFailed as failed:
                free_at = (failed.old or {}).get("free_at", 0.0)
            else:
                self._seen[pk] = free_at
                return Slot(free_at - step, taken=True)
        return Slot(latest, taken=False)

    def _free_now(self, pk: str, now: float, step: float) -> float:
        """Nobody waits: the slot is now."""
        change = Change({"free_at": now + step, "v": SCHEMA})
        free = "attribute_not_exists(#free_at) OR #free_at < :now"
        return float(self._table.update(pk, change, free, now=now)["free_at"])

    def _in_turn(self, pk: str, now: float, latest: float, step: float) -> float:
        """The slot after the last that was taken."""
        change = Change({"v": SCHEMA}, shifts=("#free_at = #free_at + :step",))
        ahead = "#free_at >= :now AND #free_at <= :latest"
        return float(self._table.update(pk, change, ahead, now=now, latest=latest, step=step)["free_at"])
