"""sweep: once a minute, finishes what nobody else will look at again."""

from functools import cache
from typing import Any

from voice_gateway.platform.aws import Topic
from voice_gateway.platform.observability import Invocation, invocation
from voice_gateway.platform.secrets import Secrets
from voice_gateway.platform.settings import settings
from voice_gateway.storage.calls_table import calls_table
from voice_gateway.storage.dead_letters import DeadLetters
from voice_gateway.storage.lanes import Lanes
from voice_gateway.storage.outbox import Outbox
from voice_gateway.sweeping.sweep import Sweep
from voice_gateway.vendors.common.accounts import Accounts


@cache
def _sweep() -> Sweep:
    own = settings()
    queues = Outbox(own.outbox_queue), DeadLetters(own.dead_letter_queue)
    lanes = Lanes(own)
    return Sweep(own, calls_table(own.calls_table), *queues, Topic(own.results_topic), lanes, Accounts(own, Secrets()))


def handler(event: dict[str, Any], context: Any) -> dict[str, float]:
    with invocation(context, "sweep") as record:
        return _sweep().run(Invocation(lambda: context.get_remaining_time_in_millis() / 1000, record))
