"""The story of ``sweep``: once a minute, whatever nobody else will look at again (shared/protocol.md, Sweep).

Each part stands alone: a part that AWS fails is noted, and the next run does it.
"""

import json
import time
from collections.abc import Callable

from voice_gateway import aws, vendors
from voice_gateway.calling import Caller, Invocation
from voice_gateway.errors import AwsUnavailable
from voice_gateway.letters import Letters
from voice_gateway.model import Code, Fault, Message, Receipt, State
from voice_gateway.observability import log
from voice_gateway.outbox import Outbox
from voice_gateway.planning import LEASE_SECONDS
from voice_gateway.settings import Settings
from voice_gateway.settling import Settled, Settling
from voice_gateway.store import Changed, Meeting, Store

INTERVAL = 60.0
"""Seconds between two runs."""
_SETTLED_CLOCK = 5.0
"""What is due is sent this much later, so that no sender's clock finds it before its time."""
_ASK_AGAIN = 300.0
"""Seconds after which a message that was handed to ``send`` and did not move is handed over again."""
_LINK_WINDOW = 3600.0
"""A receipt belongs to a call of the hour before it."""
_OLDEST = 26 * 3600.0
"""Receipts and unknown messages older than this meet nobody any more."""
_TIME_KEPT = 10.0


class Sweep:
    """Looks at what is due, stale, expired, waiting or unanswered, and empties the outbox."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        settling: Settling,
        outbox: Outbox,
        letters: Letters,
        caller: Caller,
        notify: aws.Topic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._store = store
        self._settling = settling
        self._outbox = outbox
        self._letters = letters
        self._caller = caller
        self._notify = notify
        self._clock = clock

    def run(self, means: Invocation) -> dict[str, float]:
        """One run; returns what it counted."""
        for part in (
            self._apply_letters,
            self._give_up_stale,
            self._send_due,
            self._expire_released,
            self._settle_waiting,
            self._redial,
            self._ask_unanswered,
        ):
            if means.remaining() < _TIME_KEPT:
                means.record.note(cut_short=part.__name__.strip("_"))
                break
            try:
                part(means)
            except AwsUnavailable as error:
                name = part.__name__.strip("_")
                log.error("a part of the sweep failed", extra={"part": name, "why": str(error)})
                means.record.count("PartFailed")
        return dict(means.record.counts)

    def _apply_letters(self, means: Invocation) -> None:
        for letter in self._outbox.letters():
            try:
                self._letters.apply(letter.kind, letter.content, self._clock())
            except AwsUnavailable as error:
                # It stays in the queue, and comes back; with AWS down the rest would fare no better.
                log.warning("a letter could not be applied", extra={"kind": letter.kind, "why": str(error)})
                return
            except (ValueError, KeyError, TypeError):
                log.exception("a letter that cannot be read", extra={"kind": letter.kind})
                continue
            self._outbox.done(letter)
            means.record.count("Applied")
            if means.remaining() < _TIME_KEPT:
                return

    def _give_up_stale(self, means: Invocation) -> None:
        now = self._clock()
        for seen in self._store.messages(State.CALLING, now):
            try:
                self._settling.give_up(seen, now)
            except Changed:
                continue
            means.record.count("OutcomeUnknown")
            log.warning("a call was cut off", extra={"message_id": seen.message_id, "vendor": seen.vendor})

    def _send_due(self, means: Invocation) -> None:
        now = self._clock()
        for seen in self._store.messages(State.DUE, now - _SETTLED_CLOCK):
            if (seen.expires_at or now + 1) <= now:
                self._expire(seen, means)
            else:
                self._hand_over(seen, {"look_at": now + _ASK_AGAIN}, means, "Due")

    def _expire_released(self, means: Invocation) -> None:
        for seen in self._store.messages(State.RELEASED, self._clock()):
            self._expire(seen, means)

    def _expire(self, seen: Message, means: Invocation) -> None:
        """Never rung, and too late now; but after a redial the first call may have rung."""
        now = self._clock()
        state, code, why = State.EXPIRED, Code.EXPIRED, "expires_at passed before the phone could be rung"
        if seen.redials:
            state, code, why = (
                State.UNKNOWN,
                Code.OUTCOME_UNKNOWN,
                "the first call may have rung; the second was not made",
            )
        last = seen.error.get("message") if seen.error else None
        fault = Fault(code, f"{why}; last: {last}" if last else why, seen.vendor)
        changes = {
            "state": state,
            "error": fault.as_dict(),
            "look_at": seen.called_at if state is State.UNKNOWN else None,
            "deferred_until": None,
            "updated_at": now,
        }
        try:
            self._store.take_over(seen, changes)
        except Changed:
            return
        means.record.count("OutcomeUnknown" if state is State.UNKNOWN else "Expired")

    def _redial(self, means: Invocation) -> None:
        now = self._clock()
        rung_before = now - self._settings.redial_after_seconds - _SETTLED_CLOCK
        for seen in self._store.messages(State.UNKNOWN, rung_before, since=now - _OLDEST):
            asked_lately = seen.asked and seen.asked > now - _ASK_AGAIN
            live = seen.expires_at is None or seen.expires_at > now
            if seen.on_unknown == "redial_once" and seen.redials == 0 and live and not asked_lately:
                self._hand_over(seen, {"asked": int(now)}, means, "Redialled")

    def _hand_over(self, seen: Message, mark: dict[str, float], means: Invocation, metric: str) -> None:
        """Sends the stored request through the notify topic: ``send`` decides, under the same conditions as always."""
        try:
            self._store.touch(seen, mark)
        except Changed:
            return
        self._notify.publish(seen.request)
        means.record.count(metric)

    # Receipts that wait for a message.

    def _settle_waiting(self, means: Invocation) -> None:
        now = self._clock()
        waiting = list(self._store.waiting(now, since=now - _OLDEST))
        orphans = [meeting for meeting in waiting if not self._settle_known(meeting, now, means)]
        if orphans:
            accepted = {
                (call.vendor, call.call_id): call for call in self._store.messages(State.ACCEPTED, now + _OLDEST)
            }
            orphans = [meeting for meeting in orphans if not self._settle_accepted(meeting, accepted, now, means)]
        if orphans and self._settings.link_by_number:
            self._link_by_number(orphans, now, means)

    def _settle_known(self, meeting: Meeting, now: float, means: Invocation) -> bool:
        """Its message came meanwhile."""
        if meeting.message is None:
            return False
        self._applied(meeting, "call_id", now, means)
        return True

    def _settle_accepted(
        self, meeting: Meeting, accepted: dict[tuple[str | None, str | None], Message], now: float, means: Invocation
    ) -> bool:
        """An accepted message carries the call id, and only the link is missing."""
        message = accepted.get((meeting.vendor, meeting.call_id))
        return message is not None and self._linked(meeting, message, "call_id", now, means)

    def _link_by_number(self, orphans: list[Meeting], now: float, means: Invocation) -> None:
        """Call ids that nobody ever learnt go to the one message that they can belong to, if there is exactly one."""
        old_enough = now - LEASE_SECONDS - INTERVAL
        unknown = list(self._store.messages(State.UNKNOWN, now, since=now - _OLDEST))
        for meeting in orphans:
            if not meeting.rhash or meeting.waiting is None or meeting.waiting > old_enough:
                continue
            rivals = [other for other in orphans if other.vendor == meeting.vendor and other.rhash == meeting.rhash]
            candidates = [message for message in unknown if _could_be(meeting, message)]
            if len(candidates) == 1 and len(rivals) <= 1 + candidates[0].redials:
                self._linked(meeting, candidates[0], "number", now, means)
            elif candidates:
                self._count_unlinked(candidates, len(rivals), means)

    def _count_unlinked(self, candidates: list[Message], receipts: int, means: Invocation) -> None:
        """Several messages or several receipts: never guessed, but counted, alarmed and shown by ``status``."""
        for message in candidates:
            if message.unlinked != receipts:
                try:
                    self._store.touch(message, {"unlinked": receipts})
                except Changed:
                    continue
                means.record.count("UnlinkedReceipts")

    def _linked(self, meeting: Meeting, message: Message, linked_by: str, now: float, means: Invocation) -> bool:
        try:
            linked = self._store.link(meeting.vendor, meeting.call_id, message)
        except Changed:
            return False
        self._applied(linked, linked_by, now, means)
        return True

    def _applied(self, meeting: Meeting, linked_by: str, now: float, means: Invocation) -> None:
        settled = self._settling.at_meeting(meeting, now, linked_by=linked_by)
        self._store.unmark(meeting)
        means.record.count(f"Receipt{settled.title()}")

    # Calls that no receipt came for.

    def _ask_unanswered(self, means: Invocation) -> None:
        now = self._clock()
        for seen in self._store.messages(State.ACCEPTED, now):
            if means.remaining() < _TIME_KEPT:
                return
            receipt = self._asked(seen, now)
            if receipt is not None:
                if self._settling.of_message(seen.message_id, receipt, "query", now) is Settled.SETTLED:
                    means.record.count("Answered")
                continue
            self._look_later(seen, now, means)

    def _asked(self, seen: Message, now: float) -> Receipt | None:
        vendor = vendors.vendor(seen.vendor or "")
        credentials = self._caller.credentials(vendor) if vendor.answers else None
        if credentials is None or seen.call_id is None:
            return None
        mobile = str(json.loads(seen.request)["mobile"])
        return vendor.query(seen.call_id, mobile, credentials, self._caller.exchange(vendor), now)

    def _look_later(self, seen: Message, now: float, means: Invocation) -> None:
        """Asks again at growing intervals for a day; then, and at once where there is no asking, alarms once."""
        vendor = vendors.vendor(seen.vendor or "")
        called_at = seen.called_at or now
        times = self._settings.question_times if vendor.answers else (self._settings.unanswered_after_seconds,)
        following = next((called_at + after for after in times if called_at + after > now), None)
        try:
            self._store.touch(seen, {"look_at": following})
        except Changed:
            return
        if following is None:
            means.record.count("Unanswered")
            log.warning("no receipt came", extra={"message_id": seen.message_id, "vendor": seen.vendor})


def _could_be(meeting: Meeting, message: Message) -> bool:
    """Same vendor, same number, no call id known, and the receipt came within the hour after the call."""
    called_at = message.called_at or 0.0
    return (
        message.vendor == meeting.vendor
        and message.number_hash == meeting.rhash
        and message.call_id is None
        and called_at <= (meeting.waiting or 0.0) <= called_at + _LINK_WINDOW
    )
