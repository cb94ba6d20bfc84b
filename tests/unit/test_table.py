"""DynamoDB's own JSON: what the table writes and reads is what boto3's types would."""

from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from voice_gateway.model.message import State
from voice_gateway.platform import aws
from voice_gateway.storage.table import Table, plain

VALUES: list[Any] = [
    *(
        "",
        "号",
        "0",
        True,
        False,
        0,
        1,
        -1,
        2**60 + 1,
        1_800_000_000,
        1_800_000_000.123,
        1_800_000_000.0,
        0.001,
        -2.5,
        1e15,
    ),
    *(None, {}, {"a": None, "b": {"c": ["d", 1.5, {"e": False}]}}, [], ["x", None], {"x"}, frozenset({"b", "a"})),
    State.DUE,
]


def kind(value: Any) -> str:
    """An id that is the same in every process: a set has no order."""
    return type(value).__name__


class Recorded:
    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []

    def put_item(self, **asked: Any) -> dict[str, Any]:
        self.items.append(asked["Item"])
        return {}


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    recorded = Recorded()
    monkeypatch.setattr(aws, "client", lambda _: recorded)
    return recorded


def boto3_s(value: Any) -> Any:
    """A value as boto3's serializer takes it: no floats, sets and texts of their own kind."""
    match value:
        case State():
            return value.value
        case float():
            return Decimal(str(value))
        case frozenset():
            return set(value)
        case dict():
            return {name: boto3_s(each) for name, each in value.items()}
        case list():
            return [boto3_s(each) for each in value]
    return value


def same(typed: Any) -> Any:
    """Numbers by value, sets without order."""
    ((kind, inner),) = typed.items()
    match kind:
        case "N":
            return Decimal(inner)
        case "SS":
            return set(inner)
        case "M":
            return {name: same(each) for name, each in inner.items()}
        case "L":
            return [same(each) for each in inner]
    return (kind, inner)


@pytest.mark.parametrize("value", [each for each in VALUES if each is not None], ids=kind)
def test_what_is_written_is_what_boto3_would_write(value: Any, recorded: Recorded) -> None:
    Table("t").put({"pk": "x", "value": value}, "")
    assert same(recorded.items[0]["value"]) == same(TypeSerializer().serialize(boto3_s(value)))


@pytest.mark.parametrize("value", VALUES, ids=kind)
def test_what_is_read_is_what_was_written(value: Any) -> None:
    typed = TypeSerializer().serialize(boto3_s(value))
    read = plain({"value": typed})["value"]
    assert read == value
    assert read == TypeDeserializer().deserialize(typed) or isinstance(value, float | dict)
    assert isinstance(read, int | float | str | dict | list | set) or read is None


@pytest.mark.parametrize("value", [b"bytes", object(), Decimal(1)], ids=kind)
def test_what_no_item_holds_is_refused_before_anything_is_sent(value: Any, recorded: Recorded) -> None:
    with pytest.raises(TypeError, match="nothing that the table holds"):
        Table("t").put({"pk": "x", "value": value}, "")
    assert recorded.items == []
