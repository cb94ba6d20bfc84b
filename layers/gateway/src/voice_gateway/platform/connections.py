"""Connections to AWS, kept open between requests: what carries the requests that botocore has signed.

In place of botocore's own session over urllib3, which takes half of a request's CPU (docs/performance.md). It does what
that one does for these services and no more: no proxy, no bundle of certificates of one's own, no streams. Where one
of these is set, :func:`wanted` says so, and botocore's session stays.
"""

import os
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import SplitResult, urlsplit

from botocore.awsrequest import AWSResponse
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util import wait_for_read

from voice_gateway.platform.tls import tls


def wanted() -> bool:
    """Whether nothing stands between this function and AWS that only botocore's session knows."""
    return not (urllib.request.getproxies() or os.environ.get("AWS_CA_BUNDLE"))


class _Whole:
    """A body that was read already, as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._body


class Connections:
    """Sends requests, each over a connection that is free, or else a new one. Threads may share it."""

    def __init__(self, connect_timeout: float, read_timeout: float) -> None:
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._free: dict[tuple[str, str], list[socket.socket]] = {}

    def send(self, request: Any) -> AWSResponse:
        """The whole answer to an AWSPreparedRequest. Raises what botocore retries: its HTTPClientErrors."""
        url = urlsplit(request.url)
        free = self._free.setdefault((url.scheme, url.netloc), [])
        connection = _kept(free) or self._connected(url, request.url)
        try:
            connection.sendall(_written(request, url))
            answer = HTTPResponse(connection, method=request.method)
            answer.begin()
            body = answer.read()
        except TimeoutError as error:
            connection.close()
            raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
        except (HTTPException, OSError) as error:
            connection.close()
            raise ConnectionClosedError(endpoint_url=request.url, error=error, request=request) from error
        except BaseException:
            connection.close()
            raise
        if answer.will_close:
            connection.close()
        else:
            free.append(connection)
        headers: Any = answer.headers  # botocore copies them
        return AWSResponse(request.url, answer.status, headers, _Whole(body))

    def close(self) -> None:
        """Closes what is free."""
        for free in self._free.values():
            while free:
                free.pop().close()

    def _connected(self, url: SplitResult, whole: str) -> socket.socket:
        try:
            secure = url.scheme == "https"
            host: Any = str(url.hostname).encode("ascii")  # of a text Python would make an international name first
            connection = socket.create_connection((host, url.port or (443 if secure else 80)), self._connect_timeout)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if secure:
                connection = tls().wrap_socket(connection, server_hostname=url.hostname)
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=whole, error=error) from error
        except ssl.SSLError as error:
            raise SSLError(endpoint_url=whole, error=error) from error
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=whole, error=error) from error
        connection.settimeout(self._read_timeout)
        return connection


def _kept(free: list[socket.socket]) -> socket.socket | None:
    """A connection that AWS has not closed: there is nothing to read."""
    with suppress(IndexError):
        while True:
            connection = free.pop()
            if not wait_for_read(connection, timeout=0):
                return connection
            connection.close()
    return None


def _written(request: Any, url: SplitResult) -> bytes:
    """A request as it goes over the wire, in one piece."""
    body = request.body or b""
    if isinstance(body, str):
        body = body.encode()
    target = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
    headers = {"Host": url.netloc, "Accept-Encoding": "identity", **dict(request.headers.items())}
    headers.setdefault("Content-Length", str(len(body)))
    lines = [f"{request.method} {target} HTTP/1.1"]
    lines += [f"{name}: {value.decode() if isinstance(value, bytes) else value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
