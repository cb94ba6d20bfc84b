"""balance_check: the credit at each vendor, on a schedule; alarms when it runs low."""

from functools import cache
from typing import Any

from voice_gateway.aws import Topic
from voice_gateway.balance import BalanceCheck
from voice_gateway.calling import Caller
from voice_gateway.observability import invocation
from voice_gateway.secrets import Secrets
from voice_gateway.settings import settings
from voice_gateway.store import Store


@cache
def _check() -> BalanceCheck:
    own = settings()
    return BalanceCheck(own, Store(own.calls_table), Caller(own, Secrets()), Topic(own.alarm_topic))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    with invocation(context, "balance_check") as record:
        return _check().check(record)
