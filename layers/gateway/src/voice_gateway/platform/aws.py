"""AWS: one boto3 client for each service, made when it is first needed, and one exception for all that they raise."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from voice_gateway.model.errors import AwsUnavailable

WORKERS = 16
"""How many requests a function has under way at a time, at the most: ``sweep`` hands over side by side."""
# Three tries of at most three seconds each: a short disturbance at AWS passes well within every function's timeout.
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=1,
    read_timeout=2,
    max_pool_connections=WORKERS,
)


@cache
def client(service: str) -> Any:
    """The client of an AWS service, by boto3's name for the service."""
    return boto3.client(service, config=_CONFIG)  # type: ignore[call-overload]


@contextmanager
def reaching(service: str) -> Iterator[None]:
    """Turns whatever boto3 raises into AwsUnavailable. Its text names the error, and nothing of the request."""
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
