"""The values of a vendor's fields, as vendors really write them: codes, durations, moments, call ids."""

import datetime
import re

from voice_gateway.model import mobile
from voice_gateway.model.errors import Unreadable
from voice_gateway.model.hours import CHINA
from voice_gateway.vendors.common.decoding import Fields

_WHOLE = re.compile(r"([+-]?[0-9]{1,9})(?:\.0+)?", re.ASCII)
_SECONDS = re.compile(r"\+?([0-9]{1,9})(?:\.[0-9]+)?\s*(?:秒|s|secs?|seconds?)?", re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(r"(?:([0-9]{1,3})[:时時])?([0-9]{1,4})[:分]([0-9]{1,2})秒?", re.ASCII)
_EPOCH = re.compile(r"([0-9]{10})(?:[0-9]{3}|\.[0-9]+)?", re.ASCII)
_DATE = str.maketrans({"/": "-", "年": "-", "月": "-", "日": " "})
_USUAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", re.ASCII)
"""As strptime would read it, in a tenth of the time."""
_DATES = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y%m%d%H%M%S")


def field(fields: Fields, name: str) -> str:
    """A field as stripped text, its name in any case; empty if it is absent or no plain value."""
    value = fields.get(name)
    if value is None:
        value = next((found for given, found in fields.items() if given.lower() == name.lower()), None)
    # JSON lets half a surrogate pair through, which could not be stored or logged.
    return value.strip().encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def vendor_text(fields: Fields, name: str) -> str:
    """A vendor's own text about a number, without the number."""
    return mobile.masked(field(fields, name))[:200]


def code(fields: Fields, name: str) -> str:
    """A field that holds a code: a whole number in its shortest form (``2`` for ``+2`` and ``2.0``), else as it is."""
    value = field(fields, name)
    whole = _WHOLE.fullmatch(value)
    return str(int(whole[1])) if whole else value


def seconds(value: str) -> int | None:
    """A duration, the fraction cut off: ``12``, ``12.0``, ``12秒``, ``00:12``, ``1分12秒``. None if it is none."""
    if found := _SECONDS.fullmatch(value):
        return int(found[1])
    if found := _CLOCK.fullmatch(value):
        hours, minutes, rest = (int(part or 0) for part in found.groups())
        return hours * 3600 + minutes * 60 + rest
    return None


def moment(value: str) -> str | None:
    """A moment as RFC 3339, in China's time unless it says otherwise; None if it is none.

    A date and a time, the date with hyphens, slashes or 年月日, between them a blank or T; or epoch (milli)seconds.
    """
    try:
        if epoch := _EPOCH.fullmatch(value):
            return datetime.datetime.fromtimestamp(int(epoch[1]), CHINA).isoformat()
        found = _dated(" ".join(value.translate(_DATE).split()))
        if found.tzinfo is None:
            found = found.replace(tzinfo=CHINA)
        return found.replace(microsecond=0).isoformat()
    except (ValueError, OverflowError):
        return None


def _dated(text: str) -> datetime.datetime:
    """Raises ValueError."""
    if _USUAL.fullmatch(text):
        return datetime.datetime.fromisoformat(text)
    for form in _DATES:
        try:
            return datetime.datetime.strptime(text, form)  # noqa: DTZ007 -- the caller adds the offset
        except ValueError:
            continue
    if ":" not in text:
        raise ValueError("a date alone is no moment")
    return datetime.datetime.fromisoformat(text)


def call_id(value: str) -> str:
    """A call id that is fit to be a key. Raises Unreadable."""
    if not re.fullmatch(r"[A-Za-z0-9._:\-]{1,64}", value) or value == "0":
        raise Unreadable("no call id")
    return value
