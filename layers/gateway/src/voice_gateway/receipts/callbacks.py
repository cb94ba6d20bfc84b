"""What the callback functions do: verify, read, settle, and only then acknowledge (docs/protocol.md, Receipts).

A request without a good token costs no request to AWS but for the key, and learns nothing. A receipt with a good token
is never lost: it goes to the table, or else to the outbox. What cannot be read is kept, raw, in the dead-letter queue.
"""

import time
from collections.abc import Callable
from typing import Any

from voice_gateway import vendors
from voice_gateway.model.errors import AwsUnavailable, BadToken, SettingsError
from voice_gateway.model.receipt import Receipt
from voice_gateway.platform.callback_tokens import CallbackKeys, CallToken, Keyring
from voice_gateway.platform.observability import Record, emit, log
from voice_gateway.platform.settings import Settings
from voice_gateway.receipts.http import HttpResponse, Pushed, response
from voice_gateway.receipts.reading import receipts
from voice_gateway.receipts.settling import Settling
from voice_gateway.receipts.verifying import Verifier
from voice_gateway.storage.dead_letters import DeadLetters
from voice_gateway.storage.outbox import Outbox

LARGEST_BODY = 65536
"""Most bytes of a callback's body, decoded."""


class Callbacks:
    """Takes one vendor's callbacks."""

    def __init__(
        self,
        vendor: str,
        settings: Settings,
        keys: CallbackKeys,
        settling: Settling,
        outbox: Outbox,
        dead_letters: DeadLetters,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._vendor = vendors.vendor(vendor)
        self._settings = settings
        self._verifier = Verifier(self._vendor, keys)
        self._settling = settling
        self._outbox = outbox
        self._dead_letters = dead_letters
        self._clock = clock

    def receive(self, event: dict[str, Any], record: Record) -> HttpResponse:
        """Answers one HTTP request of API Gateway's proxy integration. Never raises: the vendor pushes again on 500."""
        now, pushed = self._clock(), Pushed(event)
        record.note(vendor=self._vendor.name)
        try:
            keyring, token = self._verifier.verified(pushed.token, now)
        except BadToken as error:
            record.note(refused=str(error))
            record.count("BadToken")
            return response(404)
        except (AwsUnavailable, SettingsError) as error:
            return self._not_kept("the callback key could not be read", error, record)
        if token is not None:
            record.note(message_id=token.message_id)
        if len(pushed.body) > LARGEST_BODY:
            record.count("TooLarge")
            return response(413)
        try:
            self._keep(pushed, keyring, token, now, record)
        except AwsUnavailable as error:
            return self._not_kept("a callback could not be kept", error, record)
        return response(200, self._vendor.acknowledgement, self._vendor.acknowledgement_type)

    def _keep(self, pushed: Pushed, keyring: Keyring, token: CallToken | None, now: float, record: Record) -> None:
        """Keeps every receipt in it. Raises AwsUnavailable if neither table nor queue took one."""
        if pushed.empty:  # somebody asks whether there is anybody
            record.count("Probe")
            return
        found, unreadable = receipts(self._vendor, pushed, keyring.number_hash)
        table_answers = True
        for at, receipt in enumerate(found):
            # One receipt a line, so that it is found by its call id: the first in the invocation's own.
            line = record if at == 0 else Record()
            line.note(vendor=self._vendor.name, message_id=token and token.message_id)
            try:
                table_answers = self._settle(receipt, token, now, line, to_table=table_answers)
            finally:
                if line is not record:
                    emit(f"callback_{self._vendor.name}", line)
        if unreadable is not None:
            record.count("Unreadable")
            self._dead_letters.keep(
                f"unreadable callback of {self._vendor.name}: {unreadable}",
                {"message_id": token and token.message_id, "attempt": token and token.attempt, **pushed.as_it_came()},
            )

    def _settle(self, receipt: Receipt, token: CallToken | None, now: float, record: Record, *, to_table: bool) -> bool:
        """Whether the table took it; otherwise the outbox did.

        A table that hangs takes the function's time: once it failed, the push's other receipts go to the outbox.
        """
        record.note(call_id=receipt.call_id, code=receipt.code, reason=receipt.reason, status=str(receipt.state))
        ttl = int(now) + self._settings.retention_seconds
        try:
            if not to_table:
                raise AwsUnavailable("dynamodb: it failed for this push before")
            if token is not None:
                settled = self._settling.of_message(token.message_id, receipt, "token", now, token.attempt)
            else:
                settled = self._settling.of_call_id(receipt, ttl, now, now)
        except AwsUnavailable:
            message_id, attempt = (token.message_id, token.attempt) if token else (None, None)
            self._outbox.keep_receipt(receipt, message_id, attempt, ttl, now)
            record.note(receipt="outbox")
            record.count("ReceiptOutbox")
            return False
        record.note(receipt=str(settled))
        record.count(f"Receipt{settled.title()}")
        return True

    @staticmethod
    def _not_kept(what: str, error: Exception, record: Record) -> HttpResponse:
        log.error(what, extra={"why": str(error)})
        record.count("NotKept")
        return response(500)
