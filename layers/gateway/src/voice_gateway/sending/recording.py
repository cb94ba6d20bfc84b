"""Writes what came of a call: to the table, or else to the outbox, under the protocol's conditions.

Whatever happens, the state says what is known, and no more (docs/protocol.md, Sending, step 5).
"""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from voice_gateway.model.errors import AwsUnavailable, TryLater
from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.message import DEFERRED, Message, State
from voice_gateway.model.moving_on import after_outcome, escalates_at, released
from voice_gateway.model.result import to_json
from voice_gateway.platform.observability import log
from voice_gateway.platform.settings import Settings
from voice_gateway.receipts.settling import Settling
from voice_gateway.storage.calls_table import CallsTable
from voice_gateway.storage.messages import MessageChanged
from voice_gateway.storage.outbox import Kind, Outbox
from voice_gateway.vendors.common.base import Vendor


class Rung(NamedTuple):
    """What came of calling: ``state`` is the one to write, ``fault`` says why it is not ``accepted``."""

    message: Message
    state: State
    fault: Fault | None = None
    vendor: Vendor | None = None
    call_id: str = ""


class Recorder:
    """Writes outcomes. Each method returns the message as it then is: if a receipt was quicker, its result stands."""

    def __init__(
        self, settings: Settings, table: CallsTable, outbox: Outbox, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._messages = table.messages
        self._outbox = outbox
        self._clock = clock
        self._settling = Settling(table.messages, table.call_ids)

    def record(self, rung: Rung) -> Message:
        """Writes one of the four outcomes of a call."""
        if rung.vendor:
            return self._accepted(rung.message, rung.vendor, rung.call_id)
        assert rung.fault  # noqa: S101 -- a promise to the type checker: only an accepted call has none
        if rung.state is State.UNKNOWN:
            return self._unknown(rung.message, rung.fault)
        if rung.message.redials:
            return self._redial_rang_nobody(rung.message, rung.fault, undone=rung.state is State.RELEASED)
        changes = {"error": rung.fault.as_dict(), "updated_at": self._clock()}
        if rung.state is State.RELEASED:
            return self._write(rung.message, State.RELEASED, changes)
        return self._write(rung.message, State.REJECTED, changes | {"vendor": rung.fault.vendor, "look_at": None})

    def put_off(self, message: Message, why: str) -> Message:
        """Stores that nothing rang, so that it is tried again; returns the message as it then is.

        Whether this attempt's claim was applied is not known: if it was, it is undone. Raises TryLater if neither the
        table nor the outbox took it.
        """
        fault = not_handed_over(message, why)
        if message.redials:
            return self._redial_rang_nobody(message, fault, undone=True)
        put_off = released(message.but(error=fault.as_dict()), self._clock())
        try:
            return self._messages.release(put_off)
        except MessageChanged as changed:  # another's, or a surer state is there
            return changed.message or put_off
        except AwsUnavailable as error:
            if not self._keep(Kind.RELEASE, message, str(error), partial(self._outbox.keep_release, put_off)):
                raise TryLater(to_json(put_off)) from None
            return put_off

    def put_off_again(self, seen: Message, why: str) -> Message:
        """The same of a message that is stored, and whose time had come: it gets another. Returns it as it is then."""
        now = self._clock()
        if seen.state not in DEFERRED or (seen.deferred_until or 0) > now:
            return seen
        again = released(seen.but(error=not_handed_over(seen, why).as_dict()), now)
        with suppress(MessageChanged, AwsUnavailable):  # then it is as it was, and the sweep has it
            return self._messages.advance(seen, again.but(state=seen.state))
        return seen

    def _accepted(self, message: Message, vendor: Vendor, call_id: str) -> Message:
        """The vendor took the call. If its receipts name the call id only, the call id is linked first."""
        now = self._clock()
        changes = {
            "vendor": vendor.name,
            "call_id": call_id,
            "error": None,
            "look_at": min(now + self._settings.query_times[0], escalates_at(message) or math.inf),
            "updated_at": now,
        }
        if vendor.callback_per_call:
            return self._write(message, State.ACCEPTED, changes)
        try:
            settled = self._settling.link(message, vendor.name, call_id, now)
        except AwsUnavailable as error:
            # To the outbox first: the table may take long to fail again, and the entry links the call id as well.
            self._keep_outcome(message, State.ACCEPTED, changes, str(error), meets=True)
            settled = None
        return settled or self._write(message, State.ACCEPTED, changes, meets=True)

    def _unknown(self, message: Message, fault: Fault, **changes: Any) -> Message:
        """It is not known whether the phone was rung."""
        changes |= {"error": fault.as_dict(), "updated_at": self._clock()}
        return self._write(message, State.UNKNOWN, changes)

    def _redial_rang_nobody(self, message: Message, fault: Fault, *, undone: bool) -> Message:
        """Unknown as before, because the first call may have rung. An undone redial will be made again."""
        why = f"the first call may have rung; the second did not: {fault.message}"
        both = Fault(Code.OUTCOME_UNKNOWN, why, fault.vendor, fault.vendor_code, fault.vendor_message)
        as_before = {"redials": 0, "vendor": message.earlier_vendor, "earlier_vendor": None, "redialled_at": None}
        return self._unknown(message, both, **(as_before if undone else {}))

    def _write(self, message: Message, state: State, changes: dict[str, Any], *, meets: bool = False) -> Message:
        """Writes the outcome, or keeps it in the outbox. If both fail, the lease runs out; a receipt may still tell.

        Raises TryLater if it is not kept that nothing rang.
        """
        try:
            return self._messages.record_outcome(message, state, changes)
        except AwsUnavailable as error:
            kept = self._keep_outcome(message, state, changes, str(error), meets=meets)
            ended = after_outcome(message.but(state=state, lease=None, **changes), self._clock())
            if not kept and state is State.RELEASED:
                raise TryLater(to_json(ended)) from None
            return ended

    def _keep_outcome(self, message: Message, state: State, changes: dict[str, Any], why: str, *, meets: bool) -> bool:
        keep = partial(self._outbox.keep_outcome, message, state, changes, meets=meets)
        return self._keep(Kind.OUTCOME, message, why, keep)

    @staticmethod
    def _keep(kind: Kind, message: Message, why: str, keep: Callable[[], None]) -> bool:
        """Whether the outbox took it. What it did not take either is logged."""
        try:
            keep()
        except AwsUnavailable as error:
            about = {"kind": kind, "message_id": message.message_id, "why": why, "outbox": str(error)}
            log.error("neither table nor outbox", extra=about)
            return False
        return True


def not_handed_over(message: Message, why: str) -> Fault:
    return Fault(Code.VENDOR_UNAVAILABLE, f"not handed over: {why}", message.vendor)
