"""`make upgrade FROM=commit`: a running stack is upgraded to this checkout and rolled back, while messages are sent.

Shows, on the local stack, that neither rings a phone twice nor loses a result, and that table and secrets stay.
"""

import itertools
import json
import re
import subprocess
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from voice_gateway.model.message import FINAL

from local import deployment
from local.aws import Clients
from local.places import ROOT
from local.server import StackError
from local.stack import InvokeError, Stack, temporary_folder

_ORDER = re.compile(r"\b9[0-9]{5}\b")
"""What each message's text names: by it the requests that a vendor got are told apart."""
SENDERS = 3
PATIENCE = 10.0
"""Seconds after which an invoke is given up that hangs, because its function was just replaced."""
PHASES = ("before", "upgrading", "upgraded", "rolling back", "rolled back")
TRIES = 10
BETWEEN_SENDS = 0.25
"""Seconds between two messages, of whichever sender."""
AROUND = 5.0
"""Seconds of traffic before and after each deployment."""
EMPTY_WITHIN = 60.0
"""Seconds that the lanes may take to become empty, before a release without them is gone back to."""
AT_THE_END = 240.0
"""Seconds that the last results may take: what a killed process left behind is given up, and then linked, by sweeps."""


@dataclass
class Traffic:
    """Several senders, each sending one message after the other, with texts of their own, until they are stopped."""

    stack: Stack
    phase: str = "before"
    sent: dict[str, str] = field(default_factory=dict)
    """Message ids, with the phase in which each was handed over."""
    refused: Counter[str] = field(default_factory=Counter)
    """Why hand-overs that a deployment got in the way of were made again."""
    cut_off: set[str] = field(default_factory=set)
    """The messages of which that is true. The local server ends a function's processes in the middle of their work, as
    Lambda does not: such a message may rightly end ``unknown``."""

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._clients = Clients(self.stack.description["endpoint_url"], read_timeout=PATIENCE)
        self._numbers = itertools.count()
        self._senders = [threading.Thread(target=self._run) for _ in range(SENDERS)]

    def __enter__(self) -> "Traffic":
        for sender in self._senders:
            sender.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Waits until each message is handed over that was begun."""
        self._over.set()
        for sender in self._senders:
            sender.join()

    def wait_for(self, phase: str) -> None:
        """Until somebody has sent in this phase: all senders may still wait for an invoke that hangs."""
        until = time.monotonic() + 3 * PATIENCE
        while phase not in list(self.sent.values()) and time.monotonic() < until:
            time.sleep(BETWEEN_SENDS)

    def _run(self) -> None:
        while not self._over.wait(SENDERS * BETWEEN_SENDS):
            number = next(self._numbers)
            self._hand_over(f"{900000 + number}", number)

    def _hand_over(self, message_id: str, number: int) -> None:
        request: dict[str, Any] = {
            "message_id": message_id,
            "mobile": f"138001380{number % 10:02}",
            "template": "order_shipped",
            "params": {"order": int(message_id), "carrier": "顺丰快递"},
        }
        if number % 8 == 0 and number < 8 * 15:  # jumdata takes three calls a day to one number
            request["vendor"] = "jumdata"
        self.sent[message_id] = self.phase
        for _ in range(TRIES):
            try:
                if number % 4 == 3:
                    topic = self.stack.description["notify_topic_arn"]
                    self.stack.aws.sns.publish(TopicArn=topic, Message=json.dumps(request, ensure_ascii=False))
                else:
                    self.stack.invoke("send", request, by=self._clients)
            except (InvokeError, BotoCoreError, ClientError) as error:
                self.refused[f"{type(error).__name__}: {error}"[:100]] += 1
                self.cut_off.add(message_id)
                time.sleep(1)
            else:
                return


def run(commit: str, say: Callable[[str], None]) -> int:
    """Prints what came of it; 1 where a message was rung twice, or has no result. Raises StackError."""
    with temporary_folder("upgrade") as folder:
        before = folder / "before"
        name = _checkout(commit, before)
        print(f"{name}\nis deployed, upgraded to this checkout, and rolled back, while messages are sent", flush=True)
        with Stack(folder / "stack", source=before, say=say) as stack:
            kept = _kept(stack)
            with Traffic(stack) as traffic:
                time.sleep(AROUND)
                for doing, done, source in ((*PHASES[1:3], ROOT), (*PHASES[3:], before)):
                    traffic.phase = doing
                    began = time.monotonic()
                    with _past_the_lanes(stack, source):
                        stack.deploy_again(source)
                    traffic.phase = done
                    say(f"{doing} took {time.monotonic() - began:.0f} s")
                    time.sleep(AROUND)
                    traffic.wait_for(done)
            wrong = _judge(stack, traffic)
            if _kept(stack) != kept:
                wrong.append("table or secrets are not what they were")
    for finding in wrong[:20]:
        print(f"WRONG: {finding}")
    return 1 if wrong else 0


@contextmanager
def _past_the_lanes(stack: Stack, to: Path) -> Iterator[None]:
    """What an operator does who goes back to a release without lanes (docs/upgrading.md)."""
    found = deployment.outputs(stack.aws)
    if "UrgentQueueUrl" not in found or "UrgentQueue:" in (to / "template.yaml").read_text():
        yield
        return
    topic, function = found["NotifyTopicArn"], found["SendFunctionArn"]
    stack.aws.lambda_.add_permission(
        FunctionName=function,
        StatementId="going-back",
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
        SourceArn=topic,
    )
    subscribed = stack.aws.sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=function)["SubscriptionArn"]
    lanes = [found["UrgentQueueUrl"], found["BulkQueueUrl"]]
    until = time.monotonic() + EMPTY_WITHIN
    while not all(_is_empty(stack, lane) for lane in lanes):
        if time.monotonic() > until:
            raise StackError("the lanes did not become empty")
        time.sleep(BETWEEN_SENDS)
    for trigger in stack.aws.lambda_.list_event_source_mappings()["EventSourceMappings"]:
        if ":sqs:" in trigger["EventSourceArn"]:
            stack.aws.lambda_.update_event_source_mapping(UUID=trigger["UUID"], Enabled=False)
    yield
    stack.aws.sns.unsubscribe(SubscriptionArn=subscribed)


def _is_empty(stack: Stack, queue: str) -> bool:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    depths = stack.aws.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]  # type: ignore[arg-type]
    return set(depths.values()) == {"0"}


def _checkout(commit: str, folder: Path) -> str:
    """Puts a commit's files into the folder; returns its name. Raises StackError."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        raise StackError(f"FROM={commit}: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    log = ["git", "log", "-1", "--format=%h %s", commit]
    return subprocess.run(log, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _kept(stack: Stack) -> tuple[str, tuple[str, ...]]:
    """The table and what is in the secrets."""
    secrets = stack.aws.secretsmanager.list_secrets()["SecretList"]
    values = (stack.aws.secretsmanager.get_secret_value(SecretId=each["ARN"])["SecretString"] for each in secrets)
    return stack.description["calls_table"], tuple(sorted(values))


def _judge(stack: Stack, traffic: Traffic) -> list[str]:
    """What is wrong; prints a line a phase."""
    statuses: dict[str, str] = {}
    until = time.monotonic() + AT_THE_END
    while time.monotonic() < until and not FINAL.issuperset(statuses.values() or {"none"}):
        for message_id in traffic.sent:
            if statuses.get(message_id) not in FINAL:
                statuses[message_id] = str(stack.invoke("status", {"message_id": message_id})["status"])
        time.sleep(0.5)
    rung = Counter(_asked_for(stack))
    for phase in dict.fromkeys(traffic.sent.values()):
        sent = [message_id for message_id, when in traffic.sent.items() if when == phase]
        told = ", ".join(f"{count} {status}" for status, count in Counter(statuses[each] for each in sent).items())
        print(f"  {phase:<13} {len(sent):>4} messages: {told}; rung twice: {sum(rung[each] > 1 for each in sent)}")
    for why, count in traffic.refused.items():
        print(f"  {count} times a hand-over was made again: {why}")
    quiet = [f"no message was handed over: {phase}" for phase in PHASES if phase not in traffic.sent.values()]
    return (
        quiet
        + [f"{each} was rung {rung[each]} times" for each in traffic.sent if rung[each] > 1]
        + [
            f"{each} ({traffic.sent[each]}) is {status}"
            for each, status in statuses.items()
            if status != "delivered" and not (status == "unknown" and each in traffic.cut_off)
        ]
    )


def _asked_for(stack: Stack) -> list[str]:
    """Which message each request at a vendor was about, by the order in its text."""
    found = []
    for vendor in stack.description["simulators"]:
        for request in stack.simulator(vendor)["requests"]:
            text = " ".join(str(value) for value in (request["fields"] or {}).values())
            found += _ORDER.findall(text)
    return found
