"""Real processes killed with SIGKILL at random moments, then redelivered and swept (issue 3).

A zygote imports the functions once and forks a process for each event, so that a kill is cheap. AWS is a store in this
process, behind a Unix socket: what a killed process had asked for may still happen, as it may in AWS. The vendors are a
real server on loopback, so that a process can be killed with its request half sent, sent, or half answered.
"""

import contextlib
import datetime
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import time_machine
from botocore.exceptions import ClientError
from voice_gateway.credit import check
from voice_gateway.model.errors import TryLater
from voice_gateway.model.message import LEASE_SECONDS
from voice_gateway.platform import observability
from voice_gateway.results import publish
from voice_gateway.sweeping.common import INTERVAL

from tests import gateway
from tests.faults import memory
from tests.faults.figures import Figure
from tests.faults.races import VENDORS, InMemory, Placed, Stage, accepted, images, number, receipt_event, request
from tests.vendors.loopback import Conversation, Loopback

KILLS = 500
KILLS_BETWEEN_RINGS = 200
BATCH = 40
AT_ONCE = 4
_PATIENCE = 20.0
_OUT_OF_CREDIT = range(90, 100)
"""Endings of numbers that dxtong refuses for a reason of its own, so that another vendor is tried."""


# The process that is killed.


class _Remote:
    """A client of AWS whose requests the harness carries out."""

    def __init__(self, service: str, link: Connection, one_at_a_time: threading.Lock) -> None:
        self._service = service
        self._link = link
        self._one_at_a_time = one_at_a_time
        self.meta = SimpleNamespace(events=SimpleNamespace(register=lambda *_, **__: None))

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            with self._one_at_a_time:
                self._link.send(("aws", self._service, operation, arguments))
                refused, answer = self._link.recv()
            if refused:
                raise ClientError(*answer)
            return answer

        return call


def zygote(path: str, environ: dict[str, str]) -> None:
    """Forks a process for each job that comes, until nothing more comes."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    clients: dict[str, Any] = {}
    stage = Stage(lambda service: clients[service])
    with stage.set_up(None, **environ), Client(path) as jobs:
        jobs.send(("zygote",))
        with suppress(EOFError):
            while True:
                name, function, event, later = jobs.recv()
                if os.fork() == 0:
                    jobs.close()
                    with suppress(BaseException):
                        _work(path, stage, clients, name, function, event, later)
                    os._exit(0)


def _work(path: str, stage: Stage, clients: dict[str, Any], name: str, function: str, event: Any, later: float) -> None:
    """One invocation: says when it begins, and what it comes to."""
    with Client(path) as link:
        lock = threading.Lock()
        clients.update({service: _Remote(service, link, lock) for service in gateway.SERVICES})
        for module in (observability, publish, check):
            vars(module)["emit"] = lambda story, record, **_: link.send(("line", story, record.counts))
        moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=later)
        link.send(("start", name, os.getpid()))
        link.recv()
        with time_machine.travel(moment, tick=True):
            try:
                outcome = stage.invoke(function, event, 60.0 if function == "sweep" else 30.0)
            except TryLater as error:
                outcome = json.loads(str(error))
            except BaseException as error:  # noqa: BLE001 -- a finding
                outcome = f"raised {type(error).__name__}: {error}"
        link.send(("done", outcome))


# The harness.


@dataclass
class Job:
    """One invocation, and when it is to be killed: so many seconds after its start, or at its so-manieth request."""

    function: str
    event: Any
    later: float = 0.0
    seconds: float | None = None
    step: float | None = None
    """A whole number: before that request to AWS is carried out. And a half: after it, before the answer is sent."""
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    over: threading.Event = field(default_factory=threading.Event)
    outcome: Any = None
    done: bool = False
    killed: bool = False
    took: float = 0.0
    _process: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def started(self, pid: int) -> None:
        self._process = os.pidfd_open(pid)

    def kill(self) -> None:
        """By a handle of the process, so that it can be no other's; and not once it has said what it came to."""
        with self._lock:
            if self._process is not None and not self.done:
                self.killed = True
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def ended(self) -> None:
        with self._lock:
            if self._process is not None:
                os.close(self._process)
            self._process = None
        self.over.set()


class Vendors:
    """Both vendors behind one port. A call is placed once its whole request is there, whoever still waits for it."""

    def __init__(self, seed: int) -> None:
        self.placed: list[Placed] = []
        self.on_call: Callable[[Placed], None] = lambda _: None
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def script(self, conversation: Conversation) -> None:
        asked = conversation.read_request()
        form = {name: values[0] for name, values in parse_qs(asked.partition(b"\r\n\r\n")[2].decode()).items()}
        if not conversation._whole():
            return
        vendor = "jumdata" if b"voice-notify" in asked[:60] else "dxtong"
        time.sleep(self._random.random() * 0.004)
        body = self._answer(vendor, form)
        time.sleep(self._random.random() * 0.004)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        conversation.send(head.encode())
        conversation.send(body)

    def _answer(self, vendor: str, form: dict[str, str]) -> bytes:
        if vendor == "dxtong" and int(form["mobile"][-2:]) in _OUT_OF_CREDIT:
            return json.dumps({"code": 4051, "msg": "剩余条數不足", "voiceid": 0}).encode()
        call = Placed(vendor, form["mobile"], uuid.uuid4().hex[:12], form.get("notifyUrl", "").rpartition("/")[2])
        with self._lock:
            self.placed.append(call)
        self.on_call(call)
        return accepted(vendor, call.call_id)


class Harness:
    """AWS and the vendors, for processes that it starts and kills."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.aws = InMemory(seed, slowest=0)
        self.aws.services["ssm"] = self.aws._made("ssm", memory.Parameters(_template()))
        self.vendors = Vendors(seed)
        self.counts: dict[str, int] = {}
        """How often each function counted ``OutcomeUnknown``, in lines that it lived to write."""
        self.durations: dict[str, list[float]] = {}
        self.landed: dict[str, int] = {}
        self.findings: list[str] = []
        self._jobs: dict[str, Job] = {}
        self._zygote: Connection | None = None
        self._ready = threading.Event()
        self._lock = threading.Lock()

    @contextmanager
    def running(self) -> Iterator["Harness"]:
        with tempfile.TemporaryDirectory() as folder, Loopback(self.vendors.script) as server:
            path = str(Path(folder) / "aws")
            environ = {"DXTONG_ENDPOINT": server.address, "JUMDATA_ENDPOINT": server.address, "JUMDATA_DAILY_CAP": "3"}
            with Listener(path) as listener:
                threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
                program = f"from tests.faults import processes; processes.zygote({path!r}, {environ!r})"
                started = subprocess.Popen([sys.executable, "-c", program], cwd=gateway.ROOT)
                try:
                    assert self._ready.wait(_PATIENCE), "the zygote did not start"
                    yield self
                finally:
                    if self._zygote is not None:
                        self._zygote.close()
                    started.terminate()
                    started.wait(_PATIENCE)

    def run(self, job: Job) -> Job:
        """Runs one invocation to its end, of whichever kind."""
        assert self._zygote is not None
        with self._lock:
            self._jobs[job.name] = job
            self._zygote.send((job.name, job.function, job.event, job.later))
        if not job.over.wait(_PATIENCE):
            job.kill()
            self.findings.append(f"{job.function} did not end")
        kind = "callback" if job.function.startswith("callback") else job.function
        with self._lock:
            if job.done:
                self.durations.setdefault(kind, []).append(job.took)
            elif job.killed:
                self.landed[kind] = self.landed.get(kind, 0) + 1
        if isinstance(job.outcome, str):
            self.findings.append(f"{job.function} {job.outcome}")
        return job

    def planned(self, function: str, event: Any, later: float, chance: float) -> Job:
        """An invocation that is killed at some moment, by that chance."""
        job = Job(function, event, later)
        if self.random.random() < chance:
            if self.random.random() < 0.7:
                kind = "callback" if function.startswith("callback") else function
                usual = statistics.median(self.durations.get(kind, [0.03])[-50:])
                job.seconds = self.random.random() * usual
            else:
                job.step = self.random.randrange(1, 6) + self.random.choice((0, 0.5))
        return job

    def _accept(self, listener: Listener) -> None:
        with suppress(OSError):  # closed, at the end
            while True:
                link = listener.accept()
                threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: Connection) -> None:
        first = link.recv()
        if first[0] == "zygote":
            self._zygote = link
            self._ready.set()
            return
        job = self._jobs[first[1]]
        job.started(first[2])
        timer = threading.Timer(job.seconds, job.kill) if job.seconds is not None else None
        begun = time.monotonic()
        try:
            link.send("go")
            if timer:
                timer.start()
            self._converse(link, job)
        except (EOFError, OSError):
            pass  # killed, or done
        finally:
            job.took = time.monotonic() - begun
            if timer:
                timer.cancel()
            link.close()
            job.ended()

    def _converse(self, link: Connection, job: Job) -> None:
        requests = 0
        while True:
            frame = link.recv()
            match frame[0]:
                case "aws":
                    requests += 1
                    self._aws(link, job, requests, frame)
                case "line":
                    with self._lock:
                        told = frame[2].get("OutcomeUnknown", 0)
                        self.counts[frame[1]] = self.counts.get(frame[1], 0) + int(told)
                case _:
                    with job._lock:
                        job.done, job.outcome = not job.killed, frame[1]

    def _aws(self, link: Connection, job: Job, requests: int, frame: Any) -> None:
        _, service, operation, arguments = frame
        if job.step == requests:
            job.kill()
            return
        try:
            answer = (False, getattr(self.aws.client(service), operation)(**arguments))
        except ClientError as error:
            answer = (True, (error.response, error.operation_name))
        if job.step == requests + 0.5:
            job.kill()
        link.send(answer)


def _template() -> dict[str, str]:
    name = f"/{gateway.STACK}/templates/order_shipped"
    return {name: json.dumps(gateway.ORDER_SHIPPED, ensure_ascii=False)}


# One batch of messages, from their first delivery to their end.


class Batch:
    """Messages to as many numbers, whose senders, callbacks and sweeps are killed."""

    def __init__(self, harness: Harness, at: int, size: int, pool: ThreadPoolExecutor) -> None:
        self._harness = harness
        self._pool = pool
        self._random = harness.random
        self.messages = [self._message(at * size + each) for each in range(size)]
        self.kept: set[str] = set()
        self._early: list[threading.Thread] = []
        self.unknown_writes = 0

    def run(self) -> list[str]:
        """What is wrong; and harness, kept and messages tell what happened."""
        harness = self._harness
        harness.aws.forget()
        harness.vendors.placed.clear()
        harness.vendors.on_call = self._called
        self._send(0.0, 0.95)
        for thread in self._early:
            thread.join(_PATIENCE)
        harness.vendors.on_call = lambda _: None
        self._send(1.0, 0.2)
        later = self._random.sample(self._open(), len(self._open()) // 3)
        self._push([call for call in self._open() if call not in later], 2.0)
        patience = LEASE_SECONDS + INTERVAL
        for after in (LEASE_SECONDS + 2, patience + 10):
            self._sweep(after, 0.6)
            self._send(after + 1, 0.3)
            self._sweep(after + 2, 0)
            self._push(self._open(), after + 3)
        for after in (2 * patience + 20, 3 * patience + 30, 4 * patience + 40):
            self._sweep(after, 0)
            self._send(after + 1, 0)
            self._push(self._open(), after + 2)
        self._sweep(6 * patience, 0)
        self._publish()
        return self._verdict()

    def _message(self, at: int) -> dict[str, Any]:
        mobile = number(at)
        if at % 3 == 2:
            form = {"template": "order_shipped", "params": {"order": 1, "carrier": "x"}}
            return {"message_id": f"p-{at}", "mobile": mobile, **form}
        return request(VENDORS[at % 3], f"p-{at}", mobile)

    def _send(self, later: float, chance: float) -> None:
        jobs = [self._harness.planned("send", each, later, chance) for each in self.messages]
        list(self._pool.map(self._harness.run, jobs))

    def _sweep(self, later: float, chance: float) -> None:
        self._harness.run(self._harness.planned("sweep", {}, later, chance))

    def _called(self, call: Placed) -> None:
        """Some receipts come at once, and beat the record."""
        if self._random.random() < 0.3:
            thread = threading.Thread(target=self._push_one, args=(call, 0.0))
            self._early.append(thread)
            thread.start()

    def _open(self) -> list[Placed]:
        return [call for call in self._harness.vendors.placed if call.call_id not in self.kept]

    def _push(self, calls: list[Placed], later: float) -> None:
        list(self._pool.map(lambda call: self._push_one(call, later), calls))

    def _push_one(self, call: Placed, later: float) -> None:
        """A vendor's pushes: up to three, until one is answered ``success``. The last is let live."""
        event = self._receipt(call)
        for chance in (0.6, 0.5, 0.0):
            job = self._harness.run(self._harness.planned(f"callback_{call.vendor}", event, later, chance))
            if job.done and isinstance(job.outcome, dict) and job.outcome["body"] == "success":
                self.kept.add(call.call_id)
                return

    def _receipt(self, call: Placed) -> dict[str, Any]:
        return receipt_event(call, self._harness_token())

    def _harness_token(self) -> str:
        return Stage(lambda _: None).dxtong_token

    def _verdict(self) -> list[str]:
        wrong = []
        told = [json.loads(each) for topic in self._harness.aws.topics.published.values() for each in topic]
        for message in self.messages:
            state = self.state(message)
            rings = [call for call in self._harness.vendors.placed if call.mobile == message["mobile"]]
            if len(rings) > 1:
                wrong.append(f"{message['message_id']}: rung {len(rings)} times, {state}")
            elif rings and state != "delivered":
                wrong.append(f"{message['message_id']}: its result is lost, {rings[0].vendor}, {state}")
            elif not rings and state not in self._silent(message):
                wrong.append(f"{message['message_id']}: never rung, and {state}")
            if not any(message["message_id"] == each["message_id"] and each["status"] == state for each in told):
                wrong.append(f"{message['message_id']}: {state} was never published")
        return wrong

    def _silent(self, message: dict[str, Any]) -> set[str]:
        """What a message that was never rung may end in: refused by the one vendor that it asks for, or doubtful."""
        refused = message.get("vendor") == "dxtong" and int(message["mobile"][-2:]) in _OUT_OF_CREDIT
        return {"unknown", "rejected"} if refused else {"unknown"}

    def _publish(self) -> None:
        """The table's stream, at least once: a batch whose reader was killed comes again."""
        changes = [change for change in self._harness.aws.dynamo.changes if change[1]]
        self.unknown_writes = sum(_state(new) == "unknown" != _state(old) for old, new in changes)
        records = [{"dynamodb": {"SequenceNumber": str(at), **images(*each)}} for at, each in enumerate(changes)]
        for begin in range(0, len(records), 100):
            event = {"Records": records[begin : begin + 100]}
            for chance in (0.5, 0.0):
                if self._harness.run(self._harness.planned("publish", event, 0.0, chance)).done:
                    break

    def state(self, message: dict[str, Any]) -> str | None:
        return _state(self._harness.aws.dynamo.items.get(f"MSG#{message['message_id']}"))

    def unknown(self) -> list[str]:
        """Messages that nobody can say anything of: each was never rung, or the verdict says otherwise."""
        return [message["message_id"] for message in self.messages if self.state(message) == "unknown"]


class Sequences(Batch):
    """Messages of two rings: nobody answers the first. Everything that happens between the two is killed."""

    _SECOND = 50
    """What the ending of the second number is beyond the first's."""

    def run(self) -> list[str]:
        harness = self._harness
        harness.aws.forget()
        harness.vendors.placed.clear()
        self._send(0.0, 0.0)
        self._push(self._open(), 1.0)
        self._send(2.0, 0.5)
        self._sweep(3.0, 0.5)
        self._push(self._open(), 4.0)
        patience = LEASE_SECONDS + INTERVAL
        for after in (LEASE_SECONDS + 2, 2 * LEASE_SECONDS + 2, patience + 70, 2 * patience + 70, 3 * patience + 70):
            self._sweep(after, 0.3)
            self._send(after + 1, 0.4)
            self._push(self._open(), after + 2)
        for after in (4 * patience + 70, 5 * patience + 70):
            self._sweep(after, 0)
            self._send(after + 6, 0)
            self._push(self._open(), after + 7)
        self._sweep(7 * patience, 0)
        return self._verdict()

    def _message(self, at: int) -> dict[str, Any]:
        vendor, ending = VENDORS[at % 2], at % 40
        more = {"escalate_to": [number(ending + self._SECOND)], "escalate_after_seconds": 600}
        return {**request(vendor, f"s-{at}", number(ending)), **more}

    def _receipt(self, call: Placed) -> dict[str, Any]:
        second = int(call.mobile[-2:]) >= self._SECOND
        return receipt_event(call, self._harness_token(), delivered=second)

    def _verdict(self) -> list[str]:
        wrong = []
        for message in self.messages:
            state, item = self.state(message), self._harness.aws.dynamo.items.get(f"MSG#{message['message_id']}", {})
            for mobile in (message["mobile"], message["escalate_to"][0]):
                rang = sum(call.mobile == mobile for call in self._harness.vendors.placed)
                if rang > 1:
                    wrong.append(f"{message['message_id']}: {mobile[-2:]} rung {rang} times, {state}")
            second = message["escalate_to"][0]
            rang = sum(call.mobile == second for call in self._harness.vendors.placed)
            # A second ring that was cut off before the vendor had it: nobody can say, and nobody is left to ring.
            cut_off = state == "unknown" and not rang and item.get("ring") == {"N": "2"}
            if not (state == "delivered" and rang) and not cut_off:
                wrong.append(f"{message['message_id']}: lost between two rings, {state}, {rang} rings of the second")
        return wrong


def between_rings(seed: int, kills: int, size: int = 40) -> list[Figure]:
    """Batches of sequences until so many kills landed after their first ring."""
    end = time.monotonic() + 240
    harness, wrong, messages = Harness(seed), list[str](), 0
    with harness.running(), ThreadPoolExecutor(AT_ONCE) as pool:
        while sum(harness.landed.values()) < kills and time.monotonic() < end:
            batch = Sequences(harness, messages // size, size, pool)
            wrong += batch.run()
            messages += size
    landed = sum(harness.landed.values())
    for finding in [*wrong, *harness.findings][:20]:
        print(f"between rings: {finding}", file=sys.stderr)
    doubles = sum("rung" in each and "times" in each for each in wrong)
    by_kind = ", ".join(f"{count} {kind}" for kind, count in sorted(harness.landed.items()))
    return [
        Figure(
            f"SIGKILLs between the two rings of {messages} messages, {landed} ({by_kind})",
            f"{doubles} double calls, {len(wrong) - doubles} lost",
            f"0 / 0 of {kills} kills",
            reached=landed >= kills and not wrong and not harness.findings,
        )
    ]


def _state(item: memory.Item | None) -> str | None:
    return item["st"]["S"] if item and item["pk"]["S"].startswith("MSG#") else None


def run(seed: int, seconds: float, kills: int = KILLS, size: int = BATCH) -> list[Figure]:
    """Batches until so many kills landed in the middle of a run; ``seconds`` ends it only where it is far exceeded."""
    end = time.monotonic() + max(3 * seconds, 60)
    harness, wrong, unknown, writes, messages, at = Harness(seed), list[str](), list[str](), 0, 0, 0
    with harness.running(), ThreadPoolExecutor(AT_ONCE) as pool:
        while sum(harness.landed.values()) < kills and time.monotonic() < end:
            batch = Batch(harness, at, size, pool)
            wrong += batch.run()
            unknown += batch.unknown()
            writes += batch.unknown_writes
            messages += len(batch.messages)
            at += 1
    landed = sum(harness.landed.values())
    for finding in [*wrong, *harness.findings][:20]:
        print(f"processes: {finding}", file=sys.stderr)
    if unknown:
        print(f"processes: unknown, and never rung: {', '.join(unknown)}")
    doubles = sum("rung" in each and "times" in each for each in wrong)
    lost = len(wrong) - doubles
    counts = harness.counts
    counted = max(counts.get("publish", 0), counts.get("send", 0) + counts.get("sweep", 0))
    by_kind = ", ".join(f"{count} {kind}" for kind, count in sorted(harness.landed.items()))
    return [
        Figure("processes: SIGKILLs that landed mid-run", f"{landed} ({by_kind})", f"{kills}", reached=landed >= kills),
        Figure(
            f"processes: what became of {messages} messages",
            f"{doubles} double calls, {lost} lost results, {len(unknown)} unknown and never rung",
            "0, 0, all listed",
            reached=not wrong and not harness.findings,
        ),
        Figure(
            "processes: unknown counted for the alarm",
            f"{counted} of {writes}, by {counts}",
            "each",
            reached=counted >= writes,
        ),
        *between_rings(seed, KILLS_BETWEEN_RINGS),
    ]


if __name__ == "__main__":
    from tests.faults.figures import table

    given = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(2**31)
    began = time.monotonic()
    with contextlib.suppress(KeyboardInterrupt):
        print(f"{table(run(given, 150))}\nseed {given}, {time.monotonic() - began:.0f} s")
