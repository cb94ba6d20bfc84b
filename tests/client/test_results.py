"""Results are acknowledged once the caller's work on them is done, and not before."""

import json
import logging
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from voice_gateway_client import Gateway, Result, Results

from tests.client.aws import refused, result


class Queue:
    """SQS with one queue: what is received is hidden, until it is deleted or shown again."""

    def __init__(self, *bodies: str) -> None:
        self.visible = [
            {"MessageId": f"m{at}", "ReceiptHandle": f"h{at}", "Body": body} for at, body in enumerate(bodies)
        ]
        self.hidden: dict[str, dict[str, str]] = {}
        self.broken: Exception | None = None
        self.waited: list[int] = []

    def receive_message(self, *, QueueUrl: str, MaxNumberOfMessages: int, WaitTimeSeconds: int) -> Any:  # noqa: N803
        assert QueueUrl == "queue"
        self.waited.append(WaitTimeSeconds)
        if not self.visible:
            time.sleep(0.01)
            return {}
        taken = self.visible[:MaxNumberOfMessages]
        del self.visible[:MaxNumberOfMessages]
        self.hidden |= {message["ReceiptHandle"]: message for message in taken}
        return {"Messages": taken}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803
        del self.hidden[ReceiptHandle]

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:  # noqa: N803
        assert VisibilityTimeout == 0
        if self.broken:
            raise self.broken
        self.visible.insert(0, self.hidden.pop(ReceiptHandle))

    def client(self, service: str, config: Any) -> "Queue":
        assert service == "sqs"
        return self


def bodies(*message_ids: str) -> list[str]:
    return [json.dumps(result(message_id=message_id)) for message_id in message_ids]


def raise_at(_: Result) -> None:
    raise ZeroDivisionError


def reading(queue: Queue) -> Results:
    gateway = Gateway.of_stack("voice-gateway", session=queue)  # type: ignore[arg-type]
    return gateway.results("queue", idle_seconds=0.02)


def test_each_is_taken_out_when_the_next_is_asked_for() -> None:
    queue = Queue(*bodies("a", "b", "c"))
    seen = []
    for found in reading(queue):
        assert [json.loads(each["Body"])["message_id"] for each in queue.hidden.values()] == [found.message_id]
        seen.append(found.message_id)
    assert seen == ["a", "b", "c"]
    assert not queue.hidden
    assert not queue.visible


def test_what_a_block_is_left_at_is_seen_again_unless_it_was_acknowledged() -> None:
    queue = Queue(*bodies("a", "b"))
    with reading(queue) as results:
        next(results)
    assert not queue.hidden
    assert len(queue.visible) == 2
    with reading(queue) as results:
        next(results)
        results.acknowledge()
    assert len(queue.visible) == 1


def test_a_loop_that_begins_anew_has_not_done_what_the_one_before_was_left_at() -> None:
    queue = Queue(*bodies("a", "b"))
    results = reading(queue)
    for _ in results:
        break
    assert [found.message_id for found in results] == ["a", "b"]


def test_what_is_given_back_is_seen_again() -> None:
    queue = Queue(*bodies("a", "b"))
    seen = []
    for found in (results := reading(queue)):
        seen.append(found.message_id)
        if len(seen) == 1:
            results.give_back()
    assert seen == ["a", "a", "b"]


def test_a_queue_is_asked_once_at_the_least() -> None:
    queue = Queue(*bodies("a"))
    gateway = Gateway.of_stack("voice-gateway", session=queue)  # type: ignore[arg-type]
    assert [found.message_id for found in gateway.results("queue", idle_seconds=0)] == ["a"]


def test_an_exception_shows_it_again_at_once() -> None:
    queue = Queue(*bodies("a", "b"))
    with pytest.raises(ZeroDivisionError), reading(queue) as results:
        raise_at(next(results))
    assert not queue.hidden
    assert [found.message_id for found in reading(queue)] == ["a", "b"]


def test_the_exception_counts_and_not_that_it_could_not_be_shown_again() -> None:
    queue = Queue(*bodies("a"))
    queue.broken = refused(500, "InternalError")
    with pytest.raises(ZeroDivisionError), reading(queue) as results:
        raise_at(next(results))
    assert queue.hidden


def test_without_a_block_what_the_loop_was_left_at_is_not_done() -> None:
    queue = Queue(*bodies("a"))
    for _ in reading(queue):
        break
    assert queue.hidden


def test_what_is_no_result_stays_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue("hello", *bodies("a"))
    with caplog.at_level(logging.WARNING):
        assert [found.message_id for found in reading(queue)] == ["a"]
    assert list(queue.hidden) == ["h0"]
    assert "m0" in caplog.text


def test_sqs_waits_and_an_idle_queue_ends_the_loop_where_that_was_asked() -> None:
    queue = Queue()
    assert list(reading(queue)) == []
    assert set(queue.waited) == {0, 1}
    patient = Gateway.of_stack("x", session=queue).results("queue", idle_seconds=100)  # type: ignore[arg-type]
    queue.visible = Queue(*bodies("a")).visible
    assert next(patient).message_id == "a"
    assert queue.waited[-1] == 20


def test_a_queue_that_may_not_be_read_is_said_by_boto3s_own_error() -> None:
    queue = Queue()
    queue.receive_message = lambda **_: (_ for _ in ()).throw(refused(403, "AccessDenied"))  # type: ignore[method-assign]
    with pytest.raises(ClientError, match="AccessDenied"):
        next(reading(queue))
