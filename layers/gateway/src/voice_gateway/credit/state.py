"""The state of a vendor's credit after a check: ``ok``, ``low`` or ``unknown`` (docs/runbooks.md, Low credit)."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from voice_gateway.model.errors import SettingsError
from voice_gateway.model.faults import Fault
from voice_gateway.storage.credit import CreditState
from voice_gateway.vendors.common.base import Vendor

FAILURES_TO_UNKNOWN = 3
"""After this many failed checks in a row the credit is ``unknown``."""


@dataclass(frozen=True)
class Check:
    """What one check found: the credit left, in the vendor's unit, or why it is not known."""

    vendor: Vendor
    threshold: Decimal
    clear_at: Decimal
    remaining: Decimal | None = None
    fault: Fault | None = None


def next_state(seen: CreditState, check: Check, now: float) -> CreditState:
    """The state after a check. A first ``ok`` is silent: it counts as announced."""
    state = seen.get("state")
    level = seen.get("level")
    failures = 0 if check.remaining is not None else seen.get("failures", 0) + 1
    remaining = seen.get("remaining") if check.remaining is None else plain_number(check.remaining)
    if check.remaining is not None:
        level = _level(level, check.remaining, check)
        state = level
    elif failures >= FAILURES_TO_UNKNOWN:
        state = "unknown"
    return {
        "state": state or "unknown",
        # The last known level: a query that fails does not forget that the credit was low.
        "level": level,
        "announced": seen.get("announced", "ok"),
        "failures": failures,
        "remaining": remaining,
        "error": check.fault.as_dict() if check.fault else None,
        "checked_at": now,
    }


def to_be_announced(state: CreditState) -> bool:
    """Whether the alarm topic still has to be told of this state."""
    if state["announced"] == state["state"]:
        return False
    return state["state"] != "unknown" or bool(state["failures"] >= FAILURES_TO_UNKNOWN)


def amount(name: str, text: str) -> Decimal:
    """Reads a threshold from the settings. Raises SettingsError."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0:
        raise SettingsError(name, "must be a number of at least 0")
    return number


def plain_number(number: Decimal) -> str:
    """Without an exponent and without the zeros that a multiplication adds: 120, not 1.2E+2 or 120.00."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _level(level: str | None, remaining: Decimal, check: Check) -> str:
    if remaining < check.threshold:
        return "low"
    return "low" if level == "low" and remaining < check.clear_at else "ok"
