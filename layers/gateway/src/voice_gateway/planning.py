"""What would be done with a message now: ring, by whom, or why not. Counts the call in the number's quota.

The quota is looked at before a claim is made: it halves the crashes that end ``unknown`` with no ring, and the call
over the cap never reaches the vendor, whose lock each attempt would prolong (docs/protocol.md, Sending).
"""

from dataclasses import dataclass

from voice_gateway import routing
from voice_gateway.catalogue import Load
from voice_gateway.model import Catalogue, Code, Fault, Message, Request, State, Template
from voice_gateway.routing import Carrier, Route, Router
from voice_gateway.settings import Settings
from voice_gateway.store import Counted, Quota, Store

LEASE_SECONDS = 55.0
"""Longer than ``send`` can run, so that a lease that is over belongs to nobody alive."""


@dataclass(frozen=True)
class Plan:
    """``state`` is ``calling`` where the first of ``carriers`` is to be called, else what is to be written instead.

    ``stale`` says that the quota holds this message at the time of an earlier attempt.
    """

    state: State
    error: Fault | None = None
    deferred_until: float | None = None
    carriers: tuple[Carrier, ...] = ()
    stale: bool = False

    @property
    def rings(self) -> bool:
        return self.state is State.CALLING


class Planner:
    """Plans. One a process."""

    def __init__(self, settings: Settings, store: Store, router: Router, load: Load) -> None:
        self._settings = settings
        self._store = store
        self._router = router
        self._load = load

    def plan(self, request: Request, message: Message, now: float, *, avoid: str | None = None) -> Plan:
        """Raises AwsUnavailable."""
        if message.expires_at is not None and message.expires_at <= now:
            return expired()
        template = self._template(request)
        if isinstance(template, Fault):
            return Plan(State.REJECTED, template)
        route = self._router.route(request, template, now, avoid)
        full = []
        for at, carrier in enumerate(route.carriers):
            counted = self._count(carrier, message, now, dry=request.dry_run)
            if counted is not Counted.FULL:
                stale = counted is Counted.STALE
                return Plan(State.CALLING, carriers=route.carriers[at:], stale=stale)
            full.append(over_the_cap(carrier))
        return _without_carrier(route, full, message)

    def count(self, carrier: Carrier, message: Message, now: float) -> Counted:
        """Counts a call by this carrier, where its line has a cap. Raises AwsUnavailable."""
        return self._count(carrier, message, now, dry=False)

    def count_anew(self, carrier: Carrier, message: Message, now: float) -> None:
        """Sets the time of a counted call to that of the attempt about to be made. Raises AwsUnavailable."""
        self._store.count_anew(self._quota(carrier, message), now)

    def _count(self, carrier: Carrier, message: Message, now: float, *, dry: bool) -> Counted:
        quota = self._quota(carrier, message)
        if quota.cap == 0:
            return Counted.NEW
        if dry:
            return Counted.NEW if self._store.room(quota, now) else Counted.FULL
        return self._store.count(quota, now, LEASE_SECONDS)

    def _quota(self, carrier: Carrier, message: Message) -> Quota:
        vendor = carrier.vendor
        key = f"{message.message_id}#{message.redials + 1}" if message.redials else message.message_id
        cap = self._settings.vendor(vendor.name).daily_cap
        return Quota(vendor.name, vendor.line, message.number_hash or "", key, cap)

    def _template(self, request: Request) -> Template | Fault | None:
        if not isinstance(request.form, Catalogue):
            return None
        template = self._load(request.form.template)
        if isinstance(template, Fault):
            return template
        return routing.mismatch(request, template) or template


def over_the_cap(carrier: Carrier) -> Fault:
    name = carrier.vendor.name
    return Fault(Code.DAILY_LIMIT, f"{name}: the number's calls of the last 24 hours are used up", name)


def expired() -> Plan:
    return Plan(State.EXPIRED, Fault(Code.EXPIRED, "expires_at had passed before the phone could be rung"))


def _without_carrier(route: Route, full: list[Fault], message: Message) -> Plan:
    """Nobody can carry it now: deferred to the next opening where only hours stand in the way, else rejected."""
    faults = {fault.vendor: fault for fault in (*route.passed, *full)}
    if route.opens is not None:
        if message.expires_at is None or route.opens < message.expires_at:
            return Plan(State.DUE, deferred_until=route.opens)
        shut = [fault for fault in route.passed if fault.code is Code.OUTSIDE_HOURS]
        return Plan(State.REJECTED, shut[0])
    first = next((faults[name] for name in route.order if name in faults), None)
    return Plan(State.REJECTED, first or Fault(Code.NOT_CONFIGURED, "no vendor is in the order"))
