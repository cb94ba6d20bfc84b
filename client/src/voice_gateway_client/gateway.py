"""One deployed gateway: send, publish, ask, call off, and read results."""

import json
import random
import threading
import time
import uuid
from collections.abc import Callable
from itertools import chain, repeat
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from voice_gateway_client.errors import GatewayError, NotSent, OutcomeUnknown
from voice_gateway_client.invoking import Failed, failed, invoke
from voice_gateway_client.request import Request
from voice_gateway_client.result import Result
from voice_gateway_client.results import Results

SEND_SECONDS = 45
"""How long ``send`` may run: template.yaml's Timeout of it."""
PATIENCE_SECONDS = 120.0
"""For how long ``send`` begins another try, unless the caller says."""

T = TypeVar("T")

_ALIAS = "live"
_NO_RETRIES = Config(connect_timeout=5, read_timeout=SEND_SECONDS + 10, retries={"total_max_attempts": 1})
"""boto3 would invoke again by itself after a timeout that is shorter than the function's, and say nothing."""
_STANDARD = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 4})
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further try, up to a fifth more or less; the last one over and over."""


class Gateway:
    """A gateway by its stack's name. Threads may share one. AWS is asked nothing before a method is called."""

    def __init__(self, stack: str, session: boto3.Session, notify_topic_arn: str | None = None) -> None:
        self._stack = stack
        self._session = session
        self._notify_topic_arn = notify_topic_arn
        self._clients: dict[tuple[str, bool], Any] = {}
        self._lock = threading.Lock()

    @classmethod
    def of_stack(
        cls, name: str, *, session: boto3.Session | None = None, notify_topic_arn: str | None = None
    ) -> "Gateway":
        """The gateway that was deployed under that name, in the session's account and region.

        Rights, for what is used of it: ``lambda:InvokeFunction`` on ``<name>-send:live``, ``<name>-status:live`` and
        ``<name>-cancel:live``; ``sns:Publish`` on the notify topic, and ``cloudformation:DescribeStacks`` to find it
        (not if ``notify_topic_arn`` is given); ``sqs:ReceiveMessage``, ``sqs:DeleteMessage`` and
        ``sqs:ChangeMessageVisibility`` on a queue of results.
        """
        return cls(name, session or boto3.Session(), notify_topic_arn)

    def send(self, request: Request, *, patience_seconds: float = PATIENCE_SECONDS) -> Result:
        """Hands a message over, and returns its result once the vendor has it, or why not.

        Where no id is given, one is made up. What fails is tried again under that one id, so that it rings once. No
        further try begins after ``patience_seconds``; one takes ``SEND_SECONDS`` and ten more at the most. A result
        whose ``error.code`` is ``in_progress`` means that an earlier try, or another process, is at it still.

        Raises NotSent, OutcomeUnknown; ValueError for a request that cannot be written.
        """
        asked = _with_id(request)

        def once() -> Result:
            found = invoke(self._client("lambda", retries=False), self._function("send"), asked)
            try:
                return Result.from_dict(found)
            except ValueError as error:
                raise Failed(f"what it returned {error}", done=True, again=False) from error

        return _patiently(asked["message_id"], once, patience_seconds, enough=lambda result: not _in_progress(result))

    def publish(self, request: Request, *, patience_seconds: float = PATIENCE_SECONDS) -> str:
        """Publishes a message to the notify topic, and returns its id. Its results come to the results topic.

        It is tried again as ``send`` does, and raises as it does; GatewayError too, if the topic cannot be found.
        """
        asked = _with_id(request)
        message_id: str = asked["message_id"]
        topic = self._topic(message_id)
        lane = {"DataType": "String", "StringValue": request.priority or "urgent"}

        def once() -> str:
            try:
                self._client("sns", retries=False).publish(
                    TopicArn=topic,
                    Message=json.dumps(asked, ensure_ascii=False),
                    MessageAttributes={"priority": lane},
                )
            except (BotoCoreError, ClientError) as error:
                raise failed(error) from error
            return message_id

        return _patiently(message_id, once, patience_seconds)

    def status(self, message_id: str) -> Result | None:
        """What became of a message; None if nothing is stored under the id (yet, or any more).

        Raises GatewayError; ValueError for what can be no id.
        """
        return self._asked("status", message_id)

    def cancel(self, message_id: str) -> Result | None:
        """Calls a message off, and returns its result: ``cancelled``, or a ring is under way, and none follows it.

        None if nothing is stored under the id: what was published a moment ago may be on its way still. Raises as
        ``status`` does.
        """
        return self._asked("cancel", message_id)

    def results(self, queue_url: str, *, idle_seconds: float | None = None) -> Results:
        """The results in a queue on the results topic, as they come: see :class:`Results`.

        It never ends, unless ``idle_seconds`` is given: then it does after so long without a result.
        """
        return Results(self._client("sqs"), queue_url, idle_seconds)

    def _asked(self, function: str, message_id: str) -> Result | None:
        """Asking twice, or cancelling twice, does no harm: boto3's own retries do."""
        try:
            found = invoke(self._client("lambda"), self._function(function), {"message_id": message_id})
        except Failed as why:
            raise GatewayError(message_id, f"{function} did not answer: {why}") from (why.__cause__ or why)
        if found.get("status") is not None:
            return Result.from_dict(found)
        if found["error"]["code"] == "not_found":
            return None
        raise ValueError(found["error"]["message"])

    def _function(self, name: str) -> str:
        return f"{self._stack}-{name}:{_ALIAS}"

    def _topic(self, message_id: str) -> str:
        if self._notify_topic_arn is None:
            try:
                (stack,) = self._client("cloudformation").describe_stacks(StackName=self._stack)["Stacks"]
            except (BotoCoreError, ClientError) as error:
                raise NotSent(
                    message_id, f"{message_id} was not sent: {self._stack} cannot be looked up: {error}"
                ) from error
            outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
            if "NotifyTopicArn" not in outputs:
                raise NotSent(message_id, f"{message_id} was not sent: {self._stack} is no stack of a gateway")
            self._notify_topic_arn = outputs["NotifyTopicArn"]
        return self._notify_topic_arn

    def _client(self, service: str, *, retries: bool = True) -> Any:
        with self._lock:  # a session may not make two at once
            key = (service, retries)
            if key not in self._clients:
                config = _STANDARD if retries else _NO_RETRIES
                self._clients[key] = self._session.client(service, config=config)  # type: ignore[call-overload]
            return self._clients[key]


def _with_id(request: Request) -> dict[str, Any]:
    asked = request.as_dict()
    return asked if "message_id" in asked else {"message_id": str(uuid.uuid4()), **asked}


def _in_progress(result: Result) -> bool:
    return result.error is not None and result.error.code == "in_progress"


def _told(message_id: str, why: Failed, *, handed_over: bool) -> GatewayError:
    if handed_over:
        text = f"{message_id} may ring, or have rung: ask status, or send it again under this id. No answer came: {why}"
        return OutcomeUnknown(message_id, text)
    again = "it may be sent again as it is" if why.again else "mend this first, then send it again"
    return NotSent(message_id, f"{message_id} was not sent, and {again}: {why}")


def _patiently(
    message_id: str, once: Callable[[], T], seconds: float, enough: Callable[[T], bool] = lambda _: True
) -> T:
    """What ``once`` returns, tried again while that is worth it and begins in time. Raises NotSent, OutcomeUnknown."""
    end = time.monotonic() + seconds
    handed_over = False
    for most in chain(_PAUSES, repeat(_PAUSES[-1])):
        pause = most * random.uniform(0.8, 1.2)  # noqa: S311
        try:
            found = once()
        except Failed as why:
            handed_over = handed_over or why.done
            if not why.again or time.monotonic() + pause > end:
                raise _told(message_id, why, handed_over=handed_over) from (why.__cause__ or why)
        else:
            if enough(found) or time.monotonic() + pause > end:
                return found
        time.sleep(pause)
    raise AssertionError("the pauses have no end")
