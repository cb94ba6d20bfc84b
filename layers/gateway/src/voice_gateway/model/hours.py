"""The hours of a day in which calls are placed, the vendors' and a callee's own, China Standard Time."""

import datetime
import re
from typing import NamedTuple

CHINA = datetime.timezone(datetime.timedelta(hours=8), "UTC+8")
"""China Standard Time: the vendors' hours and times of day; it has no daylight saving."""

CLOSING_MARGIN = datetime.timedelta(seconds=60)
"""No call begins in the last minute of a vendor's window: its clock is not ours."""
NO_MARGIN = datetime.timedelta(0)
_DAY = datetime.timedelta(days=1)
_TWO_DAYS = 2 * 86400.0
_HOURS = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)", re.ASCII)


class Window(NamedTuple):
    """From ``opens`` to ``closes``, both counted from midnight in China; it passes midnight if it closes first."""

    opens: datetime.timedelta
    closes: datetime.timedelta

    @property
    def length(self) -> datetime.timedelta:
        return self.closes - self.opens if self.opens < self.closes else self.closes - self.opens + _DAY

    @property
    def always(self) -> bool:
        return self.length >= _DAY


def read_window(text: str) -> Window | None:
    """Reads ``HH:MM-HH:MM``; None if it is not that, or would never be open."""
    match = _HOURS.fullmatch(text)
    if match is None:
        return None
    opens, closes = (datetime.timedelta(hours=int(match[at]), minutes=int(match[at + 1])) for at in (1, 3))
    return None if opens == closes or opens >= _DAY or closes > _DAY else Window(opens, closes)


def next_opening(hours: Window, now: float, margin: datetime.timedelta = CLOSING_MARGIN) -> float | None:
    """When the window opens next, epoch seconds; None while it is open. A window may pass midnight."""
    if hours.always:
        return None
    moment = datetime.datetime.fromtimestamp(now, CHINA)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    for opened in (midnight + hours.opens - _DAY, midnight + hours.opens):
        if opened <= moment < opened + hours.length - margin:
            return None
    opens = midnight + hours.opens
    if opens <= moment:
        opens += _DAY
    return opens.timestamp()


def next_common_opening(vendors: Window, callees: Window | None, now: float, until: float) -> float | None:
    """The first moment from ``now`` on, and before ``until``, at which both windows are open; None if there is none."""
    at = now
    while at < until:
        later = next_opening(vendors, at)
        if later is None and callees is not None:
            later = next_opening(callees, at, NO_MARGIN)
        if later is None:
            return at
        if later > now + _TWO_DAYS:  # both come again each day: what has not met by then never does
            return None
        at = later
    return None
