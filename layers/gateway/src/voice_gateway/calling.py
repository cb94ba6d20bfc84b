"""One call by one vendor: the address of its own, the one request, and its outcome of four."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from voice_gateway import numbers
from voice_gateway.errors import AwsUnavailable
from voice_gateway.exchange import over
from voice_gateway.model import Code, Message, Outcome, Refused, Request
from voice_gateway.observability import Record
from voice_gateway.routing import Carrier
from voice_gateway.secrets import Secrets
from voice_gateway.settings import Settings
from voice_gateway.signatures import CallToken, Keyring
from voice_gateway.vendors.base import Credentials, Exchange, Vendor

WRITES_SECONDS = 10.0
"""Time that is kept for what must still be written after a call: one request to a DynamoDB that hangs through its
three tries takes about 8 s, and then the outbox takes it."""


@dataclass(frozen=True)
class Invocation:
    """One invocation's means: the seconds that it has left, and the line that it will write of itself."""

    remaining: Callable[[], float]
    record: Record


class Caller:
    """Places calls."""

    def __init__(self, settings: Settings, secrets: Secrets, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._secrets = secrets
        self._clock = clock

    def time_for_a_call(self, invocation: Invocation) -> bool:
        """Whether a call can be made and its outcome still be written before the function's time is over."""
        return invocation.remaining() >= self._settings.vendor_deadline_seconds + WRITES_SECONDS

    def keyring(self) -> Keyring:
        """Raises AwsUnavailable, SettingsError."""
        return Keyring.from_secret(self._secrets.text(self._settings.callback_secret))

    def number_hash(self, mobile: str) -> str:
        """What stands for a number in keys. Raises AwsUnavailable, SettingsError."""
        return numbers.keyed_hash(self.keyring().number_key, mobile)

    def credentials(self, vendor: Vendor, *, anew: bool = False) -> Credentials | None:
        """The vendor's credentials, or None where it is not configured. Raises AwsUnavailable."""
        if not self._settings.has(vendor.name):
            return None
        return self._secrets.fields(self._settings.vendor(vendor.name).secret, vendor.credentials, anew=anew)

    def exchange(self, vendor: Vendor) -> Exchange:
        """One request at a time to the vendor's endpoint, each within the deadline."""
        return over(self._settings.vendor(vendor.name).endpoint, self._settings.vendor_deadline_seconds)

    def place(self, request: Request, message: Message, carrier: Carrier, invocation: Invocation) -> Outcome:
        """Makes one request; a second one only where the first was refused for credentials that changed meanwhile."""
        vendor = carrier.vendor
        call = replace(
            carrier.call,
            mobile=request.mobile,
            play_times=request.play_times,
            notify_data=request.notify_data,
            notify_url=self._address(vendor, message),
        )
        exchange = self.exchange(vendor)
        started = time.perf_counter()
        outcome = vendor.submit(call, carrier.credentials, exchange, self._clock())
        if isinstance(outcome, Refused) and outcome.code is Code.CREDENTIALS_REFUSED:
            fresh = self._changed(carrier)
            if fresh is not None and self.time_for_a_call(invocation):
                outcome = vendor.submit(call, fresh, exchange, self._clock())
        invocation.record.note(vendor=vendor.name, vendor_ms=round((time.perf_counter() - started) * 1000))
        return outcome

    def _changed(self, carrier: Carrier) -> Credentials | None:
        try:
            fresh = self.credentials(carrier.vendor, anew=True)
        except AwsUnavailable:
            return None
        return fresh if fresh != carrier.credentials else None

    def _address(self, vendor: Vendor, message: Message) -> str | None:
        """Where this one call's receipt is to be pushed; good for as long as the message is kept."""
        if self._settings.poll or not vendor.own_address:
            return None
        token = CallToken(message.message_id, message.attempt or "", message.ttl or 0)
        signed = self.keyring().call_token(vendor.name, token)
        return f"{self._settings.callback_base_url}/callbacks/{vendor.name}/{signed}"
