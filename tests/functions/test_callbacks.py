"""Callbacks through their handlers, with the events that API Gateway really delivers (events/)."""

import base64
import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
import time_machine
from botocore.exceptions import ClientError
from voice_gateway.platform.callback_tokens import CallToken, Keyring

from local.simulators.jumdata import JumdataSimulator
from tests.functions.test_send import SHIPPED, Wire, _in, number
from tests.gateway import ROOT, SECRETS, STACK, Gateway
from tests.vendors.payloads import of_kind

KEYRING = Keyring.from_secret(json.dumps(SECRETS["callback"]))

# docs/vendors.md.
DXTONG_REASONS = {
    "0": "unknown",
    "-1": "powered_off",
    "-2": "number_suspended",
    "-3": "unreachable",
    "-4": "busy",
    "-5": "number_invalid",
    "-6": "no_answer",
    "-7": "call_reminder",
    "-8": "incoming_barred",
    "-9": "network_busy",
    "-10": "outgoing_barred",
    "-11": "line_busy",
    "-12": "declined",
    "-13": "forwarded",
    "-14": "answered_by_fax",
    "-15": "answered_by_machine",
    "-16": "answered_by_person",
    "-17": "answered_silence",
    "-18": "timed_out",
    "-19": "no_answer",
    "-20": "timed_out",
    "-21": "unknown",
    "-22": "vendor_failure",
    "-99": "unknown",
}


def event(vendor: str, token: str, body: bytes, content_type: str, method: str = "POST") -> dict[str, Any]:
    """A real event of API Gateway's, with another token and body."""
    name = "callback_dxtong" if vendor == "dxtong" else f"callback_jumdata_{method.lower()}"
    made: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    made["pathParameters"] = {"token": token}
    made["headers"]["Content-Type"] = content_type
    made["body"] = base64.b64encode(body).decode() if body else None
    return made


def dxtong_receipt(voice_id: str, code: str = "2", mobile: str = number(0), **extra: str) -> bytes:
    fields = {
        "code": code,
        "msg": "说明",
        "mobilephone": mobile,
        "talktime": "12",
        "voiceid": voice_id,
        "report_time": "2026-11-22 11:04:02",
    }
    return urlencode({**fields, **extra}).encode()


def push_dxtong(gateway: Gateway, body: bytes, token: str | None = None) -> dict[str, Any]:
    token = KEYRING.static_token("dxtong") if token is None else token
    answer: dict[str, Any] = gateway.invoke(
        "callback_dxtong", event("dxtong", token, body, "application/x-www-form-urlencoded")
    )
    return answer


def push_jumdata(gateway: Gateway, token: str, **fields: Any) -> dict[str, Any]:
    receipt = {"callId": "12121212121212", "callStatus": 0, "callStatusText": "成功", "callTime": 12, **fields}
    body = json.dumps(receipt, ensure_ascii=False).encode()
    answer: dict[str, Any] = gateway.invoke("callback_jumdata", event("jumdata", token, body, "application/json"))
    return answer


def own_token(jumdata: JumdataSimulator) -> str:
    """The token of the address that the gateway gave with its last call."""
    address: str = jumdata.requests[-1]["fields"]["notifyUrl"]
    return address.rpartition("/")[2]


def succeeded(answer: dict[str, Any]) -> bool:
    return bool(answer["statusCode"] == 200 and answer["body"] == "success")


# Receipts settle messages.


@pytest.mark.parametrize(("code", "reason"), DXTONG_REASONS.items())
def test_every_receipt_code_of_dxtong_has_its_documented_reason(gateway: Gateway, code: str, reason: str) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    assert succeeded(push_dxtong(gateway, dxtong_receipt(sent["call_id"], code)))
    result = gateway.status("m1")
    assert (result["status"], result["reason"], result["error"]) == ("failed", reason, None)
    assert (result["linked_by"], result["call_id"]) == ("call_id", sent["call_id"])
    assert result["receipt"] == {
        "code": code,
        "message": "说明",
        "talk_seconds": 12,
        "reported_at": "2026-11-22T11:04:02+08:00",
    }


def test_a_delivered_call(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    push_dxtong(gateway, dxtong_receipt(sent["call_id"]))
    result = gateway.status("m1")
    assert (result["status"], result["reason"]) == ("delivered", None)


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({}, "delivered", None),
        ({"callStatus": "0"}, "delivered", None),
        ({"callStatus": 1, "callStatusText": "失败"}, "failed", "unknown"),
        ({"callStatus": 1, "callDesc": "486"}, "failed", "busy"),
        ({"callStatus": 1, "callDesc": 487}, "failed", "no_answer"),
        ({"callStatus": 1, "callDesc": "603"}, "failed", "declined"),
        ({"callStatus": 1, "callDesc": "404"}, "failed", "number_invalid"),
        ({"callStatus": 1, "callDesc": "480"}, "failed", "unreachable"),
        ({"callStatus": 1, "callDesc": "408"}, "failed", "timed_out"),
        ({"callStatus": 1, "callDesc": "110"}, "failed", "unknown"),
    ],
)
def test_jumdatas_callback_names_its_message(
    gateway: Gateway, jumdata: JumdataSimulator, fields: dict[str, Any], status: str, reason: str | None
) -> None:
    gateway.send(message_id="m1", mobile=number(0), vendor="jumdata", **SHIPPED)
    assert succeeded(push_jumdata(gateway, own_token(jumdata), **fields))
    result = gateway.status("m1")
    assert (result["status"], result["reason"], result["linked_by"]) == (status, reason, "token")
    assert result["call_id"] == "12121212121212"


def test_jumdatas_callback_by_get(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    gateway.send(message_id="m1", mobile=number(0), vendor="jumdata", **SHIPPED)
    assert succeeded(gateway.invoke("callback_jumdata", event("jumdata", own_token(jumdata), b"", "", "GET")))
    assert gateway.status("m1")["status"] == "delivered"


def test_a_callback_settles_what_nobody_knew(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    assert gateway.send(message_id="m1", mobile=number(90), vendor="jumdata", **SHIPPED)["status"] == "unknown"
    push_jumdata(gateway, own_token(jumdata))
    assert gateway.status("m1")["status"] == "delivered"


def test_a_gbk_body_is_read(gateway: Gateway) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    body = urlencode({"code": "-6", "msg": "無人接聽", "voiceid": sent["call_id"]}, encoding="gbk").encode()
    assert succeeded(push_dxtong(gateway, body))
    assert gateway.status("m1")["receipt"]["message"] == "無人接聽"


# Either may come first; the first result stands.


def test_a_receipt_before_its_call_waits_and_settles_when_the_call_is_linked(gateway: Gateway) -> None:
    """The callback is quicker than the sender's own record: they meet at the call id, with no sweep to help."""
    sent = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    following = str(int(sent["call_id"]) + 1)
    assert succeeded(push_dxtong(gateway, dxtong_receipt(following, "-6", number(1))))
    assert gateway.send(message_id="m2", mobile=number(1), vendor="dxtong", **SHIPPED)["status"] == "failed"
    assert gateway.status("m2")["reason"] == "no_answer"


def test_the_first_receipt_stands_and_later_ones_are_counted(gateway: Gateway) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    for code in ("-6", "2", "-12", "2"):
        assert succeeded(push_dxtong(gateway, dxtong_receipt(sent["call_id"], code)))
    result = gateway.status("m1")
    assert (result["status"], result["reason"], result["later_receipts"]) == ("failed", "no_answer", 2)


def test_one_receipt_many_times_is_one_result(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    gateway.send(message_id="m1", mobile=number(0), vendor="jumdata", **SHIPPED)
    token = own_token(jumdata)
    answers = [push_jumdata(gateway, token) for _ in range(10)]
    assert all(succeeded(answer) for answer in answers)
    assert gateway.status("m1")["later_receipts"] == 0


def test_a_receipt_for_another_number_is_kept_and_not_applied(gateway: Gateway) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    assert succeeded(push_dxtong(gateway, dxtong_receipt(sent["call_id"], "2", number(1))))
    assert gateway.status("m1")["status"] == "accepted"
    assert (gateway.item(f"CALL#dxtong#{sent['call_id']}") or {})["receipts"]


def test_a_receipt_for_another_number_keeps_no_right_one_out(gateway: Gateway) -> None:
    """Whichever comes first, and whether the call is linked by then or not."""
    sent = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    push_dxtong(gateway, dxtong_receipt(sent["call_id"], "2", number(1)))
    push_dxtong(gateway, dxtong_receipt(sent["call_id"], "-6", number(0)))
    push_dxtong(gateway, dxtong_receipt(sent["call_id"], "-12", number(2)))
    result = gateway.status("m1")
    assert (result["status"], result["reason"], result["later_receipts"]) == ("failed", "no_answer", 0)
    following = str(int(sent["call_id"]) + 1)
    push_dxtong(gateway, dxtong_receipt(following, "2", number(1)))
    push_dxtong(gateway, dxtong_receipt(following, "-6", number(0)))
    assert gateway.send(message_id="m2", mobile=number(0), vendor="dxtong", **SHIPPED)["reason"] == "no_answer"


def test_a_receipt_whose_message_is_gone_becomes_a_dead_letter(gateway: Gateway) -> None:
    token = KEYRING.call_token("jumdata", CallToken("long-gone", "0123456789abcdef", int(_in(1000))))
    assert succeeded(push_jumdata(gateway, token))
    (letter,) = gateway.taken("dead-letters")
    assert letter["message_id"] == "long-gone"


@pytest.mark.parametrize(("vendor", "calls"), [("jumdata", 1), ("dxtong", 2)])
def test_a_callback_makes_no_more_calls_to_aws_than_the_protocol_counts(
    gateway: Gateway, jumdata: JumdataSimulator, vendor: str, calls: int
) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), vendor=vendor, **SHIPPED)

    def push() -> None:
        if vendor == "dxtong":
            push_dxtong(gateway, dxtong_receipt(sent["call_id"]))
        else:
            push_jumdata(gateway, own_token(jumdata))

    push_dxtong(gateway, dxtong_receipt("99999999"))  # so that the key is cached
    push_jumdata(gateway, KEYRING.call_token("jumdata", CallToken("m0", "a", int(_in(1000)))))
    wire = Wire(gateway)
    push()
    assert len(wire.operations) == calls, wire.operations
    wire.operations.clear()
    push()
    assert len(wire.operations) == calls, wire.operations


# Nobody without a token.


@pytest.mark.parametrize("vendor", ["dxtong", "jumdata"])
def test_a_token_that_is_not_ours_is_404_and_costs_no_request(
    gateway: Gateway, jumdata: JumdataSimulator, vendor: str
) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), vendor=vendor, **SHIPPED)
    good = KEYRING.static_token("dxtong") if vendor == "dxtong" else own_token(jumdata)
    body = dxtong_receipt(sent["call_id"])
    push = f"callback_{vendor}"
    gateway.invoke(
        push, event(vendor, good[:-1] + ("A" if good[-1] != "A" else "B"), body, "")
    )  # the key is cached now
    wire = Wire(gateway)
    forged = [good[:at] + ("x" if good[at] != "x" else "y") + good[at + 1 :] for at in range(len(good))]
    expired = KEYRING.call_token(vendor, CallToken("m1", "0123456789abcdef", 1))
    for token in ["", "a", "." * 40, good + "A", good[:-1], good.upper(), "数" * 30, "a" * 5000, expired, *forged]:
        answer = gateway.invoke(push, event(vendor, token, body, "application/x-www-form-urlencoded"))
        assert (answer["statusCode"], answer["body"]) == (404, ""), token
    # A token that names an unknown key has the secret read anew, once a minute.
    assert wire.operations in ([], ["GetSecretValue"])
    assert gateway.status("m1")["status"] == "accepted"


def test_a_token_without_path_parameters_is_404(gateway: Gateway) -> None:
    made = event("dxtong", "", b"", "")
    made["pathParameters"] = None
    assert gateway.invoke("callback_dxtong", made)["statusCode"] == 404


def test_keys_can_be_rotated_while_callbacks_come_in(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    gateway.send(message_id="m1", mobile=number(0), vendor="jumdata", **SHIPPED)
    old = own_token(jumdata)
    push_dxtong(gateway, dxtong_receipt("1"))
    secret = {**SECRETS["callback"], "keys": {"k1": "", "k2": "2" * 40}}
    gateway.client("secretsmanager").put_secret_value(SecretId=f"{STACK}/callback", SecretString=json.dumps(secret))
    rotated = Keyring.from_secret(json.dumps(secret))
    # A token under the new key is taken at once: an unknown key id has the secret read anew.
    assert succeeded(push_dxtong(gateway, dxtong_receipt("2"), rotated.static_token("dxtong")))
    assert succeeded(push_jumdata(gateway, old))
    assert gateway.status("m1")["status"] == "delivered"


# Nothing is lost.


def test_a_body_over_64_kb_is_413(gateway: Gateway) -> None:
    assert push_dxtong(gateway, b"x" * 65537)["statusCode"] == 413


@pytest.mark.parametrize("body", [b"<html>", b"{", b"\xff\xfe\x00", b"code=2", b'{"code":"two","voiceid":"1"}'])
def test_what_cannot_be_read_is_kept_raw_and_answered_success(gateway: Gateway, body: bytes) -> None:
    assert succeeded(push_dxtong(gateway, body))
    (letter,) = gateway.taken("dead-letters")
    assert base64.b64decode(letter["body_base64"]) == body


@pytest.mark.parametrize("vendor", ["dxtong", "jumdata"])
def test_a_receipt_that_the_table_does_not_take_is_applied_by_the_sweep(
    gateway: Gateway, jumdata: JumdataSimulator, vendor: str
) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), vendor=vendor, **SHIPPED)
    wire = Wire(gateway)
    wire.failing = {"UpdateItem"}
    answer = (
        push_dxtong(gateway, dxtong_receipt(sent["call_id"], "-6"))
        if vendor == "dxtong"
        else push_jumdata(gateway, own_token(jumdata), callStatus=1, callDesc="487")
    )
    assert succeeded(answer)
    wire.failing = set()
    assert gateway.status("m1")["status"] == "accepted"
    gateway.sweep()
    result = gateway.status("m1")
    assert (result["status"], result["reason"]) == ("failed", "no_answer")


def test_with_neither_table_nor_queue_the_vendor_is_to_push_again(gateway: Gateway) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    wire = Wire(gateway)
    wire.failing = {"UpdateItem", "SendMessage"}
    assert push_dxtong(gateway, dxtong_receipt(sent["call_id"]))["statusCode"] == 500
    wire.failing = set()
    assert succeeded(push_dxtong(gateway, dxtong_receipt(sent["call_id"])))
    assert gateway.status("m1")["status"] == "delivered"


def test_without_the_key_nothing_is_answered_success_and_an_alarm_is_raised(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    wire = Wire(gateway)
    wire.failing = {"GetSecretValue"}
    assert push_dxtong(gateway, dxtong_receipt("1"))["statusCode"] == 500
    assert '"NotKept":[1.0]' in capsys.readouterr().out


def test_an_expired_address_is_404(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    gateway.send(message_id="m1", mobile=number(0), vendor="jumdata", **SHIPPED)
    with time_machine.travel(_in(40 * 86400)):
        assert push_jumdata(gateway, own_token(jumdata))["statusCode"] == 404


def test_no_log_line_shows_number_token_or_secret(
    gateway: Gateway, jumdata: JumdataSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.send(message_id="m1", mobile=number(0), vendor="jumdata", **SHIPPED)
    gateway.send(message_id="m2", mobile=number(90), vendor="dxtong", **SHIPPED)
    push_jumdata(gateway, own_token(jumdata))
    push_dxtong(gateway, dxtong_receipt("1") + b"&x=%zz")
    shown = "".join(capsys.readouterr())
    for marked in (number(0), number(90), "sandbox-secret", "sandbox-key", own_token(jumdata), "顺丰"):
        assert marked not in shown
    assert ClientError.__name__ not in shown


# However it is encoded.


@pytest.mark.parametrize("vendor", ["dxtong", "jumdata"])
def test_every_payload_is_settled_or_kept_raw(gateway: Gateway, jumdata: JumdataSimulator, vendor: str) -> None:
    """The bytes of tests/vendors/payloads through the handler: what can be read leaves no dead letter."""
    gateway.send(message_id="m1", mobile=number(0), vendor="jumdata", **SHIPPED)
    token = own_token(jumdata) if vendor == "jumdata" else KEYRING.static_token("dxtong")
    for payload in (each for each in of_kind("callback") if each.vendor == vendor):
        pushed = event(vendor, token, payload.body, payload.meaning["content_type"])
        query = parse_qsl(payload.meaning["query"], keep_blank_values=True, encoding="latin-1")
        pushed["queryStringParameters"] = dict(query) or None
        assert succeeded(gateway.invoke(f"callback_{vendor}", pushed)), payload.name
        nothing = not payload.body.strip() and not query
        letters = gateway.taken("dead-letters")
        assert len(letters) == (payload.meaning["receipt"] == "unreadable" and not nothing), payload.name
    if vendor == "jumdata":
        assert gateway.status("m1")["status"] in {"delivered", "failed"}


def test_what_cannot_be_read_is_kept_with_the_call_that_it_is_for(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    """Whoever hands it over again later signs an address for that very call."""
    gateway.send(message_id="m1", mobile=number(0), vendor="jumdata", **SHIPPED)
    assert succeeded(push_jumdata(gateway, own_token(jumdata), callStatus=9))
    assert succeeded(push_dxtong(gateway, b"a riddle"))
    own, shared = gateway.taken("dead-letters")
    assert (own["message_id"], own["attempt"]) == ("m1", own_token(jumdata).partition(".")[0])
    assert (shared["message_id"], shared["attempt"]) == (None, None)
