"""What the parts of a sweep share: going over messages while there is time, and handing one to ``send`` again."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from voice_gateway.model.message import Message
from voice_gateway.platform import aws
from voice_gateway.platform.observability import Invocation, log
from voice_gateway.storage.messages import MessageChanged, Messages

INTERVAL = 60.0
"""Seconds between two runs."""
CLOCKS_APART = 5.0
"""What is due is sent this much later, so that no sender's clock finds it before its time."""
ASK_AGAIN = 300.0
"""Seconds after which a message that was handed to ``send`` and did not move is handed over again."""
TIME_KEPT = 15.0
"""Seconds left below which nothing more is begun: a question to a vendor and a slow write take as long."""


def each(messages: Iterable[Message], look: Callable[[Message], str | None], invocation: Invocation) -> None:
    """Looks at one message after the other while there is time; ``look`` returns the metric to count."""
    for message in messages:
        if invocation.remaining() < TIME_KEPT:
            return
        try:
            metric = look(message)
        except MessageChanged:
            continue  # somebody else was quicker
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            why = type(error).__name__
            log.error("a message cannot be looked at", extra={"message_id": message.message_id, "why": why})
            metric = "PartFailed"
        if metric:
            invocation.record.count(metric)


class Handover:
    """Sends stored requests through the notify topic: ``send`` decides, under the same conditions as always."""

    def __init__(self, messages: Messages, notify: aws.Topic) -> None:
        self._messages = messages
        self._notify = notify

    def hand_over(self, seen: Message, mark: Mapping[str, Any]) -> None:
        """Writes the mark first. Raises MessageChanged, AwsUnavailable."""
        self._messages.touch(seen, mark)
        # Escaped: a topic refuses some characters, and a text that came back changed would be another request.
        self._notify.publish(json.dumps(json.loads(seen.request)))
