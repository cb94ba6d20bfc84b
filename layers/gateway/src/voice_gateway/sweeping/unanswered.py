"""Accepted messages without a receipt: asks the vendor, if it can be asked; counts once what stays open.

If somebody else is to be rung by then, the next number's turn comes.
"""

import json
from collections.abc import Callable

from voice_gateway.model.errors import UnreadableSecret
from voice_gateway.model.message import Message, State
from voice_gateway.model.moving_on import escalates_at
from voice_gateway.model.receipt import Receipt
from voice_gateway.platform.observability import Invocation, Record, log
from voice_gateway.platform.settings import Settings
from voice_gateway.receipts.settling import Settled, Settling
from voice_gateway.storage.messages import Messages
from voice_gateway.sweeping.common import SideBySide
from voice_gateway.sweeping.unknown import is_due, next_number
from voice_gateway.vendors.common.accounts import Account, Accounts


class Unanswered:
    """Asks for results."""

    def __init__(
        self,
        settings: Settings,
        messages: Messages,
        settling: Settling,
        accounts: Accounts,
        side_by_side: SideBySide,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._messages = messages
        self._settling = settling
        self._accounts = accounts
        self._side_by_side = side_by_side
        self._clock = clock

    def ask(self, invocation: Invocation) -> None:
        self._side_by_side.each(self._messages.in_state(State.ACCEPTED, self._clock()), self._look, invocation)

    def _look(self, seen: Message, record: Record) -> None:
        now = self._clock()
        if self._is_answered(seen, now):
            record.count("Answered")
        elif is_due(seen, now):
            next_number(self._messages, seen, now, record)
        else:
            self._look_later(seen, now, record)

    def _is_answered(self, seen: Message, now: float) -> bool:
        """Whether there is a receipt by now: one that the vendor gives when asked, or one that never was linked."""
        account = self._accounts[seen.vendor or ""]
        if seen.call_id is None:
            return False
        if not account.vendor.result_query:
            linked = self._settling.link(seen, account.vendor.name, seen.call_id, now)
            return linked is not None and linked.state is not State.ACCEPTED
        receipt = self._asked(seen, seen.call_id, account, now)
        if receipt is None:
            return False
        settled = self._settling.of_message(seen.message_id, receipt, "query", now, seen.attempt)
        return settled is Settled.SETTLED

    @staticmethod
    def _asked(seen: Message, call_id: str, account: Account, now: float) -> Receipt | None:
        try:
            credentials = account.credentials()
        except UnreadableSecret:
            return None  # the balance check alarms it
        if credentials is None:
            return None
        asked = json.loads(seen.request)
        mobile = str([asked["mobile"], *asked.get("escalate_to", [])][seen.place])
        return account.vendor.query(call_id, mobile, credentials, account.exchange(), now)

    def _look_later(self, seen: Message, now: float, record: Record) -> None:
        """Schedules the next query, at growing intervals within a day. After the last, counts the message once.

        A vendor that cannot be asked has only the last step.
        """
        can_be_asked = self._accounts[seen.vendor or ""].vendor.result_query
        called_at = seen.called_at or now
        times = self._settings.query_times if can_be_asked else (self._settings.unanswered_after_seconds,)
        ahead = [at for at in (*(called_at + after for after in times), escalates_at(seen)) if at and at > now]
        if ahead:
            self._messages.touch(seen, {"look_at": min(ahead)})
            return
        self._messages.touch(seen, {"look_at": None, "asked": int(now)})
        log.warning("no receipt came", extra={"message_id": seen.message_id, "vendor": seen.vendor})
        record.count("Unanswered")
