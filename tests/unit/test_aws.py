"""The clients: leaner than boto3's, and the same to AWS."""

from typing import Any

import botocore.session
import pytest
from botocore.handlers import BUILTIN_HANDLERS
from voice_gateway.platform import aws

OPERATIONS = {
    "dynamodb": ("GetItem", "PutItem", "Query", "UpdateItem"),
    "secrets-manager": ("GetSecretValue",),
    "sns": ("Publish",),
    "sqs": ("ChangeMessageVisibility", "DeleteMessage", "ReceiveMessage", "SendMessage", "SendMessageBatch"),
    "ssm": ("GetParameter",),
}
KINDS = sorted({spec[0].partition(".")[0] for spec in BUILTIN_HANDLERS} - {"docs"})


def handlers(session: Any, event: str) -> list[Any]:
    """Those of botocore's own that hear of the event; other tests, and Powertools, add some to every session."""
    found = session.get_component("event_emitter")._emitter._handlers.prefix_search(event)
    return [handler for handler in found if any(handler is spec[1] for spec in BUILTIN_HANDLERS)]


@pytest.mark.parametrize(("service", "operation"), [(name, each) for name, all_ in OPERATIONS.items() for each in all_])
def test_of_botocore_s_handlers_none_is_missing_that_hears_of_our_requests(service: str, operation: str) -> None:
    """In the same order: the handlers of other services are not registered, which takes as long as a request."""
    whole, ours = botocore.session.Session(), aws._session.__wrapped__()
    events = [f"{kind}.{service}.{operation}" for kind in KINDS]
    heard = {event: handlers(whole, event) for event in events}
    assert any(heard.values())
    assert {event: handlers(ours, event) for event in events} == heard
    assert [handlers(ours, kind) for kind in KINDS] == [handlers(whole, kind) for kind in KINDS]


def test_a_client_tries_three_times_with_little_patience_and_says_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    config = aws.client.__wrapped__("dynamodb").meta.config
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}
    assert (config.connect_timeout, config.read_timeout) == (1, 2)
    assert config.user_agent == "voice-gateway"
