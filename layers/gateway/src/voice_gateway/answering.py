"""The story of ``status``: what became of a message."""

import time
from typing import Any

from voice_gateway import parse, reply
from voice_gateway.model import Code, Fault
from voice_gateway.reply import Result
from voice_gateway.store import Store


def status(event: Any, store: Store) -> Result:
    """The result of ``{"message_id": …}``; an unknown id has ``status`` null. Raises AwsUnavailable."""
    asked = event.get("message_id") if isinstance(event, dict) else None
    message_id = parse.message_id(asked)
    if message_id is None:
        fault = Fault(Code.INVALID_REQUEST, "message_id: is required, 1-128 of A-Z, a-z, 0-9 and . _ : -")
        return reply.not_stored(None, None, fault, time.time())
    message = store.message(message_id)
    if message is None:
        fault = Fault(Code.NOT_FOUND, "message_id: nothing is stored under this id")
        return reply.not_stored(message_id, None, fault, time.time())
    return reply.result(message)
