"""Accepted messages without a receipt: asks the vendor, if it can be asked; counts once what stays open.

If somebody else is to be rung by then, the next number's turn comes.
"""

import json
from collections.abc import Callable

from voice_gateway.model.errors import UnreadableSecret
from voice_gateway.model.message import Message, State
from voice_gateway.model.moving_on import escalates_at
from voice_gateway.model.receipt import Receipt
from voice_gateway.platform.observability import Invocation, log
from voice_gateway.platform.settings import Settings
from voice_gateway.receipts.settling import Settled, Settling
from voice_gateway.storage.messages import Messages
from voice_gateway.sweeping.common import each
from voice_gateway.sweeping.escalate import is_due, next_number
from voice_gateway.sweeping.waiting_receipts import OLDEST
from voice_gateway.vendors.common.accounts import Accounts


class Unanswered:
    """Asks for results."""

    def __init__(
        self,
        settings: Settings,
        messages: Messages,
        settling: Settling,
        accounts: Accounts,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._messages = messages
        self._settling = settling
        self._accounts = accounts
        self._clock = clock

    def ask(self, invocation: Invocation) -> None:
        now = self._clock()

        def look(seen: Message) -> str | None:
            receipt = self._answer(seen, now)
            if receipt is None:
                return next_number(self._messages, seen, now) if is_due(seen, now) else self._look_later(seen, now)
            settled = self._settling.of_message(seen.message_id, receipt, "query", now, seen.attempt)
            return "Answered" if settled is Settled.SETTLED else None

        each(self._messages.in_state(State.ACCEPTED, now), look, invocation)

    def _answer(self, seen: Message, now: float) -> Receipt | None:
        account = self._accounts[seen.vendor or ""]
        try:
            credentials = account.credentials() if account.vendor.result_query else None
        except UnreadableSecret:
            return None  # the balance check alarms it
        if credentials is None or seen.call_id is None:
            return None
        asked = json.loads(seen.request)
        mobile = str([asked["mobile"], *asked.get("escalate_to", [])][seen.place])
        return account.vendor.query(seen.call_id, mobile, credentials, account.exchange(), now)

    def _look_later(self, seen: Message, now: float) -> str | None:
        """Schedules the next query, at growing intervals within a day. After the last, counts the message once.

        A vendor that cannot be asked has only the last step. The message stays in the index a little longer: a late
        receipt may still find it by its call id.
        """
        can_be_asked = self._accounts[seen.vendor or ""].vendor.result_query
        called_at = seen.called_at or now
        times = self._settings.query_times if can_be_asked else (self._settings.unanswered_after_seconds,)
        ahead = [at for at in (*(called_at + after for after in times), escalates_at(seen)) if at and at > now]
        if ahead:
            self._messages.touch(seen, {"look_at": min(ahead)})
            return None
        if seen.asked:
            self._messages.touch(seen, {"look_at": None})
            return None
        self._messages.touch(seen, {"look_at": max(now, called_at + OLDEST), "asked": int(now)})
        log.warning("no receipt came", extra={"message_id": seen.message_id, "vendor": seen.vendor})
        return "Unanswered"
