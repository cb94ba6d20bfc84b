"""AWS in memory, whose requests take time and are counted, and Lambda's pollers of the lanes."""

import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from tests.faults import memory
from tests.scale.clock import Clock

LATENCY = {"dynamodb": 0.005, "sqs": 0.015, "sns": 0.015, "secretsmanager": 0.02, "ssm": 0.02}
"""Seconds that a request takes."""
VENDOR_SECONDS = 0.3
COLD_START = 0.6
FIRST_POLLERS = 5
MORE_POLLERS = 300 / 60
"""Invocations at a time that Lambda begins with on a queue, and how many more a second it takes on."""
VISIBILITY = 90.0


class Table(memory.Dynamo):
    """Counts what is written to each partition key each second: of the table, and of its indexes."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.writes: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)

    def _write(self, operation: str, old: Any, new: Any) -> None:
        before = dict(self.index_writes)
        super()._write(operation, old, new)
        self.changes.clear()
        second = int(self._clock.now)
        self.writes["table", new["pk"]["S"]][second] += 1
        for key, count in self.index_writes.items():
            if count != before.get(key):
                self.writes[key][second] += count - before.get(key, 0)

    def hottest(self) -> tuple[int, str]:
        """The most writes in a second on one key, and that key."""
        return max((max(seconds.values()), f"{index} {key}") for (index, key), seconds in self.writes.items())


class Queue:
    """One queue of SQS: what is put in comes out in turn, once it may be seen."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = itertools.count()
        self._visible: list[tuple[float, int, str]] = []
        self._held: dict[int, str] = {}
        self._again: dict[int, float] = {}
        self.received: Counter[int] = Counter()
        self.on_message: Callable[[float], None] = lambda moment: None

    def put(self, body: str, number: int | None = None, moment: float | None = None) -> None:
        seen = self._clock.now if moment is None else moment
        heapq.heappush(self._visible, (seen, next(self._numbers) if number is None else number, body))
        self.on_message(seen)

    def take(self) -> tuple[int, str] | None:
        if not self._visible or self._visible[0][0] > self._clock.now:
            return None
        _, number, body = heapq.heappop(self._visible)
        self._held[number] = body
        self.received[number] += 1
        return number, body

    def hide(self, number: int, seconds: float) -> None:
        self._again[number] = self._clock.now + seconds

    def over(self, number: int, *, again: bool) -> None:
        """The invocation is over: what is to come again does so, the rest is deleted."""
        body = self._held.pop(number)
        until = self._again.pop(number, self._clock.now + VISIBILITY)
        if again:
            self.put(body, number, until)

    def __len__(self) -> int:
        return len(self._visible) + len(self._held)


class Queues:
    """SQS, for the functions."""

    def __init__(self, clock: Clock) -> None:
        self.by_url = {url: Queue(clock) for url in ("urgent", "bulk", "outbox", "dead")}

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> dict[str, Any]:  # noqa: N803
        self.by_url[QueueUrl].put(MessageBody)
        return {}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        for entry in Entries:
            self.by_url[QueueUrl].put(entry["MessageBody"])
        return {}

    def receive_message(self, *, QueueUrl: str, MaxNumberOfMessages: int) -> dict[str, Any]:  # noqa: N803
        assert not len(self.by_url[QueueUrl]), "no run of this harness puts anything into the outbox"
        return {}

    def change_message_visibility(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        ReceiptHandle: str,  # noqa: N803
        VisibilityTimeout: int,  # noqa: N803
    ) -> dict[str, Any]:
        self.by_url[QueueUrl].hide(int(ReceiptHandle), VisibilityTimeout)
        return {}


class Poller:
    """Lambda's event source of one lane: invokes ``send`` for one message at a time, as many as it may side by side."""

    def __init__(self, clock: Clock, queue: Queue, most: int, handler: Callable[[int, str, int], set[int]]) -> None:
        self._clock = clock
        self._queue = queue
        self._most = most
        self._handler = handler
        self._under_way = 0
        self._warm = 0
        self._since: float | None = None
        queue.on_message = lambda moment: clock.at(moment, self._more)

    def _allowed(self) -> int:
        if self._since is None:
            self._since = self._clock.now
        return min(self._most, int(FIRST_POLLERS + MORE_POLLERS * (self._clock.now - self._since)))

    def _more(self) -> None:
        while self._under_way < self._allowed() and (taken := self._queue.take()):
            self._under_way += 1
            self._clock.start(lambda taken=taken: self._invoke(*taken))  # type: ignore[misc]
        if self._under_way >= self._allowed() and self._allowed() < self._most:
            self._clock.at(self._clock.now + 0.2, self._more)

    def _invoke(self, number: int, body: str) -> None:
        if self._warm == 0:
            self._clock.sleep(COLD_START)
        else:
            self._warm -= 1
        back = self._handler(number, body, self._queue.received[number])
        self._queue.over(number, again=number in back)
        self._warm += 1
        self._under_way -= 1
        if not len(self._queue):
            self._since = None
        self._clock.at(self._clock.now, self._more)
