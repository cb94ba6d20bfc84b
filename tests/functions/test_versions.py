"""Two versions side by side, as while a deployment goes on: what the other wrote is read, settled and kept.

``make upgrade`` shows it with both versions deployed; here it is what a later or an earlier one may have written.
"""

import json
import time
from typing import Any

import boto3
import pytest
import time_machine

from local.simulators.jumdata import JumdataSimulator
from tests.functions.test_callbacks import dxtong_receipt, own_token, push_dxtong, push_jumdata, succeeded
from tests.functions.test_send import SHIPPED, Wire, number
from tests.gateway import REGION, Gateway

LATER = {"v": 2, "priority": "high", "ladder": {"step": 1}, "since": {"a", "b"}}
"""Attributes of a version to come."""
LACKING = ("redials", "unlinked", "asked", "expires_at", "on_unknown", "fingerprint", "template", "look_at", "ttl", "v")
"""Attributes that an earlier version may not have written."""


def table(gateway: Gateway) -> Any:
    return boto3.resource("dynamodb", region_name=REGION).Table(gateway.environ["CALLS_TABLE"])


def add(gateway: Gateway, pk: str, attributes: dict[str, Any]) -> None:
    table(gateway).put_item(Item={**(gateway.item(pk) or {}), **attributes})


def of_later(text: str) -> str:
    """The receipt as a later version writes it: canonical JSON, with a field more."""
    return json.dumps({**json.loads(text), "rated": 5}, sort_keys=True, ensure_ascii=False)


@pytest.mark.parametrize("vendor", ["dxtong", "jumdata"])
def test_a_message_of_a_later_version_is_read_and_settled_and_keeps_what_is_not_understood(
    gateway: Gateway, jumdata: JumdataSimulator, vendor: str
) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), vendor=vendor, **SHIPPED)
    add(gateway, "MSG#m1", LATER)
    assert gateway.status("m1")["status"] == "accepted"
    if vendor == "dxtong":
        assert succeeded(push_dxtong(gateway, dxtong_receipt(sent["call_id"])))
    else:
        assert succeeded(push_jumdata(gateway, own_token(jumdata)))
    assert gateway.status("m1")["status"] == "delivered"
    item = gateway.item("MSG#m1") or {}
    assert {name: item[name] for name in LATER} == LATER


def test_a_message_of_an_earlier_version_is_read_settled_and_not_rung_again(gateway: Gateway) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    old = {name: value for name, value in (gateway.item("MSG#m1") or {}).items() if name not in LACKING}
    table(gateway).put_item(Item=old)
    assert gateway.status("m1")["status"] == "accepted"
    with time_machine.travel(time.time() + 200):
        gateway.sweep()
    assert succeeded(push_dxtong(gateway, dxtong_receipt(sent["call_id"])))
    assert gateway.status("m1")["status"] == "delivered"


def test_a_receipt_that_a_later_callback_wrote_first_is_applied_by_this_send(gateway: Gateway) -> None:
    first = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    following = str(int(first["call_id"]) + 1)
    push_dxtong(gateway, dxtong_receipt(following, "-6", number(1)))
    meeting = gateway.item(f"CALL#dxtong#{following}") or {}
    later = of_later(meeting["receipt"])
    add(gateway, f"CALL#dxtong#{following}", {**LATER, "receipt": later, "receipts": {later}})
    result = gateway.send(message_id="m2", mobile=number(1), vendor="dxtong", **SHIPPED)
    assert (result["status"], result["reason"]) == ("failed", "no_answer")


def test_a_receipt_that_a_later_version_kept_beside_is_counted(gateway: Gateway) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    push_dxtong(gateway, dxtong_receipt(sent["call_id"]))
    item = gateway.item("MSG#m1") or {}
    add(gateway, "MSG#m1", {"receipts": item["receipts"] | {of_later(*item["receipts"])}})
    result = gateway.status("m1")
    assert (result["status"], result["later_receipts"]) == ("delivered", 1)


@pytest.mark.parametrize("kind", ["receipt", "outcome"])
def test_a_letter_of_a_later_version_is_applied(gateway: Gateway, kind: str) -> None:
    wire = Wire(gateway)
    if kind == "outcome":
        wire.fail_next("UpdateItem", times=2)
    sent = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    if kind == "receipt":
        wire.fail_next("UpdateItem", times=1)
        assert succeeded(push_dxtong(gateway, dxtong_receipt(sent["call_id"])))
    letters = gateway.taken("outbox")
    assert letters
    for letter in letters:
        letter["more"] = True
        if kind == "receipt":
            letter["receipt"] = of_later(letter["receipt"])
        else:
            letter["message"] |= {"priority": "high"}
        gateway.client("sqs").send_message(QueueUrl=gateway.queues["outbox"], MessageBody=json.dumps(letter))
    gateway.sweep()
    assert gateway.status("m1")["status"] == ("delivered" if kind == "receipt" else "accepted")
    assert not gateway.taken("dead-letters")
