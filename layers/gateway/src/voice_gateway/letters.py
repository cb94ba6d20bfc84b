"""What the outbox holds, kind by kind: how a write that failed is put into words, and what ``sweep`` then writes."""

import json
from contextlib import suppress
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from voice_gateway import reply
from voice_gateway.aws import Topic
from voice_gateway.model import Message, Receipt, State
from voice_gateway.settling import Settling
from voice_gateway.store import Changed, Store, known, read_receipt, receipt_text

Content = dict[str, Any]


class Kind(StrEnum):
    OUTCOME = "outcome"
    RELEASE = "release"
    RECEIPT = "receipt"
    RESULT = "result"


def outcome(message: Message, state: State, changes: Content, *, meets: bool) -> Content:
    """An outcome that could not be written; an accepted one is linked first where receipts meet at the call id.

    Without the request: number and text are in the message's item already.
    """
    return {"message": _portable(message.but(request="")), "state": state, "changes": changes, "meets": meets}


def release(message: Message) -> Content:
    """A claim of which nobody knows whether it was applied, as it is to be: released."""
    return {"message": _portable(message)}


def receipt(came: Receipt, rhash: str | None, message_id: str | None, ttl: int, came_at: float) -> Content:
    """A receipt that could not be written; without the number. ``came_at`` tells whose call it may belong to."""
    return {"receipt": receipt_text(came), "rhash": rhash, "message_id": message_id, "ttl": ttl, "came_at": came_at}


def result(content: Content) -> Content:
    """A result that could not be published."""
    return {"result": content}


class Letters:
    """Applies letters, each under the same conditions as the write that failed. Raises AwsUnavailable."""

    def __init__(self, store: Store, settling: Settling, results: Topic) -> None:
        self._store = store
        self._settling = settling
        self._results = results

    def apply(self, kind: str, content: Content, now: float) -> None:
        match Kind(kind):
            case Kind.OUTCOME:
                self._outcome(content, now)
            case Kind.RELEASE:
                self._release(content)
            case Kind.RECEIPT:
                self._receipt(content, now)
            case Kind.RESULT:
                told = content["result"]
                self._results.publish(json.dumps(told, ensure_ascii=False), reply.attributes(told))

    def _outcome(self, content: Content, now: float) -> None:
        message, state, changes = _message(content["message"]), State(content["state"]), content["changes"]
        if state is State.ACCEPTED and content["meets"]:
            self._settling.meet(message, changes["vendor"], changes["call_id"], now)
        self._settling.outcome(message, state, changes)

    def _release(self, content: Content) -> None:
        with suppress(Changed):  # something surer may be there by now
            self._store.put_released(_message(content["message"]))

    def _receipt(self, content: Content, now: float) -> None:
        came = read_receipt(content["receipt"])
        if content["message_id"]:
            self._settling.of_message(content["message_id"], came, "token", now)
        else:
            came_at = float(content.get("came_at", now))  # an earlier version's letters lack it
            self._settling.at_call_id(came, content["rhash"], content["ttl"], now, came_at)


def _portable(message: Message) -> Content:
    fields = {**asdict(message), "receipts": sorted(message.receipts)}
    return {name: value for name, value in fields.items() if value is not None}


def _message(fields: Content) -> Message:
    found = known(Message, fields)
    return Message(**{**found, "state": State(found["state"]), "receipts": frozenset(found["receipts"])})
