"""callback_dxtong: receipts that dxtong pushes."""

from functools import cache
from typing import Any

from voice_gateway.platform.callback_tokens import CallbackKeys
from voice_gateway.platform.observability import invocation
from voice_gateway.platform.secrets import Secrets
from voice_gateway.platform.settings import settings
from voice_gateway.receipts.callbacks import Callbacks
from voice_gateway.receipts.settling import Settling
from voice_gateway.storage.call_ids import CallIds
from voice_gateway.storage.dead_letters import DeadLetters
from voice_gateway.storage.messages import Messages
from voice_gateway.storage.outbox import Outbox
from voice_gateway.storage.table import Table


@cache
def _callbacks() -> Callbacks:
    own = settings()
    table, dead_letters = Table(own.calls_table), DeadLetters(own.dead_letter_queue)
    settling = Settling(Messages(table), CallIds(table), dead_letters)
    return Callbacks("dxtong", own, CallbackKeys(own, Secrets()), settling, Outbox(own.outbox_queue), dead_letters)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    with invocation(context, "callback_dxtong") as record:
        return _callbacks().receive(event, record)
