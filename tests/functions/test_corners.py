"""Corners where a receipt could be lost, given to another message, or shown: each was once wrong."""

import time
from typing import Any

import pytest
import time_machine
from moto import mock_aws

from local.simulators.dxtong import DxtongSimulator
from local.simulators.jumdata import JumdataSimulator
from tests.functions.test_callbacks import dxtong_receipt, push_dxtong, succeeded
from tests.functions.test_send import MORNING, NIGHT, SHIPPED, number
from tests.gateway import Gateway, deployed

REDIAL = {"on_unknown": "redial_once", **SHIPPED}


def test_a_redialled_message_gets_the_first_calls_receipt_though_the_second_was_accepted(gateway: Gateway) -> None:
    start = time.time()
    gateway.send(message_id="m1", mobile=number(86), **REDIAL)
    first = number(86)
    with time_machine.travel(start + 320):
        gateway.sweep()
        (envelope,) = gateway.taken("urgent")
        item = "MSG#m1"
        gateway.take_up(envelope)
        # as if jumdata had taken it: no simulator's number is lost at one vendor and taken by the other
        table, key = gateway.environ["CALLS_TABLE"], {"pk": {"S": item}}
        gateway.client("dynamodb").update_item(
            TableName=table,
            Key=key,
            UpdateExpression="SET st = :a, call_id = :c, look_at = :l",
            ExpressionAttributeValues={":a": {"S": "accepted"}, ":c": {"S": "j1"}, ":l": {"N": str(int(start + 9999))}},
        )
        assert succeeded(push_dxtong(gateway, dxtong_receipt("77777777", "-6", first)))
    with time_machine.travel(start + 500):
        gateway.sweep()
    assert gateway.status("m1")["status"] == "failed"


def test_a_receipt_that_came_just_now_is_left_to_its_own_sender(gateway: Gateway) -> None:
    start = time.time()
    gateway.send(message_id="m1", mobile=number(90), vendor="dxtong", **REDIAL)
    with time_machine.travel(start + 320):
        gateway.sweep()
        (envelope,) = gateway.taken("urgent")
        gateway.take_up(envelope)
        push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
    with time_machine.travel(start + 440):
        push_dxtong(gateway, dxtong_receipt("88888888", "2", number(90)))  # of a message that is being sent
        gateway.sweep()
    assert "message" not in (gateway.item("CALL#dxtong#88888888") or {})


def test_a_receipt_that_can_be_nobodys_is_counted(gateway: Gateway) -> None:
    start = time.time()
    gateway.send(message_id="m1", mobile=number(90), vendor="dxtong", **SHIPPED)
    with time_machine.travel(start + 7200):
        assert succeeded(push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90))))
    counts: dict[str, Any] = {}
    for seconds in (7260, 7320, 7380):
        with time_machine.travel(start + seconds):
            counts |= gateway.sweep()
    assert "UnlinkedReceipts" in counts


def test_a_deferred_message_with_text_that_topics_refuse_is_sent(
    dxtong: DxtongSimulator, jumdata: JumdataSimulator
) -> None:
    endpoints = {"dxtong": dxtong.address, "jumdata": jumdata.address}
    with mock_aws(), deployed(endpoints, JUMDATA_HOURS="09:00-21:00") as gateway:
        with time_machine.travel(NIGHT):
            gateway.send(message_id="m1", mobile=number(0), vendor="jumdata", notify_data="\uffff", **SHIPPED)
        with time_machine.travel(MORNING):
            gateway.sweep()
            (envelope,) = gateway.taken("urgent")
            assert gateway.take_up(envelope)["status"] == "accepted"


def test_a_receipt_of_before_its_call_stops_no_redial(gateway: Gateway) -> None:
    start = time.time()
    push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
    with time_machine.travel(start + 3600):
        gateway.send(message_id="m1", mobile=number(90), vendor="dxtong", **REDIAL)
    with time_machine.travel(start + 4000):
        gateway.sweep()
        assert gateway.taken("urgent")


def test_a_receipt_of_another_number_does_not_hide_the_right_one(gateway: Gateway) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    push_dxtong(gateway, dxtong_receipt(sent["call_id"], "2", number(1)))
    assert succeeded(push_dxtong(gateway, dxtong_receipt(sent["call_id"], "-6", number(0))))
    assert gateway.status("m1")["status"] == "failed"


@pytest.mark.parametrize("message_id", ["\ud800", "", "a" * 129, None])
def test_what_only_looks_like_an_event_of_sns_is_a_bad_request(gateway: Gateway, message_id: str | None) -> None:
    event = {"Records": [{"Sns": {"Message": "{", "MessageId": message_id}}]}
    result = gateway.invoke("send", event)
    assert (result["status"], result["error"]["code"]) == ("rejected", "invalid_request")
    assert "Records" in result["error"]["message"]
