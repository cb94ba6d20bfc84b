"""The calls table, and the four requests that everything in it is made of.

The items share the key ``pk``. Two sparse indexes: ``work`` (``work``, ``work_at``) holds what ``sweep`` must look at
again, spread over :data:`SHARDS` keys a state; ``number`` (``number``, ``number_at``) what concerns one number. Every
write is one conditional write of a single item (docs/protocol.md).
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from botocore.exceptions import ClientError

from voice_gateway.platform import aws

WORK, NUMBER = ("work", "work", "work_at"), ("number", "number", "number_at")
"""Indexes: name, partition key, sort key."""
EARLIER = ("sweep", "st", "look_at")
"""What earlier releases had in place of ``work``: one key for all of a state."""
SHARDS = 16
"""A partition key takes 1,000 writes a second: so many keys share the writes of a state."""
SCHEMA = 1
"""The version of the items' shape, kept in each as ``v``."""
DAY = 86400

Item = dict[str, Any]


class ConditionFailed(Exception):
    """A condition did not hold; ``old`` is the item as it is, or None if there is none."""

    def __init__(self, old: Item | None) -> None:
        super().__init__("a condition did not hold")
        self.old = old


class Table:
    """One DynamoDB table. Every method raises AwsUnavailable if DynamoDB does not answer.

    Then a write may or may not have been applied.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def get(self, pk: str) -> Item | None:
        """The item, read consistently."""
        with aws.reaching("dynamodb"):
            found = aws.client("dynamodb").get_item(TableName=self._name, Key={"pk": {"S": pk}}, ConsistentRead=True)
        return plain(found["Item"]) if found.get("Item") else None

    def put(self, item: Item, when: str, **values: Any) -> None:
        """Puts an item, less its None values, if ``when`` holds. Raises ConditionFailed."""
        given = {name: value for name, value in item.items() if value is not None}
        self._write("put_item", {"Item": _typed(given)}, when, values)

    def update(self, pk: str, change: "Change", when: str, **values: Any) -> Item:
        """Updates an item, if ``when`` holds; returns it as it is then. Raises ConditionFailed."""
        text, new = change.expression()
        arguments = {"Key": {"pk": {"S": pk}}, "UpdateExpression": text, "ReturnValues": "ALL_NEW"}
        done = self._write("update_item", arguments, when, {**new, **values})
        return plain(done.get("Attributes", {}))

    def query(self, index: tuple[str, str, str], key: str, since: float, until: float) -> Iterator[Item]:
        """The items of an index's key whose sort key is between the two; an index may be a moment behind."""
        name, partition, sort = index
        arguments: dict[str, Any] = {
            "TableName": self._name,
            "IndexName": name,
            "KeyConditionExpression": f"#{partition} = :key AND #{sort} BETWEEN :since AND :until",
            "ExpressionAttributeNames": {f"#{partition}": partition, f"#{sort}": sort},
            "ExpressionAttributeValues": _typed({":key": key, ":since": since, ":until": until}),
        }
        while True:
            with aws.reaching("dynamodb"):
                page = aws.client("dynamodb").query(**arguments)
            yield from (plain(item) for item in page["Items"])
            if not page.get("LastEvaluatedKey"):
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _write(self, operation: str, arguments: dict[str, Any], when: str, values: Mapping[str, Any]) -> Any:
        text = f"{arguments.get('UpdateExpression', '')} {when}"
        names = _names(text)
        arguments = {"TableName": self._name, **arguments}
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
        raise ConditionFailed(plain(old) if old else None)


@lru_cache(maxsize=256)
def _names(text: str) -> dict[str, str]:
    """The placeholders in an expression, of which there are not many."""
    return {f"#{name}": name for name in re.findall(r"#(\w+)", text)}


def listed(pk: str, state: str, at: float | None) -> dict[str, Any]:
    """What an item must hold for ``sweep`` to look at it then; None: never. Takes it out of the earlier index too."""
    key = None if at is None else work_key(state, zlib.crc32(pk.encode()) % SHARDS)
    return {"work": key, "work_at": at, "look_at": None}


def work_key(state: str, shard: int) -> str:
    """The partition key in the index ``work`` of one shard of a state."""
    return f"{state}#{shard:x}"


@dataclass(frozen=True)
class Change:
    """What an update changes: ``sets`` attributes (None removes one), ``first`` sets only what is not there yet.

    ``shifts`` are further SET clauses as they stand; ``receipt`` is added to the set of receipts.
    """

    sets: Mapping[str, Any]
    first: Mapping[str, Any] = field(default_factory=dict)
    shifts: tuple[str, ...] = ()
    receipt: str | None = None

    def expression(self) -> tuple[str, dict[str, Any]]:
        """The update expression, and its values."""
        sets = {name: value for name, value in self.sets.items() if value is not None}
        first = {name: value for name, value in self.first.items() if value is not None}
        parts = [*self.shifts, *(f"#{name} = :new_{name}" for name in sets)]
        parts += [f"#{name} = if_not_exists(#{name}, :new_{name})" for name in first]
        removed = [f"#{name}" for name, value in self.sets.items() if value is None]
        clauses = {"SET": parts, "REMOVE": removed, "ADD": ["#receipts :new_receipts"] if self.receipt else []}
        text = " ".join(f"{verb} {', '.join(what)}" for verb, what in clauses.items() if what)
        values = {f"new_{name}": value for name, value in (sets | first).items()}
        return text, values | ({"new_receipts": {self.receipt}} if self.receipt else {})


# DynamoDB's own JSON. Texts, numbers, booleans, null, maps, lists and sets of texts: no binary, which no item holds.


def plain(item: Mapping[str, Any]) -> Item:
    """An item of DynamoDB's own JSON, its values as Python has them."""
    return {name: _native(value) for name, value in item.items()}


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _storable(value) for name, value in values.items()}


def _storable(value: Any) -> dict[str, Any]:
    """Raises TypeError for what the table does not hold."""
    match value:
        case str():  # an Enum's member is its text
            return {"S": str(value)}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case float():
            return {"N": str(round(value, 3))}  # to a thousandth, as the items have moments
        case dict():
            return {"M": _typed(value)}
        case set() | frozenset():
            return {"SS": sorted(value)}
        case list() | tuple():
            return {"L": [_storable(each) for each in value]}
        case None:
            return {"NULL": True}
    raise TypeError(f"{type(value).__name__} is nothing that the table holds")


def _native(value: Mapping[str, Any]) -> Any:
    ((kind, inner),) = value.items()
    match kind:
        case "S" | "BOOL":
            return inner
        case "N":
            if inner.isdigit():
                return int(inner)
            number = float(inner)
            return int(number) if number.is_integer() else number
        case "M":
            return plain(inner)
        case "SS":
            return set(inner)
        case "L":
            return [_native(each) for each in inner]
        case "NULL":
            return None
    raise TypeError(f"{kind} is nothing that the table holds")
