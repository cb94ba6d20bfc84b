"""dxtong (達信通), voice notification. Sections are those of the vendor's page, 語音通知.

POST with only ``method`` in the query, so that neither account nor number reaches an access log; the dynamic password,
so that the API key never leaves; receipts come to one static address, and name their call by the voice id.
"""

import hashlib
import re
from decimal import Decimal
from typing import Any, ClassVar

from voice_gateway.model import mobile
from voice_gateway.model.call import Accepted, Call, Outcome, RefusalClass, Unknown
from voice_gateway.model.errors import Unreadable
from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.receipt import Receipt
from voice_gateway.model.request import Catalogue, Form, Template, Text, placeholders
from voice_gateway.vendors.common.base import Credentials, Refusals, Vendor
from voice_gateway.vendors.common.decoding import Fields
from voice_gateway.vendors.common.http import HttpRequest
from voice_gateway.vendors.common.values import call_id, code, field, moment, seconds, vendor_text

_F, _N, _T, _C = RefusalClass.FINAL, RefusalClass.NEXT, RefusalClass.TRANSIENT, RefusalClass.CAP

# Section 2.5, and 3.5, whose codes are among them. 4082 is not on the page but in the vendor's public clients.
REFUSALS: Refusals = {
    "0": ("提交失敗", Code.VENDOR_UNAVAILABLE, _T),
    "400": ("非法ip訪問", Code.IP_NOT_ALLOWED, _N),
    "401": ("帳號不能為空", Code.CREDENTIALS_REFUSED, _N),
    "402": ("密碼不能為空", Code.CREDENTIALS_REFUSED, _N),
    "403": ("手機號碼不能為空", Code.INVALID_MOBILE, _F),
    "4030": ("手機號碼已被列入黑名單", Code.BLOCKLISTED, _F),
    "404": ("語音內容不能為空", Code.CONTENT_REFUSED, _F),
    "405": ("用戶名或密碼不正確", Code.CREDENTIALS_REFUSED, _N),
    "4050": ("賬號被凍結", Code.ACCOUNT_SUSPENDED, _N),
    "4051": ("剩余條數不足", Code.INSUFFICIENT_CREDIT, _N),
    "4052": ("訪問 ip 與備案 ip 不符", Code.IP_NOT_ALLOWED, _N),
    "406": ("手機格式不正確", Code.INVALID_MOBILE, _F),
    "407": ("短信內容含有敏感字符", Code.CONTENT_REFUSED, _F),
    "4071": ("沒有提交備案模板", Code.TEMPLATE_MISMATCH, _C),
    "4072": ("提交的語音內容必須與報備過的模板格式相匹配", Code.TEMPLATE_MISMATCH, _C),
    "40722": ("變量內容超過指定的長度", Code.CONTENT_TOO_LONG, _C),
    "408": ("您的帳戶疑被惡意利用,已被自動凍結,如有疑問請與客服聯系", Code.ACCOUNT_SUSPENDED, _N),
    "4082": ("同一號碼每天最多呼叫 5 次", Code.DAILY_LIMIT, _C),
}

# Section 4.2. Every code but 2 is a failure, -16 included: the field table says only "2 成功 0 失敗".
RECEIPTS: dict[str, tuple[str, str | None]] = {
    "2": ("成功", None),
    "0": ("未知錯誤", "unknown"),
    "-1": ("關機", "powered_off"),
    "-2": ("停機", "number_suspended"),
    "-3": ("暫時無法接通", "unreachable"),
    "-4": ("正在通話", "busy"),
    "-5": ("空號", "number_invalid"),
    "-6": ("無人接聽", "no_answer"),
    "-7": ("開通來電提醒", "call_reminder"),
    "-8": ("呼入限制", "incoming_barred"),
    "-9": ("網絡忙", "network_busy"),
    "-10": ("呼出限制", "outgoing_barred"),
    "-11": ("線路忙", "line_busy"),
    "-12": ("用戶拒接", "declined"),
    "-13": ("呼叫轉移", "forwarded"),
    "-14": ("傳真機摘機識別", "answered_by_fax"),
    "-15": ("自動應答機摘機識別", "answered_by_machine"),
    "-16": ("自然人摘機識別", "answered_by_person"),
    "-17": ("接通無人回話", "answered_silence"),
    "-18": ("呼叫超時", "timed_out"),
    "-19": ("無應答", "no_answer"),
    "-20": ("呼叫超時", "timed_out"),
    "-21": ("空白", "unknown"),
    "-22": ("呼叫失敗", "vendor_failure"),
}

_IN_WORDS = {"成功": "2", "失敗": "0", "失败": "0"}
"""The field table's own words for its two codes (section 4.2)."""

LONGEST_CONTENT = 180
"""Characters (section 2.3: 支持 180 個字)."""

_PATH = "/webservice/voice.php"


class Dxtong(Vendor):
    name: ClassVar[str] = "dxtong"
    credentials: ClassVar[tuple[str, ...]] = ("account", "apiKey")
    forms: ClassVar[tuple[type, ...]] = (Catalogue, Text)
    line: ClassVar[str] = "voice"
    unit: ClassVar[str] = "calls"
    least_credit: ClassVar[Decimal] = Decimal(1)
    callback_per_call: ClassVar[bool] = False
    result_query: ClassVar[bool] = False
    refusals: ClassVar[Refusals] = REFUSALS
    reasons: ClassVar[frozenset[str]] = frozenset(reason for _, reason in RECEIPTS.values() if reason)

    def carry(self, form: Form, template: Template | None) -> Call | Fault:
        """The text in full; it must fit in 180 characters (section 2.3)."""
        values: tuple[str, ...] = ()
        if isinstance(form, Text):
            content = form.content
        elif isinstance(form, Catalogue) and template and self.name in template.vendors:
            content, values = template.text.format(**form.params), tuple(form.params.values())
        else:
            return self._fault(Code.TEMPLATE_MISMATCH, "cannot carry this template")
        if len(content) > LONGEST_CONTENT:
            return self._fault(
                Code.CONTENT_TOO_LONG,
                f"{len(content)} characters, and at most {LONGEST_CONTENT} are read out",
            )
        return Call(mobile="", content=content, values=values)

    def check_template(self, text: str, own: dict[str, Any]) -> tuple[list[str], list[str]]:
        faults = [f"{name}: unknown" for name in sorted(own)]
        fixed = len(text.format(**dict.fromkeys(placeholders(text), "")))
        if fixed > LONGEST_CONTENT:
            faults.append(f"the text without its values has {fixed} characters, and {LONGEST_CONTENT} are the most")
        room = LONGEST_CONTENT - fixed
        warnings = (
            [f"the values have {room} characters of room in all"] if 0 <= room < 20 and placeholders(text) else []
        )
        return faults, warnings

    def submit_request(self, call: Call, credentials: Credentials, now: float) -> HttpRequest:
        """Section 2.3."""
        content = call.content or ""
        time = str(int(now))
        form = {
            **_signed(credentials, call.mobile + content, time),
            "mobile": call.mobile,
            "content": content,
        }
        return HttpRequest("POST", _PATH, {"method": "Submit"}, form)

    def read_submit(self, fields: Fields) -> Outcome:
        """Sections 2.3 to 2.5. ``voiceid`` is ``0`` where nothing was accepted, so a 2 with it says nothing."""
        vendor_code, message = code(fields, "code"), field(fields, "msg")
        if vendor_code != "2":
            return self.refused(vendor_code, message)
        try:
            return Accepted(call_id(field(fields, "voiceid")))
        except Unreadable:
            return Unknown("accepted without a voiceid", vendor_code, message)

    def balance_request(self, credentials: Credentials, now: float) -> HttpRequest:
        """Section 3.3."""
        return HttpRequest("POST", _PATH, {"method": "GetNum"}, _signed(credentials, "", str(int(now))))

    def read_balance(self, fields: Fields) -> str | None:
        """Section 3.3: ``num`` is the number of calls left."""
        return field(fields, "num") if code(fields, "code") == "2" else None

    def read_callback(self, fields: Fields) -> Receipt:
        """Section 4.2."""
        found = code(fields, "code")
        found = _IN_WORDS.get(found, found)
        if not re.fullmatch(r"-?[0-9]{1,9}", found, re.ASCII):
            raise Unreadable("no code")
        page_text, reason = RECEIPTS.get(found, ("", "unknown"))
        return Receipt(
            vendor=self.name,
            call_id=call_id(field(fields, "voiceid")),
            delivered=found == "2",
            reason=reason,
            code=found,
            message=vendor_text(fields, "msg") or page_text,
            talk_seconds=seconds(field(fields, "talktime")),
            reported_at=moment(field(fields, "report_time")),
            mobile=mobile.normalise(field(fields, "mobilephone")),
        )


def _signed(credentials: Credentials, between: str, time: str) -> dict[str, str]:
    """Section 5, the dynamic password: MD5 is the vendor's choice. JSON is asked for; XML is read as well."""
    text = credentials["account"] + credentials["apiKey"] + between + time
    password = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return {"account": credentials["account"], "password": password, "time": time, "format": "json"}


VENDOR = Dxtong()
