"""`sweep` through its handler: what nobody else would look at again."""

import json
import time
from typing import Any

import pytest
import time_machine
from moto import mock_aws
from voice_gateway.platform.callback_tokens import CallToken

from local.simulators.dxtong import DxtongSimulator
from local.simulators.jumdata import JumdataSimulator
from tests.functions.test_callbacks import KEYRING, dxtong_receipt, push_dxtong, push_jumdata, succeeded
from tests.functions.test_send import SHIPPED, Wire, _in, number, submits
from tests.gateway import STACK, Gateway, deployed


def waiting(gateway: Gateway, voice_id: str) -> bool:
    return "waiting" in (gateway.item(f"CALL#dxtong#{voice_id}") or {})


def test_a_call_that_was_cut_off_becomes_unknown(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    wire = Wire(gateway)
    wire.failing = {"UpdateItem", "SendMessage"}
    gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    wire.failing = set()
    gateway.sweep()
    assert gateway.status("m1")["status"] == "submitting", "its lease is still alive"
    with time_machine.travel(_in(70)):
        assert gateway.sweep()["OutcomeUnknown"] == 1
        result = gateway.status("m1")
        assert (result["status"], result["error"]["code"]) == ("unknown", "outcome_unknown")
        assert "OutcomeUnknown" not in gateway.sweep()
    assert len(submits(dxtong)) == 1


def test_a_receipt_that_nobody_knows_the_call_of_is_linked_by_its_number(gateway: Gateway) -> None:
    assert gateway.send(message_id="m1", mobile=number(90), vendor="dxtong", **SHIPPED)["status"] == "unknown"
    push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
    with time_machine.travel(_in(30)):
        gateway.sweep()
        assert gateway.status("m1")["status"] == "unknown", "its own sender may still link it"
    with time_machine.travel(_in(130)):
        gateway.sweep()
    result = gateway.status("m1")
    assert (result["status"], result["reason"]) == ("failed", "no_answer")
    assert (result["linked_by"], result["call_id"]) == ("number", "77777777")
    assert not waiting(gateway, "77777777")


def test_linking_by_number_can_be_turned_off(dxtong: DxtongSimulator, jumdata: JumdataSimulator) -> None:
    endpoints = {"dxtong": dxtong.address, "jumdata": jumdata.address}
    with mock_aws(), deployed(endpoints, LINK_BY_NUMBER="off") as gateway:
        gateway.send(message_id="m1", mobile=number(90), vendor="dxtong", **SHIPPED)
        push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
        with time_machine.travel(_in(130)):
            gateway.sweep()
        assert gateway.status("m1")["status"] == "unknown"


@pytest.mark.parametrize("receipts", [1, 2])
@pytest.mark.parametrize("messages", [1, 2])
def test_what_could_be_either_is_counted_and_shown_and_never_guessed(
    gateway: Gateway, messages: int, receipts: int
) -> None:
    for at in range(messages):
        gateway.send(message_id=f"m{at}", mobile=number(90), vendor="dxtong", **SHIPPED)
    for at in range(receipts):
        push_dxtong(gateway, dxtong_receipt(f"7777777{at}", "-6", number(90)))
    with time_machine.travel(_in(130)):
        gateway.sweep()
    results = [gateway.status(f"m{at}") for at in range(messages)]
    if messages == receipts == 1:
        assert results[0]["status"] == "failed"
        return
    assert {result["status"] for result in results} == {"unknown"}
    assert {result["unlinked_receipts"] for result in results} == {receipts}


def test_a_receipt_of_before_the_call_is_another_calls(gateway: Gateway) -> None:
    push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
    with time_machine.travel(_in(10)):
        gateway.send(message_id="m1", mobile=number(90), vendor="dxtong", **SHIPPED)
    with time_machine.travel(_in(300)):
        gateway.sweep()
    assert gateway.status("m1")["status"] == "unknown"


def test_an_accepted_message_whose_link_was_not_written_meets_its_receipt(gateway: Gateway) -> None:
    """The link fails, the outcome is written: the receipt waits, and the sweep joins them by the call id."""
    gateway.send(message_id="warm", mobile=number(1), vendor="dxtong", **SHIPPED)
    wire = Wire(gateway)
    wire.fail_next("UpdateItem", times=1)
    sent = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    assert gateway.status("m1")["status"] == "accepted"
    assert succeeded(push_dxtong(gateway, dxtong_receipt(sent["call_id"])))
    assert waiting(gateway, sent["call_id"])
    gateway.sweep()
    assert gateway.status("m1")["status"] == "delivered"
    assert not waiting(gateway, sent["call_id"])


def test_a_released_message_expires_at_its_time(gateway: Gateway) -> None:
    assert gateway.send(message_id="m1", mobile=number(10), vendor="dxtong", **SHIPPED)["status"] == "deferred"
    gateway.sweep()
    assert gateway.status("m1")["status"] == "deferred"
    with time_machine.travel(_in(86401)):
        gateway.sweep()
    result = gateway.status("m1")
    assert (result["status"], result["error"]["code"]) == ("expired", "expired")
    assert "dxtong" in result["error"]["message"]


def test_jumdata_is_asked_for_a_result_that_no_callback_brought(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    gateway.send(message_id="m1", mobile=number(71), vendor="jumdata", **SHIPPED)
    time.sleep(0.2)  # the simulator's call is over
    gateway.sweep()
    assert gateway.status("m1")["status"] == "accepted"
    with time_machine.travel(_in(3601)):
        gateway.sweep()
    result = gateway.status("m1")
    assert (result["status"], result["reason"], result["linked_by"]) == ("failed", "busy", "query")


def test_a_call_that_nobody_answers_for_is_counted_once_and_stays_accepted(gateway: Gateway) -> None:
    gateway.send(message_id="m1", mobile=number(88), vendor="dxtong", **SHIPPED)
    with time_machine.travel(_in(3700)):
        assert gateway.sweep()["Unanswered"] == 1
    with time_machine.travel(_in(90000)):
        assert "Unanswered" not in gateway.sweep()
    assert gateway.status("m1")["status"] == "accepted"


def test_jumdata_is_asked_at_growing_intervals_for_a_day(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    gateway.send(message_id="m1", mobile=number(0), vendor="jumdata", **SHIPPED)
    jumdata.configure(app_secret="another")  # it says nothing that could be read as a result
    asked = []
    try:
        for minutes in range(0, 25 * 60 + 1, 10):
            with time_machine.travel(_in(minutes * 60 + 1)):
                before = len(jumdata.requests)
                unanswered = gateway.sweep().get("Unanswered", 0)
                if len(jumdata.requests) > before:
                    asked.append(minutes)
                assert unanswered == (1 if minutes == 960 else 0), minutes
    finally:
        jumdata.configure(app_secret="sandbox-secret")
    assert asked == [60, 120, 240, 480, 960]


def test_poll_mode_asks_after_a_minute(dxtong: DxtongSimulator, jumdata: JumdataSimulator) -> None:
    endpoints = {"dxtong": dxtong.address, "jumdata": jumdata.address}
    with mock_aws(), deployed(endpoints, CALLBACK_MODE="poll", CALLBACK_BASE_URL="") as gateway:
        gateway.send(message_id="m1", mobile=number(0), **SHIPPED)
        time.sleep(0.2)
        with time_machine.travel(_in(61)):
            gateway.sweep()
        assert gateway.status("m1")["status"] == "delivered"


def test_a_waiting_receipt_is_settled_after_its_message_was_linked(gateway: Gateway) -> None:
    """A callback that died between its two writes: the vendor pushes again, and it is the same receipt."""
    sent = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    wire = Wire(gateway)
    wire.fail_next("UpdateItem", times=1, after=1)  # the receipt is written, and the message is not
    wire.failing = {"SendMessage"}
    assert push_dxtong(gateway, dxtong_receipt(sent["call_id"]))["statusCode"] == 500
    wire.failing = set()
    assert succeeded(push_dxtong(gateway, dxtong_receipt(sent["call_id"])))
    assert gateway.status("m1")["status"] == "delivered"


def test_a_redialled_message_keeps_the_first_calls_receipt(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    """The first call rang after all, and says so after the second was made."""
    request = {"message_id": "m1", "mobile": number(90), "vendor": "jumdata", "on_unknown": "redial_once", **SHIPPED}
    gateway.send(**request)
    first = submits(jumdata)[0]["fields"]["notifyUrl"].rpartition("/")[2]
    with time_machine.travel(_in(306)):
        gateway.sweep()
        (envelope,) = gateway.taken("urgent")
        gateway.take_up(envelope)
    assert gateway.status("m1")["redials"] == 1
    push_jumdata(gateway, first)
    assert gateway.status("m1")["status"] == "delivered"
    assert len(submits(jumdata)) == 2


def test_a_letter_for_a_message_that_is_gone_becomes_a_dead_letter(gateway: Gateway) -> None:
    token = KEYRING.call_token("jumdata", CallToken("long-gone", "0123456789abcdef", int(_in(1000))))
    wire = Wire(gateway)
    wire.failing = {"UpdateItem"}
    assert succeeded(push_jumdata(gateway, token))
    wire.failing = set()
    gateway.sweep()
    assert gateway.taken("dead-letters")
    assert not gateway.taken("outbox")


# A redial, and receipts that come late.

ASKED = {"on_unknown": "redial_once", **SHIPPED}


def redial(gateway: Gateway, seconds: float) -> dict[str, Any]:
    """Sweeps, and delivers what it published; the result of that."""
    with time_machine.travel(_in(seconds)):
        gateway.sweep()
        (envelope,) = gateway.taken("urgent")
        result: dict[str, Any] = gateway.take_up(envelope)
        return result


def test_the_first_vendors_receipt_is_linked_after_a_redial_to_another(gateway: Gateway) -> None:
    gateway.send(message_id="m1", mobile=number(90), **ASKED)
    assert (redial(gateway, 306)["vendor"], gateway.status("m1")["redials"]) == ("jumdata", 1)
    with time_machine.travel(_in(320)):
        push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
    with time_machine.travel(_in(500)):
        gateway.sweep()
    result = gateway.status("m1")
    assert (result["status"], result["reason"], result["vendor"]) == ("failed", "no_answer", "dxtong")


def test_no_redial_while_a_receipt_waits_for_that_number(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    gateway.send(message_id="m1", mobile=number(90), **ASKED)
    with time_machine.travel(_in(250)):
        push_dxtong(gateway, dxtong_receipt("77777777", "2", number(90)))
    with time_machine.travel(_in(306)):
        gateway.sweep()
        assert not gateway.taken("urgent")
    with time_machine.travel(_in(500)):
        gateway.sweep()
    assert gateway.status("m1")["status"] == "delivered"
    assert not submits(jumdata)


def test_only_the_sweep_lets_a_message_be_redialled(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    """A redelivery by chance does not know whether a receipt is waiting."""
    gateway.send(message_id="m1", mobile=number(90), **ASKED)
    with time_machine.travel(_in(400)):
        assert gateway.send(message_id="m1", mobile=number(90), **ASKED)["replayed"]
    assert not submits(jumdata)


def test_a_redial_that_rang_nobody_is_made_again(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    """dxtong's answer is lost; then jumdata is under maintenance, which provably rings nobody, and then it is not."""
    request = {"message_id": "m1", "mobile": number(83), "vendor": "dxtong", **ASKED}
    gateway.send(**request)
    wire = Wire(gateway)
    with time_machine.travel(_in(306)):
        gateway.sweep()
        (envelope,) = gateway.taken("urgent")
        wire.fail_next("UpdateItem", times=1)  # the takeover
        told = gateway.take_up(envelope)
        assert told["status"] == "unknown"
    result = gateway.status("m1")
    assert (result["status"], result["vendor"], result["redials"]) == ("unknown", "dxtong", 0)
    assert redial(gateway, 700)["redials"] == 1
    with time_machine.travel(_in(1400)):
        gateway.sweep()
        assert not gateway.taken("urgent")


def test_a_refused_redial_stays_unknown_for_the_first_call_may_have_rung(gateway: Gateway) -> None:
    gateway.send(message_id="m1", mobile=number(90), vendor="dxtong", **ASKED)
    gateway.client("secretsmanager").put_secret_value(
        SecretId=f"{STACK}/dxtong", SecretString=json.dumps({"account": "sandbox-account", "apiKey": "wrong"})
    )
    refused = redial(gateway, 620)
    assert (refused["status"], refused["redials"], refused["error"]["code"]) == ("unknown", 1, "outcome_unknown")


# What must not stop the sweep, or lose what it knows.


def test_a_letter_that_nobody_can_read_stops_nothing(gateway: Gateway) -> None:
    wire = Wire(gateway)
    wire.failing = {"UpdateItem", "SendMessage"}
    gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    wire.failing = set()
    for body in ("not json", "[]", '{"kind": "odd"}', '{"kind": "outcome"}'):
        gateway.client("sqs").send_message(QueueUrl=gateway.queues["outbox"], MessageBody=body)
    with time_machine.travel(_in(70)):
        assert "PartFailed" not in gateway.sweep()
    assert gateway.status("m1")["status"] == "unknown"
    assert len(gateway.taken("dead-letters")) == 4


def test_a_late_receipt_finds_a_call_that_was_never_linked(gateway: Gateway) -> None:
    """Neither link nor letter could be written, only the outcome; the receipt comes after the hour was counted."""
    gateway.send(message_id="warm", mobile=number(1), vendor="dxtong", **SHIPPED)
    wire = Wire(gateway)
    wire.fail_next("UpdateItem", times=1)
    wire.failing = {"SendMessage"}
    sent = gateway.send(message_id="m1", mobile=number(88), vendor="dxtong", **SHIPPED)
    wire.failing = set()
    with time_machine.travel(_in(3700)):
        assert gateway.sweep()["Unanswered"] >= 1
        assert succeeded(push_dxtong(gateway, dxtong_receipt(sent["call_id"], "-6", number(88))))
        gateway.sweep()
    assert gateway.status("m1")["reason"] == "no_answer"


def test_a_sweep_with_no_time_left_says_what_it_left(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.invoke("sweep", {}, 5.0)
    assert '"cut_short":"adopt"' in capsys.readouterr().out
