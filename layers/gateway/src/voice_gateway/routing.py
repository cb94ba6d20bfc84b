"""Which vendors could carry a message now, in which order, and why the others cannot (docs/using.md)."""

import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from voice_gateway import vendors
from voice_gateway.errors import AwsUnavailable, SettingsError
from voice_gateway.model import (
    CHINA,
    Call,
    Catalogue,
    Code,
    Fault,
    Request,
    Template,
    placeholders,
)
from voice_gateway.settings import Settings, Window
from voice_gateway.vendors.base import Credentials, Vendor

CLOSING_MARGIN = datetime.timedelta(seconds=60)
"""No call is begun in the last minute of a vendor's hours: its clock is not ours."""


@dataclass(frozen=True)
class Carrier:
    """A vendor that can carry the message now, and the call that it would place."""

    vendor: Vendor
    call: Call
    credentials: Credentials = field(repr=False)


@dataclass(frozen=True)
class Route:
    """The carriers in order, why the others of the order were passed over, and the next opening.

    ``opens`` is the moment (epoch seconds) at which a vendor opens whose shut window is all that stands in its way.
    """

    order: tuple[str, ...]
    carriers: tuple[Carrier, ...] = ()
    passed: tuple[Fault, ...] = ()
    opens: float | None = None


class Resting:
    """Vendors that refused for a reason of their own: for a while they go last, in this function's memory."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def rest(self, vendor: str, seconds: float) -> None:
        self._until[vendor] = self._clock() + seconds

    def __contains__(self, vendor: str) -> bool:
        return self._until.get(vendor, 0.0) > self._clock()


class Router:
    """Finds the route of a message."""

    def __init__(
        self, settings: Settings, credentials: Callable[[Vendor], Credentials | None], resting: Resting
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._resting = resting

    def route(self, request: Request, template: Template | None, now: float, avoid: str | None = None) -> Route:
        """``avoid`` goes last: a redial tries another vendor first. Raises AwsUnavailable, SettingsError."""
        order = self._order(request, template, avoid)
        carriers, passed, openings = [], [], []
        unread: AwsUnavailable | None = None
        for name in order:
            vendor = vendors.vendor(name)
            try:
                carried = self._carried(vendor, request, template)
            except AwsUnavailable as error:
                unread, carried = error, _passed(vendor, Code.VENDOR_UNAVAILABLE, "its secret could not be read")
            if isinstance(carried, Carrier):
                opens = next_opening(self._settings.vendor(name).hours, now)
                if opens is None:
                    carriers.append(carried)
                    continue
                openings.append(opens)
                carried = Fault(Code.OUTSIDE_HOURS, f"{name}: outside the hours in which it places calls", name)
            passed.append(carried)
        if unread and not carriers:
            raise unread
        return Route(tuple(order), tuple(carriers), tuple(passed), min(openings, default=None))

    def _order(self, request: Request, template: Template | None, avoid: str | None) -> list[str]:
        if request.vendor:
            return [request.vendor]
        names = list(template.vendors) if template else list(self._settings.vendor_order)
        if unknown := [name for name in names if name not in vendors.names()]:
            raise SettingsError("VENDOR_ORDER", f"names {unknown[0]}, and there is no such vendor")
        # A vendor that has no such form at all is no answer to why a message could not be carried.
        order = [name for name in names if isinstance(request.form, vendors.vendor(name).forms)]
        return sorted(order, key=lambda name: (name == avoid, name in self._resting))

    def _carried(self, vendor: Vendor, request: Request, template: Template | None) -> Carrier | Fault:
        if self._settings.poll and not vendor.answers and not request.vendor:
            return _passed(vendor, Code.NOT_CONFIGURED, "reports by callback only, and this deployment polls")
        call = vendor.carry(request.form, template)
        if isinstance(call, Fault):
            return call
        credentials = self._credentials(vendor)
        if credentials is None:
            return _passed(vendor, Code.NOT_CONFIGURED, "its secret is not filled in")
        return Carrier(vendor, call, credentials)


def mismatch(request: Request, template: Template) -> Fault | None:
    """A missing or an extra value of a catalogue template."""
    if not isinstance(request.form, Catalogue):
        return None
    expected, given = placeholders(template.text), set(request.form.params)
    if expected == given:
        return None
    missing, extra = ", ".join(sorted(expected - given)), ", ".join(sorted(given - expected))
    parts = [f"{label}: {names[:200]}" for label, names in (("missing", missing), ("extra", extra)) if names]
    return Fault(Code.TEMPLATE_MISMATCH, f"params: {'; '.join(parts)}")


def next_opening(hours: Window, now: float) -> float | None:
    """When the window opens next, epoch seconds; None while it is open."""
    if hours.always:
        return None
    moment = datetime.datetime.fromtimestamp(now, CHINA)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if midnight + hours.opens <= moment < midnight + hours.closes - CLOSING_MARGIN:
        return None
    opens = midnight + hours.opens
    if opens <= moment:
        opens += datetime.timedelta(days=1)
    return opens.timestamp()


def _passed(vendor: Vendor, code: Code, why: str) -> Fault:
    return Fault(code, f"{vendor.name}: {why}", vendor.name)
