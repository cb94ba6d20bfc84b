"""The only logger and the only metrics. Each invocation writes one line that is both log record and metrics (EMF).

No secret, token, full number or text goes in: callers pass ids, codes, names and the last four digits of a number.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

log = Logger(service=os.environ.get("POWERTOOLS_SERVICE_NAME", "voice-gateway"))

NAMESPACE = "VoiceGateway"


class Record:
    """The fields and the metrics of one invocation's line."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.counts: dict[str, float] = {}

    def note(self, **fields: Any) -> None:
        """Adds fields to the invocation's line; None is left out."""
        self.fields.update({name: value for name, value in fields.items() if value is not None})

    def count(self, metric: str, by: float = 1) -> None:
        """Adds to a metric of the invocation."""
        self.counts[metric] = self.counts.get(metric, 0) + by


@dataclass(frozen=True)
class Invocation:
    """One invocation: the seconds that it has left, and the line that it will write."""

    remaining: Callable[[], float]
    record: Record


@contextmanager
def invocation(context: Any, function: str) -> Iterator[Record]:
    """Wraps one invocation: whatever happens, one line is written, with what was noted and how long it took."""
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


def emit(service: str, record: Record, **dimensions: str) -> None:
    """Writes the line: metrics with the dimensions stack, service and those given, and the fields beside them."""
    metrics = EphemeralMetrics(namespace=NAMESPACE, service=service)
    stack = os.environ.get("STACK_NAME", "voice-gateway")
    for name, dimension in {"stack": stack, **dimensions}.items():
        metrics.add_dimension(name=name, value=dimension)
    for name, count in record.counts.items():
        unit = MetricUnit.Milliseconds if name.endswith("Ms") else MetricUnit.Count
        metrics.add_metric(name=name, unit=unit, value=count)
    for name, field in record.fields.items():
        metrics.add_metadata(key=name, value=field)
    metrics.flush_metrics()
