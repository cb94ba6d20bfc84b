"""The line of an invocation, and what must not be the same in every copy of a snapshot (SnapStart)."""

import gc
import json
import random
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from voice_gateway.platform import observability
from voice_gateway.platform.observability import NAMESPACE, Record, emit, invocation

from local.metrics import emf
from local.places import ROOT
from tests.found import FOLDERS

UNITS = {"DurationMs": MetricUnit.Milliseconds, "RequestToRingSeconds": MetricUnit.Seconds}
CONTEXT = SimpleNamespace(aws_request_id="request-1")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def by_powertools(service: str, record: Record, **dimensions: str) -> None:
    metrics = EphemeralMetrics(namespace=NAMESPACE, service=service)
    for name, value in {"stack": "voice-gateway", **dimensions}.items():
        metrics.add_dimension(name=name, value=value)
    for name, count in record.counts.items():
        unit = UNITS.get(name, MetricUnit.Count)
        metrics.add_metric(name=name, unit=unit, value=count)
    for name, field in record.fields.items():
        metrics.add_metadata(key=name, value=field)
    metrics.flush_metrics()


@pytest.mark.parametrize("dimensions", [{}, {"vendor": "dxtong"}], ids=["plain", "vendor"])
def test_the_line_is_the_one_that_powertools_metrics_writes(
    dimensions: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that CloudWatch makes metrics of it, with the same dimensions as the alarms ask for."""
    monkeypatch.delenv("STACK_NAME", raising=False)
    record = Record()
    record.note(message_id="m1", call_id="顺丰", replayed=True, nothing=None, vendor_ms=12)
    record.count("Accepted")
    record.count("DurationMs", 12.3)
    record.count("RequestToRingSeconds", 1.5)
    emit("send", record, **dimensions)
    by_powertools("send", record, **dimensions)
    ours, theirs = lines(capsys)
    assert abs(ours["_aws"].pop("Timestamp") - theirs["_aws"].pop("Timestamp")) < 60_000
    assert ours == theirs
    assert ours["Accepted"] == [1.0]


def test_what_is_counted_by_vendor_is_in_the_same_line(capsys: pytest.CaptureFixture[str]) -> None:
    """With dimensions of its own; the others keep theirs, which the alarms ask for."""
    record = Record()
    record.note(vendor="jumdata")
    record.count("Published")
    record.count_of_vendor("dxtong", "Delivered")
    record.by_vendor["RingToReceiptSeconds"] = 12.5
    emit("publish", record)
    (line,) = lines(capsys)
    by_service, by_vendor = line["_aws"]["CloudWatchMetrics"]
    assert by_service["Dimensions"] == [["stack", "service"]]
    assert by_service["Metrics"] == [{"Name": "Published", "Unit": "Count"}]
    assert by_vendor["Dimensions"] == [["stack", "vendor", "service"]]
    assert by_vendor["Metrics"] == [
        {"Name": "Delivered", "Unit": "Count"},
        {"Name": "RingToReceiptSeconds", "Unit": "Seconds"},
    ]
    assert (line["vendor"], line["service"]) == ("dxtong", "publish")
    assert (line["Published"], line["Delivered"], line["RingToReceiptSeconds"]) == ([1.0], [1.0], [12.5])


def test_the_local_stack_makes_the_metrics_that_cloudwatch_would(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STACK_NAME", raising=False)
    record = Record()
    record.count("Published")
    record.count_of_vendor("dxtong", "Delivered")
    emit("publish", record)
    made = [(namespace, each) for namespace, data in emf(capsys.readouterr().out) for each in data]
    stack, service = (
        {"Name": name, "Value": value} for name, value in (("stack", "voice-gateway"), ("service", "publish"))
    )
    assert made == [
        (NAMESPACE, {"MetricName": "Published", "Dimensions": [stack, service], "Value": 1.0}),
        (
            NAMESPACE,
            {
                "MetricName": "Delivered",
                "Dimensions": [stack, {"Name": "vendor", "Value": "dxtong"}, service],
                "Value": 1.0,
            },
        ),
    ]


def test_the_local_stack_takes_a_metric_with_several_sets_of_dimensions_and_leaves_out_what_is_not_there() -> None:
    """As CloudWatch does, which makes no metric of what the line does not hold."""
    sets = [["stack"], ["stack", "vendor"], []]
    metrics = [{"Name": "Delivered"}, {"Name": "Failed"}]
    directives = [{"Namespace": "N", "Dimensions": sets, "Metrics": metrics}]
    line = {"_aws": {"CloudWatchMetrics": directives}, "stack": "s", "Delivered": [1, 2]}
    ((namespace, data),) = emf(json.dumps(line))
    assert namespace == "N"
    assert [(len(each["Dimensions"]), each["Value"]) for each in data] == [(1, 1.0), (1, 2.0), (0, 1.0), (0, 2.0)]
    assert not list(emf("no json"))
    assert not list(emf('{"level": "ERROR"}'))


def test_an_invocation_writes_one_line_whatever_happens(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="so it is"), invocation(CONTEXT, "send"):
        raise ValueError("so it is")
    (line,) = lines(capsys)
    assert (line["service"], line["raised"], line["Raised"]) == ("send", "ValueError", [1.0])
    assert line["request_id"] == "request-1"


def test_every_copy_of_a_snapshot_has_its_own_chances(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes out of one snapshot would wait for the same random time, and crowd the same part of a pace."""
    chances = []
    for _ in range(2):
        random.seed("the snapshot")
        observability._begin.cache_clear()
        with invocation(CONTEXT, "send"):
            chances.append(random.random())
    assert chances[0] != chances[1]


def test_a_later_invocation_is_left_alone() -> None:
    with invocation(CONTEXT, "send"):
        pass
    random.seed(1)
    with invocation(CONTEXT, "send"):
        chance = random.random()
    random.seed(1)
    assert chance == random.random()


IMPORTED = """
import gc, sys, threading
sys.path.insert(0, {folder!r})
import app
from voice_gateway.platform import aws, settings, tls
assert aws.client.cache_info().currsize == 0, "a client"
assert aws._session.cache_info().currsize == 0, "a session, with credentials"
assert tls.tls.cache_info().currsize == 0, "a TLS context"
assert settings.settings.cache_info().currsize == 0, "settings"
made = [name for name, value in vars(app).items() if hasattr(value, "cache_info") and value.cache_info().currsize]
assert not made, made
assert threading.active_count() == 1
from voice_gateway.vendors.common import exchange
assert not exchange._free
print(gc.isenabled())
"""


@pytest.mark.parametrize("folder", FOLDERS)
def test_to_import_a_function_makes_nothing_that_must_not_be_in_a_snapshot(folder: str) -> None:
    """No client, connection, secret, setting or thread: each is made in the first invocation, after a restore."""
    code = IMPORTED.format(folder=str(ROOT / "functions" / folder))
    for name, collects in (("AWS_LAMBDA_FUNCTION_NAME", "False"), ("NOT_ON_LAMBDA", "True")):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={name: "f"}
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == collects


def test_from_the_first_invocation_on_garbage_is_collected() -> None:
    gc.disable()
    with invocation(CONTEXT, "send"):
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.unfreeze()
