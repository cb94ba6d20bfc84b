"""What jumdata's page says and no other vendor's does; the page is quoted where it is a table."""

import hashlib
import re

import pytest
from voice_gateway import vendors
from voice_gateway.model.call import Call, Refused, Unknown
from voice_gateway.model.faults import Fault
from voice_gateway.model.request import Catalogue, Template, Text, VendorTemplate

from tests.vendors import payloads
from tests.vendors.payloads import answering

pytestmark = pytest.mark.disable_socket

JUMDATA = vendors.vendor("jumdata")
CREDENTIALS = {"appId": "xyzxy2121zxyz", "appSecret": "efcefcef1121cefcefc1212121"}
NOW = 1555378976.238
URL = "https://example.com/callbacks/jumdata/x"

CODES = """
<tr><td>200</td><td>成功</td></tr>
<tr><td>400</td><td>参数错误</td></tr>
<tr><td>404</td><td>接口地址不正确</td></tr>
<tr><td>500</td><td>系统维护,请稍候再试</td></tr>
<tr><td>501</td><td>官方数据源维护,请稍候再试</td></tr>
<tr><td>601</td><td>接口未开通</td></tr>
<tr><td>602</td><td>账号停用</td></tr>
<tr><td>603</td><td>余额不足请充值</td></tr>
<tr><td>604</td><td>接口停用</td></tr>
<tr><td>999</td><td>其他,以实际返回为准</td></tr>
"""
REQUIRED = {"appId", "timestamp", "sign", "mobile", "templateId"}
OPTIONAL = {"param", "playTimes", "notifyUrl"}
SIP = {
    "486": "busy",
    "487": "no_answer",
    "603": "declined",
    "404": "number_invalid",
    "480": "unreachable",
    "408": "timed_out",
}
"""callDesc, taken as SIP."""


def sha256(text: str) -> str:
    """签名算法: lower-case hex, as the vendor's other clients send it."""
    return hashlib.sha256(text.encode()).hexdigest()


def sent(call: Call, now: float = NOW) -> dict[str, str]:
    return dict(JUMDATA.submit_request(call, CREDENTIALS, now).form or {})


def answered(code: int, message: str | None) -> object:
    text = "" if message is None else f', "msg": "{message}"'
    body = f'{{"code": {code}{text}}}'
    return JUMDATA.submit(Call("13800138000", template_id="T1001"), CREDENTIALS, answering(body), NOW)


# -- the page's table


def test_the_page_s_codes_are_the_table_of_refusals() -> None:
    page = dict(re.findall(r"<td>(\d+)</td><td>(.+)</td>", CODES))
    assert len(page) == 10
    assert (page.pop("200"), page.pop("999")) == ("成功", "其他,以实际返回为准")
    assert {code: text for code, (text, _, _) in JUMDATA.refusals.items()} == page
    assert {code: text for code, text, _, _ in payloads.contract("jumdata")["refusals"]} == page


def test_999_decides_nothing() -> None:
    assert isinstance(answered(999, "余额不足请充值"), Unknown)


# What a 400 is about stands in its msg only (docs/vendors.md).
@pytest.mark.parametrize(
    ("message", "error", "refusal"),
    [
        ("手机号格式不正确", "invalid_mobile", "F"),
        ("手机号不能为空", "invalid_mobile", "F"),
        ("签名错误", "credentials_refused", "N"),
        ("sign不正确", "credentials_refused", "N"),
        ("appId不存在", "credentials_refused", "N"),
        ("timestamp已过期", "credentials_refused", "N"),
        ("参数错误", "invalid_request", "C"),
        ("模板不存在", "invalid_request", "C"),
        ("", "invalid_request", "C"),
        (None, "invalid_request", "C"),
    ],
)
def test_a_400_is_told_apart_by_its_message(message: str | None, error: str, refusal: str) -> None:
    outcome = answered(400, message)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.refusal, outcome.vendor_code) == (error, refusal, "400")


@pytest.mark.parametrize("code", [404, 500, 501, 601, 602, 603, 604])
def test_the_message_of_any_other_code_decides_nothing(code: int) -> None:
    outcome, plain = answered(code, "手机号 签名 sign"), answered(code, None)
    assert isinstance(outcome, Refused)
    assert isinstance(plain, Refused)
    assert (outcome.code, outcome.refusal) == (plain.code, plain.refusal)


# -- 签名算法


def test_the_page_s_worked_example() -> None:
    found = sent(Call("13800138000", template_id="T1001"))
    assert found["sign"] == sha256("xyzxy2121zxyzefcefcef1121cefcefc12121211555378976238")
    assert (found["appId"], found["timestamp"]) == ("xyzxy2121zxyz", "1555378976238")


def test_the_signature_is_lower_case_hex() -> None:
    for milliseconds in range(50):
        found = sent(Call("13800138000", template_id="T1001"), NOW + milliseconds / 1000)
        assert re.fullmatch("[0-9a-f]{64}", found["sign"])
        assert found["sign"] == sha256(CREDENTIALS["appId"] + CREDENTIALS["appSecret"] + found["timestamp"])


@pytest.mark.parametrize("now", [1555378976.0, 1555378976.001, 1795392000.999])
def test_the_timestamp_is_13_digits_of_milliseconds(now: float) -> None:
    timestamp = sent(Call("13800138000", template_id="T1001"), now)["timestamp"]
    assert re.fullmatch("[0-9]{13}", timestamp)
    assert abs(int(timestamp) - now * 1000) < 1


def test_balance_and_result_are_signed_in_the_same_way() -> None:
    queries = [
        JUMDATA.balance_request(CREDENTIALS, NOW).query,
        JUMDATA.query_request("12121212121212", "13800138000", CREDENTIALS, NOW).query,
    ]
    for query in queries:
        assert query["sign"] == sha256("xyzxy2121zxyzefcefcef1121cefcefc12121211555378976238")


# -- 请求参数


def test_every_documented_field_is_sent() -> None:
    found = sent(Call("13800138000", None, "T1001", ("9633", "顺丰快递"), 3, "order-9633", URL))
    assert set(found) == REQUIRED | OPTIONAL | {"notifyData"}
    assert (found["mobile"], found["templateId"], found["param"]) == ("13800138000", "T1001", "9633,顺丰快递")
    assert (found["playTimes"], found["notifyUrl"], found["notifyData"]) == ("3", URL, "order-9633")


def test_only_required_fields_are_sent_where_there_are_no_others() -> None:
    assert set(sent(Call("13800138000", template_id="T1001"))) == REQUIRED


def test_send_has_no_query_at_all() -> None:
    request = JUMDATA.submit_request(Call("13800138000", template_id="T1001"), CREDENTIALS, NOW)
    assert (request.method, request.path, dict(request.query)) == ("POST", "/voice-notify/send", {})


def test_the_result_is_asked_for_by_call_id_and_number() -> None:
    request = JUMDATA.query_request("12121212121212", "13800138000", CREDENTIALS, NOW)
    assert (request.method, request.path, request.form) == ("GET", "/voice-notify/result", None)
    assert (request.query["callId"], request.query["mobile"]) == ("12121212121212", "13800138000")


# -- the forms that it carries


def test_the_values_go_in_the_order_of_the_template() -> None:
    template = Template("t", "{a}{b}{c}", {"jumdata": {"template_id": "T7", "params": ["c", "a", "b"]}})
    call = JUMDATA.carry(Catalogue("t", {"a": "1", "b": "2", "c": "3"}), template)
    assert call == Call(mobile="", template_id="T7", values=("3", "1", "2"))


def test_a_template_without_variables_has_no_values() -> None:
    template = Template("t", "{a}", {"jumdata": {"template_id": "T7"}})
    assert JUMDATA.carry(Catalogue("t", {"a": "1,2"}), template) == Call(mobile="", template_id="T7")


@pytest.mark.parametrize("value", [",", "a,b", ",b", "顺丰,快递"])
def test_a_value_with_an_ascii_comma_cannot_be_sent(value: str) -> None:
    template = Template("t", "{a}", {"jumdata": {"template_id": "T7", "params": ["a"]}})
    for form in (VendorTemplate("T7", ("1", value)), Catalogue("t", {"a": value})):
        fault = JUMDATA.carry(form, template)
        assert isinstance(fault, Fault)
        assert (fault.code, fault.vendor) == ("template_mismatch", "jumdata")
        assert value not in fault.message.replace(", ", " ")


@pytest.mark.parametrize("value", ["\uff0c", "、", "،", "a;b", "a b"])
def test_any_other_comma_can(value: str) -> None:
    assert JUMDATA.carry(VendorTemplate("T7", (value,)), None) == Call(mobile="", template_id="T7", values=(value,))


def test_length_is_no_matter_of_jumdata_s() -> None:
    call = JUMDATA.carry(VendorTemplate("T7", ("字" * 300,)), None)
    assert isinstance(call, Call)


def test_a_text_is_not_carried() -> None:
    fault = JUMDATA.carry(Text("1125"), None)
    assert isinstance(fault, Fault)
    assert fault.code == "template_mismatch"


# -- callDesc


@pytest.mark.parametrize(("detail", "reason"), [*SIP.items(), ("110", "unknown"), ("", "unknown"), ("487x", "unknown")])
def test_call_desc_is_taken_as_sip(detail: str, reason: str) -> None:
    reply = {"callId": "12121212121212", "callStatus": "1", "callDesc": detail}
    assert JUMDATA.read_callback(reply).reason == reason
    asked = JUMDATA.read_query({"code": "200", "data": reply})
    assert asked is not None
    assert asked.reason == reason


def test_a_delivered_call_has_no_reason() -> None:
    for detail in SIP:
        reply = {"callId": "12121212121212", "callStatus": "0", "callDesc": detail}
        receipt = JUMDATA.read_callback(reply)
        assert (receipt.delivered, receipt.reason) == (True, None)
