"""A server on loopback that speaks raw sockets by a script: it can break the rules that an HTTP server keeps."""

import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Self

PATIENCE = 5.0
"""Seconds after which a script gives up, so that no test hangs."""


@dataclass
class Conversation:
    """One connection, and every byte that came over it."""

    socket: socket.socket
    over: threading.Event
    received: bytearray = field(default_factory=bytearray)

    def read_request(self) -> bytes:
        """Reads until one whole request is there, or the other side has no more."""
        while not self._whole():
            chunk = self.socket.recv(65536)
            if not chunk:
                break
            self.received += chunk
        return bytes(self.received)

    def read_on(self) -> None:
        """Reads until the other side has no more."""
        with suppress(OSError):
            while chunk := self.socket.recv(65536):
                self.received += chunk

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def drip(self, data: bytes, pause: float) -> None:
        """A byte at a time, until the other side has enough of it."""
        for at in range(len(data)):
            if self.over.wait(pause):
                return
            self.socket.sendall(data[at : at + 1])

    def wait(self) -> None:
        """Says nothing more."""
        self.over.wait(PATIENCE)

    def reset(self) -> None:
        """Closes with RST in place of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _whole(self) -> bool:
        head, separator, body = bytes(self.received).partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        return bool(separator) and len(body) >= (int(length[1]) if length else 0)


Script = Callable[[Conversation], None]


class Loopback:
    """Runs the script on every connection, each in a thread of its own; a script's end closes its connection."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._tls = tls
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self.conversations: list[Conversation] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.02)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        self._listener.close()

    @property
    def address(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[bytes]:
        """What came over each connection that said anything."""
        return [bytes(each.received) for each in self.conversations if each.received]

    def wait_for_connections(self, count: int) -> None:
        end = time.monotonic() + PATIENCE
        while len(self.conversations) < count:
            assert time.monotonic() < end, "nobody connected"
            time.sleep(0.01)

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(PATIENCE)
            self._start(partial(self._converse, connection))

    def _converse(self, connection: socket.socket) -> None:
        conversation = Conversation(connection, self._over)
        self.conversations.append(conversation)
        # Whoever is at the other end may be gone at any moment: that is what the scripts are about.
        with suppress(OSError):
            if self._tls:
                conversation.socket = self._tls.wrap_socket(connection, server_side=True)
            self._script(conversation)
        with suppress(OSError):
            conversation.socket.close()

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()
