"""What the parts of a sweep share: going through messages while there is time, and handing one to ``send`` again."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from voice_gateway.model.message import Message
from voice_gateway.model.request import to_publish
from voice_gateway.platform import aws
from voice_gateway.platform.observability import Invocation, log
from voice_gateway.storage.messages import MessageChanged, Messages

INTERVAL = 60.0
"""Seconds between two runs."""
CLOCKS_APART = 5.0
"""What is due is sent this many seconds later, in case a sender's clock is behind."""
ASK_AGAIN = 300.0
"""After so many seconds a message that was handed to ``send`` and did not change is handed over again."""
TIME_KEPT = 15.0
"""With fewer seconds left nothing more is begun: a request to a vendor and a slow write may take as long."""


def each(messages: Iterable[Message], look: Callable[[Message], str | None], invocation: Invocation) -> None:
    """Calls ``look`` for one message after the other while there is time; it returns the metric to count."""
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
    """Publishes stored requests to the notify topic: ``send`` decides, under the same conditions as always."""

    def __init__(self, messages: Messages, notify: aws.Topic) -> None:
        self._messages = messages
        self._notify = notify

    def hand_over(self, seen: Message, mark: Mapping[str, Any]) -> None:
        """Writes the mark first. Raises MessageChanged, AwsUnavailable."""
        self._messages.touch(seen, mark)
        self._notify.publish(to_publish(seen.request))
