"""One HTTP exchange against a server that breaks every rule: what was sent, and what may be said for certain."""

import datetime
import gzip
import ipaddress
import logging
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from voice_gateway.model.errors import NotConnected, ReplyLost
from voice_gateway.platform.tls import tls
from voice_gateway.vendors.common import exchange
from voice_gateway.vendors.common.http import HttpReply, HttpRequest

from tests.vendors.loopback import Conversation, Loopback

pytestmark = pytest.mark.enable_socket

DEADLINE = 0.6
SLACK = 1.0
FORM = {"mobile": "13800138000", "content": "请注意查收"}
SECRETS = ("13800138000", "secret-password", "127.0.0.1", "webservice")
REQUEST = HttpRequest("POST", "/webservice/voice.php", {"method": "Submit"}, {**FORM, "password": "secret-password"})
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=GBK\r\nContent-Length: 2\r\n\r\nok"


def ask(address: str, request: HttpRequest = REQUEST, deadline: float = DEADLINE) -> HttpReply:
    return exchange.over(address, deadline)(request)


def lost(address: str, expected: type[Exception], deadline: float = DEADLINE) -> str:
    """The text of the error that an exchange ends in, within its deadline."""
    begun = time.monotonic()
    with pytest.raises(expected) as caught:
        ask(address, deadline=deadline)
    assert time.monotonic() - begun < deadline + SLACK
    assert type(caught.value) is expected
    assert not any(secret in str(caught.value) for secret in SECRETS)
    return str(caught.value)


def replying(data: bytes) -> Callable[[Conversation], None]:
    def reply(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(data)

    return reply


def response(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def wait_until(condition: Callable[[], bool], seconds: float = 3.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


# -- a whole reply


def test_a_reply_is_status_type_and_body() -> None:
    with Loopback(replying(OK)) as server:
        reply = ask(server.address)
    assert reply == HttpReply(200, "text/xml; charset=GBK", b"ok")


def test_the_request_is_sent_as_it_is() -> None:
    with Loopback(replying(OK)) as server:
        ask(server.address)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /webservice/voice.php?method=Submit HTTP/1.1\r\n")
    assert b"\r\nContent-Type: application/x-www-form-urlencoded" in head
    content = b"%E8%AF%B7%E6%B3%A8%E6%84%8F%E6%9F%A5%E6%94%B6"
    assert body == b"mobile=13800138000&content=" + content + b"&password=secret-password"


def test_a_get_has_its_fields_in_the_query_and_no_body() -> None:
    with Loopback(replying(OK)) as server:
        ask(server.address + "/base", HttpRequest("GET", "/balance", {"appId": "a b", "sign": "é"}))
    assert server.requests[0].startswith(b"GET /base/balance?appId=a+b&sign=%C3%A9 HTTP/1.1\r\n")
    assert server.requests[0].endswith(b"\r\n\r\n")


@pytest.mark.parametrize("status", ["201 Created", "204 No Content", "400 Bad", "404 None", "429 Slow", "503 Away"])
def test_every_status_is_a_reply(status: str) -> None:
    body = b"" if status.startswith("204") else b"ok"
    with Loopback(replying(response(body, status=status))) as server:
        assert ask(server.address) == HttpReply(int(status[:3]), "", body)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_a_reply_and_not_followed(status: str) -> None:
    """Followed, it would carry signature and number to wherever it points, and might ring twice."""
    with Loopback(replying(OK)) as other:
        with Loopback(replying(response(b"ok", f"Location: {other.address}/", status=status))) as server:
            assert ask(server.address).status == int(status[:3])
        assert len(server.requests) == 1
    assert other.conversations == []


def test_a_server_that_keeps_the_connection_open_is_not_waited_for() -> None:
    def reply_and_stay(conversation: Conversation) -> None:
        replying(OK)(conversation)
        conversation.wait()

    with Loopback(reply_and_stay) as server:
        begun = time.monotonic()
        assert ask(server.address, deadline=3).body == b"ok"
        assert time.monotonic() - begun < 1


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    with Loopback(replying(b"HTTP/1.0 200 OK\r\n\r\nok")) as server:
        assert ask(server.address).body == b"ok"


def test_a_chunked_body_is_put_together() -> None:
    with Loopback(
        replying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n")
    ) as server:
        assert ask(server.address).body == b"ok"


def test_a_slow_reply_within_the_deadline_is_a_reply() -> None:
    def drip(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.drip(OK, 0.002)

    with Loopback(drip) as server:
        assert ask(server.address, deadline=3).body == b"ok"


def test_a_compressed_body_is_undone() -> None:
    """It was not asked for, and comes all the same."""
    with Loopback(replying(response(gzip.compress(b"ok"), "Content-Encoding: gzip"))) as server:
        assert ask(server.address).body == b"ok"


# -- no connection: provably not sent


def test_a_name_that_does_not_resolve_is_not_connected() -> None:
    lost("https://vendor.invalid", NotConnected)


def test_a_refused_port_is_not_connected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    lost(f"http://127.0.0.1:{port}", NotConnected)


def test_tls_to_a_plain_server_is_not_connected() -> None:
    with Loopback(replying(OK)) as server:
        lost(server.address.replace("http:", "https:"), NotConnected)
    assert not any(b"webservice" in each for each in server.requests)


def test_a_server_that_answers_a_tls_handshake_in_plain_text_is_not_connected() -> None:
    with Loopback(lambda conversation: conversation.send(OK)) as server:
        lost(server.address.replace("http:", "https:"), NotConnected, deadline=2)


def test_a_tls_handshake_that_hangs_is_not_connected() -> None:
    with Loopback(Conversation.wait) as server:
        lost(server.address.replace("http:", "https:"), NotConnected)


def test_a_connection_that_is_reset_in_the_tls_handshake_is_not_connected() -> None:
    with Loopback(Conversation.reset) as server:
        lost(server.address.replace("http:", "https:"), NotConnected)


def test_a_server_that_takes_no_connection_is_not_connected_and_gets_nothing_later() -> None:
    """Its queue of connections is full, so that ours hangs; what it takes up in the end must be silent."""
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            filling = sockets.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(listener.getsockname())
        lost(f"http://127.0.0.1:{listener.getsockname()[1]}", NotConnected)
        listener.settimeout(1.3)
        for heard in everything_heard(listener):
            assert heard == b""


def everything_heard(listener: socket.socket) -> Iterator[bytes]:
    """What each connection says that is still to come."""
    while True:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            return
        with connection:
            connection.settimeout(0.05)
            try:
                yield connection.recv(1024)
            except TimeoutError:
                yield b""


def test_a_resolver_that_is_slow_is_not_connected_and_nothing_is_sent_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """No timeout reaches into a resolver: given up at the deadline, the exchange must not send when it wakes."""
    resolve = socket.getaddrinfo

    def slowly(*args: object, **kwargs: object) -> object:
        time.sleep(DEADLINE * 2)
        return resolve(*args, **kwargs)  # type: ignore[arg-type]

    with Loopback(Conversation.read_on) as server:
        monkeypatch.setattr(socket, "getaddrinfo", slowly)
        lost(server.address, NotConnected)
        server.wait_for_connections(1)
        wait_until(lambda: not exchanging())
    assert server.requests == []


def exchanging() -> list[threading.Thread]:
    """The threads that carry an exchange now."""
    threads = [thread for thread in threading.enumerate() if thread.name == "exchange"]
    return threads[len(exchange._free) :]


# -- a connection, and no whole reply: nobody can say


def reset_unread(conversation: Conversation) -> None:
    time.sleep(0.05)
    conversation.reset()


def reset_after_the_request(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.reset()


def close_after_the_request(conversation: Conversation) -> None:
    conversation.read_request()


def hang(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.wait()


def drip_headers(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(b"HTTP/1.1 200 OK\r\n")
    conversation.drip(b"X-Header: " + b"x" * 10_000, 0.02)


def drip_body(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    conversation.drip(b"x" * 10_000, 0.02)


def drip_chunks(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    conversation.drip(b"1\r\nx\r\n" * 1000, 0.02)


def interim_for_ever(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 0.001)


def stay_after_the_headers(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    conversation.wait()


def reset_in_the_body(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok")
    time.sleep(0.05)
    conversation.reset()


BROKEN = {
    "reset before it is read": reset_unread,
    "reset after the request": reset_after_the_request,
    "closed after the request": close_after_the_request,
    "hang": hang,
    "dripping headers": drip_headers,
    "dripping body": drip_body,
    "dripping chunks": drip_chunks,
    "interim replies for ever": interim_for_ever,
    "headers only": stay_after_the_headers,
    "reset in the body": reset_in_the_body,
    "truncated body": replying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok"),
    "truncated chunk": replying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nok"),
    "no last chunk": replying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"),
    "bad chunk": replying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n"),
    "no HTTP": replying(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "bad status": replying(b"HTTP/1.1 two OK\r\n\r\n"),
    "endless header": replying(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000),
    "endless headers": replying(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 20_000),
    "corrupt gzip": replying(response(b"\x1f\x8b no gzip", "Content-Encoding: gzip")),
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
def test_after_connecting_what_is_no_whole_reply_is_lost(script: Callable[[Conversation], None]) -> None:
    with Loopback(script) as server:
        lost(server.address, ReplyLost)
        wait_until(lambda: not exchanging())
    assert len(server.conversations) == 1


def test_a_reset_at_once_is_one_attempt() -> None:
    """It may overtake the connecting itself, and then nothing was sent; either way nobody tries again."""
    with Loopback(Conversation.reset) as server:
        with pytest.raises((NotConnected, ReplyLost)):
            ask(server.address)
        time.sleep(0.1)
    assert len(server.conversations) == 1


def cut_headers(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(b"HTTP/1.1 200 OK\r\nX-Header: x")
    conversation.wait()


def cut_body_without_a_length(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(b"HTTP/1.1 200 OK\r\n\r\nok")
    conversation.wait()


@pytest.mark.parametrize("script", [cut_headers, cut_body_without_a_length])
def test_what_giving_up_cuts_is_no_whole_reply(
    monkeypatch: pytest.MonkeyPatch, script: Callable[[Conversation], None]
) -> None:
    """Shutting the socket ends a read as the server's own close would; the reader must not win that race.

    Both sides are let run on after the shutting, so that the slower one is always the one that decides.
    """
    shut = exchange._Gate.shut

    def shut_and_dawdle(gate: exchange._Gate) -> None:
        shut(gate)
        time.sleep(0.2)

    monkeypatch.setattr(exchange._Gate, "shut", shut_and_dawdle)
    with Loopback(script) as server:
        lost(server.address, ReplyLost)


def test_headers_that_were_cut_are_an_empty_reply() -> None:
    """http.client takes the end of the connection for the end of the headers; the vendor's reader makes it unknown."""
    with Loopback(replying(b"HTTP/1.1 200 OK\r\nContent-Ty")) as server:
        assert ask(server.address).body == b""


def test_a_gzip_body_that_was_cut_before_it_was_sent_is_a_cut_body() -> None:
    """Its length is right, so nothing here can tell; no beginning of a reply can be read as a whole one."""
    cut = response(gzip.compress(b"ok" * 5000)[:-12], "Content-Encoding: gzip")
    with Loopback(replying(cut)) as server, suppress(ReplyLost):
        assert len(ask(server.address).body) < 10_000


# -- how much is read


def test_64_kb_are_read() -> None:
    with Loopback(replying(response(b"x" * 65536))) as server:
        assert len(ask(server.address, deadline=2).body) == 65536


def test_a_byte_more_is_not() -> None:
    with Loopback(replying(response(b"x" * 65537))) as server:
        lost(server.address, ReplyLost, deadline=2)


def test_a_body_without_end_is_left() -> None:
    def endless(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            conversation.send(b"x" * 65536)

    with Loopback(endless) as server:
        begun = time.monotonic()
        lost(server.address, ReplyLost, deadline=3)
        assert time.monotonic() - begun < 1


@pytest.mark.parametrize("layers", [1, 2])
def test_a_gzip_bomb_does_not_go_off(layers: int) -> None:
    """The size counts after decoding: 32 MB of nothing are 32 kB on the wire, and less when packed twice."""
    body = b"\0" * 32_000_000
    for _ in range(layers):
        body = gzip.compress(body)
    encoding = ", ".join(["gzip"] * layers)
    with Loopback(replying(response(body, f"Content-Encoding: {encoding}"))) as server:
        begun = time.monotonic()
        lost(server.address, ReplyLost, deadline=3)
        assert time.monotonic() - begun < 1


def test_a_deflate_bomb_does_not_either() -> None:
    with Loopback(replying(response(zlib.compress(b"\0" * 32_000_000), "Content-Encoding: deflate"))) as server:
        lost(server.address, ReplyLost, deadline=3)


# -- exactly one request, over a connection of its own


@pytest.mark.parametrize("script", [close_after_the_request, reset_after_the_request, hang, replying(OK)])
def test_exactly_one_request_is_received(script: Callable[[Conversation], None]) -> None:
    with Loopback(script) as server:
        try:
            ask(server.address)
        except ReplyLost:
            time.sleep(0.1)  # whoever retries does it soon
    assert len(server.conversations) == len(server.requests) == 1
    assert server.requests[0].count(b"POST /webservice") == 1


def test_each_exchange_has_a_fresh_connection_and_remembers_nothing() -> None:
    """An idle connection that the vendor closed fails in a way that says nothing."""

    def reply_and_stay(conversation: Conversation) -> None:
        replying(response(b"ok", "Connection: keep-alive", "Set-Cookie: session=1"))(conversation)
        conversation.read_on()

    with Loopback(reply_and_stay) as server:
        both = exchange.over(server.address, 2)
        assert [both(REQUEST).body, both(REQUEST).body] == [b"ok", b"ok"]
    assert len(server.conversations) == 2
    assert all(each.count(b"POST /webservice") == 1 for each in server.requests)
    assert not any(b"cookie" in each.lower() for each in server.requests)


def test_exchanges_at_one_time_do_not_mix() -> None:
    def echo(conversation: Conversation) -> None:
        body = conversation.read_request().partition(b"\r\n\r\n")[2]
        time.sleep(0.05)
        conversation.send(response(body))

    replies: dict[int, bytes] = {}
    with Loopback(echo) as server:
        both = exchange.over(server.address, 3)

        def one(number: int) -> None:
            replies[number] = both(HttpRequest("POST", "/", form={"number": str(number)})).body

        threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert replies == {number: f"number={number}".encode() for number in range(8)}


# -- nothing is taken from the environment


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    with Loopback(replying(OK)) as proxy, Loopback(replying(OK)) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.address)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        if scheme == "http":
            assert ask(server.address).body == b"ok"
        else:
            lost(server.address.replace("http:", "https:"), NotConnected)
    assert proxy.conversations == []
    assert len(server.conversations) == 1


def test_netrc_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password something\ndefault login someone password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Loopback(replying(OK)) as server:
        ask(server.address)
    assert b"authorization" not in server.requests[0].lower()


# -- TLS is verified


class Authority:
    """A certificate authority of the test's own, and one server certificate of its."""

    def __init__(self, folder: Path, host: str, *, days: int = 1) -> None:
        key, name = ec.generate_private_key(ec.SECP256R1()), _name("test authority")
        now = datetime.datetime.now(datetime.UTC)
        begun = now - datetime.timedelta(days=10)
        builder = x509.CertificateBuilder().not_valid_before(begun)
        serial = x509.random_serial_number()
        root = (
            builder.subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(serial)
            .not_valid_after(now + datetime.timedelta(days=10))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )  # fmt: skip
        server_key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
        certificate = (
            builder.subject_name(_name(host)).issuer_name(name).public_key(server_key.public_key())
            .serial_number(serial + 1)
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(issuer, critical=False)
            .sign(key, hashes.SHA256())
        )  # fmt: skip
        self.roots = folder / "roots.pem"
        self.roots.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        chain = folder / "server.pem"
        chain.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + server_key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(chain)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


@pytest.fixture
def trust(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Authority], None]]:
    """Puts an authority in the place of certifi's; the context, which is loaded once a process, is loaded anew."""

    def instead(authority: Authority) -> None:
        monkeypatch.setattr(certifi, "where", lambda: str(authority.roots))
        tls.cache_clear()

    yield instead
    tls.cache_clear()


def test_a_certificate_of_a_trusted_authority_is_taken(tmp_path: Path, trust: Callable[[Authority], None]) -> None:
    """Without this, the refusals below could be for any reason."""
    authority = Authority(tmp_path, "127.0.0.1")
    trust(authority)
    with Loopback(replying(OK), authority.context) as server:
        assert ask(server.address, deadline=2).body == b"ok"
    assert len(server.requests) == 1


def test_a_certificate_of_nobody_s_is_not_connected(tmp_path: Path) -> None:
    with Loopback(replying(OK), Authority(tmp_path, "127.0.0.1").context) as server:
        lost(server.address, NotConnected, deadline=2)
    assert server.requests == []


@pytest.mark.parametrize(("host", "days"), [("example.com", 1), ("127.0.0.2", 1), ("127.0.0.1", -1)])
def test_a_certificate_for_another_or_of_the_past_is_not_connected(
    tmp_path: Path, trust: Callable[[Authority], None], host: str, days: int
) -> None:
    authority = Authority(tmp_path, host, days=days)
    trust(authority)
    with Loopback(replying(OK), authority.context) as server:
        lost(server.address, NotConnected, deadline=2)
    assert server.requests == []


def test_authorities_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "127.0.0.1")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(authority.roots))
    tls.cache_clear()
    with Loopback(replying(OK), authority.context) as server:
        lost(server.address, NotConnected, deadline=2)
    assert server.requests == []


def test_a_hang_behind_tls_ends_at_the_deadline(tmp_path: Path, trust: Callable[[Authority], None]) -> None:
    authority = Authority(tmp_path, "127.0.0.1")
    trust(authority)
    with Loopback(hang, authority.context) as server:
        lost(server.address, ReplyLost)
        wait_until(lambda: not exchanging())
    assert len(server.requests) == 1


def test_the_context_is_loaded_once() -> None:
    """Loading the CA bundle is most of what a one-shot request costs."""
    assert tls() is tls()
    assert tls().verify_mode == ssl.CERT_REQUIRED
    assert tls().check_hostname


def test_a_header_that_is_none_brings_no_address_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, caplog.at_level(logging.WARNING):

        def serve() -> None:
            connection, _ = server.accept()
            connection.recv(9999)
            connection.sendall(b"HTTP/1.1 200 OK\r\nno header\r\nContent-Length: 2\r\n\r\n{}")
            connection.close()

        threading.Thread(target=serve, daemon=True).start()
        exchange.over(f"http://127.0.0.1:{server.getsockname()[1]}", 2)(
            HttpRequest("GET", "/r", {"mobile": "13800138000"})
        )
    assert "13800138000" not in caplog.text
