"""Connections to AWS: kept, never trusted blindly, and every way to fail is one that botocore knows."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import getproxies_environment

import botocore.session
import certifi
import pytest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util import wait_for_read
from voice_gateway.platform import aws, connections
from voice_gateway.platform.tls import tls

from tests.unit.test_exchange import Authority
from tests.vendors.loopback import Conversation, Loopback

TRIES = 2
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: 2\r\n\r\n{}"


def client(address: str, connect: float = 0.3, read: float = 0.3) -> Any:
    """A client as platform/aws.py makes it, with less patience."""
    retries: Any = {"mode": "standard", "total_max_attempts": TRIES}
    config = Config(retries=retries, connect_timeout=connect, read_timeout=read, parameter_validation=False)
    session = botocore.session.get_session()
    session.set_credentials("key", "secret")
    made: Any = session.create_client("dynamodb", "us-east-1", endpoint_url=address, config=config)
    made._endpoint.http_session = connections.Connections(connect, read)
    return made


def ask(client: Any) -> Any:
    return client.get_item(TableName="t", Key={"pk": {"S": "号"}})


def answering(conversation: Conversation) -> None:
    """Answers one request after the other."""
    while True:
        conversation.read_request()
        if not conversation.received:
            return
        conversation.received.clear()
        conversation.send(ANSWER)


def answering_once(talk: Conversation) -> None:
    talk.read_request()
    talk.send(ANSWER)


def test_requests_share_a_connection() -> None:
    with Loopback(answering) as server:
        asked = client(server.address)
        for _ in range(3):
            assert "Item" not in ask(asked)
        assert len(server.conversations) == 1
        asked._endpoint.http_session.close()


def test_a_request_arrives_whole_and_signed() -> None:
    with Loopback(answering_once) as server:
        ask(client(server.address))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST / HTTP/1.1\r\n")
    assert b"Authorization: AWS4-HMAC-SHA256 Credential=key/" in head
    assert body == rb'{"TableName": "t", "Key": {"pk": {"S": "\u53f7"}}}'


def test_a_connection_that_aws_closed_meanwhile_is_left_and_the_request_sent_once() -> None:
    """A function sleeps for minutes between two requests, and AWS closes what nobody uses."""
    with Loopback(answering_once) as server:
        asked = client(server.address)
        ask(asked)
        (kept,) = next(iter(asked._endpoint.http_session._free.values()))
        assert wait_for_read(kept, timeout=2)  # the end of it has come
        ask(asked)
    assert len(server.requests) == 2


def test_an_answer_that_says_close_is_the_connection_s_last() -> None:
    def closing(talk: Conversation) -> None:
        talk.read_request()
        talk.send(ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        talk.read_on()

    with Loopback(closing) as server:
        asked = client(server.address)
        ask(asked)
        ask(asked)
        assert len(server.conversations) == 2


def cut_short(talk: Conversation) -> None:
    talk.read_request()
    talk.send(ANSWER[:-1])


def reset(talk: Conversation) -> None:
    talk.read_request()
    talk.reset()


def hang(talk: Conversation) -> None:
    talk.read_request()
    talk.wait()


def nonsense(talk: Conversation) -> None:
    talk.read_request()
    talk.send(b"nonsense\r\n\r\n")


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (cut_short, ConnectionClosedError),
        (reset, ConnectionClosedError),
        (lambda talk: talk.read_request() and None, ConnectionClosedError),
        (nonsense, ConnectionClosedError),
        (hang, ReadTimeoutError),
    ],
    ids=["cut short", "reset", "closed", "nonsense", "hang"],
)
def test_what_is_no_whole_answer_is_tried_again_and_then_an_error(
    script: Callable[[Conversation], None], error: type[BotoCoreError]
) -> None:
    with Loopback(script) as server, pytest.raises(error):
        ask(client(server.address))
    assert len(server.requests) == TRIES


def test_after_a_failure_a_new_connection_is_made() -> None:
    scripts: Iterator[Callable[[Conversation], None]] = iter([reset, answering])

    def in_turn(talk: Conversation) -> None:
        next(scripts)(talk)

    with Loopback(in_turn) as server:
        asked = client(server.address)
        assert "Item" not in ask(asked)
        asked._endpoint.http_session.close()


def test_where_nobody_listens_it_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(EndpointConnectionError):
        ask(client(f"http://127.0.0.1:{port}"))


def test_a_connection_that_does_not_come_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        waiting = [socket.create_connection(("127.0.0.1", port), timeout=1)]
        try:
            with pytest.raises((ConnectTimeoutError, ReadTimeoutError)):
                ask(client(f"http://127.0.0.1:{port}"))
        finally:
            for each in waiting:
                each.close()


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Authority], None]]:
    def instead(authority: Authority) -> None:
        monkeypatch.setattr(certifi, "where", lambda: str(authority.roots))
        tls.cache_clear()

    yield instead
    tls.cache_clear()


def test_a_certificate_is_verified(tmp_path: Path, trusted: Callable[[Authority], None]) -> None:
    authority = Authority(tmp_path, "127.0.0.1")
    trusted(authority)
    with Loopback(answering, authority.context) as server:
        asked = client(server.address)
        assert "Item" not in ask(asked)
        asked._endpoint.http_session.close()
    tls.cache_clear()
    trusted(Authority(tmp_path, "127.0.0.1"))  # another one: what the server shows is nobody's now
    with Loopback(answering, authority.context) as server, pytest.raises(SSLError):
        ask(client(server.address))
    assert server.requests == []
    assert tls().verify_mode == ssl.CERT_REQUIRED


def test_threads_share_connections_and_each_has_its_own_answer() -> None:
    def echoing(talk: Conversation) -> None:
        while request := talk.read_request():
            number = request.rpartition(b'"S": "')[2].partition(b'"')[0]
            body = b'{"Item": {"pk": {"S": "%s"}}}' % number
            talk.received.clear()
            talk.send(ANSWER.replace(b"Length: 2", b"Length: %d" % len(body)).replace(b"{}", body))

    found: list[bool] = []

    def many(asked: Any, name: str) -> None:
        for at in range(20):
            key = f"{name}-{at}"
            item = asked.get_item(TableName="t", Key={"pk": {"S": key}})["Item"]
            found.append(item == {"pk": {"S": key}})

    with Loopback(echoing) as server:
        asked = client(server.address, read=3)
        threads = [threading.Thread(target=many, args=(asked, str(at))) for at in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [True] * 160
        assert len(server.conversations) <= 8
        asked._endpoint.http_session.close()


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "AWS_CA_BUNDLE"])
def test_where_something_stands_in_between_botocore_s_own_session_is_used(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.getproxies", getproxies_environment)  # and not the machine's own settings
    for other in ("AWS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert type(made()) is connections.Connections
    monkeypatch.setenv(name, certifi.where() if name == "AWS_CA_BUNDLE" else "http://127.0.0.1:1")
    assert type(made()).__name__ == "URLLib3Session"


def made() -> Any:
    return aws.client.__wrapped__("sqs")._endpoint.http_session
