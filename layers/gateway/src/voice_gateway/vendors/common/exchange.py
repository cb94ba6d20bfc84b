"""One HTTP exchange with a vendor: one request, one deadline for all of it, and certainty about what was sent.

requests' own timeout is per read, and name resolution has none, so the exchange runs in a thread that is abandoned at
the deadline. A gate lies between connecting and sending. Once the exchange is abandoned, nothing can pass the gate: if
it was not passed before, the request was provably not sent (docs/protocol.md).
"""

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlencode, urlsplit

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import BaseHTTPResponse

from voice_gateway.model.errors import NotConnected, ReplyLost
from voice_gateway.platform.tls import tls
from voice_gateway.vendors.common.http import Exchange, HttpReply, HttpRequest, json_body

# urllib3 warns of a malformed header with the address and the header, which hold signature, number and more.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

LARGEST_BODY = 65536
"""Bytes of a reply that are read at most, after decoding."""
_CHUNK = 8192


def over(endpoint: str, deadline_seconds: float) -> Exchange:
    """An exchange with one vendor's endpoint (``https://host[:port][/path]``), each within the deadline."""

    def exchange(request: HttpRequest) -> HttpReply:
        return _Exchange(endpoint, request, deadline_seconds).run()

    return exchange


class _Gate:
    """Passed once, between connecting and sending; shut for good when the exchange is abandoned."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._shut = False
        self.passed = False

    def connected(self, connection: HTTPConnection) -> None:
        """Called when there is a connection, before a byte of the request is sent."""
        with self._lock:
            if self._shut or self.passed:
                # Abandoned, or a second connection for one request: neither may send.
                connection.close()
                raise (NotConnected("given up before it was sent") if not self.passed else ReplyLost("sent once"))
            self._socket = connection.sock
            self.passed = True

    def arrived(self) -> bool:
        """Called when the reply is complete: False if the exchange was abandoned: the reply may be cut short."""
        with self._lock:
            return not self._shut

    def shut(self) -> None:
        """Abandons the exchange: nothing is sent any more, and a waiting read ends."""
        with self._lock:
            self._shut = True
            if self._socket is not None:
                with suppress(OSError):  # the vendor may have closed it already
                    self._socket.shutdown(socket.SHUT_RDWR)


class _Exchange:
    def __init__(self, endpoint: str, request: HttpRequest, deadline_seconds: float) -> None:
        self._endpoint = endpoint
        self._request = request
        self._deadline = time.monotonic() + deadline_seconds
        self._gate = _Gate()
        self._reply: HttpReply | None = None
        self._why = ""

    def run(self) -> HttpReply:
        """The whole reply. Raises NotConnected or ReplyLost; their texts hold no address, field or secret."""
        ended = threading.Lock()
        ended.acquire()
        _carrier().put((self._carry, ended))
        why = self._why if ended.acquire(timeout=self._left()) else "the deadline passed"
        self._gate.shut()
        if self._reply is not None:
            return self._reply
        raise (ReplyLost if self._gate.passed else NotConnected)(why)

    def _carry(self) -> None:
        _here.gate = self._gate
        try:
            reply = self._exchange()
            if self._gate.arrived():
                self._reply = reply
        except Exception as error:  # noqa: BLE001 -- whatever happened, the gate knows whether anything was sent
            # The type only: requests and urllib3 put the address, and so secrets, into their texts.
            self._why = type(error).__name__ if not isinstance(error, ReplyLost) else str(error)

    def _exchange(self) -> HttpReply:
        with _ONE_SHOT.send(_prepared(self._endpoint, self._request), timeout=self._left(), stream=True) as response:
            body = self._body(response)
            return HttpReply(response.status_code, response.headers.get("Content-Type", ""), body)

    def _body(self, response: Response) -> bytes:
        body = b""
        while len(body) <= LARGEST_BODY:
            chunk = response.raw.read(min(_CHUNK, LARGEST_BODY + 1 - len(body)), decode_content=True)
            if not chunk:
                return body
            body += chunk
        raise ReplyLost(f"a body of over {LARGEST_BODY} bytes")

    def _left(self) -> float:
        return max(0.001, self._deadline - time.monotonic())


# Threads that carry exchanges, one at a time each. One that was abandoned is free again when its socket has ended.

_Work = SimpleQueue[tuple[Callable[[], None], threading.Lock]]
_free: list[_Work] = []


def _carrier() -> _Work:
    """What to give work to: a thread that is free, or a new one."""
    with suppress(IndexError):
        return _free.pop()
    work = _Work()
    threading.Thread(target=_carry_on, args=(work,), name="exchange", daemon=True).start()
    return work


def _carry_on(work: _Work) -> None:
    while True:
        carry, ended = work.get()
        try:
            carry()
        finally:
            _free.append(work)
            ended.release()


def _prepared(endpoint: str, request: HttpRequest) -> PreparedRequest:
    """As requests would prepare it: everything in it is text of ours already, so that nothing is left to find out."""
    prepared = PreparedRequest()
    prepared.method = request.method
    prepared.url = f"{endpoint}{request.path}" + (f"?{urlencode(request.query)}" if request.query else "")
    headers = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close", "User-Agent": "voice-gateway"}
    if request.json is not None:
        prepared.body, headers["Content-Type"] = json_body(request.json), "application/json"
    elif request.form is not None:
        prepared.body = urlencode(request.form).encode()
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    if request.method == "POST":
        headers["Content-Length"] = str(len(prepared.body or b""))
    prepared.headers = CaseInsensitiveDict({**headers, **request.headers})
    return prepared


# Below: requests' adapter, of a kind that carries one request over one fresh connection, which must pass the gate.
# There is no session: so there is no retry, redirect, cookie, proxy or netrc.

_here = threading.local()
"""The gate of the exchange that this thread carries."""


class _Plain(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _here.gate.connected(self)


class _Secure(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _here.gate.connected(self)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


class _OneShot(HTTPAdapter):
    def get_connection_with_tls_context(self, request: PreparedRequest, *_: Any, **__: Any) -> HTTPConnectionPool:
        """A new pool for each request: a connection that was kept would not pass the gate."""
        url = urlsplit(str(request.url))
        if url.scheme == "https":
            return _SecurePool(str(url.hostname), url.port, ssl_context=tls(), cert_reqs="CERT_REQUIRED")
        return _PlainPool(str(url.hostname), url.port)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing to load: the context has the CA bundle, and verifies."""

    def build_response(self, _: PreparedRequest, resp: BaseHTTPResponse) -> Response:
        """What is read of a reply, and no cookies."""
        response = Response()
        response.status_code, response.headers, response.raw = resp.status, resp.headers, resp  # type: ignore[assignment]
        return response


_ONE_SHOT = _OneShot(max_retries=0)
