"""What dxtong's page says and no other vendor's does. Sections are the page's, which is quoted where it is a table."""

import hashlib
import re

import pytest
from voice_gateway import vendors
from voice_gateway.model.call import Call, Refused
from voice_gateway.model.errors import Unreadable
from voice_gateway.model.faults import Fault
from voice_gateway.model.request import Catalogue, Template, Text, VendorTemplate
from voice_gateway.vendors.common.base import BalanceUnknown

from tests.vendors import payloads
from tests.vendors.payloads import answering

pytestmark = pytest.mark.disable_socket

DXTONG = vendors.vendor("dxtong")
CREDENTIALS = {"account": "test", "apiKey": "1q784322ba1d9bb88d50cf5cdfd89k7d"}
NOW = 1451544941.9
CONTENT = "您的订单号是:9633。已由顺丰快递发出,请注意查收。"

SECTION_2_5 = """
| 0 | 提交失敗 |
| 2 | 提交成功 |
| 400 | 非法ip訪問 |
| 401 | 帳號不能為空 |
| 402 | 密碼不能為空 |
| 403 | 手機號碼不能為空 |
| 4030 | 手機號碼已被列入黑名單 |
| 404 | 語音內容不能為空 |
| 405 | 用戶名或密碼不正確 |
| 4050 | 賬號被凍結 |
| 4051 | 剩余條數不足 |
| 4052 | 訪問 ip 與備案 ip 不符 |
| 406 | 手機格式不正確 |
| 407 | 短信內容含有敏感字符 |
| 4071 | 沒有提交備案模板 |
| 4072 | 提交的語音內容必須與報備過的模板格式相匹配 |
| 40722 | 變量內容超過指定的長度 |
| 408 | 您的帳戶疑被惡意利用,已被自動凍結,如有疑問請與客服聯系 |
"""
SECTION_3_5 = """
| 2 | 查詢成功 |
| 400 | 非法ip訪問 |
| 401 | 帳號不能為空 |
| 402 | 密碼不能為空 |
| 405 | 用戶名或密碼不正確 |
| 4050 | 賬號被凍結 |
"""
SECTION_4_2 = """
| 2 | 成功 |
| 0 | 未知錯誤 |
| -1 | 關機 |
| -2 | 停機 |
| -3 | 暫時無法接通 |
| -4 | 正在通話 |
| -5 | 空號 |
| -6 | 無人接聽 |
| -7 | 開通來電提醒 |
| -8 | 呼入限制 |
| -9 | 網絡忙 |
| -10 | 呼出限制 |
| -11 | 線路忙 |
| -12 | 用戶拒接 |
| -13 | 呼叫轉移 |
| -14 | 傳真機摘機識別 |
| -15 | 自動應答機摘機識別 |
| -16 | 自然人摘機識別 |
| -17 | 接通無人回話 |
| -18 | 呼叫超時 |
| -19 | 無應答 |
| -20 | 呼叫超時 |
| -21 | 空白 |
| -22 | 呼叫失敗 |
"""
PUBLIC = {"4082"}
"""On no page of dxtong's, but in public clients of the same interface."""


def table(page: str) -> dict[str, str]:
    return dict(re.findall(r"^\| (-?\d+) \| (.+) \|$", page, re.MULTILINE))


def md5(text: str) -> str:
    """Section 5: PHP's md5() of UTF-8 bytes, in lower-case hex."""
    return hashlib.md5(text.encode()).hexdigest()


def submitted(mobile: str, content: str, now: float = NOW) -> dict[str, str]:
    request = DXTONG.submit_request(Call(mobile=mobile, content=content), CREDENTIALS, now)
    return dict(request.form or {})


# -- the page's tables


def test_section_2_5_is_the_table_of_refusals() -> None:
    page = table(SECTION_2_5)
    assert page.pop("2") == "提交成功"
    ours = {code: text for code, (text, _, _) in DXTONG.refusals.items() if code not in PUBLIC}
    assert len(page) == 17
    assert ours == page
    assert set(DXTONG.refusals) == {*page, *PUBLIC}


def test_the_contract_restates_section_2_5() -> None:
    page = table(SECTION_2_5)
    restated = {code: text for code, text, _, _ in payloads.contract("dxtong")["refusals"] if code not in PUBLIC}
    assert restated == {code: text for code, text in page.items() if code != "2"}


@pytest.mark.parametrize(("code", "text"), [row for row in table(SECTION_3_5).items() if row[0] != "2"])
def test_section_3_5_refuses_a_balance_as_2_5_refuses_a_call(code: str, text: str) -> None:
    body = f"<GetNumResult><code>{code}</code><msg>{text}</msg><num>0</num></GetNumResult>"
    refused = DXTONG.submit(Call("13800138000", CONTENT), CREDENTIALS, answering(body), NOW)
    assert isinstance(refused, Refused)
    with pytest.raises(BalanceUnknown) as caught:
        DXTONG.balance(CREDENTIALS, answering(body), NOW)
    fault = caught.value.fault
    assert (fault.code, fault.vendor_code, fault.vendor_message) == (refused.code, code, text)


def test_section_4_2_is_the_table_of_receipts() -> None:
    page = table(SECTION_4_2)
    assert len(page) == 24
    assert page == {code: text for code, text, _ in payloads.contract("dxtong")["receipts"]}
    for code, text in page.items():
        assert DXTONG.read_callback({"code": code, "voiceid": "60495654"}).message == text


def test_only_2_is_delivered() -> None:
    """Section 4.2's field table: 2 成功 0 失敗. A person who picks up (-16) is a failure all the same."""
    for code in range(-1000, 1000):
        receipt = DXTONG.read_callback({"code": str(code), "voiceid": "60495654"})
        assert receipt.delivered == (code == 2)
        assert (receipt.reason is None) == (code == 2)


def test_any_other_integer_is_a_failure_for_an_unknown_reason() -> None:
    known = table(SECTION_4_2)
    for code in [*range(-300, -22), *range(3, 300), 1, 4082, -999999]:
        assert str(code) not in known
        receipt = DXTONG.read_callback({"code": str(code), "voiceid": "60495654", "msg": "新"})
        assert (receipt.reason, receipt.code, receipt.message) == ("unknown", str(code), "新")


# -- section 5, the dynamic password


def test_the_page_s_worked_example() -> None:
    """The page breaks the line inside the time; the number stands there as 138xxxxxxxx."""
    sent = submitted("138xxxxxxxx", "1125")
    assert sent["password"] == md5("test1q784322ba1d9bb88d50cf5cdfd89k7d138xxxxxxxx11251451544941")
    assert sent["account"] == "test"
    assert sent["time"] == "1451544941"


def test_the_page_s_worked_example_of_a_balance() -> None:
    sent = DXTONG.balance_request(CREDENTIALS, NOW).form or {}
    assert sent["password"] == md5("test1q784322ba1d9bb88d50cf5cdfd89k7d1451544941")
    assert (sent["account"], sent["time"]) == ("test", "1451544941")


@pytest.mark.parametrize("content", [CONTENT, "a&b=c d+e%20", "張茜將于 2 天后過生日~", "𠮷😀"])
def test_the_content_is_signed_as_utf8_before_it_is_encoded(content: str) -> None:
    sent = submitted("13800138000", content)
    key = CREDENTIALS["apiKey"]
    assert sent["content"] == content
    assert sent["password"] == md5(f"test{key}13800138000{content}1451544941")
    assert re.fullmatch("[0-9a-f]{32}", sent["password"])


def test_the_time_is_ten_digits_of_seconds() -> None:
    for now in (1451544941.0, 1451544941.999, 1795392000.5):
        assert submitted("13800138000", "1125", now)["time"] == str(int(now))
        assert re.fullmatch("[0-9]{10}", submitted("13800138000", "1125", now)["time"])


# -- sections 2.2, 2.3, 3.2: what is sent


def test_only_the_method_stands_in_the_query() -> None:
    submit = DXTONG.submit_request(Call("13800138000", CONTENT), CREDENTIALS, NOW)
    assert (submit.method, submit.path, submit.query) == ("POST", "/webservice/voice.php", {"method": "Submit"})
    balance = DXTONG.balance_request(CREDENTIALS, NOW)
    assert (balance.method, balance.path, balance.query) == ("POST", "/webservice/voice.php", {"method": "GetNum"})


def test_every_field_of_section_2_3_is_sent() -> None:
    sent = submitted("13800138000", CONTENT)
    assert {"account", "password", "mobile", "content", "time"} <= set(sent) <= {*sent, "format"}
    assert (sent["mobile"], sent["content"]) == ("13800138000", CONTENT)
    assert sent.get("format", "xml") in {"xml", "json"}


def test_what_only_another_vendor_takes_is_not_sent() -> None:
    call = Call("13800138000", CONTENT, play_times=3, notify_data="order-9633", notify_url="https://example.com/x")
    assert DXTONG.submit_request(call, CREDENTIALS, NOW).form == submitted("13800138000", CONTENT)


# -- the forms that it carries


@pytest.mark.parametrize("content", ["字" * 180, "a" * 180, "😀" * 180])
def test_180_characters_are_carried(content: str) -> None:
    """支持 180 個字: characters, not bytes and not UTF-16 units."""
    assert DXTONG.carry(Text(content), None) == Call(mobile="", content=content)


@pytest.mark.parametrize("content", ["字" * 181, "a" * 1000])
def test_more_than_180_characters_are_not(content: str) -> None:
    fault = DXTONG.carry(Text(content), None)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.vendor) == ("content_too_long", "dxtong")
    assert content not in fault.message


def test_a_filled_template_is_measured_with_its_values() -> None:
    template = Template("t", "字" * 170 + "{order}", {"dxtong": {}})
    fits, over = (DXTONG.carry(Catalogue("t", {"order": "1" * length}), template) for length in (10, 11))
    assert isinstance(fits, Call)
    assert isinstance(over, Fault)
    assert over.code == "content_too_long"


def test_a_value_with_a_comma_or_braces_is_only_text() -> None:
    template = Template("t", "{{{order}}},{carrier}", {"dxtong": {}})
    call = DXTONG.carry(Catalogue("t", {"order": "{carrier}", "carrier": "a,b"}), template)
    assert call == Call(mobile="", content="{{carrier}},a,b", values=("{carrier}", "a,b"))


def test_a_jumdata_template_id_is_not_carried() -> None:
    fault = DXTONG.carry(VendorTemplate("T1001", ("9633",)), None)
    assert isinstance(fault, Fault)
    assert fault.code == "template_mismatch"


def test_a_template_of_181_fixed_characters_could_never_be_carried() -> None:
    assert DXTONG.check_template("字" * 180, {})[0] == []
    assert DXTONG.check_template("字" * 181, {})[0]
    assert DXTONG.check_template("字" * 180 + "{order}", {})[0] == []


def test_little_room_for_values_is_warned_of() -> None:
    faults, warnings = DXTONG.check_template("字" * 175 + "{order}", {})
    assert faults == []
    assert warnings
    assert DXTONG.check_template("字" * 20 + "{order}", {}) == ([], [])


# -- receipts


def test_the_report_time_is_china_standard_time() -> None:
    receipt = DXTONG.read_callback({"code": "2", "voiceid": "1", "report_time": "2018-05-24 17:46:50"})
    assert receipt.reported_at == "2018-05-24T17:46:50+08:00"


@pytest.mark.parametrize("voiceid", ["0", "", "6 0", "é", "六", "6" * 65])
def test_a_voiceid_that_is_no_key_is_unreadable(voiceid: str) -> None:
    with pytest.raises(Unreadable):
        DXTONG.read_callback({"code": "2", "voiceid": voiceid})
