"""The story of ``sweep``: once a minute, whatever nobody else will look at again (docs/protocol.md, Sweep).

Each part stands alone, and so does each message in it: what fails is noted, and the next run does it.
"""

import json
import time
from collections.abc import Callable, Iterable

from voice_gateway import aws, vendors
from voice_gateway.calling import Caller, Invocation
from voice_gateway.errors import AwsUnavailable
from voice_gateway.letters import Letters
from voice_gateway.linking import OLDEST, Linking, could_be
from voice_gateway.model import Code, Fault, Message, Receipt, State
from voice_gateway.observability import log
from voice_gateway.outbox import DeadLetters, Letter, Outbox
from voice_gateway.planning import LEASE_SECONDS
from voice_gateway.settings import Settings
from voice_gateway.settling import Settled, Settling
from voice_gateway.store import Changed, Store

INTERVAL = 60.0
"""Seconds between two runs."""
_CLOCKS_APART = 5.0
"""What is due is sent this much later, so that no sender's clock finds it before its time."""
_ASK_AGAIN = 300.0
"""Seconds after which a message that was handed to ``send`` and did not move is handed over again."""
_TIME_KEPT = 15.0
"""Seconds left below which nothing more is begun: a question to a vendor and a slow write take as long."""
_LETTERS_SHARE = 0.5
"""Of a run's time that letters may take, so that a full outbox keeps nothing else waiting."""


class Sweep:
    """Looks at what is due, stale, expired, waiting or unanswered, and empties the outbox."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        outbox: Outbox,
        dead_letters: DeadLetters,
        results: aws.Topic,
        notify: aws.Topic,
        caller: Caller,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._store = store
        self._outbox = outbox
        self._dead_letters = dead_letters
        self._notify = notify
        self._caller = caller
        self._clock = clock
        self._settling = Settling(store, dead_letters)
        self._letters = Letters(store, self._settling, results)
        patience = LEASE_SECONDS + INTERVAL
        self._linking = Linking(store, self._settling, by_number=settings.link_by_number, patience=patience)

    def run(self, invocation: Invocation) -> dict[str, float]:
        """One run; returns what it counted."""
        for part in (
            self._link_waiting,  # first: the index lags behind what the others are about to write
            self._apply_letters,
            self._give_up_stale,
            self._send_due,
            self._expire_released,
            self._redial,
            self._ask_unanswered,
        ):
            name = part.__name__.strip("_")
            if invocation.remaining() < _TIME_KEPT:
                invocation.record.note(cut_short=name)
                break
            try:
                part(invocation)
            except Exception as error:  # noqa: BLE001 -- whatever stops one part must not stop the others
                why = str(error) if isinstance(error, AwsUnavailable) else type(error).__name__
                log.error("a part of the sweep failed", extra={"part": name, "why": why})
                invocation.record.count("PartFailed")
        return dict(invocation.record.counts)

    def _each(self, messages: Iterable[Message], look: Callable[[Message], str | None], invocation: Invocation) -> None:
        """Looks at one message after the other while there is time; ``look`` returns the metric to count."""
        for message in messages:
            if invocation.remaining() < _TIME_KEPT:
                return
            try:
                metric = look(message)
            except Changed:
                continue  # somebody else was quicker
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                why = type(error).__name__
                log.error("a message cannot be looked at", extra={"message_id": message.message_id, "why": why})
                metric = "PartFailed"
            if metric:
                invocation.record.count(metric)

    # What could not be written.

    def _apply_letters(self, invocation: Invocation) -> None:
        enough = max(_TIME_KEPT, invocation.remaining() * _LETTERS_SHARE)
        for letter in self._outbox.letters():
            self._apply(letter)
            self._outbox.done(letter)
            invocation.record.count("Applied")
            if invocation.remaining() < enough:
                return

    def _apply(self, letter: Letter) -> None:
        """Raises AwsUnavailable: then it stays in the queue and comes back, and the others would fare no better."""
        try:
            kind, content = letter.read()
            self._letters.apply(kind, content, self._clock())
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            self._dead_letters.keep(f"a letter that cannot be applied: {type(error).__name__}", {"letter": letter.body})

    # What a sender left behind.

    def _give_up_stale(self, invocation: Invocation) -> None:
        now = self._clock()

        def look(seen: Message) -> str:
            self._settling.give_up(seen, now)
            log.warning("a call was cut off", extra={"message_id": seen.message_id, "vendor": seen.vendor})
            return "OutcomeUnknown"

        self._each(self._store.messages(State.CALLING, now), look, invocation)

    def _send_due(self, invocation: Invocation) -> None:
        now = self._clock()

        def look(seen: Message) -> str:
            if seen.expires_at is not None and seen.expires_at <= now:
                return self._expire(seen)
            self._hand_over(seen, {"look_at": now + _ASK_AGAIN})
            return "Due"

        self._each(self._store.messages(State.DUE, now - _CLOCKS_APART), look, invocation)

    def _expire_released(self, invocation: Invocation) -> None:
        self._each(self._store.messages(State.RELEASED, self._clock()), self._expire, invocation)

    def _expire(self, seen: Message) -> str:
        """Never rung, and too late now."""
        last = f"; last: {seen.error['message']}" if seen.error else ""
        fault = Fault(Code.EXPIRED, f"expires_at passed before the phone could be rung{last}", seen.vendor)
        changes = {
            "state": State.EXPIRED,
            "error": fault.as_dict(),
            "look_at": None,
            "deferred_until": None,
            "request": None,
            "updated_at": self._clock(),
        }
        self._store.take_over(seen, changes)
        return "Expired"

    def _redial(self, invocation: Invocation) -> None:
        """Where its caller asked for it, and no receipt waits for that number that might be the first call's."""
        now = self._clock()
        before = now - self._settings.redial_after_seconds - _CLOCKS_APART
        wanted = [
            seen
            for seen in self._store.messages(State.UNKNOWN, before, since=now - OLDEST)
            if seen.on_unknown == "redial_once" and seen.redials == 0 and seen.updated_at <= before
            if seen.asked <= now - _ASK_AGAIN and (seen.expires_at is None or seen.expires_at > now)
        ]
        waiting = self._linking.waiting(now) if wanted else []

        def look(seen: Message) -> str | None:
            if any(could_be(meeting, seen) for meeting in waiting):
                return None
            self._hand_over(seen, {"asked": int(now)})
            return "Redialled"

        self._each(wanted, look, invocation)

    def _hand_over(self, seen: Message, mark: dict[str, float]) -> None:
        """Sends the stored request through the notify topic: ``send`` decides, under the same conditions as always."""
        self._store.touch(seen, mark)
        # Escaped: a topic refuses some characters, and a text that came back changed would be another request.
        self._notify.publish(json.dumps(json.loads(seen.request)))

    # What a vendor has not said, or said too soon.

    def _link_waiting(self, invocation: Invocation) -> None:
        self._linking.link(self._clock(), invocation.record)

    def _ask_unanswered(self, invocation: Invocation) -> None:
        now = self._clock()

        def look(seen: Message) -> str | None:
            receipt = self._asked(seen, now)
            if receipt is None:
                return self._look_later(seen, now)
            settled = self._settling.of_message(seen.message_id, receipt, "query", now)
            return "Answered" if settled is Settled.SETTLED else None

        self._each(self._store.messages(State.ACCEPTED, now), look, invocation)

    def _asked(self, seen: Message, now: float) -> Receipt | None:
        vendor = vendors.vendor(seen.vendor or "")
        credentials = self._caller.credentials(vendor) if vendor.answers else None
        if credentials is None or seen.call_id is None:
            return None
        mobile = str(json.loads(seen.request)["mobile"])
        return vendor.query(seen.call_id, mobile, credentials, self._caller.exchange(vendor), now)

    def _look_later(self, seen: Message, now: float) -> str | None:
        """Asks again at growing intervals for a day; then, and at once where there is no asking, counts it once.

        It stays in the index a little longer: a late receipt may still find it by its call id.
        """
        vendor = vendors.vendor(seen.vendor or "")
        called_at = seen.called_at or now
        times = self._settings.question_times if vendor.answers else (self._settings.unanswered_after_seconds,)
        following = next((called_at + after for after in times if called_at + after > now), None)
        if following is not None:
            self._store.touch(seen, {"look_at": following})
            return None
        if seen.asked:
            self._store.touch(seen, {"look_at": None})
            return None
        self._store.touch(seen, {"look_at": max(now, called_at + OLDEST), "asked": int(now)})
        log.warning("no receipt came", extra={"message_id": seen.message_id, "vendor": seen.vendor})
        return "Unanswered"
