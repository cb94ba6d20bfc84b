"""What could leak and no other test does: vendors that repeat what they were sent, secrets that are none, and a canary
that must sing. Every other test of the functions looks for leaks as well (tests/gateway.py, Canary); what the lines of
the log must hold is here too.
"""

import base64
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from moto import mock_aws
from voice_gateway.credit.state import FAILURES_TO_UNKNOWN
from voice_gateway.platform import observability

from local.simulators.dxtong import DxtongSimulator
from local.simulators.jumdata import JumdataSimulator
from local.simulators.server import Fault, LoopbackServer, Reply, Request, json_reply
from tests import marks
from tests.functions.test_callbacks import KEYRING, dxtong_receipt, event, own_token, push_dxtong, push_jumdata
from tests.functions.test_publish import change
from tests.functions.test_send import CONTENT, SHIPPED, Wire, number
from tests.gateway import SECRET_WORDS, Canary, Gateway, deployed

VENDORS = ("dxtong", "jumdata")


@pytest.fixture
def wire(gateway: Gateway) -> Wire:
    return Wire(gateway)


def call(gateway: Gateway, function: str, event_: Any) -> str:
    """What the function raised, if it did."""
    try:
        gateway.invoke(function, event_)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the canary has read it
        return repr(error)
    return ""


class Repeating(LoopbackServer):
    """A vendor that answers every request with a code, and with all that it was sent as the text."""

    def __init__(self, code: str, only: str) -> None:
        super().__init__()
        self._code = code
        self._only = only

    def handle(self, request: Request) -> Reply:
        said = f"參數錯誤 {request.fields.get(self._only)}"
        return json_reply({"code": self._code if self._code != "itself" else said[5:], "msg": said})


class Saying(LoopbackServer):
    """A vendor that answers every request with a code and a text."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__()
        self._answer = {"code": code, "msg": said}

    def handle(self, request: Request) -> Reply:
        return json_reply(self._answer)


@contextmanager
def repeating(code: str, only: str) -> Iterator[Gateway]:
    with Repeating(code, only) as vendor, mock_aws(), deployed(dict.fromkeys(VENDORS, vendor.address)) as gateway:
        yield gateway


@pytest.mark.parametrize(
    ("vendor", "field"),
    [
        *(("dxtong", field) for field in ("mobile", "content", "account", "password")),
        *(("jumdata", field) for field in ("mobile", "param", "notifyUrl", "appId", "sign")),
    ],
)
@pytest.mark.parametrize("code", ["400", "0", "500", "999", "itself"])
def test_a_vendor_that_repeats_what_it_was_sent(vendor: str, field: str, code: str) -> None:
    """Refused, released or unknown: the text goes into results, dead letters and, of what is to be retried, the log."""
    with repeating(code, field) as gateway:
        result = gateway.send(message_id="m1", mobile=number(0), vendor=vendor, notify_data="仓库", **SHIPPED)
        assert result["error"]["vendor_message"].startswith("參數錯誤")
        if field == "mobile":
            assert "*8000" in result["error"]["vendor_message"]
        gateway.invoke("balance_check", {})


def test_a_value_of_a_template_that_a_vendor_repeats() -> None:
    said = "變量【王小明先生】【4829】超過長度"
    with Saying(40722, said) as vendor, mock_aws(), deployed(dict.fromkeys(VENDORS, vendor.address)) as gateway:
        request: dict[str, Any] = {
            "mobile": number(0),
            "template": "order_shipped",
            "params": {"order": 4829, "carrier": "王小明先生"},
        }
        result = gateway.send(message_id="m1", vendor="dxtong", **request)
        assert result["error"]["vendor_message"] == "變量【…】【…】超過長度"


@pytest.mark.parametrize(
    ("code", "said", "text"),
    [(4052, "", "4052"), (9999, "no", "9999"), (603, "余额不足请充值", "余额不足请充值")],
)
def test_a_code_or_a_text_of_the_vendors_page_stays_whatever_the_caller_wrote(code: int, said: str, text: str) -> None:
    vendor_name = "jumdata" if code == 603 else "dxtong"
    form = {"template_id": "T1", "params": [text]} if code == 603 else {"content": text}
    with Saying(code, said) as vendor, mock_aws(), deployed(dict.fromkeys(VENDORS, vendor.address)) as gateway:
        error = gateway.send(message_id="m1", mobile=number(0), vendor=vendor_name, **form)["error"]
        assert error["vendor_code"] == str(code)
        assert "…" not in error["vendor_message"]


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_receipt_whose_text_repeats_the_number(gateway: Gateway, jumdata: JumdataSimulator, vendor: str) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), vendor=vendor, **SHIPPED)
    if vendor == "dxtong":
        push_dxtong(gateway, dxtong_receipt(sent["call_id"], "-5", msg=f"{number(0)}是空號"))
    else:
        push_jumdata(
            gateway, own_token(jumdata), callStatus=1, callStatusText="+86 138-0013-8000 空号", callDesc=number(0)
        )
    result = gateway.status("m1")
    assert "*8000" in result["receipt"]["message"]
    assert not marks.leaks(json.dumps(result), SECRET_WORDS)


def test_an_unreadable_receipt_is_kept_whole_and_shown_nowhere(gateway: Gateway) -> None:
    body = urlencode({"mobilephone": number(0), "msg": CONTENT}).encode()
    pushed = event("dxtong", KEYRING.static_token("dxtong"), body, "application/x-www-form-urlencoded")
    gateway.invoke("callback_dxtong", pushed | {"queryStringParameters": {"mobilephone": number(1)}})
    (letter,) = gateway.taken("dead-letters")
    assert base64.b64decode(letter.pop("body_base64")) == body
    assert number(1) in letter.pop("query")
    assert not marks.leaks(json.dumps(letter), SECRET_WORDS)


def test_a_request_whose_fields_are_named_by_a_number(gateway: Gateway) -> None:
    result = gateway.invoke("send", {"mobile": number(0), number(1): "x", **SHIPPED})
    assert result["error"]["message"] == "*8001: unknown field"


@pytest.mark.parametrize(
    "secret",
    [
        "sandbox-secret",
        '{"keys": {"k1": "sandbox-secret"}, "number_key": "' + "n" * 64 + '"}',
        '{"keys": ["sandbox-secret"], "number_key": "' + "n" * 64 + '"}',
        '{"keys": {"k1": ""}, "number_key": "sandbox-secret"}',
        '{"appId": "sandbox-app", "appSecret": "sandbox-secret"',
    ],
)
@pytest.mark.parametrize("name", ["callback", *VENDORS])
def test_a_secret_that_is_none_is_not_shown(
    dxtong: DxtongSimulator, jumdata: JumdataSimulator, name: str, secret: str
) -> None:
    endpoints = {"dxtong": dxtong.address, "jumdata": jumdata.address}
    with mock_aws(), deployed(endpoints) as gateway:
        arn = gateway.environ[f"{name.upper()}_SECRET_ARN"]
        gateway.client("secretsmanager").put_secret_value(SecretId=arn, SecretString=secret)
        for function, event_ in [
            ("send", {"message_id": "m1", "mobile": number(0), **SHIPPED}),
            ("callback_dxtong", event("dxtong", KEYRING.static_token("dxtong"), dxtong_receipt("1"), "")),
            ("balance_check", {}),
            ("sweep", {}),
        ]:
            assert not marks.leaks(call(gateway, function, event_), SECRET_WORDS)


def test_what_aws_says_of_a_request_is_not_shown(gateway: Gateway, wire: Wire, dxtong: DxtongSimulator) -> None:
    """AWS's own texts repeat parameters; ours name the error's code."""
    wire.quoting = f"Value '{number(0)} {CONTENT} sandbox-secret' at 'item' failed"
    for failing in ("PutItem", "UpdateItem", "GetItem", "GetSecretValue", "GetParameter", "Query", "ReceiveMessage"):
        wire.failing = {failing}
        for function, event_ in [
            ("send", {"mobile": number(0), "vendor": "jumdata", **SHIPPED}),
            ("callback_dxtong", event("dxtong", KEYRING.static_token("dxtong"), dxtong_receipt("1"), "")),
            ("status", {"message_id": "m1"}),
            ("balance_check", {}),
            ("sweep", {}),
        ]:
            assert wire.quoting not in call(gateway, function, event_)


class Broken(LoopbackServer):
    """A vendor whose replies cannot be read."""

    def handle(self, request: Request) -> Reply:
        return Reply(b"not JSON", fault=Fault.CLOSE)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("broken", [True, False])
def test_what_requests_says_of_an_address_is_not_shown(vendor: str, broken: bool) -> None:
    """Its texts hold the address, and so signature and account: of a refused connection, of a reply that breaks off."""
    with Broken() as server:
        address = server.address
        if not broken:
            server.stop()
        with mock_aws(), deployed(dict.fromkeys(VENDORS, address)) as gateway:
            call(gateway, "send", {"message_id": "m1", "mobile": number(0), "vendor": vendor, **SHIPPED})
            assert gateway.status("m1")["error"]["message"].startswith(vendor)
            for _ in range(FAILURES_TO_UNKNOWN):
                gateway.invoke("balance_check", {})
            assert {json.loads(told["Message"])["state"] for told in gateway.taken("alarms")} == {"unknown"}


# The canary itself.


@pytest.mark.parametrize(
    "mark",
    [
        number(0),
        "sandbox-secret",
        "SANDBOX-SECRET",
        "%E9%A1%BA%E4%B8%B0%E5%BF%AB%E9%80%92",
        json.dumps(CONTENT),
        "仓库",
        KEYRING.static_token("dxtong"),
        "5rqQ6aG65Liw5b+r6YCS",  # base64 of 源顺丰快递
        "e10adc3949ba59abbe56e057f20f883e",
    ],
)
@pytest.mark.parametrize("way", ["log", "field", "print", "library", "raised"])
def test_the_canary_sings(dxtong: DxtongSimulator, jumdata: JumdataSimulator, mark: str, way: str) -> None:
    canary = Canary()

    class Module:
        __name__ = "function"

        @staticmethod
        def handler(event: Any, context: Any) -> None:
            with observability.invocation(context, "send") as record:
                match way:
                    case "log":
                        observability.log.warning("said", extra={"why": mark})
                    case "field":
                        record.note(why=mark)
                    case "print":
                        print(json.dumps({"why": mark, "service": "send"}, ensure_ascii=False))  # noqa: T201
                    case "library":
                        logging.getLogger("urllib3").critical("%s", mark)
                    case "raised":
                        raise ValueError(mark)

    canary.watch(Module)  # type: ignore[arg-type]
    try:
        Module.handler({}, type("Context", (), {"aws_request_id": "r"}))
    except ValueError:
        assert way == "raised"
    allowed = way == "raised" and mark in {"仓库", "e10adc3949ba59abbe56e057f20f883e"}  # TryLater's text is the result
    assert bool(canary.found) is not allowed


# What the lines hold: enough to answer "why did this not ring?" (docs/troubleshooting.md).


def lines(capsys: pytest.CaptureFixture[str], **wanted: Any) -> list[dict[str, Any]]:
    """The lines written since the last look that hold these fields, read as the query does."""
    read = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in read if wanted.items() <= line.items()]


def test_the_line_of_a_call(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), **SHIPPED)
    (line,) = lines(capsys, message_id="m1")
    assert (line["service"], line["status"], line["vendor"], line["callee"]) == ("send", "accepted", "dxtong", "8000")
    assert line["call_id"] == sent["call_id"]
    assert line["vendor_ms"] >= 0
    assert line["DurationMs"][0] > 0


def test_the_line_of_a_refusal(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.send(message_id="m1", mobile=number(15), vendor="dxtong", **SHIPPED)
    (line,) = lines(capsys, message_id="m1")
    assert (line["status"], line["vendor"]) == ("rejected", "dxtong")
    assert (line["error"], line["vendor_code"]) == ("blocklisted", "4030")


def test_the_line_of_a_message_that_is_to_be_tried_again(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert gateway.send(message_id="m1", mobile=number(10), vendor="dxtong", **SHIPPED)["status"] == "deferred"
    (line,) = lines(capsys, message_id="m1")
    assert (line["status"], line["vendor"]) == ("deferred", "dxtong")
    assert (line["error"], line["vendor_code"]) == ("vendor_unavailable", "0")


def test_the_line_of_a_receipt(gateway: Gateway, jumdata: JumdataSimulator, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.send(message_id="m1", mobile=number(0), vendor="jumdata", **SHIPPED)
    capsys.readouterr()
    push_jumdata(gateway, own_token(jumdata), callStatus=1, callDesc="486")
    (line,) = lines(capsys, message_id="m1")
    assert (line["service"], line["vendor"], line["status"]) == ("callback_jumdata", "jumdata", "failed")
    assert (line["call_id"], line["reason"], line["receipt"]) == ("12121212121212", "busy", "settled")
    assert line["DurationMs"][0] > 0


def test_each_published_result_has_a_line(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever changed the message: an expiry, say, is nowhere else told by the message's id."""
    batch = {"Records": [change("calling", "failed", f"m{at}")["Records"][0] for at in range(3)]}
    gateway.invoke("publish", batch)
    written = lines(capsys)
    for at in range(3):
        (line,) = [line for line in written if line.get("message_id") == f"m{at}"]
        assert (line["service"], line["status"], line["vendor"]) == ("publish", "failed", "dxtong")
        assert (line["call_id"], line["Published"]) == ("60495654", [1.0])
    assert sum("DurationMs" in line for line in written) == 1


@pytest.mark.parametrize(
    ("failing", "text"),
    [({"UpdateItem"}, "kept in the outbox"), ({"UpdateItem", "SendMessage"}, "neither table nor outbox")],
)
def test_what_could_not_be_written_names_its_message(
    gateway: Gateway, wire: Wire, capfd: pytest.CaptureFixture[str], failing: set[str], text: str
) -> None:
    heard: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = heard.append  # type: ignore[assignment, method-assign]
    logging.getLogger(observability.log.name).addHandler(handler)
    wire.failing = failing
    gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    logging.getLogger(observability.log.name).removeHandler(handler)
    said = [record for record in heard if record.getMessage() == text]
    assert said
    assert {getattr(record, "message_id", None) for record in said} == {"m1"}
