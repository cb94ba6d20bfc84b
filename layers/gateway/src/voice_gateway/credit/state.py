"""The state of a vendor's credit after a check (docs/runbooks/low-credit.md).

``ok``; ``low``, little credit, or credit that lasts for a few days only; ``empty``, less than one call costs;
``unknown``.
"""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from voice_gateway.credit.forecast import Reading, days_text, forecast, kept, pace_text, plain_number, with_present
from voice_gateway.model.errors import SettingsError
from voice_gateway.model.faults import Fault
from voice_gateway.storage.credit import CreditState
from voice_gateway.vendors.common.base import Vendor

FAILURES_TO_UNKNOWN = 3
"""After this many failed checks in a row the credit is ``unknown``."""


@dataclass(frozen=True)
class Check:
    """What one check found: the credit left, in the vendor's unit, or why it is not known.

    It is low below ``threshold``, or if it lasts for less than ``days_ahead`` days (0: however long it lasts); it is
    ``ok`` again from ``clear_at`` and ``clear_days`` on.
    """

    vendor: Vendor
    threshold: Decimal
    clear_at: Decimal
    days_ahead: Decimal
    clear_days: Decimal
    remaining: Decimal | None = None
    fault: Fault | None = None


def next_state(seen: CreditState, check: Check, now: float) -> CreditState:
    """The state after a check. A first ``ok`` is silent: it counts as announced."""
    if check.remaining is None:
        found = _not_known(seen)
    else:
        found = {**_known(seen, check, Reading(int(now), check.remaining)), "failures": 0}
    return {
        **found,
        "announced": seen.get("announced", "ok"),
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


def _known(seen: CreditState, check: Check, present: Reading) -> CreditState:
    """``readings``, ``per_day`` and ``days_left`` are texts; the last two None where there is no forecast."""
    earlier = kept(seen.get("readings"), present.at)
    per_day, days_left = forecast(earlier, present)
    level = _level(seen.get("level"), check, present.remaining, days_left)
    return {
        "state": level,
        "level": level,
        "remaining": plain_number(present.remaining),
        "readings": with_present(earlier, present),
        "per_day": None if per_day is None else pace_text(per_day),
        "days_left": None if days_left is None else days_text(days_left),
    }


def _not_known(seen: CreditState) -> CreditState:
    """What was known stays, the level above all: a query that fails does not forget that the credit was low."""
    failures = seen.get("failures", 0) + 1
    state = "unknown" if failures >= FAILURES_TO_UNKNOWN else seen.get("state") or "unknown"
    told = {name: seen.get(name) for name in ("level", "remaining", "readings", "per_day", "days_left")}
    return {**told, "state": state, "failures": failures}


def _level(before: str | None, check: Check, remaining: Decimal, days_left: Decimal | None) -> str:
    """What is low, or was used up, is ``ok`` again only some way above the marks, so that no alarm flaps."""
    if remaining <= 0 or remaining < check.vendor.least_credit:
        return "empty"
    marks = (check.threshold, check.days_ahead) if before in {None, "ok"} else (check.clear_at, check.clear_days)
    enough = remaining >= marks[0] and (not check.days_ahead or days_left is None or days_left >= marks[1])
    return "ok" if enough else "low"
