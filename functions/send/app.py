"""send: rings a phone once. Invoked by other functions, or by the SNS notify topic."""

from functools import cache
from typing import Any

from voice_gateway.calling import Caller, Invocation
from voice_gateway.catalogue import Catalogue
from voice_gateway.observability import invocation
from voice_gateway.outbox import Outbox
from voice_gateway.planning import Planner
from voice_gateway.routing import Resting, Router
from voice_gateway.secrets import Secrets
from voice_gateway.sending import Sender
from voice_gateway.settings import settings
from voice_gateway.store import Store


@cache
def _sender() -> Sender:
    own = settings()
    store, resting, caller = Store(own.calls_table), Resting(), Caller(own, Secrets())
    planner = Planner(own, store, Router(own, caller.credentials, resting), Catalogue(own.templates_prefix).load)
    return Sender(own, store, Outbox(own.outbox_queue), planner, caller, resting)


def handler(event: Any, context: Any) -> Any:
    with invocation(context, "send") as record:
        means = Invocation(lambda: context.get_remaining_time_in_millis() / 1000, record)
        return _sender().receive(event, context, means)
