"""The rules for the values of a request, one function each: it gives the value as it is kept, or raises ValueError.

The error's text is the rule; whoever calls puts the field's name before it (docs/using.md).
"""

import datetime
import re
from typing import Any

from voice_gateway import vendors
from voice_gateway.model import mobile
from voice_gateway.model.hours import Window, read_window
from voice_gateway.model.request import MESSAGE_ID_RULE, valid_message_id
from voice_gateway.model.text import spoken

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:[0-5]\d)", re.ASCII)
_LONGEST_NOTIFY_DATA = 1024
_REDIAL_AFTER = (60, 86400)


def encodable(value: Any) -> str:
    """A string that UTF-8 can encode: JSON lets half a surrogate pair through, which cannot be sent to any vendor."""
    if not isinstance(value, str):
        raise ValueError("must be a string")
    if not writable(value):
        raise ValueError("must be a text that UTF-8 can write")
    return value


def writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def text(value: Any) -> str:
    if not encodable(value).strip():
        raise ValueError("must not be blank")
    return str(value)


def spoken_text(value: Any) -> str:
    return spoken(text(value))


def mobile_rule(value: Any) -> str:
    """Why a value is no number; nothing of the number itself but a character that cannot be in one."""
    if value is None:
        return "is required"
    rule = "must be a mainland mobile, 1[3-9] and 9 digits, as a string or an integer"
    odd = mobile.in_the_way(value) if isinstance(value, str) else None
    return f"{rule}; {odd} is in the way" if odd else rule


def shown(name: str) -> str:
    """A name that the caller chose, as a fault shows it: a number in it is masked before it is cut."""
    return mobile.masked(name)[:64]


def message_id(value: Any) -> str:
    if valid_message_id(value) is None:
        raise ValueError(f"must be {MESSAGE_ID_RULE}")
    return str(value)


def vendor(value: Any) -> str:
    if value not in vendors.names():
        raise ValueError(f"must be one of {', '.join(vendors.names())}")
    return str(value)


def whole(least: int, most: int, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"must be a whole number from {least} to {most}")
    return value


def redial_after(times: int | None, value: Any) -> int | tuple[int, ...]:
    if not isinstance(value, list):
        return whole(*_REDIAL_AFTER, value)
    if times is not None and len(value) != times:
        raise ValueError(f"a list must hold one value for each of the {times} times")
    return tuple(whole(*_REDIAL_AFTER, each) for each in value)


def reasons(value: Any) -> tuple[str, ...]:
    known = vendors.reasons()
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list of reasons")
    if any(not isinstance(reason, str) or reason not in known for reason in value):
        raise ValueError(f"must be among {', '.join(sorted(known))}")
    return tuple(sorted(set(value)))


def hours(value: Any) -> tuple[str, Window]:
    found = read_window(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be HH:MM-HH:MM, China time; it may pass midnight")
    return str(value), found


def notify_data(value: Any) -> str:
    if len(encodable(value).encode()) > _LONGEST_NOTIFY_DATA:
        raise ValueError(f"must be at most {_LONGEST_NOTIFY_DATA} bytes in UTF-8")
    return str(value)


def valid_notify_data(value: Any) -> str | None:
    try:
        return notify_data(value)
    except ValueError:
        return None


def on_unknown(value: Any) -> str:
    if value not in ("stop", "redial_once"):
        raise ValueError("must be stop or redial_once")
    return str(value)


def priority(value: Any) -> str:
    if value not in ("urgent", "bulk"):
        raise ValueError("must be urgent or bulk")
    return str(value)


def moment(value: Any) -> datetime.datetime:
    rule = "must be a moment as RFC 3339 has it, with an offset"
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError(rule)
    try:
        return datetime.datetime.fromisoformat(value.upper()).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        raise ValueError(rule) from None


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value
