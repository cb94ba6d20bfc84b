"""The lanes: the queues ``urgent`` and ``bulk``, out of which ``send`` rings. What is bulk never delays what is urgent.

In a lane is what the notify topic delivers, in SNS's envelope, or what the gateway hands over itself: a stored message
whose time has come, as it was seen. ``send`` claims it under the same conditions as always.
"""

import json
from collections.abc import Sequence
from itertools import batched
from typing import Any

from voice_gateway.model.message import Message
from voice_gateway.platform import aws
from voice_gateway.platform.settings import Settings
from voice_gateway.storage.message_text import message_fields, message_of_fields

_BATCH = 10
_LARGEST_BATCH = 200_000
"""Bytes, of the 256 kB that SQS takes in one request: a message may be 64 kB."""
_HANDED_OVER = "handed_over"


class Lanes:
    """Puts into the lanes. Every method raises AwsUnavailable."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def hand_over(self, messages: Sequence[Message]) -> list[Message]:
        """Hands stored messages over, each to its lane; returns those that the queue took."""
        taken: list[Message] = []
        for bulk in (False, True):
            notes = [(each, _note(each)) for each in messages if each.bulk is bulk]
            for part in _parts(notes):
                refused = aws.send_all_to_queue(self._url(bulk=bulk), [body for _, body in part])
                taken += [each for at, (each, _) in enumerate(part) if at not in refused]
        return taken

    def move_to_bulk(self, body: str) -> None:
        """Puts what came by the other lane into this one, as it came."""
        aws.send_to_queue(self._url(bulk=True), body)

    def give_back(self, handle: str, *, bulk: bool, seconds: float) -> None:
        """Lets what came by a lane come again after some seconds."""
        aws.hide_in_queue(self._url(bulk=bulk), handle, seconds)

    def _url(self, *, bulk: bool) -> str:
        return self._settings.bulk_queue if bulk else self._settings.urgent_queue


def handed_over(body: Any) -> Message | None:
    """The stored message of what the gateway put into a lane itself, as it was seen then; None of anything else."""
    if not isinstance(body, dict) or set(body) != {_HANDED_OVER}:
        return None
    try:
        return message_of_fields(body[_HANDED_OVER])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _note(message: Message) -> str:
    # Escaped, because a queue refuses some characters: a changed text would be another request.
    return json.dumps({_HANDED_OVER: message_fields(message)}, default=str)


def _parts(notes: list[tuple[Message, str]]) -> list[list[tuple[Message, str]]]:
    """Batches of ten, or fewer where they are large."""
    parts: list[list[tuple[Message, str]]] = []
    for ten in batched(notes, _BATCH, strict=False):
        part: list[tuple[Message, str]] = []
        for note in ten:
            if part and sum(len(body) for _, body in (*part, note)) > _LARGEST_BATCH:
                parts.append(part)
                part = []
            part.append(note)
        parts.append(part)
    return parts
