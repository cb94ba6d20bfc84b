"""Call ids, ``CALL#<vendor>#<call id>``: each links a message and its receipts, in any order (docs/protocol.md).

Every conditional write raises CallIdChanged if its condition does not hold; each method raises AwsUnavailable if
DynamoDB does not answer.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from voice_gateway.model.message import Message
from voice_gateway.model.receipt import Receipt, read_receipt
from voice_gateway.model.stored import known_fields
from voice_gateway.storage.messages import MOST_RECEIPTS
from voice_gateway.storage.table import (
    EARLIER,
    SCHEMA,
    SHARDS,
    WORK,
    Change,
    ConditionFailed,
    Item,
    Table,
    listed,
    work_key,
)


@dataclass(frozen=True)
class CallId:
    """A vendor's call id, with the id of its message and the receipts that came for it, as far as they are known.

    ``waiting`` (epoch seconds) is when the first receipt without a message came, ``marked_at`` when it was marked.
    ``attempt`` is that of the call: it names the ring.
    ``nhash`` and ``rhash``, the hashes of the message's and the first receipt's number, are only compared. Receipts are
    canonical JSON; ``receipt`` is the first that came.
    """

    vendor: str
    call_id: str
    message: str | None = None
    attempt: str | None = None
    nhash: str | None = None
    receipt: str | None = None
    rhash: str | None = None
    receipts: frozenset[str] = frozenset()
    waiting: float | None = None
    marked_at: float | None = None

    def fits(self, receipt: Receipt) -> bool:
        """Whether a receipt is for the number that the message rang, as far as both are known."""
        return not (self.nhash and receipt.number_hash) or self.nhash == receipt.number_hash

    @property
    def fitting(self) -> list[Receipt]:
        """The receipts that fit, the one that came first before the others."""
        texts = sorted(self.receipts, key=lambda text: (text != self.receipt, text))
        return [receipt for receipt in map(read_receipt, texts) if self.fits(receipt)]

    @property
    def since(self) -> float:
        """When the first receipt came."""
        return self.waiting or 0.0

    @property
    def marked(self) -> float:
        """When it was marked as waiting: later than it came, if it lay in the outbox."""
        return self.marked_at or self.since


class CallIdChanged(Exception):
    """The call id is not as the write needs it; ``call_id`` is how it is."""

    def __init__(self, old: Item | None) -> None:
        super().__init__("the call id is not as this write needs it")
        self.old = old

    @property
    def call_id(self) -> CallId:
        return _call_id(self.old or {})


class CallIds:
    """The call ids in the calls table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, vendor: str, call_id: str) -> CallId | None:
        item = self._table.get(_pk(vendor, call_id))
        return None if item is None else _call_id(item)

    def record_receipt(self, receipt: Receipt, ttl: int) -> CallId:
        """Writes a receipt to its call id; the first one stands. A full set changes nothing."""
        text = receipt.text
        try:
            return self._change(
                receipt.vendor,
                receipt.call_id or "",
                first={"receipt": text, "rhash": receipt.number_hash, "ttl": ttl},
                add_receipt=text,
                when="attribute_not_exists(#receipts) OR contains(#receipts, :text) OR size(#receipts) < :most",
                text=text,
                most=MOST_RECEIPTS,
            )
        except CallIdChanged as full:
            return full.call_id

    def mark_waiting(self, at: CallId, now: float, since: float) -> CallId:
        """Marks a receipt without a message, so that ``sweep`` finds it. Fails if a message was linked meanwhile."""
        look = listed(_pk(at.vendor, at.call_id), _WAITING, now)
        return self._change(
            at.vendor,
            at.call_id,
            first={"waiting": since, "marked_at": now, **look, "number": at.rhash, "number_at": since},
            when="attribute_not_exists(#message)",
        )

    def link(self, vendor: str, call_id: str, message: Message) -> CallId:
        """Links the call id to its message. Fails if it is linked to another."""
        return self._change(
            vendor,
            call_id,
            sets={
                "message": message.message_id,
                "attempt": message.attempt,
                "nhash": message.number_hash,
                "ttl": message.ttl,
            },
            when="attribute_not_exists(#message) OR #message = :mine",
            mine=message.message_id,
        )

    def unmark(self, at: CallId) -> None:
        """Takes a receipt whose message was found out of the indexes."""
        names = ("waiting", "marked_at", "st", "look_at", "work", "work_at", "number", "number_at")
        self._change(at.vendor, at.call_id, sets=dict.fromkeys(names), when="")

    def look_again(self, at: CallId, when: float | None) -> None:
        """Sets when a waiting receipt is looked at next; None: never more, though its number still leads to it."""
        look = listed(_pk(at.vendor, at.call_id), _WAITING, when)
        with suppress(CallIdChanged):  # its message was found meanwhile
            self._change(at.vendor, at.call_id, sets=look, when="attribute_exists(#waiting)")

    def waiting(self, until: float) -> Iterator[CallId]:
        """The call ids whose receipts wait, and are to be looked at by then."""
        for shard in range(SHARDS):
            yield from (_call_id(old) for old in self._table.query(WORK, work_key(_WAITING, shard), 0, until))

    def adopt(self, until: float) -> Iterator[CallId]:
        """Brings waiting receipts out of the earlier release's index into those of today, one at a time."""
        for old in self._table.query(EARLIER, _WAITING, 0, until):
            at = _call_id(old)
            look = listed(old["pk"], _WAITING, old["look_at"]) | {"marked_at": old["look_at"], "st": None}
            number = {"number": at.rhash, "number_at": at.since}
            with suppress(CallIdChanged):
                self._change(at.vendor, at.call_id, sets=look | number, when="attribute_exists(#waiting)")
            yield at

    def _change(
        self,
        vendor: str,
        call_id: str,
        *,
        sets: Mapping[str, Any] | None = None,
        first: Mapping[str, Any] | None = None,
        add_receipt: str | None = None,
        when: str,
        **values: Any,
    ) -> CallId:
        """``first`` sets only what is not there yet."""
        fixed = {"vendor": vendor, "call_id": call_id, "v": SCHEMA}
        change = Change({**fixed, **(sets or {})}, first or {}, receipt=add_receipt)
        try:
            return _call_id(self._table.update(_pk(vendor, call_id), change, when, **values))
        except ConditionFailed as failed:
            raise CallIdChanged(failed.old) from None


_WAITING = "waiting"
"""What the index ``work`` has in place of a message's state."""


def _pk(vendor: str, call_id: str) -> str:
    return f"CALL#{vendor}#{call_id}"


def _call_id(item: Item) -> CallId:
    found = known_fields(CallId, item)
    return CallId(**{**found, "receipts": frozenset(found.get("receipts", ()))})
