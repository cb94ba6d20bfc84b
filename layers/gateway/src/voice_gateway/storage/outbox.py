"""The outbox: writes that AWS did not take, kept in a queue until ``sweep`` applies them under the same conditions.

An entry is JSON with its ``kind`` beside its content. It holds no number and no text if the table has them already.
"""

import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from voice_gateway.model.message import Message, State
from voice_gateway.model.receipt import Receipt
from voice_gateway.model.result import Result
from voice_gateway.platform import aws
from voice_gateway.platform.observability import log
from voice_gateway.storage.message_text import message_fields

Content = dict[str, Any]


class Kind(StrEnum):
    """What could not be written."""

    OUTCOME = "outcome"
    """What came of a call: ``message``, ``state``, ``changes``; ``meets`` if receipts come by the call id."""
    RELEASE = "release"
    """A claim whose reply was lost: ``message``, released."""
    RECEIPT = "receipt"
    """``receipt``, ``rhash``, ``ttl``, ``came_at``; ``message_id`` and ``attempt`` of its address, or ``own_id``."""
    RESULT = "result"
    """A result that could not be published: ``result``, ``bulk``."""


class Entry(NamedTuple):
    """One entry, as it came out of the queue."""

    body: str
    handle: str

    def read(self) -> tuple[Kind, Content]:
        """What kind of write it is, and what is to be written. Raises ValueError."""
        try:
            content = json.loads(self.body)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
            raise ValueError("no entry of the outbox")
        return Kind(content.pop("kind")), content


class Outbox:
    """Keeps writes that failed. The queue is encrypted, and forgets after 14 days.

    Every method raises AwsUnavailable.
    """

    def __init__(self, queue_url: str) -> None:
        self._queue_url = queue_url

    def keep_outcome(self, message: Message, state: State, changes: Content, *, meets: bool) -> None:
        """An outcome; with ``meets`` an accepted one is linked to its call id first: receipts name only that."""
        content = {
            "message": message_fields(message.but(request="")),
            "state": state,
            "changes": changes,
            "meets": meets,
        }
        self._keep(Kind.OUTCOME, content, message.message_id)

    def keep_release(self, message: Message) -> None:
        """A claim whose reply was lost: the message, released."""
        self._keep(Kind.RELEASE, {"message": message_fields(message)}, message.message_id)

    def keep_receipt(
        self, receipt: Receipt, message_id: str | None, attempt: str | None, ttl: int, came_at: float
    ) -> None:
        """A receipt, without the number. ``came_at`` helps to tell to which call it belongs."""
        content = {
            "receipt": receipt.text,
            "rhash": receipt.number_hash,
            "message_id": message_id,
            "attempt": attempt,
        }
        own_id = {"own_id": receipt.message_id} if receipt.message_id else {}
        self._keep(Kind.RECEIPT, {**content, "ttl": ttl, "came_at": came_at, **own_id}, message_id)

    def keep_result(self, result: Result, *, bulk: bool) -> None:
        """A result that could not be published."""
        self._keep(Kind.RESULT, {"result": result, "bulk": bulk}, result["message_id"])

    def entries(self) -> Iterator[Entry]:
        """What is in the queue, until it is empty."""
        while True:
            with aws.reaching("sqs"):
                received = aws.client("sqs").receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=10)
            messages = received.get("Messages", [])
            if not messages:
                return
            for message in messages:
                yield Entry(message["Body"], message["ReceiptHandle"])

    def done(self, entry: Entry) -> None:
        """Takes an applied entry out. If that fails, it is applied again, which changes nothing."""
        with aws.reaching("sqs"):
            aws.client("sqs").delete_message(QueueUrl=self._queue_url, ReceiptHandle=entry.handle)

    def _keep(self, kind: Kind, content: Content, message_id: str | None) -> None:
        body = json.dumps({"kind": kind, **content}, ensure_ascii=False, default=str)
        aws.send_to_queue(self._queue_url, body)
        log.warning("kept in the outbox", extra={"kind": kind, "message_id": message_id})
