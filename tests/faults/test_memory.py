"""The store in memory against moto: the same operations of the code's own Store give the same results and errors."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from moto import mock_aws
from voice_gateway.model.errors import AwsUnavailable
from voice_gateway.model.message import Message, State
from voice_gateway.model.receipt import Receipt
from voice_gateway.model.sequence import Ring, Sequence
from voice_gateway.platform import aws
from voice_gateway.storage.call_ids import CallId, CallIdChanged
from voice_gateway.storage.calls_table import CallsTable, calls_table
from voice_gateway.storage.messages import MessageChanged
from voice_gateway.storage.quotas import Quota

from tests.faults import memory
from tests.faults.memory import Dynamo, Unsupported
from tests.gateway import REGION, _table_schema

NOW = 1_800_000_000.25
Operation = Callable[[CallsTable], Any]


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
                outcomes.append(operation(calls_table("calls")))
            except (MessageChanged, CallIdChanged) as changed:
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
        number=chance.choice([None, "h1"]),
        number_at=chance.choice([None, NOW, NOW + 7]),
        bulk=chance.random() < 0.3,
        callees=("8000", "8001"),
        sequence=chance.choice([None, Sequence((60,))]),
        past=chance.choice([(), (Ring(1, "8000", "failed", NOW, attempts=("a",)),)]),
    )


def _receipt(chance: random.Random) -> Receipt:
    return Receipt("dxtong", chance.choice(["c1", "c2"]), chance.random() < 0.5, None, str(chance.randrange(12)), "無")


def _operation(chance: random.Random) -> Operation:
    """One operation of the store with arguments drawn once, so that both tables get the same."""
    message, receipt, at = _message(chance), _receipt(chance), NOW + chance.randrange(200_000)
    seen, state = message, message.state
    over = {"state": chance.choice([State.CALLING, State.DUE]), "attempt": chance.choice(["a", "b"])}
    past = chance.choice([(), (Ring(1, "8000", "failed", NOW, attempts=("a",)),)])
    moved = seen.but(**over, lease=at, look_at=at, error=None, past=past, no_more=chance.random() < 0.2)
    call = CallId("dxtong", chance.choice(["c1", "c2"]))
    quota = Quota("jumdata", "line", "h", chance.choice(["m1", "m2", "m3", "m4"]), chance.choice([1, 3, 3, 3]))
    given = chance.choice([State.ACCEPTED, State.REJECTED, State.RELEASED, State.UNKNOWN])
    operations: list[Operation] = [
        lambda store: store.messages.get(message.message_id),
        lambda store: store.messages.put_new(message),
        lambda store: store.messages.put_new(message),
        lambda store: store.messages.release(message),
        lambda store: store.messages.advance(seen, moved, receipt),
        lambda store: store.messages.take_over(seen, moved),
        lambda store: store.messages.fail_over(message, "jumdata", at, at),
        lambda store: store.messages.record_outcome(message, given, {"updated_at": at}),
        lambda store: store.messages.give_up(seen, at),
        lambda store: store.messages.touch(seen, {"unlinked": 2, "look_at": at}),
        lambda store: store.messages.settle(message.message_id, receipt, "call_id", at),
        lambda store: store.messages.keep_later(message.message_id, receipt, 1),
        lambda store: store.call_ids.record_receipt(replace(receipt, number_hash=chance_hash), int(at)),
        lambda store: store.call_ids.mark_waiting(call, at, at - 5),
        lambda store: store.call_ids.link("dxtong", call.call_id, message),
        lambda store: store.call_ids.unmark(call),
        lambda store: list(store.messages.in_state(state, at)),
        lambda store: list(store.call_ids.waiting(at)),
        lambda store: store.call_ids.get("dxtong", call.call_id),
        lambda store: store.call_ids.look_again(call, chance_at),
        lambda store: store.numbers.note(message, "h1", at),
        lambda store: sorted(map(str, store.numbers.of("h1", NOW))),
        lambda store: store.pace.take("dxtong", 3, at, at + 2),
        lambda store: store.pace.take("dxtong", 3, NOW, NOW + 1),
        lambda store: store.quotas.count(quota, at),
        lambda store: _unavailable(store.quotas.renew, quota, at),
        lambda store: store.quotas.has_room(quota, at),
    ]
    chance_hash, chance_at = chance.choice([None, "h1"]), chance.choice([None, at])
    return chance.choice(operations)


def _put(message: Message, store: CallsTable) -> None:
    store.messages.put_new(message)


def _unavailable(work: Callable[..., Any], *arguments: Any) -> Any:
    """AwsUnavailable as a result, for it is one of renew's answers."""
    try:
        return work(*arguments)
    except AwsUnavailable as error:
        return str(error)


@pytest.mark.parametrize("seed", range(2))
def test_the_store_does_the_same_in_memory_as_on_moto(both: Both, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(200):
        on_moto, in_memory = both.does(monkeypatch, _operation(chance))
        assert on_moto == in_memory, f"operation {number} of seed {seed}"
    on_moto, in_memory = both.items()
    assert on_moto == in_memory


def test_pages_of_the_index_are_asked_for_one_after_the_other(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [Message(f"m{at}", State.DUE, NOW, attempt="a", look_at=NOW + at % 7) for at in range(40)]
    for message in many:
        both.does(monkeypatch, partial(_put, message))
    on_moto, in_memory = both.does(monkeypatch, lambda store: list(store.messages.in_state(State.DUE, NOW + 5)))
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
