"""What the functions measure beside what they do: the metrics of the dashboard, in the line that is written anyway."""

import json
import time
from typing import Any

import pytest
import time_machine
from voice_gateway.model.sequence import Ring, rings_to_json

from local.simulators.dxtong import DxtongSimulator
from tests.functions.test_lanes import envelope, request
from tests.functions.test_publish import change
from tests.functions.test_send import SHIPPED, Wire, _in, number
from tests.gateway import Gateway

Lines = list[dict[str, Any]]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    """What a function wrote since it was last asked for."""

    def lines(service: str) -> Lines:
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [line for line in found if line.get("service") == service and "_aws" in line]

    return lines


def by_vendor(line: dict[str, Any]) -> dict[str, Any]:
    """The metrics that have the vendor as a dimension, and that vendor."""
    found = [each for each in line["_aws"]["CloudWatchMetrics"] if "vendor" in each["Dimensions"][0]]
    names = [metric["Name"] for each in found for metric in each["Metrics"]]
    return {"vendor": line["vendor"], **{name: line[name][0] for name in names}} if names else {}


# publish: what became of calls.


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("calling", "accepted", {"vendor": "dxtong", "Accepted": 1.0}),
        ("calling", "unknown", {"vendor": "dxtong", "Unknown": 1.0}),
        ("calling", "rejected", {"vendor": "dxtong", "Rejected": 1.0}),
        ("accepted", "accepted", {}),
        ("accepted", "calling", {}),
    ],
)
def test_an_outcome_is_counted_by_its_vendor(
    gateway: Gateway, printed: Any, old: str, new: str, expected: dict[str, Any]
) -> None:
    gateway.invoke("publish", change(old, new))
    (line,) = printed("publish")
    assert by_vendor(line) == expected


def test_a_receipt_is_measured_from_the_ring_on(gateway: Gateway, printed: Any) -> None:
    event = change("accepted", "failed")
    image = event["Records"][0]["dynamodb"]["NewImage"]
    image |= {"called_at": {"N": "1795316600.25"}, "updated_at": {"N": "1795316622.75"}}
    gateway.invoke("publish", event)
    (line,) = printed("publish")
    assert by_vendor(line) == {"vendor": "dxtong", "Failed": 1.0, "RingToReceiptSeconds": 22.5}


@pytest.mark.parametrize(("old", "new"), [(None, "rejected"), ("released", "expired"), ("due", "cancelled")])
def test_of_a_message_that_ended_without_a_call_there_is_no_vendor(
    gateway: Gateway, printed: Any, old: str | None, new: str
) -> None:
    event = change(old, new)
    images = event["Records"][0]["dynamodb"]
    for image in (images["NewImage"], images.get("OldImage", {})):
        for name in ("ring", "called_at"):
            image.pop(name, None)
    gateway.invoke("publish", event)
    (line,) = printed("publish")
    assert by_vendor(line) == {"vendor": "none", new.title(): 1.0}


def in_a_sequence(status: str, state: str, vendor: str, before: str | None) -> dict[str, Any]:
    """A change of the first of two rings; ``before`` is how it stood, if it was over then."""
    event = change(state, state)
    images = event["Records"][0]["dynamodb"]
    ring = Ring(1, "8000", status, 1795316600.0, vendor)
    past = {"S": rings_to_json((ring,))}
    images["NewImage"] |= {"past": past, "ring": {"N": "2"}, "vendor": {"S": "dxtong"}}
    images["OldImage"] |= {"ring": {"N": "2" if before else "1"}}
    if before:
        images["OldImage"]["past"] = {"S": rings_to_json((ring.but(status=before),))}
    return event


def test_a_late_receipt_is_counted_for_the_ring_that_it_is_of(gateway: Gateway, printed: Any) -> None:
    gateway.invoke("publish", in_a_sequence("failed", "accepted", "jumdata", before="accepted"))
    (line,) = printed("publish")
    counted = by_vendor(line)
    assert counted.pop("RingToReceiptSeconds") > 0
    assert counted == {"vendor": "jumdata", "Failed": 1.0}


def test_a_ring_that_is_left_behind_is_not_counted_again(gateway: Gateway, printed: Any) -> None:
    event = in_a_sequence("accepted", "due", "dxtong", before=None)
    event["Records"][0]["dynamodb"]["OldImage"]["st"] = {"S": "accepted"}
    gateway.invoke("publish", event)
    (line,) = printed("publish")
    assert line["Published"] == [1.0]
    assert not by_vendor(line)


def test_each_message_of_a_batch_has_its_own_line_and_vendor(gateway: Gateway, printed: Any) -> None:
    batch = [change("calling", "accepted", f"m{at}")["Records"][0] for at in range(2)]
    batch[1]["dynamodb"]["NewImage"]["vendor"] = {"S": "jumdata"}
    gateway.invoke("publish", {"Records": batch})
    assert sorted(by_vendor(line)["vendor"] for line in printed("publish")) == ["dxtong", "jumdata"]


def test_what_comes_again_is_counted_once(gateway: Gateway, printed: Any) -> None:
    wire = Wire(gateway)
    wire.fail_next("Publish", times=1)
    wire.fail_next("SendMessage", times=1)
    batch = {"Records": [change("calling", "accepted", f"m{at}")["Records"][0] for at in range(2)]}
    again = gateway.invoke("publish", batch)["batchItemFailures"]
    assert len(again) == 1
    gateway.invoke("publish", {"Records": batch["Records"][:1]})
    assert sum(by_vendor(line).get("Accepted", 0) for line in printed("publish")) == 2


# send: from the request to the ring.


def measured(lines: Lines) -> list[float]:
    return [line["RequestToRingSeconds"][0] for line in lines if "RequestToRingSeconds" in line]


def test_by_the_topic_it_is_measured_from_when_the_topic_took_it(gateway: Gateway, printed: Any) -> None:
    with time_machine.travel(1795316649.75, tick=False):
        for message_id, moment in (("a", "2026-11-22T03:04:05.250Z"), ("b", "2026-11-22T03:04:09.250+00:00")):
            assert gateway.by_lane({**envelope(request()), "MessageId": message_id, "Timestamp": moment}) == []
    assert measured(printed("send")) == [4.5, 0.5]


@pytest.mark.parametrize("moment", [None, 5, "", "yesterday", "0001-01-01T00:00:00"])
def test_a_moment_that_cannot_be_read_does_no_harm(gateway: Gateway, printed: Any, moment: Any) -> None:
    assert gateway.by_lane({**envelope(request()), "Timestamp": moment}) == []
    assert gateway.status("sns-1")["status"] == "accepted"
    (seconds,) = measured(printed("send"))
    assert seconds >= 0


def test_by_invoke_it_is_measured_from_its_beginning(gateway: Gateway, printed: Any) -> None:
    began = time.time()
    gateway.send(**request(message_id="m1"))
    took = time.time() - began
    (line,) = printed("send")
    assert 0 < line["RequestToRingSeconds"][0] <= took
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert {"Name": "RequestToRingSeconds", "Unit": "Seconds"} in directive["Metrics"]
    assert directive["Dimensions"] == [["stack", "service"]]


def test_what_was_put_off_is_not_measured(gateway: Gateway, printed: Any) -> None:
    wire = Wire(gateway)
    gateway.send(**request(message_id="warm"))
    printed("send")
    wire.fail_next("PutItem", times=1)
    assert gateway.send(**request(1, message_id="m1"))["status"] == "deferred"
    with time_machine.travel(_in(600)):
        gateway.sweep()
        for handed_over in gateway.taken("urgent"):
            assert gateway.take_up(handed_over)["status"] == "accepted"
    assert measured(printed("send")) == []


@pytest.mark.parametrize("ending", [14, 92])
def test_what_no_vendor_took_is_not_measured(gateway: Gateway, printed: Any, ending: int) -> None:
    gateway.send(**request(ending, message_id="m1"))
    gateway.send(**request(ending, message_id="m1"))  # nor is what was stored before
    assert measured(printed("send")) == []


def test_a_line_says_which_vendors_did_not_take_the_call(
    gateway: Gateway, dxtong: DxtongSimulator, printed: Any
) -> None:
    """Also where another took it, whose result holds no error."""
    assert gateway.send(message_id="m1", mobile=number(19), **SHIPPED)["vendor"] == "jumdata"
    gateway.send(**request(14, message_id="m2"))
    gateway.send(**request(0, message_id="m3"))
    assert [line.get("not_taken") for line in printed("send")] == [
        "dxtong insufficient_credit 4051",
        "dxtong invalid_mobile 403",
        None,
    ]
