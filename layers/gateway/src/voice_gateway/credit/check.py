"""What ``balance_check`` does: asks how much credit is left, and sends one alarm for each change of state.

The state of each vendor is one item of the calls table, replaced by compare and swap. If an alarm cannot be published,
the next check publishes it, because ``announced`` still differs from ``state``. So an alarm goes out at least once. It
goes out twice only if two checks overlap, or if one is cut off between publishing and writing ``announced``.
"""

import json
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from voice_gateway import vendors
from voice_gateway.credit import alarm
from voice_gateway.credit.forecast import plain_number
from voice_gateway.credit.state import Check, amount, next_state, to_be_announced
from voice_gateway.model.errors import AwsUnavailable, SettingsError, UnreadableSecret
from voice_gateway.model.faults import Code, Fault
from voice_gateway.platform import aws
from voice_gateway.platform.observability import Record, emit, log
from voice_gateway.platform.settings import Settings
from voice_gateway.storage.credit import CreditState, CreditStates
from voice_gateway.vendors.common.accounts import Account, Accounts
from voice_gateway.vendors.common.base import BalanceUnknown, Credentials, Vendor


class BalanceCheck:
    """Checks the credit of every vendor that is set up.

    One whose secret was emptied or spoilt since then is a check that failed, so that it does not drop out in silence.
    """

    def __init__(
        self,
        settings: Settings,
        states: CreditStates,
        accounts: Accounts,
        alarms: aws.Topic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._states = states
        self._accounts = accounts
        self._alarms = alarms
        self._clock = clock

    def check(self, record: Record) -> dict[str, Any]:
        """``{vendor: {state, remaining, unit, threshold, error}}``.

        Raises AwsUnavailable, after every vendor was tried, if a state or an alarm could not be written.
        """
        states: dict[str, Any] = {}
        failed: list[str] = []
        for name in vendors.names():
            try:
                check = self._checked(self._accounts[name])
                if check is not None:
                    states[name] = self._decide(check)
            except (AwsUnavailable, SettingsError) as error:
                log.error("a check could not be finished", extra={"vendor": name, "why": str(error)})
                failed.append(f"{name}: {error}")
        record.note(states={name: state["state"] for name, state in states.items()})
        if failed:
            raise AwsUnavailable("; ".join(failed))
        return states

    def _checked(self, account: Account) -> Check | None:
        """None if the vendor is not deployed, or was never set up: its secret is empty, and it was never asked."""
        vendor = account.vendor
        remaining, fault = None, None
        try:
            credentials = account.credentials()
            if credentials is not None:
                remaining = self._ask(account, credentials)
            elif account.deployed and self._states.get(vendor.name):
                fault = _not_configured(vendor, "its secret is not filled in any more")
            else:
                return None
        except UnreadableSecret as error:
            fault = _not_configured(vendor, str(error))
        except BalanceUnknown as unknown:
            fault = unknown.fault
        threshold = amount(f"{vendor.name.upper()}_LOW_CREDIT", account.low_credit)
        days, clear = Decimal(self._settings.credit_days_ahead), self._settings.credit_clear_percent
        return Check(vendor, threshold, threshold * clear / 100, days, days * clear / 100, remaining, fault)

    def _ask(self, account: Account, credentials: Credentials) -> Decimal:
        """Raises BalanceUnknown."""
        vendor, exchange = account.vendor, account.exchange()
        try:
            return vendor.balance(credentials, exchange, self._clock())
        except BalanceUnknown as unknown:
            refused = unknown.fault.code is Code.CREDENTIALS_REFUSED
            fresh = account.changed_credentials(credentials) if refused else None
            if fresh is None:
                raise
        return vendor.balance(fresh, exchange, self._clock())

    def _decide(self, check: Check) -> dict[str, Any]:
        """Writes the new state, and announces a change. A check that was overtaken returns the state that stands."""
        name = check.vendor.name
        seen = self._states.get(name)
        new = next_state(seen, check, self._clock())
        if not self._states.replace(name, seen, new):
            return _told(check, self._states.get(name))
        if check.remaining is not None:
            _measure(name, new)
        if to_be_announced(new):
            self._announce(check, new)
            written = {"revision": seen.get("revision", 0) + 1}
            if not self._states.replace(name, written, {**new, "announced": new["state"]}):
                log.warning("another check was quicker", extra={"vendor": name})
        return _told(check, new)

    def _announce(self, check: Check, new: CreditState) -> None:
        content = alarm.content(self._settings.stack, check, new)
        self._alarms.publish(json.dumps(content, ensure_ascii=False), alarm.attributes(content))


def _not_configured(vendor: Vendor, why: str) -> Fault:
    return Fault(Code.NOT_CONFIGURED, f"{vendor.name}: {why}", vendor.name)


def _measure(vendor: str, state: CreditState) -> None:
    """One line of metrics; the pace and the days only where they are known."""
    credit = Record()
    for metric, name in (("Credit", "remaining"), ("CreditPerDay", "per_day"), ("CreditDaysLeft", "days_left")):
        if state[name] is not None:
            credit.count(metric, float(state[name]))
    emit("balance_check", credit, vendor=vendor)


def _told(check: Check, state: CreditState) -> dict[str, Any]:
    return {
        "state": state.get("state", "unknown"),
        "remaining": state.get("remaining"),
        "unit": check.vendor.unit,
        "threshold": plain_number(check.threshold),
        "error": check.fault.as_dict() if check.fault else None,
    }
