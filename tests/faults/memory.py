"""AWS in memory: fast enough for a million runs, and it evaluates the very expressions that the code sends.

What it cannot evaluate raises :class:`Unsupported`, which no handler catches: a store that guessed would prove nothing.
``test_memory.py`` holds it against moto.
"""

import re
import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from botocore.exceptions import ClientError
from voice_gateway.storage import call_ids, messages, table
from voice_gateway.sweeping import due
from voice_gateway.sweeping.adopt import Adopt

Typed = dict[str, Any]
"""A value in DynamoDB's own JSON, ``{"S": …}``; it is never changed once it is stored."""
Item = dict[str, Typed]
Values = Mapping[str, Typed]
Operand = Callable[[Item, Values], Typed | None]
Test = Callable[[Item, Values], bool]

KEY = "pk"
INDEXES = {"work": ("work", "work_at"), "number": ("number", "number_at"), "sweep": ("st", "look_at")}
"""Partition and sort key of each index: an item without both is not in it."""
LARGEST_PAGE = 10
"""Items of one query's answer: small, so that the code has to ask on."""


class Unsupported(BaseException):
    """The code asked for something that this store does not know. Never caught as an error of AWS."""


def refusal(operation: str, code: str, message: str = "", **more: Any) -> ClientError:
    """What boto3 raises where a service answers with an error."""
    response: Any = {"Error": {"Code": code, "Message": message}, **more}
    return ClientError(response, operation)


# Expressions.

_TOKEN = re.compile(r"\s*(<=|>=|<>|[=<>(),+]|[#:]?\w+)")


def _tokens(text: str) -> list[str]:
    found, at, text = [], 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Unsupported(f"an expression: {text!r} at {at}")
        found.append(match[1])
        at = match.end()
    return found


def _plain(value: Typed | None) -> Any:
    """Something that compares as DynamoDB compares: numbers by value, sets without order."""
    if value is None:
        return None
    ((kind, inner),) = value.items()
    if kind == "N":
        return ("N", Decimal(inner))
    if kind in {"SS", "NS"}:
        return (kind, frozenset(inner))
    if kind in {"S", "BOOL", "NULL"}:
        return (kind, inner)
    return (kind, repr(inner))


class _Parser:
    """Turns an expression into functions of item and values. Collects the names and values that it mentions."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = _tokens(text)
        self._at = 0
        self.names: set[str] = set()
        self.values: set[str] = set()

    def peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.peek()
        if not token or (expected and token != expected):
            raise Unsupported(f"{expected or 'a token'} expected: {self.text!r}")
        self._at += 1
        return token

    def listed(self, one: Callable[[], Any]) -> list[Any]:
        """``one, one, …``"""
        found = [one()]
        while self.peek() == ",":
            self.take()
            found.append(one())
        return found

    def path(self) -> str:
        token = self.take()
        if not token.startswith("#"):
            raise Unsupported(f"a path that is no #name: {token} in {self.text!r}")
        self.names.add(token)
        return token[1:]

    def value(self) -> str:
        token = self.take()
        if not token.startswith(":"):
            raise Unsupported(f"a value expected, not {token}: {self.text!r}")
        self.values.add(token)
        return token

    def operand(self) -> Operand:
        token = self.peek()
        if token == "size":
            self.take()
            self.take("(")
            path = self.path()
            self.take(")")
            return lambda item, _: _size(item.get(path))
        if token.startswith(":"):
            name = self.value()
            return lambda _, values: values[name]
        path = self.path()
        return lambda item, _: item.get(path)

    # Conditions.

    def condition(self) -> Test:
        tests = [self._all()]
        while self.peek() == "OR":
            self.take()
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda item, values: any(test(item, values) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self.peek() == "AND":
            self.take()
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda item, values: all(test(item, values) for test in tests)

    def _one(self) -> Test:
        token = self.peek()
        if token == "NOT":
            self.take()
            inner = self._one()
            return lambda item, values: not inner(item, values)
        if token == "(":
            self.take()
            inner = self.condition()
            self.take(")")
            return inner
        if token in {"attribute_exists", "attribute_not_exists", "contains"}:
            return self._function()
        return self._comparison()

    def _function(self) -> Test:
        name = self.take()
        self.take("(")
        path = self.path()
        if name == "contains":
            self.take(",")
            value = self.value()
            self.take(")")
            return lambda item, values: _contains(item.get(path), values[value])
        self.take(")")
        wanted = name == "attribute_exists"
        return lambda item, _: (path in item) is wanted

    def _comparison(self) -> Test:
        left, operator = self.operand(), self.take()
        if operator == "IN":
            self.take("(")
            among: list[Operand] = self.listed(self.operand)
            self.take(")")
            return lambda item, values: _in(left(item, values), [one(item, values) for one in among])
        if operator not in _COMPARE:
            raise Unsupported(f"an operator: {operator} in {self.text!r}")
        right, compare = self.operand(), _COMPARE[operator]
        return lambda item, values: compare(_plain(left(item, values)), _plain(right(item, values)))

    # Updates.

    def clauses(self) -> list[tuple[str, str, Operand | None]]:
        """What an update does, attribute by attribute."""
        done: list[tuple[str, str, Operand | None]] = []
        while self.peek():
            verb = self.take()
            if verb not in _CLAUSES:
                raise Unsupported(f"a clause: {verb} in {self.text!r}")
            done += [(verb, *change) for change in self.listed(_CLAUSES[verb].__get__(self))]
        paths = [path for _, path, _ in done]
        if len(set(paths)) != len(paths):
            raise Unsupported(f"two changes of one attribute: {self.text!r}")
        return done

    def set_one(self) -> tuple[str, Operand | None]:
        path = self.path()
        self.take("=")
        if self.peek() != "if_not_exists":
            first = self.operand()
            if self.peek() != "+":
                return path, first
            self.take()
            second = self.operand()
            return path, lambda item, values: _sum(first(item, values), second(item, values))
        self.take()
        self.take("(")
        kept = self.path()
        self.take(",")
        otherwise = self.operand()
        self.take(")")
        return path, lambda item, values: item[kept] if kept in item else otherwise(item, values)

    def remove_one(self) -> tuple[str, Operand | None]:
        return self.path(), None

    def add_one(self) -> tuple[str, Operand | None]:
        path, name = self.path(), self.value()
        return path, lambda item, values: _united(item.get(path), values[name])


_CLAUSES: dict[str, Any] = {"SET": _Parser.set_one, "REMOVE": _Parser.remove_one, "ADD": _Parser.add_one}


def _equal(left: Any, right: Any) -> bool:
    return left is not None and left == right


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Only values of one kind have an order; what is not there has none."""

    def both(left: Any, right: Any) -> bool:
        return left is not None and right is not None and left[0] == right[0] and compare(left[1], right[1])

    return both


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": _equal,
    "<>": lambda left, right: not _equal(left, right),
    "<": _ordered(lambda left, right: left < right),
    "<=": _ordered(lambda left, right: left <= right),
    ">": _ordered(lambda left, right: left > right),
    ">=": _ordered(lambda left, right: left >= right),
}


def _size(value: Typed | None) -> Typed | None:
    if value is None:
        return None
    ((kind, inner),) = value.items()
    if kind not in {"S", "SS", "NS", "L", "M"}:
        raise Unsupported(f"size of {kind}")
    return {"N": str(len(inner))}


def _contains(value: Typed | None, sought: Typed) -> bool:
    if value is None:
        return False
    if "SS" not in value or "S" not in sought:
        raise Unsupported(f"contains of {value} and {sought}")
    return sought["S"] in value["SS"]


def _in(value: Typed | None, among: list[Typed | None]) -> bool:
    return value is not None and _plain(value) in [_plain(one) for one in among]


def _sum(one: Typed | None, other: Typed | None) -> Typed | None:
    """None where one of them is not there: nothing to set."""
    if one is None or other is None:
        return None
    return {"N": str(Decimal(one["N"]) + Decimal(other["N"]))}


def _united(value: Typed | None, more: Typed) -> Typed:
    if "SS" not in more or (value is not None and "SS" not in value):
        raise Unsupported(f"ADD of {more} to {value}")
    return {"SS": sorted({*(value["SS"] if value else ()), *more["SS"]})}


@cache
def _test(text: str) -> tuple[Test, frozenset[str], frozenset[str]]:
    parser = _Parser(text)
    test = parser.condition()
    if parser.peek():
        raise Unsupported(f"more than a condition: {text!r}")
    return test, frozenset(parser.names), frozenset(parser.values)


@cache
def _change(text: str) -> tuple[list[tuple[str, str, Operand | None]], frozenset[str], frozenset[str]]:
    parser = _Parser(text)
    return parser.clauses(), frozenset(parser.names), frozenset(parser.values)


# DynamoDB's own JSON.


def serialize(_: object, value: Any) -> Typed:
    """What boto3's serializer does, for what the code stores: theirs takes a quarter of a run's time."""
    kind = _KINDS.get(type(value))
    if kind is None:
        raise Unsupported(f"a value of type {type(value).__name__}")
    if kind == "N":
        return {"N": str(value)}
    if kind == "SS":
        return {"SS": list(value)}
    if kind == "M":
        return {"M": {name: serialize(_, inner) for name, inner in value.items()}}
    return {kind: True if kind == "NULL" else value}


_KINDS: Mapping[type, str] = {
    str: "S",
    bool: "BOOL",
    int: "N",
    Decimal: "N",
    set: "SS",
    dict: "M",
    type(None): "NULL",
}


def deserialize(_: object, value: Typed) -> Any:
    """What boto3's deserializer does."""
    ((kind, inner),) = value.items()
    if kind in {"S", "BOOL"}:
        return inner
    if kind == "N":
        return Decimal(inner)
    if kind == "SS":
        return set(inner)
    if kind == "M":
        return {name: deserialize(_, one) for name, one in inner.items()}
    if kind == "NULL":
        return None
    raise Unsupported(f"a value of kind {kind}")


@contextmanager
def small_index() -> Iterator[None]:
    """One part of the index, and nothing of an earlier release: the others are the same, and cost the most of a run."""
    with ExitStack() as instead:
        for module in (call_ids, due, messages, table):
            instead.enter_context(patch.object(module, "SHARDS", 1))
        instead.enter_context(patch.object(Adopt, "adopt", lambda *_: None))
        yield


# The services.


class Dynamo:
    """One table with its indexes. Each request is one step: a lock stands for what DynamoDB promises."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.changes: list[tuple[Item | None, Item | None]] = []
        """Old and new images of every write, as the table's stream has them."""
        self.items_read = 0
        """By queries."""
        self.index_writes: dict[tuple[str, str], int] = {}
        """By index and key: entries put in or taken out."""
        self._indexed: dict[tuple[str, str], list[tuple[Decimal, str]]] = {}
        self._lock = threading.RLock()

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool) -> dict[str, Any]:  # noqa: N803
        found = self.items.get(Key[KEY]["S"])
        return {} if found is None else {"Item": dict(found)}

    def put_item(self, *, TableName: str, Item: Item, **when: Any) -> dict[str, Any]:  # noqa: N803
        with self._lock:
            old = self._checked("PutItem", Item[KEY]["S"], when, "")
            self._write("PutItem", old, dict(Item))
        return {}

    def update_item(
        self,
        *,
        TableName: str,  # noqa: N803
        Key: Item,  # noqa: N803
        UpdateExpression: str,  # noqa: N803
        ReturnValues: str,  # noqa: N803
        **when: Any,
    ) -> dict[str, Any]:
        if ReturnValues != "ALL_NEW":
            raise Unsupported(f"ReturnValues {ReturnValues}")
        with self._lock:
            old = self._checked("UpdateItem", Key[KEY]["S"], when, UpdateExpression)
            before = old or dict(Key)
            new = dict(before)
            for verb, path, operand in _change(UpdateExpression)[0]:
                value = operand(before, when.get("ExpressionAttributeValues", {})) if operand else None
                if verb == "REMOVE":
                    new.pop(path, None)
                elif value is None:
                    raise refusal("UpdateItem", "ValidationException", f"nothing to set {path} to")
                else:
                    new[path] = value
            self._write("UpdateItem", old, new)
        return {"Attributes": dict(new)}

    def delete_item(self, *, TableName: str, Key: Item) -> dict[str, Any]:  # noqa: N803
        """Not the code's own: time to live, and tests."""
        with self._lock:
            old = self.items.pop(Key[KEY]["S"], None)
            if old is not None:
                self._index(old, None)
                self.changes.append((old, None))
        return {}

    def forget(self) -> None:
        """Everything that is in the table."""
        with self._lock:
            self.items.clear()
            self._indexed.clear()

    def query(
        self,
        *,
        TableName: str,  # noqa: N803
        IndexName: str,  # noqa: N803
        KeyConditionExpression: str,  # noqa: N803
        ExpressionAttributeNames: dict[str, str],  # noqa: N803
        ExpressionAttributeValues: Values,  # noqa: N803
        ExclusiveStartKey: Item | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        match = re.fullmatch(r"(#\w+) = (:\w+) AND (#\w+) BETWEEN (:\w+) AND (:\w+)", KeyConditionExpression)
        if match is None or IndexName not in INDEXES:
            raise Unsupported(f"a query: {IndexName}, {KeyConditionExpression!r}")
        partition, sort = INDEXES[IndexName]
        if (ExpressionAttributeNames[match[1]], ExpressionAttributeNames[match[3]]) != (partition, sort):
            raise Unsupported(f"a query by {ExpressionAttributeNames}")
        key = ExpressionAttributeValues[match[2]]["S"]
        low, high = (Decimal(ExpressionAttributeValues[match[at]]["N"]) for at in (4, 5))
        with self._lock:
            found = self._indexed.get((IndexName, key), [])
            begin = bisect_left(found, (low, ""))
            if ExclusiveStartKey is not None:
                begin = bisect_right(found, (Decimal(ExclusiveStartKey[sort]["N"]), ExclusiveStartKey[KEY]["S"]))
            wanted = [pair for pair in found[begin : begin + LARGEST_PAGE + 1] if pair[0] <= high]
            page = [dict(self.items[pk]) for _, pk in wanted[:LARGEST_PAGE]]
        self.items_read += len(page)
        if len(wanted) <= LARGEST_PAGE:
            return {"Items": page}
        return {"Items": page, "LastEvaluatedKey": {name: page[-1][name] for name in (KEY, partition, sort)}}

    def _checked(self, operation: str, pk: str, when: dict[str, Any], change: str) -> Item | None:
        """The item as it is, if the condition holds."""
        names = when.get("ExpressionAttributeNames", {})
        values = when.get("ExpressionAttributeValues", {})
        condition = when.get("ConditionExpression")
        used_names: frozenset[str] = frozenset()
        used_values: frozenset[str] = frozenset()
        if change:
            _, used_names, used_values = _change(change)
        if condition:
            test, more_names, more_values = _test(condition)
            used_names, used_values = used_names | more_names, used_values | more_values
        _all_used(when, used_names, used_values)
        old = self.items.get(pk)
        if condition and not test(old or {}, values):
            all_old = when.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and old is not None
            more = {"Item": dict(old)} if all_old and old else {}
            raise refusal(operation, "ConditionalCheckFailedException", "The conditional request failed", **more)
        if any(name[1:] != names[name] for name in used_names):
            raise Unsupported(f"names that are not the attributes': {names}")
        return old

    def _write(self, operation: str, old: Item | None, new: Item) -> None:
        for keys in INDEXES.values():
            for name, kind in zip(keys, "SN", strict=True):
                if name in new and kind not in new[name]:
                    raise refusal(operation, "ValidationException", f"{name} is a key of an index, of type {kind}")
        self.items[new[KEY]["S"]] = new
        self._index(old, new)
        self.changes.append((old, new))

    def _index(self, old: Item | None, new: Item | None) -> None:
        for name, (partition, sort) in INDEXES.items():
            before, after = (
                (item[partition]["S"], Decimal(item[sort]["N"]), item[KEY]["S"])
                if item is not None and partition in item and sort in item
                else None
                for item in (old, new)
            )
            if before == after:
                continue
            if before:
                entries = self._indexed[name, before[0]]
                del entries[bisect_left(entries, before[1:])]
                self.index_writes[name, before[0]] = self.index_writes.get((name, before[0]), 0) + 1
            if after:
                insort(self._indexed.setdefault((name, after[0]), []), after[1:])
                self.index_writes[name, after[0]] = self.index_writes.get((name, after[0]), 0) + 1


def _all_used(when: dict[str, Any], names: frozenset[str], values: frozenset[str]) -> None:
    """DynamoDB refuses a request with a name or a value that its expressions do not mention."""
    known = {"ConditionExpression", "ReturnValuesOnConditionCheckFailure", "ExpressionAttributeNames"}
    if more := when.keys() - known - {"ExpressionAttributeValues"}:
        raise Unsupported(f"arguments: {more}")
    if when.get("ExpressionAttributeNames", {}).keys() != names:
        raise Unsupported(f"names {when.get('ExpressionAttributeNames')} where {names} are used")
    if when.get("ExpressionAttributeValues", {}).keys() != values:
        raise Unsupported(f"values {when.get('ExpressionAttributeValues')} where {values} are used")


@dataclass
class _Entry:
    body: str
    hidden_until: float = 0.0
    received: int = 0


class Queues:
    """SQS: what is received is out of sight for a while, and comes back unless it is deleted."""

    HIDDEN_SECONDS = 90.0

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[str, dict[str, _Entry]] = {}
        self._handles = 0
        self._lock = threading.RLock()

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> dict[str, Any]:  # noqa: N803
        with self._lock:
            self._handles += 1
            self._entries.setdefault(QueueUrl, {})[str(self._handles)] = _Entry(MessageBody)
        return {}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        if not 1 <= len(Entries) <= 10 or sum(len(entry["MessageBody"].encode()) for entry in Entries) > 262_144:
            raise refusal("SendMessageBatch", "BatchRequestTooLong")
        for entry in Entries:
            self.send_message(QueueUrl=QueueUrl, MessageBody=entry["MessageBody"])
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def receive_message(self, *, QueueUrl: str, MaxNumberOfMessages: int) -> dict[str, Any]:  # noqa: N803
        with self._lock:
            queue, now = self._entries.setdefault(QueueUrl, {}), self._clock()
            handles = [handle for handle, one in queue.items() if one.hidden_until <= now][:MaxNumberOfMessages]
            for handle in handles:
                queue[handle].hidden_until = now + self.HIDDEN_SECONDS
                queue[handle].received += 1
            found = [{"Body": queue[handle].body, "ReceiptHandle": handle} for handle in handles]
        return {"Messages": found} if found else {}

    def change_message_visibility(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        ReceiptHandle: str,  # noqa: N803
        VisibilityTimeout: int,  # noqa: N803
    ) -> dict[str, Any]:
        with self._lock:
            if ReceiptHandle in self._entries[QueueUrl]:
                self._entries[QueueUrl][ReceiptHandle].hidden_until = self._clock() + VisibilityTimeout
        return {}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> dict[str, Any]:  # noqa: N803
        with self._lock:
            self._entries.setdefault(QueueUrl, {}).pop(ReceiptHandle, None)
        return {}

    def received(self, url: str, handle: str) -> int:
        """How often it was received."""
        entry = self._entries[url].get(handle)
        return entry.received if entry else 1

    def bodies(self, url: str) -> list[str]:
        """What is in a queue, in sight or not."""
        return [one.body for one in self._entries.get(url, {}).values()]


class Topics:
    """SNS: keeps what was published, by topic."""

    def __init__(self) -> None:
        self.published: dict[str, list[str]] = {}

    def publish(self, *, TopicArn: str, Message: str, MessageAttributes: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        self.published.setdefault(TopicArn, []).append(Message)
        return {}


class SecretsManager:
    """Secrets by ARN."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = secrets

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803
        if SecretId not in self._secrets:
            raise refusal("GetSecretValue", "ResourceNotFoundException")
        return {"SecretString": self._secrets[SecretId]}


class Parameters:
    """SSM parameters by name."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = parameters

    def get_parameter(self, *, Name: str) -> dict[str, Any]:  # noqa: N803
        if Name not in self._parameters:
            raise refusal("GetParameter", "ParameterNotFound")
        return {"Parameter": {"Value": self._parameters[Name]}}


Gate = Callable[[str, str, Callable[[], Any]], Any]
"""Lets a request to a service through, or not: service, operation, and what carries it out."""


class Client:
    """Stands for a boto3 client: each operation goes through the gate."""

    meta = SimpleNamespace(events=SimpleNamespace(register=lambda *_: None))
    """Powertools writes its name into the user agent here."""

    def __init__(self, service: str, behind: object, gate: Gate) -> None:
        self._service = service
        self._behind = behind
        self._gate = gate

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        carried = getattr(self._behind, operation, None)
        if carried is None:
            raise Unsupported(f"{self._service}.{operation}")

        def call(**arguments: Any) -> Any:
            return self._gate(self._service, operation, lambda: carried(**arguments))

        return call
