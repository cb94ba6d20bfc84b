"""Messages, ``MSG#<message id>``: who may ring, what came of it, and which receipt stands (docs/protocol.md).

If you change a condition here, a test should fail. Every write raises MessageChanged if its condition does not hold,
and AwsUnavailable if DynamoDB does not answer.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.message import DEFERRED, FINAL, Message, State
from voice_gateway.model.moving_on import after_outcome, cancelled
from voice_gateway.model.receipt import Receipt
from voice_gateway.model.sequence import Sequence, rings_from_json, rings_to_json
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

    def release(self, message: Message) -> Message:
        """Stores that nothing rang: undoes this attempt's claim, or puts a message that is not there yet.

        Returns the message as it then is. What was cancelled meanwhile is not tried again.
        """
        try:
            return self._change(
                message.message_id,
                {name: getattr(message, name) for name in _RELEASED},
                "#st = :calling AND #attempt = :mine AND attribute_not_exists(#no_more)",
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
            _differences(seen, moved),
            f"#st = :seen AND #attempt = :old AND attribute_not_exists(#no_more) AND {_past_as(seen)}",
            seen=seen.state,
            old=seen.attempt,
            **_past_of(seen),
        )

    def advance(self, seen: Message, moved: Message, receipt: Receipt | None = None) -> Message:
        """As :meth:`take_over`; but the end of what is under way may be written also after what follows was called off.

        A ``receipt`` is kept in the same write.
        """
        follows = " AND attribute_not_exists(#no_more)" if moved.state is State.DUE else ""
        return self._change(
            seen.message_id,
            _differences(seen, moved),
            f"#st = :seen AND #attempt = :old AND {_past_as(seen)}{follows}",
            receipt.text if receipt else None,
            seen=seen.state,
            old=seen.attempt,
            **_past_of(seen),
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
                follows, past = f" AND attribute_not_exists(#no_more) AND {_past_as(seen)}", _past_of(seen)
            sets = {**changes, "lease": None, **_differences(ended, moved), "state": moved.state}
            try:
                return self._change(message.message_id, sets, when + follows, **values, **past)
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
            "look_at": None,
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
            add_receipt=receipt.text,
            **{f"final{at}": state for at, state in enumerate(sorted(FINAL))},
        )

    def keep_later(self, message_id: str, receipt: Receipt, rings: int) -> Message:
        """Keeps a receipt beside the one that stands, while there is room; each of the ``rings`` has one."""
        return self._change(
            message_id,
            {},
            "attribute_exists(#pk) AND (attribute_not_exists(#receipts) OR size(#receipts) < :most)",
            add_receipt=receipt.text,
            most=MOST_RECEIPTS + rings,
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
        sets = {_ATTRIBUTES.get(name, name): _stored(name, value) for name, value in changes.items()}
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
_RELEASED = (
    *("state", "lease", "error", "retries", "deferred_until", "look_at", "updated_at"),
    *("ring", "vendor", "call_id", "linked_by", "reason", "receipt"),
)
"""What is written of a message whose ring did not begin."""
_AS_TEXT: Mapping[str, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    "past": (rings_to_json, rings_from_json),
    "sequence": (Sequence.to_json, Sequence.from_json),
    "callees": (",".join, lambda text: tuple(text.split(","))),
}
"""Fields that are kept as one text, so that a condition can compare them."""
_NOT_CHANGED = frozenset({"message_id", "dry_run", "receipts"})


def _stored(name: str, value: Any) -> Any:
    """A field's value as the item has it; what is empty is not there."""
    if value in (None, "", (), frozenset()) or value is False:
        return None
    return _AS_TEXT[name][0](value) if name in _AS_TEXT else value


def _differences(seen: Message, moved: Message) -> dict[str, Any]:
    """The fields in which the two differ, as ``moved`` has them."""
    pairs = ((name, getattr(seen, name), getattr(moved, name)) for name in _ATTRIBUTES if name not in _NOT_CHANGED)
    return {name: new for name, old, new in pairs if old != new}


def _past_as(seen: Message) -> str:
    """The condition that the past rings are as they were seen: a late receipt may have changed one meanwhile."""
    return "#past = :past" if seen.past else "attribute_not_exists(#past)"


def _past_of(seen: Message) -> dict[str, str]:
    return {"past": rings_to_json(seen.past)} if seen.past else {}


def _item(message: Message) -> Item:
    item = {attribute: _stored(name, getattr(message, name)) for name, attribute in _ATTRIBUTES.items()}
    item = {name: value for name, value in item.items() if value is not None}
    del item["message_id"]
    return {"pk": f"MSG#{message.message_id}", "v": SCHEMA, **item}


def _message(item: Item) -> Message:
    """Attributes that a later version added are ignored; what an earlier one did not write has its default."""
    found = {name: item[attribute] for name, attribute in _ATTRIBUTES.items() if attribute in item}
    found |= {name: _AS_TEXT[name][1](text) for name, text in found.items() if name in _AS_TEXT}
    found["message_id"] = item["pk"].removeprefix("MSG#")
    found["state"] = State(found["state"])
    found["receipts"] = frozenset(found.get("receipts", ()))
    message = Message(**found)
    if "ring" not in found and message.called_at and message.state not in DEFERRED:
        return message.but(ring=1)  # an earlier version did not count rings
    return message
