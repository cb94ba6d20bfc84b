"""Messages, ``MSG#<message id>``: who may ring, what came of it, and which receipt stands (docs/protocol.md).

If you change a condition here, a test should fail. Every write raises MessageChanged if its condition does not hold,
and AwsUnavailable if DynamoDB does not answer.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.message import DEFERRED, FINAL, Message, State
from voice_gateway.model.moving_on import after_outcome, cancelled, looks_at_unknown
from voice_gateway.model.receipt import Receipt
from voice_gateway.platform.observability import log
from voice_gateway.storage.message_item import (
    ATTRIBUTES,
    differences,
    item_of,
    kind_of,
    look_of,
    message_of_item,
    past_as,
    past_of,
    stored,
)
from voice_gateway.storage.table import (
    EARLIER,
    SHARDS,
    WORK,
    Change,
    ConditionFailed,
    Item,
    Table,
    listed,
    work_key,
)

MOST_RECEIPTS = 8
"""How many distinct receipts are kept for one message, and for one call id."""


_RELEASED = (
    *("state", "lease", "error", "retries", "deferred_until", "updated_at"),
    *("ring", "vendor", "call_id", "linked_by", "reason", "receipt"),
)
"""What is written of a message whose ring did not begin."""


class MessageChanged(Exception):
    """The message is not as the write needs it; ``message`` is how it is, or None if there is none."""

    def __init__(self, old: Item | None) -> None:
        super().__init__("the message is not as this write needs it")
        self.old = old

    @property
    def message(self) -> Message | None:
        return None if self.old is None else message_of_item(self.old)


class Messages:
    """The messages in the calls table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, message_id: str) -> Message | None:
        old = self._table.get(f"MSG#{message_id}")
        return None if old is None else message_of_item(old)

    def in_state(self, state: State, until: float) -> Iterator[Message]:
        """Messages of a state that are to be looked at by then; the index may be a moment behind."""
        return (message for shard in range(SHARDS) for message in self.in_shard(state, shard, until))

    def in_shard(self, state: State, shard: int, until: float, *, bulk: bool = False) -> Iterator[Message]:
        """Those of them in one of the :data:`SHARDS` parts of the index. Deferred ones are there by their lane."""
        for old in self._table.query(WORK, work_key(kind_of(state, bulk=bulk), shard), 0, until):
            message = message_of_item(old)
            if message.state is state:
                yield message
            else:  # an earlier release, which does not know this index, wrote last
                self._relist(message)

    # Until the next release: what an earlier one stored, and a running one of it still writes.

    def adopt(self, state: State, until: float) -> Iterator[Message]:
        """Brings the messages of a state out of the earlier release's index into those of today, one at a time."""
        for old in self._table.query(EARLIER, state, 0, until):
            message = message_of_item(old)
            self._relist(message)
            yield message

    def _relist(self, seen: Message) -> None:
        look_at = seen.look_at
        if seen.state in FINAL or seen.state is State.UNKNOWN:
            look_at = looks_at_unknown(seen) if seen.state is State.UNKNOWN else None
        elif seen.deferred_until is None and seen.state is State.RELEASED:
            look_at = seen.updated_at  # before there were retries, others were to hand it over again
        at = seen.number_at or seen.called_at or seen.updated_at
        number = {"number": seen.number or seen.number_hash, "number_at": at} if seen.number_hash else {}
        try:
            self._change(
                seen.message_id,
                number,
                "#st = :seen AND #attempt = :mine",
                look_of(seen.but(look_at=look_at)),
                seen=seen.state,
                mine=seen.attempt,
            )
        except MessageChanged:
            return  # whoever wrote it meanwhile has listed it

    # Writes of the sender.

    def put_new(self, message: Message) -> None:
        """Claims, rejects, defers or expires a message that is not there yet."""
        self._put(message, "attribute_not_exists(#pk)")

    def put_in_place_of(self, refused: Message, message: Message) -> None:
        """Puts a message where a bad request was stored, if that still is as it was seen: for it nobody was called."""
        self._put(
            message,
            "#st = :rejected AND #attempt = :seen AND attribute_not_exists(#called_at)"
            " AND attribute_not_exists(#receipts)",
            rejected=State.REJECTED,
            seen=refused.attempt,
        )

    def release(self, message: Message) -> Message:
        """Stores that nothing rang: undoes this attempt's claim, or puts a message that is not there yet.

        Returns the message as it then is. What was cancelled meanwhile is not tried again.
        """
        try:
            return self._change(
                message.message_id,
                {name: getattr(message, name) for name in _RELEASED},
                "#st = :calling AND #attempt = :mine AND attribute_not_exists(#no_more)",
                look_of(message),
                calling=State.CALLING,
                mine=message.attempt,
            )
        except MessageChanged as changed:
            seen = changed.message
        if seen is None:
            self.put_new(message)
            return message
        if seen.state is State.CALLING and seen.attempt == message.attempt:
            return self.advance(seen, cancelled(seen, message.updated_at))
        return seen

    def take_over(self, seen: Message, moved: Message) -> Message:
        """Moves a message on, if it still is as it was seen, and nobody called off what follows."""
        return self._change(
            seen.message_id,
            differences(seen, moved),
            f"#st = :seen AND #attempt = :old AND attribute_not_exists(#no_more) AND {past_as(seen)}",
            look_of(moved),
            seen=seen.state,
            old=seen.attempt,
            **past_of(seen),
        )

    def advance(self, seen: Message, moved: Message, receipt: Receipt | None = None) -> Message:
        """As :meth:`take_over`; but the end of what is under way may be written also after what follows was called off.

        A ``receipt`` is kept in the same write.
        """
        follows = " AND attribute_not_exists(#no_more)" if moved.state is State.DUE else ""
        return self._change(
            seen.message_id,
            differences(seen, moved),
            f"#st = :seen AND #attempt = :old AND {past_as(seen)}{follows}",
            look_of(moved),
            receipt.text if receipt else None,
            seen=seen.state,
            old=seen.attempt,
            **past_of(seen),
        )

    def fail_over(self, message: Message, vendor: str, lease: float, now: float) -> Message:
        """Writes the next vendor, before it is called."""
        return self._change(
            message.message_id,
            {"vendor": vendor, "lease": lease, "updated_at": now},
            "#st = :calling AND #attempt = :mine",
            (State.CALLING, lease),
            calling=State.CALLING,
            mine=message.attempt,
        )

    def record_outcome(self, message: Message, state: State, changes: Mapping[str, Any]) -> Message:
        """Writes a call's outcome, if nothing surer is there; returns what is there then.

        A definite outcome may replace the ``unknown`` that a sweep wrote for the same attempt: it is the late truth.
        A refusal that moves a sequence on does so in the same write.
        """
        values = {"mine": message.attempt or "", "calling": State.CALLING}
        if state in {State.ACCEPTED, State.REJECTED}:
            when, values = "#attempt = :mine AND #st IN (:calling, :unknown)", values | {"unknown": State.UNKNOWN}
        else:
            when = "#attempt = :mine AND #st = :calling"
        seen = message
        for _ in range(4):
            ended = seen.but(**changes, state=state, lease=None)
            moved = after_outcome(ended, changes["updated_at"])
            follows, past = "", dict[str, str]()
            if moved.state in DEFERRED:
                follows, past = f" AND attribute_not_exists(#no_more) AND {past_as(seen)}", past_of(seen)
            sets = {**changes, "lease": None, **differences(ended, moved), "state": moved.state}
            try:
                return self._change(message.message_id, sets, when + follows, look_of(moved), **values, **past)
            except MessageChanged as changed:
                if changed.message is None:
                    log.error("a message vanished while it was being sent", extra={"message_id": message.message_id})
                    return message
                seen = changed.message
                if not follows or seen.attempt != message.attempt or seen.state not in values.values():
                    return seen
        return seen

    # Writes about what a sender left behind.

    def give_up(self, seen: Message, now: float) -> Message:
        """Makes a stale ``calling`` ``unknown``, if its attempt and its lease are still those seen.

        The lease's holder died, perhaps after the vendor took the call.
        """
        why = "the function ended while it was calling; nobody can say whether the phone was rung"
        fault = Fault(Code.OUTCOME_UNKNOWN, why, seen.vendor)
        given = seen.but(state=State.UNKNOWN, error=fault.as_dict(), lease=None, updated_at=now)
        return self._change(
            seen.message_id,
            differences(seen, given),
            "#st = :calling AND #attempt = :old AND #lease = :seen",
            (State.UNKNOWN, looks_at_unknown(given)),
            calling=State.CALLING,
            old=seen.attempt,
            seen=seen.lease,
        )

    def touch(self, seen: Message, changes: Mapping[str, Any]) -> Message:
        """Notes something about a message whose state and attempt stay."""
        return self._change(
            seen.message_id,
            changes,
            "#st = :seen AND #attempt = :mine",
            look_of(seen.but(look_at=changes["look_at"])) if "look_at" in changes else None,
            seen=seen.state,
            mine=seen.attempt,
        )

    # Receipts.

    def settle(self, message_id: str, receipt: Receipt, linked_by: str, now: float) -> Message:
        """Applies a receipt to a message of one call that has no final state yet.

        One request, and nothing read before. What a receipt means to a sequence, or after a redial, depends on the
        message as it is: see :meth:`advance`.
        """
        changes = {
            "state": receipt.state,
            "vendor": receipt.vendor,
            **({"call_id": receipt.call_id} if receipt.call_id else {}),
            "linked_by": linked_by,
            "reason": receipt.reason,
            "receipt": receipt.as_dict(),
            "error": None,
            "lease": None,
            "deferred_until": None,
            "unlinked": 0,
            "ring": 1,
            "updated_at": now,
        }
        open_ones = f"NOT #st IN ({', '.join(f':final{at}' for at in range(len(FINAL)))})"
        return self._change(
            message_id,
            changes,
            f"attribute_exists(#pk) AND attribute_not_exists(#sequence) AND attribute_not_exists(#first_attempt)"
            f" AND {open_ones}",
            (receipt.state, None),
            receipt.text,
            **{f"final{at}": state for at, state in enumerate(sorted(FINAL))},
        )

    def keep_later(self, message_id: str, receipt: Receipt, rings: int) -> Message:
        """Keeps a receipt beside the one that stands, while there is room; each of the ``rings`` has one."""
        return self._change(
            message_id,
            {},
            "attribute_exists(#pk) AND (attribute_not_exists(#receipts) OR size(#receipts) < :most)",
            receipt=receipt.text,
            most=MOST_RECEIPTS + rings,
        )

    def _put(self, message: Message, when: str, **values: Any) -> None:
        item = item_of(message)
        try:
            self._table.put(item, when, **values)
        except ConditionFailed as failed:
            raise MessageChanged(failed.old) from None

    def _change(
        self,
        message_id: str,
        changes: Mapping[str, Any],
        when: str,
        look: tuple[str, float | None] | None = None,
        receipt: str | None = None,
        **values: Any,
    ) -> Message:
        """``look`` is what it is in the index then, and when ``sweep`` looks at it; None leaves both as they are."""
        pk = f"MSG#{message_id}"
        sets = {ATTRIBUTES[name]: stored(name, value) for name, value in changes.items() if name != "look_at"}
        change = Change(sets | (listed(pk, *look) if look else {}), receipt=receipt)
        try:
            return message_of_item(self._table.update(pk, change, when, **values))
        except ConditionFailed as failed:
            raise MessageChanged(failed.old) from None
