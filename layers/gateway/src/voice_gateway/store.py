"""The calls table: every write the protocol knows, each one conditional write of a single item (docs/protocol.md).

Four kinds of item share the key ``pk``: ``MSG#<message id>`` a message, ``CALL#<vendor>#<call id>`` the point where
message and receipt meet, ``QUOTA#<vendor>#<line>#<number hash>`` a number's latest calls, ``BALANCE#<vendor>`` the
state of a vendor's credit. The sparse index ``sweep`` (``st``, ``look_at``) holds what somebody must look at again.

Every method raises AwsUnavailable where DynamoDB did not answer: then nobody knows whether a write was applied.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal
from enum import Enum, auto
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from voice_gateway import aws
from voice_gateway.errors import AwsUnavailable
from voice_gateway.model import FINAL, Message, Receipt, State

INDEX = "sweep"
SCHEMA = 1
"""The version of the items' shape, kept in each as ``v``."""
MOST_RECEIPTS = 8
"""Distinct receipts that are kept of one call, and of one message."""
DAY = 86400

Item = dict[str, Any]
Balance = dict[str, Any]


class Counted(Enum):
    """What became of counting a call in a number's quota."""

    NEW = auto()
    AGAIN = auto()
    """This message was counted a moment ago: the same attempt."""
    STALE = auto()
    """This message was counted at an earlier attempt; its time is to be set to that of this one before it rings."""
    FULL = auto()


@dataclass(frozen=True)
class Quota:
    """One number's quota at one vendor's line. ``key`` names the message, with ``#2`` for a redial."""

    vendor: str
    line: str
    number_hash: str
    key: str
    cap: int

    @property
    def pk(self) -> str:
        return f"QUOTA#{self.vendor}#{self.line}#{self.number_hash}"


@dataclass(frozen=True)
class Meeting:
    """Where a call id, its message and its receipts meet; any of them may come first.

    ``waiting`` is since when (epoch seconds) a receipt has waited for a message, ``look_at`` since when it has done so
    here. The hashes of the message's and the first receipt's number, ``nhash`` and ``rhash``, are only there to be
    compared.
    """

    vendor: str
    call_id: str
    message: str | None = None
    nhash: str | None = None
    receipt: str | None = None
    rhash: str | None = None
    receipts: frozenset[str] = frozenset()
    waiting: float | None = None
    look_at: float | None = None

    def fits(self, receipt: Receipt) -> bool:
        """Whether a receipt is for the number that the message rang, as far as both are known."""
        return not (self.nhash and receipt.number_hash) or self.nhash == receipt.number_hash

    @property
    def fitting(self) -> list[Receipt]:
        """The receipts that fit, the one that came first before the others."""
        texts = sorted(self.receipts, key=lambda text: (text != self.receipt, text))
        return [receipt for receipt in map(read_receipt, texts) if self.fits(receipt)]


class Changed(Exception):
    """A condition did not hold; ``old`` is the item as it is, or None where there is none."""

    def __init__(self, old: Item | None) -> None:
        super().__init__("a condition did not hold")
        self.old = old

    @property
    def message(self) -> Message | None:
        return None if self.old is None else _message(self.old)

    @property
    def meeting(self) -> Meeting:
        return _meeting(self.old or {})


def receipt_text(receipt: Receipt) -> str:
    """A receipt in canonical JSON, without the number: equal texts are the same receipt pushed again."""
    public = {name: value for name, value in asdict(receipt).items() if name != "mobile"}
    return json.dumps(public, sort_keys=True, ensure_ascii=False)


def read_receipt(text: str) -> Receipt:
    return Receipt(**known(Receipt, json.loads(text)))


def known(kind: type[Message | Receipt | Meeting], found: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that this version knows: while a deployment goes on, a later one writes as well."""
    return {name: found[name] for name in kind.__dataclass_fields__ if name in found}


class Store:
    """The table, and what may be written into it when. Holds no state of its own."""

    def __init__(self, table: str) -> None:
        self._table = table

    # Messages, as a sender writes them.

    def message(self, message_id: str) -> Message | None:
        old = self._get(f"MSG#{message_id}")
        return None if old is None else _message(old)

    def put_new(self, message: Message) -> None:
        """Claims, rejects, defers or expires a message that is not there yet. Raises Changed with what is there."""
        self._put(_item(message), "attribute_not_exists(#pk)")

    def put_released(self, message: Message) -> None:
        """Undoes a claim of which nobody knows whether it was applied. Raises Changed."""
        self._put(
            _item(message),
            "attribute_not_exists(#pk) OR (#st = :calling AND #attempt = :mine)",
            calling=State.CALLING,
            mine=message.attempt,
        )

    def take_over(self, seen: Message, changes: Mapping[str, Any]) -> Message:
        """Moves a message on, if it still is as it was seen. Raises Changed."""
        return self._change_message(
            seen.message_id, changes, "#st = :seen AND #attempt = :old", seen=seen.state, old=seen.attempt
        )

    def fail_over(self, message: Message, vendor: str, lease: float, now: float) -> Message:
        """Writes the next vendor down before it is called. Raises Changed."""
        changes = {"vendor": vendor, "lease": lease, "look_at": lease, "updated_at": now}
        return self._change_message(
            message.message_id,
            changes,
            "#st = :calling AND #attempt = :mine",
            calling=State.CALLING,
            mine=message.attempt,
        )

    def outcome(self, message_id: str, attempt: str, state: State, changes: Mapping[str, Any]) -> Message:
        """Writes a call's outcome, if nothing surer is there. Raises Changed.

        A definite outcome may replace the ``unknown`` that a sweep made of the same attempt, for it is the late truth.
        """
        definite = state in {State.ACCEPTED, State.REJECTED}
        return self._change_message(
            message_id,
            {**changes, "state": state, "lease": None},
            "#attempt = :mine AND #st IN (:calling, :unknown)" if definite else "#attempt = :mine AND #st = :calling",
            mine=attempt,
            calling=State.CALLING,
            **({"unknown": State.UNKNOWN} if definite else {}),
        )

    def give_up(self, seen: Message, changes: Mapping[str, Any]) -> Message:
        """Makes a stale ``calling`` ``unknown``, if its attempt and its lease are still those seen. Raises Changed."""
        return self._change_message(
            seen.message_id,
            {**changes, "state": State.UNKNOWN, "lease": None},
            "#st = :calling AND #attempt = :old AND #lease = :seen",
            calling=State.CALLING,
            old=seen.attempt,
            seen=seen.lease,
        )

    def touch(self, seen: Message, changes: Mapping[str, Any]) -> Message:
        """Notes something about a message whose state and attempt stay. Raises Changed."""
        return self._change_message(
            seen.message_id, changes, "#st = :seen AND #attempt = :mine", seen=seen.state, mine=seen.attempt
        )

    # Receipts.

    def settle(self, message_id: str, receipt: Receipt, linked_by: str, now: float) -> Message:
        """Applies a receipt to a message that has no final state yet. Raises Changed."""
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
        return self._change_message(
            message_id,
            changes,
            f"attribute_exists(#pk) AND NOT #st IN ({', '.join(f':final{at}' for at in range(len(FINAL)))})",
            add_receipt=receipt_text(receipt),
            **{f"final{at}": state for at, state in enumerate(sorted(FINAL))},
        )

    def keep_later(self, message_id: str, receipt: Receipt) -> Message:
        """Keeps a receipt beside the one that stands, while there is room. Raises Changed."""
        return self._change_message(
            message_id,
            {},
            "attribute_exists(#pk) AND (attribute_not_exists(#receipts) OR size(#receipts) < :most)",
            add_receipt=receipt_text(receipt),
            most=MOST_RECEIPTS,
        )

    def record_receipt(self, receipt: Receipt, rhash: str | None, ttl: int) -> Meeting:
        """Writes a receipt to its call id; the first one stands. A full set changes nothing."""
        text = receipt_text(replace(receipt, number_hash=rhash))
        try:
            return self._change_meeting(
                receipt.vendor,
                receipt.call_id or "",
                first={"receipt": text, "rhash": rhash, "ttl": ttl},
                add_receipt=text,
                when="attribute_not_exists(#receipts) OR contains(#receipts, :text) OR size(#receipts) < :most",
                text=text,
                most=MOST_RECEIPTS,
            )
        except Changed as changed:
            return changed.meeting

    def mark_waiting(self, meeting: Meeting, now: float, since: float) -> Meeting:
        """Marks a receipt that nobody claims, so that ``sweep`` finds it. Raises Changed where a message came."""
        return self._change_meeting(
            meeting.vendor,
            meeting.call_id,
            first={"waiting": since, "look_at": now, "st": "waiting"},
            when="attribute_not_exists(#message)",
        )

    def link(self, vendor: str, call_id: str, message: Message) -> Meeting:
        """Says whose call id it is. Raises Changed where it is another message's."""
        return self._change_meeting(
            vendor,
            call_id,
            sets={"message": message.message_id, "nhash": message.number_hash, "ttl": message.ttl},
            when="attribute_not_exists(#message) OR #message = :mine",
            mine=message.message_id,
        )

    def unmark(self, meeting: Meeting) -> None:
        """Takes a receipt that found its message out of the index."""
        self._change_meeting(meeting.vendor, meeting.call_id, remove=("waiting", "st", "look_at"), when="")

    # What is to be looked at again.

    def messages(self, state: State, until: float, since: float = 0) -> Iterator[Message]:
        """Messages of a state whose ``look_at`` is between the two; the index may be a moment behind."""
        return (_message(old) for old in self._query(state, since, until))

    def waiting(self, until: float, since: float) -> Iterator[Meeting]:
        return (_meeting(old) for old in self._query("waiting", since, until))

    # Quotas.

    def count(self, quota: Quota, now: float, lease_seconds: float) -> Counted:
        """Counts one call in a rolling 24 hours, once a message; over the cap nothing is written."""
        last = quota.cap
        order = range(last, 1, -1)
        shifted = [f"#{name}{at} = if_not_exists(#{name}{at - 1}, :no{name})" for at in order for name in ("m", "t")]
        others = " AND ".join(f"#m{at} <> :m" for at in range(1, last + 1))
        try:
            self._update(
                quota.pk,
                f"SET {', '.join([*shifted, '#m1 = :m', '#t1 = :now', '#ttl = :ttl', '#v = :v'])}",
                f"attribute_not_exists(#m1) OR ((attribute_not_exists(#t{last}) OR #t{last} <= :cut) AND {others})",
                m=quota.key,
                now=now,
                cut=now - DAY,
                ttl=int(now) + DAY + 3600,
                v=SCHEMA,
                **({"nom": "-", "not": 0} if last > 1 else {}),
            )
        except Changed as changed:
            for key, at in _counted(changed.old or {}, last):
                if key == quota.key:
                    return Counted.AGAIN if now - at < lease_seconds else Counted.STALE
            return Counted.FULL
        return Counted.NEW

    def count_anew(self, quota: Quota, now: float) -> None:
        """Sets a counted message's time to that of the attempt that is about to ring, by compare and swap.

        Raises AwsUnavailable also where others took its place meanwhile: then the call would be one too many.
        """
        for _ in range(4):
            seen = _counted(self._get(quota.pk) or {}, quota.cap)
            rest = [pair for pair in seen if pair[0] != quota.key]
            if len(rest) >= quota.cap and min(at for _, at in rest) > now - DAY:
                raise AwsUnavailable("the quota filled up meanwhile")
            pairs = [(quota.key, now), *rest][: quota.cap]
            names = {
                f"{name}{at}": value for at, pair in enumerate(pairs, 1) for name, value in zip("mt", pair, strict=True)
            }
            same = [f"#m{at} = :sm{at} AND #t{at} = :st{at}" for at in range(1, len(seen) + 1)]
            olds = {
                f"s{name}{at}": value for at, pair in enumerate(seen, 1) for name, value in zip("mt", pair, strict=True)
            }
            try:
                self._update(
                    quota.pk,
                    "SET " + ", ".join(f"#{name} = :{name}" for name in (*names, "ttl")),
                    " AND ".join(same) or "attribute_not_exists(#m1)",
                    ttl=int(now) + DAY + 3600,
                    **names,
                    **olds,
                )
            except Changed:
                continue
            return
        raise AwsUnavailable("dynamodb: the quota is being written by too many")

    def room(self, quota: Quota, now: float) -> bool:
        """Whether a call would be counted; counts nothing."""
        counted = _counted(self._get(quota.pk) or {}, quota.cap)
        return len(counted) < quota.cap or min(at for _, at in counted) <= now - DAY

    # Credit.

    def balance(self, vendor: str) -> Balance:
        """The state of a vendor's credit; empty where it was never checked."""
        return self._get(f"BALANCE#{vendor}") or {}

    def put_balance(self, vendor: str, seen: Balance, new: Balance) -> None:
        """Replaces the state that was seen. Raises Changed where another check was quicker."""
        item = {"pk": f"BALANCE#{vendor}", "v": SCHEMA, "revision": seen.get("revision", 0) + 1, **new}
        if seen:
            self._put(item, "#revision = :seen", seen=seen.get("revision", 0))
        else:
            self._put(item, "attribute_not_exists(#pk)")

    # The four requests that everything above is made of.

    def _get(self, pk: str) -> Item | None:
        with aws.reaching("dynamodb"):
            found = aws.client("dynamodb").get_item(TableName=self._table, Key={"pk": {"S": pk}}, ConsistentRead=True)
        return _plain(found["Item"]) if found.get("Item") else None

    def _put(self, item: Item, when: str, **values: Any) -> None:
        self._write(
            "put_item",
            {"Item": _typed({name: value for name, value in item.items() if value is not None})},
            when,
            values,
        )

    def _update(self, pk: str, change: str, when: str, **values: Any) -> Item:
        done = self._write(
            "update_item",
            {"Key": {"pk": {"S": pk}}, "UpdateExpression": change, "ReturnValues": "ALL_NEW"},
            when,
            values,
        )
        return _plain(done.get("Attributes", {}))

    def _write(self, operation: str, arguments: dict[str, Any], when: str, values: Mapping[str, Any]) -> Any:
        text = f"{arguments.get('UpdateExpression', '')} {when}"
        names = {f"#{name}": name for name in re.findall(r"#(\w+)", text)}
        arguments = {"TableName": self._table, **arguments}
        if when:
            arguments |= {"ConditionExpression": when, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        if names:
            arguments["ExpressionAttributeNames"] = names
        if values:
            arguments["ExpressionAttributeValues"] = _typed({f":{name}": value for name, value in values.items()})
        with aws.reaching("dynamodb"):
            try:
                return getattr(aws.client("dynamodb"), operation)(**arguments)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                    raise
                old: Any = error.response.get("Item")
        raise Changed(_plain(old) if old else None)

    def _query(self, st: str, since: float, until: float) -> Iterator[Item]:
        arguments: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": INDEX,
            "KeyConditionExpression": "#st = :st AND #look_at BETWEEN :since AND :until",
            "ExpressionAttributeNames": {"#st": "st", "#look_at": "look_at"},
            "ExpressionAttributeValues": _typed({":st": str(st), ":since": since, ":until": until}),
        }
        while True:
            with aws.reaching("dynamodb"):
                page = aws.client("dynamodb").query(**arguments)
            yield from (_plain(item) for item in page["Items"])
            if not page.get("LastEvaluatedKey"):
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _change_message(
        self,
        message_id: str,
        changes: Mapping[str, Any],
        when: str,
        add_receipt: str | None = None,
        **values: Any,
    ) -> Message:
        change, new = _expression({_ATTRIBUTES.get(name, name): value for name, value in changes.items()})
        if add_receipt is not None:
            change, new = (
                f"{change} ADD #receipts :new_receipts".strip(),
                {**new, "new_receipts": {add_receipt}},
            )
        return _message(self._update(f"MSG#{message_id}", change, when, **new, **values))

    def _change_meeting(
        self,
        vendor: str,
        call_id: str,
        *,
        sets: Mapping[str, Any] | None = None,
        first: Mapping[str, Any] | None = None,
        remove: tuple[str, ...] = (),
        add_receipt: str | None = None,
        when: str,
        **values: Any,
    ) -> Meeting:
        """``first`` sets only what is not there yet."""
        fixed = {"vendor": vendor, "call_id": call_id, "v": SCHEMA}
        change, new = _expression({**fixed, **(sets or {}), **dict.fromkeys(remove)}, first or {})
        if add_receipt is not None:
            change, new = (
                f"{change} ADD #receipts :new_receipts".strip(),
                {**new, "new_receipts": {add_receipt}},
            )
        return _meeting(self._update(f"CALL#{vendor}#{call_id}", change, when, **new, **values))


def message_of(image: Mapping[str, Any]) -> Message:
    """The message of a stream record's image, in DynamoDB's own JSON."""
    return _message(_plain(image))


def _expression(sets: Mapping[str, Any], first: Mapping[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
    """An update expression and its values; None removes an attribute."""
    parts = [f"#{name} = :new_{name}" for name, value in sets.items() if value is not None]
    values = {f"new_{name}": value for name, value in sets.items() if value is not None}
    for name, value in (first or {}).items():
        if value is not None:
            parts.append(f"#{name} = if_not_exists(#{name}, :new_{name})")
            values[f"new_{name}"] = value
    removed = [f"#{name}" for name, value in sets.items() if value is None]
    text = f"SET {', '.join(parts)}" if parts else ""
    return (f"{text} REMOVE {', '.join(removed)}" if removed else text), values


# Items and what they stand for.

_ATTRIBUTES = {field.name: field.name for field in fields(Message)} | {"state": "st", "number_hash": "nhash"}
"""Each field's attribute; two are named otherwise, as the protocol's expressions have them."""


def _item(message: Message) -> Item:
    item = {attribute: getattr(message, name) for name, attribute in _ATTRIBUTES.items()}
    item = {name: value for name, value in item.items() if value is not None and value != frozenset()}
    del item["message_id"], item["dry_run"]
    return {"pk": f"MSG#{message.message_id}", "v": SCHEMA, **item}


def _message(item: Item) -> Message:
    """Attributes that a later version added are passed over; what an earlier one lacked has its default."""
    found = {name: item[attribute] for name, attribute in _ATTRIBUTES.items() if attribute in item}
    found["message_id"] = item["pk"].removeprefix("MSG#")
    found["state"] = State(found["state"])
    found["receipts"] = frozenset(found.get("receipts", ()))
    return Message(**found)


def _meeting(item: Item) -> Meeting:
    found = known(Meeting, item)
    return Meeting(**{**found, "receipts": frozenset(found.get("receipts", ()))})


def _counted(item: Item, cap: int) -> list[tuple[str, float]]:
    """The message ids and times of a quota, the latest first."""
    pairs = [(item.get(f"m{at}"), item.get(f"t{at}")) for at in range(1, cap + 1)]
    return [(key, at) for key, at in pairs if key is not None and at is not None]


_SERIALIZER, _DESERIALIZER = TypeSerializer(), TypeDeserializer()


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _SERIALIZER.serialize(_storable(value)) for name, value in values.items()}


def _storable(value: Any) -> Any:
    match value:
        case float():
            return Decimal(str(round(value, 3)))
        case Enum():
            return value.value
        case frozenset():
            return set(value)
        case dict():
            return {name: _storable(inner) for name, inner in value.items()}
    return value


def _plain(item: Mapping[str, Any]) -> Item:
    return {name: _native(_DESERIALIZER.deserialize(value)) for name, value in item.items()}


def _native(value: Any) -> Any:
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case dict():
            return {name: _native(inner) for name, inner in value.items()}
    return value
