"""What really leaves for a vendor: the bytes of each request, through the gateway's own exchange over loopback."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from voice_gateway import vendors
from voice_gateway.model.call import Outcome, Unknown
from voice_gateway.vendors.common import exchange

from tests.vendors import payloads
from tests.vendors.loopback import Conversation, Loopback

NOW = 1555378976.238
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

every_vendor = pytest.mark.parametrize("name", vendors.names())


def sent(name: str) -> tuple[str, dict[str, str], str, Outcome]:
    """The request line, the headers and the body of a call, and its outcome."""
    call, credentials = payloads.largest_call(name), payloads.contract(name)["credentials"]
    with Loopback(answer_nothing) as server:
        outcome = vendors.vendor(name).submit(call, credentials, exchange.over(server.address, 2), NOW)
    assert len(server.conversations) == len(server.requests) == 1
    head, _, body = server.requests[0].decode().partition("\r\n\r\n")
    line, *lines = head.split("\r\n")
    return line, {key.lower(): value for key, value in (each.split(": ", 1) for each in lines)}, body, outcome


def answer_nothing(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@every_vendor
def test_a_call_is_one_form_or_one_json_object_posted_in_utf8(name: str) -> None:
    line, headers, body, outcome = sent(name)
    documented = payloads.contract(name)["submit"]
    method, target, version = line.split(" ")
    address = urlsplit(target)
    assert (method, version, address.path) == ("POST", "HTTP/1.1", documented["path"])
    assert list(parse_qs(address.query)) == documented["query"]
    expected = vendors.vendor(name).submit_request(
        payloads.largest_call(name), payloads.contract(name)["credentials"], NOW
    )
    if expected.json is None:
        assert headers["content-type"].split(";")[0] == FORM
        fields = parse_qs(body, strict_parsing=True, errors="strict")
        assert fields == {key: [value] for key, value in payloads.fields(expected).items()}
    else:
        assert headers["content-type"].split(";")[0] == JSON
        assert json.loads(body) == expected.json
    assert isinstance(outcome, Unknown)


@every_vendor
def test_no_header_tells_more_than_it_must(name: str) -> None:
    _, headers, _, _ = sent(name)
    allowed = {"host", "user-agent", "accept", "accept-encoding", "connection", "content-type", "content-length"}
    documented = payloads.contract(name)["submit"].get("headers", [])
    assert set(headers) <= allowed | {header.lower() for header in documented}


@every_vendor
def test_the_api_key_is_not_in_a_single_byte(name: str) -> None:
    line, headers, body, _ = sent(name)
    key = payloads.contract(name)["credentials"][payloads.contract(name)["api_key"]]
    assert key not in "\n".join([line, *headers.values(), body])


@every_vendor
def test_an_accepted_call_is_accepted_over_the_wire(name: str) -> None:
    payload = next(
        each for each in payloads.of_kind("reply") if each.vendor == name and each.meaning["outcome"] == "accepted"
    )

    def accept(conversation: Conversation) -> None:
        conversation.read_request()
        kind = payload.meaning["content_type"].encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (kind, len(payload.body))
        conversation.send(head + payload.body)

    with Loopback(accept) as server:
        outcome = vendors.vendor(name).submit(
            payloads.largest_call(name), payloads.contract(name)["credentials"], exchange.over(server.address, 2), NOW
        )
    assert getattr(outcome, "call_id", None) == payload.meaning["call_id"]
