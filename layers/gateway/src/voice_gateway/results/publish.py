"""What ``publish`` does: sends every change that a caller must learn of to the results topic, at least once.

It reads the table's stream. A record that cannot be published goes to the outbox, so that it does not block the others.
Only if that fails too it is reported to Lambda, which hands it over again.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from voice_gateway.model.errors import AwsUnavailable
from voice_gateway.model.message import FINAL, TOLD_BY_RECEIPT, Message, State
from voice_gateway.model.moving_on import with_current_ring
from voice_gateway.model.result import Result, attributes, log_fields, published
from voice_gateway.platform import aws
from voice_gateway.platform.observability import Record, emit, log
from voice_gateway.storage.lanes import Lanes
from voice_gateway.storage.message_item import message_of
from voice_gateway.storage.outbox import Outbox

_TOLD = FINAL | {State.ACCEPTED, State.UNKNOWN}
"""States that are published; the others are intermediate."""
_CLOCKS_APART = 5.0
"""Seconds by which another function's clock may be ahead of this one's."""


class Publisher:
    """Publishes results, and hands a sequence's next ring over at once, where its time has come with the change."""

    def __init__(
        self, results: aws.Topic, lanes: Lanes, outbox: Outbox, clock: Callable[[], float] = time.time
    ) -> None:
        self._results = results
        self._lanes = lanes
        self._outbox = outbox
        self._clock = clock

    def publish(self, event: dict[str, Any], record: Record) -> dict[str, Any]:
        """Handles a batch of stream records; returns those that must be handed over again.

        Raises AwsUnavailable if all of them must be.
        """
        failed = []
        for change in event["Records"]:
            try:
                self._one(change["dynamodb"], record)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                # Handing it over again would not help, and would block the records after it.
                log.error("a record that cannot be read", extra={"why": type(error).__name__})
                record.count("Unreadable")
            except AwsUnavailable as error:
                log.error("neither topic nor outbox", extra={"why": str(error)})
                failed.append({"itemIdentifier": change["dynamodb"]["SequenceNumber"]})
        if failed and len(failed) == len(event["Records"]):
            raise AwsUnavailable("sns and sqs: nothing of the batch could be published")
        return {"batchItemFailures": failed}

    def _one(self, change: dict[str, Any], record: Record) -> None:
        new, old = change.get("NewImage"), change.get("OldImage")
        if new is None or not new["pk"]["S"].startswith("MSG#"):
            return
        message, before = message_of(new), message_of(old) if old is not None else None
        if not _is_news(before, message):
            return
        result = published(message)
        # One message a line, so that it is found by its id: the first in the invocation's own, each further in another.
        line = Record() if "message_id" in record.fields else record
        line.note(**log_fields(result))
        line.count("Published", 0)
        try:
            self._tell(message, result, line)
            if message.state is State.DUE and (message.deferred_until or 0) <= self._clock() + _CLOCKS_APART:
                self._next_ring(message, line)
            _count_outcome(before, message, line)  # not before: a record that comes again would count twice
        finally:
            if line is not record:
                emit("publish", line)

    def _tell(self, message: Message, result: Result, line: Record) -> None:
        if message.state is State.UNKNOWN:
            line.count("OutcomeUnknown")
        try:
            self._results.publish(json.dumps(result, ensure_ascii=False), attributes(result, bulk=message.bulk))
            line.count("Published")
        except AwsUnavailable:
            self._outbox.keep_result(result, bulk=message.bulk)

    def _next_ring(self, message: Message, line: Record) -> None:
        """Hands it to ``send``, which decides, as for any message that is due. If this fails, ``sweep`` does it."""
        try:
            if self._lanes.hand_over([message]):
                line.count("NextRing")
        except AwsUnavailable as error:
            log.warning(
                "the next ring waits for the sweep", extra={"message_id": message.message_id, "why": str(error)}
            )


def _count_outcome(old: Message | None, new: Message, line: Record) -> None:
    """Counts what became of a call, under its vendor; where no call is what changed, of the message, under ``none``."""
    before, rings = with_current_ring(old) if old else (), with_current_ring(new)
    changed = [ring for at, ring in enumerate(rings) if at >= len(before) or ring.status != before[at].status]
    for ring in changed:
        if ring.status in _TOLD:
            line.count_of_vendor(ring.vendor or "none", ring.status.title())
        if ring.status in TOLD_BY_RECEIPT:
            line.by_vendor["RingToReceiptSeconds"] = max(0.0, round(new.updated_at - ring.at, 3))
    if not changed and new.state in _TOLD:
        line.count_of_vendor("none", new.state.title())


def _is_news(old: Message | None, new: Message) -> bool:
    """Whether callers must learn of a change: a state that is told, or the end of a ring."""
    if old is not None and new.past != old.past:
        return True
    if new.state not in _TOLD:
        return old is None and bool(new.past)
    # A refused request may take the place of another, which is news as well.
    refused_anew = old is not None and new.state is State.REJECTED and old.attempt != new.attempt
    return old is None or old.state is not new.state or refused_anew
