"""The project's own functions over AWS in memory and vendors that always answer, by a clock that jumps."""

import datetime
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, Self
from unittest.mock import patch

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from voice_gateway.model.errors import NotConnected
from voice_gateway.model.hours import CHINA
from voice_gateway.platform import aws
from voice_gateway.platform.callback_tokens import CallbackKeys
from voice_gateway.platform.observability import Invocation, Record
from voice_gateway.platform.secrets import Secrets
from voice_gateway.receipts.callbacks import Callbacks
from voice_gateway.receipts.settling import Settling
from voice_gateway.sending.sender import Sender
from voice_gateway.storage.calls_table import calls_table
from voice_gateway.storage.dead_letters import DeadLetters
from voice_gateway.storage.lanes import Lanes
from voice_gateway.storage.outbox import Outbox
from voice_gateway.sweeping import common
from voice_gateway.sweeping.sweep import Sweep
from voice_gateway.vendors.common.accounts import Account, Accounts
from voice_gateway.vendors.common.base import Vendor
from voice_gateway.vendors.common.http import Exchange, HttpReply, HttpRequest

from tests.faults import memory
from tests.faults.world import ENVIRON, SECRETS, TEMPLATES, Call, ReadOnce, callback_event, lane_record
from tests.scale.aws import LATENCY, VENDOR_SECONDS, Poller, Queues, Table
from tests.scale.clock import Clock, Future, Pool

NINE = datetime.datetime(2027, 1, 15, 9, 0, tzinfo=CHINA).timestamp()
_SECONDS = {"send": 45.0, "sweep": 60.0}


class World:
    """A deployed gateway. Used as a context: it stands in for the clients of AWS meanwhile.

    ``rung`` is when each message's call was begun; ``answers`` says whether the vendor can be reached.
    """

    def __init__(self, begins: float, concurrency: Mapping[str, int], **environ: str) -> None:
        self.clock = Clock(begins)
        self.settings = ReadOnce({**ENVIRON, "JUMDATA_DAILY_CAP": "0", "VENDOR_ORDER": "dxtong", **environ})
        self.table = Table(self.clock)
        self.queues = Queues(self.clock)
        self.requests: Counter[str] = Counter()
        self.rung: dict[str, float] = {}
        self.begun: list[float] = []
        self.twice: list[str] = []
        self.raised: Counter[str] = Counter()
        self.takes_time = True
        self.answers: Callable[[], bool] = lambda: True
        behind = {
            "dynamodb": self.table,
            "sqs": self.queues,
            "secretsmanager": memory.SecretsManager(SECRETS),
            "ssm": memory.Parameters(TEMPLATES),
        }
        self._clients = {name: memory.Client(name, service, self._request) for name, service in behind.items()}
        self._instead = ExitStack()
        self._senders: list[Sender] = []
        self.pollers = [
            Poller(self.clock, self.queues.by_url[lane], most, self._by_lane(lane))
            for lane, most in concurrency.items()
        ]

    def __enter__(self) -> Self:
        enter = self._instead.enter_context
        enter(patch.object(aws, "client", self._clients.__getitem__))
        enter(patch.object(TypeSerializer, "serialize", memory.serialize))
        enter(patch.object(TypeDeserializer, "deserialize", memory.deserialize))
        enter(patch.object(memory, "LARGEST_PAGE", 500))  # a page is a megabyte
        enter(patch.object(common, "ThreadPoolExecutor", lambda _: Pool(self.clock)))
        enter(patch.object(common, "wait", self._first_of))
        self._instead.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.CRITICAL)
        self.sender = self._new_sender()
        return self

    def __exit__(self, *_: object) -> None:
        self._instead.close()

    def _first_of(self, futures: set[Future], **_: Any) -> tuple[set[Future], set[Future]]:
        self.clock.wait(futures)
        ended = {future for future in futures if future.done}
        return ended, futures - ended

    def _request(self, service: str, operation: str, carried: Callable[[], Any]) -> Any:
        self.requests[f"{service}.{operation}"] += 1
        if self.takes_time:
            self.clock.sleep(LATENCY[service])
        return carried()

    def _new_sender(self) -> Sender:
        keys = CallbackKeys(self.settings, Secrets(clock=self.clock))
        table, accounts = calls_table("calls"), _Accounts(self)
        return Sender.wired(self.settings, table, Outbox("outbox"), keys, accounts, self.clock, self.clock.sleep)

    # The functions.

    def means(self, function: str) -> Invocation:
        until = self.clock.now + _SECONDS[function]
        return Invocation(lambda: until - self.clock.now, Record())

    def send(self, request: Mapping[str, Any]) -> Any:
        """By direct invoke."""
        return self.sender.send(request, "rid", self.means("send"))

    def _by_lane(self, lane: str) -> Callable[[int, str, int], set[int]]:
        def handle(number: int, body: str, received: int) -> set[int]:
            record = lane_record(lane, str(number), body, received)
            context = SimpleNamespace(aws_request_id="rid")
            try:
                told = self.sender.receive({"Records": [record]}, context, self.means("send"))
            except Exception as error:  # noqa: BLE001 -- a finding
                self.raised[f"{type(error).__name__}: {error}"[:80]] += 1
                return {number}
            return {number} if told["batchItemFailures"] else set()

        return handle

    def publish(self, requests: list[dict[str, Any]]) -> None:
        """What SNS puts into the lane, ten at a time as ``PublishBatch`` takes them."""
        for request in requests:
            lane = request.get("priority", "urgent")
            notice = {"Type": "Notification", "MessageId": request["message_id"], "Message": json.dumps(request)}
            self.queues.by_url[lane].put(json.dumps(notice), moment=self.clock.now + LATENCY["sns"])

    def sweeps(self, until: float) -> None:
        """Every minute, as the rule has it, till then."""
        lanes = Lanes(self.settings)
        queues = Outbox("outbox"), DeadLetters("dead")
        table, topic = calls_table("calls"), aws.Topic("results")
        sweep = Sweep(self.settings, table, *queues, topic, lanes, _Accounts(self), self.clock)
        self.told: list[dict[str, float]] = []

        def run() -> None:
            self.told.append(sweep.run(self.means("sweep")))

        moment = self.clock.now
        while moment <= until:
            self.clock.at(moment, lambda: self.clock.start(run))
            moment += 60

    def receipt(self, message_id: str, call_id: str, mobile: str) -> Any:
        """dxtong's, by its callback."""
        token = CallbackKeys(self.settings, Secrets(clock=self.clock)).keyring().static_token("dxtong")
        call = Call("dxtong", message_id, mobile, call_id, self.clock.now, rang=True, token=token, receipts=[])
        return self.callbacks().receive(callback_event(call, "delivered"), Record())

    def callbacks(self) -> Callbacks:
        table, dead = calls_table("calls"), DeadLetters("dead")
        keys = CallbackKeys(self.settings, Secrets(clock=self.clock))
        settling = Settling(table.messages, table.call_ids, dead)
        return Callbacks("dxtong", self.settings, keys, settling, Outbox("outbox"), dead, self.clock)

    def states(self) -> Counter[str]:
        return Counter(item["st"]["S"] for pk, item in self.table.items.items() if pk.startswith("MSG#"))


class _Accounts(Accounts):
    def __init__(self, world: World) -> None:
        self._world = world
        self._read = Secrets(clock=world.clock)
        super().__init__(world.settings, self._read)

    def _made(self, vendor: Vendor) -> Account:
        return _Account(vendor, self._world, self._read)


class _Account(Account):
    def __init__(self, vendor: Vendor, world: World, secrets: Secrets) -> None:
        super().__init__(vendor, world.settings, secrets)
        self._world = world

    def exchange(self) -> Exchange:
        world, vendor = self._world, self.vendor

        def exchange(request: HttpRequest) -> HttpReply:
            if not world.answers():
                world.clock.sleep(float(world.settings.vendor_deadline_seconds))
                raise NotConnected("no connection in time")
            form = request.form or {}
            message_id = form.get("content") or form.get("param", "")
            if message_id in world.rung:
                world.twice.append(message_id)
            world.rung[message_id] = world.clock.now
            world.begun.append(world.clock.now)
            world.clock.sleep(VENDOR_SECONDS if world.takes_time else 0)
            call_id = f"c{len(world.begun)}"
            ok: dict[str, Any] = {"code": 2, "msg": "ok", "voiceid": call_id}
            if vendor.name == "jumdata":
                ok = {"code": 200, "msg": "ok", "data": {"callId": call_id}}
            return HttpReply(200, "application/json", json.dumps(ok).encode())

        return exchange
