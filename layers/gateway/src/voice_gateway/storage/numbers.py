"""What concerns a number: the index ``number`` (its keyed hash, newest first), and ``NUMBER#<hash>#<message id>``.

A message is in the index under the first of its numbers. The numbers that it goes on to have an item each, which is
there before that number is rung. A receipt that waits for its message is there under the number that it names.

The index shows of a message what a list needs: ``st``, ``vendor``, ``template``, ``callees`` and ``updated_at``.
"""

from collections.abc import Iterator
from typing import NamedTuple

from voice_gateway.model.message import Message
from voice_gateway.storage.table import NUMBER, SCHEMA, Table

_END_OF_TIME = 1e10


class Entry(NamedTuple):
    """What is in the index: a message by its id, or a waiting receipt by its call id and vendor."""

    message_id: str | None = None
    vendor: str = ""
    call_id: str = ""


class Numbers:
    """The index by number. Every method raises AwsUnavailable."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def note(self, message: Message, number_hash: str, now: float) -> None:
        """Writes that the message is about to ring this number, which is not its first."""
        pk = f"NUMBER#{number_hash}#{message.message_id}"
        found = {"number": number_hash, "number_at": now, "message": message.message_id, "ttl": message.ttl}
        self._table.put({"pk": pk, "v": SCHEMA, **found}, "")

    def of(self, number_hash: str, since: float) -> Iterator[Entry]:
        """What concerns a number and was put there since; it may be a moment behind."""
        for item in self._table.query(NUMBER, number_hash, since, _END_OF_TIME):
            kind, _, rest = item["pk"].partition("#")
            if kind == "CALL":
                vendor, _, call_id = rest.partition("#")
                yield Entry(vendor=vendor, call_id=call_id)
            else:
                yield Entry(message_id=rest if kind == "MSG" else rest.partition("#")[2])
