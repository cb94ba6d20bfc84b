"""What ``sweep`` does: its parts, one after the other. If one fails, the others still run (docs/protocol.md, Sweep)."""

import time
from collections.abc import Callable

from voice_gateway.model.errors import AwsUnavailable
from voice_gateway.platform import aws
from voice_gateway.platform.observability import Invocation, log
from voice_gateway.platform.settings import Settings
from voice_gateway.receipts.settling import Settling
from voice_gateway.storage.calls_table import CallsTable
from voice_gateway.storage.dead_letters import DeadLetters
from voice_gateway.storage.outbox import Outbox
from voice_gateway.sweeping.common import TIME_KEPT, Handover
from voice_gateway.sweeping.due import Due
from voice_gateway.sweeping.escalate import Escalate
from voice_gateway.sweeping.outbox import OutboxApplier
from voice_gateway.sweeping.redial import Redial
from voice_gateway.sweeping.stale import Stale
from voice_gateway.sweeping.unanswered import Unanswered
from voice_gateway.sweeping.waiting_receipts import WaitingReceipts
from voice_gateway.vendors.common.accounts import Accounts


class Sweep:
    """Looks at what is due, stale, expired, waiting or unanswered, and empties the outbox."""

    def __init__(
        self,
        settings: Settings,
        table: CallsTable,
        outbox: Outbox,
        dead_letters: DeadLetters,
        results: aws.Topic,
        notify: aws.Topic,
        accounts: Accounts,
        clock: Callable[[], float] = time.time,
    ) -> None:
        messages = table.messages
        settling = Settling(messages, table.call_ids, dead_letters)
        handover = Handover(messages, notify)
        waiting = WaitingReceipts(table, settling, clock, by_number=settings.link_by_number)
        due = Due(messages, handover, clock)
        self._parts: tuple[tuple[str, Callable[[Invocation], None]], ...] = (
            ("link_waiting", waiting.link),  # first: the index lags behind what the others are about to write
            ("apply_outbox", OutboxApplier(table, outbox, dead_letters, settling, results, clock).apply_all),
            ("give_up_stale", Stale(messages, clock).give_up),
            ("send_due", due.send),
            ("retry", due.retry),
            ("escalate", Escalate(messages, waiting, clock).escalate),
            ("redial", Redial(settings, messages, waiting, handover, clock).redial),
            ("ask_unanswered", Unanswered(settings, messages, settling, accounts, clock).ask),
        )

    def run(self, invocation: Invocation) -> dict[str, float]:
        """One run; returns what it counted. What fails is logged, and left to the next run."""
        for name, part in self._parts:
            if invocation.remaining() < TIME_KEPT:
                invocation.record.note(cut_short=name)
                break
            try:
                part(invocation)
            except Exception as error:  # noqa: BLE001 -- whatever stops one part must not stop the others
                why = str(error) if isinstance(error, AwsUnavailable) else type(error).__name__
                log.error("a part of the sweep failed", extra={"part": name, "why": why})
                invocation.record.count("PartFailed")
        return dict(invocation.record.counts)
