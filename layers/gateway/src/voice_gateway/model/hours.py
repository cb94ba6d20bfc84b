"""The hours of a day in which calls are placed, China Standard Time."""

import datetime
from dataclasses import dataclass

CHINA = datetime.timezone(datetime.timedelta(hours=8), "UTC+8")
"""China Standard Time: the vendors' hours and times of day; it has no daylight saving."""

CLOSING_MARGIN = datetime.timedelta(seconds=60)
"""No call begins in the last minute of a window: the vendor's clock is not ours."""


@dataclass(frozen=True)
class Window:
    """From ``opens`` to ``closes``, both counted from midnight in China."""

    opens: datetime.timedelta
    closes: datetime.timedelta

    @property
    def always(self) -> bool:
        return self.closes - self.opens >= datetime.timedelta(days=1)


def next_opening(hours: Window, now: float) -> float | None:
    """When the window opens next, epoch seconds; None while it is open."""
    if hours.always:
        return None
    moment = datetime.datetime.fromtimestamp(now, CHINA)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if midnight + hours.opens <= moment < midnight + hours.closes - CLOSING_MARGIN:
        return None
    opens = midnight + hours.opens
    if opens <= moment:
        opens += datetime.timedelta(days=1)
    return opens.timestamp()
