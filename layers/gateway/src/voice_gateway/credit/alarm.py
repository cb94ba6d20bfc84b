"""The message to the alarm topic about a vendor's credit: JSON, with a sentence that a person can act on."""

from typing import Any

from voice_gateway.credit.state import FAILURES_TO_UNKNOWN, Check, plain_number
from voice_gateway.model.faults import Fault
from voice_gateway.model.result import rfc3339
from voice_gateway.storage.credit import CreditState


def content(stack: str, check: Check, state: CreditState) -> dict[str, Any]:
    """The message (docs/runbooks.md, Low credit)."""
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
        "checked_at": rfc3339(state["checked_at"]),
        "text": _text(stack, check, state),
    }


def attributes(content: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The message attributes by which subscribers filter."""
    return {name: {"DataType": "String", "StringValue": content[name]} for name in ("kind", "vendor", "state")}


def _text(stack: str, check: Check, state: CreditState) -> str:
    name, unit = check.vendor.name, check.vendor.unit
    left = f"{state.get('remaining')} {unit}"
    match state["state"]:
        case "low":
            return (
                f"{stack}: the credit at {name} is low, {left} left and the alarm is at "
                f"{plain_number(check.threshold)}. "
                f"Top the account up in the vendor's console; calls fail with insufficient_credit once it is used up."
            )
        case "ok":
            again = "known again, and sufficient" if state["announced"] == "unknown" else "sufficient again"
            return f"{stack}: the credit at {name} is {again}, {left} left."
    why = _why(check.fault)
    return (
        f"{stack}: the credit at {name} is not known, {FAILURES_TO_UNKNOWN} checks in a row failed ({why}). "
        f"Look at the vendor's console, and at the credentials in the secret."
    )


def _why(fault: Fault | None) -> str:
    """Includes the vendor's own code and text: its support asks for them."""
    if fault is None:
        return "the vendor did not answer"
    vendors_words = " ".join(part for part in (fault.vendor_code, fault.vendor_message) if part)
    return f"{fault.message}; it said {vendors_words}" if vendors_words else fault.message
