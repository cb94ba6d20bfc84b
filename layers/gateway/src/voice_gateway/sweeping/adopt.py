"""What an earlier release stored is brought into today's indexes. To be taken out with the next release."""

from collections.abc import Callable
from itertools import chain

from voice_gateway.model.message import State
from voice_gateway.platform.observability import Invocation
from voice_gateway.storage.calls_table import CallsTable
from voice_gateway.sweeping.common import TIME_KEPT

_MONTHS = 100 * 86400.0


class Adopt:
    """Adopts. A release that still runs beside this one, or was gone back to, writes more of it."""

    def __init__(self, table: CallsTable, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def adopt(self, invocation: Invocation) -> None:
        until = self._clock() + _MONTHS
        messages = (self._table.messages.adopt(state, until) for state in State)
        for _ in chain(*messages, self._table.call_ids.adopt(until)):
            invocation.record.count("Adopted")
            if invocation.remaining() < TIME_KEPT:
                return
