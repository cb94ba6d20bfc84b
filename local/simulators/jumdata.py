"""jumdata's voice notification with a random caller, as its page describes it (headings are that page's).

[public] marks what comes from the vendor's other public pages, [chosen] what nobody states.
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
    json_reply,
    magic_ending,
    one_of,
    setting,
    text,
)

SEND, BALANCE, RESULT = "/voice-notify/send", "/assistant/balance", "/voice-notify/result"
CHINA = timezone(timedelta(hours=8))
DAY_SECONDS = 24 * 3600
CALLS_A_DAY = 3  # 注意: 同一个手机号一天只能发送3次
PLAYS_AT_MOST = 3  # 请求参数: 播放次数,最大3次
TIMESTAMP_AGE_SECONDS = 600  # [chosen]

# code返回码说明, as printed there.
CODE_TEXTS: Mapping[int, str] = {
    200: "成功",
    400: "参数错误",
    404: "接口地址不正确",
    500: "系统维护,请稍候再试",
    501: "官方数据源维护,请稍候再试",
    601: "接口未开通",
    602: "账号停用",
    603: "余额不足请充值",
    604: "接口停用",
    999: "其他,以实际返回为准",
}
BAD_MOBILE = "手机号格式不正确"  # 错误返回

# The texts below are [chosen]; the page has one code, 400, for all of the first five.
BAD_APP_ID = "appId不正确"
BAD_TIMESTAMP = "timestamp已过期"
BAD_SIGN = "签名错误"
NO_TEMPLATE = "模板不存在"
BAD_PARAMETERS = "参数个数不正确"
OUTSIDE_HOURS = "不在允许呼叫的时间段内"
LOCKED = "同一个手机号一天只能发送3次,已被限制"
NO_RESULT = "未查询到呼叫结果"

# 呼叫结果回调推送: callStatus and callStatusText. callDesc is [public].
DELIVERED = Receipt(0, "成功", talk_seconds=12)
FAILED = Receipt(1, "失败")

# The magic numbers 138001380NN, by NN. Every other number is accepted and delivered.
REFUSALS: Mapping[int, tuple[int, str]] = {
    60: (400, BAD_MOBILE),
    61: (400, BAD_SIGN),
    62: (400, CODE_TEXTS[400]),
    63: (404, CODE_TEXTS[404]),
    64: (500, CODE_TEXTS[500]),
    65: (501, CODE_TEXTS[501]),
    66: (601, CODE_TEXTS[601]),
    67: (602, CODE_TEXTS[602]),
    68: (603, CODE_TEXTS[603]),
    69: (604, CODE_TEXTS[604]),
    70: (999, CODE_TEXTS[999]),
}
FAILURES: Mapping[int, str | None] = {
    71: "486",
    72: "487",
    73: "603",
    74: "404",
    75: "480",
    76: "408",
    77: "110",
    78: None,
}
UNDOCUMENTED = Outcome(777, "未知返回码", behaviour=Behaviour(taken=False))

ACCEPTED = Outcome(200, CODE_TEXTS[200], (DELIVERED,))
OUTCOMES: Mapping[int, Outcome] = {
    **{
        ending: Outcome(code, message, behaviour=Behaviour(taken=False)) for ending, (code, message) in REFUSALS.items()
    },
    **{ending: replace(ACCEPTED, receipts=(replace(FAILED, detail=detail),)) for ending, detail in FAILURES.items()},
    81: UNDOCUMENTED,
    97: replace(ACCEPTED, receipts=(replace(FAILED, detail="487"), DELIVERED)),
    **{ending: replace(ACCEPTED, behaviour=behaviour) for ending, behaviour in COMMON_BEHAVIOURS.items()},
}


SANDBOX_BALANCE, SANDBOX_PRICE = Decimal("500.00"), Decimal("0.09")
SANDBOX_TEMPLATES: Mapping[str, int] = MappingProxyType({"T1001": 2})


class RefusedError(Exception):
    """The vendor refuses the request."""

    def __init__(self, code: int, message: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.message = message or CODE_TEXTS[code]


def templates(value: Any) -> Mapping[str, int]:
    """An object of template id and number of variables; on the command line as JSON."""
    found = json.loads(value) if isinstance(value, str) else value
    if not isinstance(found, Mapping) or not all(_is_count(each) for each in found.values()):
        raise ValueError("must be an object of template id and number of variables")
    return MappingProxyType(dict(found))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def window(value: Any) -> str:
    """Hours as HH:MM-HH:MM; the end may be 24:00, and lies past midnight where it is before the start."""
    found = re.fullmatch(r"(\d\d):(\d\d)-(\d\d):(\d\d)", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be HH:MM-HH:MM")
    start_hour, start_minute, end_hour, end_minute = map(int, found.groups())
    start, end = start_hour * 60 + start_minute, end_hour * 60 + end_minute
    if max(start_minute, end_minute) > 59 or start > 1439 or end > 1440 or start == end:
        raise ValueError("must be HH:MM-HH:MM, from 00:00 to 24:00")
    return found[0]


def _is_open(hours: str, now: float) -> bool:
    start, end = (int(each[:2]) * 60 + int(each[3:]) for each in hours.split("-"))
    moment = datetime.fromtimestamp(now, UTC).astimezone(CHINA)
    minute = moment.hour * 60 + moment.minute
    return start <= minute < end if start < end else minute >= start or minute < end


@dataclass(frozen=True)
class JumdataSettings(Settings):
    """What the vendor's console holds for the sandbox account."""

    app_id: str = setting("sandbox-app", text, "appId")
    app_secret: str = setting("sandbox-secret", text, "appSecret")
    balance: Decimal = setting(SANDBOX_BALANCE, amount, "money left")  # noqa: RUF009 - a field
    price: Decimal = setting(SANDBOX_PRICE, amount, "what an accepted call costs")  # noqa: RUF009 - a field
    templates: Mapping[str, int] = setting(SANDBOX_TEMPLATES, templates, "number of variables by id")
    hours: str = setting("00:00-24:00", window, "when calls are placed (UTC+8); the vendor: 09:00-21:00")
    callback_format: str = setting("json", one_of("json", "form", "query"), "json, form or query (a GET)")


@dataclass
class _Number:
    """What is counted for one number: its calls in the last day, and until when it is locked."""

    calls: list[float]
    locked_until: float = 0.0


@dataclass(frozen=True)
class _Result:
    """What the result query shows, from `ready_at` (monotonic) on."""

    mobile: str
    receipt: Receipt
    ready_at: float


class JumdataSimulator(Simulator[JumdataSettings]):
    """The vendor's server: send, balance, result, and each call's receipt to its own notifyUrl."""

    vendor = "jumdata"
    sandbox_secret = MappingProxyType({"appId": "sandbox-app", "appSecret": "sandbox-secret"})
    sandbox_template = MappingProxyType({"template_id": "T1001", "params": ["order", "carrier"]})
    settings_type = JumdataSettings

    def __init__(self, port: int = 0, clock: Callable[[], float] = time.time, **settings: Any) -> None:
        super().__init__(port, clock, **settings)
        self._numbers: dict[str, _Number] = {}
        self._sequences = SequenceOutcomes(ACCEPTED, OUTCOMES[72], OUTCOMES[64])  # 487, nobody answers; 500
        self._results: dict[str, _Result] = {}
        # 14 digits, as in 正确返回; they go on from the time, so that a restart does not give an id again.
        self._call_ids = itertools.count(int(time.time() * 1000) * 10)
        self._tasks = itertools.count(1)

    def balance_number(self) -> float:
        """Money left."""
        return float(self.settings.balance)

    def forget_calls(self) -> None:
        """Forget each number's calls and locks."""
        self._numbers.clear()
        self._sequences.asked.clear()

    def answer(self, request: Request) -> Answer:
        """请求方式: GET/POST."""
        handlers = {SEND: self._send, BALANCE: self._balance, RESULT: self._result}
        handler = handlers.get(request.path)
        if handler is None:
            refusal = _refusal(RefusedError(404))
            return replace(refusal, reply=replace(refusal.reply, status=404))
        if request.method not in {"GET", "POST"}:
            return Answer(Reply(status=405))
        try:
            self._check_signature(request.fields)
            return handler(request.fields)
        except RefusedError as refused:
            return _refusal(refused)

    def _check_signature(self, fields: Mapping[str, str]) -> None:
        """签名算法: sign = sha256(appId + appSecret + timestamp), the timestamp in milliseconds.

        Lower-case hex and the age of ten minutes are [chosen]; so is 400 for each fault.
        """
        app_id, moment, sign = (fields.get(name, "") for name in ("appId", "timestamp", "sign"))
        if not (app_id and moment and sign):
            raise RefusedError(400)
        if app_id != self.settings.app_id:
            raise RefusedError(400, BAD_APP_ID)
        if not re.fullmatch("[0-9]{13}", moment):
            raise RefusedError(400, BAD_TIMESTAMP)
        if abs(int(moment) / 1000 - self._clock()) > TIMESTAMP_AGE_SECONDS:
            raise RefusedError(400, BAD_TIMESTAMP)
        expected = hashlib.sha256((app_id + self.settings.app_secret + moment).encode()).hexdigest()
        if not hmac.compare_digest(sign.encode(), expected.encode()):
            raise RefusedError(400, BAD_SIGN)

    # -- 发送API

    def _send(self, fields: Mapping[str, str]) -> Answer:
        self._check_fields(fields)
        mobile = fields["mobile"]
        with self._lock:
            settings, now = self.settings, self._clock()
            if not _is_open(settings.hours, now):
                raise RefusedError(999, OUTSIDE_HOURS)
            number = self._attempt(mobile, now)
            if settings.balance < settings.price:
                raise RefusedError(603)
            outcome = self._sequences.of(mobile, now, settings.down_seconds)
            outcome = outcome or OUTCOMES.get(magic_ending(mobile) or 0, ACCEPTED)
            if outcome.code != ACCEPTED.code:
                raise RefusedError(outcome.code, outcome.text)
            call = Call(
                str(next(self._call_ids)),
                mobile,
                outcome,
                fields.get("notifyUrl") or None,
                fields.get("notifyData", ""),
            )
            if outcome.behaviour.taken:
                number.calls.append(now)
                self.settings = replace(settings, balance=settings.balance - settings.price)
                self._keep_result(call)
        return self.conclude(self._accepted(call), call)

    def _check_fields(self, fields: Mapping[str, str]) -> None:
        """请求参数; the texts of the refusals are [chosen] but for the mobile's, which is the page's."""
        if not MAINLAND_MOBILE.fullmatch(fields.get("mobile", "")):
            raise RefusedError(400, BAD_MOBILE)
        if not fields.get("templateId"):
            raise RefusedError(400)
        variables = self.settings.templates.get(fields["templateId"])
        if variables is None:
            raise RefusedError(400, NO_TEMPLATE)
        values = fields.get("param", "")
        if (len(values.split(",")) if values else 0) != variables:
            raise RefusedError(400, BAD_PARAMETERS)
        if fields.get("playTimes", "1") not in {str(1 + each) for each in range(PLAYS_AT_MOST)}:
            raise RefusedError(400)

    def _attempt(self, mobile: str, now: float) -> _Number:
        """注意: three a day; a fourth locks the number, and each attempt in the lock restarts 24 hours.

        一天 is read as any 24 hours, which is the stricter reading. Calls that were not placed do not count.
        """
        number = self._numbers.setdefault(mobile, _Number([]))
        number.calls = [each for each in number.calls if now - each < DAY_SECONDS]
        if now < number.locked_until or len(number.calls) >= CALLS_A_DAY:
            number.locked_until = now + DAY_SECONDS
            raise RefusedError(999, LOCKED)
        return number

    def _accepted(self, call: Call) -> Reply:
        """正确返回."""
        fault = call.outcome.behaviour.fault
        task = self._task_number()
        found: dict[str, Any] = {"code": call.outcome.code, "msg": call.outcome.text, "taskNo": task}
        if fault is not Fault.NO_CALL_ID:
            found["data"] = {"callId": call.call_id}
        if fault is Fault.ODD_SHAPE:
            odd = {"code": str(call.outcome.code), "taskNo": int(task), "data": {"callId": int(call.call_id)}}
            found |= odd
        return json_reply(found)

    def _task_number(self) -> str:
        """20 digits, as in 正确返回."""
        return f"{int(time.time() * 1000):013d}{next(self._tasks):07d}"

    # -- balance and result [public]

    def _balance(self, fields: Mapping[str, str]) -> Answer:  # noqa: ARG002 - signed, and nothing more
        found = {"code": 200, "msg": CODE_TEXTS[200], "data": self.balance_number()}
        return Answer(json_reply(found | {"taskNo": self._task_number()}), 200)

    def _keep_result(self, call: Call) -> None:
        """The result is known when its receipt is first due, whether it is pushed or not."""
        late = call.outcome.behaviour.pushing is Pushing.LATE
        delay = self.settings.late_seconds if late else self.settings.callback_delay
        result = _Result(call.mobile, call.outcome.receipts[-1], time.monotonic() + delay)
        self._results[call.call_id] = result

    def _result(self, fields: Mapping[str, str]) -> Answer:
        if not MAINLAND_MOBILE.fullmatch(fields.get("mobile", "")):
            raise RefusedError(400, BAD_MOBILE)
        if not fields.get("callId"):
            raise RefusedError(400)
        found = self._results.get(fields["callId"])
        if found is None or found.mobile != fields["mobile"] or time.monotonic() < found.ready_at:
            raise RefusedError(999, NO_RESULT)
        shown = {
            "callId": fields["callId"],
            "callStatus": str(found.receipt.status),
            "callStatusMsg": found.receipt.text,
        }
        if found.receipt.detail is not None:
            shown["callDesc"] = found.receipt.detail
        reply = {"code": 200, "msg": CODE_TEXTS[200], "taskNo": self._task_number(), "data": shown}
        return Answer(json_reply(reply), 200)

    # -- 呼叫结果回调推送

    def push_for(self, call: Call, receipt: Receipt) -> Push | None:
        """回调参数. Method and content type are [chosen]: the page states neither."""
        if call.notify_url is None:
            return None
        found: dict[str, Any] = {
            "callId": call.call_id,
            "callStatus": receipt.status,
            "callStatusText": receipt.text,
            "callTime": receipt.talk_seconds,
            "notifyData": call.notify_data,
        }
        if receipt.detail is not None:
            found["callDesc"] = receipt.detail
        match self.settings.callback_format:
            case "form":
                return Push(call.notify_url, urlencode(found).encode(), FORM)
            case "query":
                joint = "&" if "?" in call.notify_url else "?"
                return Push(f"{call.notify_url}{joint}{urlencode(found)}", method="GET")
        return Push(call.notify_url, json.dumps(found, ensure_ascii=False).encode(), JSON)


def _refusal(refused: RefusedError) -> Answer:
    """错误返回: msg, then code, and nothing else."""
    return Answer(json_reply({"msg": refused.message, "code": refused.code}), refused.code)


SIMULATOR = JumdataSimulator
