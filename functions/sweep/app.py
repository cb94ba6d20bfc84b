"""sweep: once a minute, whatever nobody else will look at again."""

from functools import cache
from typing import Any

from voice_gateway.aws import Topic
from voice_gateway.calling import Caller, Invocation
from voice_gateway.observability import invocation
from voice_gateway.outbox import DeadLetters, Outbox
from voice_gateway.secrets import Secrets
from voice_gateway.settings import settings
from voice_gateway.store import Store
from voice_gateway.sweeping import Sweep


@cache
def _sweep() -> Sweep:
    own = settings()
    store, outbox, dead_letters = Store(own.calls_table), Outbox(own.outbox_queue), DeadLetters(own.dead_letter_queue)
    results, notify = Topic(own.results_topic), Topic(own.notify_topic)
    return Sweep(own, store, outbox, dead_letters, results, notify, Caller(own, Secrets()))


def handler(event: dict[str, Any], context: Any) -> dict[str, float]:
    with invocation(context, "sweep") as record:
        return _sweep().run(Invocation(lambda: context.get_remaining_time_in_millis() / 1000, record))
