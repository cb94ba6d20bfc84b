"""Everything that reads what others wrote, fed with arbitrary input: only declared errors may come out (issue 3).

Inputs are of three makes, drawn by a seed: random bytes, real payloads that were damaged, and structures made of values
that a parser is likely to trip over. A finding is printed with the input that led to it.
"""

import base64
import json
import random
import string
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import quote_from_bytes, urlencode

from voice_gateway import vendors
from voice_gateway.model import mobile
from voice_gateway.model.call import Accepted, NotSent, Refused, Unknown
from voice_gateway.model.errors import BadToken, SettingsError, TryLater, Unreadable, UnreadableSecret
from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.message import Message, State
from voice_gateway.model.receipt import read_receipt
from voice_gateway.model.request import Catalogue as CatalogueForm
from voice_gateway.model.request import Request, Template
from voice_gateway.platform import aws
from voice_gateway.platform.callback_tokens import CallToken, Keyring
from voice_gateway.platform.observability import Invocation, Record, log
from voice_gateway.platform.secrets import credentials, secret_text
from voice_gateway.platform.settings import Settings, web_address, window
from voice_gateway.receipts.callbacks import Callbacks
from voice_gateway.receipts.settling import Settled
from voice_gateway.sending import catalogue, reading
from voice_gateway.sending.claiming import Claims
from voice_gateway.sending.planning import Plan
from voice_gateway.sending.sender import Sender
from voice_gateway.storage import outbox
from voice_gateway.sweeping.outbox import OutboxApplier
from voice_gateway.vendors.common import decoding
from voice_gateway.vendors.common.base import BalanceUnknown
from voice_gateway.vendors.common.http import HttpReply

from tests.faults.figures import Figure
from tests.vendors import payloads

INPUTS = 5000
NOW = 1800000000.0
SECRET = json.dumps({"keys": {"k1": "", "k2": "x" * 40}, "number_key": "n" * 64})
_ODD_TEXTS = (
    *("", " ", "0", "-1", "2", "200", "1e9", "NaN", "Infinity", "null", "true", "\x00", "\ud800", "\udfff\ud800"),
    *(
        "\ufeff",
        "𝟙",
        "١٢٣",
        "１",
        "é",
        "e\u0301",
        "您的订单",
        "\u2028",
        "\ufffe",
        "%00",
        "%zz",
        "{0}",
        "{a.b}",
        "{{",
        "}",
    ),
    *("{order}", "{order!r:>9999999999}", "a" * 300, "9" * 5000, "../..", "https://[::1", "https://a@b", "24:00-00:00"),
    *(
        "13800138000",
        "+86 138-0013-8000",
        "dxtong",
        "jumdata",
        "2026-11-22T10:00:00+08:00",
        "0001-01-01T00:00:00+23:59",
    ),
    *("9999-12-31T23:59:59-23:59", "2026-02-30T00:00:00Z", "order_shipped", "stop", "redial_once", "\r\n", "=&=&", ";"),
)
_NAMES = (
    *("message_id", "mobile", "template", "params", "content", "template_id", "vendor", "play_times", "notify_data"),
    *("on_unknown", "expires_at", "dry_run", "Records", "Sns", "Message", "MessageId", "code", "msg", "voiceid", "num"),
    *(
        "mobilephone",
        "talktime",
        "report_time",
        "callId",
        "callStatus",
        "callDesc",
        "callTime",
        "callStatusText",
        "data",
    ),
    *(
        "text",
        "vendors",
        "dxtong",
        "jumdata",
        "keys",
        "number_key",
        "k1",
        "kind",
        "message",
        "state",
        "changes",
        "receipt",
    ),
)

_CONTENT_TYPES = (
    *("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/mixed"),
    *("text/xml; charset=gbk", "text/plain; charset=big5", "; charset=utf-16", "; charset=utf-7", "; charset=hex", ""),
    *('multipart/form-data; boundary="x', "; charset=idna", "; charset=unicode_escape", "multipart/form-data"),
)

Read = Callable[[Any], object]


@dataclass(frozen=True)
class Parser:
    """``read`` raises an undeclared error, or returns a text that says what is wrong, else None."""

    name: str
    inputs: Callable[["Fuzz"], Any]
    read: Read


class Fuzz:
    """Arbitrary values, by a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._real = {kind: payloads.of_kind(kind) for kind in ("reply", "callback", "balance", "query")}

    def noise(self) -> bytes:
        return self.random.randbytes(self.random.choice((0, 1, 3, 20, 200, 2000)))

    def text(self) -> str:
        chance = self.random.random()
        if chance < 0.6:
            return self.random.choice(_ODD_TEXTS)
        if chance < 0.8:
            return "".join(self.random.choices(string.printable, k=self.random.randrange(40)))
        return "".join(chr(self.random.randrange(0x110000)) for _ in range(self.random.randrange(20)))

    def value(self, depth: int = 3) -> Any:
        """A value as JSON has it."""
        made: list[Callable[[], Any]] = [
            self.text,
            lambda: self.random.choice((None, True, False, 0, -1, 2, 3, 10**30, 1.5, float("nan"), float("-inf"))),
        ]
        if depth:
            made += [lambda: self.object(depth - 1), lambda: [self.value(depth - 1) for _ in range(self._few())]]
        return self.random.choice(made)()

    def object(self, depth: int = 2, names: tuple[str, ...] = _NAMES) -> dict[str, Any]:
        return {self.random.choice((*names, self.text())): self.value(depth) for _ in range(self._few())}

    def bent(self, value: Any) -> Any:
        """A good value with something in it replaced, taken out or added."""
        if isinstance(value, dict) and value and self.random.random() < 0.9:
            bent = dict(value)
            name = self.random.choice(list(bent))
            match self.random.randrange(4):
                case 0:
                    del bent[name]
                case 1:
                    bent[self.random.choice(_NAMES)] = self.value(2)
                case _:
                    bent[name] = self.bent(bent[name])
            return bent
        if isinstance(value, list) and value and self.random.random() < 0.8:
            at = self.random.randrange(len(value))
            return [*value[:at], self.bent(value[at]), *value[at + 1 :]]
        return self.value(2)

    def nested(self) -> bytes:
        """Deeper than any reader goes."""
        opening = self.random.choice((b"[", b'{"code":', b"<a>", b'{"a":['))
        return opening * self.random.choice((900, 3000, 12000))

    def damaged(self, kind: str) -> tuple[bytes, str, str]:
        """A real payload with bytes changed, cut, doubled or moved, its content type, and its query."""
        payload = self.random.choice(self._real[kind])
        body = bytearray(payload.body)
        for _ in range(self.random.choice((0, 1, 1, 2, 8))):
            at = self.random.randrange(len(body) + 1)
            match self.random.randrange(4):
                case 0:
                    body[at : at + 1] = self.random.randbytes(1)
                case 1:
                    del body[at:]
                case 2:
                    body[at:at] = self.random.choice(_ODD_TEXTS).encode("utf-8", "replace")
                case _:
                    body[at:at] = body[: self.random.randrange(len(body) + 1)]
        content_type = self.random.choice((payload.meaning["content_type"], self.text(), "text/xml; charset=gbk", ""))
        return bytes(body[:65536]), content_type, payload.meaning.get("query", "")

    def wire(self, kind: str) -> tuple[bytes, str, str]:
        """Body, content type and query of what a vendor might send."""
        chance = self.random.random()
        if chance < 0.55:
            return self.damaged(kind)
        if chance < 0.75:
            return self.noise(), self.text(), quote_from_bytes(self.noise())
        if chance < 0.95:
            value = self.object(names=_NAMES)
            return self._encoded(value), self.random.choice(_CONTENT_TYPES), ""
        return self.nested(), "", ""

    def _encoded(self, value: dict[str, Any]) -> bytes:
        """An object as JSON, form, multipart or XML, in one charset or another."""
        texts = {name: str(each) for name, each in value.items()}
        match self.random.randrange(5):
            case 0:
                return urlencode(texts, errors="replace").encode()
            case 1:
                return urlencode({self.random.choice(("data", "payload")): json.dumps([value, value])}).encode()
            case 2:
                parts = (f'--x\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{t}\r\n' for n, t in texts.items())
                content = "".join(parts) + self.random.choice(("--x--", "--x--\r\n", "", "--y--"))
            case 3:
                content = "<r>" + "".join(f"<{name}>{text}</{name}>" for name, text in texts.items()) + "</r>"
            case _:
                content = json.dumps(self.random.choice((value, [value])), ensure_ascii=False)
        return content.encode(self.random.choice(("utf-8", "utf-8", "gb18030", "utf-16", "big5")), "replace")

    def _few(self) -> int:
        return self.random.choice((0, 1, 2, 3, 6))


# A request, and the envelope that it comes in.

GOOD: tuple[dict[str, Any], ...] = (
    {"message_id": "m-1", "mobile": "13800138000", "template": "order_shipped", "params": {"order": 1, "carrier": "x"}},
    {"mobile": "13800138001", "content": "您好", "expires_at": "2030-01-01T00:00:00Z", "on_unknown": "redial_once"},
    {"mobile": "13800138002", "template_id": "T1001", "params": ["a", 2], "vendor": "jumdata", "play_times": 2},
    {"mobile": "13800138003", "content": "x", "notify_data": "n", "dry_run": True},
)


def a_request(fuzz: Fuzz) -> Any:
    chance = fuzz.random.random()
    if chance < 0.7:
        request = fuzz.random.choice(GOOD)
        for _ in range(fuzz.random.choice((0, 1, 1, 2, 5))):
            request = fuzz.bent(request)
        return request
    return fuzz.value(4)


def read_request(raw: Any) -> str | None:
    try:
        request = reading.read(raw, "fallback", NOW)
    except reading.InvalidRequest as invalid:
        _writable(str(invalid), invalid.message_id, invalid.notify_data)
        return None
    again = reading.read(json.loads(request.to_json()), "other", NOW)
    if again.fingerprint != request.fingerprint or again.message_id != request.message_id:
        return "a request that is stored reads as another"
    request.to_json().encode()
    return None


def an_envelope(fuzz: Fuzz) -> Any:
    content: Any = json.dumps(a_request(fuzz)) if fuzz.random.random() < 0.8 else fuzz.text()
    if fuzz.random.random() < 0.05:
        content = fuzz.nested().decode()
    event: Any = {"Records": [{"Sns": {"Message": content, "MessageId": "c0ffee00-sns"}} for _ in range(fuzz._few())]}
    return fuzz.bent(event) if fuzz.random.random() < 0.5 else event


class _Kept:
    """A table that takes everything."""

    def get(self, _: str) -> None:
        return None

    def put_new(self, message: Any) -> None:
        _writable(json.dumps(message.error, ensure_ascii=False), message.notify_data, message.message_id)


def _sender() -> Sender:
    """``send`` with all that lies behind its reading cut off."""

    def draft(request: Request, now: float, *, bulk: bool) -> Message:
        return Message(request.message_id, State.CALLING, now, notify_data=request.notify_data)

    def refused(_: Request, message: Message, __: float) -> Plan:
        return Plan(message, State.REJECTED, Fault(Code.NOT_CONFIGURED, "no vendor here"))

    settings, nothing = Settings({"URGENT_QUEUE_URL": "https://sqs/1/urgent"}), SimpleNamespace()
    table: Any = SimpleNamespace(messages=_Kept(), quotas=nothing, numbers=nothing)
    means: dict[str, Any] = {
        "planner": SimpleNamespace(draft=draft, plan=refused),
        "caller": nothing,
        "recorder": nothing,
        "lanes": SimpleNamespace(move_to_bulk=lambda body: None),
    }
    pacing: Any = nothing
    return Sender(settings, claims=Claims(settings, table, means["planner"], pacing), **means)


def reading_envelopes() -> Read:
    sender, context = _sender(), SimpleNamespace(aws_request_id="request-1")

    def read(event: Any) -> None:
        try:
            results = sender.receive(event, context, Invocation(lambda: 30.0, Record()))
        except TryLater:
            return
        for result in results if isinstance(results, list) else [results]:
            json.dumps(result, ensure_ascii=False).encode()

    return read


# What vendors send.


def reading_callbacks(name: str) -> Read:
    vendor = vendors.vendor(name)

    def read(wire: tuple[bytes, str, str]) -> str | None:
        try:
            objects = decoding.callbacks(*wire)
        except Unreadable as error:
            _writable(str(error))
            return None
        return next(filter(None, map(one, objects)), None)

    def one(fields: Any) -> str | None:
        if not isinstance(fields, dict):
            return None
        try:
            receipt = vendor.read_callback(fields)
        except Unreadable as error:
            _writable(str(error))
            return None
        _writable(receipt.text, receipt.mobile, receipt.call_id, receipt.reported_at)
        if receipt.talk_seconds is not None and receipt.talk_seconds < 0:
            return "a negative duration"
        return None if read_receipt(receipt.text) == receipt else "a receipt that is kept reads as another"

    return read


def an_event(name: str, fuzz: Fuzz) -> Any:
    """One of API Gateway's, with a token of ours or nearly so."""
    body, content_type, query = fuzz.wire("callback")
    keyring = Keyring.from_secret(SECRET)
    own = vendors.vendor(name).callback_per_call
    token = keyring.call_token(name, CallToken("m-1", "a", int(NOW) + 9)) if own else keyring.static_token(name)
    encoded = fuzz.random.random() < 0.7
    return {
        "pathParameters": fuzz.random.choice(({"token": token},) * 8 + ({"token": fuzz.text()}, None)),
        "headers": fuzz.random.choice(({"Content-Type": content_type}, {"content-type": None}, None)),
        "queryStringParameters": fuzz.random.choice((None, {fuzz.text(): fuzz.text()}, {"code": "2", "q": query})),
        "isBase64Encoded": encoded or fuzz.random.random() < 0.2,
        "body": base64.b64encode(body).decode() if encoded else fuzz.random.choice((None, fuzz.text(), str(body))),
    }


def receiving_callbacks(name: str) -> Read:
    def keep(*content: Any) -> None:
        json.dumps(content, default=str)

    settling = SimpleNamespace(of_message=lambda *_: Settled.SETTLED, of_call_id=lambda *_: Settled.WAITING)
    keyring = Keyring.from_secret(SECRET)
    means: dict[str, Any] = {
        "settings": Settings({}),
        "keys": SimpleNamespace(keyring=lambda **_: keyring),
        "settling": settling,
        "outbox": SimpleNamespace(keep_receipt=keep),
        "dead_letters": SimpleNamespace(keep=keep),
    }
    story = Callbacks(name, clock=lambda: NOW, **means)

    def read(event: Any) -> str | None:
        status = story.receive(event, Record())["statusCode"]
        return None if status in {200, 404, 413} else f"answered {status}"

    return read


def reading_replies(name: str) -> Read:
    vendor = vendors.vendor(name)
    call, credentials = payloads.largest_call(name), payloads.contract(name)["credentials"]

    def read(wire: tuple[bytes, str, str]) -> str | None:
        answer = payloads.Answering(HttpReply(200, wire[1], wire[0]))
        outcome = vendor.submit(call, credentials, answer, NOW)
        _writable(repr(outcome))
        if not isinstance(outcome, Accepted | Refused | NotSent | Unknown) or isinstance(outcome, NotSent):
            return f"the outcome of a reply is {type(outcome).__name__}"
        try:
            vendor.balance(credentials, answer, NOW)
        except BalanceUnknown as unknown:
            _writable(str(unknown))
        if vendor.result_query:
            receipt = vendor.query("c-1", call.mobile, credentials, answer, NOW)
            _writable(receipt.text if receipt else "")
        return None

    return read


# Tokens, keys, settings, templates, outbox entries.


def a_token(fuzz: Fuzz) -> str:
    keyring = Keyring.from_secret(SECRET)
    chance = fuzz.random.random()
    if chance < 0.2:
        return fuzz.text()
    alphabet = string.ascii_letters + string.digits + "-_"
    fields = ["".join(fuzz.random.choices(alphabet, k=fuzz.random.randrange(30))) for _ in range(3)]
    if chance < 0.5:  # signed by us all the same: what stands in it is still only text
        return keyring._signed(fuzz.random.choice(vendors.names()), ".".join(fields[: fuzz.random.randrange(4)]))
    token = keyring.call_token(fuzz.random.choice(vendors.names()), CallToken("m-1", "attempt", int(NOW) + 60))
    at = fuzz.random.randrange(len(token))
    other: str = fuzz.random.choice((*alphabet, ".", "..", "=", "", fuzz.text()))
    return token[:at] + other + token[at + 1 :]


def read_token(token: str) -> None:
    keyring = Keyring.from_secret(SECRET)
    for name in vendors.names():
        for check in (lambda n: keyring.read_call_token(n, token, NOW), lambda n: keyring.check_static_token(n, token)):
            try:
                check(name)
            except BadToken as error:
                _writable(str(error))


def a_secret(fuzz: Fuzz) -> str:
    if fuzz.random.random() < 0.1:
        return fuzz.random.choice((fuzz.nested().decode(), fuzz.text()))
    secret: dict[str, Any] = {"keys": {"k1": "", fuzz.text(): fuzz.text()}, "number_key": fuzz.text() * 40}
    return json.dumps(fuzz.bent(secret) if fuzz.random.random() < 0.7 else secret)


def read_secret(secret: str) -> None:
    try:
        keyring = Keyring.from_secret(secret)
        keyring.static_token("dxtong")
    except SettingsError:
        return


def a_vendor_secret(fuzz: Fuzz) -> str | bytes:
    secret: Any = {"account": fuzz.text(), "apiKey": fuzz.random.choice((12, "key", fuzz.text()))}
    text = json.dumps(fuzz.bent(secret), ensure_ascii=fuzz.random.random() < 0.5)
    text = fuzz.random.choice(("", "\ufeff", fuzz.text())) + text
    if fuzz.random.random() < 0.3:
        return fuzz.random.choice((fuzz.noise(), text.encode(fuzz.random.choice(("utf-8", "utf-16")), "replace")))
    return fuzz.random.choice((text, text, json.dumps(text), fuzz.nested().decode(), fuzz.text()))


def read_vendor_secret(secret: str | bytes) -> str | None:
    """Nothing of what its fields hold is in the text of the error."""
    try:
        found = credentials(secret_text(secret), ("account", "apiKey"))
    except UnreadableSecret as error:
        _writable(str(error))
        return None
    if found is not None and not all(value.isprintable() for value in found.values()):
        return "a credential that cannot be sent"
    return None


def a_number(fuzz: Fuzz) -> str:
    """Digits with all kinds of things around them."""
    around = ("", "", "", "-", "\u2011", "\u2068", "\ufe0d", " ", "\n", ".", "(", ")", "+", "tel:", "86", fuzz.text())
    return "".join(fuzz.random.choice(around) + digit for digit in fuzz.random.choice(("13800138000", "8613800138000")))


def read_number(text: str) -> str | None:
    number = mobile.normalise(text)
    shown = mobile.masked(text)
    _writable(mobile.in_the_way(text))
    if number is not None:
        if mobile.in_the_way(text):
            return "a number with something in its way"
        if mobile.normalise(shown) or sum(char.isdigit() for char in shown) > 4:
            return "a number that is read and not masked"
    return None


_VARIABLES = (
    *(
        "STACK_NAME",
        "CALLS_TABLE",
        "URGENT_QUEUE_URL",
        "BULK_QUEUE_URL",
        "RESULTS_TOPIC_ARN",
        "ALARM_TOPIC_ARN",
        "OUTBOX_QUEUE_URL",
    ),
    *("DEAD_LETTER_QUEUE_URL", "CALLBACK_SECRET_ARN", "VENDOR_ORDER", "VENDOR_DEADLINE_SECONDS", "VENDOR_REST_SECONDS"),
    *("REDIAL_AFTER_SECONDS", "UNANSWERED_AFTER_SECONDS", "LINK_BY_NUMBER", "RETENTION_DAYS", "CALLBACK_MODE"),
    *("CALLBACK_BASE_URL", "CREDIT_CLEAR_PERCENT", "DXTONG_ENDPOINT", "DXTONG_SECRET_ARN", "DXTONG_HOURS"),
    *("DXTONG_DAILY_CAP", "DXTONG_PER_SECOND", "DXTONG_LOW_CREDIT", "CREDIT_DAYS_AHEAD"),
)


def an_environment(fuzz: Fuzz) -> dict[str, str]:
    likely = (
        "https://a.example",
        "http://127.0.0.1:9",
        "1",
        "24",
        "999999999",
        "09:00-21:00",
        "push",
        "poll",
        "dxtong",
    )
    return {
        name: fuzz.random.choice((*likely, fuzz.text(), "https://" + fuzz.text(), fuzz.text() + ":00-24:00"))
        for name in _VARIABLES
        if fuzz.random.random() < 0.9
    }


def read_settings(environ: dict[str, str]) -> None:
    settings = Settings(environ)
    reads: list[Callable[[], object]] = [
        *(
            lambda name=name: getattr(settings, name)
            for name, kind in vars(Settings).items()
            if isinstance(kind, property)
        ),
        lambda: settings.vendor("dxtong"),
        *(lambda text=text: web_address("X", text) for text in environ.values()),
        *(lambda text=text: window("X", text) for text in environ.values()),
    ]
    for read in reads:
        try:
            read()
        except SettingsError as error:
            _writable(str(error))


ENTRY: dict[str, Any] = {
    "text": "您的订单号是:{order}。已由{carrier}发出。",
    "vendors": {"dxtong": {}, "jumdata": {"template_id": "T1001", "params": ["order", "carrier"]}},
}


def an_entry(fuzz: Fuzz) -> str:
    if fuzz.random.random() < 0.05:
        return fuzz.nested().decode()
    entry: Any = {**ENTRY, "text": fuzz.random.choice((ENTRY["text"], fuzz.text() + fuzz.text()))}
    return json.dumps(fuzz.bent(entry) if fuzz.random.random() < 0.8 else fuzz.value(4))


def read_entry(stored: str) -> str | None:
    ssm: Any = SimpleNamespace(get_parameter=lambda **_: {"Parameter": {"Value": stored}})
    with patch.object(aws, "client", lambda _: ssm):
        template = catalogue.TemplateCatalogue("/stack/templates/").load("order_shipped")
    if isinstance(template, Fault):
        _writable(template.message)
        return None
    form = CatalogueForm("order_shipped", dict.fromkeys(_placeholders(template), "value"))
    for name in template.vendors:
        vendors.vendor(name).carry(form, template)
    return None


def _placeholders(template: Template) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(template.text) if name is not None]


ENTRY_OF_OUTBOX: dict[str, Any] = {
    "kind": "receipt",
    "receipt": json.dumps(
        {"vendor": "dxtong", "call_id": "c", "delivered": True, "reason": None, "code": "2", "message": ""}
    ),
    "rhash": "h",
    "message_id": None,
    "ttl": 1,
    "came_at": 1.5,
}  # fmt: skip


def an_outbox_entry(fuzz: Fuzz) -> str:
    if fuzz.random.random() < 0.05:
        return fuzz.nested().decode()
    kinds = [*outbox.Kind, "x"]
    message = {"message_id": "m", "state": "calling", "updated_at": 1, "receipts": []}
    entry = fuzz.random.choice(
        (
            ENTRY_OF_OUTBOX,
            {"kind": fuzz.random.choice(kinds), "message": message, "state": "unknown", "changes": {}, "meets": True},
        )
    )
    return json.dumps(fuzz.bent(entry) if fuzz.random.random() < 0.9 else fuzz.value(3))


def read_outbox_entry(body: str) -> None:
    """``sweep`` keeps what raises one of these as a dead letter; anything else would stop its whole part."""
    quiet: Any = SimpleNamespace(
        put_released=lambda _: None, link=lambda *_: None, record_outcome=lambda *_: None, of_message=lambda *_: None
    )
    quiet.of_call_id, quiet.messages = quiet.of_message, quiet
    quiet.publish = lambda text, attributes: text.encode("utf-8", "surrogatepass")
    try:
        kind, content = outbox.Entry(body, "handle").read()
        OutboxApplier(quiet, quiet, quiet, quiet, quiet, lambda: NOW).apply(kind, content)
    except (AttributeError, KeyError, TypeError, ValueError):
        return


def _writable(*texts: str | None) -> None:
    """Raises where a text could be neither logged, nor stored, nor published."""
    for text in texts:
        (text or "").encode()


def parsers() -> Iterator[Parser]:
    yield Parser("a request", a_request, read_request)
    yield Parser("an event of SNS or an invoke", an_envelope, reading_envelopes())
    for name in vendors.names():
        yield Parser(f"a callback of {name}", lambda fuzz: fuzz.wire("callback"), reading_callbacks(name))
        yield Parser(f"{name}'s callback event", partial(an_event, name), receiving_callbacks(name))
        yield Parser(f"a reply of {name}", _any_reply, reading_replies(name))
    yield Parser("a token", a_token, read_token)
    yield Parser("the callback secret", a_secret, read_secret)
    yield Parser("a vendor's secret", a_vendor_secret, read_vendor_secret)
    yield Parser("a number", a_number, read_number)
    yield Parser("settings", an_environment, read_settings)
    yield Parser("a catalogue entry", an_entry, read_entry)
    yield Parser("an entry of the outbox", an_outbox_entry, read_outbox_entry)


def _any_reply(fuzz: Fuzz) -> tuple[bytes, str, str]:
    return fuzz.wire(fuzz.random.choice(("reply", "reply", "balance", "query")))


def attack(parser: Parser, seed: int, inputs: int) -> list[str]:
    """What is wrong, one line a kind of finding."""
    fuzz, findings = Fuzz(seed), dict[str, str]()
    for _ in range(inputs):
        given = parser.inputs(fuzz)
        try:
            wrong = parser.read(given)
        except Exception as error:  # noqa: BLE001 -- whatever is not declared is what is looked for
            wrong = f"{type(error).__name__} at {_where(error)}"
        if wrong:
            findings.setdefault(str(wrong), ascii(given)[:300])
    return [f"{parser.name}: {wrong}; input {given}" for wrong, given in findings.items()]


def _where(error: BaseException) -> str:
    """The innermost line of the product that it passed."""
    at, trace = "?", error.__traceback__
    while trace:
        if "voice_gateway" in trace.tb_frame.f_code.co_filename:
            at = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return at


def run(seed: int, seconds: float, inputs: int = INPUTS) -> list[Figure]:
    log.setLevel("CRITICAL")
    end, figures = time.monotonic() + seconds, []
    for parser in parsers():
        findings = attack(parser, seed, inputs) if time.monotonic() < end else ["no time was left"]
        for finding in findings:
            print(finding)
        figures.append(
            Figure(
                f"parsers: {parser.name}, {inputs} arbitrary inputs",
                f"{len(findings)} kinds of undeclared error",
                "0",
                reached=not findings,
            )
        )
    return figures


if __name__ == "__main__":
    from tests.faults.figures import table

    given = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(2**31)
    began = time.monotonic()
    print(f"{table(run(given, 600))}\nseed {given}, {time.monotonic() - began:.0f} s")
