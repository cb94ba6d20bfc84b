"""One HTTP exchange with a vendor: one request, one deadline for all of it, and certainty about what was sent.

requests' own timeout is per read, and name resolution has none, so the exchange runs in a thread that is abandoned at
the deadline. A gate lies between connecting and sending. Once the exchange is abandoned, nothing can pass the gate: if
it was not passed before, the request was provably not sent (docs/protocol.md).
"""

import logging
import socket
import ssl
import threading
import time
from contextlib import suppress
from functools import cache
from typing import Any

import certifi
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from voice_gateway.model.errors import NotConnected, ReplyLost
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
        thread = threading.Thread(target=self._carry, name="exchange", daemon=True)
        thread.start()
        thread.join(self._left())
        why = "the deadline passed" if thread.is_alive() else self._why
        self._gate.shut()
        if self._reply is not None:
            return self._reply
        raise (ReplyLost if self._gate.passed else NotConnected)(why)

    def _carry(self) -> None:
        try:
            reply = self._exchange()
            if self._gate.arrived():
                self._reply = reply
        except Exception as error:  # noqa: BLE001 -- whatever happened, the gate knows whether anything was sent
            # The type only: requests and urllib3 put the address, and so secrets, into their texts.
            self._why = type(error).__name__ if not isinstance(error, ReplyLost) else str(error)

    def _exchange(self) -> HttpReply:
        request = self._request
        with requests.Session() as session:
            session.trust_env = False  # no proxy and no netrc from the environment
            session.mount("http://", _OneShot(self._gate))
            session.mount("https://", _OneShot(self._gate))
            with session.request(
                request.method,
                self._endpoint + request.path,
                params=dict(request.query),
                data=_body(request),
                headers=_headers(request),
                timeout=self._left(),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = self._body(response)
                return HttpReply(response.status_code, response.headers.get("Content-Type", ""), body)

    def _body(self, response: requests.Response) -> bytes:
        body = b""
        while len(body) <= LARGEST_BODY:
            chunk = response.raw.read(min(_CHUNK, LARGEST_BODY + 1 - len(body)), decode_content=True)
            if not chunk:
                return body
            body += chunk
        raise ReplyLost(f"a body of over {LARGEST_BODY} bytes")

    def _left(self) -> float:
        return max(0.001, self._deadline - time.monotonic())


def _body(request: HttpRequest) -> dict[str, str] | bytes | None:
    if request.json is not None:
        return json_body(request.json)
    return None if request.form is None else dict(request.form)


def _headers(request: HttpRequest) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity", "Connection": "close", "User-Agent": "voice-gateway"}
    return headers | ({} if request.json is None else {"Content-Type": "application/json"}) | dict(request.headers)


@cache
def _tls() -> ssl.SSLContext:
    """One TLS context a process: loading the CA bundle is most of what a one-shot request costs."""
    return ssl.create_default_context(cafile=certifi.where())


class _OneShot(HTTPAdapter):
    """One request over one fresh connection, which must pass the gate; no retry."""

    def __init__(self, gate: _Gate) -> None:
        self._gate = gate
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        gate = self._gate

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                gate.connected(self)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                gate.connected(self)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] == "https":
            pool = {"ssl_context": _tls(), "cert_reqs": "CERT_REQUIRED"}
        return host, pool

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing to load: the context has the CA bundle, and verifies."""
