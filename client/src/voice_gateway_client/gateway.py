"""One deployed gateway: send, publish, ask, call off, and read results."""

import json
import logging
import os
import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, repeat
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from voice_gateway_client.errors import GatewayError, NotSent, OutcomeUnknown
from voice_gateway_client.invoking import ERRORS, Failed, failed, invoke
from voice_gateway_client.request import Request
from voice_gateway_client.result import Result
from voice_gateway_client.results import Results

SEND_SECONDS = 45
"""How long ``send`` may run: template.yaml's Timeout of it."""
PATIENCE_SECONDS = 120.0
"""For how long ``send`` begins another try, unless the caller says."""

T = TypeVar("T")

_log = logging.getLogger(__name__)

_ALIAS = "live"
_NO_RETRIES = Config(connect_timeout=5, read_timeout=SEND_SECONDS + 10, retries={"total_max_attempts": 1})
"""boto3 would invoke again by itself after a timeout that is shorter than the function's, and say nothing."""
_STANDARD = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 4})
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further try, up to a fifth more or less; the last one over and over."""


class Gateway:
    """A gateway by its stack's name. Threads may share one. AWS is asked nothing before a method is called.

    For a stack in another account take a session with a role there.
    """

    def __init__(self, stack: str, session: boto3.Session, notify_topic_arn: str | None = None) -> None:
        self._stack = stack
        self._session = session
        self._notify_topic_arn = notify_topic_arn
        self._clients: dict[tuple[int, str, bool], Any] = {}
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

        Where no id is given, one is made up. What fails is tried again under that one id, so that it rings once; each
        further try is said by the log. None begins after ``patience_seconds``, and one takes a minute, as a rule, at
        the most. A result whose ``error.code`` is ``in_progress`` means that an earlier try, or another process, is
        at it still.

        Raises NotSent, OutcomeUnknown; ValueError for a request that cannot be written.
        """
        asked = _with_id(request)
        payload = asked.to_json()

        def once() -> Result:
            found = invoke(self._client("lambda", retries=False), self._function("send"), payload)
            try:
                return Result.from_dict(found)
            except ValueError as error:
                raise Failed(f"what it returned {error}", done=True, again=False) from error

        return _patiently(asked, once, patience_seconds, enough=lambda result: not _in_progress(result))

    def publish(self, request: Request, *, patience_seconds: float = PATIENCE_SECONDS) -> str:
        """Publishes a message to the notify topic, and returns its id. Its results come to the results topic.

        It is tried again as ``send`` does, and raises as it does.
        """
        asked = _with_id(request)
        message = asked.to_json()
        lane = {"DataType": "String", "StringValue": request.priority or "urgent"}

        def once() -> str:
            topic = self._topic()
            try:
                self._client("sns", retries=False).publish(
                    TopicArn=topic, Message=message, MessageAttributes={"priority": lane}
                )
            except ERRORS as error:
                raise failed(error) from error
            return str(asked.message_id)

        return _patiently(asked, once, patience_seconds)

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
        with self._lock:
            sqs = self._session.client("sqs", config=_STANDARD)
        return Results(sqs, queue_url, idle_seconds)

    def _asked(self, function: str, message_id: str) -> Result | None:
        """Asking twice, or cancelling twice, does no harm: boto3's own retries do."""
        try:
            payload = json.dumps({"message_id": message_id})
            found = invoke(self._client("lambda"), self._function(function), payload)
            if isinstance(found, dict) and found.get("status") is not None:
                return Result.from_dict(found)
            error = found["error"]
            code, text = error["code"], error["message"]
        except Failed as why:
            raise GatewayError(message_id, f"{function} did not answer: {why}") from (why.__cause__ or why)
        except (KeyError, TypeError, ValueError) as why:
            raise GatewayError(message_id, f"{function} returned what is no result") from why
        if code == "not_found":
            return None
        raise ValueError(text)

    def _function(self, name: str) -> str:
        return f"{self._stack}-{name}:{_ALIAS}"

    def _topic(self) -> str:
        """Raises Failed."""
        if self._notify_topic_arn is None:
            try:
                (stack,) = self._client("cloudformation").describe_stacks(StackName=self._stack)["Stacks"]
            except ERRORS as error:
                why = failed(error)
                text = f"the stack {self._stack} cannot be looked up: {why}"
                raise Failed(text, done=False, again=why.again) from error
            outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
            if "NotifyTopicArn" not in outputs:
                raise Failed(f"{self._stack} is no stack of a gateway", done=False, again=False)
            self._notify_topic_arn = outputs["NotifyTopicArn"]
        return self._notify_topic_arn

    def _client(self, service: str, *, retries: bool = True) -> Any:
        """A client, whose connections no other process has: after a fork two would read each other's answers.

        Raises Failed.
        """
        key = (os.getpid(), service, retries)
        with self._lock:  # a session may not make two at once
            if key not in self._clients:
                config = _STANDARD if retries else _NO_RETRIES
                try:
                    self._clients[key] = self._session.client(service, config=config)  # type: ignore[call-overload]
                except ERRORS as error:
                    raise failed(error) from error
            return self._clients[key]


def _with_id(request: Request) -> Request:
    return request if request.message_id is not None else replace(request, message_id=str(uuid.uuid4()))


def _in_progress(result: Result) -> bool:
    return result.error is not None and result.error.code == "in_progress"


def _told(asked: Request, why: Failed, *, handed_over: bool) -> GatewayError:
    message_id = str(asked.message_id)
    if handed_over:
        text = f"{message_id} may ring, or have rung: ask status, or send it again under this id. No answer came: {why}"
        return OutcomeUnknown(message_id, text, asked)
    again = (
        "it may be sent again as it is, under this id" if why.again else "mend this, then send it again under this id"
    )
    return NotSent(message_id, f"{message_id} was not sent; {again}: {why}", asked)


def _patiently(
    asked: Request, once: Callable[[], T], seconds: float, enough: Callable[[T], bool] = lambda _: True
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
                raise _told(asked, why, handed_over=handed_over) from (why.__cause__ or why)
            _log.warning("%s is tried again in %.1f s, under the same id: %s", asked.message_id, pause, why)
        else:
            if enough(found) or time.monotonic() + pause > end:
                return found
            handed_over = True
        time.sleep(pause)
    raise AssertionError("the pauses have no end")
