"""cancel: calls a message off."""

from functools import cache
from typing import Any

from voice_gateway.platform.observability import invocation
from voice_gateway.platform.settings import settings
from voice_gateway.results.cancel import cancel
from voice_gateway.storage.calls_table import calls_table
from voice_gateway.storage.messages import Messages


@cache
def _messages() -> Messages:
    return calls_table(settings().calls_table).messages


def handler(event: Any, context: Any) -> dict[str, Any]:
    with invocation(context, "cancel") as record:
        result = cancel(event, _messages())
        record.note(message_id=result["message_id"], status=result["status"])
        return result
