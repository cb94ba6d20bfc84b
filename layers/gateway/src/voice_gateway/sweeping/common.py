"""What the parts of a sweep share: looking at one thing after the other, or side by side, while there is time."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice

from voice_gateway.model.message import Message
from voice_gateway.platform.observability import Invocation, Record, log
from voice_gateway.storage.messages import MessageChanged

INTERVAL = 60.0
"""Seconds between two runs."""
CLOCKS_APART = 5.0
"""What is due is sent this many seconds later, in case a sender's clock is behind."""
ASK_AGAIN = 300.0
"""After so many seconds a message that was handed over for a redial and did not change is handed over again."""
TIME_KEPT = 15.0
"""With fewer seconds left nothing more is begun: a request to a vendor and a slow write may take as long."""


class SideBySide:
    """Several workers. With one, all is done in turn, by the caller's own thread."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def each[T](self, things: Iterable[T], look: Callable[[T, Record], None], invocation: Invocation) -> None:
        """Calls ``look`` for each thing while there is time; what it counts is the invocation's.

        What fails for reasons of its own does not stop the others. Raises AwsUnavailable once those under way ended.
        """
        todo = (thing for thing in things if invocation.remaining() >= TIME_KEPT)
        if self._workers == 1:
            for thing in todo:
                self._merge(_looked_at(thing, look), invocation)
            return
        with ThreadPoolExecutor(self._workers) as pool:
            self._spread(todo, look, invocation, pool)

    def _spread[T](
        self, todo: Iterator[T], look: Callable[[T, Record], None], invocation: Invocation, pool: ThreadPoolExecutor
    ) -> None:
        """Never more under way than there are workers, so that nothing waits when the time is over."""
        under_way: set[Future[Record]] = set()
        while True:
            more = islice(todo, self._workers - len(under_way))
            under_way |= {pool.submit(_looked_at, thing, look) for thing in more}
            if not under_way:
                return
            ended, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for future in ended:
                self._merge(future.result(), invocation)

    @staticmethod
    def _merge(counted: Record, invocation: Invocation) -> None:
        for metric, count in counted.counts.items():
            invocation.record.count(metric, count)


def _looked_at[T](thing: T, look: Callable[[T, Record], None]) -> Record:
    record = Record()
    try:
        look(thing, record)
    except MessageChanged:
        pass  # somebody else was quicker
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message_id = thing.message_id if isinstance(thing, Message) else None
        log.error("it cannot be looked at", extra={"message_id": message_id, "why": type(error).__name__})
        record.count("PartFailed")
    return record
