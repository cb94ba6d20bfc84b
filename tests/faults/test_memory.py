"""The store in memory against moto: the same operations of the code's own Store give the same results and errors."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from moto import mock_aws
from voice_gateway import aws
from voice_gateway.errors import AwsUnavailable
from voice_gateway.model import Message, Receipt, State
from voice_gateway.store import Changed, Meeting, Quota, Store

from tests.faults import memory
from tests.faults.memory import Dynamo, Unsupported
from tests.gateway import REGION, _table_schema

NOW = 1_800_000_000.25
Operation = Callable[[Store], Any]


@dataclass
class Both:
    """The same table twice: on moto, and in memory."""

    moto: Any
    memory: Dynamo

    def does(self, monkeypatch: pytest.MonkeyPatch, operation: Operation) -> tuple[Any, Any]:
        """What the operation gives on each."""
        outcomes = []
        for client in (self.moto, self.memory):
            monkeypatch.setattr(aws, "client", lambda _, client=client: client)
            try:
                outcomes.append(operation(Store("calls")))
            except Changed as changed:
                outcomes.append(("changed", changed.old))
        return outcomes[0], outcomes[1]

    def items(self) -> tuple[dict[str, Any], dict[str, Any]]:
        there = {item["pk"]["S"]: item for item in self.moto.scan(TableName="calls")["Items"]}
        return _comparable(there), _comparable(self.memory.items)


def _comparable(items: dict[str, Any]) -> dict[str, Any]:
    return {pk: {name: memory._plain(value) for name, value in item.items()} for pk, item in items.items()}


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Iterator[Both]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        client.create_table(TableName="calls", **_table_schema())
        yield Both(client, Dynamo())


def _message(chance: random.Random) -> Message:
    return Message(
        chance.choice(["m1", "m2", "m3"]),
        chance.choice(list(State)),
        NOW,
        fingerprint="f",
        request='{"mobile": "13800138000"}',
        number_hash=chance.choice([None, "h1", "h2"]),
        vendor=chance.choice([None, "dxtong", "jumdata"]),
        attempt=chance.choice(["a", "b"]),
        lease=chance.choice([None, NOW + 55, NOW + 60]),
        called_at=NOW,
        call_id=chance.choice([None, "c1"]),
        error=chance.choice([None, {"code": "x", "retryable": True, "vendor": None}]),
        expires_at=NOW + 86400,
        look_at=chance.choice([None, NOW, NOW + 55.5]),
        ttl=int(NOW) + 86400,
    )


def _receipt(chance: random.Random) -> Receipt:
    return Receipt("dxtong", chance.choice(["c1", "c2"]), chance.random() < 0.5, None, str(chance.randrange(12)), "無")


def _operation(chance: random.Random) -> Operation:
    """One operation of the store with arguments drawn once, so that both tables get the same."""
    message, receipt, at = _message(chance), _receipt(chance), NOW + chance.randrange(200_000)
    seen, attempt, state = message, message.attempt or "", message.state
    changes = {"state": State.CALLING, "attempt": chance.choice(["a", "b"]), "lease": at, "look_at": at, "error": None}
    meeting = Meeting("dxtong", chance.choice(["c1", "c2"]))
    quota = Quota("jumdata", "line", "h", chance.choice(["m1", "m2", "m3", "m4"]), chance.choice([1, 3, 3, 3]))
    given = chance.choice([State.ACCEPTED, State.REJECTED, State.RELEASED, State.UNKNOWN])
    operations: list[Operation] = [
        lambda store: store.message(message.message_id),
        lambda store: store.put_new(message),
        lambda store: store.put_new(message),
        lambda store: store.put_released(message),
        lambda store: store.take_over(seen, changes),
        lambda store: store.fail_over(message, "jumdata", at, at),
        lambda store: store.outcome(message.message_id, attempt, given, {"updated_at": at, "look_at": None}),
        lambda store: store.give_up(seen, {"updated_at": at}),
        lambda store: store.touch(seen, {"unlinked": 2, "look_at": at}),
        lambda store: store.settle(message.message_id, receipt, "call_id", at),
        lambda store: store.keep_later(message.message_id, receipt),
        lambda store: store.record_receipt(receipt, chance_hash, int(at)),
        lambda store: store.mark_waiting(meeting, at, at - 5),
        lambda store: store.link("dxtong", meeting.call_id, message),
        lambda store: store.unmark(meeting),
        lambda store: list(store.messages(state, at)),
        lambda store: list(store.waiting(at, NOW)),
        lambda store: store.count(quota, at, 55.0),
        lambda store: _unavailable(store.count_anew, quota, at),
        lambda store: store.room(quota, at),
    ]
    chance_hash = chance.choice([None, "h1"])
    return chance.choice(operations)


def _put(message: Message, store: Store) -> None:
    store.put_new(message)


def _unavailable(work: Callable[..., Any], *arguments: Any) -> Any:
    """AwsUnavailable as a result, for it is one of count_anew's answers."""
    try:
        return work(*arguments)
    except AwsUnavailable as error:
        return str(error)


@pytest.mark.parametrize("seed", range(2))
def test_the_store_does_the_same_in_memory_as_on_moto(both: Both, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(160):
        on_moto, in_memory = both.does(monkeypatch, _operation(chance))
        assert on_moto == in_memory, f"operation {number} of seed {seed}"
    on_moto, in_memory = both.items()
    assert on_moto == in_memory


def test_pages_of_the_index_are_asked_for_one_after_the_other(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [Message(f"m{at}", State.DUE, NOW, attempt="a", look_at=NOW + at % 7) for at in range(40)]
    for message in many:
        both.does(monkeypatch, partial(_put, message))
    on_moto, in_memory = both.does(monkeypatch, lambda store: list(store.messages(State.DUE, NOW + 5)))
    assert {m.message_id for m in on_moto} == {m.message_id for m in in_memory}
    assert len(in_memory) == len(on_moto) > 2 * memory.LARGEST_PAGE


@pytest.mark.parametrize(
    "value",
    ["x", "", 7, Decimal("1800000000.25"), True, False, None, {"a", "b"}, {"a": {"b": Decimal("1.5")}, "c": None}],
)
def test_values_are_put_into_the_form_that_boto3_gives_them(value: Any) -> None:
    theirs: Any = TypeSerializer().serialize(value)
    ours = memory.serialize(None, value)
    assert memory._plain(ours) == memory._plain(theirs)
    assert memory.deserialize(None, ours) == TypeDeserializer().deserialize(theirs) == value


@pytest.mark.parametrize(
    ("condition", "names", "values"),
    [
        ("begins_with(#pk, :a)", {"#pk": "pk"}, {":a": {"S": "x"}}),
        ("#pk ^ :a", {"#pk": "pk"}, {":a": {"S": "x"}}),
        ("attribute_exists(#pk)", {"#pk": "pk", "#more": "more"}, {}),
        ("attribute_exists(#pk)", {"#pk": "pk"}, {":more": {"S": "x"}}),
        ("attribute_exists(pk)", {}, {}),
        ("#pk BETWEEN :a AND :b", {"#pk": "pk"}, {":a": {"S": "x"}, ":b": {"S": "y"}}),
    ],
)
def test_what_cannot_be_evaluated_stops_the_run(condition: str, names: dict[str, str], values: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        Dynamo().put_item(
            TableName="calls",
            Item={"pk": {"S": "x"}},
            ConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
        )
