"""Two queues: the outbox holds what AWS did not let us write, until ``sweep`` applies it; dead letters, the rest."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from voice_gateway import aws
from voice_gateway.observability import log


@dataclass(frozen=True)
class Letter:
    """One entry of the outbox, as it came."""

    body: str
    handle: str

    def read(self) -> tuple[str, dict[str, Any]]:
        """What kind of write it is, and what is to be written. Raises ValueError."""
        try:
            content = json.loads(self.body)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
            raise ValueError("no letter")
        return content.pop("kind"), content


class Outbox:
    """Keeps writes that failed. The queue is encrypted, and forgets after 14 days."""

    def __init__(self, queue_url: str) -> None:
        self._queue_url = queue_url

    def keep(self, kind: str, content: dict[str, Any]) -> None:
        """Keeps one write for ``sweep``. Raises AwsUnavailable."""
        body = json.dumps({"kind": kind, **content}, ensure_ascii=False, default=str)
        _send(self._queue_url, body)
        log.warning("kept in the outbox", extra={"kind": kind, "message_id": _whose(content)})

    def letters(self) -> Iterator[Letter]:
        """What is in the queue, until it has nothing more to give. Raises AwsUnavailable."""
        while True:
            with aws.reaching("sqs"):
                received = aws.client("sqs").receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=10)
            entries = received.get("Messages", [])
            if not entries:
                return
            for entry in entries:
                yield Letter(entry["Body"], entry["ReceiptHandle"])

    def done(self, letter: Letter) -> None:
        """Takes an applied letter out. Raises AwsUnavailable: it is then applied again, to no effect."""
        with aws.reaching("sqs"):
            aws.client("sqs").delete_message(QueueUrl=self._queue_url, ReceiptHandle=letter.handle)


class DeadLetters:
    """Keeps what can be applied to nothing, raw, for a person to look at."""

    def __init__(self, queue_url: str) -> None:
        self._queue_url = queue_url

    def keep(self, why: str, content: dict[str, Any]) -> None:
        """Raises AwsUnavailable."""
        _send(self._queue_url, json.dumps({"why": why, **content}, ensure_ascii=False, default=str))
        log.warning("kept as a dead letter", extra={"why": why, "message_id": _whose(content)})


def _whose(content: dict[str, Any]) -> str | None:
    """The id of the message that it is about: a message or a result holds it, and a receipt has it beside it."""
    about = content.get("message") or content.get("result") or content
    return about.get("message_id") if isinstance(about, dict) else None


def _send(queue_url: str, body: str) -> None:
    with aws.reaching("sqs"):
        aws.client("sqs").send_message(QueueUrl=queue_url, MessageBody=aws.transportable(body))
