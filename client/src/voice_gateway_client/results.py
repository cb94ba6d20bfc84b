"""Results as they come into a queue on the results topic."""

import logging
import math
import time
from types import TracebackType
from typing import Any

from voice_gateway_client.invoking import ERRORS
from voice_gateway_client.result import Result

_log = logging.getLogger(__name__)

_LONG_POLL = 20
"""Seconds for which SQS waits for a message: the most that it takes."""


class Results:
    """The results in a queue, one after the other, each acknowledged once your work on it is done.

    Asking for the next one takes the one before out of the queue: it is done. At the end of a ``with`` block, and when
    a loop begins, the last one that was handed out and not asked beyond is given back, and seen again at once.

        with gateway.results(queue_url) as results:
            for result in results:
                ...

    So leave the loop as you like; ``acknowledge()`` before it, if your work on the last one is done. An exception that
    you catch within the loop counts as done: ``give_back()`` there. Do not read them all at once (``list``, an
    executor's ``map``): that asks beyond what nobody has worked on. One thread, one ``Results``.

    A result may come twice: ``message_id``, ``ring`` and ``status`` together tell a repetition. They are received one
    at a time, so your work on one may take as long as the queue's visibility timeout. What is no result stays in the
    queue, is said by the log, and goes where the queue's redrive policy says.

    Raises what boto3 raises if the queue is not there, or may not be read.
    """

    def __init__(self, sqs: Any, queue_url: str, idle_seconds: float | None = None) -> None:
        self._sqs = sqs
        self._queue_url = queue_url
        self._idle_seconds = idle_seconds
        self._handle: str | None = None

    def __iter__(self) -> "Results":
        self.give_back()
        return self

    def __next__(self) -> Result:
        """The next one, as soon as it is there. Raises StopIteration after ``idle_seconds`` without one, if given."""
        self.acknowledge()
        end = math.inf if self._idle_seconds is None else time.monotonic() + self._idle_seconds
        while True:
            left = max(0.0, end - time.monotonic())
            for message in self._received(math.ceil(min(_LONG_POLL, left))):
                try:
                    result = Result.from_json(message["Body"])
                except ValueError as error:
                    _log.warning("message %s in the queue of results %s", message["MessageId"], error)
                    continue
                self._handle = message["ReceiptHandle"]
                return result
            if left <= 0:
                raise StopIteration

    def acknowledge(self) -> None:
        """Takes the last one out of the queue: your work on it is done."""
        if self._handle is not None:
            self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=self._handle)
            self._handle = None

    def give_back(self) -> None:
        """Lets the last one be seen again at once, by whoever reads next: your work on it is not done."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        try:
            self._sqs.change_message_visibility(QueueUrl=self._queue_url, ReceiptHandle=handle, VisibilityTimeout=0)
        except ERRORS:
            _log.warning("a result is seen again when its visibility timeout is over, and not at once", exc_info=True)

    def __enter__(self) -> "Results":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_back()

    def _received(self, seconds: int) -> Any:
        return self._sqs.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=1, WaitTimeSeconds=seconds).get(
            "Messages", []
        )
