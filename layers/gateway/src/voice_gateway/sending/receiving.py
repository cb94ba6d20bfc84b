"""What Lambda hands to ``send``: a request by invoke, records of SNS, or records of a lane.

A lane's record is what the notify topic delivered, in SNS's envelope; a stored message that the gateway handed over
itself; or whatever somebody put into the queue: its text is the request then.
"""

import datetime
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from voice_gateway.model.message import Message
from voice_gateway.model.request import valid_message_id
from voice_gateway.model.text import without_mark
from voice_gateway.platform.settings import Settings
from voice_gateway.storage.lanes import handed_over


@dataclass(frozen=True)
class Arrival:
    """One request as it came. ``source_id`` is its id if it brings none.

    ``bulk`` is the lane by which it came; of what came by none it is None. ``seen`` is the stored message that was
    handed over, as it was then. ``at`` is when the topic took it, in epoch seconds; None of what came otherwise.
    ``record_id``, ``handle``, ``body`` and ``received`` (how often) are the queue's.
    """

    raw: Any
    source_id: str
    bulk: bool | None = None
    seen: Message | None = None
    record_id: str = ""
    handle: str = ""
    body: str = ""
    received: int = 1
    at: float | None = None


def arrivals(event: Any, settings: Settings) -> list[Arrival] | None:
    """The requests of an event from SNS or a lane; None if the event itself is the request.

    Anybody who may invoke can send what looks like such an event: it asks for no more than its request would.
    """
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        return None
    if all(_is_sns(record.get("Sns")) for record in records):
        return [_of_sns(record["Sns"]) for record in records]
    if all(_is_sqs(record) for record in records):
        return [_of_lane(record, settings.urgent_queue) for record in records]
    return None


def _of_lane(record: dict[str, Any], urgent_queue: str) -> Arrival:
    # The queue's name is the last part of its ARN and of its URL.
    bulk = record["eventSourceARN"].rpartition(":")[2] != urgent_queue.rpartition("/")[2]
    body = _json(record["body"])
    received = str(record.get("attributes", {}).get("ApproximateReceiveCount", "1"))
    queue = {
        "record_id": record["messageId"],
        "handle": record["receiptHandle"],
        "body": record["body"],
        "received": int(received) if received.isdigit() else 1,
    }
    seen = handed_over(body)
    if seen is not None:
        return Arrival(_json(seen.request), seen.message_id, bulk, seen, **queue)
    if isinstance(body, dict) and body.get("Type") == "Notification" and _is_sns(body):
        return _of_sns(body, bulk=bulk, **queue)
    return Arrival(body, record["messageId"], bulk, **queue)


def _of_sns(sns: dict[str, Any], **more: Any) -> Arrival:
    at = None
    with suppress(KeyError, OverflowError, TypeError, ValueError):  # only a metric is the poorer for it
        at = datetime.datetime.fromisoformat(sns["Timestamp"]).timestamp()
    return Arrival(_json(sns["Message"]), sns["MessageId"], at=at, **more)


def _is_sns(sns: Any) -> bool:
    return (
        isinstance(sns, dict) and isinstance(sns.get("Message"), str) and bool(valid_message_id(sns.get("MessageId")))
    )


def _is_sqs(record: dict[str, Any]) -> bool:
    texts = ("messageId", "receiptHandle", "body", "eventSourceARN")
    return (
        record.get("eventSource") == "aws:sqs"
        and all(isinstance(record.get(name), str) for name in texts)
        and bool(valid_message_id(record["messageId"]))
    )


def _json(text: str) -> Any:
    try:
        return json.loads(without_mark(text))
    except (ValueError, RecursionError):
        return text
