"""A clock that jumps from event to event, and processes that wait by it: real threads, of which one runs at a time."""

import heapq
import itertools
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass
class _Waiter:
    """A process that waits for the first of several: it is woken once, however many of them end."""

    semaphore: threading.Semaphore
    woken: bool = False


class Future:
    """What a process comes to."""

    def __init__(self) -> None:
        self.done = False
        self._outcome: Any = None
        self._error: BaseException | None = None
        self.waiters: list[_Waiter] = []

    def finish(self, work: Callable[[], Any]) -> None:
        try:
            self._outcome = work()
        except BaseException as error:  # noqa: BLE001 -- raised where the outcome is asked for
            self._error = error
        self.done = True

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._outcome


class Clock:
    """Virtual time, in seconds. What is due next runs next, so that a run is the same each time."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._baton = threading.Semaphore(0)
        self._own = threading.local()
        self._idle: list[_Worker] = []

    def __call__(self) -> float:
        return self.now

    def at(self, moment: float, what: Callable[[], object]) -> None:
        """Does something quick then; what takes time is a process."""
        heapq.heappush(self._events, (max(moment, self.now), next(self._numbers), what))

    def start(self, work: Callable[[], Any]) -> Future:
        """Begins a process now."""
        future = Future()
        worker = self._idle.pop() if self._idle else _Worker(self)
        self.at(self.now, lambda: self._resume(worker.begin(future, work)))
        return future

    def sleep(self, seconds: float) -> None:
        """The process that calls it goes on so much later."""
        if seconds <= 0:
            return
        until = self.now + seconds
        if not self._events or self._events[0][0] > until:
            self.now = until  # nobody else is due before
            return
        mine = self._own.semaphore
        self.at(until, lambda: self._resume(mine))
        self._pause(mine)

    def wait(self, futures: Iterable[Future]) -> None:
        """The process that calls it goes on once one of them is done."""
        some = list(futures)
        if any(future.done for future in some):
            return
        waiter = _Waiter(self._own.semaphore)
        for future in some:
            future.waiters.append(waiter)
        self._pause(waiter.semaphore)

    def run(self, until: float = float("inf"), enough: Callable[[], bool] = lambda: False) -> None:
        """Runs what is due until then, or until it is enough, or until nothing is left."""
        while self._events and self._events[0][0] <= until and not enough():
            moment, _, what = heapq.heappop(self._events)
            self.now = max(self.now, moment)
            what()

    # Which thread runs.

    def _resume(self, semaphore: threading.Semaphore) -> None:
        semaphore.release()
        self._baton.acquire()

    def _pause(self, mine: threading.Semaphore) -> None:
        self._baton.release()
        mine.acquire()

    def ended(self, worker: "_Worker", future: Future) -> None:
        """A process is over: whoever waits for it goes on."""
        self._idle.append(worker)
        for waiter in future.waiters:
            if not waiter.woken:
                waiter.woken = True
                self.at(self.now, lambda waiter=waiter: self._resume(waiter.semaphore))  # type: ignore[misc]
        future.waiters.clear()
        self._pause(worker.semaphore)

    def belongs_to(self, semaphore: threading.Semaphore) -> None:
        self._own.semaphore = semaphore


class _Worker:
    """A thread that runs one process after the other."""

    def __init__(self, clock: Clock) -> None:
        self.semaphore = threading.Semaphore(0)
        self._clock = clock
        self._job: tuple[Future, Callable[[], Any]] | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def begin(self, future: Future, work: Callable[[], Any]) -> threading.Semaphore:
        self._job = future, work
        return self.semaphore

    def _run(self) -> None:
        self._clock.belongs_to(self.semaphore)
        self.semaphore.acquire()
        while True:
            assert self._job is not None
            future, work = self._job
            future.finish(work)
            self._clock.ended(self, future)


class Pool:
    """Stands for a pool of threads, whose work takes virtual time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future:
        return self._clock.start(lambda: work(*arguments))
