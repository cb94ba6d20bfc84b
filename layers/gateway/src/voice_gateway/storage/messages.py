"""Messages, ``MSG#<message id>``: who may ring, what came of it, and which receipt stands (docs/protocol.md).

If you change a condition here, a test should fail. Every write raises MessageChanged if its condition does not hold,
and AwsUnavailable if DynamoDB does not answer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.message import FINAL, Message, State
from voice_gateway.model.receipt import Receipt
from voice_gateway.platform.observability import log
from voice_gateway.storage.table import SCHEMA, Change, ConditionFailed, Item, Table, plain

MOST_RECEIPTS = 8
"""How many distinct receipts are kept for one message, and for one call id."""


class MessageChanged(Exception):
    """The message is not as the write needs it; ``message`` is how it is, or None if there is none."""

    def __init__(self, old: Item | None) -> None:
        super().__init__("the message is not as this write needs it")
        self.old = old

    @property
    def message(self) -> Message | None:
        return None if self.old is None else _message(self.old)


class Messages:
    """The messages in the calls table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, message_id: str) -> Message | None:
        old = self._table.get(f"MSG#{message_id}")
        return None if old is None else _message(old)

    def in_state(self, state: State, until: float, since: float = 0) -> Iterator[Message]:
        """Messages of a state whose ``look_at`` is between the two; the index may be a moment behind."""
        return (_message(old) for old in self._table.query(state, since, until))

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

    def put_released(self, message: Message) -> None:
        """Undoes a claim whose reply was lost, if it was applied at all."""
        self._put(
            message,
            "attribute_not_exists(#pk) OR (#st = :calling AND #attempt = :mine)",
            calling=State.CALLING,
            mine=message.attempt,
        )

    def take_over(self, seen: Message, changes: Mapping[str, Any]) -> Message:
        """Moves a message on, if it still is as it was seen."""
        return self._change(
            seen.message_id, changes, "#st = :seen AND #attempt = :old", seen=seen.state, old=seen.attempt
        )

    def fail_over(self, message: Message, vendor: str, lease: float, now: float) -> Message:
        """Writes the next vendor, before it is called."""
        changes = {"vendor": vendor, "lease": lease, "look_at": lease, "updated_at": now}
        return self._change(
            message.message_id,
            changes,
            "#st = :calling AND #attempt = :mine",
            calling=State.CALLING,
            mine=message.attempt,
        )

    def record_outcome(self, message: Message, state: State, changes: Mapping[str, Any]) -> Message:
        """Writes a call's outcome, if nothing surer is there; returns what is there then.

        A definite outcome may replace the ``unknown`` that a sweep wrote for the same attempt: it is the late truth.
        """
        values = {"mine": message.attempt or "", "calling": State.CALLING}
        if state in {State.ACCEPTED, State.REJECTED}:
            when, values = "#attempt = :mine AND #st IN (:calling, :unknown)", values | {"unknown": State.UNKNOWN}
        else:
            when = "#attempt = :mine AND #st = :calling"
        try:
            return self._change(message.message_id, {**changes, "state": state, "lease": None}, when, **values)
        except MessageChanged as changed:
            if changed.message is None:
                log.error("a message vanished while it was being sent", extra={"message_id": message.message_id})
                return message
            return changed.message

    # Writes about what a sender left behind.

    def give_up(self, seen: Message, now: float) -> Message:
        """Makes a stale ``calling`` ``unknown``, if its attempt and its lease are still those seen.

        The lease's holder died, perhaps after the vendor took the call.
        """
        why = "the function ended while it was calling; nobody can say whether the phone was rung"
        fault = Fault(Code.OUTCOME_UNKNOWN, why, seen.vendor)
        changes = {"error": fault.as_dict(), "look_at": seen.called_at, "updated_at": now}
        return self._change(
            seen.message_id,
            {**changes, "state": State.UNKNOWN, "lease": None},
            "#st = :calling AND #attempt = :old AND #lease = :seen",
            calling=State.CALLING,
            old=seen.attempt,
            seen=seen.lease,
        )

    def touch(self, seen: Message, changes: Mapping[str, Any]) -> Message:
        """Notes something about a message whose state and attempt stay."""
        return self._change(
            seen.message_id, changes, "#st = :seen AND #attempt = :mine", seen=seen.state, mine=seen.attempt
        )

    # Receipts.

    def settle(self, message_id: str, receipt: Receipt, linked_by: str, now: float) -> Message:
        """Applies a receipt to a message that has no final state yet."""
        changes = {
            "state": receipt.state,
            "vendor": receipt.vendor,
            **({"call_id": receipt.call_id} if receipt.call_id else {}),
            "linked_by": linked_by,
            "reason": receipt.reason,
            "receipt": receipt.as_dict(),
            "error": None,
            "lease": None,
            "look_at": None,
            "deferred_until": None,
            "unlinked": 0,
            "updated_at": now,
        }
        return self._change(
            message_id,
            changes,
            f"attribute_exists(#pk) AND NOT #st IN ({', '.join(f':final{at}' for at in range(len(FINAL)))})",
            add_receipt=receipt.text,
            **{f"final{at}": state for at, state in enumerate(sorted(FINAL))},
        )

    def keep_later(self, message_id: str, receipt: Receipt) -> Message:
        """Keeps a receipt beside the one that stands, while there is room."""
        return self._change(
            message_id,
            {},
            "attribute_exists(#pk) AND (attribute_not_exists(#receipts) OR size(#receipts) < :most)",
            add_receipt=receipt.text,
            most=MOST_RECEIPTS,
        )

    def _put(self, message: Message, when: str, **values: Any) -> None:
        item = _item(message)
        try:
            self._table.put(item, when, **values)
        except ConditionFailed as failed:
            raise MessageChanged(failed.old) from None

    def _change(
        self, message_id: str, changes: Mapping[str, Any], when: str, add_receipt: str | None = None, **values: Any
    ) -> Message:
        sets = {_ATTRIBUTES.get(name, name): value for name, value in changes.items()}
        change = Change(sets, receipt=add_receipt)
        try:
            return _message(self._table.update(f"MSG#{message_id}", change, when, **values))
        except ConditionFailed as failed:
            raise MessageChanged(failed.old) from None


def message_of(image: Mapping[str, Any]) -> Message:
    """The message of a stream record's image, in DynamoDB's own JSON."""
    return _message(plain(image))


_ATTRIBUTES = {field.name: field.name for field in fields(Message)} | {"state": "st", "number_hash": "nhash"}
"""Each field's attribute; two are named otherwise, as the protocol's expressions have them."""


def _item(message: Message) -> Item:
    item = {attribute: getattr(message, name) for name, attribute in _ATTRIBUTES.items()}
    item = {name: value for name, value in item.items() if value is not None and value != frozenset()}
    del item["message_id"], item["dry_run"]
    return {"pk": f"MSG#{message.message_id}", "v": SCHEMA, **item}


def _message(item: Item) -> Message:
    """Attributes that a later version added are ignored; what an earlier one did not write has its default."""
    found = {name: item[attribute] for name, attribute in _ATTRIBUTES.items() if attribute in item}
    found["message_id"] = item["pk"].removeprefix("MSG#")
    found["state"] = State(found["state"])
    found["receipts"] = frozenset(found.get("receipts", ()))
    return Message(**found)
