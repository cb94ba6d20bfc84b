"""The call itself: one vendor after the other, each only where the one before provably did not ring.

Each call is one request and has one of four outcomes (docs/protocol.md, The call). If the vendor takes an address for
the call's receipt, the request carries one.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from voice_gateway.model.call import Accepted, NotSent, Outcome, RefusalClass, Refused, Unknown
from voice_gateway.model.errors import AwsUnavailable
from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.message import LEASE_SECONDS, Message, State
from voice_gateway.platform.callback_tokens import CallToken
from voice_gateway.platform.observability import Invocation
from voice_gateway.platform.settings import Settings
from voice_gateway.sending.claiming import TOO_LITTLE_TIME, Claim
from voice_gateway.sending.pacing import Pacing
from voice_gateway.sending.recording import Rung, not_handed_over
from voice_gateway.sending.routing import Carrier, Resting
from voice_gateway.storage.calls_table import CallsTable
from voice_gateway.storage.quotas import Counted


class Caller:
    """Places calls. One for each process: it remembers which vendors rest."""

    def __init__(
        self,
        settings: Settings,
        table: CallsTable,
        callback_address: Callable[[str, CallToken], str | None],
        resting: Resting,
        pacing: Pacing,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._messages = table.messages
        self._quotas = table.quotas
        self._callback_address = callback_address
        self._resting = resting
        self._pacing = pacing
        self._clock = clock
        if not settings.poll:
            _ = settings.callback_base_url  # a bad address shows before anything is claimed, not after

    def ring(self, claim: Claim, invocation: Invocation) -> Rung:
        """Calls the claim's carriers in order. Raises MessageChanged if the message is no longer ours."""
        message = claim.message
        if not self._time_for_a_call(invocation):  # the claim took too long
            return Rung(message, State.RELEASED, not_handed_over(message, TOO_LITTLE_TIME))
        faults: list[Fault] = []
        passing = False
        for carrier in claim.carriers:
            if faults:
                try:
                    moved = self._fail_over(message, carrier, invocation)
                except AwsUnavailable:
                    passing = True
                    break
                if moved is None:
                    faults.append(carrier.cap_reached)
                    continue
                message = moved
            outcome = self.place(message, carrier, invocation)
            if isinstance(outcome, Accepted):
                return Rung(message, State.ACCEPTED, vendor=carrier.vendor, call_id=outcome.call_id)
            faults.append(_fault(carrier, outcome))
            if isinstance(outcome, Unknown):
                return Rung(message, State.UNKNOWN, faults[-1])
            invocation.record.note(not_taken=", ".join(fault.briefly for fault in faults))
            if isinstance(outcome, Refused) and outcome.refusal is RefusalClass.FINAL:
                return Rung(message, State.REJECTED, faults[-1])
            if isinstance(outcome, Refused) and outcome.refusal is RefusalClass.NEXT:
                self._resting.rest(carrier.vendor.name, self._settings.vendor_rest_seconds)
            passing |= isinstance(outcome, NotSent) or outcome.refusal is RefusalClass.TRANSIENT
        return Rung(message, State.RELEASED if passing else State.REJECTED, faults[0])

    def _fail_over(self, message: Message, carrier: Carrier, invocation: Invocation) -> Message | None:
        """Writes the next vendor before it is called; None if its cap is reached.

        Raises AwsUnavailable, also if too little time is left, or there is no slot; MessageChanged if the message is no
        longer ours.
        """
        if self._pacing.wait_for_slot(carrier.vendor.name, bulk=message.bulk) is not None:
            raise AwsUnavailable("there is no slot for a call to another vendor")
        if not self._time_for_a_call(invocation):
            raise AwsUnavailable("too little time is left for another vendor")
        now = self._clock()
        counted = self._quotas.count(carrier.quota, now)
        if counted is Counted.FULL:
            return None
        if counted is Counted.STALE:
            self._quotas.renew(carrier.quota, now)
        return self._messages.fail_over(message, carrier.vendor.name, now + LEASE_SECONDS, now)

    def place(self, message: Message, carrier: Carrier, invocation: Invocation) -> Outcome:
        """Makes one request; a second one only if the first was refused for credentials that have changed since."""
        vendor = carrier.vendor
        call = replace(carrier.call, notify_url=self._address(message, carrier))
        exchange = carrier.account.exchange()
        started = time.perf_counter()
        outcome = vendor.submit(call, carrier.credentials, exchange, self._clock())
        if isinstance(outcome, Refused) and outcome.code is Code.CREDENTIALS_REFUSED:
            fresh = carrier.account.changed_credentials(carrier.credentials)
            if fresh is not None and self._time_for_a_call(invocation):
                outcome = vendor.submit(call, fresh, exchange, self._clock())
        invocation.record.note(vendor=vendor.name, vendor_ms=round((time.perf_counter() - started) * 1000))
        return outcome

    def _address(self, message: Message, carrier: Carrier) -> str | None:
        """Where this one call's receipt is to be pushed; good for as long as the message is kept."""
        if not carrier.vendor.callback_per_call:
            return None
        token = CallToken(message.message_id, message.attempt or "", message.ttl or 0)
        return self._callback_address(carrier.vendor.name, token)

    def _time_for_a_call(self, invocation: Invocation) -> bool:
        return invocation.remaining() >= self._settings.seconds_for_a_call


def _fault(carrier: Carrier, outcome: Refused | NotSent | Unknown) -> Fault:
    name = carrier.vendor.name
    match outcome:
        case Refused(_, code, vendor_code, text):
            return Fault(code, f"{name} refused the call", name, vendor_code, text)
        case NotSent(why):
            return Fault(Code.VENDOR_UNAVAILABLE, f"{name} could not be reached: {why}", name)
        case Unknown(why, vendor_code, text):
            why = f"{name}: {why}; nobody can say whether the phone was rung"
            return Fault(Code.OUTCOME_UNKNOWN, why, name, vendor_code, text)
