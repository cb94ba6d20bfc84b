"""The gateway on moto: real handlers and real boto3 requests, vendors simulated over loopback HTTP, a clock to turn.

Used by the tests of functions. The table and the environment are made from template.yaml itself, so that a test fails
where the template and the code no longer fit.
"""

import importlib.util
import io
import json
import logging
import os
import sys
import threading
import traceback
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO, cast

import boto3
import yaml
from voice_gateway.platform import aws, settings
from voice_gateway.platform.callback_tokens import Keyring
from voice_gateway.platform.observability import log
from voice_gateway.storage import call_ids, messages, table
from voice_gateway.sweeping import due

from local.simulators.found import simulators
from tests import found, marks

ROOT = Path(__file__).parents[1]
REGION = "cn-north-1"
STACK = "voice-gateway-test"
SERVICES = ("dynamodb", "secretsmanager", "ssm", "sns", "sqs")
HOOK = "tests"
"""The id under which a test hooks into the clients; such hooks are taken out after each test."""
FUNCTIONS = found.FOLDERS
QUEUES = {
    "outbox": "OUTBOX_QUEUE_URL",
    "dead-letters": "DEAD_LETTER_QUEUE_URL",
    "urgent": "URGENT_QUEUE_URL",
    "bulk": "BULK_QUEUE_URL",
}
ORDER_SHIPPED: dict[str, Any] = {
    "text": "您的订单号是:{order}。已由{carrier}发出,请注意查收。",
    "vendors": {"dxtong": {}, "jumdata": {"template_id": "T1001", "params": ["order", "carrier"]}},
}


class Context:
    """What Lambda hands a function beside the event."""

    def __init__(self, remaining: float = 30.0) -> None:
        self.aws_request_id = str(uuid.uuid4())
        self._remaining = remaining

    def get_remaining_time_in_millis(self) -> int:
        return int(self._remaining * 1000)


@dataclass
class Gateway:
    """A deployed gateway, with its functions in this process."""

    environ: dict[str, str]
    queues: dict[str, str] = field(default_factory=dict)
    modules: dict[str, ModuleType] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return aws.client(service)

    def invoke(self, function: str, event: Any, remaining: float = 30.0) -> Any:
        return self.modules[function].handler(event, Context(remaining))

    def start_anew(self, function: str) -> None:
        """The next invoke finds a process with nothing in memory: a cold start."""
        self.modules[function] = _load(function)

    def send(self, remaining: float = 30.0, **request: Any) -> Any:
        return self.invoke("send", request, remaining)

    def notify(self, message: Any, message_id: str | None = None) -> Any:
        """Delivers a message of the notify topic, in the shape of events/send_sns.json."""
        event = json.loads((ROOT / "events" / "send_sns.json").read_text())
        sns = event["Records"][0]["Sns"]
        sns["Message"] = message if isinstance(message, str) else json.dumps(message)
        sns["MessageId"] = message_id or str(uuid.uuid4())
        return self.invoke("send", event)

    def by_lane(self, *bodies: Any, lane: str = "urgent", received: int = 1) -> list[str]:
        """Delivers what is in a lane, in the shape of events/send_sqs.json; returns which of them go back."""
        event = json.loads((ROOT / "events" / "send_sqs.json").read_text())
        (shape,) = event["Records"]
        arn = shape["eventSourceARN"].rpartition(":")[0] + f":{STACK}-{lane}"
        more = {"eventSourceARN": arn, "attributes": {"ApproximateReceiveCount": str(received)}}
        records = [
            {**shape, **more, "messageId": f"sqs-{at}", "body": body if isinstance(body, str) else json.dumps(body)}
            for at, body in enumerate(bodies)
        ]
        told = self.invoke("send", {"Records": records})
        return [failure["itemIdentifier"] for failure in told["batchItemFailures"]]

    def take_up(self, handed_over: dict[str, Any]) -> Any:
        """Delivers what the gateway put into a lane itself; returns what is told of the message then."""
        self.by_lane(handed_over)
        return self.status(handed_over["handed_over"]["message_id"])

    def status(self, message_id: str) -> Any:
        return self.invoke("status", {"message_id": message_id})

    def sweep(self) -> Any:
        return self.invoke("sweep", {}, 60.0)

    def taken(self, queue: str) -> list[dict[str, Any]]:
        """What is in a queue, taken out of it."""
        sqs, url, bodies = self.client("sqs"), self.queues[queue], []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                bodies.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def item(self, pk: str) -> dict[str, Any] | None:
        table = boto3.resource("dynamodb", region_name=REGION).Table(self.environ["CALLS_TABLE"])
        found: dict[str, Any] | None = table.get_item(Key={"pk": pk}).get("Item")
        return found


@contextmanager
def deployed(endpoints: Mapping[str, str], **environ: str) -> Iterator[Gateway]:
    """A gateway in the moto that the caller started; ``environ`` changes what its functions are set to."""
    gateway = Gateway(_environment(endpoints) | environ)
    canary = Canary()
    before = dict(os.environ)
    os.environ.update(gateway.environ)
    before_tests = _made_small()
    _forget()
    try:
        _make(gateway)
        for name in FUNCTIONS:
            gateway.modules[name] = _load(name)
            canary.watch(gateway.modules[name])
        canary.watch_messages(gateway)
        yield gateway
        assert not canary.found, "\n".join(canary.found)
    finally:
        for (module, name), value in before_tests.items():
            setattr(module, name, value)
        _forget()
        os.environ.clear()
        os.environ.update(before)


def _made_small() -> dict[tuple[ModuleType, str], int]:
    """One worker, for moto takes no lock, and what another thread writes the canary does not hear; and two parts of the
    index, for sixteen are as many requests. Returns what is to be put back."""
    wanted = {(aws, "WORKERS"): 1, **{(module, "SHARDS"): 2 for module in (call_ids, due, messages, table)}}
    before = {(module, name): getattr(module, name) for module, name in wanted}
    for (module, name), value in wanted.items():
        setattr(module, name, value)
    return before


def _environment(endpoints: Mapping[str, str]) -> dict[str, str]:
    topic = f"arn:aws-cn:sns:{REGION}:123456789012:{STACK}"
    return {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "STACK_NAME": STACK,
        "CALLS_TABLE": f"{STACK}-calls",
        "RESULTS_TOPIC_ARN": f"{topic}-results",
        "ALARM_TOPIC_ARN": f"{topic}-alarms",
        **{f"{name.upper()}_ENDPOINT": address for name, address in endpoints.items()},
        "JUMDATA_HOURS": "00:00-24:00",
        "JUMDATA_DAILY_CAP": "3",
        "DXTONG_DAILY_CAP": "0",
        "DXTONG_LOW_CREDIT": "100",
        "JUMDATA_LOW_CREDIT": "50",
        "VENDOR_ORDER": "dxtong,jumdata",
        "VENDOR_DEADLINE_SECONDS": "1",
        "CALLBACK_BASE_URL": "http://127.0.0.1:9",
    }


def _make(gateway: Gateway) -> None:
    """The resources that the functions use. Topics are made under the very names of the environment.

    A vendor whose endpoint no test gave is not configured.
    """
    environ = gateway.environ
    gateway.client("dynamodb").create_table(TableName=environ["CALLS_TABLE"], **_table_schema())
    sns, sqs, secrets = gateway.client("sns"), gateway.client("sqs"), gateway.client("secretsmanager")
    for queue, variable in QUEUES.items():
        environ[variable] = gateway.queues[queue] = sqs.create_queue(QueueName=f"{STACK}-{queue}")["QueueUrl"]
    for topic in ("results", "alarms"):
        arn = sns.create_topic(Name=f"{STACK}-{topic}")["TopicArn"]
        variable = {"results": "RESULTS_TOPIC_ARN", "alarms": "ALARM_TOPIC_ARN"}[topic]
        environ[variable] = arn
        url = gateway.queues[topic] = sqs.create_queue(QueueName=f"{STACK}-{topic}")["QueueUrl"]
        queue_arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)
    for name, content in SECRETS.items():
        if name != "callback" and f"{name.upper()}_ENDPOINT" not in environ:
            continue
        made = secrets.create_secret(Name=f"{STACK}/{name}", SecretString=json.dumps(content))
        environ[f"{name.upper()}_SECRET_ARN"] = made["ARN"]
    gateway.client("ssm").put_parameter(
        Name=f"/{STACK}/templates/order_shipped", Value=json.dumps(ORDER_SHIPPED, ensure_ascii=False), Type="String"
    )
    os.environ.update(environ)


SECRETS: dict[str, dict[str, Any]] = {
    **{vendor: dict(simulator.sandbox_secret) for vendor, simulator in simulators().items()},
    "callback": {"keys": {"k1": ""}, "number_key": "n" * 64},
}


SECRET_WORDS = [word for content in SECRETS.values() for word in content.values() if isinstance(word, str)] + [
    # The key that k1 is derived to be.
    Keyring.from_secret(json.dumps(SECRETS["callback"])).keys["k1"].hex()
]


@cache
def _table_schema() -> dict[str, Any]:
    """The table's own properties in template.yaml."""

    class Loader(yaml.SafeLoader):
        pass

    def given(loader: yaml.SafeLoader, tag: str, node: Any) -> Any:
        """What an Fn::If has where its condition holds; nothing of the other functions."""
        return loader.construct_sequence(node, deep=True)[1] if tag == "If" else None

    Loader.add_multi_constructor("!", given)
    template = yaml.load((ROOT / "template.yaml").read_text(), Loader)
    tables = [r for r in template["Resources"].values() if r["Type"] == "AWS::DynamoDB::Table"]
    wanted = ("KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "BillingMode")
    return {name: tables[0]["Properties"][name] for name in wanted}


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"function_{name}", ROOT / "functions" / name / "app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class _Printed:
    """Stands in for stdout while handlers run, in several threads perhaps, and hands on what each of them prints."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard: dict[int, io.StringIO] = {}
        self._stdout = sys.stdout

    @contextmanager
    def heard_by(self, heard: io.StringIO) -> Iterator[None]:
        thread = threading.get_ident()
        with self._lock:
            if not self._heard:
                self._stdout, sys.stdout = sys.stdout, cast("TextIO", self)
            before = self._heard.get(thread)
            self._heard[thread] = heard
        try:
            yield
        finally:
            with self._lock:
                del self._heard[thread]
                if before is not None:
                    self._heard[thread] = before
                if not self._heard:
                    sys.stdout = self._stdout

    def hears(self) -> bool:
        """Whether a handler runs in this thread."""
        return threading.get_ident() in self._heard

    def write(self, text: str) -> int:
        heard = self._heard.get(threading.get_ident())
        if heard is not None:
            heard.write(text)
        return self._stdout.write(text)

    def flush(self) -> None:
        self._stdout.flush()


_PRINTED = _Printed()


class Canary:
    """Looks at all that the functions write, return, raise, publish and put into queues for what must not be there.

    Here and not in tests of its own, so that every test that calls a function is one (tests/marks.py).
    """

    def __init__(self) -> None:
        self.found: list[str] = []

    def watch(self, module: ModuleType) -> None:
        handler = module.handler

        def watched(event: Any, context: Any) -> Any:
            where = module.__name__
            with self._output() as output:
                try:
                    result = handler(event, context)
                    self._look(f"result of {where}", json.dumps(result, ensure_ascii=False))
                except Exception as error:
                    # Lambda writes the text and the traceback into the log. TryLater's text is the result.
                    self._look(f"what {where} raised", "".join(traceback.format_exception(error)) + repr(error))
                    raise
                finally:
                    lines = output.getvalue().splitlines()
                    self._look(f"log of {where}", "\n".join(lines), notify_data=True, digests=True)
                    self._read(where, lines, context)
            return result

        module.handler = watched  # type: ignore[attr-defined]

    def watch_messages(self, gateway: Gateway) -> None:
        """A hook sees what is sent even where the sending fails, and before a test takes it."""

        def publish(params: dict[str, Any], **_: Any) -> None:
            if _PRINTED.hears():
                alarm = params["TopicArn"] == gateway.environ["ALARM_TOPIC_ARN"]
                self._look("a topic", json.dumps(params, ensure_ascii=False), notify_data=alarm)

        def send_message(params: dict[str, Any], **_: Any) -> None:
            lanes = {gateway.queues["urgent"], gateway.queues["bulk"]}  # which carry requests
            if not _PRINTED.hears() or params["QueueUrl"] in lanes:  # or the test's own letter
                return
            body = json.loads(params["MessageBody"])
            # A request to be sent, or a receipt that cannot be read, is kept as it is.
            kept = body.pop("message", {}) if body.get("kind") == "release" else {}
            kept |= {name: body.pop(name, None) for name in ("entry", "query", "body_base64")}
            self._look("a queue", json.dumps({**params, "MessageBody": body}, ensure_ascii=False))
            secrets = [leak for leak in self._leaks(json.dumps(kept)) if leak in SECRET_WORDS]
            self.found += [f"a queue: {leak}" for leak in secrets]

        for service, operation, hook in (("sns", "Publish", publish), ("sqs", "SendMessage", send_message)):
            events = aws.client(service).meta.events
            events.register(f"provide-client-params.{service}.{operation}", hook, unique_id=f"{HOOK}-canary")

    def _look(self, where: str, text: str, **also: bool) -> None:
        self.found += [f"{where}: {leak}" for leak in self._leaks(text, **also)]

    @staticmethod
    def _leaks(text: str, **also: bool) -> list[str]:
        return marks.leaks(text, SECRET_WORDS, **also)

    def _read(self, where: str, lines: list[str], context: Any) -> None:
        """Each line is one JSON object, and one of them is the invocation's own: who, and for how long."""
        read = []
        for line in lines:
            try:
                content = json.loads(line)
            except ValueError:
                content = None
            if not isinstance(content, dict):
                self.found.append(f"{where} wrote what is no JSON object: {line}")
                continue
            read.append(content)
        own = [line for line in read if line.get("request_id") == context.aws_request_id and "DurationMs" in line]
        if len(own) != 1 or not all(line.get("service") for line in read):
            self.found.append(f"{where}: not one line of the invocation's own among {lines}")

    @contextmanager
    def _output(self) -> Iterator[io.StringIO]:
        """All that would get into the log meanwhile: what is printed, our own logger's lines, and others' warnings."""
        heard = io.StringIO()
        others = logging.StreamHandler(heard)
        others.setLevel(logging.WARNING)  # as Lambda's own handler
        others.addFilter(lambda record: record.name != log.name)
        own = logging.StreamHandler(heard)
        own.setFormatter(log.registered_formatter)
        here = threading.get_ident()
        own.addFilter(lambda record: record.thread == here)
        with _PRINTED.heard_by(heard):
            logging.getLogger().addHandler(others)
            logging.getLogger(log.name).addHandler(own)
            try:
                yield heard
            finally:
                logging.getLogger().removeHandler(others)
                logging.getLogger(log.name).removeHandler(own)


def _forget() -> None:
    """A new process would start with no settings. Clients are slow to make and hold nothing, so they stay."""
    settings.settings.cache_clear()
    for service in SERVICES:
        events = aws.client(service).meta.events
        events.unregister("before-call", unique_id=HOOK)
        for operation in ("sns.Publish", "sqs.SendMessage"):
            events.unregister(f"provide-client-params.{operation}", unique_id=f"{HOOK}-canary")
