"""status: what became of a message."""

from functools import cache
from typing import Any

from voice_gateway.platform.observability import invocation
from voice_gateway.platform.settings import settings
from voice_gateway.results.status import status
from voice_gateway.storage.messages import Messages
from voice_gateway.storage.table import Table


@cache
def _messages() -> Messages:
    return Messages(Table(settings().calls_table))


def handler(event: Any, context: Any) -> dict[str, Any]:
    with invocation(context, "status") as record:
        result = status(event, _messages())
        record.note(message_id=result["message_id"], status=result["status"])
        return result
