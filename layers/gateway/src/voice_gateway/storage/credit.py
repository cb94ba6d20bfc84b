"""The state of each vendor's credit, ``BALANCE#<vendor>``, replaced by compare and swap.

``state``, and ``level``, the last one that was known (``ok``, ``low``, ``empty``); ``announced``; ``failures`` in a
row; ``remaining``, ``per_day``, ``days_left`` as plain numbers in texts; ``readings`` (``credit/forecast.py``);
``checked_at``.
"""

from typing import Any

from voice_gateway.storage.table import SCHEMA, ConditionFailed, Table

CreditState = dict[str, Any]


class CreditStates:
    """The states in the calls table. Each method raises AwsUnavailable if DynamoDB does not answer."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, vendor: str) -> CreditState:
        """The state of a vendor's credit; empty if it was never checked."""
        return self._table.get(f"BALANCE#{vendor}") or {}

    def replace(self, vendor: str, seen: CreditState, new: CreditState) -> bool:
        """Replaces the state that was seen; False if another check was quicker."""
        item = {"pk": f"BALANCE#{vendor}", "v": SCHEMA, "revision": seen.get("revision", 0) + 1, **new}
        try:
            if seen:
                self._table.put(item, "#revision = :seen", seen=seen.get("revision", 0))
            else:
                self._table.put(item, "attribute_not_exists(#pk)")
        except ConditionFailed:
            return False
        return True
