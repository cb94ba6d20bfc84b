"""A message as an item of the calls table, and back; and what a write of one says in its condition and its changes."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from voice_gateway.model.message import DEFERRED, Message, State
from voice_gateway.model.sequence import Sequence, rings_from_json, rings_to_json
from voice_gateway.storage.table import SCHEMA, Item, listed, plain


def message_of(image: Mapping[str, Any]) -> Message:
    """The message of a stream record's image, in DynamoDB's own JSON."""
    return message_of_item(plain(image))


ATTRIBUTES = {field.name: field.name for field in fields(Message)} | {
    "state": "st",
    "number_hash": "nhash",
    "look_at": "work_at",
}
"""Each field's attribute; three are named otherwise, as the protocol's expressions have them."""


def kind_of(state: State, *, bulk: bool) -> str:
    """What the index ``work`` has of a message."""
    return f"{state}-bulk" if bulk and state in DEFERRED else str(state)


def look_of(message: Message) -> tuple[str, float | None]:
    return kind_of(message.state, bulk=message.bulk), message.look_at


_AS_TEXT: Mapping[str, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    "past": (rings_to_json, rings_from_json),
    "sequence": (Sequence.to_json, Sequence.from_json),
    "callees": (",".join, lambda text: tuple(text.split(","))),
}
"""Fields that are kept as one text, so that a condition can compare them."""
_NOT_CHANGED = frozenset({"message_id", "dry_run", "receipts", "look_at"})


def stored(name: str, value: Any) -> Any:
    """A field's value as the item has it; what is empty is not there."""
    if value in (None, "", (), frozenset()) or value is False:
        return None
    return _AS_TEXT[name][0](value) if name in _AS_TEXT else value


def differences(seen: Message, moved: Message) -> dict[str, Any]:
    """The fields in which the two differ, as ``moved`` has them."""
    pairs = ((name, getattr(seen, name), getattr(moved, name)) for name in ATTRIBUTES if name not in _NOT_CHANGED)
    return {name: new for name, old, new in pairs if old != new}


def past_as(seen: Message) -> str:
    """The condition that the past rings are as they were seen: a late receipt may have changed one meanwhile."""
    return "#past = :past" if seen.past else "attribute_not_exists(#past)"


def past_of(seen: Message) -> dict[str, str]:
    return {"past": rings_to_json(seen.past)} if seen.past else {}


def item_of(message: Message) -> Item:
    item = {attribute: stored(name, getattr(message, name)) for name, attribute in ATTRIBUTES.items()}
    item = {name: value for name, value in item.items() if value is not None}
    del item["message_id"]
    pk = f"MSG#{message.message_id}"
    return {"pk": pk, "v": SCHEMA, **item, **listed(pk, *look_of(message))}


def message_of_item(item: Item) -> Message:
    """Attributes that a later version added are ignored; what an earlier one did not write has its default."""
    found = {name: item[attribute] for name, attribute in ATTRIBUTES.items() if attribute in item}
    found |= {name: _AS_TEXT[name][1](text) for name, text in found.items() if name in _AS_TEXT}
    found |= {"look_at": item["look_at"]} if "look_at" in item else {}  # an earlier release wrote it last
    found["message_id"] = item["pk"].removeprefix("MSG#")
    found["state"] = State(found["state"])
    found["receipts"] = frozenset(found.get("receipts", ()))
    message = Message(**found)
    if "ring" not in found and message.called_at and message.state not in DEFERRED:
        return message.but(ring=1)  # an earlier version did not count rings
    return message
