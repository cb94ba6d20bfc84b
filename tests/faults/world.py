"""A whole gateway in memory, scripted vendors, a clock to turn; and the oracles that say what went wrong in a run.

The stories are the real ones, wired as ``functions/*/app.py`` wires them; what is below them (AWS, the vendors'
servers) goes I/O by I/O through the gate of :mod:`tests.faults.kinds`.
"""

import datetime
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any, Self
from unittest.mock import patch
from urllib.parse import urlsplit

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from voice_gateway.model.errors import AwsUnavailable, NotConnected, ReplyLost, TryLater
from voice_gateway.model.hours import CHINA
from voice_gateway.model.message import FINAL, Message, State
from voice_gateway.model.moving_on import escalates_at, with_current_ring
from voice_gateway.platform import aws
from voice_gateway.platform.callback_tokens import CallbackKeys, Keyring
from voice_gateway.platform.observability import Invocation, Record
from voice_gateway.platform.secrets import Secrets
from voice_gateway.platform.settings import Settings, VendorSettings
from voice_gateway.receipts.callbacks import Callbacks
from voice_gateway.receipts.settling import Settling
from voice_gateway.results import cancel as cancelling
from voice_gateway.results import publish
from voice_gateway.results.publish import Publisher
from voice_gateway.sending.sender import Sender
from voice_gateway.storage.calls_table import calls_table
from voice_gateway.storage.dead_letters import DeadLetters
from voice_gateway.storage.lanes import Lanes
from voice_gateway.storage.message_item import message_of
from voice_gateway.storage.messages import Messages
from voice_gateway.storage.outbox import Outbox
from voice_gateway.sweeping.sweep import Sweep
from voice_gateway.vendors.common.accounts import Account, Accounts
from voice_gateway.vendors.common.base import Vendor
from voice_gateway.vendors.common.http import Exchange, HttpReply, HttpRequest

from tests.faults import memory
from tests.faults.kinds import VENDOR, Crash, Faults, Kind

NOON = datetime.datetime(2027, 1, 15, 12, 0, tzinfo=CHINA).timestamp()
BEFORE_NINE = datetime.datetime(2027, 1, 15, 8, 58, tzinfo=CHINA).timestamp()
HOUR, DAY = 3600.0, 86400.0
LANES = ("urgent", "bulk")
_NOBODY = SimpleNamespace(aws_request_id="rid")
SOON = {"expires_at": "2027-01-15T12:25:00+08:00"}
"""A message of noon that has 25 minutes: where nobody ever takes it, a day of retries shows nothing more."""
MOBILE = "13800138000"
ORDERS = {"dxtong": ("dxtong", "jumdata"), "jumdata": ("jumdata", "dxtong")}
"""The order of both vendors, by the first of them; templates are named by it."""
SECONDS = {
    "send": 45.0,
    "callback_dxtong": 25.0,
    "callback_jumdata": 25.0,
    "sweep": 60.0,
    "publish": 30.0,
    "cancel": 10.0,
}
"""Each function's timeout, as template.yaml has it."""
_KEYS = json.dumps({"keys": {"k1": ""}, "number_key": "n" * 64})
SECRETS = {
    "callback": _KEYS,
    "dxtong": '{"account": "a", "apiKey": "k"}',
    "jumdata": '{"appId": "a", "appSecret": "s"}',
}
_OWN = {"dxtong": {}, "jumdata": {"template_id": "T1", "params": ["a"]}}
TEMPLATES = {
    f"/s/templates/{first}": json.dumps({"text": "{a}", "vendors": {name: _OWN[name] for name in order}})
    for first, order in ORDERS.items()
}
ENVIRON = {
    "STACK_NAME": "s",
    "CALLS_TABLE": "calls",
    "OUTBOX_QUEUE_URL": "outbox",
    "DEAD_LETTER_QUEUE_URL": "dead",
    "URGENT_QUEUE_URL": "urgent",
    "BULK_QUEUE_URL": "bulk",
    "RESULTS_TOPIC_ARN": "results",
    "ALARM_TOPIC_ARN": "alarm",
    "CALLBACK_SECRET_ARN": "callback",
    "DXTONG_SECRET_ARN": "dxtong",
    "JUMDATA_SECRET_ARN": "jumdata",
    "DXTONG_ENDPOINT": "http://127.0.0.1:1",
    "JUMDATA_ENDPOINT": "http://127.0.0.1:1",
    "JUMDATA_DAILY_CAP": "3",
    "VENDOR_ORDER": "dxtong,jumdata",
    "CALLBACK_BASE_URL": "http://127.0.0.1:9",
}
RING = Keyring.from_secret(_KEYS)

SAFE = {"F", "N", "T", "C", "not sent"}
"""Replies that prove that nobody was rung."""
RINGS = {"ok", "lost", "5xx"}


@dataclass(frozen=True)
class Behaviour:
    """How the vendors behave in one run, and what is asked of the gateway.

    ``replies`` are a vendor's, request by request, the last one over and over: ``ok``; ``F`` ``N`` ``T`` ``C``, a
    refusal of that class; ``not sent``; ``lost`` and ``5xx``, which ring; ``lost, not rung`` and ``garbage``, which do
    not.

    ``push`` is when receipts come: ``normal``, ``early`` (before the reply), ``io K`` (just before the K-th I/O after
    it), ``redial``, ``hour``, ``day``, ``never``. ``receipts`` are what the vendor says of each call, one after the
    other. ``asked`` is what jumdata answers when it is asked.
    """

    name: str
    first: str = "dxtong"
    replies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    push: str = "normal"
    receipts: tuple[str, ...] = ("delivered",)
    asked: str = "not yet"
    over: Mapping[str, Any] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    begins: float = NOON
    before: int = 0
    """Messages that the number was sent before this one."""
    after: int = 0
    """Messages that the number is sent after this one."""
    mended: bool = False
    """Whether a bad request came first under the same id, and comes again."""
    each: tuple[tuple[str, ...], ...] = ()
    """The receipts of the first call, of the second and so on, where they differ; the last ones over and over."""
    pushes: tuple[str, ...] = ()
    """When the receipts of each call come, where that differs."""
    cancels: bool = False
    """Whether the message is called off in the midst of it."""
    by_lane: int = 0
    """If several messages come by a lane: how many it hands to one invocation."""
    used_up: tuple[str, ...] = ()
    """The vendors of which balance_check found that they have no credit."""

    @property
    def lane(self) -> str:
        return "bulk" if "in the lane for bulk" in self.name else "urgent"

    @property
    def allowed(self) -> int:
        """How often a phone may ring at the most, for one ring."""
        return 2 if self.over.get("on_unknown") == "redial_once" else 1

    @property
    def rings(self) -> int:
        """How many rings a message has at the most."""
        times = self.over.get("redial", {}).get("times", 0)
        return (1 + int(times)) * (1 + len(self.over.get("escalate_to", ())))

    def of_call(self, at: int) -> tuple[tuple[str, ...], str]:
        """The receipts of a call, and when they come."""
        receipts = self.each[min(at, len(self.each) - 1)] if self.each else self.receipts
        return receipts, self.pushes[min(at, len(self.pushes) - 1)] if self.pushes else self.push


@dataclass
class Attempt:
    """One request to a vendor, as the gateway saw it. ``safe`` once it is proved that it rang nobody."""

    message_id: str
    vendor: str
    at: float
    mobile: str = MOBILE
    ring: int = 1
    safe: bool = False


@dataclass
class Pushed:
    """One receipt on its way: pushed three times at the most, until it is answered ``success``."""

    code: str
    pushes: int = 0
    answered: bool = False
    at: float = 0.0

    @property
    def open(self) -> bool:
        return self.pushes < 3 and not self.answered


@dataclass
class Call:
    """A request that a vendor got."""

    vendor: str
    message_id: str
    mobile: str
    call_id: str
    at: float
    rang: bool
    token: str
    receipts: list[Pushed]
    push: str = "normal"
    attempt: str | None = None


_CODES = {"delivered": {"dxtong": "2", "jumdata": "0"}, "failed": {"dxtong": "-6", "jumdata": "1"}}
_CODES["failed again"] = {"dxtong": "-4", "jumdata": "1"}
"""Another failure of the same call: another receipt."""
_REFUSALS = {
    "dxtong": {"F": 4030, "N": 4051, "T": 0, "C": 4082, "garbage": 7777},
    "jumdata": {"F": 400, "N": 603, "T": 500, "C": 400, "garbage": 999},
}


class Vendors:
    """The vendors' servers, as the behaviour scripts them."""

    def __init__(self, world: "World", behaviour: Behaviour) -> None:
        self._world = world
        self.behaviour = behaviour
        self.calls: list[Call] = []
        self.away_until = 0.0
        """Until then no connection can be made."""
        self._ids = 0

    def serve(self, vendor: str, request: HttpRequest) -> HttpReply:
        if request.path.endswith("/result"):
            return self._asked(dict(request.query))
        replies = self.behaviour.replies.get(vendor, ("ok",))
        earlier = sum(call.vendor == vendor for call in self.calls)
        reply = replies[min(earlier, len(replies) - 1)]
        if reply == "not sent" or self._world.now < self.away_until:
            raise NotConnected("refused")
        call = self._note(vendor, request, reply)
        if call.rang and call.push == "early":
            self.push(call)
        elif call.rang and call.push.startswith("io "):
            faults = self._world.faults
            faults.before[faults.count + int(call.push[3:])] = partial(self.push, call)
        return self._reply(vendor, reply, call)

    def _note(self, vendor: str, request: HttpRequest, reply: str) -> Call:
        form = request.form or {}
        self._ids += 1
        receipts, push = self.behaviour.of_call(sum(call.rang for call in self.calls))
        call = Call(
            vendor,
            asked_for(form),
            form["mobile"],
            f"{vendor[0]}{self._ids}",
            self._world.now,
            reply in RINGS,
            urlsplit(form.get("notifyUrl", "")).path.split("/")[-1] or RING.static_token("dxtong"),
            [Pushed(receipt) for receipt in receipts],
            push,
            getattr(self._world.message(asked_for(form)), "attempt", None),
        )
        self.calls.append(call)
        return call

    def _reply(self, vendor: str, reply: str, call: Call) -> HttpReply:
        if reply.startswith("lost"):
            raise ReplyLost("a reset")
        if reply == "5xx":
            return HttpReply(502, "text/html", b"bad gateway")
        if reply == "ok" and vendor == "dxtong":
            return _json({"code": 2, "msg": "ok", "voiceid": call.call_id})
        if reply == "ok":
            return _json({"code": 200, "msg": "ok", "data": {"callId": call.call_id}})
        text = "手机号" if reply == "F" else "no"
        return _json({"code": _REFUSALS[vendor][reply], "msg": text, "voiceid": 0})

    def _asked(self, query: Mapping[str, str]) -> HttpReply:
        code = _CODES.get(self.behaviour.asked, {}).get("jumdata")
        if code is None:
            return _json({"code": 200, "msg": "", "data": {"callId": query["callId"], "callStatus": "2"}})
        return _json({"code": 200, "msg": "", "data": {"callId": query["callId"], "callStatus": code}})

    def begin_again(self) -> None:
        """Gives out the same call ids again."""
        self._ids = 0

    # Receipts.

    def due(self) -> list[Call]:
        """The calls whose receipts are to be pushed by now."""
        return [call for call in self.calls if call.rang and self._due(call)]

    def _due(self, call: Call) -> bool:
        push, age = call.push, self._world.now - call.at
        redialled = len({id(attempt) for attempt in self._world.attempts if attempt.message_id == call.message_id}) > 1
        late = {"redial": redialled or age > HOUR / 2, "hour": age >= HOUR, "day": age >= 25 * HOUR, "never": False}
        late["next"] = len(self.calls) > self.calls.index(call) + 1 or age > HOUR / 2
        return late.get(push, True)

    def push(self, call: Call) -> None:
        """Pushes the first receipt that is still open, once."""
        for receipt in call.receipts:
            if receipt.open:
                receipt.pushes += 1
                receipt.at = self._world.now
                receipt.answered = self._world.callback(call, receipt.code)
                if not receipt.answered and receipt.pushes < 3:
                    return


def asked_for(form: Mapping[str, str]) -> str:
    """The message that a request is about: the tests' text is the message's id."""
    return form.get("content") or form.get("param", "")


def _json(body: Any) -> HttpReply:
    return HttpReply(200, "application/json", json.dumps(body).encode())


def callback_event(call: Call, outcome: str) -> dict[str, Any]:
    """What API Gateway hands over when a vendor pushes a receipt."""
    code = _CODES["delivered" if outcome == "mismatch" else outcome][call.vendor]
    if call.vendor == "dxtong":
        mobile = "13800138099" if outcome == "mismatch" else call.mobile
        body = f"code={code}&msg=x&mobilephone={mobile}&talktime=3&voiceid={call.call_id}"
        headers = {"content-type": "application/x-www-form-urlencoded"}
    else:
        again = {"callDesc": "486"} if outcome == "failed again" else {}
        status = {"callId": call.call_id, "callStatus": int(code), "callStatusText": "x", "callTime": 3}
        body = json.dumps({**status, **again})
        headers = {"content-type": "application/json"}
    return {"pathParameters": {"token": call.token}, "headers": headers, "body": body}


def lane_record(lane: str, handle: str, body: str, received: int) -> dict[str, Any]:
    """What Lambda hands over of a queue."""
    return {
        "messageId": f"sqs-{handle}",
        "receiptHandle": handle,
        "body": body,
        "attributes": {"ApproximateReceiveCount": str(received)},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:r:1:{lane}",
    }


class World:
    """The gateway, its vendors and the clock. Used as a context: it stands in for the clients of AWS meanwhile."""

    def __init__(self, behaviour: Behaviour, chosen: Mapping[int, Kind] | None = None) -> None:
        self.now = behaviour.begins
        self.behaviour = behaviour
        self.settings = ReadOnce({**ENVIRON, **behaviour.environ})
        self.table = memory.Dynamo()
        for vendor in behaviour.used_up:
            self.table.items[f"BALANCE#{vendor}"] = {"pk": {"S": f"BALANCE#{vendor}"}, "level": {"S": "empty"}}
        self.queues = memory.Queues(self.clock)
        self.topics = memory.Topics()
        self.faults = Faults(chosen or {}, self.clock, self.wait)
        self.vendors = Vendors(self, behaviour)
        self.attempts: list[Attempt] = []
        self.escaped: list[str] = []
        self.over: dict[str, Mapping[str, Any]] = {}
        """What each message asks for, where that differs from the behaviour's."""
        self.wrong: list[str] = []
        """What no call may do, seen as it was made."""
        self.called_off: dict[str, int] = {}
        """The last ring that a message may have, by what its cancel was answered."""
        behind = {
            "dynamodb": self.table,
            "sqs": self.queues,
            "sns": self.topics,
            "secretsmanager": memory.SecretsManager(SECRETS),
            "ssm": memory.Parameters(TEMPLATES),
        }
        self._behind = behind
        self._clients = {name: memory.Client(name, service, self.faults.io) for name, service in behind.items()}
        self._processes: dict[str, Any] = {}
        self._streamed = 0
        self.by_lane = 1
        """How many messages a lane hands to one invocation."""
        self._instead = ExitStack()

    def __enter__(self) -> Self:
        self._instead.enter_context(patch.object(aws, "client", self._clients.__getitem__))
        self._instead.enter_context(patch.object(TypeSerializer, "serialize", memory.serialize))
        self._instead.enter_context(patch.object(TypeDeserializer, "deserialize", memory.deserialize))
        self._instead.enter_context(patch.object(publish, "emit", lambda *_, **__: None))
        self._instead.enter_context(memory.small_index())
        self._instead.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.CRITICAL)
        return self

    def __exit__(self, *_: object) -> None:
        self._instead.close()

    def open_gate(self) -> None:
        """Lets every request through uncounted, from any thread."""
        for name, service in self._behind.items():
            self._clients[name] = memory.Client(name, service, lambda _service, _operation, carried: carried())

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds

    # The functions, each a process of its own.

    def _process(self, name: str) -> Any:
        if name not in self._processes:
            self._processes[name] = getattr(self, f"_new_{name.partition('_')[0]}")(name)
        return self._processes[name]

    def cold(self) -> None:
        """Nobody was here for long: every function begins anew."""
        self._processes.clear()

    def _keys(self) -> CallbackKeys:
        return CallbackKeys(self.settings, Secrets(clock=self.clock))

    def _new_send(self, _: str) -> Sender:
        table, keys, accounts = calls_table("calls"), self._keys(), ScriptedAccounts(self)
        return Sender.wired(self.settings, table, Outbox("outbox"), keys, accounts, self.clock, self.wait)

    def _new_callback(self, name: str) -> Callbacks:
        table, dead = calls_table("calls"), DeadLetters("dead")
        settling = Settling(table.messages, table.call_ids, dead)
        vendor = name.removeprefix("callback_")
        return Callbacks(vendor, self.settings, self._keys(), settling, Outbox("outbox"), dead, self.clock)

    def _new_sweep(self, _: str) -> Sweep:
        table, outbox, dead = calls_table("calls"), Outbox("outbox"), DeadLetters("dead")
        results, lanes, accounts = aws.Topic("results"), Lanes(self.settings), ScriptedAccounts(self)
        return Sweep(self.settings, table, outbox, dead, results, lanes, accounts, self.clock, workers=1)

    def _new_publish(self, _: str) -> Publisher:
        return Publisher(aws.Topic("results"), Lanes(self.settings), Outbox("outbox"), self.clock)

    def _new_cancel(self, _: str) -> Messages:
        return calls_table("calls").messages

    def invoke(self, function: str, work: Callable[[Any, Invocation], Any], process: str = "") -> Any:
        """One invocation: what it returns, or what it raised. A crash ends the process."""
        process = process or function
        with self.faults.invocation(SECONDS[function]):
            means = Invocation(self.faults.remaining, Record())
            try:
                return work(self._process(process), means)
            except Crash as crash:
                self._processes.pop(process, None)
                return crash
            except (TryLater, AwsUnavailable) as error:
                if isinstance(error, AwsUnavailable) and function not in {"publish", "cancel"}:
                    self.escaped.append(f"{function} raised AwsUnavailable: {error}")
                return error
            except Exception as error:  # noqa: BLE001 -- a finding, told with its run
                self.escaped.append(f"{function} raised {type(error).__name__}: {error}")
                return error

    # What happens from outside.

    def request(self, message_id: str) -> dict[str, Any]:
        first = self.behaviour.first
        form = {"template": first, "params": {"a": message_id}}
        mobile = f"138001380{message_id[-2:].lstrip('n'):0>2}" if message_id.startswith("n") else MOBILE
        return {"message_id": message_id, "mobile": mobile, **form, **self.behaviour.over}

    def send(self, message_id: str = "m1", process: str = "") -> Any:
        """Hands a message over, and lets the stream tell of it."""
        raw = self.request(message_id)
        done = self.invoke("send", lambda sender, means: sender.send(raw, "rid", means), process)
        self.stream()
        return done

    def send_bad(self) -> None:
        """A request under the same id that no vendor may see."""
        raw = {**self.request("m1"), "surprise": 1}
        self.invoke("send", lambda sender, means: sender.send(raw, "rid", means))
        self.stream()

    def callback(self, call: Call, outcome: str) -> bool:
        """Pushes a receipt; whether it was answered ``success``."""
        event = callback_event(call, outcome)
        name = f"callback_{call.vendor}"
        answer = self.invoke(name, lambda callbacks, means: callbacks.receive(event, means.record))
        return isinstance(answer, dict) and (answer["statusCode"], answer["body"]) == (200, "success")

    def cancel(self, message_id: str = "m1") -> Any:
        """Calls a message off."""
        asked = {"message_id": message_id}
        told = self.invoke("cancel", lambda messages, _: cancelling.cancel(asked, messages, self.clock))
        if isinstance(told, dict) and told["status"] is not None:
            self.called_off.setdefault(message_id, told["ring"])
        self.stream()
        return told

    def pushes(self) -> None:
        """The vendors push what is due."""
        for call in self.vendors.due():
            if any(receipt.open for receipt in call.receipts):
                self.vendors.push(call)
                self.stream()
        self.hand_over()

    def sweep(self) -> None:
        """One run of the sweep; then what it, and what failed before, hands to ``send``."""
        self.invoke("sweep", lambda sweep, means: sweep.run(means))
        self.stream()
        self.hand_over()

    def hand_over(self) -> None:
        """The lanes hand to ``send`` what is in them, until nothing is in sight."""
        for lane in LANES:
            while some := self.queues.receive_message(QueueUrl=lane, MaxNumberOfMessages=self.by_lane).get("Messages"):
                self.lane_hands(lane, some)

    def publish(self, message_id: str) -> None:
        """What the notify topic puts into a lane."""
        request = self.request(message_id)
        notice = {"Type": "Notification", "MessageId": f"sns-{message_id}", "Message": json.dumps(request)}
        self.queues.send_message(QueueUrl=self.behaviour.lane, MessageBody=json.dumps(notice))

    def deliver_again(self) -> None:
        """The queue delivers what it has, in sight or not, to another process: at least once is what it promises."""
        for lane in LANES:
            for at, body in enumerate(self.queues.bodies(lane)):
                record = {"ReceiptHandle": f"again-{at}", "Body": body}
                self.lane_hands(lane, [record], "send_another")

    def lane_hands(self, lane: str, some: list[dict[str, str]], process: str = "") -> Any:
        """Lambda's poller: one invocation for a batch. What it did not name, and did not die with, leaves the queue."""
        handles = [one["ReceiptHandle"] for one in some]
        records = [
            lane_record(lane, handle, one["Body"], self.queues.received(lane, handle))
            for handle, one in zip(handles, some, strict=True)
        ]
        self.faults.retrying = any(self._released(one["Body"]) for one in some)
        event = {"Records": records}
        done = self.invoke("send", lambda sender, means: sender.receive(event, _NOBODY, means), process)
        self.faults.retrying = False
        if not isinstance(done, BaseException):
            back = {failure["itemIdentifier"] for failure in done["batchItemFailures"]}
            for one in some:
                if f"sqs-{one['ReceiptHandle']}" not in back:
                    self.queues.delete_message(QueueUrl=lane, ReceiptHandle=one["ReceiptHandle"])
        self.stream()
        return done

    def _released(self, body: str) -> bool:
        message = self.message(json.loads(body).get("handed_over", {}).get("message_id", ""))
        return message is not None and message.state is State.RELEASED

    def stream(self) -> None:
        """Hands the table's changes to ``publish`` until it has taken them."""
        until = len(self.table.changes)
        event = {"Records": [change for at in range(self._streamed, until) if (change := self._change(at))]}
        tries = 0
        while event["Records"]:
            done = self.invoke("publish", lambda publisher, means: publisher.publish(event, means.record))
            if isinstance(done, dict) and not done["batchItemFailures"]:
                break
            tries += 1
            if tries == 10:
                return
        self._streamed = max(until, self._streamed)

    def stream_again(self) -> None:
        """Hands every change over once more."""
        self._streamed = 0
        self.stream()

    def _change(self, at: int) -> dict[str, Any] | None:
        old, new = self.table.changes[at]
        if new is None or not new["pk"]["S"].startswith("MSG#"):
            return None
        images = {"NewImage": new, **({"OldImage": old} if old else {})}
        return {"dynamodb": {**images, "SequenceNumber": str(at)}}

    # What became of it.

    def begun(self, form: Mapping[str, str], vendor: str) -> Attempt:
        """A request is about to be made, in the ring that the item says."""
        message = self.message(asked_for(form))
        attempt = Attempt(asked_for(form), vendor, self.now, form["mobile"], message.ring if message else 1)
        self.attempts.append(attempt)
        return attempt

    def leaves(self, form: Mapping[str, str], attempt: Attempt) -> None:
        """The request is made: it must be that ring's, as the item is now."""
        message_id = attempt.message_id
        message = self.message(message_id)
        ring, place = (message.ring, message.place) if message else (1, 0)
        asked = {**self.request(message_id), **self.over.get(message_id, {})}
        if form["mobile"] != [asked["mobile"], *asked.get("escalate_to", ())][place] or ring != attempt.ring:
            self.wrong.append(f"WRONG NUMBER {message_id}: not that of ring {ring}")
        if ring > self.called_off.get(message_id, 99):
            self.wrong.append(f"CALLED OFF {message_id}: and ring {ring} was made")

    def quiet(self) -> bool:
        """Whether nothing will change any more, however often anybody looks."""
        return not (
            self.faults.under_way
            or self._streamed < len(self.table.changes)
            or any(self.queues.bodies(queue) for queue in ("outbox", *LANES))
            or any("work_at" in item and item.get("st", {}).get("S") not in FINAL for item in self.table.items.values())
            or any(call.rang and any(one.open for one in call.receipts) for call in self.vendors.calls)
        )

    def knows(self, call: Call) -> bool:
        """Whether a receipt of that call says, or its call id tells, whose it is."""
        return call.vendor == "jumdata" or "message" in self.table.items.get(f"CALL#{call.vendor}#{call.call_id}", {})

    def message(self, message_id: str = "m1") -> Message | None:
        item = self.table.items.get(f"MSG#{message_id}")
        return None if item is None else message_of(item)


class ReadOnce(Settings):
    """Settings whose vendors are read once: a tenth of a run's time."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        self._read: dict[str, VendorSettings] = {}

    def vendor(self, name: str) -> VendorSettings:
        if name not in self._read:
            self._read[name] = super().vendor(name)
        return self._read[name]


class ScriptedAccounts(Accounts):
    """Accounts whose exchanges go to the scripted vendors, through the gate."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._read = Secrets(clock=world.clock)
        super().__init__(world.settings, self._read)

    def _made(self, vendor: Vendor) -> Account:
        return ScriptedAccount(vendor, self._world, self._read)


class ScriptedAccount(Account):
    def __init__(self, vendor: Vendor, world: World, secrets: Secrets) -> None:
        super().__init__(vendor, world.settings, secrets)
        self._world = world

    def exchange(self) -> Exchange:
        world, vendor = self._world, self.vendor

        def exchange(request: HttpRequest) -> HttpReply:
            serve = partial(world.vendors.serve, vendor.name, request)
            if request.path.endswith("/result"):
                answer: HttpReply = world.faults.io(VENDOR, f"{vendor.name} asked", serve)
                return answer
            form = request.form or {}
            attempt = world.begun(form, vendor.name)
            try:
                reply: HttpReply = world.faults.io(VENDOR, vendor.name, serve, partial(world.leaves, form, attempt))
            except NotConnected:
                attempt.safe = True
                raise
            attempt.safe = refused(vendor, reply)
            return reply

        return exchange


def refused(vendor: Vendor, reply: HttpReply) -> bool:
    """Whether the vendor said for certain that it will not ring."""
    if reply.status != 200:
        return False
    codes = {str(code) for name, code in _REFUSALS[vendor.name].items() if name != "garbage"}
    return str(json.loads(reply.body)["code"]) in codes


def _steps(text: str) -> list[str]:
    """Words: a number waits so many seconds, the others are done."""
    return text.split()


def story(world: World) -> None:
    """Send, receipts, redelivery four times with the clock moved, sweeps; then an hour later, and a day.

    It ends once nothing more can happen: nothing to sweep, to push, to land or to hand over.
    """
    if world.behaviour.by_lane:
        _by_lane(world)
        return
    for number in range(world.behaviour.before):
        world.send(f"b{number}")
    if world.behaviour.mended:
        world.send_bad()
    for step in _WHILE_SENT:
        _step(world, step)
    for step in _AFTERWARDS:
        if world.quiet():
            return
        _step(world, step)


_WHILE_SENT = _steps("send 5 push 15 send 25 sweep push 20 send 60 sweep others send 60 push sweep 300 send push")
_AFTERWARDS = _steps(
    "61 sweep 61 sweep push 121 sweep 300 sweep 120 sweep cold 2300 push sweep 200 push sweep 100 push sweep 300 sweep "
    "cold 86400 push sweep 100 push sweep 100 push sweep 120 sweep"
)


BATCH = ("n0", "n1", "n2")
"""The messages that come by a lane, where they do."""


def _by_lane(world: World) -> None:
    """A batch of three, as often as it comes again; then sweeps, until nothing more can happen."""
    world.by_lane = world.behaviour.by_lane
    for message_id in BATCH:
        world.publish(message_id)
    for seconds in (0, 20, 95, 61, 61, 95, 61, 121, 300, 120, 100, 2300, 200, 100, 300, 61):
        world.now += seconds
        world.hand_over()
        world.pushes()
        world.sweep()
        if world.quiet():
            return


def _step(world: World, step: str) -> None:
    if step.isdigit():
        world.now += float(step)
    else:
        _STEPS[step](world)


def _others(world: World) -> None:
    if world.behaviour.cancels:
        world.cancel()
    if world.behaviour.mended:
        world.send_bad()
    for number in range(world.behaviour.after):
        world.send(f"a{number}")


_STEPS: dict[str, Callable[[World], object]] = {
    "send": lambda world: world.send(),
    "push": World.pushes,
    "sweep": World.sweep,
    "cold": World.cold,
    "others": _others,
}


# Oracles.

_NEXT: Mapping[State | None, frozenset[str]] = {
    None: frozenset({"calling", "rejected", "due", "expired", "released"}),
    State.DUE: frozenset({"calling", "rejected", "expired", "due", "cancelled", "delivered"}),
    State.RELEASED: frozenset(
        {"calling", "rejected", "expired", "due", "delivered", "failed", "released", "cancelled"}
    ),
    State.CALLING: frozenset(
        {"accepted", "rejected", "released", "unknown", "delivered", "failed", "calling", "due", "cancelled"}
    ),
    State.UNKNOWN: frozenset({"accepted", "rejected", "delivered", "failed", "calling", "unknown", "due"}),
    State.ACCEPTED: frozenset({"delivered", "failed", "accepted", "due"}),
    **{state: frozenset({state.value}) for state in FINAL},
}
"""The table of docs/protocol.md; a state may stay."""
_TOLD = {State.ACCEPTED, State.UNKNOWN, *FINAL}
_PUBLIC = {"due": "deferred", "released": "deferred", "calling": "submitting"}


def findings(world: World) -> list[str]:
    """What went wrong in a run, each by its kind first."""
    found = [f"ESCAPED {text}" for text in world.escaped] + world.wrong
    ids = sorted({message.message_id for message in _messages(world)} | {a.message_id for a in world.attempts})
    for message_id in ids:
        found += _rings(world, message_id)
    for message_id in BATCH if world.behaviour.by_lane else ():
        if world.message(message_id) is None:
            found.append(f"LOST {message_id}: it came by a lane, and is nowhere")
    found += _receipts(world) + _transitions(world) + _published(world) + _caps(world) + _stuck(world)
    return found


def _messages(world: World) -> list[Message]:
    return [message_of(item) for pk, item in world.table.items.items() if pk.startswith("MSG#")]


def _rings(world: World, message_id: str) -> list[str]:
    found = []
    perhaps = Counter(one.ring for one in world.attempts if one.message_id == message_id and not one.safe)
    for number, times in perhaps.items():
        if times > world.behaviour.allowed or number > world.behaviour.rings:
            found.append(f"DOUBLE {message_id}: {times} calls that may have rung in ring {number}")
    message = world.message(message_id)
    rang = Counter(call.mobile[-4:] for call in world.vendors.calls if call.message_id == message_id and call.rang)
    if message is None:
        return found + [f"WRONG {message_id}: it is nowhere, and the phone rang"] * bool(rang)
    rings = with_current_ring(message)
    if [ring.ring for ring in rings] != list(range(1, len(rings) + 1)):
        found.append(f"WRONG {message_id}: its rings are {[ring.ring for ring in rings]}")
    taken = {ring.callee for ring in rings if ring.status in _RUNG} - set(rang)
    found += [f"WRONG {message_id}: {callee} was accepted, and nobody was rung" for callee in taken]
    by_call_id = {call.call_id: call for call in world.vendors.calls if call.message_id == message_id}
    for ring in rings:
        call = by_call_id.get(ring.call_id or "")
        if call and call.attempt not in ring.attempts:
            found.append(f"MISATTRIBUTED {message_id}: ring {ring.ring} has the call id of another ring")
    for callee, times in rang.items():
        shown = sum(1 + ring.redials for ring in rings if ring.callee == callee and ring.status in _MAY_HAVE_RUNG)
        if times > shown:
            found.append(f"WRONG {message_id}: {message.state}, {callee} rang {times} times, and {shown} are shown")
    return found


_RUNG = {"accepted", "delivered", "failed"}
_MAY_HAVE_RUNG = _RUNG | {"unknown", "submitting"}


def _receipts(world: World) -> list[str]:
    found = []
    for call in world.vendors.calls:
        for receipt in call.receipts:
            if receipt.answered and not where(world, call, receipt):
                state = getattr(world.message(call.message_id), "state", None)
                found.append(f"LOST the {receipt.code} receipt of {call.vendor}: {call.message_id} is {state}")
    return found


def where(world: World, call: Call, receipt: Pushed) -> str:
    """Where a receipt that was answered ``success`` is in the end; nowhere, if it is lost."""
    message = world.message(call.message_id)
    code = _CODES["delivered" if receipt.code == "mismatch" else receipt.code][call.vendor]
    mismatched = receipt.code == "mismatch" and call.vendor == "dxtong"  # jumdata's receipts name no number
    texts = [json.loads(text) for text in message.receipts] if message else []
    if any((text["call_id"], text["code"]) == (call.call_id, code) for text in texts):
        return "message" if not mismatched else ""
    if any(call.call_id in body for body in world.queues.bodies("dead")):
        return "dead letters"
    if message and message.unlinked:
        return "counted as unlinked"
    point = world.table.items.get(f"CALL#{call.vendor}#{call.call_id}", {})
    if not any(json.loads(text)["code"] == code for text in point.get("receipts", {"SS": []})["SS"]):
        return ""
    if mismatched and ("message" in point or "waiting" in point):
        return "kept, mismatched"
    if "message" not in point and "waiting" in point and _beyond(message, call, receipt):
        return "waits"
    return ""


def _beyond(message: Message | None, call: Call, receipt: Pushed) -> bool:
    """Whether a waiting receipt is none that can be linked by its number.

    It came more than an hour after the call, or the message has a result, or a call id, of the other call; or the
    message ended, by another ring, before this one's receipt could be linked.
    """
    if message is None:
        return False
    rings = [ring for ring in with_current_ring(message) if ring.callee == call.mobile[-4:]]
    late = any(receipt.at > (ring.redialled_at or ring.at) + HOUR - 120 for ring in rings)
    return late or any(ring.redials for ring in rings)


def _transitions(world: World) -> list[str]:
    found = []
    for old, new in world.table.changes:
        if new is None or not new["pk"]["S"].startswith("MSG#"):
            continue
        before, after = State(old["st"]["S"]) if old else None, new["st"]["S"]
        bad = before is State.REJECTED and "called_at" not in (old or {}) and world.behaviour.mended
        if after not in _NEXT[None if bad else before]:
            kind = "OVERWRITTEN" if before in FINAL else "TRANSITION"
            found.append(f"{kind} {new['pk']['S']}: {before} to {after}")
    return found


def _published(world: World) -> list[str]:
    told = Counter((r["message_id"], r["status"]) for r in map(json.loads, world.topics.published.get("results", [])))
    waiting = world.queues.bodies("outbox")
    found = []
    for old, new in world.table.changes:
        if new is None or not new["pk"]["S"].startswith("MSG#"):
            continue
        name, state = new["pk"]["S"].removeprefix("MSG#"), new["st"]["S"]
        if new.get("past") != (old or {}).get("past") and not told[name, _PUBLIC.get(state, state)]:
            found.append(f"UNPUBLISHED {name}: the end of a ring")
        if old and old["st"] == new["st"]:
            continue
        if State(state) in _TOLD and not told[name, state] and not any('"result"' in body for body in waiting):
            found.append(f"UNPUBLISHED {name}: {state}")
    return found


def _caps(world: World) -> list[str]:
    """No more messages reach jumdata in 24 hours than its cap, and no more calls may ring; a message counts once."""
    cap = world.settings.vendor("jumdata").daily_cap
    asked = [attempt for attempt in world.attempts if attempt.vendor == "jumdata" and attempt.message_id[0] != "n"]
    for one in asked if cap else []:
        day = [each for each in asked if each.mobile == one.mobile and one.at <= each.at < one.at + DAY]
        if len({(each.message_id, each.ring) for each in day}) > cap or sum(not each.safe for each in day) > cap:
            return [f"CAP {len(day)} requests of a number in 24 hours"]
    return []


def _stuck(world: World) -> list[str]:
    """What nobody will look at again."""
    found = [
        f"STUCK {message.message_id}: {message.state}"
        for message in _messages(world)
        if (message.state is State.CALLING and (message.lease or 0) < world.now - 120)
        or (message.state in {State.DUE, State.RELEASED} and (message.expires_at or 0) < world.now - 300)
        or (escalates_at(message) or world.now) < world.now - 500
    ]
    return found + [
        f"STUCK in {queue}: {body[:60]}" for queue in ("outbox", *LANES) for body in world.queues.bodies(queue)[:1]
    ]
