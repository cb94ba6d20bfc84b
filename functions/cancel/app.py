"""cancel: calls a message off."""

from functools import cache
from typing import Any

from voice_gateway.platform.observability import invocation
from voice_gateway.platform.settings import settings
from voice_gateway.results.cancel import cancel
from voice_gateway.storage.messages import Messages
from voice_gateway.storage.table import Table


@cache
def _messages() -> Messages:
    return Messages(Table(settings().calls_table))


def handler(event: Any, context: Any) -> dict[str, Any]:
    with invocation(context, "cancel") as record:
        result = cancel(event, _messages())
        record.note(message_id=result["message_id"], status=result["status"])
        return result
