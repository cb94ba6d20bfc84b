"""What ``status`` does: answers what became of a message."""

import time
from typing import Any

from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.message import Message
from voice_gateway.model.request import MESSAGE_ID_RULE, valid_message_id
from voice_gateway.model.result import Result, nothing_stored, result
from voice_gateway.storage.messages import Messages


def status(event: Any, messages: Messages) -> Result:
    """The result of ``{"message_id": …}``; an unknown id has ``status`` null. Raises AwsUnavailable."""
    message, none = find(event, messages)
    return none if message is None else result(message)


def find(event: Any, messages: Messages) -> tuple[Message | None, Result]:
    """The message of ``{"message_id": …}``; or None, and the result that says why. Raises AwsUnavailable."""
    message_id = valid_message_id(event.get("message_id") if isinstance(event, dict) else None)
    if message_id is None:
        fault = Fault(Code.INVALID_REQUEST, f"message_id: is required, {MESSAGE_ID_RULE}")
        return None, nothing_stored(None, fault, time.time())
    fault = Fault(Code.NOT_FOUND, "message_id: nothing is stored under this id")
    return messages.get(message_id), nothing_stored(message_id, fault, time.time())
