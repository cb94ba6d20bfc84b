"""The only logger and the only metrics. Each invocation writes one line that is both log record and metrics.

The line is CloudWatch's embedded metric format (EMF), as Powertools' Metrics writes it. It is put together here, for to
import Powertools is a tenth of a cold start; its Logger is imported when there is something to say beside the line.

No secret, token, full number or text goes in: callers pass ids, codes, names and the last four digits of a number.
"""

import gc
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger


class _Log:
    """Powertools' Logger, made when it is first used: most invocations have nothing to say beside their line."""

    @cached_property
    def _logger(self) -> "Logger":
        from aws_lambda_powertools import Logger  # noqa: PLC0415

        return Logger(service=os.environ.get("POWERTOOLS_SERVICE_NAME", "voice-gateway"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._logger, name)


log: Any = _Log()

NAMESPACE = "VoiceGateway"


class Record:
    """The fields and the metrics of one invocation's line."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.counts: dict[str, float] = {}
        self.by_vendor: dict[str, float] = {}

    def note(self, **fields: Any) -> None:
        """Adds fields to the invocation's line; None is left out."""
        self.fields.update({name: value for name, value in fields.items() if value is not None})

    def count(self, metric: str, by: float = 1) -> None:
        """Adds to a metric of the invocation."""
        self.counts[metric] = self.counts.get(metric, 0) + by

    def count_of_vendor(self, vendor: str, metric: str, value: float = 1) -> None:
        """Sets a metric that has the vendor as a dimension too. A line is of one vendor: the last one named."""
        self.fields["vendor"] = vendor
        self.by_vendor[metric] = value


class Invocation(NamedTuple):
    """One invocation: the seconds that it has left, and the line that it will write."""

    remaining: Callable[[], float]
    record: Record


@contextmanager
def invocation(context: Any, function: str) -> Iterator[Record]:
    """Wraps one invocation: whatever happens, one line is written, with what was noted and how long it took."""
    _begin()
    record = Record()
    record.note(request_id=getattr(context, "aws_request_id", None))
    started = time.perf_counter()
    try:
        yield record
    except BaseException as error:
        record.note(raised=type(error).__name__)
        record.count("Raised")
        raise
    finally:
        record.count("DurationMs", round((time.perf_counter() - started) * 1000, 1))
        emit(function, record)
        if not gc.isenabled():  # the package turned it off while it was imported
            gc.freeze()
            gc.enable()


@cache
def _begin() -> None:
    """Before the first invocation: of what a snapshot may hold (SnapStart), all copies would have the same chances.

    All else that must not be in one, clients, connections, secrets and the time, is made or read when it is needed.
    """
    random.seed()


def emit(service: str, record: Record, **dimensions: str) -> None:
    """Writes the line: metrics with the dimensions stack, service and those given, and the fields beside them."""
    named = {"stack": os.environ.get("STACK_NAME", "voice-gateway"), **dimensions, "service": service}
    metrics = [_metrics(list(named), record.counts)]
    if record.by_vendor:
        metrics.append(_metrics(["stack", "vendor", "service"], record.by_vendor))
    line = {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": metrics},
        **named,
        **record.fields,
        **{name: [float(value)] for name, value in (record.counts | record.by_vendor).items()},
    }
    print(json.dumps(line, separators=(",", ":")), flush=True)  # noqa: T201 -- CloudWatch reads what is printed


def _metrics(dimensions: list[str], values: dict[str, float]) -> dict[str, Any]:
    """What tells CloudWatch which of the line's members are metrics, and by what they are told apart."""
    units = [{"Name": name, "Unit": _unit(name)} for name in values]
    return {"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": units}


def _unit(metric: str) -> str:
    if metric.endswith("Seconds"):
        return "Seconds"
    return "Milliseconds" if metric.endswith("Ms") else "Count"
