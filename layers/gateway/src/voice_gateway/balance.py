"""The story of ``balance_check``: how much credit is left, and one message on the alarm topic for each change of state.

The state of each vendor is one item of the calls table, replaced by compare and swap. What was decided but could not be
published is published by the next check, for ``announced`` lags behind ``state``: an alarm goes out at least once, and
twice only where two checks overlap, or one is cut off between publishing and noting it.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from voice_gateway import aws, reply, vendors
from voice_gateway.calling import Caller
from voice_gateway.errors import AwsUnavailable, SettingsError
from voice_gateway.model import Code, Fault
from voice_gateway.observability import Record, emit, log
from voice_gateway.settings import Settings
from voice_gateway.store import Balance, Changed, Store
from voice_gateway.vendors.base import BalanceUnknown, Vendor

FAILURES_TO_UNKNOWN = 3
"""Failed checks in a row after which nobody knows the credit any more."""


@dataclass(frozen=True)
class Check:
    """One vendor, checked: the credit left in the vendor's unit, or why it could not be learnt."""

    vendor: Vendor
    threshold: Decimal
    clear_at: Decimal
    remaining: Decimal | None = None
    fault: Fault | None = None


class BalanceCheck:
    """Checks the credit of every vendor whose secret is filled in."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        caller: Caller,
        alarms: aws.Topic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._store = store
        self._caller = caller
        self._alarms = alarms
        self._clock = clock

    def check(self, record: Record) -> dict[str, Any]:
        """``{vendor: {state, remaining, unit, threshold, error}}``.

        Raises AwsUnavailable, after every vendor was tried, where a state or an alarm could not be written.
        """
        states: dict[str, Any] = {}
        failed: list[str] = []
        for name in vendors.names():
            vendor = vendors.vendor(name)
            try:
                credentials = self._caller.credentials(vendor)
                if credentials is None:
                    continue
                checked = self._ask(vendor, credentials)
                states[name] = self._decide(checked)
            except (AwsUnavailable, SettingsError) as error:
                log.error("a check could not be finished", extra={"vendor": name, "why": str(error)})
                failed.append(f"{name}: {error}")
        record.note(states={name: state["state"] for name, state in states.items()})
        if failed:
            raise AwsUnavailable("; ".join(failed))
        return states

    def _ask(self, vendor: Vendor, credentials: dict[str, str] | Any) -> Check:
        threshold = _amount(f"{vendor.name.upper()}_LOW_CREDIT", self._settings.vendor(vendor.name).low_credit)
        check = Check(vendor, threshold, threshold * self._settings.credit_clear_percent / 100)
        exchange = self._caller.exchange(vendor)
        try:
            try:
                remaining = vendor.balance(credentials, exchange, self._clock())
            except BalanceUnknown as unknown:
                fresh = self._fresh(vendor, credentials, unknown.fault)
                if fresh is None:
                    raise
                remaining = vendor.balance(fresh, exchange, self._clock())
        except BalanceUnknown as unknown:
            return Check(vendor, check.threshold, check.clear_at, fault=unknown.fault)
        return Check(vendor, check.threshold, check.clear_at, remaining)

    def _fresh(self, vendor: Vendor, credentials: Any, fault: Fault) -> Any:
        """Credentials that changed since they were cached, where they were refused."""
        if fault.code is not Code.CREDENTIALS_REFUSED:
            return None
        fresh = self._caller.credentials(vendor, anew=True)
        return fresh if fresh != credentials else None

    def _decide(self, check: Check) -> dict[str, Any]:
        """Writes the new state, and says so where it is another. A check that was overtaken says what stands."""
        name = check.vendor.name
        seen = self._store.balance(name)
        new = _next(seen, check, self._clock())
        try:
            self._store.put_balance(name, seen, new)
        except Changed:
            return _state(check, self._store.balance(name))
        if check.remaining is not None:
            credit = Record()
            credit.count("Credit", float(check.remaining))
            emit("balance_check", credit, vendor=name)
        if new["announced"] != new["state"] and (new["state"] != "unknown" or new["failures"] >= FAILURES_TO_UNKNOWN):
            self._announce(check, new)
            try:
                self._store.put_balance(
                    name, {"revision": seen.get("revision", 0) + 1}, {**new, "announced": new["state"]}
                )
            except Changed:
                log.warning("another check was quicker", extra={"vendor": name})
        return _state(check, new)

    def _announce(self, check: Check, new: Balance) -> None:
        name, state, previous = check.vendor.name, new["state"], new["announced"]
        content = {
            "kind": "credit",
            "stack": self._settings.stack,
            "vendor": name,
            "state": state,
            "previous": previous,
            "remaining": new.get("remaining"),
            "unit": check.vendor.unit,
            "threshold": _plain(check.threshold),
            "clear_at": _plain(check.clear_at),
            "checked_at": reply.moment(new["checked_at"]),
            "text": _sentence(self._settings.stack, check, new),
        }
        attributes = {
            key: {"DataType": "String", "StringValue": value}
            for key, value in (("kind", "credit"), ("vendor", name), ("state", state))
        }
        self._alarms.publish(json.dumps(content, ensure_ascii=False), attributes)


def _next(seen: Balance, check: Check, now: float) -> Balance:
    """The state after a check. A first ``ok`` is silent: it counts as announced."""
    state = seen.get("state")
    level = seen.get("level")
    failures = 0 if check.remaining is not None else seen.get("failures", 0) + 1
    remaining = seen.get("remaining") if check.remaining is None else _plain(check.remaining)
    if check.remaining is not None:
        level = _level(level, check)
        state = level
    elif failures >= FAILURES_TO_UNKNOWN:
        state = "unknown"
    return {
        "state": state or "unknown",
        # What is known of the credit itself: a failing query does not forget that it was low.
        "level": level,
        "announced": seen.get("announced", "ok"),
        "failures": failures,
        "remaining": remaining,
        "error": check.fault.as_dict() if check.fault else None,
        "checked_at": now,
    }


def _level(level: str | None, check: Check) -> str:
    remaining = check.remaining or Decimal(0)
    if remaining < check.threshold:
        return "low"
    return "low" if level == "low" and remaining < check.clear_at else "ok"


def _state(check: Check, new: Balance) -> dict[str, Any]:
    return {
        "state": new.get("state", "unknown"),
        "remaining": new.get("remaining"),
        "unit": check.vendor.unit,
        "threshold": _plain(check.threshold),
        "error": check.fault.as_dict() if check.fault else None,
    }


def _sentence(stack: str, check: Check, new: Balance) -> str:
    name, unit = check.vendor.name, check.vendor.unit
    left = f"{new.get('remaining')} {unit}"
    match new["state"]:
        case "low":
            return (
                f"{stack}: the credit at {name} is low, {left} left and the alarm is at {_plain(check.threshold)}. "
                f"Top the account up in the vendor's console; calls fail with insufficient_credit once it is used up."
            )
        case "ok":
            again = "known again, and sufficient" if new["announced"] == "unknown" else "sufficient again"
            return f"{stack}: the credit at {name} is {again}, {left} left."
    why = _why(check.fault)
    return (
        f"{stack}: the credit at {name} is not known, {FAILURES_TO_UNKNOWN} checks in a row failed ({why}). "
        f"Look at the vendor's console, and at the credentials in the secret."
    )


def _why(fault: Fault | None) -> str:
    """With the vendor's own code and words: they are what its support asks for."""
    if fault is None:
        return "the vendor did not answer"
    said = " ".join(part for part in (fault.vendor_code, fault.vendor_message) if part)
    return f"{fault.message}; it said {said}" if said else fault.message


def _amount(name: str, text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise SettingsError(name, "must be a number of at least 0")
    return amount


def _plain(amount: Decimal) -> str:
    """Without an exponent and without the zeros that a multiplication adds: 120, not 1.2E+2 or 120.00."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
