"""The calls table as a whole: one object, from which each part of the gateway takes the kinds of item that it needs."""

from typing import NamedTuple

from voice_gateway.storage.call_ids import CallIds
from voice_gateway.storage.credit import CreditStates
from voice_gateway.storage.messages import Messages
from voice_gateway.storage.numbers import Numbers
from voice_gateway.storage.pace import Pace
from voice_gateway.storage.quotas import Quotas
from voice_gateway.storage.table import Table


class CallsTable(NamedTuple):
    """The kinds of item."""

    messages: Messages
    call_ids: CallIds
    quotas: Quotas
    credit: CreditStates
    numbers: Numbers
    pace: Pace


def calls_table(name: str) -> CallsTable:
    table = Table(name)
    return CallsTable(Messages(table), CallIds(table), Quotas(table), CreditStates(table), Numbers(table), Pace(table))
