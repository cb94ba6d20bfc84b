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
from voice_gateway.storage.lanes import Lanes
from voice_gateway.storage.outbox import Outbox
from voice_gateway.sweeping.adopt import Adopt
from voice_gateway.sweeping.common import TIME_KEPT, SideBySide
from voice_gateway.sweeping.due import Due
from voice_gateway.sweeping.outbox import OutboxApplier
from voice_gateway.sweeping.stale import Stale
from voice_gateway.sweeping.unanswered import Unanswered
from voice_gateway.sweeping.unknown import Unknown
from voice_gateway.sweeping.waiting_receipts import WaitingReceipts
from voice_gateway.vendors.common.accounts import Accounts

_SHARE = 0.5
"""The share of the time left that a part may take, so that the parts after it are reached; the last has all of it."""


class Sweep:
    """Looks at what is due, stale, expired, waiting or unanswered, and empties the outbox."""

    def __init__(
        self,
        settings: Settings,
        table: CallsTable,
        outbox: Outbox,
        dead_letters: DeadLetters,
        results: aws.Topic,
        lanes: Lanes,
        accounts: Accounts,
        clock: Callable[[], float] = time.time,
        workers: int | None = None,
    ) -> None:
        messages, crew = table.messages, SideBySide(workers or aws.WORKERS)
        settling = Settling(messages, table.call_ids, dead_letters)
        waiting = WaitingReceipts(table, settling, crew, clock, by_number=settings.link_by_number)
        due = Due(messages, lanes, crew, clock)
        self._parts: tuple[tuple[str, Callable[[Invocation], None]], ...] = (
            ("adopt", Adopt(table, clock).adopt),
            ("link_waiting", waiting.link),  # early: the index lags behind what the others are about to write
            ("apply_outbox", OutboxApplier(table, outbox, dead_letters, settling, results, clock).apply_all),
            ("give_up_stale", Stale(messages, crew, clock).give_up),
            ("look_at_unknown", Unknown(settings, messages, waiting, lanes, crew, clock).look),
            ("hand_over_urgent", due.urgent),
            ("ask_unanswered", Unanswered(settings, messages, settling, accounts, crew, clock).ask),
            ("hand_over_bulk", due.bulk),  # last: it may take all the time that is left
        )

    def run(self, invocation: Invocation) -> dict[str, float]:
        """One run; returns what it counted. What fails is logged, and left to the next run."""
        for name, part in self._parts:
            if invocation.remaining() < TIME_KEPT:
                invocation.record.note(cut_short=name)
                break
            try:
                part(invocation if name == self._parts[-1][0] else _share_of(invocation))
            except Exception as error:  # noqa: BLE001 -- whatever stops one part must not stop the others
                why = str(error) if isinstance(error, AwsUnavailable) else type(error).__name__
                log.error("a part of the sweep failed", extra={"part": name, "why": why})
                invocation.record.count("PartFailed")
        return dict(invocation.record.counts)


def _share_of(invocation: Invocation) -> Invocation:
    """The same invocation, for one part of it: its time ends earlier."""
    kept_back = (invocation.remaining() - TIME_KEPT) * (1 - _SHARE)
    return Invocation(lambda: invocation.remaining() - kept_back, invocation.record)
