"""What ``cancel`` does: calls a message off. What has not been handed to a vendor never will be."""

import time
from collections.abc import Callable
from typing import Any

from voice_gateway.model.errors import AwsUnavailable
from voice_gateway.model.message import DEFERRED, FINAL
from voice_gateway.model.moving_on import cancelled
from voice_gateway.model.result import Result, result
from voice_gateway.results.status import find
from voice_gateway.storage.messages import MessageChanged, Messages

_TRIES = 8
"""How often it is tried on a message that others change at the same time."""


def cancel(event: Any, messages: Messages, clock: Callable[[], float] = time.time) -> Result:
    """The result of ``{"message_id": …}`` once it is called off. Raises AwsUnavailable.

    It races with ``send`` by the claim, in the same item: the phone rings, or the message is cancelled, never both. If
    a ring is under way, it ends as it ends, and nothing follows it.
    """
    for _ in range(_TRIES):
        seen, none = find(event, messages)
        if seen is None:
            return none
        if seen.state in FINAL or seen.no_more:
            return result(seen, replayed=True)
        now = clock()
        moved = cancelled(seen, now) if seen.state in DEFERRED else seen.but(no_more=True, updated_at=now)
        try:
            return result(messages.advance(seen, moved))
        except MessageChanged:
            continue  # it moved on meanwhile: look again
    raise AwsUnavailable("the message is being changed by others")
