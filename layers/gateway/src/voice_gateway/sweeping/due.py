"""Deferred messages: those whose time has come are handed over, those whose time is over expire.

They wait for an opening, for the next ring of their sequence, or, as nobody could take them, for a retry. They are
handed over in batches, each part of the index by a worker of its own.
"""

from collections.abc import Callable, Iterator
from itertools import batched, chain

from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.message import Message, State
from voice_gateway.model.moving_on import out_of_time
from voice_gateway.platform.observability import Invocation, Record
from voice_gateway.storage.lanes import Lanes
from voice_gateway.storage.messages import MessageChanged, Messages
from voice_gateway.storage.table import SHARDS
from voice_gateway.sweeping.common import CLOCKS_APART, TIME_KEPT, SideBySide

_METRICS = {State.DUE: "Due", State.RELEASED: "Retried"}
_BATCH = 10
_AGAIN = 900.0
"""Seconds after which what was handed over and is still there is handed over again; then after ever longer times.

It may wait in its lane for hours. Lost it is not: a queue keeps what was not taken."""


class Due:
    """Hands over, and expires."""

    def __init__(self, messages: Messages, lanes: Lanes, side_by_side: SideBySide, clock: Callable[[], float]) -> None:
        self._messages = messages
        self._lanes = lanes
        self._side_by_side = side_by_side
        self._clock = clock

    def urgent(self, invocation: Invocation) -> None:
        self._all(invocation, bulk=False)

    def bulk(self, invocation: Invocation) -> None:
        self._all(invocation, bulk=True)

    def _all(self, invocation: Invocation, *, bulk: bool) -> None:
        def shard(number: int, record: Record) -> None:
            for some in batched(self._waiting(number, bulk=bulk), _BATCH, strict=False):
                self._hand_over(some, record)
                if invocation.remaining() < TIME_KEPT:
                    return

        self._side_by_side.each(range(SHARDS), shard, invocation)

    def _waiting(self, shard: int, *, bulk: bool) -> Iterator[Message]:
        now = self._clock()
        due = self._messages.in_shard(State.DUE, shard, now - CLOCKS_APART, bulk=bulk)
        return chain(due, self._messages.in_shard(State.RELEASED, shard, now, bulk=bulk))

    def _hand_over(self, some: tuple[Message, ...], record: Record) -> None:
        """Marks them afterwards: what the queue did not take is handed over by the next run."""
        now = self._clock()
        over = [seen for seen in some if seen.expires_at is not None and seen.expires_at <= now]
        for seen in over:
            self._expire(seen, record)
        for seen in self._lanes.hand_over([seen for seen in some if seen not in over]):
            record.count(_METRICS[seen.state])
            try:
                self._messages.touch(seen, {"look_at": now + max(_AGAIN, now - (seen.deferred_until or now))})
            except MessageChanged:
                continue  # it rings by now

    def _expire(self, seen: Message, record: Record) -> None:
        """Ends a message whose time is over before a ring could bring it to an end."""
        last = f"; last: {seen.error['message']}" if seen.error else ""
        fault = Fault(Code.EXPIRED, f"expires_at passed before the phone could be rung{last}", seen.vendor)
        try:
            self._messages.take_over(seen, out_of_time(seen, fault, self._clock()))
        except MessageChanged:
            return
        record.count("Expired")
