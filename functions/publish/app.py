"""publish: results from the table's stream to the results topic, and a sequence's next ring to ``send``."""

from functools import cache
from typing import Any

from voice_gateway.platform.aws import Topic
from voice_gateway.platform.observability import invocation
from voice_gateway.platform.settings import settings
from voice_gateway.results.publish import Publisher
from voice_gateway.storage.lanes import Lanes
from voice_gateway.storage.outbox import Outbox


@cache
def _publisher() -> Publisher:
    own = settings()
    lanes = Lanes(own)
    return Publisher(Topic(own.results_topic), lanes, Outbox(own.outbox_queue))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    with invocation(context, "publish") as record:
        return _publisher().publish(event, record)
