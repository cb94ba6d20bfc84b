"""Applies the outbox: each entry under the same conditions as the write that failed."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from voice_gateway.model.message import State
from voice_gateway.model.receipt import read_receipt
from voice_gateway.model.result import attributes
from voice_gateway.platform import aws
from voice_gateway.platform.observability import Invocation
from voice_gateway.receipts.settling import Settling
from voice_gateway.storage.calls_table import CallsTable
from voice_gateway.storage.dead_letters import DeadLetters
from voice_gateway.storage.message_text import message_of_fields
from voice_gateway.storage.messages import MessageChanged
from voice_gateway.storage.outbox import Content, Entry, Kind, Outbox
from voice_gateway.sweeping.common import TIME_KEPT


class OutboxApplier:
    """Empties the outbox."""

    def __init__(
        self,
        table: CallsTable,
        outbox: Outbox,
        dead_letters: DeadLetters,
        settling: Settling,
        results: aws.Topic,
        clock: Callable[[], float],
    ) -> None:
        self._messages = table.messages
        self._outbox = outbox
        self._dead_letters = dead_letters
        self._settling = settling
        self._results = results
        self._clock = clock

    def apply_all(self, invocation: Invocation) -> None:
        """Raises AwsUnavailable: then the entry stays in the queue, and the others would fail too."""
        for entry in self._outbox.entries():
            self._apply_or_bury(entry)
            self._outbox.done(entry)
            invocation.record.count("Applied")
            if invocation.remaining() < TIME_KEPT:
                return

    def apply(self, kind: Kind, content: Content) -> None:
        """Applies one entry's content. Raises AwsUnavailable; AttributeError, KeyError, TypeError, ValueError."""
        now = self._clock()
        match kind:
            case Kind.OUTCOME:
                self._apply_outcome(content, now)
            case Kind.RELEASE:
                with suppress(MessageChanged):  # a surer state may be there by now
                    self._messages.release(message_of_fields(content["message"]))
            case Kind.RECEIPT:
                self._apply_receipt(content, now)
            case Kind.RESULT:
                told: dict[str, Any] = content["result"]
                self._results.publish(
                    json.dumps(told, ensure_ascii=False), attributes(told, bulk=content.get("bulk") is True)
                )

    def _apply_or_bury(self, entry: Entry) -> None:
        try:
            self.apply(*entry.read())
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            why = f"an outbox entry that cannot be applied: {type(error).__name__}"
            self._dead_letters.keep(why, {"entry": entry.body})

    def _apply_outcome(self, content: Content, now: float) -> None:
        message, state, changes = message_of_fields(content["message"]), State(content["state"]), content["changes"]
        if state is State.ACCEPTED and content["meets"]:
            self._settling.link(message, changes["vendor"], changes["call_id"], now)
        self._messages.record_outcome(message, state, changes)

    def _apply_receipt(self, content: Content, now: float) -> None:
        # An earlier version's entries have the number's hash beside the receipt only.
        found = read_receipt(content["receipt"])
        receipt = replace(found, number_hash=content["rhash"], message_id=content.get("own_id"))
        if content["message_id"]:
            self._settling.of_message(content["message_id"], receipt, "token", now, content.get("attempt"))
        else:
            came_at = float(content.get("came_at", now))  # an earlier version's entries lack it
            self._settling.of_call_id(receipt, content["ttl"], now, came_at)
