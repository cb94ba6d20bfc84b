"""The seven kinds of fault of docs/protocol.md, and the gate that lets one happen at the Nth I/O of a run.

An I/O is a request to AWS or an exchange with a vendor. What boto3 retries is one I/O: a fault that its retries ride
out has no effect but on time, and one that writes twice is a kind of its own.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from voice_gateway.model.errors import NotConnected, ReplyLost

VENDOR = "vendor"
"""The service that a vendor's exchanges go by."""
_QUICK = 0.01
_HANGING = 8.0
"""Seconds that a request takes whose three tries all hang."""


class Crash(BaseException):
    """The process ends here: no handler may catch it."""


class Kind(StrEnum):
    """What happens at one I/O. Those of one kind of the protocol's page that differ in effect stand apart."""

    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    ERROR = "error before"
    LOST = "reply lost, written again by the retry"
    LOST_EVERY = "reply lost on every retry"
    LATE_NEXT = "lands before the next I/O"
    LATE_IO = "lands two I/O later"
    LATE_INVOCATION = "lands before the next invocation"
    LATE_INVOCATIONS = "lands four invocations later"
    AGAIN_IO = "reply lost, and lands again two I/O later"
    DOWN = "DynamoDB down for the rest"
    LOST_DOWN = "reply lost, then DynamoDB down for the rest"
    BOTH_DOWN = "DynamoDB and outbox down for the rest"


SEVEN: Mapping[str, tuple[Kind, ...]] = {
    "crash": (Kind.CRASH_BEFORE, Kind.CRASH_AFTER),
    "an error before the operation": (Kind.ERROR,),
    "the reply lost after it": (Kind.LOST,),
    "the same on every retry": (Kind.LOST_EVERY,),
    "a write that lands late": (
        *(Kind.LATE_NEXT, Kind.LATE_IO, Kind.LATE_INVOCATION, Kind.LATE_INVOCATIONS, Kind.AGAIN_IO),
    ),
    "DynamoDB down for the rest": (Kind.DOWN, Kind.LOST_DOWN),
    "DynamoDB and outbox both down": (Kind.BOTH_DOWN,),
}
ALL = tuple(Kind)
PAIRED = (Kind.CRASH_BEFORE, Kind.CRASH_AFTER, Kind.ERROR, Kind.LOST_EVERY, Kind.BOTH_DOWN)
"""The kinds of which every pair is tried: crash, error, error on every retry, DynamoDB and outbox both down."""

READS = frozenset({"query", "get_item", "get_secret_value", "get_parameter"})
"""Operations that change nothing: a kind that differs from another only in what is written, or in time, is left out."""
FOR_READS = (Kind.CRASH_BEFORE, Kind.LOST_EVERY, Kind.DOWN, Kind.BOTH_DOWN)

_LATE_INVOCATIONS = {Kind.LATE_INVOCATION: 1, Kind.LATE_INVOCATIONS: 4}
_DOWN = {
    Kind.DOWN: {"dynamodb"},
    Kind.LOST_DOWN: {"dynamodb"},
    Kind.BOTH_DOWN: {"dynamodb", "sqs"},
}


def kinds_at(label: str, among: tuple[Kind, ...] = ALL) -> tuple[Kind, ...]:
    """The kinds of fault that can differ in effect at an I/O of that label, ``service.operation``."""
    service, _, operation = label.partition(".")
    if operation == "query":  # only sweep asks so, and it puts nothing into the outbox
        among = tuple(kind for kind in among if kind is not Kind.DOWN)
    if operation in READS or operation.endswith("asked"):
        return tuple(kind for kind in among if kind in FOR_READS)
    if service == VENDOR:
        return tuple(kind for kind in among if kind not in {Kind.LOST_EVERY, Kind.AGAIN_IO, Kind.LOST_DOWN})
    return among


@dataclass
class _Late:
    """A write under way that nobody waits for any more."""

    carried: Callable[[], Any]
    ios: int | None = None
    invocations: int | None = None


@dataclass
class _Running:
    """One invocation: until when it may run, and what is down for it."""

    until: float
    down: set[str] = field(default_factory=set)


class Faults:
    """The gate of every I/O: counts them, and lets the chosen fault happen at the chosen one."""

    def __init__(self, chosen: Mapping[int, Kind], clock: Callable[[], float], wait: Callable[[float], None]) -> None:
        self.chosen = dict(chosen)
        self.count = 0
        self.trace: list[str] = []
        self.retrying = False
        """Whether the gateway is trying again, by itself, what nobody could take."""
        self.retried: set[int] = set()
        """The I/O of such retries."""
        self.before: dict[int, Callable[[], None]] = {}
        """What somebody else does just before an I/O: a directed interleaving."""
        self.distance = 1
        """How many more I/O pass before a write of LATE_IO and AGAIN_IO lands."""
        self.always_down: set[str] = set()
        """Services that are down for every invocation."""
        self._clock = clock
        self._wait = wait
        self._late: list[_Late] = []
        self._running: list[_Running] = []

    @contextmanager
    def invocation(self, seconds: float) -> Iterator[None]:
        """An invocation that Lambda ends after ``seconds``; others may run within it, at the same time."""
        if not self._running:
            self._land(ended=True)
        self._running.append(_Running(self._clock() + seconds))
        try:
            yield
        finally:
            self._running.pop()

    def remaining(self) -> float:
        """Seconds that the running invocation has left."""
        return self._running[-1].until - self._clock()

    @property
    def under_way(self) -> bool:
        """Whether a write is still to land."""
        return bool(self._late)

    def io(
        self, service: str, operation: str, carried: Callable[[], Any], leaving: Callable[[], object] | None = None
    ) -> Any:
        """Carries one I/O out, or does what the fault chosen for it says; ``leaving`` is called as it is made."""
        number, self.count = self.count, self.count + 1
        self.trace.append(f"{service}.{operation}")
        if self.retrying:
            self.retried.add(number)
        self._land(ended=False)
        if number in self.before:
            self.before.pop(number)()
        if leaving:
            leaving()
        self._wait(_QUICK)
        return self._faulty(self.chosen.get(number), service, carried)

    def _faulty(self, kind: Kind | None, service: str, carried: Callable[[], Any]) -> Any:
        running = self._running[-1]
        if kind is Kind.LOST_DOWN and service != VENDOR:
            self._try(carried)
        running.down |= _DOWN.get(kind, set()) if kind else set()
        if service in running.down or service in self.always_down:
            self._wait(_HANGING if kind is Kind.BOTH_DOWN else _QUICK)
            self._end_of_time()
            raise EndpointConnectionError(endpoint_url="https://aws")
        if kind in {Kind.CRASH_BEFORE, Kind.CRASH_AFTER}:
            if kind is Kind.CRASH_AFTER:
                self._try(carried)
            raise Crash
        if kind and kind not in _DOWN:
            return (self._vendor_fault if service == VENDOR else self._aws_fault)(kind, carried)
        done = carried()
        self._end_of_time()
        return done

    def _aws_fault(self, kind: Kind, carried: Callable[[], Any]) -> Any:
        if kind is Kind.ERROR:
            raise EndpointConnectionError(endpoint_url="https://aws")
        if kind is Kind.LOST:
            self._try(carried)
            return carried()
        tries = {Kind.LOST_EVERY: 3, Kind.AGAIN_IO: 1}.get(kind, 0)
        for _ in range(tries):
            self._try(carried)
        self._later(kind, carried)
        self._wait(_HANGING)
        self._end_of_time()
        raise ReadTimeoutError(endpoint_url="https://aws")

    def _vendor_fault(self, kind: Kind, carried: Callable[[], Any]) -> Any:
        """The gateway makes one request and no retry: lost is lost."""
        if kind is Kind.ERROR:
            raise NotConnected("refused")
        if kind in {Kind.LOST, Kind.LOST_EVERY, Kind.AGAIN_IO}:
            self._try(carried)
        else:
            self._later(kind, carried)
        self._wait(_HANGING)
        raise ReplyLost("no reply in time")

    def _later(self, kind: Kind, carried: Callable[[], Any]) -> None:
        if kind in {Kind.LATE_IO, Kind.AGAIN_IO}:
            self._late.append(_Late(carried, ios=self.distance))
        elif kind is Kind.LATE_NEXT:
            self._late.append(_Late(carried, ios=0))
        elif kind in _LATE_INVOCATIONS:
            self._late.append(_Late(carried, invocations=_LATE_INVOCATIONS[kind]))

    def _land(self, *, ended: bool) -> None:
        """Lets land what is due, before the next I/O or, where the last invocation has ``ended``, before the next."""
        for late in list(self._late):
            left = late.invocations if ended else late.ios
            if left is None:
                continue
            if left > ended:  # the first I/O that follows is number 0, the first invocation number 1
                late.invocations, late.ios = (left - 1, None) if ended else (None, left - 1)
            else:
                self._late.remove(late)
                self._try(late.carried)

    def _end_of_time(self) -> None:
        """Lambda ends whoever runs too long."""
        if self._clock() > self._running[-1].until:
            raise Crash

    @staticmethod
    def _try(carried: Callable[[], Any]) -> None:
        """Carries something out whose answer nobody hears."""
        with suppress(ClientError, NotConnected, ReplyLost):
            carried()
