"""What ``publish`` does: sends every change that a caller must learn of to the results topic, at least once.

It reads the table's stream. A record that cannot be published goes to the outbox, so that it does not block the others.
Only if that fails too it is reported to Lambda, which hands it over again.
"""

import json
from typing import Any

from voice_gateway.model.errors import AwsUnavailable
from voice_gateway.model.message import FINAL, Message, State
from voice_gateway.model.result import Result, attributes, log_fields, published
from voice_gateway.platform import aws
from voice_gateway.platform.observability import Record, emit, log
from voice_gateway.storage.messages import message_of
from voice_gateway.storage.outbox import Outbox

_TOLD = FINAL | {State.ACCEPTED, State.UNKNOWN}
"""States that are published; the others are intermediate."""


class Publisher:
    """Publishes results."""

    def __init__(self, results: aws.Topic, outbox: Outbox) -> None:
        self._results = results
        self._outbox = outbox

    def publish(self, event: dict[str, Any], record: Record) -> dict[str, Any]:
        """Handles a batch of stream records; returns those that must be handed over again.

        Raises AwsUnavailable if all of them must be.
        """
        failed = []
        for change in event["Records"]:
            try:
                self._one(change["dynamodb"], record)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                # Handing it over again would not help, and would block the records after it.
                log.error("a record that cannot be read", extra={"why": type(error).__name__})
                record.count("Unreadable")
            except AwsUnavailable as error:
                log.error("neither topic nor outbox", extra={"why": str(error)})
                failed.append({"itemIdentifier": change["dynamodb"]["SequenceNumber"]})
        if failed and len(failed) == len(event["Records"]):
            raise AwsUnavailable("sns and sqs: nothing of the batch could be published")
        return {"batchItemFailures": failed}

    def _one(self, change: dict[str, Any], record: Record) -> None:
        new, old = change.get("NewImage"), change.get("OldImage")
        if new is None or not new["pk"]["S"].startswith("MSG#"):
            return
        message = message_of(new)
        if message.state not in _TOLD or (old is not None and _told_already(message_of(old), message)):
            return
        result = published(message)
        # One message a line, so that it is found by its id: the first in the invocation's own, each further in another.
        line = Record() if "message_id" in record.fields else record
        line.note(**log_fields(result))
        line.count("Published", 0)
        try:
            self._tell(message, result, line)
        finally:
            if line is not record:
                emit("publish", line)

    def _tell(self, message: Message, result: Result, line: Record) -> None:
        if message.state is State.UNKNOWN:
            line.count("OutcomeUnknown")
        try:
            self._results.publish(json.dumps(result, ensure_ascii=False), attributes(result))
            line.count("Published")
        except AwsUnavailable:
            self._outbox.keep_result(result)


def _told_already(old: Message, new: Message) -> bool:
    """Whether the change is none of state. A refused request may take the place of another, which is news as well."""
    return old.state is new.state and not (new.state is State.REJECTED and old.attempt != new.attempt)
