"""What a role grants is what its function asks AWS for, no less and no more; and taken out, something fails."""

import datetime
import json
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import pytest
from voice_gateway import vendors

from local.stack import Grant, InvokeError, Stack
from tests.e2e.use import (
    SHIPPED,
    client,
    expecting_nothing,
    free_number,
    make_earlier,
    new_id,
    number,
    push,
    refused,
    send,
    sends,
    status,
    until,
)
from tests.found import VENDORS
from tests.vendors import payloads

Scenario = Callable[[Stack], None]


def tries_without_ringing(stack: Stack) -> None:
    """A dry run at a vendor with a cap reads the quota."""
    assert send(stack, mobile=number(79), vendor="jumdata", dry_run=True, **SHIPPED)["status"] == "accepted"


def keeps_an_outcome(stack: Stack) -> None:
    """With no write to the table allowed, what came of the call can only go to the outbox."""
    message_id = new_id()
    with stack.without_permission("send", "dynamodb:UpdateItem"):
        accepted = send(stack, message_id=message_id, mobile=number(79), vendor="dxtong", **SHIPPED)
    assert accepted["status"] == "accepted"

    def applied() -> bool:
        stack.invoke("sweep", {})
        return bool(status(stack, message_id)["call_id"] == accepted["call_id"])

    until(applied, what="the outcome")


@cache
def is_told(vendor: str) -> Scenario:
    def scenario(stack: Stack) -> None:
        message_id = new_id()
        send(stack, message_id=message_id, mobile=free_number(), vendor=vendor, **SHIPPED)
        until(lambda: status(stack, message_id)["status"] == "delivered", what="the receipt")

    return scenario


@cache
def is_told_whose_it_is(vendor: str) -> Scenario:
    """The reply is lost, so that only the id that the vendor echoes says whose receipt it is."""

    def scenario(stack: Stack) -> None:
        message_id = new_id()
        sent = send(stack, message_id=message_id, mobile=number(92), vendor=vendor, **SHIPPED)
        assert sent["status"] == "unknown"
        until(lambda: status(stack, message_id)["status"] == "delivered", what="the receipt")

    return scenario


@cache
def keeps_the_unreadable(vendor: str) -> Scenario:
    def scenario(stack: Stack) -> None:
        address = _address(stack, vendor)
        answer = (200, vendors.vendor(vendor).acknowledgement)
        until(lambda: push(address, b"nonsense") == answer, what="the answer")

    return scenario


def keeps_a_receipt(vendor: str) -> Scenario:
    """With no write to the table allowed, a receipt can only go to the outbox."""

    def scenario(stack: Stack) -> None:
        address = _address(stack, vendor)
        callbacks = [each for each in payloads.of_kind("callback") if each.vendor == vendor and each.body]
        receipt = next(each for each in callbacks if "receipt" in each.meaning)
        with stack.without_permission(f"callback_{vendor}", "dynamodb:UpdateItem", cold=False):
            answer = push(address, receipt.body, receipt.meaning["content_type"])
            assert answer == (200, vendors.vendor(vendor).acknowledgement)

    return scenario


def asks(stack: Stack) -> None:
    assert status(stack, "no-such-message")["error"]["code"] == "not_found"


def calls_off(stack: Stack) -> None:
    message_id = new_id()
    ahead = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)).isoformat()
    send(stack, message_id=message_id, mobile=number(79), not_before=ahead, **SHIPPED)
    assert stack.invoke("cancel", {"message_id": message_id})["status"] == "cancelled"


def checks_credit(stack: Stack) -> None:
    assert set(stack.invoke("balance_check", {})) == set(VENDORS)


def sweeps(stack: Stack) -> None:
    assert "PartFailed" not in stack.invoke("sweep", {})


def sweeps_the_unanswered(stack: Stack) -> None:
    """Asks jumdata for a result, and writes it down."""
    message_id = new_id()
    begin_the_day_anew(stack)
    send(stack, message_id=message_id, mobile=number(88), vendor="jumdata", **SHIPPED)
    time.sleep(2.5)
    sweeps(stack)
    assert status(stack, message_id)["status"] == "delivered"


def begin_the_day_anew(stack: Stack) -> None:
    """Neither side has counted a call yet: jumdata takes three a day to one number, and this one is everybody's."""
    stack.forget_calls("jumdata")
    table = stack.description["calls_table"]
    found = stack.aws.dynamodb.scan(
        TableName=table,
        FilterExpression="begins_with(pk, :quota)",
        ExpressionAttributeValues={":quota": {"S": "QUOTA#jumdata#"}},
    )
    for item in found["Items"]:
        stack.aws.dynamodb.delete_item(TableName=table, Key={"pk": item["pk"]})


def sweeps_the_outbox(stack: Stack) -> None:
    """Reads, applies and deletes an outbox entry: one that puts a released message."""
    message_id = new_id()
    letter = {
        "kind": "release",
        "message": {
            "message_id": message_id,
            "state": "released",
            "updated_at": time.time(),
            "attempt": "a",
            "receipts": [],
            "expires_at": time.time() + 3600,
        },
    }
    queue = stack.aws.sqs.get_queue_url(QueueName=_queue(stack, "outbox"))["QueueUrl"]
    stack.aws.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(letter))
    sweeps(stack)
    assert status(stack, message_id)["status"] == "deferred"


def sweeps_what_nobody_can_apply(stack: Stack) -> None:
    """A receipt in the outbox whose message is gone becomes a dead letter."""
    receipt = {"vendor": "jumdata", "call_id": "1", "delivered": True, "reason": None, "code": "0", "message": "成功"}
    letter: dict[str, Any] = {
        "kind": "receipt",
        "receipt": json.dumps(receipt),
        "rhash": None,
        "message_id": new_id(),
        "ttl": 0,
    }
    queue = stack.aws.sqs.get_queue_url(QueueName=_queue(stack, "outbox"))["QueueUrl"]
    stack.aws.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(letter))
    sweeps(stack)
    dead = stack.aws.sqs.get_queue_url(QueueName=_queue(stack, "dead"))["QueueUrl"]
    until(lambda: any(letter["message_id"] in json.dumps(m) for m in stack.messages(dead)), what="the letter")


def sweeps_a_link(stack: Stack) -> None:
    """An outcome in the outbox, whose receipt is quicker, is read back after it was settled."""
    message_id, call_id = new_id(), str(time.time_ns())[-9:]
    claimed = {
        "message_id": message_id,
        "state": "released",
        "updated_at": time.time(),
        "attempt": "a",
        "receipts": [],
        "vendor": "dxtong",
        "called_at": time.time(),
        "ttl": int(time.time()) + 3600,
    }
    changes = {"vendor": "dxtong", "call_id": call_id, "updated_at": time.time()}
    outcome = {"kind": "outcome", "message": claimed, "state": "accepted", "changes": changes, "meets": True}
    queue = stack.aws.sqs.get_queue_url(QueueName=_queue(stack, "outbox"))["QueueUrl"]
    stack.aws.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"kind": "release", "message": claimed}))
    sweeps(stack)
    assert push(_address(stack, "dxtong"), f"code=2&voiceid={call_id}".encode()) == (200, "success")
    stack.aws.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(outcome))
    sweeps(stack)
    assert status(stack, message_id)["status"] == "delivered"


def results_queue(stack: Stack) -> str:
    return stack.queue_on(stack.description["results_topic_arn"], "e2e-needed-results")


def publishes(stack: Stack) -> None:
    queue, message_id = results_queue(stack), new_id()
    send(stack, message_id=message_id, mobile=number(79), **SHIPPED)
    until(lambda: any(r["message_id"] == message_id for r in stack.messages(queue)), what="the result")


def hands_the_next_ring_over(stack: Stack) -> None:
    message_id = new_id()
    send(stack, message_id=message_id, mobile=number(36), escalate_to=[number(7)], vendor="dxtong", **SHIPPED)
    until(lambda: status(stack, message_id)["status"] == "delivered", what="the second ring")


def keeps_a_result(stack: Stack) -> None:
    """With the topic shut, a result can only go to the outbox; `sweep` publishes it from there."""
    queue, message_id = results_queue(stack), new_id()
    outbox = stack.aws.sqs.get_queue_url(QueueName=_queue(stack, "outbox"))["QueueUrl"]
    sweeps(stack)  # what another test left there is not what is kept here

    def kept() -> bool:
        depth = stack.aws.sqs.get_queue_attributes(QueueUrl=outbox, AttributeNames=["ApproximateNumberOfMessages"])
        return depth["Attributes"]["ApproximateNumberOfMessages"] != "0"

    with stack.without_permission("publish", "sns:Publish"):
        send(stack, message_id=message_id, mobile=number(79), **SHIPPED)
        until(kept, what="the letter")

    def published() -> bool:
        stack.invoke("sweep", {})
        return any(r["message_id"] == message_id for r in stack.messages(queue))

    until(published, what="the result")


def hands_over(stack: Stack) -> None:
    """By its lane: an unknown message whose caller wants a redial, and a bulk one that was kept until its time."""
    redialled, kept = new_id(), new_id()
    send(stack, message_id=redialled, mobile=number(83), on_unknown="redial_once", **SHIPPED)
    soon = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1)).isoformat()
    send(stack, message_id=kept, mobile=number(79), not_before=soon, priority="bulk", **SHIPPED)
    make_earlier(stack, redialled, "updated_at")
    make_earlier(stack, kept, "deferred_until")
    time.sleep(1.1)  # its own time is still to come
    sweeps(stack)
    until(lambda: status(stack, redialled)["redials"] == 1, what="the redial")
    until(lambda: status(stack, kept)["status"] == "delivered", what="the message")


def publishes_late(stack: Stack) -> None:
    """A result that lies in the outbox."""
    queue, message_id = results_queue(stack), new_id()
    letter = {"kind": "result", "result": {**status(stack, message_id), "message_id": message_id}}
    outbox = stack.aws.sqs.get_queue_url(QueueName=_queue(stack, "outbox"))["QueueUrl"]
    stack.aws.sqs.send_message(QueueUrl=outbox, MessageBody=json.dumps(letter))
    sweeps(stack)
    until(lambda: any(r["message_id"] == message_id for r in stack.messages(queue)), what="the result")


def publish(stack: Stack, **request: Any) -> str:
    """To the notify topic, with no attribute; returns the message's id."""
    message_id = new_id()
    topic = stack.description["notify_topic_arn"]
    stack.aws.sns.publish(TopicArn=topic, Message=json.dumps({"message_id": message_id, **SHIPPED, **request}))
    return message_id


def moves_to_bulk(stack: Stack) -> None:
    """A request that only its text says is bulk."""
    moved = publish(stack, mobile=number(79), priority="bulk")
    until(lambda: status(stack, moved)["status"] == "delivered", what="the message")


def waits_in_its_lane(stack: Stack) -> None:
    """Others have the slots of the next seconds: it comes again within as many, and not when the queue would let it."""

    def take_the_slots() -> None:
        free_at = {"pk": {"S": "PACE#jumdata#0"}, "free_at": {"N": f"{time.time() + 4:.3f}"}, "v": {"N": "1"}}
        stack.aws.dynamodb.put_item(TableName=stack.description["calls_table"], Item=free_at)

    def both_went_back() -> bool:
        take_the_slots()  # for as long as the function takes to start
        return len(set(_asked_to_wait(stack)[before:])) == len(waited)

    before = len(_asked_to_wait(stack))
    take_the_slots()
    waited = [publish(stack, mobile=free_number(), vendor="jumdata", priority=lane) for lane in ("urgent", "bulk")]
    until(both_went_back, what="going back to the lane")
    until(lambda: all(status(stack, each)["status"] == "delivered" for each in waited), within=40, what="both")


def _asked_to_wait(stack: Stack) -> list[str]:
    asked = [each for each in stack.requests("send") if each.action == "sqs:ChangeMessageVisibility"]
    return [each.resource for each in asked]


def links_by_number(stack: Stack) -> None:
    """A receipt that waits for its message is looked for by its number."""
    call_id = str(time.time_ns())[-9:]
    body = f"code=2&voiceid={call_id}&mobilephone={number(78)}".encode()
    assert push(_address(stack, "dxtong"), body) == (200, "success")
    sweeps(stack)


def hands_the_next_bulk_ring_over(stack: Stack) -> None:
    message_id = new_id()
    more = {"escalate_to": [number(7)], "priority": "bulk", "vendor": "dxtong"}
    send(stack, message_id=message_id, mobile=number(36), **more, **SHIPPED)
    until(lambda: status(stack, message_id)["status"] == "delivered", what="the second ring")


def alarms(stack: Stack) -> None:
    try:
        for balance in (1, 10000):
            stack.configure_simulator("dxtong", balance=balance)
            stack.invoke("balance_check", {})
    finally:
        stack.configure_simulator("dxtong", balance=10000)


@pytest.fixture(scope="module", autouse=True)
def unscheduled(gateway: Stack) -> None:
    """A run that nobody asked for would take what a test put into the outbox for its own run."""
    events = client(gateway, "events")
    for rule in events.list_rules()["Rules"]:
        events.disable_rule(Name=rule["Name"])


def _callback_needs(vendor: str) -> dict[str, Scenario]:
    looked_up = {"dynamodb:GetItem": is_told_whose_it_is(vendor)} if vendors.vendor(vendor).echoes_message_id else {}
    return looked_up | {
        "dynamodb:UpdateItem": is_told(vendor),
        "secretsmanager:GetSecretValue": is_told(vendor),
        "sqs:SendMessage": keeps_the_unreadable(vendor),
    }


# function → action → what uses it, and fails without it.
NEEDED: dict[str, dict[str, Scenario]] = {
    "send": {
        "dynamodb:GetItem": tries_without_ringing,
        "dynamodb:PutItem": sends,
        "dynamodb:UpdateItem": sends,
        "secretsmanager:GetSecretValue": sends,
        "ssm:GetParameter": sends,
        "sqs:SendMessage": keeps_an_outcome,
        "sqs:ChangeMessageVisibility": waits_in_its_lane,
    },
    **{f"callback_{name}": _callback_needs(name) for name in VENDORS},
    "status": {"dynamodb:GetItem": asks},
    "cancel": {"dynamodb:GetItem": calls_off, "dynamodb:UpdateItem": calls_off},
    "publish": {"sns:Publish": publishes, "sqs:SendMessage": keeps_a_result},
    "sweep": {
        "dynamodb:GetItem": sweeps_a_link,
        "dynamodb:PutItem": sweeps_the_outbox,
        "dynamodb:UpdateItem": sweeps_the_unanswered,
        "dynamodb:Query": sweeps,
        "sns:Publish": publishes_late,
        "sqs:ReceiveMessage": sweeps,
        "sqs:DeleteMessage": sweeps_the_outbox,
        "sqs:SendMessage": hands_over,
        "secretsmanager:GetSecretValue": sweeps_the_unanswered,
    },
    "balance_check": {
        "dynamodb:GetItem": checks_credit,
        "dynamodb:PutItem": checks_credit,
        "secretsmanager:GetSecretValue": checks_credit,
        "sns:Publish": alarms,
    },
}
TAKEN_OUT = [(function, action, needs) for function, actions in NEEDED.items() for action, needs in actions.items()]
# What only happens where something else fails, and what the lines above use one resource of two for.
UNDER_FAULT = [
    *(keeps_a_receipt(name) for name in VENDORS),
    hands_the_next_ring_over,
    hands_the_next_bulk_ring_over,
    moves_to_bulk,
    links_by_number,
    sweeps_what_nobody_can_apply,
]

# What AWS does by itself with a function's role, and the local server without asking its IAM: Lambda writes the log,
# reads the stream and delivers the dead letters of two functions; the rest is granted under a condition only. All of it
# is listed in tests/template, the conditions with their reasons.
STATEMENTS_OF_AWS = {"Log", "Stream", "OwnKey", "NetworkInterfaces", "Trace"}
BY_THE_POLLER = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
"""What Lambda does to a lane with the role of ``send``."""
DEAD_LETTERS_BY_LAMBDA = {"send", "publish"}

_worked: set[Scenario] = set()


def works(stack: Stack, scenario: Scenario) -> None:
    """Once is enough to know."""
    if scenario not in _worked:
        scenario(stack)
        _worked.add(scenario)


def refusals(stack: Stack, function: str, action: str) -> int:
    return sum(request.action == action and not request.allowed for request in stack.requests(function))


@pytest.mark.parametrize(("function", "action", "scenario"), TAKEN_OUT, ids=[f"{f}-{a}" for f, a, _ in TAKEN_OUT])
def test_a_permission_taken_out_is_missed(gateway: Stack, function: str, action: str, scenario: Scenario) -> None:
    works(gateway, scenario)
    before = refusals(gateway, function, action)
    with (
        gateway.without_permission(function, action),
        expecting_nothing(lambda: refusals(gateway, function, action) > before),
        pytest.raises((InvokeError, AssertionError)),
    ):
        scenario(gateway)
    until(lambda: refusals(gateway, function, action) > before, what="a refusal for want of that permission")


@pytest.mark.parametrize("function", NEEDED)
def test_a_role_grants_what_its_function_asks_for_and_no_more(gateway: Stack, function: str) -> None:
    for scenario in [*(scenario for _, _, scenario in TAKEN_OUT), *UNDER_FAULT]:
        works(gateway, scenario)
    asked = [request for request in gateway.requests(function) if request.allowed]
    idle = [
        grant
        for grant in gateway.grants(function)
        if not by_aws(function, grant)
        and not any(r.action == grant.action and fnmatchcase(r.resource, grant.resource) for r in asked)
    ]
    assert not idle
    assert not refused(gateway, function)


def by_aws(function: str, grant: Grant) -> bool:
    delivers = function in DEAD_LETTERS_BY_LAMBDA and grant.action == "sqs:SendMessage" and "Dead" in grant.resource
    polls = grant.sid == "Lanes" and function == "send" and grant.action in BY_THE_POLLER
    return grant.sid in STATEMENTS_OF_AWS or delivers or polls


def _queue(stack: Stack, part: str) -> str:
    names = [url.rpartition("/")[2] for url in stack.aws.sqs.list_queues()["QueueUrls"]]
    (found,) = [name for name in names if part in name.lower() and "e2e" not in name]
    return found


def _address(stack: Stack, vendor: str) -> str:
    if vendor in vendors.with_one_address():
        return str(dict(stack.description)[f"{vendor}_callback_url"])
    send(stack, mobile=free_number(), vendor=vendor, **SHIPPED)
    sent = stack.simulator(vendor)["requests"][-1]["fields"].values()
    return str(next(value for value in sent if f"/callbacks/{vendor}/" in value))
