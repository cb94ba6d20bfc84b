"""How fast a vendor's credit is used up, and for how many days it lasts, from what the checks of two weeks found.

The readings are kept as one text, oldest first, a reading an hour: ``<epoch seconds>:<what was left>``, with a space
between two. So whoever reads the item for something else has one value to read, of 6 kB at the most.
"""

from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import NamedTuple

_HOUR, DAY = 3600, 86400
_KEPT = 14 * DAY
_LOOKED_AT = 7 * DAY
"""Seconds of readings that make the pace: a whole week, for weekends differ from other days."""


class Reading(NamedTuple):
    """What was left at a moment (epoch seconds)."""

    at: int
    remaining: Decimal


class Forecast(NamedTuple):
    """What a day uses up, in the vendor's unit, and for how many days the credit lasts. None: it cannot be said yet."""

    per_day: Decimal | None = None
    days_left: Decimal | None = None


def kept(text: str | None, now: float) -> list[Reading]:
    """The readings of the last 14 days, oldest first. What is no reading is left out; None is an item without any."""
    readings = []
    for part in (text or "").split():
        at, _, remaining = part.partition(":")
        with suppress(ValueError, InvalidOperation):
            reading = Reading(int(at), Decimal(remaining))
            if reading.remaining.is_finite() and reading.at >= now - _KEPT:
                readings.append(reading)
    return readings


def with_present(earlier: Sequence[Reading], present: Reading) -> str:
    """The text to keep: the present reading is added if it is the first of its hour."""
    new = not earlier or present.at // _HOUR > earlier[-1].at // _HOUR
    return " ".join(f"{at}:{plain_number(remaining)}" for at, remaining in [*earlier, *([present] if new else [])])


def forecast(earlier: Sequence[Reading], present: Reading) -> Forecast:
    """What can be said at the present reading: nothing before there are 24 hours of readings.

    Where nothing is used up, or as good as nothing, the pace is 0, and there is no number of days.
    """
    per_day = _per_day([*earlier, present])
    if per_day is None:
        return Forecast()
    if pace_text(per_day) == "0":
        return Forecast(Decimal(0))
    return Forecast(per_day, max(present.remaining, Decimal(0)) / per_day)


def _per_day(readings: Sequence[Reading]) -> Decimal | None:
    """The burn of a day in the last seven days; of the interval at their edge, the part that is inside.

    An interval in which the credit rose had a top-up, which hides what was used meanwhile: it counts neither as burn
    nor as time. One across checks that failed counts like any other.
    """
    now = readings[-1].at
    if now - readings[0].at < DAY:
        return None
    burn, seconds = Decimal(0), 0
    for before, after in pairwise(readings):
        inside = after.at - max(before.at, now - _LOOKED_AT)
        if inside > 0 and after.remaining <= before.remaining:
            burn += (before.remaining - after.remaining) * inside / (after.at - before.at)
            seconds += inside
    return burn * DAY / seconds if seconds else None


def pace_text(per_day: Decimal) -> str:
    """A pace as it is told: at most two decimals, and whole from 100 on."""
    return plain_number(Decimal(f"{per_day:.0f}" if per_day >= 100 else f"{per_day:.2f}"))


def days_text(days: Decimal) -> str:
    """A number of days as it is told: one decimal, two below a day, and never more than there is."""
    parts = 10 if days >= 1 else 100
    return plain_number(Decimal(int(days * parts)) / parts)


def plain_number(number: Decimal) -> str:
    """Without an exponent and without the zeros that a multiplication adds: 120, not 1.2E+2 or 120.00."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
