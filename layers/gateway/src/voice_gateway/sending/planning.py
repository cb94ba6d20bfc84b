"""What to do with a message now: which vendors to call, or why none. Counts the call in the number's quota.

The quota is counted before the claim: that halves the crashes that end ``unknown`` without a ring. A call over the cap
never reaches the vendor, because each attempt would prolong the vendor's lock (docs/protocol.md, Sending).
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.message import Message, State
from voice_gateway.model.request import Catalogue, Request, Template
from voice_gateway.platform.settings import Settings
from voice_gateway.sending.catalogue import Load
from voice_gateway.sending.routing import Carrier, Route, Router, mismatch
from voice_gateway.storage.quotas import Counted, Quotas

_A_DAY = 86400


@dataclass(eq=False)
class NothingRung(Exception):
    """Nothing was rung, for a reason that will pass: ``message`` is to be tried again.

    ``stored``: it is the message as the table has it; otherwise the table may not know it yet, or may know it as
    claimed, if the reply to this attempt's claim was lost.
    """

    message: Message
    why: str
    stored: bool = False


class Plan(NamedTuple):
    """What to do with ``message``.

    ``state`` is ``calling`` if the first of ``carriers`` is to be called; otherwise it is the state to write.
    ``stale``: the quota counts this message at the time of an earlier attempt.
    """

    message: Message
    state: State
    error: Fault | None = None
    deferred_until: float | None = None
    carriers: tuple[Carrier, ...] = ()
    stale: bool = False

    @property
    def rings(self) -> bool:
        return self.state is State.CALLING


class Planner:
    """Plans. One for each process."""

    def __init__(
        self, settings: Settings, quotas: Quotas, router: Router, load: Load, hash_number: Callable[[str], str]
    ) -> None:
        """``load`` gives a template by its name, ``hash_number`` the hash that is stored in place of a number."""
        self._settings = settings
        self._quotas = quotas
        self._router = router
        self._load = load
        self._hash_number = hash_number

    def plan(self, request: Request, message: Message, now: float) -> Plan:
        """The plan for the message's next ring, or its redial. Raises AwsUnavailable."""
        if message.expires_at is not None and message.expires_at <= now:
            return _expired(message)
        number_hash = self._hash_number(request.numbers[message.place])
        message = message.but(number_hash=number_hash, number=message.number if message.place else number_hash)
        avoid = message.vendor if message.redials else message.past[-1].vendor if message.past else None
        template = self._template(request)
        if isinstance(template, Fault):
            return Plan(message, State.REJECTED, template)
        route = self._router.route(request, template, message, now, avoid)
        full = []
        for at, carrier in enumerate(route.carriers):
            if message.dry_run:
                counted = Counted.NEW if self._quotas.has_room(carrier.quota, now) else Counted.FULL
            else:
                counted = self._quotas.count(carrier.quota, now)
            if counted is not Counted.FULL:
                stale = counted is Counted.STALE
                return Plan(message, State.CALLING, carriers=route.carriers[at:], stale=stale)
            full.append(carrier.cap_reached)
        return _without_carrier(message, route, full)

    def draft(self, request: Request, now: float, *, bulk: bool) -> Message:
        """The message as it would be stored, without the number's hash and what the plan decides.

        ``bulk`` is the lane by which it came: of a request that does not say.
        """
        begins = max(now, request.not_before.timestamp() if request.not_before else now)
        expires_at = request.expires_at.timestamp() if request.expires_at else begins + _A_DAY
        keep_until = max(now + self._settings.retention_seconds, expires_at + _A_DAY)
        return Message(
            request.message_id,
            State.CALLING,
            now,
            fingerprint=request.fingerprint,
            request=request.to_json(),
            template=request.template,
            notify_data=request.notify_data,
            on_unknown=request.on_unknown or "stop",
            attempt=new_attempt(),
            expires_at=expires_at,
            ttl=int(keep_until),
            callees=tuple(number[-4:] for number in request.numbers),
            sequence=request.sequence,
            bulk=request.priority == "bulk" if request.priority else bulk,
            dry_run=request.dry_run,
        )

    def _template(self, request: Request) -> Template | Fault | None:
        if not isinstance(request.form, Catalogue):
            return None
        template = self._load(request.form.template)
        if isinstance(template, Fault):
            return template
        return mismatch(request, template) or template


def new_attempt() -> str:
    """The name of one attempt to hand a message over: no other ever has it."""
    return uuid.uuid4().hex[:16]


def _expired(message: Message) -> Plan:
    fault = Fault(Code.EXPIRED, "expires_at had passed before the phone could be rung")
    return Plan(message, State.EXPIRED, fault)


def _without_carrier(message: Message, route: Route, full: list[Fault]) -> Plan:
    """No vendor can carry it now: deferred to the next opening if only the hours are in the way, otherwise rejected."""
    if route.opens is not None:
        return Plan(message, State.DUE, deferred_until=route.opens)
    shut = [fault for fault in route.passed if fault.code is Code.OUTSIDE_HOURS]
    faults = {fault.vendor: fault for fault in (*route.passed, *full)}
    first = next((faults[name] for name in route.order if name in faults), None)
    error = shut[0] if shut else first or Fault(Code.NOT_CONFIGURED, "no vendor is in the order")
    return Plan(message, State.REJECTED, error)
