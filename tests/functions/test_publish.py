"""`publish` through its handler, with the event that the table's stream really delivers (events/publish.json)."""

import copy
import json
from typing import Any

import pytest
from voice_gateway.model.errors import AwsUnavailable

from tests.functions.test_send import Wire
from tests.gateway import ROOT, Gateway

EVENT: dict[str, Any] = json.loads((ROOT / "events" / "publish.json").read_text())


def change(old: str | None, new: str, message_id: str = "order-9633") -> dict[str, Any]:
    record = copy.deepcopy(EVENT["Records"][0])
    images = record["dynamodb"]
    images["NewImage"] |= {"st": {"S": new}, "pk": {"S": f"MSG#{message_id}"}}
    images["SequenceNumber"] = str(hash(message_id) % 10**12)
    if old is None:
        record["eventName"] = "INSERT"
        del images["OldImage"]
    else:
        images["OldImage"]["st"] = {"S": old}
    return {"Records": [record]}


def test_a_result_is_published_with_attributes_to_filter_by(gateway: Gateway) -> None:
    assert gateway.invoke("publish", EVENT) == {"batchItemFailures": []}
    (envelope,) = gateway.taken("results")
    result = json.loads(envelope["Message"])
    assert "replayed" not in result
    assert (result["message_id"], result["status"], result["notify_data"]) == ("order-9633", "delivered", "warehouse-7")
    assert result["receipt"]["talk_seconds"] == 12
    attributes = {name: value["Value"] for name, value in envelope["MessageAttributes"].items()}
    given = {"status": "delivered", "vendor": "dxtong", "template": "order_shipped"}
    assert attributes == {**given, "ring": "1", "priority": "urgent"}
    assert envelope["MessageAttributes"]["ring"]["Type"] == "Number"


@pytest.mark.parametrize(
    ("old", "new", "published"),
    [
        (None, "calling", False),
        (None, "rejected", True),
        (None, "due", False),
        ("calling", "accepted", True),
        ("calling", "released", False),
        ("calling", "unknown", True),
        ("unknown", "unknown", False),
        ("unknown", "delivered", True),
        ("accepted", "accepted", False),
        ("accepted", "failed", True),
        ("released", "expired", True),
        ("delivered", "delivered", False),
    ],
)
def test_only_changes_that_a_caller_must_learn_of(gateway: Gateway, old: str | None, new: str, published: bool) -> None:
    gateway.invoke("publish", change(old, new))
    assert len(gateway.taken("results")) == published


def test_a_refused_request_that_takes_anothers_place_is_told(gateway: Gateway) -> None:
    taken_over = change("rejected", "rejected")
    gateway.invoke("publish", taken_over)
    assert gateway.taken("results") == []
    taken_over["Records"][0]["dynamodb"]["OldImage"]["attempt"] = {"S": "another"}
    gateway.invoke("publish", taken_over)
    assert len(gateway.taken("results")) == 1


def test_what_the_topic_does_not_take_goes_through_the_outbox(gateway: Gateway) -> None:
    wire = Wire(gateway)
    wire.failing = {"Publish"}
    assert gateway.invoke("publish", EVENT) == {"batchItemFailures": []}
    wire.failing = set()
    gateway.sweep()
    (envelope,) = gateway.taken("results")
    assert json.loads(envelope["Message"])["status"] == "delivered"
    assert envelope["MessageAttributes"]["status"]["Value"] == "delivered"


def test_records_that_neither_takes_are_named_and_the_others_published(gateway: Gateway) -> None:
    wire = Wire(gateway)
    batch = {
        "Records": [*change("calling", "accepted", "m1")["Records"], *change("calling", "accepted", "m2")["Records"]]
    }
    wire.fail_next("Publish", times=1)
    wire.fail_next("SendMessage", times=1)
    failed = gateway.invoke("publish", batch)["batchItemFailures"]
    assert failed == [{"itemIdentifier": batch["Records"][0]["dynamodb"]["SequenceNumber"]}]
    assert [json.loads(e["Message"])["message_id"] for e in gateway.taken("results")] == ["m2"]


def test_a_whole_batch_that_neither_takes_is_raised(gateway: Gateway) -> None:
    wire = Wire(gateway)
    wire.failing = {"Publish", "SendMessage"}
    with pytest.raises(AwsUnavailable):
        gateway.invoke("publish", EVENT)
