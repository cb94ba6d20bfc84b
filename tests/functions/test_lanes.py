"""The lanes and the pace, through the handlers: what goes back, what moves on, and when a call begins."""

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from moto import mock_aws

from local.simulators.dxtong import DxtongSimulator
from local.simulators.jumdata import JumdataSimulator
from tests.functions.test_callbacks import dxtong_receipt, push_dxtong
from tests.functions.test_send import SHIPPED, Wire, _in, number, submits
from tests.gateway import ROOT, Gateway, deployed

DXTONG: dict[str, Any] = {"vendor": "dxtong", **SHIPPED}


def envelope(message: Any, message_id: str = "sns-1", **attributes: str) -> dict[str, Any]:
    """What SNS puts into a queue."""
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    given = {name: {"Type": "String", "Value": value} for name, value in attributes.items()}
    more = {"MessageAttributes": given} if given else {}
    return {"Type": "Notification", "MessageId": message_id, "TopicArn": "arn", "Message": text, **more}


def request(ending: int = 0, **over: Any) -> dict[str, Any]:
    return {"mobile": number(ending), **DXTONG, **over}


def rung(simulator: DxtongSimulator | JumdataSimulator) -> list[str]:
    return [each["mobile"][-2:] for each in submits(simulator)]


def priorities(gateway: Gateway) -> set[str]:
    return {told["MessageAttributes"]["priority"]["Value"] for told in gateway.taken("results")}


def tell(gateway: Gateway, message_id: str) -> None:
    """Hands the message as it is stored to ``publish``."""
    found = gateway.client("dynamodb").get_item(
        TableName=gateway.environ["CALLS_TABLE"], Key={"pk": {"S": f"MSG#{message_id}"}}
    )
    record = {"eventName": "INSERT", "dynamodb": {"NewImage": found["Item"], "SequenceNumber": "1"}}
    gateway.invoke("publish", {"Records": [record]})


@pytest.fixture
def paced(dxtong: DxtongSimulator, jumdata: JumdataSimulator) -> Iterator[Gateway]:
    """Four calls a second at dxtong."""
    endpoints = {"dxtong": dxtong.address, "jumdata": jumdata.address}
    with mock_aws(), deployed(endpoints, DXTONG_PER_SECOND="4") as gateway:
        yield gateway


# By a lane.


def test_the_sample_event_is_rung(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    event = json.loads((ROOT / "events" / "send_sqs.json").read_text())
    assert gateway.invoke("send", event) == {"batchItemFailures": []}
    assert gateway.status("order-9635")["status"] == "accepted"
    assert len(submits(dxtong)) == 1


def test_the_default_id_is_that_of_sns(gateway: Gateway) -> None:
    assert gateway.by_lane(envelope(request(), "95df01b4-ee98-5cb9-9903-4c221d41eb5e")) == []
    assert gateway.status("95df01b4-ee98-5cb9-9903-4c221d41eb5e")["status"] == "accepted"


@pytest.mark.parametrize("message", ["no json", "[]", "", '"text"', "{}"])
def test_a_bad_request_is_told_and_does_not_come_again(gateway: Gateway, message: str) -> None:
    assert gateway.by_lane(envelope(message)) == []
    result = gateway.status("sns-1")
    assert (result["status"], result["error"]["code"]) == ("rejected", "invalid_request")


def test_whatever_else_lies_in_a_lane_is_taken_for_a_request(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    """Somebody put a request, or nonsense, into the queue by hand."""
    odd = ["nonsense", {"handed_over": {"message_id": "x"}}, {"Type": "Notification", "Message": 7}]
    assert gateway.by_lane(request(message_id="by-hand"), *odd) == []
    assert gateway.status("by-hand")["status"] == "accepted"
    assert [gateway.status(f"sqs-{at}")["error"]["code"] for at in (1, 2, 3)] == ["invalid_request"] * 3
    assert len(submits(dxtong)) == 1


def test_only_what_failed_comes_again_and_nothing_rings_twice(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    batch = [envelope(request(at, message_id=f"m{at}")) for at in range(3)]
    gateway.send(message_id="warm", mobile=number(9), **DXTONG)
    wire = Wire(gateway)
    wire.fail_next("PutItem", times=1, after=1)  # the second message's claim
    wire.fail_next("SendMessage", times=1)
    wire.fail_next("UpdateItem", times=1, after=2)  # and then its release; a link and an outcome came before
    assert gateway.by_lane(*batch) == ["sqs-1"]
    assert gateway.by_lane(*batch) == []
    assert sorted(rung(dxtong)) == ["00", "01", "02", "09"]


def test_a_live_lease_goes_back(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    """The holder may yet fail: then the message must still be somewhere."""
    wire = Wire(gateway)
    wire.failing = {"UpdateItem", "SendMessage"}
    gateway.send(message_id="m1", mobile=number(0), **DXTONG)
    wire.failing = set()
    assert gateway.by_lane(envelope(request(message_id="m1"))) == ["sqs-0"]
    with time_machine.travel(_in(70)):
        assert gateway.by_lane(envelope(request(message_id="m1"))) == []
    assert gateway.status("m1")["status"] == "unknown"
    assert len(submits(dxtong)) == 1


# Which lane.


@pytest.mark.parametrize("value", ["", "low", "BULK", 1, None, ["bulk"]])
def test_a_priority_is_urgent_or_bulk(gateway: Gateway, value: Any) -> None:
    result = gateway.send(message_id="m1", mobile=number(0), priority=value, **DXTONG)
    assert result["error"]["message"] == "priority: must be urgent or bulk"


def test_what_only_its_text_calls_bulk_moves_on_as_it_came(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    body = envelope(request(priority="bulk"))
    assert gateway.by_lane(body) == []
    assert not submits(dxtong)
    (moved,) = gateway.taken("bulk")
    assert moved == body
    assert gateway.by_lane(moved, lane="bulk") == []
    assert gateway.status("sns-1")["status"] == "accepted", "the id is still that of SNS"


def test_what_cannot_move_on_comes_again(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    wire = Wire(gateway)
    wire.failing = {"SendMessage"}
    assert gateway.by_lane(envelope(request(priority="bulk"))) == ["sqs-0"]
    assert not submits(dxtong)


def test_the_lane_is_the_priority_of_a_request_that_does_not_say(gateway: Gateway) -> None:
    cases: list[tuple[str, str, dict[str, Any], str]] = [
        ("m1", "bulk", {}, "bulk"),
        ("m2", "bulk", {"priority": "urgent"}, "urgent"),
        ("m3", "bulk", {"priority": "bulk"}, "bulk"),
        ("m4", "urgent", {}, "urgent"),
    ]
    for message_id, lane, over, expected in cases:
        gateway.by_lane(envelope(request(message_id=message_id, **over)), lane=lane)
        tell(gateway, message_id)
        assert priorities(gateway) == {expected}, message_id


def test_a_message_is_handed_over_by_its_own_lane(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    gateway.by_lane(envelope(request(1, message_id="m1", not_before=soon)), lane="bulk")
    gateway.by_lane(envelope(request(2, message_id="m2", not_before=soon)))
    with time_machine.travel(_in(70)):
        assert gateway.sweep()["Due"] == 2
        (bulk,), (urgent,) = gateway.taken("bulk"), gateway.taken("urgent")
        assert (gateway.take_up(bulk)["message_id"], gateway.take_up(urgent)["message_id"]) == ("m1", "m2")
    assert sorted(rung(dxtong)) == ["01", "02"]


# What a hand-over costs, and what it survives.


def test_a_deferred_message_takes_six_requests_to_aws_at_most(gateway: Gateway) -> None:
    gateway.send(message_id="warm", mobile=number(9), **DXTONG)
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    for vendor in ("dxtong", "jumdata"):
        wire = Wire(gateway)
        for at in range(10):
            more: dict[str, Any] = {"vendor": vendor, "not_before": soon, **SHIPPED}
            gateway.send(message_id=f"{vendor}-{at}", mobile=number(at), **more)
        sent = len(wire.operations)
        with time_machine.travel(_in(70)):
            gateway.sweep()
            touched = wire.operations[sent:].count("UpdateItem") + wire.operations[sent:].count("SendMessageBatch")
            notes = gateway.taken("urgent")
            wire.operations.clear()
            gateway.by_lane(*notes)
        assert len(notes) == 10
        assert (sent + touched + len(wire.operations)) / 10 <= 6, vendor


def test_what_is_due_is_handed_over_in_batches_once(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    for at in range(40):
        gateway.send(message_id=f"m{at}", mobile=number(at % 10), not_before=soon, **DXTONG)
    with time_machine.travel(_in(70)):
        assert gateway.sweep()["Due"] == 40
        assert "Due" not in gateway.sweep()
        assert gateway.by_lane(*gateway.taken("urgent")) == []
    assert len(submits(dxtong)) == 40


def test_what_the_queue_did_not_take_is_handed_over_by_the_next_run(gateway: Gateway) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    gateway.send(message_id="m1", mobile=number(0), not_before=soon, **DXTONG)
    wire = Wire(gateway)
    wire.failing = {"SendMessageBatch"}
    with time_machine.travel(_in(70)):
        assert gateway.sweep()["PartFailed"] == 1
        wire.failing = set()
        assert gateway.sweep()["Due"] == 1


def test_a_hand_over_that_comes_late_or_twice_rings_nobody_again(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    """It is claimed as it was seen: once it is not so any more, the stored message decides."""
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    gateway.send(message_id="m1", mobile=number(0), not_before=soon, **DXTONG)
    gateway.send(message_id="m2", mobile=number(1), not_before=soon, **DXTONG)
    with time_machine.travel(_in(70)):
        gateway.sweep()
        notes = gateway.taken("urgent")
        gateway.invoke("cancel", {"message_id": "m2"})
        for _ in range(3):
            assert gateway.by_lane(*notes) == []
    assert rung(dxtong) == ["00"]
    assert gateway.status("m2")["status"] == "cancelled"


def test_what_waits_long_in_its_lane_is_handed_over_again_less_and_less_often(gateway: Gateway) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    gateway.send(message_id="m1", mobile=number(0), not_before=soon, **DXTONG)
    times = []
    for minute in range(2, 200, 7):
        with time_machine.travel(_in(60 * minute)):
            times += [minute] * int(gateway.sweep().get("Due", 0))
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert times[0] == 2
    assert 3 <= len(times) <= 5
    assert gaps == sorted(gaps)


# Pace.


def test_calls_begin_no_faster_than_the_pace_and_none_waits_for_long(paced: Gateway, dxtong: DxtongSimulator) -> None:
    paced.send(message_id="warm", mobile=number(9), **DXTONG)
    began, waits = time.monotonic(), []
    for at in range(8):
        before = time.monotonic()
        assert paced.send(message_id=f"m{at}", mobile=number(at), **DXTONG)["status"] == "accepted"
        waits.append(time.monotonic() - before)
    assert time.monotonic() - began > 7 / 4
    assert max(waits) < 3
    assert len(submits(dxtong)) == 9


def full(gateway: Gateway, ahead: float) -> None:
    """Others have all slots of the next seconds."""
    at = time.time() + ahead
    gateway.client("dynamodb").put_item(
        TableName=gateway.environ["CALLS_TABLE"],
        Item={"pk": {"S": "PACE#dxtong#0"}, "free_at": {"N": f"{at:.3f}"}, "v": {"N": "1"}},
    )


def test_a_direct_invoke_without_a_slot_is_deferred_and_rung_later(paced: Gateway, dxtong: DxtongSimulator) -> None:
    full(paced, 60)
    before = time.monotonic()
    deferred = paced.send(message_id="m1", mobile=number(0), **DXTONG)
    assert time.monotonic() - before < 2
    assert (deferred["status"], deferred["replayed"]) == ("deferred", False)
    assert "pace" in deferred["error"]["message"]
    assert deferred["deferred_until"]
    assert not submits(dxtong)
    with time_machine.travel(_in(70)):
        paced.sweep()
        (note,) = paced.taken("urgent")
        assert paced.take_up(note)["status"] == "accepted"


def test_without_a_slot_a_lane_keeps_its_message(paced: Gateway, dxtong: DxtongSimulator) -> None:
    wire = Wire(paced)
    for lane in ("urgent", "bulk"):
        full(paced, 60)
        wire.operations.clear()
        assert paced.by_lane(envelope(request(message_id=lane)), lane=lane) == ["sqs-0"]
        assert "ChangeMessageVisibility" in wire.operations
        assert paced.status(lane)["error"]["code"] == "not_found", "it is in its lane, and nowhere else"
    assert not submits(dxtong)


def test_what_came_too_often_is_kept_in_the_table_and_is_no_dead_letter(paced: Gateway) -> None:
    full(paced, 60)
    assert paced.by_lane(envelope(request(message_id="m1")), received=500) == []
    assert paced.status("m1")["status"] == "deferred"


def test_bulk_leaves_slots_to_what_is_urgent(paced: Gateway, dxtong: DxtongSimulator) -> None:
    """What is bulk takes slots of the next second only, what is urgent those of two."""
    full(paced, 1.8)
    before = time.monotonic()
    assert paced.by_lane(envelope(request(message_id="m1"))) == []
    assert time.monotonic() - before < 2.5
    full(paced, 3.5)
    assert paced.by_lane(envelope(request(1, message_id="m2")), lane="bulk") == ["sqs-0"]
    assert rung(dxtong) == ["00"]


def test_a_failover_waits_for_its_slot_too(dxtong: DxtongSimulator, jumdata: JumdataSimulator) -> None:
    endpoints = {"dxtong": dxtong.address, "jumdata": jumdata.address}
    with mock_aws(), deployed(endpoints, DXTONG_PER_SECOND="4", VENDOR_ORDER="jumdata,dxtong") as gateway:
        full(gateway, 60)
        jumdata.configure(balance=0)
        try:
            result = gateway.send(message_id="m1", mobile=number(0), content="您的订单号是:9634。")
            assert result["status"] == "deferred", "dxtong alone can carry it"
            gateway.client("ssm").put_parameter(
                Name="/voice-gateway-test/templates/order_shipped",
                Value=json.dumps(
                    {
                        "text": "{order}{carrier}",
                        "vendors": {"jumdata": {"template_id": "T1001", "params": ["order", "carrier"]}, "dxtong": {}},
                    }
                ),
                Type="String",
                Overwrite=True,
            )
            params = {"order": 1, "carrier": "a"}
            result = gateway.send(message_id="m2", mobile=number(1), template="order_shipped", params=params)
            assert result["status"] == "deferred"
        finally:
            jumdata.configure(balance=100000)
    assert not submits(dxtong)


# What an earlier release stored.


def as_before(gateway: Gateway, pk: str, look_at: str, more: str = "") -> None:
    """The item as the release before wrote it: in its index, and in none of today's."""
    gateway.client("dynamodb").update_item(
        TableName=gateway.environ["CALLS_TABLE"],
        Key={"pk": {"S": pk}},
        UpdateExpression=f"SET look_at = {look_at}{more} REMOVE #w, work_at, #n, number_at",
        ExpressionAttributeNames={"#w": "work", "#n": "number"},
    )


def test_what_the_release_before_deferred_is_rung(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    gateway.send(message_id="m1", mobile=number(0), not_before=soon, **DXTONG)
    as_before(gateway, "MSG#m1", "deferred_until")
    with time_machine.travel(_in(70)):
        told = gateway.sweep()
        assert (told["Adopted"], told["Due"]) == (1, 1)
        (note,) = gateway.taken("urgent")
        assert gateway.take_up(note)["status"] == "accepted"
        assert "Adopted" not in gateway.sweep()
    assert len(submits(dxtong)) == 1


def test_a_receipt_of_the_release_before_finds_its_message(gateway: Gateway) -> None:
    gateway.send(message_id="m1", mobile=number(90), **DXTONG)
    as_before(gateway, "MSG#m1", "called_at")
    push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
    gateway.client("dynamodb").update_item(
        TableName=gateway.environ["CALLS_TABLE"],
        Key={"pk": {"S": "CALL#dxtong#77777777"}},
        UpdateExpression="SET look_at = waiting, st = :w REMOVE #w, work_at, #n, number_at, marked_at",
        ExpressionAttributeNames={"#w": "work", "#n": "number"},
        ExpressionAttributeValues={":w": {"S": "waiting"}},
    )
    with time_machine.travel(_in(130)):
        assert gateway.sweep()["Adopted"] == 2
        gateway.sweep()
    assert gateway.status("m1")["linked_by"] == "number"


def test_what_the_release_before_settled_leaves_the_index(gateway: Gateway) -> None:
    """It runs beside this one for a while, and does not know that there is another index."""
    gateway.send(message_id="m1", mobile=number(0), **DXTONG)
    gateway.client("dynamodb").update_item(
        TableName=gateway.environ["CALLS_TABLE"],
        Key={"pk": {"S": "MSG#m1"}},
        UpdateExpression="SET st = :s REMOVE lease",
        ExpressionAttributeValues={":s": {"S": "delivered"}},
    )
    with time_machine.travel(_in(4000)):
        gateway.sweep()
    assert "work" not in (gateway.item("MSG#m1") or {})
    assert gateway.status("m1")["status"] == "delivered"
