"""What the vendor simulators share: a loopback server, faults on the wire, receipts, a control address.

A simulator is a server of its own. It takes nothing from the gateway's code, so that a mistake in one of
the two does not hide behind the same mistake in the other.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import re
import socket
import socketserver
import struct
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal, InvalidOperation
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self, TypedDict, cast
from urllib.parse import parse_qsl, urlsplit

LOOPBACK = "127.0.0.1"
CONTROL = "/_simulator"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"

LARGEST_BODY = 1_000_000
LARGEST_PUSH_REPLY = 65_536
PUSHES_AT_MOST = 3  # dxtong, 4.2: 每個回執最多推送 3 次
PUSH_TIMEOUT_SECONDS = 15.0  # no page states one; long enough for a function's cold start
DRIP_SECONDS = 0.2
STOP_SECONDS = 2.0

# ---------------------------------------------------------------------------------------------------------
# What a magic number does, beside the code of the reply and the receipts


class Fault(Enum):
    """What goes wrong with the reply to a send."""

    NONE = auto()
    NO_CALL_ID = auto()
    ODD_SHAPE = auto()
    STATUS_500 = auto()
    REDIRECT = auto()
    UNREADABLE = auto()
    EMPTY = auto()
    DRIP_HEADERS = auto()
    DRIP_BODY = auto()
    HANG = auto()
    RESET = auto()
    CLOSE = auto()


class Pushing(Enum):
    """How the receipt of a call that was taken is pushed."""

    NORMAL = auto()
    NEVER = auto()
    UNREADABLE = auto()
    LATE = auto()
    TWICE = auto()
    EARLY = auto()
    OTHER_NUMBER = auto()
    ONCE = auto()


READABLE = {Fault.NONE, Fault.NO_CALL_ID, Fault.ODD_SHAPE, Fault.STATUS_500}


@dataclass(frozen=True)
class Behaviour:
    """`taken`: the vendor places the call, so it is charged, counted, and followed by its receipt."""

    fault: Fault = Fault.NONE
    taken: bool = True
    pushing: Pushing = Pushing.NORMAL


@dataclass(frozen=True)
class Receipt:
    """One outcome of a call. `detail` is jumdata's callDesc; dxtong has no such field."""

    status: int
    text: str
    talk_seconds: int = 0
    detail: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a vendor makes of one send: the code and text that it replies, and what follows."""

    code: int
    text: str
    receipts: tuple[Receipt, ...] = ()
    behaviour: Behaviour = Behaviour()


# The magic numbers that mean the same at every vendor: 138001380NN, by NN.
COMMON_BEHAVIOURS: Mapping[int, Behaviour] = {
    80: Behaviour(fault=Fault.NO_CALL_ID, taken=False),
    # 81, an undocumented code, has another code at each vendor.
    82: Behaviour(fault=Fault.ODD_SHAPE),
    83: Behaviour(fault=Fault.STATUS_500, taken=False),
    84: Behaviour(fault=Fault.REDIRECT, taken=False),
    85: Behaviour(fault=Fault.UNREADABLE, taken=False),
    86: Behaviour(fault=Fault.DRIP_HEADERS, taken=False),
    87: Behaviour(fault=Fault.DRIP_BODY, taken=False),
    88: Behaviour(pushing=Pushing.NEVER),
    89: Behaviour(pushing=Pushing.UNREADABLE),
    90: Behaviour(fault=Fault.HANG),
    91: Behaviour(fault=Fault.RESET),
    92: Behaviour(fault=Fault.CLOSE),
    93: Behaviour(fault=Fault.EMPTY),
    94: Behaviour(pushing=Pushing.LATE),
    95: Behaviour(pushing=Pushing.TWICE),
    96: Behaviour(pushing=Pushing.EARLY),
    # 97, a failure and then a success, has other receipts at each vendor.
    99: Behaviour(pushing=Pushing.ONCE),
}

# Those whose outcome depends on what came before, for sequences of rings (SequenceOutcomes).
UNANSWERED_FIRST: Mapping[int, int] = {53: 1, 54: 2, 55: sys.maxsize}
"""How many calls to the number nobody answers, before it is answered."""
DOWN_FIRST = 56
"""For `down_seconds` from the first request for the number on, the vendor refuses for now; then it is up."""

UNREADABLE_BODY = b"\x00\xff\xfe<{ not a reply"
MAGIC_NUMBER = re.compile(r"138001380([0-9]{2})")
MAINLAND_MOBILE = re.compile(r"1[3-9][0-9]{9}")


def magic_ending(mobile: str) -> int | None:
    """NN of 138001380NN; None for any other number."""
    found = MAGIC_NUMBER.fullmatch(mobile)
    return int(found[1]) if found else None


@dataclass(frozen=True)
class SequenceOutcomes:
    """What the numbers do whose outcome depends on what came before; the vendor's own codes."""

    answered: Outcome
    unanswered: Outcome
    refused_for_now: Outcome
    asked: dict[str, list[float]] = field(default_factory=dict)
    """When each number was asked for."""

    def of(self, mobile: str, now: float, down_seconds: float) -> Outcome | None:
        """The outcome of a request that is valid; None for any other number."""
        ending = magic_ending(mobile)
        if ending not in {*UNANSWERED_FIRST, DOWN_FIRST}:
            return None
        times = self.asked.setdefault(mobile, [])
        times.append(now)
        if ending == DOWN_FIRST:
            return self.refused_for_now if now < times[0] + down_seconds else self.answered
        return self.unanswered if len(times) <= UNANSWERED_FIRST[ending] else self.answered


# ---------------------------------------------------------------------------------------------------------
# The loopback server


@dataclass(frozen=True)
class Request:
    """One request as received. `fields` are the query's, then the form's, which win.

    `headers` are by their names in lower case.
    """

    method: str
    path: str
    fields: Mapping[str, str]
    body: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """One reply; `fault` is what the wire does to it (the rest of a fault is in the reply itself)."""

    body: bytes = b""
    content_type: str = TEXT
    status: int = 200
    location: str | None = None
    fault: Fault = Fault.NONE


def json_reply(value: object, status: int = 200) -> Reply:
    """A reply whose body is JSON, with Chinese text as itself."""
    return Reply(json.dumps(value, ensure_ascii=False).encode(), JSON, status)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_port = False  # a taken port must be an error
    request_queue_size = 128

    def __init__(self, port: int, owner: LoopbackServer) -> None:
        self.owner = owner
        super().__init__((LOOPBACK, port), _Handler)

    def server_bind(self) -> None:
        # Not HTTPServer's own, which looks the host's name up.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the game; a mistake of the simulator's own must be seen."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "simulator"
    sys_version = ""
    timeout = 60
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """No output per request."""

    def exchange(self) -> None:
        """One exchange, then the connection is closed: a stopped simulator must not answer on a kept one."""
        self.close_connection = True
        reply = self._answer()
        match reply.fault:
            case Fault.DRIP_HEADERS:
                self._drip(b"HTTP/1.1 %d OK\r\nX-Slow: " % reply.status, b"z")
            case Fault.DRIP_BODY:
                self._drip(_head(reply, len(reply.body) + LARGEST_BODY), b" ")
            case Fault.HANG:
                self.server.owner.pause(self.server.owner.patience())
            case Fault.RESET:
                self._reset()
            case Fault.CLOSE:
                pass
            case _:
                self.wfile.write(_head(reply, len(reply.body)) + reply.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = exchange  # noqa: N815 - the parent's names

    def _answer(self) -> Reply:
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            return Reply(status=400)
        if self.headers.get("Transfer-Encoding"):
            return Reply(status=411)
        if not 0 <= length <= LARGEST_BODY:
            return Reply(status=413)
        body = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        return self.server.owner.handle(_request(self.command, self.path, headers, body))

    def _drip(self, start: bytes, drop: bytes) -> None:
        """A drop now and then, never finished: each read succeeds, only a deadline on the whole helps."""
        owner = self.server.owner
        end = time.monotonic() + owner.patience()
        self.wfile.write(start)
        while time.monotonic() < end and not owner.pause(min(DRIP_SECONDS, end - time.monotonic())):
            self.wfile.write(drop)

    def _reset(self) -> None:
        """RST, not FIN. Both the socket and its file are closed here: the server would shut down gently."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()


def _head(reply: Reply, length: int) -> bytes:
    lines = [
        f"HTTP/1.1 {reply.status} {http.client.responses.get(reply.status, '')}",
        f"Content-Type: {reply.content_type}",
        f"Content-Length: {length}",
        "Connection: close",
    ]
    if reply.location:
        lines.append(f"Location: {reply.location}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _request(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
    """The fields come from the query and, for a POST, from a form body: both pages take GET and POST."""
    path, _, query = target.partition("?")
    found = dict(parse_qsl(query, keep_blank_values=True, errors="replace"))
    content_type = headers.get("content-type", "")
    if method == "POST" and content_type.partition(";")[0].strip().lower() == FORM:
        text = body.decode("utf-8", errors="replace")
        found |= parse_qsl(text, keep_blank_values=True, errors="replace")
    return Request(method, path, found, body, content_type, headers)


class LoopbackServer(ABC):
    """A threaded HTTP server on 127.0.0.1, as a context manager; port 0 takes a free one."""

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self._server: _Server | None = None
        self._serving: threading.Thread | None = None
        self._stopping = threading.Event()

    @abstractmethod
    def handle(self, request: Request) -> Reply:
        """The reply to one request; called in that request's own thread."""

    def patience(self) -> float:
        """For how many seconds a hanging or dripping reply lasts."""
        return 30.0

    def pause(self, seconds: float) -> bool:
        """Wait; True where the server stops meanwhile."""
        return self._stopping.wait(max(0.0, seconds))

    @property
    def address(self) -> str:
        """`http://127.0.0.1:PORT`, without a trailing slash."""
        if self._server is None:
            raise RuntimeError("not started")
        return f"http://{LOOPBACK}:{self._server.server_port}"

    def start(self) -> Self:
        """Listen and serve in the background; OSError where the port is taken."""
        self._stopping.clear()
        server = self._server = _Server(self._port, self)
        self._serving = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        self._serving.start()
        return self

    def stop(self) -> None:
        """Stop listening, and end what still waits."""
        self._stopping.set()
        if self._server is not None and self._serving is not None:
            self._server.shutdown()
            self._server.server_close()
            self._serving.join()
            self._server = self._serving = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


# ---------------------------------------------------------------------------------------------------------
# Settings: constructor, command line and control address take the same ones


class UnknownSettingError(ValueError):
    """A setting that this vendor does not have."""


def setting[T](default: T, convert: Callable[[Any], T], text: str) -> T:
    """A dataclass field with the check that its values go through, be they JSON or text."""
    described: T = field(default=default, metadata={"convert": convert, "help": text})
    return described


def seconds(value: Any) -> float:
    """A duration that is not negative."""
    try:
        number = float("" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        raise ValueError("must be a number of seconds") from None
    if not 0 <= number < 1e7:
        raise ValueError("must be a number of seconds, not negative")
    return number


def text(value: Any) -> str:
    """A string that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("must be a string")
    return value


def amount(value: Any) -> Decimal:
    """A number that is not negative, as a decimal."""
    try:
        number = Decimal("" if isinstance(value, bool) else str(value))
    except InvalidOperation:
        raise ValueError("must be a number") from None
    if not number.is_finite() or number < 0:
        raise ValueError("must be a number, not negative")
    return number


def one_of(*choices: str) -> Callable[[Any], str]:
    """A check that lets only these strings through."""

    def convert(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return str(value)

    return convert


@dataclass(frozen=True)
class Settings:
    """What every vendor has. Frozen, and swapped as a whole: a call sees one state of it."""

    callback_delay: float = setting(0.2, seconds, "seconds from a call to the first push of its receipt")
    retry_interval: float = setting(0.5, seconds, "a receipt is pushed again after 1x and then 2x this")
    late_seconds: float = setting(5.0, seconds, "seconds to the first push for a late receipt (94)")
    slow_seconds: float = setting(30.0, seconds, "seconds that a slow or hanging reply lasts (86, 87, 90)")
    down_seconds: float = setting(5.0, seconds, "seconds for which the vendor is down for a number (56)")


# ---------------------------------------------------------------------------------------------------------
# The simulator


@dataclass(frozen=True)
class Call:
    """A call that the vendor took. `notify_url` and `notify_data` are jumdata's, given with each call.

    `reference` is for a vendor that gives it back with the receipt.
    """

    call_id: str
    mobile: str
    outcome: Outcome
    notify_url: str | None = None
    notify_data: str = ""
    reference: str = ""


@dataclass(frozen=True)
class Answer:
    """A vendor's answer to one request; `code` is the reply's, None where nothing readable is sent."""

    reply: Reply
    code: int | None = None
    call: Call | None = None


@dataclass(frozen=True)
class Push:
    """One HTTP request that carries a receipt. It counts as taken once it is answered with `acknowledgement`."""

    url: str
    body: bytes = b""
    content_type: str | None = None
    method: str = "POST"
    acknowledgement: str = "success"


class RequestRecord(TypedDict):
    """One request, as the control address shows it."""

    path: str
    method: str
    fields: dict[str, str]
    mobile: str | None
    reply_code: int | None
    at: float


class CallbackRecord(TypedDict):
    """One push, as the control address shows it."""

    url: str
    body: str
    status: int | None
    reply: str | None
    error: str | None
    at: float


class Simulator[S: Settings](LoopbackServer):
    """A vendor: records its requests, pushes its receipts, and answers at the control address."""

    vendor: ClassVar[str]
    sandbox_secret: ClassVar[Mapping[str, str]]
    """The content of the gateway's secret that fits the settings' defaults."""
    sandbox_template: ClassVar[Mapping[str, Any]] = {}
    """What the sandbox's catalogue entry says of this vendor (docs/using.md, Templates)."""
    mobile_field: ClassVar[str] = "mobile"
    settings_type: ClassVar[type[Settings]]

    def __init__(self, port: int = 0, clock: Callable[[], float] = time.time, **settings: Any) -> None:
        super().__init__(port)
        checked = checked_settings(self.settings_type, settings)
        self.settings: S = cast("S", self.settings_type(**checked))
        self._clock = clock
        self._lock = threading.RLock()
        self._requests: list[RequestRecord] = []
        self._callbacks: list[CallbackRecord] = []
        self._pushers: set[threading.Thread] = set()

    # -- what a vendor adds

    @abstractmethod
    def answer(self, request: Request) -> Answer:
        """Check the request as the vendor does, and answer."""

    @abstractmethod
    def push_for(self, call: Call, receipt: Receipt) -> Push | None:
        """The receipt in the vendor's shape; None where no address is known."""

    @abstractmethod
    def balance_number(self) -> int | float:
        """The balance as a JSON number of the vendor's kind."""

    def fields(self, request: Request) -> Mapping[str, str]:
        """The fields of a request; a vendor that takes no form reads them from the body."""
        return request.fields

    def forget_calls(self) -> None:
        """Forget what is counted for each number."""

    # -- the public side

    @property
    def requests(self) -> list[RequestRecord]:
        """The vendor's requests so far, the oldest first."""
        with self._lock:
            return list(self._requests)

    @property
    def callbacks(self) -> list[CallbackRecord]:
        """The pushes that are done, the oldest first; `status` is None where there was no reply."""
        with self._lock:
            return list(self._callbacks)

    @property
    def balance(self) -> int | float:
        """What is left: dxtong's number of calls, jumdata's money."""
        return self.balance_number()

    def configure(self, /, **changes: Any) -> None:
        """Change settings; all of them or, with a ValueError that names the culprit, none."""
        checked = checked_settings(type(self.settings), changes)
        with self._lock:
            self.settings = replace(self.settings, **checked)

    def forget(self) -> None:
        """Forget the recorded requests and callbacks, and what is counted for each number."""
        with self._lock:
            self._requests.clear()
            self._callbacks.clear()
            self.forget_calls()

    def patience(self) -> float:
        """Hanging and dripping replies last `slow_seconds`."""
        return self.settings.slow_seconds

    def stop(self) -> None:
        """Stop listening; pushes that still wait are dropped."""
        super().stop()
        end = time.monotonic() + STOP_SECONDS
        with self._lock:
            pushers = list(self._pushers)
        for pusher in pushers:
            pusher.join(max(0.0, end - time.monotonic()))

    # -- requests

    def handle(self, request: Request) -> Reply:
        """Control requests apart, record the request, start its receipts, and reply."""
        if request.path == CONTROL or request.path.startswith(CONTROL + "/"):
            return self._control(request)
        request = replace(request, fields=self.fields(request))
        answer = self.answer(request)
        with self._lock:
            self._requests.append(
                {
                    "path": request.path,
                    "method": request.method,
                    "fields": dict(request.fields),
                    "mobile": request.fields.get(self.mobile_field),
                    "reply_code": answer.code,
                    "at": self._clock(),
                }
            )
        if answer.call is not None:
            self._start_pushing(answer.call)
        return answer.reply

    def _control(self, request: Request) -> Reply:
        match request.method, request.path:
            case "GET", "/_simulator":
                return json_reply(self._state())
            case "PUT", "/_simulator":
                return self._change(request.body)
            case "DELETE", "/_simulator/requests":
                self.forget()
                return json_reply(self._state())
        return json_reply({"error": f"no {request.method} {request.path}"}, 404)

    def _state(self) -> dict[str, Any]:
        with self._lock:
            return {
                "vendor": self.vendor,
                "requests": self.requests,
                "callbacks": self.callbacks,
                "balance": self.balance,
            }

    def _change(self, body: bytes) -> Reply:
        try:
            changes = json.loads(body)
            if not isinstance(changes, dict):
                raise ValueError("an object of settings is wanted")
            self.configure(**changes)
        except ValueError as error:
            return json_reply({"error": str(error)}, 400)
        return json_reply(self._state())

    def conclude(self, reply: Reply, call: Call) -> Answer:
        """The answer to a send that passed the rules: the reply with its fault, and the call if taken."""
        fault = call.outcome.behaviour.fault
        code = call.outcome.code if fault in READABLE else None
        return Answer(self._spoiled(reply, fault), code, call if call.outcome.behaviour.taken else None)

    def _spoiled(self, reply: Reply, fault: Fault) -> Reply:
        match fault:
            case Fault.STATUS_500:
                return replace(reply, status=500)
            case Fault.REDIRECT:
                return Reply(status=302, location=self.address + "/moved")
            case Fault.UNREADABLE:
                return replace(reply, body=UNREADABLE_BODY)
            case Fault.EMPTY:
                return replace(reply, body=b"")
        return replace(reply, fault=fault)

    # -- receipts

    def _start_pushing(self, call: Call) -> None:
        """Runs before the send is answered: an early receipt (96) is pushed and answered right here."""
        delay = self.settings.callback_delay
        match call.outcome.behaviour.pushing:
            case Pushing.NEVER:
                return
            case Pushing.EARLY:
                rest = self._pushes(call, call.outcome.receipts[0])
                if next(rest, None) is not None:
                    self._in_background(lambda: _exhaust(rest))
                return
            case Pushing.LATE:
                delay = self.settings.late_seconds
            case Pushing.TWICE:
                self._in_background(lambda: self._deliver(call, delay))
        self._in_background(lambda: self._deliver(call, delay))

    def _in_background(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._pushers.discard(threading.current_thread())

        pusher = threading.Thread(target=run, daemon=True)
        with self._lock:  # whoever joins it finds it started
            self._pushers.add(pusher)
            pusher.start()

    def _deliver(self, call: Call, delay: float) -> None:
        """Each receipt after the one before it is taken or given up, so that their order is known."""
        for receipt in call.outcome.receipts:
            if self.pause(delay):
                return
            _exhaust(self._pushes(call, receipt))

    def _pushes(self, call: Call, receipt: Receipt) -> Iterator[int]:
        """Push until it is taken, at most three times; yields after each push that wants another.

        dxtong, 4.2: 每個回執最多推送 3 次。每次間隔疊加 60 秒. jumdata's page is silent; the same is assumed.
        """
        last = 1 if call.outcome.behaviour.pushing is Pushing.ONCE else PUSHES_AT_MOST
        for number in range(1, last + 1):
            if self._stopping.is_set() or self._push(call, receipt) or number == last:
                return
            yield number
            if self.pause(number * self.settings.retry_interval):
                return

    def _push(self, call: Call, receipt: Receipt) -> bool:
        """Push once and record it; True where no other push is due."""
        push = self.push_for(call, receipt)
        if push is None:
            return True
        if call.outcome.behaviour.pushing is Pushing.UNREADABLE:
            push = _unreadable(push)
        at = self._clock()
        status, reply, error, final = send_push(push)
        record: CallbackRecord = {
            "url": push.url,
            "body": push.body.decode("utf-8", errors="backslashreplace"),
            "status": status,
            "reply": reply,
            "error": error,
            "at": at,
        }
        with self._lock:
            if not self._stopping.is_set():
                self._callbacks.append(record)
        return final


def _unreadable(push: Push) -> Push:
    """The push with nonsense where the receipt was: in the body, or in the query of a GET."""
    if push.method == "GET":
        return replace(push, url=push.url.partition("?")[0] + "?%00%FF%FE")
    return replace(push, body=UNREADABLE_BODY)


def _exhaust(steps: Iterable[object]) -> None:
    for _ in steps:
        pass


def checked_settings(kind: type[Settings], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes with their values checked and converted."""
    converters = {each.name: each.metadata["convert"] for each in fields(kind)}
    checked: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in converters:
            raise UnknownSettingError(f"unknown setting: {name}")
        try:
            checked[name] = converters[name](value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return checked


# ---------------------------------------------------------------------------------------------------------
# One push


def send_push(push: Push) -> tuple[int | None, str | None, str | None, bool]:
    """Status, reply and error of one push, and whether it is the last: taken, or refused for good.

    Taken means a 2xx whose text, stripped, is exactly the acknowledgement (dxtong, 4.2: 成功接收請輸出字符 “success”).
    Redirects are not followed, and no proxy is read from the environment.
    """
    try:
        connection, target = _connection(push.url)
    except ValueError as error:
        return None, None, str(error), True
    headers = {"Connection": "close"} | ({"Content-Type": push.content_type} if push.content_type else {})
    try:
        connection.connect()
        if not ipaddress.ip_address(connection.sock.getpeername()[0]).is_loopback:
            return None, None, "refused: not a loopback address", True
        connection.request(push.method, target, push.body or None, headers)
        response = connection.getresponse()
        reply = response.read(LARGEST_PUSH_REPLY).decode("utf-8", errors="replace")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return None, None, f"{type(error).__name__}: {error}", False
    finally:
        connection.close()
    return response.status, reply, None, 200 <= response.status < 300 and reply.strip() == push.acknowledgement


def _connection(url: str) -> tuple[http.client.HTTPConnection, str]:
    """A connection that is not yet made; ValueError for anything but plain HTTP to a loopback address.

    Sandbox traffic must not leave the machine, so names other than localhost are not even looked up.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or not _is_loopback(host):
        raise ValueError("refused: receipts are pushed to plain http on a loopback address only")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return http.client.HTTPConnection(host, parts.port or 80, timeout=PUSH_TIMEOUT_SECONDS), target


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
