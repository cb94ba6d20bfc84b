"""balance_check: the credit at each vendor, on a schedule; alarms when it runs low."""

from functools import cache
from typing import Any

from voice_gateway.credit.check import BalanceCheck
from voice_gateway.platform.aws import Topic
from voice_gateway.platform.observability import invocation
from voice_gateway.platform.secrets import Secrets
from voice_gateway.platform.settings import settings
from voice_gateway.storage.calls_table import calls_table
from voice_gateway.vendors.common.accounts import Accounts


@cache
def _check() -> BalanceCheck:
    own = settings()
    return BalanceCheck(own, calls_table(own.calls_table).credit, Accounts(own, Secrets()), Topic(own.alarm_topic))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    with invocation(context, "balance_check") as record:
        return _check().check(record)
