"""What came of a call, written down: in the table, else in the outbox, under the protocol's conditions.

Each way out of a call leaves a state behind that says what is known, and no more (docs/protocol.md, Sending, step 5).
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from voice_gateway import letters, reply
from voice_gateway.errors import AwsUnavailable, TryLater
from voice_gateway.letters import Kind
from voice_gateway.model import Code, Fault, Message, State
from voice_gateway.observability import log
from voice_gateway.outbox import Outbox
from voice_gateway.settings import Settings
from voice_gateway.settling import Settling
from voice_gateway.store import Changed, Store
from voice_gateway.vendors.base import Vendor


class Outcomes:
    """Writes outcomes. Each method returns the message as it then is: a receipt may have been quicker, and stands."""

    def __init__(
        self, settings: Settings, store: Store, outbox: Outbox, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._settling = Settling(store)

    def accepted(self, message: Message, vendor: Vendor, call_id: str) -> Message:
        """The vendor rings. Where receipts meet at the call id, that is linked first."""
        now = self._clock()
        changes = {
            "vendor": vendor.name,
            "call_id": call_id,
            "error": None,
            "look_at": now + self._settings.question_times[0],
            "updated_at": now,
        }
        if vendor.own_address:
            return self._written(message, State.ACCEPTED, changes)
        try:
            settled = self._settling.meet(message, vendor.name, call_id, now)
        except AwsUnavailable as error:
            # Kept first: the table may take its time to fail again, and the letter links the call id as well.
            self._kept(Kind.OUTCOME, letters.outcome(message, State.ACCEPTED, changes, meets=True), str(error))
            settled = None
        return settled or self._written(message, State.ACCEPTED, changes, meets=True)

    def unknown(self, message: Message, fault: Fault, **changes: Any) -> Message:
        """Nobody can say whether the phone was rung."""
        changes |= {"error": fault.as_dict(), "look_at": message.called_at, "updated_at": self._clock()}
        return self._written(message, State.UNKNOWN, changes)

    def refused(self, message: Message, fault: Fault) -> Message:
        """Never rung; but where this was a redial the first call may have rung, so that nobody can say."""
        if message.redials:
            return self.unknown(message, _first_call_may_have_rung(fault))
        error = fault.as_dict()
        changes = {"vendor": fault.vendor, "error": error, "look_at": None, "updated_at": self._clock()}
        return self._written(message, State.REJECTED, changes)

    def released(self, message: Message, fault: Fault) -> Message:
        """Provably not rung, and it may be later. A redial that rang nobody is none: unknown as before."""
        if message.redials:
            return self.redial_undone(message, fault)
        changes = {"error": fault.as_dict(), "look_at": message.expires_at, "updated_at": self._clock()}
        return self._written(message, State.RELEASED, changes)

    def redial_undone(self, message: Message, fault: Fault) -> Message:
        """Unknown as before, and still to be redialled: the call just tried provably rang nobody."""
        undone = {"redials": 0, "vendor": message.earlier_vendor, "earlier_vendor": None, "redialled_at": None}
        return self.unknown(message, _first_call_may_have_rung(fault), **undone)

    def claim_undone(self, claimed: Message, fault: Fault) -> None:
        """Releases a claim of which nobody knows whether it was applied: nobody else would know that it never rang."""
        now = self._clock()
        free = claimed.but(
            state=State.RELEASED, lease=None, look_at=claimed.expires_at, error=fault.as_dict(), updated_at=now
        )
        try:
            with suppress(Changed):  # not ours, or something surer is there
                self._store.put_released(free)
        except AwsUnavailable as error:
            self._kept(Kind.RELEASE, letters.release(free), str(error))

    def give_up(self, seen: Message) -> Message:
        """A call whose lease is over. Raises Changed, AwsUnavailable."""
        return self._settling.give_up(seen, self._clock())

    def _written(self, message: Message, state: State, changes: dict[str, Any], *, meets: bool = False) -> Message:
        """Writes the outcome, or keeps it in the outbox; with neither, the lease runs out and a receipt may tell."""
        try:
            return self._settling.outcome(message, state, changes)
        except AwsUnavailable as error:
            self._kept(Kind.OUTCOME, letters.outcome(message, state, changes, meets=meets), str(error))
            return message.but(state=state, **changes)

    def _kept(self, kind: Kind, content: letters.Content, why: str) -> None:
        try:
            self._outbox.keep(kind, content)
        except AwsUnavailable as error:
            what = {"kind": kind, "message_id": content["message"]["message_id"], "why": why, "outbox": str(error)}
            log.error("neither table nor outbox", extra=what)


def not_handed_over(message: Message, why: str) -> Fault:
    return Fault(Code.VENDOR_UNAVAILABLE, f"not handed over: {why}", message.vendor)


def try_later(message: Message, fault: Fault, now: float) -> TryLater:
    """What is raised where nothing was rung: its text is the result, as JSON."""
    return later(message.but(state=State.RELEASED, error=fault.as_dict(), updated_at=now))


def later(message: Message) -> TryLater:
    return TryLater(json.dumps(reply.result(message), ensure_ascii=False))


def _first_call_may_have_rung(fault: Fault) -> Fault:
    why = f"the first call may have rung; the second did not: {fault.message}"
    return Fault(Code.OUTCOME_UNKNOWN, why, fault.vendor, fault.vendor_code, fault.vendor_message)
