"""jumdata (聚美智数), voice notification with a random caller. Sections are those of the vendor's page,
语音通知-随机主叫; balance and result query are from its other public pages (docs/vendors.md).

The signature does not cover the body, so calls go by POST: a GET would put signature and number into access logs.
Each call carries its own callback address, which names the message.
"""

import hashlib
from decimal import Decimal
from typing import Any, ClassVar

from voice_gateway.model.call import Accepted, Call, Outcome, RefusalClass, Refused, Unknown
from voice_gateway.model.errors import Unreadable
from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.receipt import Receipt
from voice_gateway.model.request import Catalogue, Form, Template, VendorTemplate, placeholders
from voice_gateway.vendors.common.base import Credentials, Refusals, Vendor
from voice_gateway.vendors.common.decoding import Fields
from voice_gateway.vendors.common.http import HttpRequest
from voice_gateway.vendors.common.values import call_id, code, field, seconds, vendor_text

_F, _N, _T, _C = RefusalClass.FINAL, RefusalClass.NEXT, RefusalClass.TRANSIENT, RefusalClass.CAP

# code返回码说明. 400 is told apart by its msg below; 999 (其他,以实际返回为准) is left out: it decides nothing.
REFUSALS: Refusals = {
    "400": ("参数错误", Code.INVALID_REQUEST, _C),
    "404": ("接口地址不正确", Code.NOT_CONFIGURED, _N),
    "500": ("系统维护,请稍候再试", Code.VENDOR_UNAVAILABLE, _T),
    "501": ("官方数据源维护,请稍候再试", Code.VENDOR_UNAVAILABLE, _T),
    "601": ("接口未开通", Code.NOT_CONFIGURED, _N),
    "602": ("账号停用", Code.ACCOUNT_SUSPENDED, _N),
    "603": ("余额不足请充值", Code.INSUFFICIENT_CREDIT, _N),
    "604": ("接口停用", Code.ACCOUNT_SUSPENDED, _N),
}

# What a 400 is about, if not template or parameters, which another vendor may have right: the page has no code of its
# own for a bad number or a bad signature.
_BAD_PARAMETER: tuple[tuple[tuple[str, ...], Code, RefusalClass], ...] = (
    (("手机号",), Code.INVALID_MOBILE, _F),
    (("签名", "sign", "appid", "timestamp"), Code.CREDENTIALS_REFUSED, _N),
)

# callDesc, taken as SIP's failure numbers; only public samples carry it.
FAILURES = {
    "486": "busy",
    "487": "no_answer",
    "603": "declined",
    "404": "number_invalid",
    "480": "unreachable",
    "408": "timed_out",
}

_STATUS = {"0": "成功", "1": "失败"}
_IN_WORDS = {"成功": "0", "失败": "1", "失敗": "1"}


class Jumdata(Vendor):
    name: ClassVar[str] = "jumdata"
    credentials: ClassVar[tuple[str, ...]] = ("appId", "appSecret")
    forms: ClassVar[tuple[type, ...]] = (Catalogue, VendorTemplate)
    line: ClassVar[str] = "voice-notify"
    unit: ClassVar[str] = "CNY"
    least_credit: ClassVar[Decimal] = Decimal("0.01")  # the page names no price
    callback_per_call: ClassVar[bool] = True
    result_query: ClassVar[bool] = True
    refusals: ClassVar[Refusals] = REFUSALS
    reasons: ClassVar[frozenset[str]] = frozenset({*FAILURES.values(), "unknown"})

    def carry(self, form: Form, template: Template | None) -> Call | Fault:
        """Template id and values; a value with an ASCII comma cannot be sent, for there is no escape (请求参数)."""
        if isinstance(form, VendorTemplate):
            template_id, values = form.template_id, form.params
        elif isinstance(form, Catalogue) and template and self.name in template.vendors:
            own = template.vendors[self.name]
            template_id, values = (
                own["template_id"],
                tuple(form.params[name] for name in own.get("params", [])),
            )
        else:
            return self._fault(Code.TEMPLATE_MISMATCH, "cannot carry this template")
        if any("," in value for value in values):
            return self._fault(Code.TEMPLATE_MISMATCH, "a value holds an ASCII comma, which separates values")
        return Call(mobile="", template_id=template_id, values=values)

    def check_template(self, text: str, own: dict[str, Any]) -> tuple[list[str], list[str]]:
        template_id, params = own.get("template_id"), own.get("params", [])
        faults = []
        if not (isinstance(template_id, str) and template_id.strip()):
            faults.append("template_id must be the id that jumdata gave the template")
        if not (isinstance(params, list) and all(isinstance(n, str) and n in placeholders(text) for n in params)):
            faults.append("params must be a list of names that stand in the text")
        if unknown := sorted(own.keys() - {"template_id", "params"}):
            faults.append(f"{', '.join(unknown)}: unknown")
        return faults, []

    def submit_request(self, call: Call, credentials: Credentials, now: float) -> HttpRequest:
        """请求参数. ``notifyData`` is in the callback's table only; another of the vendor's pages has it here."""
        optional = {
            # One empty value is a value: it goes as an empty text.
            "param": ",".join(call.values) if call.values else None,
            "playTimes": str(call.play_times) if call.play_times else None,
            "notifyUrl": call.notify_url or None,
            "notifyData": call.notify_data or None,
        }
        form = {
            **_signed(credentials, now),
            "mobile": call.mobile,
            "templateId": call.template_id or "",
            **{name: value for name, value in optional.items() if value is not None},
        }
        return HttpRequest("POST", "/voice-notify/send", form=form)

    def read_submit(self, fields: Fields) -> Outcome:
        """正确返回, 错误返回 and code返回码说明."""
        vendor_code, message = code(fields, "code"), field(fields, "msg")
        if vendor_code == "200":
            reply = fields.get("data")
            try:
                return Accepted(call_id(field(reply if isinstance(reply, dict) else {}, "callId")))
            except Unreadable:
                return Unknown("success without a callId", vendor_code, message)
        return self.refused(vendor_code, message)

    def refused(self, vendor_code: str, vendor_message: str) -> Outcome:
        if vendor_code == "400":
            for words, error, refusal in _BAD_PARAMETER:
                if any(word in vendor_message.lower() for word in words):
                    return Refused(refusal, error, vendor_code, vendor_message)
        return super().refused(vendor_code, vendor_message)

    def balance_request(self, credentials: Credentials, now: float) -> HttpRequest:
        return HttpRequest("GET", "/assistant/balance", _signed(credentials, now))

    def read_balance(self, fields: Fields) -> str | None:
        """``data`` is a decimal amount of money, for the whole account."""
        return field(fields, "data") if code(fields, "code") == "200" else None

    def query_request(self, call_id: str, mobile: str, credentials: Credentials, now: float) -> HttpRequest:
        query = {**_signed(credentials, now), "mobile": mobile, "callId": call_id}
        return HttpRequest("GET", "/voice-notify/result", query)

    def read_query(self, fields: Fields) -> Receipt | None:
        reply = fields.get("data")
        if code(fields, "code") != "200" or not isinstance(reply, dict):
            return None
        return self._receipt(reply, "callStatusMsg") if _status(reply) in _STATUS else None

    def read_callback(self, fields: Fields) -> Receipt:
        """回调参数. Anything but 0 and 1 cannot be read; the unit of ``callTime`` is taken to be seconds."""
        return self._receipt(fields, "callStatusText")

    def example_callbacks(self) -> tuple[dict[str, Any], dict[str, Any]]:
        first = {"callId": "smoke", "callStatus": 0, "callStatusText": "成功", "callTime": 1}
        return first, {**first, "callTime": 2}

    def _receipt(self, fields: Fields, text_field: str) -> Receipt:
        status, detail = _status(fields), code(fields, "callDesc")
        if status not in _STATUS:
            raise Unreadable("no callStatus")
        message = vendor_text(fields, text_field) or _STATUS[status]
        return Receipt(
            vendor=self.name,
            # The address names the message, so that a callback without its call id says enough.
            call_id=call_id(field(fields, "callId")) if field(fields, "callId") else None,
            delivered=status == "0",
            reason=None if status == "0" else FAILURES.get(detail, "unknown"),
            code=status,
            message=f"{message} {vendor_text(fields, 'callDesc')[:16]}" if detail else message,
            talk_seconds=seconds(field(fields, "callTime")),
        )


def _status(fields: Fields) -> str:
    status = code(fields, "callStatus")
    return _IN_WORDS.get(status, status)


def _signed(credentials: Credentials, now: float) -> dict[str, str]:
    """签名算法: sha256(appId + appSecret + timestamp), the timestamp in milliseconds."""
    timestamp = str(int(now * 1000))
    text = credentials["appId"] + credentials["appSecret"] + timestamp
    return {
        "appId": credentials["appId"],
        "timestamp": timestamp,
        "sign": hashlib.sha256(text.encode()).hexdigest(),
    }


VENDOR = Jumdata()
