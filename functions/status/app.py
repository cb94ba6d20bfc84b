"""status: what became of a message."""

from functools import cache
from typing import Any

from voice_gateway.answering import status
from voice_gateway.observability import invocation
from voice_gateway.settings import settings
from voice_gateway.store import Store


@cache
def _store() -> Store:
    return Store(settings().calls_table)


def handler(event: Any, context: Any) -> dict[str, Any]:
    with invocation(context, "status") as record:
        result = status(event, _store())
        record.note(message_id=result["message_id"], status=result["status"])
        return result
