"""callback_jumdata: receipts that jumdata pushes."""

from functools import cache
from typing import Any

from voice_gateway.callbacks import Callbacks
from voice_gateway.observability import invocation
from voice_gateway.outbox import DeadLetters, Outbox
from voice_gateway.secrets import Secrets
from voice_gateway.settings import settings
from voice_gateway.settling import Settling
from voice_gateway.store import Store


@cache
def _callbacks() -> Callbacks:
    own = settings()
    dead_letters = DeadLetters(own.dead_letter_queue)
    settling = Settling(Store(own.calls_table), dead_letters)
    return Callbacks("jumdata", own, Secrets(), settling, Outbox(own.outbox_queue), dead_letters)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    with invocation(context, "callback_jumdata") as record:
        return _callbacks().receive(event, record)
