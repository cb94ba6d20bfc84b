"""dxtong's voice notification, as its page describes it (section numbers are that page's).

Where the page is silent, what public clients of the same interface show is taken, marked [public]; what is
the simulator's own choice is marked [chosen].
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from .server import (
    COMMON_BEHAVIOURS,
    FORM,
    JSON,
    MAINLAND_MOBILE,
    Answer,
    Behaviour,
    Call,
    Fault,
    Outcome,
    Push,
    Pushing,
    Receipt,
    Reply,
    Request,
    SequenceOutcomes,
    Settings,
    Simulator,
    amount,
    magic_ending,
    one_of,
    setting,
    text,
)

PATH = "/webservice/voice.php"
LONGEST_CONTENT = 180  # 2.3: 支持 180 個字
LONGEST_VARIABLE = 20  # [chosen] 2.5 has the code 40722 for 指定的長度, and names no length
VARIABLE = "【變量】"
CHINA = timezone(timedelta(hours=8))

# 2.5 and 3.5: code and msg, as printed there; 4082 is [public].
SUBMIT_TEXTS: Mapping[int, str] = {
    0: "提交失敗",
    2: "提交成功",
    400: "非法ip訪問",
    401: "帳號不能為空",
    402: "密碼不能為空",
    403: "手機號碼不能為空",
    4030: "手機號碼已被列入黑名單",
    404: "語音內容不能為空",
    405: "用戶名或密碼不正確",
    4050: "賬號被凍結",
    4051: "剩余條數不足",
    4052: "訪問 ip 與備案 ip 不符",
    406: "手機格式不正確",
    407: "短信內容含有敏感字符",
    4071: "沒有提交備案模板",
    4072: "提交的語音內容必須與報備過的模板格式相匹配",
    40722: "變量內容超過指定的長度",
    408: "您的帳戶疑被惡意利用,已被自動凍結,如有疑問請與客服聯系",
    4082: "同一手機號碼一天內提交超過5次",
}
BALANCE_TEXT = "查詢成功"

# 4.2: code and msg of a receipt.
RECEIPT_TEXTS: Mapping[int, str] = {
    2: "成功",
    0: "未知錯誤",
    -1: "關機",
    -2: "停機",
    -3: "暫時無法接通",
    -4: "正在通話",
    -5: "空號",
    -6: "無人接聽",
    -7: "開通來電提醒",
    -8: "呼入限制",
    -9: "網絡忙",
    -10: "呼出限制",
    -11: "線路忙",
    -12: "用戶拒接",
    -13: "呼叫轉移",
    -14: "傳真機摘機識別",
    -15: "自動應答機摘機識別",
    -16: "自然人摘機識別",
    -17: "接通無人回話",
    -18: "呼叫超時",
    -19: "無應答",
    -20: "呼叫超時",
    -21: "空白",
    -22: "呼叫失敗",
}
DELIVERED = Receipt(2, RECEIPT_TEXTS[2], talk_seconds=12)

# The magic numbers 138001380NN, by NN. Every other number is accepted and delivered.
REFUSALS: Mapping[int, int] = {
    10: 0,
    11: 400,
    12: 401,
    13: 402,
    14: 403,
    15: 4030,
    16: 404,
    17: 405,
    18: 4050,
    19: 4051,
    20: 4052,
    21: 406,
    22: 407,
    23: 4071,
    24: 4072,
    25: 40722,
    26: 408,
    27: 4082,
}
RECEIPTS: Mapping[int, int] = {30 + number: -number for number in range(23)}
UNDOCUMENTED = Outcome(7777, "未知返回碼", behaviour=Behaviour(taken=False))
OTHER_NUMBER = "13800138001"  # whose mobile the receipt of 98 names

ACCEPTED = Outcome(2, SUBMIT_TEXTS[2], (DELIVERED,))
OUTCOMES: Mapping[int, Outcome] = {
    **{
        ending: Outcome(code, SUBMIT_TEXTS[code], behaviour=Behaviour(taken=False)) for ending, code in REFUSALS.items()
    },
    **{ending: replace(ACCEPTED, receipts=(Receipt(code, RECEIPT_TEXTS[code]),)) for ending, code in RECEIPTS.items()},
    81: UNDOCUMENTED,
    97: replace(ACCEPTED, receipts=(Receipt(-6, RECEIPT_TEXTS[-6]), DELIVERED)),
    98: replace(ACCEPTED, behaviour=Behaviour(pushing=Pushing.OTHER_NUMBER)),
    **{ending: replace(ACCEPTED, behaviour=behaviour) for ending, behaviour in COMMON_BEHAVIOURS.items()},
}

# 1.6's template and 2.3's example text with its two values as variables; then the gateway's sandbox template.
PAGE_TEMPLATES = (
    "您的客戶【變量】將于 【變量】天后過生日,別忘記注意祝福哦~",
    "您的訂單號是:【變量】。已由【變量】發出,請注意查收。",
)
SANDBOX_BALANCE = Decimal(1000)
SANDBOX_TEMPLATE = "您的订单号是:【變量】。已由【變量】发出,请注意查收。"


def texts(value: Any) -> tuple[str, ...]:
    """A list of template texts; on the command line as JSON."""
    found = json.loads(value) if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or not all(isinstance(each, str) and each for each in found):
        raise ValueError("must be a list of texts")
    return tuple(found)


def whole_number(value: Any) -> Decimal:
    """A number of calls."""
    number = amount(value)
    if number != number.to_integral_value():
        raise ValueError("must be a whole number")
    return number


def address_or_none(value: Any) -> str | None:
    """A callback address, or none yet."""
    return None if value is None else text(value)


@dataclass(frozen=True)
class DxtongSettings(Settings):
    """What the vendor's console holds for the sandbox account."""

    account: str = setting("sandbox-account", text, "the API ID")
    api_key: str = setting("sandbox-key", text, "the API key")
    balance: Decimal = setting(SANDBOX_BALANCE, whole_number, "calls left")  # noqa: RUF009 - a field
    templates: tuple[str, ...] = setting((*PAGE_TEMPLATES, SANDBOX_TEMPLATE), texts, "registered texts")
    callback_url: str | None = setting(None, address_or_none, "the one address that receipts are pushed to")
    callback_format: str = setting(
        "form", one_of("form", "json", "gbk-form", "gbk-raw"), "form, json, gbk-form or gbk-raw"
    )


class DxtongSimulator(Simulator[DxtongSettings]):
    """The vendor's server: Submit, GetNum, and receipts to one registered address."""

    vendor = "dxtong"
    sandbox_secret = MappingProxyType({"account": "sandbox-account", "apiKey": "sandbox-key"})
    settings_type = DxtongSettings

    def __init__(self, port: int = 0, clock: Callable[[], float] = time.time, **settings: Any) -> None:
        super().__init__(port, clock, **settings)
        # Eight digits, as in 2.4; they go on from the time, so that a restart does not give an id again.
        self._sequences = SequenceOutcomes(ACCEPTED, OUTCOMES[36], OUTCOMES[10])  # -6, nobody answers; 0
        self._voice_ids = itertools.count(10_000_000 + int(time.time()) % 80_000_000)

    def forget_calls(self) -> None:
        """Forget each number's calls."""
        self._sequences.asked.clear()

    def balance_number(self) -> int:
        """Calls left."""
        return int(self.settings.balance)

    def answer(self, request: Request) -> Answer:
        """1.3: GET and POST; 2.2 and 3.2: one path, told apart by `method`."""
        if request.path != PATH:
            return Answer(Reply(b"not found", status=404))
        if request.method not in {"GET", "POST"}:
            return Answer(Reply(b"method not allowed", status=405))
        match request.fields.get("method"):
            case "Submit":
                return self._submit(request.fields)
            case "GetNum":
                return self._balance(request.fields)
        return _refused(request.fields, 0)  # [chosen] no code is documented for it

    # -- 3, balance

    def _balance(self, fields: Mapping[str, str]) -> Answer:
        code = self._credentials_fault(fields, "")
        found = {"code": 2, "msg": BALANCE_TEXT, "num": str(self.balance_number())}
        if code is not None:
            found = {"code": code, "msg": SUBMIT_TEXTS[code], "num": "0"}
        return Answer(_rendered(fields, "GetNumResult", found), code or 2)

    # -- 2, Submit

    def _submit(self, fields: Mapping[str, str]) -> Answer:
        with self._lock:
            code = self._fault(fields)
            if code is not None:
                return _refused(fields, code)
            mobile = fields["mobile"]
            outcome = self._sequences.of(mobile, self._clock(), self.settings.down_seconds)
            outcome = outcome or OUTCOMES.get(magic_ending(mobile) or 0, ACCEPTED)
            if outcome.code != ACCEPTED.code:
                return _refused(fields, outcome.code, outcome.text)
            if outcome.behaviour.taken:
                self.settings = replace(self.settings, balance=self.settings.balance - 1)
            call = Call(str(next(self._voice_ids)), mobile, outcome)
        return self.conclude(_accepted(fields, call), call)

    def _fault(self, fields: Mapping[str, str]) -> int | None:
        """The first rule of 2.5 that the send breaks; the order is [chosen]: empty, wrong, then the rest."""
        mobile, content = fields.get("mobile", ""), fields.get("content", "")
        code = self._credentials_fault(fields, mobile + content, also_required=("mobile", "content"))
        if code is not None:
            return code
        if not MAINLAND_MOBILE.fullmatch(mobile):
            return 406
        if self.settings.balance < 1:
            return 4051
        return _content_fault(content, self.settings.templates)

    def _credentials_fault(
        self, fields: Mapping[str, str], signed: str, also_required: tuple[str, ...] = ()
    ) -> int | None:
        """2.3, 3.3: password is the API key or, with a `time` of 10 digits, the dynamic password of 5.

        5: `md5($account.$apikey.$mobile.$content.$time)`, and `md5($account.$apikey.$time)` for GetNum. The
        page gives `time` no age limit, so none is checked here.
        """
        empty = {"account": 401, "password": 402, "mobile": 403, "content": 404}
        for name in ("account", "password", *also_required):
            if not fields.get(name):
                return empty[name]
        settings, password, moment = self.settings, fields["password"], fields.get("time", "")
        accepted = [settings.api_key]
        if re.fullmatch("[0-9]{10}", moment):
            start = settings.account + settings.api_key
            accepted.append(hashlib.md5((start + signed + moment).encode()).hexdigest())  # noqa: S324
        good = any(hmac.compare_digest(password.encode(), each.encode()) for each in accepted)
        return None if good and fields["account"] == settings.account else 405

    # -- 4, receipts

    def push_for(self, call: Call, receipt: Receipt) -> Push | None:
        """4.1, 4.2: POST to the registered address. The content type is [chosen]: form, or the setting's."""
        settings = self.settings
        if settings.callback_url is None:
            return None
        other = call.outcome.behaviour.pushing is Pushing.OTHER_NUMBER
        found = {
            "code": str(receipt.status),
            "msg": receipt.text,
            "mobilephone": OTHER_NUMBER if other else call.mobile,
            "talktime": str(receipt.talk_seconds),
            "voiceid": call.call_id,
            "report_time": datetime.fromtimestamp(self._clock(), UTC).astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S"),
        }
        body, content_type = _body(found, settings.callback_format)
        return Push(settings.callback_url, body, content_type)


def _body(found: Mapping[str, str], form: str) -> tuple[bytes, str]:
    """GBK comes as percent-encoded and declared, or as bare bytes and not declared; both are seen in PHP."""
    match form:
        case "json":
            return json.dumps(found, ensure_ascii=False).encode(), JSON
        case "gbk-form":
            return urlencode(found, encoding="gbk").encode(), f"{FORM}; charset=GBK"
        case "gbk-raw":
            return "&".join(f"{name}={value}" for name, value in found.items()).encode("gbk"), FORM
    return urlencode(found).encode(), FORM


# ---------------------------------------------------------------------------------------------------------
# The text rules


def _content_fault(content: str, templates: tuple[str, ...]) -> int | None:
    """4071: no template is registered. 4072: none fits; a text over 180 characters fits none [chosen]."""
    if not templates:
        return 4071
    if len(content) > LONGEST_CONTENT:
        return 4072
    found = _plain(content)
    if any(_pattern(each, f"{{1,{LONGEST_VARIABLE}}}").fullmatch(found) for each in templates):
        return None
    return 40722 if any(_pattern(each, "+").fullmatch(found) for each in templates) else 4072


def _pattern(template: str, repeat: str) -> re.Pattern[str]:
    """1.6: 變量是可變的,可以是 數字、字母、漢字.

    Blanks beside a variable do not count, because the page's own example differs from its template there.
    """
    variable = f" *([0-9A-Za-z\u3007\u3400-\u4dbf\u4e00-\u9fff]{repeat}) *"
    parts = [re.escape(each.strip(" ")) for each in _plain(template).split(VARIABLE)]
    return re.compile(variable.join(parts))


def _plain(content: str) -> str:
    """Full-width comma and colon count as ASCII ones [chosen]."""
    return content.translate({ord("，"): ",", ord("："): ":"})


# ---------------------------------------------------------------------------------------------------------
# The replies


def _refused(fields: Mapping[str, str], code: int, message: str | None = None) -> Answer:
    """2.3: voiceid is 0 where the send is not accepted."""
    found = {"code": code, "msg": message or SUBMIT_TEXTS[code], "voiceid": "0"}
    return Answer(_rendered(fields, "SubmitResult", found), code)


def _accepted(fields: Mapping[str, str], call: Call) -> Reply:
    fault = call.outcome.behaviour.fault
    voice_id = "0" if fault is Fault.NO_CALL_ID else call.call_id
    found = {"code": call.outcome.code, "msg": call.outcome.text, "voiceid": voice_id}
    if fault is Fault.ODD_SHAPE:
        return _odd(_rendered(fields, "SubmitResult", found | {"code": "2", "voiceid": int(voice_id)}))
    return _rendered(fields, "SubmitResult", found)


def _rendered(fields: Mapping[str, str], root: str, found: Mapping[str, Any]) -> Reply:
    """2.3: XML unless format=json. A default namespace and a newline at the end are [public]."""
    if fields.get("format") == "json":
        return Reply(json.dumps(found, ensure_ascii=False).encode(), JSON)
    elements = "".join(f"<{name}>{escape(str(value))}</{name}>\n" for name, value in found.items())
    document = (
        f'<?xml version="1.0" encoding="utf-8"?>\n<{root} xmlns="http://api.vm.dxtong.com/">\n{elements}</{root}>\n'
    )
    return Reply(document.encode(), "text/xml; charset=utf-8")


def _odd(reply: Reply) -> Reply:
    """A byte order mark, and another namespace with a prefix; in JSON, types swapped as well."""
    body = reply.body.decode()
    if reply.content_type != JSON:
        body = re.sub(r"<(/?)(\w)", r"<\1odd:\2", body).replace(
            'xmlns="http://api.vm.dxtong.com/"', 'xmlns:odd="urn:odd"'
        )
    return replace(reply, body=b"\xef\xbb\xbf" + body.encode())


SIMULATOR = DxtongSimulator
