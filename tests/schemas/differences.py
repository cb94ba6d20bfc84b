"""What a schema cannot say of a request: each difference from the gateway by its name, which schemas/README.md has too.

The predicates are for requests that the schema takes, so that every type is right.
"""

import datetime
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

from tests.schemas.held import NOW, takes

_MOMENTS = ("not_before", "expires_at")
_DIGITS = re.compile("[^0-9０-９]")
LATEST_START = 30 * 86400


def a_number_with_a_fraction(raw: dict[str, Any]) -> bool:
    return any(isinstance(value, float) for value in every(raw))


def a_half_character(raw: dict[str, Any]) -> bool:
    return any(isinstance(value, str) and _half(value) for value in every(raw))


def too_many_bytes_of_notify_data(raw: dict[str, Any]) -> bool:
    return len(raw.get("notify_data", "").encode("utf-8", "surrogatepass")) > 1024


def too_many_bytes_in_all(raw: dict[str, Any]) -> bool:
    """About: the gateway counts the request as it keeps it."""
    return "content" not in raw and len(json.dumps(raw, ensure_ascii=False).encode("utf-8", "replace")) > 65536


def the_same_number_twice(raw: dict[str, Any]) -> bool:
    numbers = [digits(value) for value in [raw["mobile"], *raw.get("escalate_to", [])]]
    return len(set(numbers)) < len(numbers)


def no_hours_at_all(raw: dict[str, Any]) -> bool:
    opens, _, closes = raw.get("hours", "-.").partition("-")
    return bool(opens == closes)


def a_start_after_the_end(raw: dict[str, Any]) -> bool:
    start, end = (moment(raw.get(name)) for name in _MOMENTS)
    return start is not None and end is not None and start >= end


def a_start_too_far_ahead(raw: dict[str, Any]) -> bool:
    start = moment(raw.get("not_before"))
    return start is not None and start.timestamp() > NOW + LATEST_START


def a_year_that_is_none_in_utc(raw: dict[str, Any]) -> bool:
    return any(name in raw and moment(raw[name]) is None for name in _MOMENTS)


REFUSED: dict[str, Callable[[dict[str, Any]], bool]] = {
    "a number with a fraction of zero": a_number_with_a_fraction,
    "half a character": a_half_character,
    "notify_data over 1,024 bytes": too_many_bytes_of_notify_data,
    "a request over 65,536 bytes": too_many_bytes_in_all,
    "the same number twice": the_same_number_twice,
    "two equal times in hours": no_hours_at_all,
    "not_before not before expires_at": a_start_after_the_end,
    "not_before over 30 days ahead": a_start_too_far_ahead,
    "a moment outside the years 1 to 9999 in UTC": a_year_that_is_none_in_utc,
}
"""The schema takes it, and the gateway refuses it."""


def expected(raw: Any) -> bool:
    """Whether the gateway is to take a request, by the schema and the list of differences."""
    return takes("request", raw) and not any(differs(raw) for differs in REFUSED.values())


def every(value: Any) -> Iterator[Any]:
    """The value and all that is in it, names of an object too."""
    yield value
    for part in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from every(part)


def digits(value: Any) -> str:
    """The last 11 digits of a number."""
    return unicodedata.normalize("NFKC", _DIGITS.sub("", str(int(value) if isinstance(value, float) else value)))[-11:]


def moment(text: str | None) -> datetime.datetime | None:
    """A moment in UTC; None if there is none."""
    if text is None:
        return None
    try:
        return datetime.datetime.fromisoformat(text.upper()).astimezone(datetime.UTC)
    except OverflowError:
        return None


def _half(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)
