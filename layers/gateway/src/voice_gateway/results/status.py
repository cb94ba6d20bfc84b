"""What ``status`` does: answers what became of a message."""

import time
from typing import Any

from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.request import MESSAGE_ID_RULE, valid_message_id
from voice_gateway.model.result import Result, nothing_stored, result
from voice_gateway.storage.messages import Messages


def status(event: Any, messages: Messages) -> Result:
    """The result of ``{"message_id": …}``; an unknown id has ``status`` null. Raises AwsUnavailable."""
    message_id = valid_message_id(event.get("message_id") if isinstance(event, dict) else None)
    if message_id is None:
        fault = Fault(Code.INVALID_REQUEST, f"message_id: is required, {MESSAGE_ID_RULE}")
        return nothing_stored(None, fault, time.time())
    message = messages.get(message_id)
    if message is None:
        fault = Fault(Code.NOT_FOUND, "message_id: nothing is stored under this id")
        return nothing_stored(message_id, fault, time.time())
    return result(message)
