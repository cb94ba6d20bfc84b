"""Which vendors could carry a message now, in which order, and why the others cannot (docs/using.md)."""

import time
from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from voice_gateway import vendors
from voice_gateway.model import mobile
from voice_gateway.model.call import Call
from voice_gateway.model.errors import AwsUnavailable, SettingsError, UnreadableSecret
from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.hours import next_common_opening
from voice_gateway.model.message import Message
from voice_gateway.model.request import Catalogue, Request, Template, placeholders
from voice_gateway.platform.settings import Settings
from voice_gateway.storage.quotas import Quota
from voice_gateway.vendors.common.accounts import Account, Accounts
from voice_gateway.vendors.common.base import Credentials, Vendor

_LONG = 3 * 86400.0
"""Seconds in which windows that come again each day meet, if they ever do."""


@dataclass(frozen=True)
class Carrier:
    """A vendor that can carry the message now, the call that it would place, and the quota in which the call counts."""

    account: Account
    call: Call
    credentials: Credentials = field(repr=False)
    quota: Quota

    @property
    def vendor(self) -> Vendor:
        return self.account.vendor

    @property
    def cap_reached(self) -> Fault:
        """The fault if the number's quota is full."""
        name = self.vendor.name
        return Fault(Code.DAILY_LIMIT, f"{name}: the number's calls of the last 24 hours are used up", name)


class Route(NamedTuple):
    """The carriers in order, why the others of the order were passed over, and the next opening.

    ``opens`` (epoch seconds): the first moment at which one of them may ring that could carry the message but for the
    hours, or for ``not_before``; None if there is none before the message expires.
    """

    order: tuple[str, ...]
    carriers: tuple[Carrier, ...] = ()
    passed: tuple[Fault, ...] = ()
    opens: float | None = None


class Resting:
    """Vendors that refused for a reason of their own. For a while they go last; only this process remembers it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def rest(self, vendor: str, seconds: float) -> None:
        self._until[vendor] = self._clock() + seconds

    def __contains__(self, vendor: str) -> bool:
        return self._until.get(vendor, 0.0) > self._clock()


class Router:
    """Finds the route of a message."""

    def __init__(self, settings: Settings, accounts: Accounts, resting: Resting, used_up: Container[str] = ()) -> None:
        """``used_up``: the names of the vendors that go last of all."""
        self._settings = settings
        self._accounts = accounts
        self._resting = resting
        self._used_up = used_up

    def route(
        self, request: Request, template: Template | None, message: Message, now: float, avoid: str | None = None
    ) -> Route:
        """``avoid`` goes last: a redial tries another vendor first. Raises AwsUnavailable, SettingsError."""
        order = self._order(request, template, avoid)
        carriers, passed, openings = [], [], []
        unread: AwsUnavailable | None = None
        for name in order:
            account = self._accounts[name]
            try:
                carried = self._carried(account, request, template, message)
            except AwsUnavailable as error:
                unread, carried = error, _passed(account, Code.VENDOR_UNAVAILABLE, "its secret could not be read")
            if isinstance(carried, Carrier):
                opens = _opens(account, request, message, now)
                if opens == now:
                    carriers.append(carried)
                    continue
                if opens is not None:
                    openings.append(opens)
                carried = _passed(account, Code.OUTSIDE_HOURS, "outside the hours in which it may ring")
            passed.append(carried)
        if unread and not carriers:
            raise unread
        return Route(tuple(order), tuple(self._used_up_last(carriers)), tuple(passed), min(openings, default=None))

    def _order(self, request: Request, template: Template | None, avoid: str | None) -> list[str]:
        if request.vendor:
            return [request.vendor]
        names = list(template.vendors) if template else list(self._settings.vendor_order)
        if unknown := [name for name in names if name not in vendors.names()]:
            raise SettingsError("VENDOR_ORDER", f"names {unknown[0]}, and there is no such vendor")
        # A vendor that does not take such a form at all is left out: it would not explain why the message is rejected.
        order = [name for name in names if isinstance(request.form, self._accounts[name].vendor.forms)]
        return sorted(order, key=lambda name: (name == avoid, name in self._resting))

    def _used_up_last(self, carriers: list[Carrier]) -> list[Carrier]:
        """Vendors without credit go behind the others. The last is looked at only if another one is without."""
        names = [carrier.vendor.name for carrier in carriers]
        used_up = {name for name in names[:-1] if name in self._used_up}
        if used_up:
            used_up |= {name for name in names[-1:] if name in self._used_up}
        return sorted(carriers, key=lambda carrier: carrier.vendor.name in used_up)

    def _carried(
        self, account: Account, request: Request, template: Template | None, message: Message
    ) -> Carrier | Fault:
        vendor = account.vendor
        if self._settings.poll and not vendor.result_query and not request.vendor:
            return _passed(account, Code.NOT_CONFIGURED, "reports by callback only, and this deployment polls")
        call = vendor.carry(request.form, template)
        if isinstance(call, Fault):
            return call
        try:
            credentials = account.credentials()
        except UnreadableSecret as error:
            return _passed(account, Code.NOT_CONFIGURED, str(error))
        if credentials is None:
            return _passed(account, Code.NOT_CONFIGURED, "its secret is not filled in")
        call = replace(
            call,
            mobile=request.numbers[message.place],
            play_times=request.play_times,
            notify_data=request.notify_data,
            reference=request.message_id,
        )
        quota = Quota(vendor.name, vendor.line, message.number_hash or "", _quota_key(message), account.daily_cap)
        return Carrier(account, call, credentials, quota)


def mismatch(request: Request, template: Template) -> Fault | None:
    """A missing or an extra value of a catalogue template."""
    if not isinstance(request.form, Catalogue):
        return None
    expected, given = placeholders(template.text), set(request.form.params)
    if expected == given:
        return None
    missing, extra = (mobile.masked(", ".join(sorted(names))) for names in (expected - given, given - expected))
    parts = [f"{label}: {names[:200]}" for label, names in (("missing", missing), ("extra", extra)) if names]
    return Fault(Code.TEMPLATE_MISMATCH, f"params: {'; '.join(parts)}")


def _opens(account: Account, request: Request, message: Message, now: float) -> float | None:
    """When this vendor may ring: its own hours, the callee's, and ``not_before``; ``now`` if it may right away."""
    begins = max(now, request.not_before.timestamp() if request.not_before else now)
    until = message.expires_at if message.expires_at is not None else begins + _LONG
    return next_common_opening(account.hours, request.hours and request.hours[1], begins, until)


def _quota_key(message: Message) -> str:
    """The name by which a ring counts: each ring, and each redial, on its own."""
    ring = len(message.past) + 1
    if message.redials:
        return f"{message.message_id}#{ring}r"
    return message.message_id if ring == 1 else f"{message.message_id}#{ring}"


def _passed(account: Account, code: Code, why: str) -> Fault:
    name = account.vendor.name
    return Fault(code, f"{name}: {why}", name)
