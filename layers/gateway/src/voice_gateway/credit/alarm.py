"""The message to the alarm topic about a vendor's credit: JSON, with a sentence that a person can act on."""

import datetime
from decimal import Decimal
from typing import Any

from voice_gateway.credit.forecast import DAY, plain_number
from voice_gateway.credit.state import FAILURES_TO_UNKNOWN, Check
from voice_gateway.model.faults import Fault
from voice_gateway.model.hours import CHINA
from voice_gateway.model.result import rfc3339
from voice_gateway.storage.credit import CreditState

# English whatever the machine's language is.
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_FAR_OFF = 365
"""Days from which on no date is named."""


def content(stack: str, check: Check, state: CreditState) -> dict[str, Any]:
    """The message (docs/runbooks/low-credit.md)."""
    return {
        "kind": "credit",
        "stack": stack,
        "vendor": check.vendor.name,
        "state": state["state"],
        "previous": state["announced"],
        "remaining": state.get("remaining"),
        "unit": check.vendor.unit,
        "threshold": plain_number(check.threshold),
        "clear_at": plain_number(check.clear_at),
        "per_day": state.get("per_day"),
        "days_left": state.get("days_left"),
        "checked_at": rfc3339(state["checked_at"]),
        "text": f"{stack}: the credit at {check.vendor.name} {_text(check, state)}",
    }


def attributes(content: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The message attributes by which subscribers filter."""
    return {name: {"DataType": "String", "StringValue": content[name]} for name in ("kind", "vendor", "state")}


def _text(check: Check, state: CreditState) -> str:
    left = f"{state.get('remaining')} {check.vendor.unit} left"
    match state["state"]:
        case "low":
            how = {"unknown": "is known again, and low", "empty": "is not used up any more, but low"}
            return (
                f"{how.get(state['announced'], 'is low')}, {left}{_why_low(check, state)}.{_pace(check, state)} "
                f"Top the account up in the vendor's console; calls fail with insufficient_credit once it is used up."
            )
        case "empty":
            return (
                f"is used up, {left}. Calls fail now with insufficient_credit, or go to the other vendor where that "
                f"one can carry them. Top the account up in the vendor's console at once."
            )
        case "ok":
            again = "known again, and sufficient" if state["announced"] == "unknown" else "sufficient again"
            return f"is {again}, {left}.{_pace(check, state)}"
    return (
        f"is not known, {FAILURES_TO_UNKNOWN} checks in a row failed ({_why(check.fault)}). "
        f"Look at the vendor's console, and at the credentials in the secret."
    )


def _why_low(check: Check, state: CreditState) -> str:
    """Which mark it is under: the threshold, the days ahead, or those at which it is sufficient again."""
    remaining, days_left = Decimal(state["remaining"]), state.get("days_left")
    if remaining < check.threshold:
        return f" and the alarm is at {plain_number(check.threshold)}"
    if days_left is not None and Decimal(days_left) < check.days_ahead:
        return f", enough for {_days(Decimal(days_left))}, and the alarm is at {_days(check.days_ahead)}"
    lasting = f" that last for {_days(check.clear_days)}" if check.days_ahead and days_left is not None else ""
    return f"; it counts as sufficient from {plain_number(check.clear_at)} {check.vendor.unit} on{lasting}"


def _days(number: Decimal) -> str:
    return f"{plain_number(number)} day{'' if number == 1 else 's'}"


def _pace(check: Check, state: CreditState) -> str:
    """A sentence about when the credit will be used up, with a space before it; nothing if that is not known."""
    per_day = Decimal(state.get("per_day") or 0)
    if not per_day:
        return ""
    pace = f" At this pace, {state['per_day']} {check.vendor.unit} a day, it"
    days = Decimal(state["remaining"]) / per_day
    if days > _FAR_OFF:
        return f"{pace} lasts for more than a year."
    return f"{pace} is used up on {_moment(state['checked_at'] + float(days) * DAY, state['checked_at'])}."


def _moment(epoch: float, now: float) -> str:
    """``Saturday, 28 November, at about 15:00 China time``; with the year if it is not this one."""
    hour = datetime.datetime.fromtimestamp(round(epoch / 3600) * 3600, CHINA)
    year = "" if hour.year == datetime.datetime.fromtimestamp(now, CHINA).year else f" {hour.year}"
    day = f"{_WEEKDAYS[hour.weekday()]}, {hour.day} {_MONTHS[hour.month - 1]}{year}"
    return f"{day}, at about {hour:%H:%M} China time"


def _why(fault: Fault | None) -> str:
    """Includes the vendor's own code and text: its support asks for them."""
    if fault is None:
        return "the vendor did not answer"
    vendors_words = " ".join(part for part in (fault.vendor_code, fault.vendor_message) if part)
    return f"{fault.message}; it said {vendors_words}" if vendors_words else fault.message
