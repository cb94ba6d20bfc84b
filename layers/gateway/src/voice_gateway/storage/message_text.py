"""A message as JSON: what the outbox and the lanes carry of it."""

from dataclasses import asdict
from typing import Any

from voice_gateway.model.message import Message, State
from voice_gateway.model.sequence import Sequence, rings_from_json, rings_to_json
from voice_gateway.model.stored import known_fields


def message_fields(message: Message) -> dict[str, Any]:
    """Its fields, less those that are empty."""
    fields = {**asdict(message), "receipts": sorted(message.receipts), "past": rings_to_json(message.past)}
    fields["sequence"] = message.sequence.to_json() if message.sequence else None
    return {name: value for name, value in fields.items() if value is not None}


def message_of_fields(fields: dict[str, Any]) -> Message:
    """The message of such fields, which another release may have written. Raises KeyError, TypeError, ValueError."""
    found = known_fields(Message, fields)
    found |= {"state": State(found["state"]), "receipts": frozenset(found["receipts"])}
    found["callees"], found["past"] = tuple(found.get("callees", ())), rings_from_json(found.get("past", "[]"))
    if "sequence" in found:
        found["sequence"] = Sequence.from_json(found["sequence"])
    return Message(**found)
