"""send: rings a phone once. Invoked by other functions, or by the SNS notify topic."""

from functools import cache
from typing import Any

from voice_gateway.platform.callback_tokens import CallbackKeys
from voice_gateway.platform.observability import Invocation, invocation
from voice_gateway.platform.secrets import Secrets
from voice_gateway.platform.settings import settings
from voice_gateway.sending.sender import Sender
from voice_gateway.storage.calls_table import calls_table
from voice_gateway.storage.outbox import Outbox
from voice_gateway.vendors.common.accounts import Accounts


@cache
def _sender() -> Sender:
    own, secrets = settings(), Secrets()
    table, outbox = calls_table(own.calls_table), Outbox(own.outbox_queue)
    return Sender.wired(own, table, outbox, CallbackKeys(own, secrets), Accounts(own, secrets))


def handler(event: Any, context: Any) -> Any:
    with invocation(context, "send") as record:
        means = Invocation(lambda: context.get_remaining_time_in_millis() / 1000, record)
        return _sender().receive(event, context, means)
