"""The client sends under one id, tries again what may be tried again, and says what may be repeated."""

import io
import json
import os
import pickle
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, repeat
from typing import Any

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    NoRegionError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import ProtocolError
from voice_gateway_client import Gateway, GatewayError, NotSent, OutcomeUnknown, Request

from tests.client.aws import Session, error, raised, refused, result, returned

SHIPPED = Request(mobile="13800138000", template="order_shipped", params={"order": 9633, "carrier": "顺丰快递"})
URL = "https://lambda"
NO_TABLE = json.dumps(result(status="deferred", error=error("vendor_unavailable", message="the table does not answer")))


def accepted() -> Any:
    return returned(result(vendor="dxtong", call_id="60495654"))


def in_progress() -> Any:
    return returned(result(status="submitting", error=error("in_progress", retryable=True), replayed=True))


def cut_off() -> Any:
    return {"StatusCode": 200, "Payload": io.BytesIO(b'{"mess')}


@pytest.fixture(autouse=True)
def passed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time passes by what is slept, and by nothing else."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def sending(*answers: Callable[[], Any]) -> tuple[Gateway, Session]:
    """A gateway whose ``send`` answers so, the last one over and over."""
    session = Session(**{"lambda": (answer() for answer in chain(answers, repeat(answers[-1])))})
    return Gateway.of_stack("voice-gateway", session=session), session  # type: ignore[arg-type]


def test_the_request_goes_to_the_alias_as_it_is_and_comes_back_as_a_result() -> None:
    gateway, session = sending(accepted)
    found = gateway.send(replace(SHIPPED, message_id="order-9633"))
    (request,) = session["lambda"].requests
    assert request["FunctionName"] == "voice-gateway-send:live"
    assert "顺丰快递" in request["Payload"].decode()
    assert session["lambda"].payloads == [
        {
            "mobile": "13800138000",
            "template": "order_shipped",
            "params": {"order": 9633, "carrier": "顺丰快递"},
            "message_id": "order-9633",
        }
    ]
    assert (found.status, found.vendor, found.call_id, found.final) == ("accepted", "dxtong", "60495654", False)


def test_boto3_does_not_try_again_by_itself_and_waits_longer_than_send_may_run() -> None:
    gateway, session = sending(accepted)
    gateway.send(SHIPPED)
    config = session.configs["lambda"]
    assert config.retries == {"total_max_attempts": 1}
    assert config.read_timeout > 45


NOT_RUNG: dict[str, Callable[[], Any]] = {
    "no connection": lambda: EndpointConnectionError(endpoint_url=URL),
    "connecting timed out": lambda: ConnectTimeoutError(endpoint_url=URL),
    "throttled": lambda: refused(429, "TooManyRequestsException"),
    "throttled with 400": lambda: refused(400, "Throttling"),
    "its key throttled": lambda: refused(400, "KMSThrottling"),
    "asleep": lambda: refused(409, "ResourceConflictException"),
    "no snapshot yet": lambda: refused(408, "SnapStartTimeoutException"),
    "no credentials for now": lambda: CredentialRetrievalError(provider="sso", error_msg="timeout"),
}
MAY_HAVE_RUNG: dict[str, Callable[[], Any]] = {
    "timed out": lambda: ReadTimeoutError(endpoint_url=URL),
    "closed": lambda: ConnectionClosedError(endpoint_url=URL),
    "cut off": cut_off,
    "stored perhaps": lambda: raised("TryLater", NO_TABLE),
    "raised nothing": lambda: {**returned(None), "FunctionError": "Unhandled"},
    "lost behind a proxy": lambda: ProxyConnectionError(proxy_url="http://127.0.0.1:3128"),
    "answer broken": lambda: ProtocolError("Connection broken"),
    "answer incomplete": lambda: IncompleteReadError(actual_bytes=1, expected_bytes=2),
    "answer not AWS's": lambda: ResponseParserError("no XML"),
    "broken": lambda: refused(500, "ServiceException"),
    "function timed out": lambda: raised("Sandbox.Timedout", "Task timed out after 45.00 seconds"),
    "function killed": lambda: raised("Runtime.ExitError", "signal: killed"),
}
AGAIN = NOT_RUNG | MAY_HAVE_RUNG


@pytest.mark.parametrize("name", [*AGAIN, "in progress"])
def test_what_may_be_tried_again_is_under_the_one_id(name: str) -> None:
    gateway, session = sending({**AGAIN, "in progress": in_progress}[name], accepted)
    assert gateway.send(SHIPPED).status == "accepted"
    one, two = session["lambda"].payloads
    assert one == two
    assert one["message_id"]


@pytest.mark.parametrize("name", AGAIN)
def test_after_its_patience_it_says_whether_it_may_have_rung(name: str) -> None:
    gateway, session = sending(AGAIN[name])
    expected = OutcomeUnknown if name in MAY_HAVE_RUNG else NotSent
    with pytest.raises(GatewayError) as caught:
        gateway.send(SHIPPED, patience_seconds=60)
    assert type(caught.value) is expected
    assert 8 < len(session["lambda"].requests) < 20
    assert {payload["message_id"] for payload in session["lambda"].payloads} == {caught.value.message_id}
    assert caught.value.message_id in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), again.message_id, str(again)) == (expected, caught.value.message_id, str(caught.value))


def test_no_try_begins_after_its_patience_however_long_one_takes(passed: list[float]) -> None:
    began = []

    def timeout() -> Any:
        began.append(passed[0])
        passed[0] += 55
        return ReadTimeoutError(endpoint_url=URL)

    gateway, _ = sending(timeout)
    with pytest.raises(OutcomeUnknown):
        gateway.send(SHIPPED, patience_seconds=120)
    assert len(began) == 3
    assert began[-1] <= 120


def test_one_try_that_may_have_rung_is_not_forgotten() -> None:
    gateway, _ = sending(MAY_HAVE_RUNG["timed out"], lambda: refused(403, "AccessDeniedException"))
    with pytest.raises(OutcomeUnknown, match="send it again under this id"):
        gateway.send(SHIPPED)


def test_what_could_not_be_stored_is_said_by_its_result() -> None:
    """Nobody was rung; but the answer of a write may have been lost, and then the sweep rings."""
    gateway, _ = sending(MAY_HAVE_RUNG["stored perhaps"])
    with pytest.raises(OutcomeUnknown, match="TryLater: the table does not answer"):
        gateway.send(SHIPPED, patience_seconds=0)


@pytest.mark.parametrize("name", ["throttled", "no connection"])
def test_who_was_told_that_it_is_in_progress_is_not_told_that_nothing_was_sent(name: str) -> None:
    gateway, _ = sending(in_progress, NOT_RUNG[name])
    with pytest.raises(OutcomeUnknown):
        gateway.send(SHIPPED, patience_seconds=5)


def test_what_was_raised_has_the_request_to_send_again_under_the_same_id() -> None:
    gateway, session = sending(lambda: refused(403, "AccessDeniedException"), accepted)
    with pytest.raises(NotSent) as caught:
        gateway.send(SHIPPED)
    assert caught.value.request == replace(SHIPPED, message_id=caught.value.message_id)
    gateway.send(caught.value.request)
    first, second = session["lambda"].payloads
    assert first == second


def test_a_result_in_progress_is_returned_once_patience_ends() -> None:
    gateway, _ = sending(in_progress)
    found = gateway.send(SHIPPED, patience_seconds=30)
    assert found.error is not None
    assert (found.status, found.error.code) == ("submitting", "in_progress")


HOPELESS: dict[str, Callable[[], Any]] = {
    "may not": lambda: refused(403, "AccessDeniedException"),
    "no function": lambda: refused(404, "ResourceNotFoundException"),
    "too large": lambda: refused(413, "RequestTooLargeException"),
    "no credentials": NoCredentialsError,
    "no region": NoRegionError,
    "set up wrongly": lambda: raised("SettingsError", "VENDOR_ORDER names x, and there is no such vendor"),
    "secret": lambda: raised("UnreadableSecret", "its secret is JSON, but no object"),
}


@pytest.mark.parametrize("name", HOPELESS)
def test_what_must_be_mended_first_is_not_tried_again(name: str) -> None:
    gateway, session = sending(HOPELESS[name])
    with pytest.raises(NotSent, match="mend this, then send it again under this id"):
        gateway.send(SHIPPED)
    assert len(session["lambda"].requests) == 1


def test_a_broken_handshake_is_not_tried_again_and_not_taken_for_certain() -> None:
    gateway, session = sending(lambda: SSLError(endpoint_url=URL, error=OSError("certificate")))
    with pytest.raises(OutcomeUnknown):
        gateway.send(SHIPPED)
    assert len(session["lambda"].requests) == 1


def test_what_send_returns_and_is_no_result_is_not_taken_for_one() -> None:
    gateway, _ = sending(lambda: returned({"hello": "world"}))
    with pytest.raises(OutcomeUnknown, match="no result of a gateway"):
        gateway.send(SHIPPED)


def test_a_refusal_is_a_result() -> None:
    gateway, _ = sending(lambda: returned(result(status="rejected", error=error("blocklisted"))))
    found = gateway.send(SHIPPED)
    assert found.error is not None
    assert (found.final, found.error.code, found.error.retryable) == (True, "blocklisted", False)


@pytest.mark.parametrize(
    "params", [{"a": object()}, {"a": "\ud800"}, {"a": float("nan")}], ids=["object", "surrogate", "not a number"]
)
def test_what_cannot_be_written_is_refused_before_anything_is_sent(params: Any) -> None:
    gateway, session = sending(accepted)
    with pytest.raises(ValueError, match="params: cannot be written as JSON") as caught:
        gateway.send(Request(mobile="13800138000", template="t", params=params))
    assert "13800138000" not in repr(caught.value)
    assert not session["lambda"].requests


def test_a_child_process_takes_connections_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway, session = sending(accepted)
    gateway.send(SHIPPED)
    gateway.send(SHIPPED)
    monkeypatch.setattr(os, "getpid", lambda: 1)
    gateway.send(SHIPPED)
    assert session.made == ["lambda", "lambda"]


def test_each_further_try_is_said(caplog: pytest.LogCaptureFixture) -> None:
    gateway, _ = sending(MAY_HAVE_RUNG["timed out"], accepted)
    with caplog.at_level("WARNING"):
        message_id = gateway.send(replace(SHIPPED, message_id="order-9633")).message_id
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{message_id} is tried again in 0.")
