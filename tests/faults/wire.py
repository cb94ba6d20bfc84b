"""Broken vendors and broken AWS, over real sockets: what a message ends in, and how often its vendor was asked.

Vendors: a scripted server and a TCP proxy that breaks what passes through it, against the real handler, vendors and
exchange; only the table is in memory. AWS: real boto3 clients whose endpoint fails, throttles or says nothing, one
service and two at a time, before the call, after it, and while the receipt comes.
"""

import datetime
import gzip
import itertools
import json
import random
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import time_machine
from botocore.config import Config
from botocore.retries.standard import ExponentialBackoff
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from voice_gateway.model.errors import AwsUnavailable, NotConnected, ReplyLost, TryLater
from voice_gateway.model.message import LEASE_SECONDS
from voice_gateway.platform import aws
from voice_gateway.sweeping.common import INTERVAL
from voice_gateway.vendors.common import exchange
from voice_gateway.vendors.common.http import Exchange, HttpReply, HttpRequest

from local.simulators.dxtong import DxtongSimulator
from local.simulators.jumdata import JumdataSimulator
from tests import gateway
from tests.faults import memory
from tests.faults.figures import Figure, say, table
from tests.faults.races import VENDORS, InMemory, Scripted, Stage, accepted, images, number, request
from tests.vendors.loopback import Conversation, Loopback, Script

DEADLINE = 1.0
SLACK = 1.0
"""Seconds that a call may be held past its deadline."""
AT_ONCE = 6
ROOT = gateway.ROOT
BOMB = 32_000_000
"""Bytes of a decompression bomb."""
_LOCAL = threading.local()
"""Whose endpoint, table and vendors the handlers of this thread use."""


# Servers that break the rules.


def response(body: bytes, *headers: str, status: str = "200 OK", length: bool = True) -> bytes:
    lines = [f"HTTP/1.1 {status}", *([f"Content-Length: {len(body)}"] if length else []), *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(body: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n" % (len(body), body) + end


def replying(*parts: bytes, pause: float = 0.0) -> Script:
    """Reads the request, sends the parts, and closes."""

    def script(conversation: Conversation) -> None:
        conversation.read_request()
        for part in parts:
            conversation.send(part)
            conversation.over.wait(pause)

    return script


def then(data: bytes, last: Callable[[Conversation], None]) -> Script:
    """Reads the request, sends ``data``, and does the last thing."""

    def script(conversation: Conversation) -> None:
        conversation.read_request()
        if data:
            conversation.send(data)
        last(conversation)

    return script


def dripping(data: bytes, pause: float = 0.05) -> Callable[[Conversation], None]:
    return lambda conversation: conversation.drip(data, pause)


def endless(data: bytes) -> Callable[[Conversation], None]:
    def send(conversation: Conversation) -> None:
        while not conversation.over.is_set():
            conversation.send(data)

    return send


def half_closed(conversation: Conversation) -> None:
    """Says that it will say nothing more, and goes on listening."""
    conversation.socket.shutdown(socket.SHUT_WR)
    conversation.wait()


def unread_reset(conversation: Conversation) -> None:
    time.sleep(0.1)
    conversation.reset()


@dataclass(frozen=True)
class Fault:
    """``status`` is what the caller is told; ``asked`` how many whole requests must have come over one connection each.

    ``asked`` is None where the server does not read.
    """

    name: str
    script: Script
    status: str
    asked: int | None = 1
    scheme: str = "http"
    tls: bool = False
    messages: int = 1


def unknown_faults(good: bytes) -> Iterator[Fault]:
    """After connecting: nobody can say."""
    whole = response(good)
    yield from (
        Fault(name, script, "unknown")
        for name, script in {
            "reset after the request": then(b"", Conversation.reset),
            "closed after the request": replying(),
            "half-close after the request": then(b"", half_closed),
            "hang before the headers": then(b"", Conversation.wait),
            "hang in the status line": then(b"HTTP/1.1 20", Conversation.wait),
            "hang after the headers": then(whole[: whole.index(b"\r\n\r\n") + 4], Conversation.wait),
            "hang before the last byte": then(whole[:-1], Conversation.wait),
            "headers drip": then(b"HTTP/1.1 200 OK\r\n", dripping(b"X: " + b"x" * 9000)),
            "body drips": then(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", dripping(good + b" " * 9000)),
            "chunks drip": then(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", dripping(b"1\r\n \r\n" * 3000, 0.01)
            ),
            "reset in the body": then(whole[:-3], unread_reset),
            "content-length too long": replying(whole.replace(b"Content-Length: ", b"Content-Length: 9")),
            "content-length too short": replying(response(good[:-9]) + good[-9:]),
            "no last chunk": replying(chunked(good, b"")),
            "broken chunk size": replying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + good),
            "chunk cut short": replying(chunked(good)[:-12]),
            "redirect with a success in it": replying(
                response(good, "Location: http://127.0.0.1:9/", status="302 Found")
            ),
            "500 with a success in it": replying(response(good, status="500 Error")),
            "503 with a success in it": replying(response(good, status="503 Away")),
            "empty 200": replying(response(b"")),
            "204": replying(b"HTTP/1.1 204 No Content\r\n\r\n"),
            "a page of HTML": replying(response(b"<html><body>down for maintenance</body>")),
            "garbage": replying(random.Random(1).randbytes(4000)),
            "garbage in the body": replying(response(random.Random(2).randbytes(4000))),
            "not HTTP": replying(b"SSH-2.0-OpenSSH_9.6\r\n"),
            "a status that is no number": replying(b"HTTP/1.1 two OK\r\n\r\n" + good),
            "oversize": replying(response(good + b" " * 65536)),
            "a body without end": then(b"HTTP/1.1 200 OK\r\n\r\n", endless(b" " * 65536)),
            "a header without end": then(b"HTTP/1.1 200 OK\r\nX: ", endless(b"x" * 65536)),
            "headers without end": then(b"HTTP/1.1 200 OK\r\n", endless(b"X: x\r\n" * 9000)),
            "100 Continue for ever": then(b"", dripping(b"HTTP/1.1 100 Continue\r\n\r\n" * 900, 0.001)),
            "gzip bomb": replying(bomb("gzip")),
            "deflate bomb": replying(bomb("deflate")),
            "corrupt gzip": replying(response(good, "Content-Encoding: gzip")),
        }.items()
    )


def other_faults(good: bytes) -> Iterator[Fault]:
    """Before a connection: provably not sent. And what is odd, but says for certain what happened."""
    whole = response(good)
    yield Fault("TLS: nobody's certificate", replying(whole), "deferred", 0, "https", tls=True)
    yield Fault("TLS: plain HTTP on its port", replying(whole), "deferred", 0, "https")
    yield Fault("TLS: reset in the handshake", Conversation.reset, "deferred", 0, "https")
    yield Fault("TLS: hang in the handshake", Conversation.wait, "deferred", 0, "https")
    yield Fault("reset before it is read", unread_reset, "unknown", None)
    yield Fault("closed before it is read", lambda conversation: time.sleep(0.1), "unknown", None)
    yield Fault("two replies", replying(whole + whole), "accepted")
    yield Fault("100 Continue, then the reply", replying(b"HTTP/1.1 100 Continue\r\n\r\n", whole), "accepted")
    yield Fault("a slow drip within the deadline", then(b"", dripping(whole, 0.0005)), "accepted")
    yield Fault("chunked", replying(chunked(good)), "accepted")
    yield Fault("no length, closed at the end", replying(response(good, length=False)), "accepted")
    yield Fault("a connection kept open", then(whole, Conversation.wait), "accepted")
    kept = response(good, "Connection: keep-alive")
    yield Fault("stale keep-alive, reset at its next request", then(kept, _stale), "accepted", messages=2)


def _stale(conversation: Conversation) -> None:
    """Keeps the connection as if for more, and resets it as soon as more comes."""
    conversation.socket.settimeout(1)
    with suppress(TimeoutError):
        if conversation.socket.recv(1):
            conversation.received += b"POST again"
            conversation.reset()


@cache
def bomb(encoding: str, size: int = BOMB) -> bytes:
    """Tens of megabytes of nothing, in some tens of kilobytes."""
    nothing = b" " * size
    packed = gzip.compress(nothing, 6, mtime=0) if encoding == "gzip" else zlib.compress(nothing)
    return response(packed, f"Content-Encoding: {encoding}")


@contextmanager
def own_certificate() -> Iterator[ssl.SSLContext]:
    """A server's TLS by a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
    certificate = builder.not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(
            certificate.public_bytes(pem) + key.private_bytes(pem, form, serialization.NoEncryption())
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file.name)
    yield context


# The proxy.


@dataclass(frozen=True)
class Passing:
    """What a proxy lets through: so many bytes each way (None: all), and what it does then."""

    up: int | None = None
    down: int | None = None
    pause: float = 0.0
    last: str = "close"


PASSING: Mapping[str, tuple[Passing, str]] = {
    "all of it": (Passing(), "accepted"),
    "a drip, within the deadline": (Passing(pause=0.0005), "accepted"),
    "a drip, past the deadline": (Passing(pause=0.05), "unknown"),
    "half the request, then a reset": (Passing(up=120, last="reset"), "unknown"),
    "half the request, then silence": (Passing(up=120, last="hang"), "unknown"),
    "the request, then a reset": (Passing(down=0, last="reset"), "unknown"),
    "the request, then silence": (Passing(down=0, last="hang"), "unknown"),
    "half the reply, then a reset": (Passing(down=90, last="reset"), "unknown"),
    "half the reply, then silence": (Passing(down=90, last="hang"), "unknown"),
    "half the reply, then the end": (Passing(down=90), "unknown"),
}


def proxy(port: int, passing: Passing) -> Script:
    """A TCP proxy to a port of this machine, as a script."""

    def script(conversation: Conversation) -> None:
        asked = conversation.read_request()
        with socket.create_connection(("127.0.0.1", port), timeout=5) as upstream:
            upstream.sendall(asked[: passing.up])
            if passing.up is None:
                _pass_down(conversation, upstream, passing)
            _end(conversation, passing.last)

    return script


def _pass_down(conversation: Conversation, upstream: socket.socket, passing: Passing) -> None:
    answer = b""
    while chunk := upstream.recv(65536):
        answer += chunk
    answer = answer[: passing.down]
    if passing.pause:
        conversation.drip(answer, passing.pause)
    elif answer:
        conversation.send(answer)


def _end(conversation: Conversation, last: str) -> None:
    if last == "hang":
        conversation.wait()
    elif last == "reset":
        conversation.reset()


# The gateway, for many cases at once.


class Held:
    """How long calls were held past their deadline."""

    def __init__(self) -> None:
        self.worst = 0.0
        self.worst_of = ""

    def over(self, endpoint: str, deadline_seconds: float) -> Exchange:
        """The real exchange, to the endpoint of this thread's case."""
        carried = exchange.over(_LOCAL.endpoint, deadline_seconds)
        name = _LOCAL.name

        def timed(asked: HttpRequest) -> HttpReply:
            begun = time.monotonic()
            try:
                return carried(asked)
            finally:
                late = time.monotonic() - begun - deadline_seconds
                if late > self.worst:
                    self.worst, self.worst_of = late, name

        return timed


def told(stage: Stage, asked: dict[str, Any]) -> str:
    """The status that a caller is told, or what was raised that may not be."""
    try:
        return str(stage.invoke("send", asked)["status"])
    except TryLater as later:
        return str(json.loads(str(later))["status"])
    except Exception as error:  # noqa: BLE001 -- it is the finding
        return f"raised {type(error).__name__}"


def one_fault(stage: Stage, context: ssl.SSLContext, vendor: str, fault: Fault, at: int) -> str | None:
    """What is wrong with one fault of one vendor."""
    with Loopback(fault.script, context if fault.tls else None) as server:
        _LOCAL.endpoint, _LOCAL.name = f"{fault.scheme}://127.0.0.1:{server.port}", f"{vendor}: {fault.name}"
        asked = [request(vendor, f"wire-{vendor}-{at}-{each}", number(at)) for each in range(fault.messages)]
        statuses = [told(stage, each) for each in asked]
        again = [told(stage, each) for each in asked] if fault.status != "deferred" else statuses
        connections = len(server.conversations)
        requests = [each.count(b"POST ") for each in server.requests]
    wanted = [fault.status] * fault.messages
    ones = [1] * (fault.asked or 0) * fault.messages
    alone = fault.asked is None or [count for count in requests if count] == ones
    if statuses == again == wanted and connections == fault.messages and alone:
        return None
    return f"{vendor}, {fault.name}: told {statuses}, then {again}, {connections} connections, requests {requests}"


def refused_port(stage: Stage, vendor: str, at: int) -> str | None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    _LOCAL.endpoint, _LOCAL.name = f"http://127.0.0.1:{port}", f"{vendor}: refused port"
    status = told(stage, request(vendor, f"wire-{vendor}-refused", number(at)))
    return None if status == "deferred" else f"{vendor}, refused port: told {status}"


def by_proxy(stage: Stage, port: int, vendor: str, name: str, at: int) -> str | None:
    passing, wanted = PASSING[name]
    with Loopback(proxy(port, passing)) as server:
        _LOCAL.endpoint, _LOCAL.name = server.address, f"{vendor}, by proxy: {name}"
        asked = known_to_simulators(vendor, f"proxy-{vendor}-{at}")
        statuses = [told(stage, asked), told(stage, asked)]
        requests = [each.count(b"POST ") for each in server.requests]
    if statuses == [wanted] * 2 and requests == [1]:
        return None
    return f"{vendor}, by proxy, {name}: told {statuses}, requests {requests}"


def vendor_faults(stage: Stage, context: ssl.SSLContext) -> tuple[dict[str, int], list[str]]:
    """How many faults each vendor was put to, and what is wrong."""
    with ExitStack() as stack, ThreadPoolExecutor(AT_ONCE) as pool:
        jobs: dict[str, list[Any]] = {vendor: [] for vendor in VENDORS}
        for vendor in VENDORS:
            good = accepted(vendor, "60495654")
            faults = [*unknown_faults(good), *other_faults(good)]
            jobs[vendor] += [pool.submit(one_fault, stage, context, vendor, each, at) for at, each in enumerate(faults)]
            jobs[vendor].append(pool.submit(refused_port, stage, vendor, 99))
            simulator = _simulator(vendor)
            stack.enter_context(simulator)
            port = int(simulator.address.rpartition(":")[2])
            jobs[vendor] += [pool.submit(by_proxy, stage, port, vendor, name, at) for at, name in enumerate(PASSING)]
        wrong = [finding for each in jobs.values() for job in each if (finding := job.result())]
        return {vendor: len(each) for vendor, each in jobs.items()}, wrong


def known_to_simulators(vendor: str, message_id: str) -> dict[str, Any]:
    """Of the template that they know, and to the number whose receipt they never push."""
    form: dict[str, Any] = {"template_id": "T1001", "params": ["9633", "顺丰快递"]}
    if vendor == "dxtong":
        form = {"content": str(gateway.ORDER_SHIPPED["text"]).format(order="9633", carrier="顺丰快递")}
    return {"message_id": message_id, "mobile": number(88), "vendor": vendor, **form}


def _simulator(vendor: str) -> DxtongSimulator | JumdataSimulator:
    return DxtongSimulator(balance=100000) if vendor == "dxtong" else JumdataSimulator(balance=100000)


# Cut at every byte.


def replies(vendor: str) -> dict[str, bytes]:
    """The same success in three shapes."""
    good = accepted(vendor, "60495654")
    return {"a length": response(good), "no length": response(good, length=False), "chunks": chunked(good)}


def truncated(stage: Stage, vendor: str, shape: str, *, reset: bool, step: int = 1) -> tuple[int, list[str]]:
    """How many cuts there were, and what is wrong with any."""
    whole, wrong = replies(vendor)[shape], list[str]()
    at = 0

    def cut(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(whole[:at])
        if reset:
            conversation.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with Loopback(cut) as server:
        _LOCAL.endpoint, _LOCAL.name = server.address, f"{vendor}: cut"
        for at in range(0, len(whole), step):  # the script reads it
            before = len(server.conversations)
            status = told(stage, request(vendor, f"cut-{vendor}-{shape.replace(' ', '-')}-{reset:d}-{at}", number(at)))
            requests = [bytes(each.received).count(b"POST ") for each in server.conversations[before:]]
            # Behind a last chunk of no bytes only the end of the message lacks: the answer is whole.
            whole_text = shape == "chunks" and at > len(whole) - len(b"0\r\n\r\n")
            if status not in ({"accepted", "unknown"} if whole_text else {"unknown"}) or requests != [1]:
                wrong.append(f"{vendor}, {shape} cut at byte {at} of {len(whole)}: told {status}, requests {requests}")
    return -(-len(whole) // step), wrong


def cut_everywhere(stage: Stage, step: int = 1) -> tuple[int, list[str]]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [
            pool.submit(truncated, stage, vendor, shape, reset=reset, step=step)
            for vendor in VENDORS
            for shape in replies(vendor)
            for reset in (False, True)
        ]
        found = [job.result() for job in jobs]
    return sum(count for count, _ in found), [each for _, wrong in found for each in wrong]


# A bomb, in a process of its own.


def growth(size: int) -> tuple[int, int]:
    """Kilobytes by which a process grew over every bomb, and bytes that it read of one at most, after decoding."""
    twice = gzip.compress(gzip.compress(b" " * size, mtime=0), mtime=0)
    answers = [bomb("gzip", size), bomb("deflate", size), response(twice, "Content-Encoding: gzip, gzip")]
    served = itertools.count()

    def script(conversation: Conversation) -> None:
        conversation.read_request()
        at = next(served)
        conversation.send(response(b"warm") if at == 0 else answers[at - 1])

    with Loopback(script) as server:
        program = f"from tests.faults import wire; wire.measure({server.address!r}, {len(answers)})"
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
        )
    grown, read = json.loads(done.stdout)
    return int(grown), int(read)


def measure(address: str, count: int) -> None:
    """Runs in the process that is measured."""
    from urllib3.response import HTTPResponse

    read: list[int] = []
    real = HTTPResponse.read

    def counted(self: HTTPResponse, *args: Any, **kwargs: Any) -> bytes:
        data = real(self, *args, **kwargs)
        read[-1] += len(data)
        return data

    HTTPResponse.read = counted  # type: ignore[method-assign]
    ask = exchange.over(address, 5)
    before = 0
    for at in range(count + 1):
        read.append(0)
        with suppress(ReplyLost, NotConnected):
            ask(HttpRequest("POST", "/", form={"a": "b"}))
        if at == 0:  # all is loaded: what comes on top from here is the bombs'
            Path("/proc/self/clear_refs").write_text("5")
            before = _memory("VmRSS")
    print(json.dumps([_memory("VmHWM") - before, max(read)]))


def _memory(name: str) -> int:
    """Kilobytes that this process has (VmRSS), or has had at most since that was reset (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


# AWS.

SERVICES = ("dynamodb", "secretsmanager", "ssm", "sns", "sqs")
KINDS = ("failing", "throttling", "hanging")
GARBLED = "answering with a proxy's text"
"""Tried alone: what stands between a function and AWS may answer in its place."""
MOMENTS = ("before the call", "after the call", "at the receipt", "always")
_TEMPLATE = {
    f"/{gateway.STACK}/templates/order_shipped": json.dumps(gateway.ORDER_SHIPPED, ensure_ascii=False),
}
_HASTY = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=0.15,
    read_timeout=0.15,
    parameter_validation=False,
)


def outage(kind: str) -> Script:
    """An endpoint of AWS that is down, in one of these ways."""
    if kind == "hanging":
        return then(b"", Conversation.wait)
    if kind == GARBLED:
        return replying(response(b"upstream connect error", "Content-Type: text/plain", status="503 Away"))
    code, status = ("InternalServerError", "500 Error") if kind == "failing" else ("ThrottlingException", "400 Bad")

    def script(conversation: Conversation) -> None:
        if b"x-amz-target" in conversation.read_request().lower():
            body, content_type = json.dumps({"__type": code, "message": "no"}), "application/x-amz-json-1.0"
        else:  # SNS still speaks XML
            body = f"<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
            content_type = "text/xml"
        conversation.send(response(body.encode(), f"Content-Type: {content_type}", status=status))

    return script


class _Switched:
    def __init__(self, case: "Outage", service: str) -> None:
        self._case = case
        self._service = service

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._case.reached(self._service), operation)


@dataclass
class Outage:
    """One case: which services are down, how, when, and for which vendor's message."""

    vendor: str
    down: tuple[str, ...]
    kind: str
    moment: str
    at: int
    broken: Callable[[str, str], Any]
    calls: list[Any] = field(default_factory=list)
    kept: bool = False
    wrong: list[str] = field(default_factory=list)
    now_down: bool = False

    def __post_init__(self) -> None:
        self.aws = InMemory(self.at, slowest=0)
        self.aws.services["ssm"] = self.aws._made("ssm", memory.Parameters(_TEMPLATE))
        self.vendors = Scripted(on_call=self._called)
        self.stage = Stage(self.client)
        self.published = 0

    @property
    def name(self) -> str:
        return f"{' and '.join(self.down)} {self.kind} {self.moment}, {self.vendor}"

    def client(self, service: str) -> Any:
        """What is kept of it (Powertools keeps its clients) breaks and heals as well."""
        return _Switched(self, service)

    def reached(self, service: str) -> Any:
        """The client as it is at this moment."""
        if self.now_down and service in self.down:
            return self.broken(service, self.kind)
        return self.aws.client(service)

    def _called(self, call: Any) -> None:
        if self.moment == "after the call":
            self.now_down = True

    def message(self) -> dict[str, Any]:
        return {
            "message_id": f"aws-{self.at}",
            "mobile": number(self.at),
            "vendor": self.vendor,
            "template": "order_shipped",
            "params": {"order": 1, "carrier": "x"},
        }

    def send(self) -> None:
        self._attempt("send", self.message(), (TryLater,))

    def push(self) -> None:
        """The vendor's three pushes of a receipt, until one is answered ``success``."""
        for call in self.vendors.placed[:1]:
            for _ in range(3):
                if self.kept:
                    return
                with self._here():
                    try:
                        self.kept = self.stage.push(call)
                    except Exception as error:  # noqa: BLE001 -- it is the finding
                        self.wrong.append(f"the callback raised {type(error).__name__}")

    def publish(self) -> None:
        """The table's stream, which hands a record over again until it is taken."""
        changes = self.aws.dynamo.changes[self.published :]
        records = [
            {"dynamodb": {"SequenceNumber": str(at), **images(*change)}}
            for at, change in enumerate(changes)
            if change[1]
        ]
        if records and self._attempt("publish", {"Records": records}, (AwsUnavailable,)) == {"batchItemFailures": []}:
            self.published += len(changes)

    def sweep(self) -> None:
        self._attempt("sweep", {}, ())

    def _attempt(self, function: str, event: Any, declared: tuple[type[Exception], ...]) -> Any:
        with self._here():
            try:
                return self.stage.invoke(function, event, 60.0 if function == "sweep" else 30.0)
            except declared:
                return None
            except Exception as error:  # noqa: BLE001 -- it is the finding
                self.wrong.append(f"{function} raised {type(error).__name__}")
                return None

    @contextmanager
    def _here(self) -> Iterator[None]:
        _LOCAL.case = self
        yield

    def verdict(self) -> list[str]:
        state = self.aws.dynamo.items.get(f"MSG#aws-{self.at}", {}).get("st", {}).get("S")
        rung = len(self.vendors.placed)
        wrong = list(self.wrong)
        if rung > 1:
            wrong.append(f"rung {rung} times")
        if self.kept and state != "delivered":
            wrong.append(f"the receipt was taken, and the message is {state}")
        if not rung and state != "unknown":
            wrong.append(f"never rung, and {state}")
        told_of = {
            json.loads(each)["status"]
            for each in itertools.chain(*self.aws.topics.published.values())
            if "status" in each
        }
        if state in {"delivered", "unknown"} and state not in told_of:
            wrong.append(f"{state} was never published")
        return [f"{self.name}: {each}" for each in wrong]


def outages(broken: Callable[[str, str], Any], moments: tuple[str, ...], *, alone: bool) -> list[Outage]:
    chosen = [(one,) for one in SERVICES] + ([] if alone else list(itertools.combinations(SERVICES, 2)))
    garbled = itertools.product(VENDORS, [] if alone else chosen[: len(SERVICES)], (GARBLED,), moments)
    every = itertools.chain(itertools.product(VENDORS, chosen, KINDS, moments), garbled)
    return [Outage(*each, at, broken) for at, each in enumerate(every)]


@contextmanager
def broken_aws() -> Iterator[Callable[[str, str], Any]]:
    """Real boto3 clients whose endpoints are down, one for each service and way; made before anything is timed."""
    patience = ExponentialBackoff.delay_amount
    ExponentialBackoff.delay_amount = lambda *_: 0.0  # type: ignore[method-assign]
    with ExitStack() as stack:
        clients = {}
        for kind in (*KINDS, GARBLED):
            server = stack.enter_context(Loopback(outage(kind)))
            for service in SERVICES:
                clients[service, kind] = boto3.client(
                    service,  # type: ignore[call-overload]
                    config=_HASTY,
                    endpoint_url=server.address,
                    region_name=gateway.REGION,
                    aws_access_key_id="testing",
                    aws_secret_access_key="testing",
                )
        try:
            yield lambda *chosen: clients[chosen]
        finally:
            ExponentialBackoff.delay_amount = patience  # type: ignore[method-assign]


def _client_here(service: str) -> Any:
    return _LOCAL.case.client(service)


def _over_here(endpoint: str, deadline_seconds: float) -> Exchange:
    vendors: Scripted = _LOCAL.case.vendors
    return vendors.over(endpoint, deadline_seconds)


def aws_outages(moments: tuple[str, ...] = MOMENTS, *, alone: bool = False) -> tuple[int, list[str], int]:
    """How many cases, what is wrong, and how many ended ``unknown`` without a ring."""
    with broken_aws() as broken, ExitStack() as stack:
        stage = Stage(_client_here)
        stack.enter_context(stage.set_up(_over_here))
        stack.enter_context(patch.object(aws, "WORKERS", 1))  # a case is known by its thread
        cases = outages(broken, moments, alone=alone)
        for case in cases:
            case.stage.modules = {name: gateway._load(name) for name in stage.modules}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for step in (_begin, _receipt, _over):
                list(pool.map(step, cases))
            begun = datetime.datetime.now(datetime.UTC)
            patience = LEASE_SECONDS + INTERVAL
            for later in (LEASE_SECONDS + 1, patience + 10, 2 * patience + 20, 3 * patience + 30):
                with time_machine.travel(begun + datetime.timedelta(seconds=later), tick=True):
                    list(pool.map(_later, cases))
    wrong = [each for case in cases for each in case.verdict()]
    return len(cases), wrong, sum(not case.vendors.placed for case in cases)


def _begin(case: Outage) -> None:
    case.now_down = case.moment in {"before the call", "always"}
    case.send()
    case.publish()


def _receipt(case: Outage) -> None:
    case.now_down = case.moment in {"at the receipt", "always"}
    case.push()
    case.publish()
    case.sweep()


def _over(case: Outage) -> None:
    case.now_down = False
    for _ in range(2):
        case.send()
    case.push()
    case.sweep()
    case.publish()


def _later(case: Outage) -> None:
    case.sweep()
    case.send()
    case.now_down = False  # "after the call" breaks it again
    case.push()
    case.sweep()
    case.publish()


# All of it.


def _figure(name: str, count: int, wrong: list[str]) -> Figure:
    for finding in wrong[:12]:
        print(f"wire: {finding}", file=sys.stderr)
    return Figure(f"wire: {name}", f"{count} tried, {len(wrong)} wrong", "0 wrong", reached=count > 0 and not wrong)


def vendors_over_sockets(step: int = 1) -> list[Figure]:
    made, held = InMemory(1, slowest=0), Held()
    environ = {"VENDOR_DEADLINE_SECONDS": f"{DEADLINE:.0f}", "JUMDATA_DAILY_CAP": "0"}
    with own_certificate() as context, Stage(made.client).set_up(held.over, **environ) as stage:
        counts, wrong = vendor_faults(stage, context)
        cuts, miscut = cut_everywhere(stage, step)
    fewest = min(counts.values())
    faults = _figure(f"faults of a vendor's server and of a proxy, {fewest} a vendor", sum(counts.values()), wrong)
    return [
        faults if fewest >= 20 else Figure(faults.what, faults.value, "20 a vendor", reached=False),
        _figure("replies cut at every byte, closed and reset", cuts, miscut),
        Figure(
            f"wire: a call held past its deadline, worst ({held.worst_of})",
            f"{held.worst * 1000:.0f} ms",
            f"under {SLACK * 1000:.0f} ms",
            reached=held.worst < SLACK,
        ),
    ]


def a_bomb(size: int = BOMB) -> list[Figure]:
    grown, read = growth(size)
    return [
        Figure(
            "wire: bytes read of a decompression bomb", f"{read}", "65536, and one to see more", reached=read <= 65537
        ),
        Figure("wire: memory grown by bombs", f"{grown / 1024:.1f} MB", "under 20 MB", reached=grown < 20 * 1024),
    ]


def aws_down(moments: tuple[str, ...] = MOMENTS, *, alone: bool = False) -> list[Figure]:
    """``alone`` leaves the pairs out, and the answers that are no AWS's."""
    count, wrong, unrung = aws_outages(moments, alone=alone)
    return [_figure(f"services of AWS down, alone and in pairs ({unrung} never rung, unknown)", count, wrong)]


def run(seed: int, seconds: float) -> list[Figure]:
    """Nothing is left out, and nothing drawn: ``seed`` and ``seconds`` only fit the others' form."""
    return [*vendors_over_sockets(), *a_bomb(), *aws_down()]


def bench() -> list[Figure]:
    """What ``make bench`` prints: the two figures of time and memory, with what they aim at."""
    held = Held()
    with own_certificate() as context:
        made = InMemory(1, slowest=0)
        with Stage(made.client).set_up(held.over, VENDOR_DEADLINE_SECONDS=f"{DEADLINE:.0f}") as stage:
            vendor_faults(stage, context)
    grown, _ = growth(BOMB)
    return [
        Figure(
            f"held past a deadline of {DEADLINE:.0f} s, worst ({held.worst_of})",
            f"{held.worst * 1000:.0f} ms, {held.worst / DEADLINE:.3f} of it",
            "200 ms",
            reached=held.worst < 0.2,
        ),
        Figure(
            f"memory grown by bombs of {BOMB / 1e6:.0f} MB",
            f"{grown / 1024:.1f} MB, {grown * 1024 / BOMB:.3f} of one",
            "20 MB",
            reached=grown < 20 * 1024,
        ),
    ]


if __name__ == "__main__":
    say(table(bench()))
