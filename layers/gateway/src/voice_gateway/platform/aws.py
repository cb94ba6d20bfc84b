"""AWS: one client for each service, made when it is first needed, and one exception for all that they raise.

The clients are botocore's, which boto3's are too: boto3's resources and S3 transfers, which nothing here uses, are a
fifth of a cold start (docs/performance.md).
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.handlers import BUILTIN_HANDLERS, REGISTER_FIRST, REGISTER_LAST
from botocore.parsers import ResponseParserError

from voice_gateway.model.errors import AwsUnavailable
from voice_gateway.platform import connections

WORKERS = 16
"""How many requests a function has under way at a time, at the most: ``sweep`` hands over side by side."""
_CONNECT_SECONDS, _READ_SECONDS = 1, 2
_CONFIG = Config(
    # Three tries of at most three seconds each: a short disturbance at AWS passes well within every function's timeout.
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=_CONNECT_SECONDS,
    read_timeout=_READ_SECONDS,
    max_pool_connections=WORKERS,
    # A fifth of a request's CPU: AWS validates all the same, and botocore builds its own name anew for each.
    parameter_validation=False,
    user_agent="voice-gateway",
)


# As botocore's events name them.
_SERVICES = {"dynamodb", "secrets-manager", "sns", "sqs", "ssm"}


@cache
def _session() -> Any:
    """botocore's session, with those of its 127 handlers that are for every service, or for one of ours."""
    session = botocore.session.Session(include_builtin_handlers=False)
    events = session.get_component("event_emitter")
    register = {REGISTER_FIRST: events.register_first, REGISTER_LAST: events.register_last}
    for event, handler, *place in BUILTIN_HANDLERS:
        kind, _, rest = event.partition(".")
        if kind != "docs" and rest.partition(".")[0] in {"", "*", *_SERVICES}:
            register.get(place[0] if place else None, events.register)(event, handler)
    return session


@cache
def client(service: str) -> Any:
    """The client of an AWS service, by botocore's name for the service."""
    made = _session().create_client(service, config=_CONFIG)
    if connections.wanted():
        # The one place where botocore has a choice of what sends a request, and no public name for it.
        made._endpoint.http_session = connections.Connections(_CONNECT_SECONDS, _READ_SECONDS)
    return made


@contextmanager
def reaching(service: str) -> Iterator[None]:
    """Turns whatever a client raises into AwsUnavailable. Its text names the error, and nothing of the request."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "ClientError")
        raise AwsUnavailable(f"{service}: {code}") from None
    except (BotoCoreError, ResponseParserError) as error:
        raise AwsUnavailable(f"{service}: {type(error).__name__}") from None


# Characters that SQS and SNS refuse, though JSON and DynamoDB take them: one of them would block a result for good.
_REFUSED = re.compile("[\ud800-\udfff\ufffe\uffff]")


def transportable(text: str) -> str:
    """The text with the characters replaced that queues and topics refuse."""
    return _REFUSED.sub("\ufffd", text)


class Topic:
    """An SNS topic to publish to."""

    def __init__(self, arn: str) -> None:
        self._arn = arn

    def publish(self, message: str, attributes: dict[str, dict[str, str]] | None = None) -> None:
        """Raises AwsUnavailable."""
        with reaching("sns"):
            client("sns").publish(
                TopicArn=self._arn, Message=transportable(message), MessageAttributes=attributes or {}
            )


def send_to_queue(url: str, body: str) -> None:
    """Puts a text into an SQS queue. Raises AwsUnavailable."""
    with reaching("sqs"):
        client("sqs").send_message(QueueUrl=url, MessageBody=transportable(body))


def send_all_to_queue(url: str, bodies: Sequence[str]) -> set[int]:
    """Puts up to ten texts into an SQS queue, in one request; returns which it did not take. Raises AwsUnavailable."""
    entries = [{"Id": str(at), "MessageBody": transportable(body)} for at, body in enumerate(bodies)]
    with reaching("sqs"):
        done = client("sqs").send_message_batch(QueueUrl=url, Entries=entries)
    return {int(failed["Id"]) for failed in done.get("Failed", [])}


def hide_in_queue(url: str, handle: str, seconds: float) -> None:
    """Lets a message that was received come again after some seconds. Raises AwsUnavailable."""
    with reaching("sqs"):
        client("sqs").change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=int(seconds))
