"""The vendor simulators over real loopback HTTP: their rules, magic numbers, receipts and control address."""

import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from xml.etree import ElementTree

import pytest
import requests

from local.simulators import dxtong, jumdata
from local.simulators.dxtong import DxtongSimulator
from local.simulators.jumdata import JumdataSimulator
from local.simulators.server import LoopbackServer, Reply, Request, Simulator, magic_ending

CONTENT = "您的订单号是:9633。已由顺丰快递发出,请注意查收。"
QUICK: dict[str, Any] = {
    "callback_delay": 0.03,
    "retry_interval": 0.04,
    "late_seconds": 0.25,
    "slow_seconds": 0.4,
}


class Receiver(LoopbackServer):
    """Takes callbacks, and answers them in turn with `replies`, the last of which stays."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[tuple[Request, float]] = []
        self.replies = [Reply(b"success")]

    def handle(self, request: Request) -> Reply:
        self.taken.append((request, time.monotonic()))
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


class Clock:
    def __init__(self) -> None:
        self.now = datetime.fromisoformat("2026-11-22T12:00:00+08:00").timestamp()

    def __call__(self) -> float:
        return self.now


def wait_for(condition: Callable[[], object], within: float = 3.0) -> None:
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def number(ending: int) -> str:
    return f"138001380{ending:02d}"


def http(method: str, url: str, **more: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, timeout=more.pop("timeout", 3), allow_redirects=False, **more)


def dxtong_fields(mobile: str, content: str = CONTENT, **more: str) -> dict[str, str]:
    moment = str(int(time.time()))
    signed = hashlib.md5(f"sandbox-accountsandbox-key{mobile}{content}{moment}".encode()).hexdigest()
    named = {"account": "sandbox-account", "password": signed, "time": moment, "mobile": mobile}
    return named | {"content": content} | more


def submit(simulator: Simulator[Any], fields: dict[str, str], **more: Any) -> requests.Response:
    url = f"{simulator.address}/webservice/voice.php?method=Submit"
    return http("POST", url, data=fields, **more)


def texts(reply: requests.Response) -> dict[str, str | None]:
    root = ElementTree.fromstring(reply.content)
    return {re.sub("{.*}", "", each.tag): each.text for each in root}


def jumdata_fields(mobile: str, at: float | None = None, **more: str) -> dict[str, str]:
    moment = str(int((time.time() if at is None else at) * 1000))
    sign = hashlib.sha256(f"sandbox-appsandbox-secret{moment}".encode()).hexdigest()
    named = {"appId": "sandbox-app", "timestamp": moment, "sign": sign, "mobile": mobile}
    return named | {"templateId": "T1001", "param": "9633,顺丰快递"} | more


def send(simulator: Simulator[Any], fields: dict[str, str], **more: Any) -> requests.Response:
    return http("POST", f"{simulator.address}/voice-notify/send", data=fields, **more)


class Vendor:
    """One vendor as seen by the tests that hold for both."""

    def __init__(self, simulator: Simulator[Any], receiver: Receiver) -> None:
        self.simulator = simulator
        self.receiver = receiver
        self.callback_url = f"{receiver.address}/callbacks/token"
        self.is_dxtong = simulator.vendor == "dxtong"
        if self.is_dxtong:
            simulator.configure(callback_url=self.callback_url)

    def call(self, mobile: str, **more: Any) -> requests.Response:
        if self.is_dxtong:
            return submit(self.simulator, dxtong_fields(mobile), **more)
        fields = jumdata_fields(mobile, notifyUrl=self.callback_url, notifyData="数据")
        return send(self.simulator, fields, **more)

    def call_id(self, reply: requests.Response) -> str | None:
        if self.is_dxtong:
            return texts(reply)["voiceid"]
        found: str = reply.json()["data"]["callId"]
        return found

    def receipts(self) -> list[dict[str, Any]]:
        bodies = [each["body"] for each in self.simulator.callbacks]
        return [dict(parse_qsl(each)) if self.is_dxtong else json.loads(each) for each in bodies]

    def statuses(self) -> list[int]:
        return [int(each["code" if self.is_dxtong else "callStatus"]) for each in self.receipts()]

    @property
    def success(self) -> int:
        return 2 if self.is_dxtong else 0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def dxtong_simulator() -> Iterator[DxtongSimulator]:
    with DxtongSimulator(**QUICK) as running:
        yield running


@pytest.fixture(scope="module")
def dxtong_rules() -> Iterator[DxtongSimulator]:
    """One for all tests that only look at its replies."""
    with DxtongSimulator(**QUICK) as running:
        yield running


@pytest.fixture(scope="module")
def jumdata_rules() -> Iterator[JumdataSimulator]:
    """One for all tests that only look at its replies."""
    with JumdataSimulator(**QUICK) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jumdata_simulator() -> Iterator[JumdataSimulator]:
    with JumdataSimulator(**QUICK) as running:
        yield running


@pytest.fixture(params=[DxtongSimulator, JumdataSimulator], ids=["dxtong", "jumdata"])
def vendor(request: pytest.FixtureRequest, receiver: Receiver) -> Iterator[Vendor]:
    with request.param(**QUICK) as running:
        yield Vendor(running, receiver)


# -- dxtong: the rules


def code_of(simulator: Simulator[Any], fields: dict[str, str]) -> str | None:
    found = texts(submit(simulator, fields))
    assert (found["voiceid"] == "0") == (found["code"] != "2")
    return found["code"]


def test_the_tables_are_those_of_the_brief() -> None:
    order = [0, 400, 401, 402, 403, 4030, 404, 405, 4050, 4051, 4052, 406, 407, 4071, 4072, 40722, 408, 4082]
    assert [dxtong.REFUSALS[ending] for ending in range(10, 28)] == order
    assert [dxtong.RECEIPTS[ending] for ending in range(30, 53)] == list(range(0, -23, -1))
    codes = [400, 400, 400, 404, 500, 501, 601, 602, 603, 604, 999]
    assert [jumdata.REFUSALS[ending][0] for ending in range(60, 71)] == codes
    details = ["486", "487", "603", "404", "480", "408", "110", None]
    assert [jumdata.FAILURES[ending] for ending in range(71, 79)] == details


def test_dxtong_dynamic_password_of_the_page() -> None:
    """Section 5's example: the text that is hashed, with the line break inside the time taken out."""
    key, moment = "1q784322ba1d9bb88d50cf5cdfd89k7d", "1451544941"
    with DxtongSimulator(account="test", api_key=key) as simulator:
        signed = hashlib.md5(b"test1q784322ba1d9bb88d50cf5cdfd89k7d138xxxxxxxx11251451544941").hexdigest()
        fields = {"account": "test", "password": signed, "mobile": "138xxxxxxxx", "content": "1125"}
        assert code_of(simulator, fields | {"time": moment}) == "406"  # past 405: the signature is good
        assert code_of(simulator, fields | {"time": "1451544942"}) == "405"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "2"),
        ({"password": "sandbox-key"}, "2"),
        ({"password": "sandbox-key", "time": ""}, "2"),
        ({"time": ""}, "405"),
        ({"time": "145154494"}, "405"),
        ({"time": "1451544941000"}, "405"),
        ({"password": "0" * 32}, "405"),
        ({"password": "密碼"}, "405"),
        ({"account": "other"}, "405"),
        ({"account": ""}, "401"),
        ({"password": ""}, "402"),
        ({"mobile": ""}, "403"),
        ({"content": ""}, "404"),
        ({"mobile": number(1), "password": "sandbox-key"}, "2"),
        ({"mobile": "1380013800", "password": "sandbox-key"}, "406"),
        ({"mobile": "+8613800138000", "password": "sandbox-key"}, "406"),
        ({"content": "别的内容", "password": "sandbox-key"}, "4072"),
    ],
)
def test_dxtong_field_rules(dxtong_rules: DxtongSimulator, changes: dict[str, str], code: str) -> None:
    assert code_of(dxtong_rules, dxtong_fields(number(0)) | changes) == code


def test_dxtong_upper_case_digest_is_refused(dxtong_rules: DxtongSimulator) -> None:
    fields = dxtong_fields(number(0))
    assert code_of(dxtong_rules, fields | {"password": fields["password"].upper()}) == "405"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("您的订单号是:A9。已由顺丰发出,请注意查收。", "2"),
        ("您的订单号是：A9。已由顺丰发出，请注意查收。", "2"),
        ("您的訂單號是:9633。已由順風快遞發出,請注意查收。", "2"),
        ("您的客戶張茜將于 2 天后過生日,別忘記注意祝福哦~", "2"),
        ("您的订单号是:9633。已由" + "快" * 20 + "发出,请注意查收。", "2"),
        ("您的订单号是:9633。已由" + "快" * 21 + "发出,请注意查收。", "40722"),
        ("您的订单号是:96-33。已由顺丰发出,请注意查收。", "4072"),
        ("您的订单号是:9633。已由顺丰,快递发出,请注意查收。", "4072"),
        ("您的订单号是:9633。已由顺 丰发出,请注意查收。", "4072"),
        ("您的订单号是:。已由顺丰发出,请注意查收。", "4072"),
        ("您的订单号是:9633。已由" + "快" * 170 + "发出,请注意查收。", "4072"),
    ],
)
def test_dxtong_templates(dxtong_rules: DxtongSimulator, content: str, code: str) -> None:
    assert code_of(dxtong_rules, dxtong_fields(number(0), content)) == code


def test_dxtong_without_templates(dxtong_simulator: DxtongSimulator) -> None:
    dxtong_simulator.configure(templates=[])
    assert code_of(dxtong_simulator, dxtong_fields(number(0))) == "4071"


def test_dxtong_balance_falls_and_ends(dxtong_simulator: DxtongSimulator) -> None:
    dxtong_simulator.configure(balance=1)
    url = f"{dxtong_simulator.address}/webservice/voice.php?method=GetNum"
    moment = "1451544941"
    password = hashlib.md5(f"sandbox-accountsandbox-key{moment}".encode()).hexdigest()
    fields = {"account": "sandbox-account", "password": password, "time": moment}
    assert texts(http("POST", url, data=fields)) == {"code": "2", "msg": "查詢成功", "num": "1"}
    assert code_of(dxtong_simulator, dxtong_fields(number(10))) == "0"
    assert code_of(dxtong_simulator, dxtong_fields(number(0))) == "2"
    assert code_of(dxtong_simulator, dxtong_fields(number(0))) == "4051"
    reply = http("GET", url, params=fields | {"format": "json"})
    assert reply.json() == {"code": 2, "msg": "查詢成功", "num": "0"}
    refused = texts(http("POST", url, data=fields | {"password": "bad"}))
    assert refused == {"code": "405", "msg": "用戶名或密碼不正確", "num": "0"}


def test_dxtong_replies(dxtong_rules: DxtongSimulator) -> None:
    reply = submit(dxtong_rules, dxtong_fields(number(0)))
    assert reply.headers["Content-Type"].startswith("text/xml")
    assert re.search(r'<SubmitResult xmlns="[^"]+">', reply.text)
    assert reply.text.endswith("</SubmitResult>\n")
    first = texts(reply)
    assert list(first) == ["code", "msg", "voiceid"]
    assert re.fullmatch("[0-9]{8}", first["voiceid"] or "")
    url = f"{dxtong_rules.address}/webservice/voice.php"
    fields = dxtong_fields(number(0), format="json", method="Submit")
    second = http("GET", url, params=fields).json()
    assert second == {"code": 2, "msg": "提交成功", "voiceid": str(int(first["voiceid"] or "") + 1)}
    assert http("GET", dxtong_rules.address + "/").status_code == 404
    assert texts(http("GET", url))["code"] == "0"


@pytest.mark.parametrize(("ending", "code"), dxtong.REFUSALS.items())
def test_dxtong_refusals(dxtong_rules: DxtongSimulator, ending: int, code: int) -> None:
    balance = dxtong_rules.balance
    dxtong_rules.forget()
    found = texts(submit(dxtong_rules, dxtong_fields(number(ending))))
    assert found == {"code": str(code), "msg": dxtong.SUBMIT_TEXTS[code], "voiceid": "0"}
    assert dxtong_rules.balance == balance
    assert [each["reply_code"] for each in dxtong_rules.requests] == [code]


def test_dxtong_receipt_codes(dxtong_simulator: DxtongSimulator, receiver: Receiver) -> None:
    dxtong_simulator.configure(callback_url=receiver.address + "/r")
    endings = [*dxtong.RECEIPTS, 0, 60, 78]
    sent = {texts(submit(dxtong_simulator, dxtong_fields(number(each))))["voiceid"]: each for each in endings}
    wait_for(lambda: len(dxtong_simulator.callbacks) == len(endings))
    for record in dxtong_simulator.callbacks:
        found = dict(parse_qsl(record["body"]))
        ending = sent[found["voiceid"]]
        code = dxtong.RECEIPTS.get(ending, 2)
        assert list(found) == ["code", "msg", "mobilephone", "talktime", "voiceid", "report_time"]
        assert (found["code"], found["msg"]) == (str(code), dxtong.RECEIPT_TEXTS[code])
        assert found["mobilephone"] == number(ending)
        assert found["talktime"] == ("12" if code == 2 else "0")
        assert (record["status"], record["reply"], record["error"]) == (200, "success", None)
    assert {each.method for each, _ in receiver.taken} == {"POST"}


@pytest.mark.parametrize(
    ("form", "content_type", "decode"),
    [
        ("form", "application/x-www-form-urlencoded", lambda body: dict(parse_qsl(body.decode()))),
        ("json", "application/json; charset=utf-8", json.loads),
        (
            "gbk-form",
            "application/x-www-form-urlencoded; charset=GBK",
            lambda body: dict(parse_qsl(body.decode(), encoding="gbk")),
        ),
        (
            "gbk-raw",
            "application/x-www-form-urlencoded",
            lambda body: dict(pair.split("=") for pair in body.decode("gbk").split("&")),
        ),
    ],
)
def test_dxtong_callback_formats(
    receiver: Receiver, clock: Clock, form: str, content_type: str, decode: Callable[[bytes], dict[str, str]]
) -> None:
    settings = QUICK | {"callback_url": receiver.address + "/r", "callback_format": form}
    with DxtongSimulator(clock=clock, **settings) as simulator:
        submit(simulator, dxtong_fields(number(49)))
        wait_for(lambda: receiver.taken)
    request = receiver.taken[0][0]
    assert request.content_type == content_type
    found = decode(request.body)
    assert found["msg"] == "無應答"
    assert found["report_time"] == "2026-11-22 12:00:00"


def test_dxtong_without_an_address_pushes_nothing(dxtong_simulator: DxtongSimulator) -> None:
    assert code_of(dxtong_simulator, dxtong_fields(number(0))) == "2"
    time.sleep(0.1)
    assert dxtong_simulator.callbacks == []


def test_dxtong_receipt_with_another_mobile(dxtong_simulator: DxtongSimulator, receiver: Receiver) -> None:
    vendor = Vendor(dxtong_simulator, receiver)
    vendor.call(number(98))
    wait_for(vendor.receipts)
    assert vendor.receipts()[0]["mobilephone"] == dxtong.OTHER_NUMBER != number(98)


# -- jumdata: the rules


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({}, 200, "成功"),
        ({"sign": "0" * 64}, 400, "签名错误"),
        ({"sign": ""}, 400, "参数错误"),
        ({"appId": "other"}, 400, "appId不正确"),
        ({"timestamp": "1555378976238"}, 400, "timestamp已过期"),
        ({"timestamp": "1555378976"}, 400, "timestamp已过期"),
        ({"mobile": "1380013800"}, 400, "手机号格式不正确"),
        ({"mobile": ""}, 400, "手机号格式不正确"),
        ({"templateId": ""}, 400, "参数错误"),
        ({"templateId": "T9"}, 400, "模板不存在"),
        ({"param": "9633"}, 400, "参数个数不正确"),
        ({"param": "9633,顺丰,快递"}, 400, "参数个数不正确"),
        ({"param": ""}, 400, "参数个数不正确"),
        ({"playTimes": "3"}, 200, "成功"),
        ({"playTimes": "0"}, 400, "参数错误"),
        ({"playTimes": "4"}, 400, "参数错误"),
    ],
)
def test_jumdata_field_rules(jumdata_rules: JumdataSimulator, changes: dict[str, str], code: int, message: str) -> None:
    found = send(jumdata_rules, jumdata_fields(number(0)) | changes).json()
    assert (found["code"], found["msg"]) == (code, message)
    assert ("data" in found) == ("taskNo" in found) == (code == 200)


def test_jumdata_signature_is_lower_case(jumdata_rules: JumdataSimulator) -> None:
    fields = jumdata_fields(number(0))
    assert send(jumdata_rules, fields | {"sign": fields["sign"].upper()}).json()["msg"] == "签名错误"


def test_jumdata_timestamp_of_ten_minutes(clock: Clock) -> None:
    with JumdataSimulator(clock=clock) as simulator:
        for age, code in ((599, 200), (-599, 200), (601, 400), (-601, 400)):
            assert send(simulator, jumdata_fields(number(0), clock.now - age)).json()["code"] == code


def test_jumdata_get_and_shapes(jumdata_simulator: JumdataSimulator) -> None:
    url = f"{jumdata_simulator.address}/voice-notify/send"
    found = http("GET", url, params=jumdata_fields(number(0))).json()
    assert re.fullmatch("[0-9]{20}", found["taskNo"])
    assert re.fullmatch("[0-9]{14}", found["data"]["callId"])
    reply = http("GET", jumdata_simulator.address + "/voice-notify")
    assert (reply.status_code, reply.json()["code"]) == (404, 404)


def test_jumdata_other_templates(jumdata_simulator: JumdataSimulator) -> None:
    jumdata_simulator.configure(templates={"T0": 0})
    fields = jumdata_fields(number(0)) | {"templateId": "T0", "param": ""}
    assert send(jumdata_simulator, fields).json()["code"] == 200


@pytest.mark.parametrize(("ending", "expected"), jumdata.REFUSALS.items())
def test_jumdata_refusals(jumdata_rules: JumdataSimulator, ending: int, expected: tuple[int, str]) -> None:
    balance = jumdata_rules.balance
    jumdata_rules.forget()
    reply = send(jumdata_rules, jumdata_fields(number(ending)))
    assert reply.status_code == 200
    assert reply.json() == {"msg": expected[1], "code": expected[0]}
    assert jumdata_rules.balance == balance
    assert [each["reply_code"] for each in jumdata_rules.requests] == [expected[0]]


def test_jumdata_receipts(jumdata_simulator: JumdataSimulator, receiver: Receiver) -> None:
    vendor = Vendor(jumdata_simulator, receiver)
    endings = [*jumdata.FAILURES, 0, 10, 52]
    sent = {vendor.call_id(vendor.call(number(each))): each for each in endings}
    wait_for(lambda: len(vendor.receipts()) == len(endings))
    for found in vendor.receipts():
        ending = sent[found["callId"]]
        failed = ending in jumdata.FAILURES
        expected = {"callStatus": 1, "callStatusText": "失败", "callTime": 0}
        if not failed:
            expected = {"callStatus": 0, "callStatusText": "成功", "callTime": 12}
        detail = jumdata.FAILURES.get(ending)
        expected |= {"callId": found["callId"], "notifyData": "数据"}
        assert found == expected | ({"callDesc": detail} if detail else {})


@pytest.mark.parametrize(("form", "method"), [("form", "POST"), ("query", "GET")])
def test_jumdata_callback_formats(
    jumdata_simulator: JumdataSimulator, receiver: Receiver, form: str, method: str
) -> None:
    jumdata_simulator.configure(callback_format=form)
    fields = jumdata_fields(number(71), notifyUrl=receiver.address + "/c?a=b", notifyData="a&b 数据")
    call_id = send(jumdata_simulator, fields).json()["data"]["callId"]
    wait_for(lambda: receiver.taken)
    request = receiver.taken[0][0]
    assert (request.method, request.path) == (method, "/c")
    assert request.fields == {
        "a": "b",
        "callId": call_id,
        "callStatus": "1",
        "callStatusText": "失败",
        "callTime": "0",
        "notifyData": "a&b 数据",
        "callDesc": "486",
    }


def test_jumdata_daily_lock(clock: Clock) -> None:
    def attempt(ending: int = 0) -> int:
        code: int = send(simulator, jumdata_fields(number(ending), clock.now)).json()["code"]
        return code

    hour = 3600
    with JumdataSimulator(clock=clock) as simulator:
        assert [attempt(60), attempt(81)] == [400, 777]  # neither rings, so neither counts
        assert [attempt(), attempt(), attempt()] == [200, 200, 200]
        assert attempt() == 999
        assert attempt(1) == 200  # another number
        clock.now += 23 * hour
        assert attempt() == 999  # restarts the lock
        clock.now += 2 * hour  # more than a day after the calls, 2 hours after the last attempt
        assert attempt() == 999
        clock.now += 24 * hour
        assert attempt() == 200
        clock.now += 12 * hour
        assert [attempt(), attempt()] == [200, 200]
        clock.now += 12 * hour + 1  # the first of the three is a day old
        assert [attempt(), attempt()] == [200, 999]
        http("DELETE", simulator.address + "/_simulator/requests")
        assert attempt() == 200


@pytest.mark.parametrize(
    ("hours", "at", "code"),
    [
        ("09:00-21:00", "08:59:59", 999),
        ("09:00-21:00", "09:00:00", 200),
        ("09:00-21:00", "20:59:59", 200),
        ("09:00-21:00", "21:00:00", 999),
        ("00:00-24:00", "23:59:59", 200),
        ("22:00-02:00", "01:00:00", 200),
        ("22:00-02:00", "03:00:00", 999),
    ],
)
def test_jumdata_hours(hours: str, at: str, code: int) -> None:
    now = datetime.fromisoformat(f"2026-11-22T{at}+08:00").timestamp()
    with JumdataSimulator(clock=lambda: now, hours=hours) as simulator:
        assert send(simulator, jumdata_fields(number(0), now)).json()["code"] == code


def test_jumdata_balance_falls_and_ends(jumdata_simulator: JumdataSimulator) -> None:
    jumdata_simulator.configure(balance="0.20")
    codes = [send(jumdata_simulator, jumdata_fields(number(0))).json()["code"] for _ in range(3)]
    assert codes == [200, 200, 603]
    url = f"{jumdata_simulator.address}/assistant/balance"
    found = http("GET", url, params=jumdata_fields("")).json()
    assert (found["code"], found["data"]) == (200, 0.02)
    assert http("GET", url, params=jumdata_fields("") | {"sign": "x"}).json()["msg"] == "签名错误"


def test_jumdata_result(jumdata_simulator: JumdataSimulator) -> None:
    url = f"{jumdata_simulator.address}/voice-notify/result"
    call_id = send(jumdata_simulator, jumdata_fields(number(72))).json()["data"]["callId"]
    fields = jumdata_fields(number(72), callId=call_id)
    assert http("GET", url, params=fields).json()["code"] == 999  # not known yet
    time.sleep(0.05)
    for found in (http("GET", url, params=fields).json(), http("POST", url, data=fields).json()):
        assert found["code"] == 200
        shown = {"callId": call_id, "callStatus": "1", "callStatusMsg": "失败", "callDesc": "487"}
        assert found["data"] == shown
    for changes, code in (({"callId": ""}, 400), ({"mobile": ""}, 400), ({"mobile": number(1)}, 999)):
        assert http("GET", url, params=fields | changes).json()["code"] == code


# -- both: the magic numbers 80 to 99


def test_plain_numbers_are_delivered(vendor: Vendor) -> None:
    call_ids = [vendor.call_id(vendor.call(number(ending))) for ending in range(10)]
    wait_for(lambda: len(vendor.receipts()) == 10)
    assert vendor.statuses() == [vendor.success] * 10
    named = [each["voiceid" if vendor.is_dxtong else "callId"] for each in vendor.receipts()]
    assert sorted(named) == call_ids


def test_only_the_sandbox_numbers_are_magic() -> None:
    assert [magic_ending(each) for each in (number(0), number(10), number(99))] == [0, 10, 99]
    assert [magic_ending(each) for each in ("1" * 11, number(10) + "0", "0" + number(10), "")] == [None] * 4


def assert_not_taken(vendor: Vendor) -> None:
    time.sleep(0.1)
    assert vendor.simulator.callbacks == []
    assert vendor.simulator.balance == (1000 if vendor.is_dxtong else 500.0)
    assert len(vendor.simulator.requests) == 1


def test_80_accepted_without_a_call_id(vendor: Vendor) -> None:
    reply = vendor.call(number(80))
    if vendor.is_dxtong:
        assert texts(reply) == {"code": "2", "msg": "提交成功", "voiceid": "0"}
    else:
        assert reply.json()["code"] == 200
        assert "data" not in reply.json()
    assert_not_taken(vendor)


def test_81_undocumented_code(vendor: Vendor) -> None:
    reply = vendor.call(number(81))
    assert texts(reply)["code"] == "7777" if vendor.is_dxtong else reply.json()["code"] == 777
    assert_not_taken(vendor)


def test_82_odd_shape(vendor: Vendor) -> None:
    reply = vendor.call(number(82))
    if vendor.is_dxtong:
        assert reply.content.startswith(b"\xef\xbb\xbf<?xml")
        assert b'<odd:SubmitResult xmlns:odd="urn:odd">' in reply.content
        assert texts(reply)["code"] == "2"
        json_reply = submit(vendor.simulator, dxtong_fields(number(82), format="json"))
        found = json.loads(json_reply.content.decode("utf-8-sig"))
        assert found["code"] == "2"
        assert isinstance(found["voiceid"], int)
    else:
        found = reply.json()
        assert found["code"] == "200"
        assert isinstance(found["data"]["callId"], int)
        assert isinstance(found["taskNo"], int)
    wait_for(vendor.receipts)
    assert vendor.statuses()[0] == vendor.success


def test_83_status_500_with_a_success_body(vendor: Vendor) -> None:
    reply = vendor.call(number(83))
    assert reply.status_code == 500
    assert vendor.call_id(reply) not in {None, "0"}
    assert_not_taken(vendor)


def test_84_redirect(vendor: Vendor) -> None:
    reply = vendor.call(number(84))
    assert (reply.status_code, reply.headers["Location"]) == (302, vendor.simulator.address + "/moved")
    assert_not_taken(vendor)


def test_85_unreadable_body(vendor: Vendor) -> None:
    reply = vendor.call(number(85))
    assert reply.status_code == 200
    with pytest.raises((ValueError, ElementTree.ParseError)):
        json.loads(reply.content) if not vendor.is_dxtong else ElementTree.fromstring(reply.content)
    assert_not_taken(vendor)


@pytest.mark.parametrize("ending", [86, 87])
def test_86_87_drip(vendor: Vendor, ending: int) -> None:
    """No read times out, yet the whole lasts as long as the simulator likes, and never comes to an end."""
    begun = time.monotonic()
    if ending == 86:  # http.client takes headers that break off for the whole of an empty reply
        assert vendor.call(number(ending), timeout=0.3).content == b""
    else:
        with pytest.raises(requests.RequestException):
            vendor.call(number(ending), timeout=0.3)
    assert 0.35 < time.monotonic() - begun < 2
    assert_not_taken(vendor)


def test_88_no_receipt(vendor: Vendor) -> None:
    assert vendor.call_id(vendor.call(number(88))) not in {None, "0"}
    time.sleep(0.15)
    assert vendor.simulator.callbacks == []
    assert vendor.simulator.balance == (999 if vendor.is_dxtong else 499.91)


def test_89_unreadable_receipt(vendor: Vendor) -> None:
    vendor.receiver.replies = [Reply(b"no"), Reply(b"success")]
    vendor.call(number(89))
    wait_for(lambda: len(vendor.simulator.callbacks) == 2)
    for request, _ in vendor.receiver.taken:
        assert request.body.startswith(b"\x00\xff\xfe")


def test_89_unreadable_receipt_by_get(jumdata_simulator: JumdataSimulator, receiver: Receiver) -> None:
    jumdata_simulator.configure(callback_format="query")
    Vendor(jumdata_simulator, receiver).call(number(89))
    wait_for(lambda: jumdata_simulator.callbacks)
    assert urlsplit(jumdata_simulator.callbacks[0]["url"]).query == "%00%FF%FE"


@pytest.mark.parametrize(("ending", "timeout"), [(90, 0.2), (91, 3), (92, 3)])
def test_90_to_92_no_reply_and_yet_a_receipt(vendor: Vendor, ending: int, timeout: float) -> None:
    with pytest.raises((requests.ConnectionError, requests.ReadTimeout)) as raised:
        vendor.call(number(ending), timeout=timeout)
    seen = {90: "Read timed out", 91: "Connection reset", 92: "without response"}
    assert seen[ending] in str(raised.value)
    wait_for(vendor.receipts)
    assert vendor.statuses() == [vendor.success]
    assert vendor.simulator.requests[0]["reply_code"] is None


def test_93_empty_reply_and_yet_a_receipt(vendor: Vendor) -> None:
    reply = vendor.call(number(93))
    assert (reply.status_code, reply.content) == (200, b"")
    wait_for(vendor.receipts)
    assert vendor.statuses() == [vendor.success]


def test_94_late_receipt(vendor: Vendor) -> None:
    vendor.call(number(94))
    begun = time.monotonic()
    wait_for(vendor.receipts)
    assert time.monotonic() - begun > 0.2


def test_95_two_receipts_at_once(vendor: Vendor) -> None:
    vendor.call(number(95))
    wait_for(lambda: len(vendor.receipts()) == 2)
    first, second = vendor.receipts()
    assert first == second
    (_, one), (_, other) = vendor.receiver.taken
    assert abs(one - other) < 0.1


def test_96_receipt_before_the_reply(vendor: Vendor) -> None:
    vendor.simulator.configure(callback_delay=5)
    vendor.call(number(96))
    assert vendor.statuses() == [vendor.success]


def test_96_is_retried_as_well(vendor: Vendor) -> None:
    vendor.receiver.replies = [Reply(b"no"), Reply(b"success")]
    vendor.call(number(96))
    wait_for(lambda: len(vendor.simulator.callbacks) == 2)


def test_97_failure_then_success(vendor: Vendor) -> None:
    vendor.call(number(97))
    wait_for(lambda: len(vendor.receipts()) == 2)
    assert vendor.statuses() == [-6 if vendor.is_dxtong else 1, vendor.success]
    assert vendor.is_dxtong or vendor.receipts()[0]["callDesc"] == "487"


def test_99_pushed_once(vendor: Vendor) -> None:
    vendor.receiver.replies = [Reply(b"no")]
    vendor.call(number(99))
    wait_for(vendor.receipts)
    time.sleep(0.15)
    assert len(vendor.receipts()) == 1


# -- pushes


@pytest.mark.parametrize(
    "refusal",
    [
        Reply(b'"success"'),
        Reply(b"SUCCESS"),
        Reply(b"success!"),
        Reply(b""),
        Reply(b"success", status=500),
        Reply(b"success", status=302, location="http://127.0.0.1:9/"),
    ],
    ids=["quoted", "upper", "more", "empty", "500", "redirect"],
)
def test_three_pushes_with_growing_gaps(dxtong_simulator: DxtongSimulator, receiver: Receiver, refusal: Reply) -> None:
    assert_three_pushes(Vendor(dxtong_simulator, receiver), refusal)


def test_jumdata_pushes_three_times_too(jumdata_simulator: JumdataSimulator, receiver: Receiver) -> None:
    assert_three_pushes(Vendor(jumdata_simulator, receiver), Reply(b"no"))


def assert_three_pushes(vendor: Vendor, refusal: Reply) -> None:
    vendor.receiver.replies = [refusal]
    vendor.call(number(0))
    wait_for(lambda: len(vendor.simulator.callbacks) == 3)
    time.sleep(0.15)
    first, second, third = (at for _, at in vendor.receiver.taken)
    assert 0.03 < second - first < third - second
    assert third - second > 0.07
    assert {each["status"] for each in vendor.simulator.callbacks} == {refusal.status}


def test_success_may_have_blanks_around_it(vendor: Vendor) -> None:
    vendor.receiver.replies = [Reply(b" success\r\n")]
    vendor.call(number(0))
    wait_for(vendor.receipts)
    time.sleep(0.15)
    assert len(vendor.receipts()) == 1


def test_an_unreachable_address_is_tried_again(vendor: Vendor) -> None:
    vendor.receiver.stop()
    vendor.call(number(0))
    wait_for(lambda: len(vendor.simulator.callbacks) == 3)
    assert "ConnectionRefused" in (vendor.simulator.callbacks[0]["error"] or "")


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1/c",
        "http://example.invalid/c",
        "https://127.0.0.1/c",
        "file:///c",
        "http://0.0.0.0/c",
    ],
)
def test_only_loopback_is_pushed_to(jumdata_simulator: JumdataSimulator, receiver: Receiver, url: str) -> None:
    vendor = Vendor(jumdata_simulator, receiver)
    vendor.callback_url = url
    vendor.call(number(0))
    wait_for(lambda: vendor.simulator.callbacks)
    time.sleep(0.06)
    (record,) = vendor.simulator.callbacks
    assert (record["url"], record["status"]) == (url, None)
    assert "refused" in (record["error"] or "")


def test_localhost_is_loopback(vendor: Vendor) -> None:
    vendor.callback_url = vendor.callback_url.replace("127.0.0.1", "localhost")
    if vendor.is_dxtong:
        vendor.simulator.configure(callback_url=vendor.callback_url)
    vendor.call(number(0))
    wait_for(vendor.receipts)
    assert vendor.simulator.callbacks[0]["status"] == 200


def test_stop_drops_what_still_waits(vendor: Vendor) -> None:
    def hang() -> None:
        with pytest.raises(requests.ConnectionError):
            vendor.call(number(90))

    vendor.simulator.configure(callback_delay=30)
    hanging = threading.Thread(target=hang)
    vendor.simulator.configure(slow_seconds=30)
    vendor.call(number(0))
    hanging.start()
    wait_for(lambda: len(vendor.simulator.requests) == 2)
    address = vendor.simulator.address
    begun = time.monotonic()
    vendor.simulator.stop()
    hanging.join(1)
    assert not hanging.is_alive()
    assert time.monotonic() - begun < 1
    assert not [each for each in threading.enumerate() if each in vendor.simulator._pushers]
    with pytest.raises(requests.ConnectionError):
        http("GET", address + "/_simulator")
    assert vendor.receiver.taken == []


# -- the control address


def test_control_state_and_forgetting(vendor: Vendor) -> None:
    url = vendor.simulator.address + "/_simulator"
    vendor.call(number(0))
    wait_for(vendor.receipts)
    state = http("GET", url).json()
    assert list(state) == ["vendor", "requests", "callbacks", "balance"]
    assert state["vendor"] == vendor.simulator.vendor
    assert state["requests"] == vendor.simulator.requests
    assert state["callbacks"] == vendor.simulator.callbacks
    assert state["balance"] == (999 if vendor.is_dxtong else 499.91)
    (request,) = state["requests"]
    assert list(request) == ["path", "method", "fields", "mobile", "reply_code", "at"]
    assert (request["method"], request["mobile"]) == ("POST", number(0))
    assert request["path"] == ("/webservice/voice.php" if vendor.is_dxtong else "/voice-notify/send")
    assert request["reply_code"] == (2 if vendor.is_dxtong else 200)
    assert request["fields"]["mobile"] == number(0)
    (callback,) = state["callbacks"]
    assert {"url", "body", "status", "reply", "at"} <= set(callback)
    assert http("DELETE", url + "/requests").status_code == 200
    state = http("GET", url).json()
    assert (state["requests"], state["callbacks"]) == ([], [])


def test_control_changes_settings(vendor: Vendor) -> None:
    url = vendor.simulator.address + "/_simulator"
    changes = {
        "balance": 7,
        "callback_delay": 0,
        "retry_interval": 1,
        "late_seconds": 2,
        "callback_format": "form",
    }
    own: dict[str, Any] = {"templates": {"T1": 0}, "hours": "09:00-21:00"}
    if vendor.is_dxtong:
        own = {"templates": ["模板"], "callback_url": "http://127.0.0.1:9/c"}
    reply = http("PUT", url, json=changes | own)
    assert (reply.status_code, reply.json()["balance"]) == (200, 7)
    settings = vendor.simulator.settings
    assert (settings.callback_delay, settings.retry_interval, settings.late_seconds) == (0, 1, 2)
    assert http("PUT", url, json={"callback_format": "json"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ('{"balance": 5, "color": "red"}', "color"),
        ('{"self": 1}', "self"),
        ('{"balance": -1}', "balance"),
        ('{"balance": "NaN"}', "balance"),
        ('{"balance": true}', "balance"),
        ('{"callback_delay": "soon"}', "callback_delay"),
        ('{"late_seconds": null}', "late_seconds"),
        ('{"callback_format": "csv"}', "callback_format"),
        ('{"templates": 7}', "templates"),
        ("[]", "object"),
        ("{", "Expecting"),
    ],
)
def test_control_refuses_bad_settings(vendor: Vendor, body: str, named: str) -> None:
    before = vendor.simulator.settings
    reply = http("PUT", vendor.simulator.address + "/_simulator", data=body)
    assert reply.status_code == 400
    assert named in reply.json()["error"]
    assert vendor.simulator.settings == before


def test_settings_of_the_other_vendor_are_unknown(
    dxtong_simulator: DxtongSimulator, jumdata_simulator: JumdataSimulator
) -> None:
    for simulator, name in ((dxtong_simulator, "hours"), (jumdata_simulator, "callback_url")):
        reply = http("PUT", simulator.address + "/_simulator", json={name: "09:00-21:00"})
        assert (reply.status_code, reply.json()["error"]) == (400, f"unknown setting: {name}")
    for hours in ("9-21", "09:60-21:00", "24:00-25:00", "09:00-09:00"):
        with pytest.raises(ValueError, match="hours"):
            jumdata_simulator.configure(hours=hours)


def test_control_unknown_address(vendor: Vendor) -> None:
    assert http("POST", vendor.simulator.address + "/_simulator/x").status_code == 404
    assert vendor.simulator.requests == []


def test_no_output_and_garbage_is_survived(vendor: Vendor, capfd: pytest.CaptureFixture[str]) -> None:
    port = urlsplit(vendor.simulator.address).port
    for garbage in (b"\r\n\r\n", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1024)
    http("POST", vendor.simulator.address + "/", data=urlencode({"a": "b"}).encode("gbk"))
    vendor.call(number(0))
    assert capfd.readouterr() == ("", "")


def test_many_calls_at_once(dxtong_simulator: DxtongSimulator, receiver: Receiver) -> None:
    vendor = Vendor(dxtong_simulator, receiver)
    threads = [threading.Thread(target=vendor.call, args=(number(0),)) for _ in range(40)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    wait_for(lambda: len(vendor.receipts()) == 40)
    assert len({each["voiceid"] for each in vendor.receipts()}) == 40
    assert dxtong_simulator.balance == 960


def test_a_text_only_body_is_no_form(jumdata_simulator: JumdataSimulator) -> None:
    """请求格式: x-www-form-urlencoded; a JSON body holds no fields."""
    url = f"{jumdata_simulator.address}/voice-notify/send"
    assert http("POST", url, json=jumdata_fields(number(0))).json()["msg"] == "参数错误"
