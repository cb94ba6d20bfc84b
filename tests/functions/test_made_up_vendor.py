"""A further vendor is a module, found by its being there: one that does what neither of the real ones does."""

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from voice_gateway import vendors
from voice_gateway.platform.callback_tokens import CallbackKeys, Keyring
from voice_gateway.platform.observability import Record
from voice_gateway.platform.secrets import Secrets
from voice_gateway.platform.settings import settings
from voice_gateway.receipts.callbacks import Callbacks
from voice_gateway.receipts.settling import Settling
from voice_gateway.storage.calls_table import calls_table
from voice_gateway.storage.dead_letters import DeadLetters
from voice_gateway.storage.outbox import Outbox

from tests.functions.test_send import SHIPPED, Wire, number
from tests.gateway import ROOT, SECRETS, Gateway
from tests.vendors.loopback import Conversation, Loopback

KEY = "a-key-that-only-example-knows"
TEXT = "请注意查收"


class Example:
    """The vendor's server: every request that came, and what it answers."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: dict[str, Any] | None = None
        self.calls = 0

    def __call__(self, conversation: Conversation) -> None:
        head, _, body = conversation.read_request().partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        self.requests.append((first.split()[1], headers, body))
        self.calls += 1
        answer = {"status": "queued", "call": f"example-{self.calls}"} if self.answer is None else self.answer
        if answer:  # else the connection ends without a word
            content = json.dumps(answer).encode()
            conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)


@pytest.fixture
def example(gateway: Gateway) -> Iterator[Example]:
    """The vendor beside the real ones: its module on the package's path, and what a template would set of it."""
    there, found = list(vendors.__path__), Example()
    vendors.__path__.append(str(ROOT / "tests" / "vendors" / "made_up"))
    with Loopback(found) as server:
        made = gateway.client("secretsmanager").create_secret(Name="example", SecretString=json.dumps({"key": KEY}))
        os.environ |= {
            "EXAMPLE_ENDPOINT": server.address,
            "EXAMPLE_SECRET_ARN": made["ARN"],
            "EXAMPLE_LOW_CREDIT": "10",
        }
        os.environ["VENDOR_ORDER"] = "example,dxtong,jumdata"
        vendors.names.cache_clear()
        try:
            yield found
        finally:
            vendors.__path__[:] = there
            vendors.names.cache_clear()


def push(body: Any, keyring: Keyring | None = None) -> dict[str, Any]:
    """A callback of example's, wired as every function of its kind is."""
    own, dead_letters = settings(), DeadLetters(settings().dead_letter_queue)
    table = calls_table(own.calls_table)
    settling = Settling(table.messages, table.call_ids, dead_letters)
    story = Callbacks("example", own, CallbackKeys(own, Secrets()), settling, Outbox(own.outbox_queue), dead_letters)
    keys = keyring or Keyring.from_secret(json.dumps(SECRETS["callback"]))
    event = {
        "pathParameters": {"token": keys.static_token("example")},
        "headers": {"Content-Type": "application/json"},
        "isBase64Encoded": True,
        "body": base64.b64encode(json.dumps(body).encode()).decode(),
    }
    return story.receive(event, Record())


def receipt(call: str, result: str = "answered", mobile: str = number(0), **more: str) -> dict[str, str]:
    return {"call": call, "to": mobile, "result": result, **more}


def send(gateway: Gateway, message_id: str, at: int = 0) -> dict[str, Any]:
    sent: dict[str, Any] = gateway.send(message_id=message_id, mobile=number(at), content=TEXT)
    return sent


def acknowledged(answer: dict[str, Any]) -> bool:
    return (answer["statusCode"], answer["body"], answer["headers"]["Content-Type"]) == (
        *(200, '{"ok":true}'),
        "application/json",
    )


def test_it_is_a_vendor_like_the_others(gateway: Gateway, example: Example) -> None:
    sent = send(gateway, "m1")
    assert (sent["status"], sent["vendor"], sent["call_id"]) == ("accepted", "example", "example-1")
    assert acknowledged(push(receipt("example-1")))
    assert (gateway.status("m1")["status"], gateway.status("m1")["linked_by"]) == ("delivered", "call_id")
    example.answer = {"left": "7"}
    assert gateway.invoke("balance_check", {})["example"]["state"] == "low"
    example.answer = {"left": "0"}
    assert gateway.invoke("balance_check", {})["example"]["state"] == "empty"


def test_the_body_is_signed_as_it_is_sent(gateway: Gateway, example: Example) -> None:
    send(gateway, "m1")
    ((path, headers, body),) = example.requests
    assert (path, headers["content-type"]) == ("/calls", "application/json")
    assert headers["x-signature"] == hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()
    sent = json.loads(body)
    assert (sent["to"], sent["text"], sent["ref"]) == (number(0), TEXT, "m1")


def test_what_it_repeats_of_a_request_is_taken_out(gateway: Gateway, example: Example) -> None:
    example.answer = {"status": "denied", "why": f"{TEXT} to {number(0)} with {KEY} is not allowed"}
    error = send(gateway, "m1")["error"]
    assert (error["code"], error["vendor_code"]) == ("blocklisted", "denied")
    assert not any(word in error["vendor_message"] for word in (TEXT, number(0), KEY))
    assert "is not allowed" in error["vendor_message"]


@pytest.mark.parametrize("envelope", [False, True])
def test_several_receipts_in_one_push_are_each_settled(gateway: Gateway, example: Example, envelope: bool) -> None:
    for at in range(3):
        send(gateway, f"m{at}", at)
    receipts = [receipt(f"example-{at + 1}", ("answered", "busy")[at % 2], number(at)) for at in range(3)]
    assert acknowledged(push({"events": receipts} if envelope else receipts))
    assert [gateway.status(f"m{at}")["status"] for at in range(3)] == ["delivered", "failed", "delivered"]
    assert gateway.status("m1")["reason"] == "busy"


def test_each_receipt_of_a_push_has_a_line_of_its_own(
    gateway: Gateway, example: Example, capsys: pytest.CaptureFixture[str]
) -> None:
    for at in range(3):
        send(gateway, f"m{at}", at)
    capsys.readouterr()
    push([receipt(f"example-{at + 1}", ("answered", "busy")[at % 2], number(at)) for at in range(3)])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [(line["call_id"], line["status"], line.get("reason"), line["ReceiptSettled"]) for line in lines]
    # The first is in the invocation's own line, which the handler writes.
    assert told == [("example-2", "failed", "busy", [1.0]), ("example-3", "delivered", None, [1.0])]


def test_one_that_cannot_be_read_keeps_no_other_out(gateway: Gateway, example: Example) -> None:
    for at in range(2):
        send(gateway, f"m{at}", at)
    unreadable = [receipt("example-2", "a riddle", number(1)), {"events": 7}]
    body = [receipt("example-1"), *unreadable, receipt("example-2", "busy", number(1))]
    assert acknowledged(push(body))
    assert [gateway.status(f"m{at}")["status"] for at in range(2)] == ["delivered", "failed"]
    (letter,) = gateway.taken("dead-letters")
    assert json.loads(base64.b64decode(letter["body_base64"])) == body


def test_a_receipt_that_echoes_our_id_needs_no_guess(gateway: Gateway, example: Example) -> None:
    """The reply was lost, so nobody knows the call id; two messages to one number are told apart all the same."""
    example.answer = {}
    for name in ("m1", "m2"):
        assert send(gateway, name)["status"] == "unknown"
    assert acknowledged(push([receipt("example-1", ref="m1"), receipt("example-2", "busy", ref="m2")]))
    assert [gateway.status(name)["status"] for name in ("m1", "m2")] == ["delivered", "failed"]
    assert [gateway.status(name)["call_id"] for name in ("m1", "m2")] == ["example-1", "example-2"]


@pytest.mark.parametrize("echoed", ["m2", "nobody", "not an id!", "m1"])
def test_an_echo_is_believed_only_for_that_messages_number_and_vendor(
    gateway: Gateway, example: Example, echoed: str
) -> None:
    example.answer = {}
    send(gateway, "m1", 0)
    send(gateway, "m2", 1)
    gateway.send(message_id="m3", mobile=number(2), vendor="dxtong", **SHIPPED)
    assert acknowledged(push(receipt("example-9", ref=echoed)))
    assert gateway.status("m2")["status"] == "unknown"
    assert gateway.status("m1")["status"] == ("delivered" if echoed == "m1" else "unknown")
    assert acknowledged(push(receipt("example-8", mobile=number(2), ref="m3")))
    assert gateway.status("m3")["status"] == "accepted", "another vendor's message"


def test_an_echo_outlives_an_outage(gateway: Gateway, example: Example) -> None:
    example.answer = {}
    for name in ("m1", "m2"):
        send(gateway, name)
    wire = Wire(gateway)
    wire.failing = {"UpdateItem"}
    assert acknowledged(push(receipt("example-1", ref="m1")))
    wire.failing = set()
    gateway.sweep()
    assert [gateway.status(name)["status"] for name in ("m1", "m2")] == ["delivered", "unknown"]


def test_a_table_that_fails_is_tried_once_a_push(gateway: Gateway, example: Example) -> None:
    """It may hang for seconds each time; the others go to the outbox, and none is lost."""
    for at in range(4):
        send(gateway, f"m{at}", at)
    wire = Wire(gateway)
    wire.failing = {"UpdateItem"}
    assert acknowledged(push([receipt(f"example-{at + 1}", mobile=number(at)) for at in range(4)]))
    assert wire.operations.count("UpdateItem") == 1
    assert wire.operations.count("SendMessage") == 4
    wire.failing = set()
    gateway.sweep()
    assert [gateway.status(f"m{at}")["status"] for at in range(4)] == ["delivered"] * 4


@pytest.mark.parametrize("body", [[None], ["x", 7], {"events": []}, []])
def test_a_push_without_a_receipt_is_kept_raw(gateway: Gateway, example: Example, body: Any) -> None:
    assert acknowledged(push(body))
    (letter,) = gateway.taken("dead-letters")
    assert json.loads(base64.b64decode(letter["body_base64"])) == body


def test_an_element_that_is_no_receipt_keeps_no_other_out(gateway: Gateway, example: Example) -> None:
    send(gateway, "m1")
    assert acknowledged(push([None, receipt("example-1"), "x"]))
    assert gateway.status("m1")["status"] == "delivered"
    assert len(gateway.taken("dead-letters")) == 1


def test_a_push_of_too_many_is_kept_raw(gateway: Gateway, example: Example) -> None:
    assert acknowledged(push([receipt(f"c{at}") for at in range(101)]))
    assert len(gateway.taken("dead-letters")) == 1


def test_an_echo_does_not_move_a_message_to_another_call(gateway: Gateway, example: Example) -> None:
    send(gateway, "m1")
    assert acknowledged(push(receipt("another-call", ref="m1")))
    assert gateway.status("m1")["status"] == "accepted"
    assert acknowledged(push(receipt("example-1", "busy", ref="m1")))
    assert (gateway.status("m1")["status"], gateway.status("m1")["call_id"]) == ("failed", "example-1")
