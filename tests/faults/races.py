"""Threads against each other: who may ring, and whether a receipt that beats the record is lost (issue 3).

The real handlers, over an AWS in memory that has one lock, as DynamoDB has for an item (moto takes none, and is no
oracle for races without one; a few rounds run on moto with a lock around it all the same). Every request to AWS, and
every call by a vendor, takes a random moment, so that the orders differ from round to round. No sweep helps.
"""

import contextlib
import json
import os
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber
from voice_gateway.model.errors import TryLater
from voice_gateway.platform import aws, settings
from voice_gateway.platform.callback_tokens import Keyring
from voice_gateway.platform.observability import log
from voice_gateway.vendors.common import accounts, exchange
from voice_gateway.vendors.common.http import Exchange, HttpReply, HttpRequest

from tests import gateway
from tests.faults import memory
from tests.faults.figures import Figure

THREADS = 32
ROUNDS = 200
RACES = 2000
RECEIPTS = 1000
MOTO_ROUNDS = 4
_SLOWEST = 0.002
"""Seconds that a request to AWS takes at most."""
ENDPOINTS = {"dxtong": "http://127.0.0.1:9/dxtong", "jumdata": "http://127.0.0.1:9/jumdata"}
VENDORS = tuple(ENDPOINTS)


def number(at: int) -> str:
    return f"138001380{at % 100:02}"


def request(vendor: str, message_id: str, mobile: str) -> dict[str, Any]:
    form = {"content": "请注意查收"} if vendor == "dxtong" else {"template_id": "T1001", "params": ["1"]}
    return {"message_id": message_id, "mobile": mobile, "vendor": vendor, **form}


# Vendors that need no network.


@dataclass(frozen=True)
class Placed:
    """A call that a vendor took."""

    vendor: str
    mobile: str
    call_id: str
    token: str
    """Of the address for its receipt; empty where the vendor has one address for all."""


@dataclass
class Scripted:
    """Both vendors: each takes every call. ``on_call`` happens between taking it and answering."""

    on_call: Callable[[Placed], None] = lambda _: None
    placed: list[Placed] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def over(self, endpoint: str, deadline_seconds: float) -> Exchange:
        vendor = endpoint.rpartition("/")[2]

        def exchange(asked: HttpRequest) -> HttpReply:
            form = asked.form or {}
            call_id = uuid.uuid4().hex[:12]
            call = Placed(vendor, form["mobile"], call_id, form.get("notifyUrl", "").rpartition("/")[2])
            with self._lock:
                self.placed.append(call)
            self.on_call(call)
            return HttpReply(200, "application/json", accepted(vendor, call_id))

        return exchange


def accepted(vendor: str, call_id: str) -> bytes:
    """A vendor's answer to a call that it took."""
    if vendor == "dxtong":
        return json.dumps({"code": 2, "msg": "提交成功", "voiceid": call_id}).encode()
    return json.dumps({"code": 200, "msg": "成功", "data": {"callId": call_id}}).encode()


def receipt_event(call: Placed, token: str = "", *, delivered: bool = True) -> dict[str, Any]:
    """The event that API Gateway makes of a vendor's push."""
    if call.vendor == "dxtong":
        code, text = ("2", "成功") if delivered else ("-6", "無人接聽")
        fields = {"code": code, "msg": text, "mobilephone": call.mobile, "talktime": "12", "voiceid": call.call_id}
    else:
        code, text = ("0", "成功") if delivered else ("1", "失败")
        fields = {"callId": call.call_id, "callStatus": code, "callStatusText": text, "callTime": "12"}
    return {
        "pathParameters": {"token": call.token or token},
        "headers": {"Content-Type": "application/x-www-form-urlencoded"},
        "queryStringParameters": None,
        "isBase64Encoded": False,
        "body": urlencode(fields),
    }


# A gateway in this process.


class Stage:
    """The functions, over whatever ``client`` gives for an AWS service."""

    def __init__(self, client: Callable[[str], Any]) -> None:
        self.client = client
        self.modules: dict[str, ModuleType] = {}
        self.dxtong_token = Keyring.from_secret(json.dumps(gateway.SECRETS["callback"])).static_token("dxtong")

    @contextmanager
    def set_up(self, over: Callable[[str, float], Exchange] | None, **environ: str) -> Iterator["Stage"]:
        before, real = dict(os.environ), vars(aws)["client"]
        os.environ.update(environment() | environ)
        settings.settings.cache_clear()
        vars(aws)["client"] = self.client
        vars(accounts)["over"] = over or exchange.over
        log.setLevel("CRITICAL")
        try:
            for name in ("send", "callback_jumdata", "callback_dxtong", "sweep", "status", "cancel", "publish"):
                self.modules[name] = gateway._load(name)
            with (
                open(os.devnull, "w") as nowhere,  # noqa: PTH123
                contextlib.redirect_stdout(nowhere),
                memory.small_index(),
            ):
                yield self
        finally:
            vars(aws)["client"], vars(accounts)["over"] = real, exchange.over
            os.environ.clear()
            os.environ.update(before)
            settings.settings.cache_clear()

    def invoke(self, function: str, event: Any, remaining: float = 30.0) -> Any:
        return self.modules[function].handler(event, gateway.Context(remaining))

    def push(self, call: Placed) -> bool:
        """Whether the callback was answered ``success``."""
        return bool(self.invoke(f"callback_{call.vendor}", receipt_event(call, self.dxtong_token))["body"] == "success")

    def status(self, message_id: str) -> str | None:
        status: str | None = self.invoke("status", {"message_id": message_id})["status"]
        return status


def environment() -> dict[str, str]:
    """What template.yaml gives the functions, with made-up places."""
    places = {variable: f"https://sqs/{queue}" for queue, variable in gateway.QUEUES.items()}
    secrets = {f"{name.upper()}_SECRET_ARN": f"arn:{name}" for name in gateway.SECRETS}
    return {**gateway._environment(ENDPOINTS), **places, **secrets}


class InMemory:
    """AWS in memory, each request of which takes a random moment before and after."""

    def __init__(self, seed: int, slowest: float = _SLOWEST) -> None:
        self.dynamo = memory.Dynamo()
        self.queues = memory.Queues(time.time)
        self.topics = memory.Topics()
        self._random = random.Random(seed)
        self._slowest = slowest
        services: dict[str, object] = {
            "dynamodb": self.dynamo,
            "sqs": self.queues,
            "sns": self.topics,
            "secretsmanager": memory.SecretsManager(
                {f"arn:{name}": json.dumps(content) for name, content in gateway.SECRETS.items()}
            ),
            "ssm": memory.Parameters({}),
        }
        self.services = {name: self._made(name, behind) for name, behind in services.items()}

    def _made(self, name: str, behind: object) -> Any:
        client: Any = memory.Client(name, behind, self._gate)
        client.meta = SimpleNamespace(events=SimpleNamespace(register=lambda *_, **__: None))  # Powertools signs itself
        return client

    def client(self, service: str) -> Any:
        return self.services[service]

    def forget(self) -> None:
        self.dynamo.forget()
        self.dynamo.changes.clear()

    def _gate(self, service: str, operation: str, carried: Callable[[], Any]) -> Any:
        self.dawdle()
        try:
            return carried()
        finally:
            self.dawdle()

    def dawdle(self) -> None:
        if self._random.random() < 0.6:
            time.sleep(self._random.random() * self._slowest)


@contextmanager
def locked_moto() -> Iterator[Callable[[str], Any]]:
    """moto, with one lock around whatever it does: AWS's clients, by service."""
    lock, unlocked = threading.Lock(), BotocoreStubber.__call__

    def one_at_a_time(self: BotocoreStubber, *args: Any, **kwargs: Any) -> Any:
        with lock:
            return unlocked(self, *args, **kwargs)

    BotocoreStubber.__call__ = one_at_a_time  # type: ignore[method-assign]
    try:
        with mock_aws():
            yield aws.client
    finally:
        BotocoreStubber.__call__ = unlocked  # type: ignore[method-assign]


# The races.


class Together:
    """Lets threads begin at one moment."""

    def __init__(self, threads: int = THREADS) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads)
        self._barrier = threading.Barrier(threads)

    def run(self, work: Callable[[int], Any]) -> list[Any]:
        """What each thread came back with, an exception included."""

        def one(at: int) -> Any:
            self._barrier.wait(30)
            try:
                return work(at)
            except Exception as error:  # noqa: BLE001 -- looked at by whoever asked
                return error

        return list(self._pool.map(one, range(self._threads)))

    def close(self) -> None:
        self._pool.shutdown()


def hand_over(stage: Stage, asked: dict[str, Any], at: int) -> Any:
    """Every other thread by SNS, which raises where a caller would be told ``in_progress``."""
    if at % 2:
        record = {"Sns": {"Message": json.dumps(asked), "MessageId": str(uuid.uuid4())}}
        return stage.invoke("send", {"Records": [record]})[0]
    return stage.invoke("send", asked)


def one_message(stage: Stage, vendors: Scripted, together: Together, vendor: str, at: int) -> str | None:
    """What is wrong after 32 threads handed one message over."""
    asked = request(vendor, f"one-{at}", number(at))
    results = together.run(lambda thread: hand_over(stage, asked, thread))
    calls, stored = len(vendors.placed), stage.status(asked["message_id"])
    odd = [each for each in results if isinstance(each, Exception) and not isinstance(each, TryLater)]
    won = [each for each in results if isinstance(each, dict) and not each["replayed"]]
    if calls == 1 and stored == "accepted" and len(won) == 1 and not odd:
        return None
    return f"{vendor}: {calls} calls, {len(won)} own results, stored {stored}, {odd[:1]}"


def one_number(stage: Stage, vendors: Scripted, together: Together, at: int) -> str | None:
    """What is wrong after 32 messages to one number whose cap is three."""
    asked = [request("jumdata", f"cap-{at}-{thread}", number(at)) for thread in range(THREADS)]
    results = together.run(lambda thread: hand_over(stage, asked[thread], thread))
    states = [each["status"] if isinstance(each, dict) else repr(each) for each in results]
    codes = [each["error"]["code"] for each in results if isinstance(each, dict) and each["error"]]
    again = [stage.invoke("send", each)["status"] for each in asked[:3]]  # and no later request gets through
    if len(vendors.placed) == 3 == states.count("accepted") and codes == ["daily_limit"] * (THREADS - 3):
        return None
    return f"{len(vendors.placed)} calls, {sorted(set(states))}, {sorted(set(codes))}, again {again}"


def rounds(stage: Stage, vendors: Scripted, forget: Callable[[], None], count: int) -> dict[str, list[str]]:
    """Findings of ``count`` rounds of each race for the right to ring."""
    together, wrong = Together(), dict[str, list[str]]()
    races: dict[str, Callable[[int], str | None]] = {
        **{
            f"one message by {THREADS} threads, {vendor}": partial(one_message, stage, vendors, together, vendor)
            for vendor in VENDORS
        },
        f"{THREADS} messages to one number, cap 3": partial(one_number, stage, vendors, together),
    }
    for name, race in races.items():
        wrong[name] = []
        for at in range(count):
            forget()
            vendors.placed.clear()
            if finding := race(at):
                wrong[name].append(finding)
    together.close()
    return wrong


class CallbackRace:
    """A vendor's receipt against the record of its call: before it, after it, and somewhere in the middle of it."""

    ORDERS = ("before", "after", "within", "within", "within")

    def __init__(self, stage: Stage, aws_: InMemory, vendors: Scripted) -> None:
        self._stage = stage
        self._aws = aws_
        self._vendors = vendors
        self._local: dict[str, tuple[str, list[threading.Thread]]] = {}
        self._lock = threading.Lock()
        self.receipt_first = 0
        vendors.on_call = self._called

    def run(self, at: int) -> str | None:
        """What is wrong after race number ``at``."""
        vendor, order = VENDORS[at % 2], self.ORDERS[at // 2 % len(self.ORDERS)]
        mobile, message_id = number(at), f"race-{at}"
        with self._lock:
            self._local[mobile] = (order, [])
        self._stage.invoke("send", request(vendor, message_id, mobile))
        call = next(call for call in reversed(self._vendors.placed) if call.mobile == mobile)
        if order == "after":
            self._push(call)
        for thread in self._local[mobile][1]:
            thread.join(10)
        stored = self._stage.status(message_id)
        return None if stored == "delivered" else f"{vendor}, {order}: {stored}"

    def _called(self, call: Placed) -> None:
        order, threads = self._local[call.mobile]
        if order == "before":
            self._push(call)
        elif order == "within":
            thread = threading.Thread(target=self._push, args=(call,))
            threads.append(thread)
            thread.start()
            self._aws.dawdle()

    def _push(self, call: Placed) -> None:
        self._aws.dawdle()
        assert self._stage.push(call)
        if self._is_first(call):
            with self._lock:
                self.receipt_first += 1

    def _is_first(self, call: Placed) -> bool:
        """Whether the receipt found a message that was not ``accepted`` yet, or none linked."""
        waits = self._aws.dynamo.items.get(f"CALL#{call.vendor}#{call.call_id}", {})
        return "waiting" in waits


def callback_races(stage: Stage, aws_: InMemory, vendors: Scripted, count: int) -> tuple[list[str], int]:
    """Findings, and in how many races a receipt waited for its message."""
    race = CallbackRace(stage, aws_, vendors)
    workers = 20  # each number is one worker's at a time: at % 100 never meets itself
    with ThreadPoolExecutor(workers) as pool:
        wrong: list[str] = []
        for begin in range(0, count, 100):
            aws_.forget()
            vendors.placed.clear()
            wrong += [each for each in pool.map(race.run, range(begin, min(begin + 100, count))) if each]
    vendors.on_call = lambda _: None
    return wrong, race.receipt_first


def one_receipt(stage: Stage, aws_: InMemory, vendors: Scripted, vendor: str, count: int) -> tuple[int, int]:
    """How often a receipt pushed ``count`` times changed the result, and how often it was answered ``success``."""
    aws_.forget()
    vendors.placed.clear()
    stage.invoke("send", request(vendor, "receipt", number(0)))
    (call,) = vendors.placed
    with ThreadPoolExecutor(THREADS) as pool:
        answers = sum(pool.map(lambda _: stage.push(call), range(count)))
    settled = [new for old, new in aws_.dynamo.changes if _became(old, new) == "delivered"]
    return len(settled), answers


def images(old: memory.Item | None, new: memory.Item | None) -> dict[str, memory.Item]:
    """A change of the table, as its stream has it."""
    return {name: image for name, image in (("OldImage", old), ("NewImage", new)) if image is not None}


def _became(old: memory.Item | None, new: memory.Item | None) -> str | None:
    """A message's new state, where it changed."""
    before = old["st"]["S"] if old and "st" in old else None
    after = new["st"]["S"] if new and new["pk"]["S"].startswith("MSG#") else None
    return after if after != before else None


# All of it.


def _told(name: str, wrong: list[str], count: int) -> Figure:
    for finding in wrong[:3]:
        print(f"{name}: {finding}", file=sys.stderr)
    return Figure(f"races: {name}, {count}", f"{count - len(wrong)} right", f"{count}", reached=not wrong)


def in_memory(seed: int, count: int, races: int, receipts: int) -> list[Figure]:
    made, vendors = InMemory(seed), Scripted()
    figures = []
    with Stage(made.client).set_up(vendors.over) as stage:
        vendors.on_call = lambda _: made.dawdle()
        for name, wrong in rounds(stage, vendors, made.forget, count).items():
            figures.append(_told(name, wrong, count))
        os.environ["JUMDATA_DAILY_CAP"] = "0"
        wrong, first = callback_races(stage, made, vendors, races)
        figures.append(_told(f"callback against record, no sweep ({first} receipts had to wait)", wrong, races))
        for vendor in VENDORS:
            settled, answers = one_receipt(stage, made, vendors, vendor, receipts)
            figures.append(
                Figure(
                    f"races: one receipt of {vendor} {receipts} times, {THREADS} at once",
                    f"{settled} result, {answers} success",
                    f"1 result, {receipts} success",
                    reached=(settled, answers) == (1, receipts),
                )
            )
    return figures


def on_moto(count: int) -> list[Figure]:
    """A few rounds, to see that the store in memory leaves nothing out."""
    vendors = Scripted()
    with locked_moto() as client, gateway.deployed(ENDPOINTS) as deployed:
        table, made = deployed.environ["CALLS_TABLE"], client("dynamodb")
        stage = Stage(client)

        def forget() -> None:
            for item in made.scan(TableName=table)["Items"]:
                made.delete_item(TableName=table, Key={"pk": item["pk"]})

        with stage.set_up(vendors.over, **deployed.environ):
            found = rounds(stage, vendors, forget, count)
    return [_told(f"{name}, on locked moto", wrong, count) for name, wrong in found.items()]


def run(
    seed: int,
    seconds: float,
    count: int = ROUNDS,
    races: int = RACES,
    receipts: int = RECEIPTS,
    moto_rounds: int = MOTO_ROUNDS,
) -> list[Figure]:
    """Everything, as often as the issue asks, however long it takes; ``seconds`` is what it is meant to take."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)
    try:
        figures = in_memory(seed, count, races, receipts)
    finally:
        sys.setswitchinterval(before)
    return figures + (on_moto(moto_rounds) if moto_rounds else [])


if __name__ == "__main__":
    from tests.faults.figures import table

    given = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(2**31)
    began = time.monotonic()
    print(f"{table(run(given, 150))}\nseed {given}, {time.monotonic() - began:.0f} s")
