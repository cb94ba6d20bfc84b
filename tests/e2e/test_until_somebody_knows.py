"""Retries, redials, escalation, schedule and cancel on the deployed stack, in real time; and what its triggers deliver.

All of it waits for a minute to pass, so that it is here together.
"""

import datetime
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from local.stack import Stack
from tests.e2e.catcher import ONLY_HERE, Catcher, unlike
from tests.e2e.use import SHIPPED, calls, final, free_number, new_id, number, push, records, send, status, until
from tests.gateway import ROOT

DXTONG: dict[str, Any] = {"vendor": "dxtong", **SHIPPED}
SECOND = number(7)


@pytest.fixture(scope="module", autouse=True)
def catcher(gateway: Stack) -> Catcher:
    """A function of the tests' own on the gateway's triggers; there from the start, for schedules take their minute."""
    catcher = Catcher(gateway)
    catcher.watch()
    return catcher


@pytest.fixture(scope="module")
def begun(gateway: Stack) -> dict[str, Any]:
    """What takes long, all sent at once: the results by what they are about."""
    in_20 = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=20)
    gateway.configure_simulator("dxtong", down_seconds=8)
    return {
        "redialled": send(gateway, mobile=number(53), redial={"times": 1, "after_seconds": 60}, **DXTONG),
        "away": send(gateway, mobile=number(56), **DXTONG),
        "scheduled": send(gateway, mobile=number(6), not_before=in_20.isoformat(), **DXTONG),
        "silent": send(gateway, mobile=number(88), escalate_to=[SECOND], escalate_after_seconds=30, **DXTONG),
        "called off": send(gateway, mobile=number(55), redial={"times": 5, "after_seconds": 90}, **DXTONG),
    }


def swept(gateway: Stack, happened: Callable[[], Any], within: float, what: str) -> Any:
    """Waits for it, with a sweep every few seconds: more often than each minute, so that a test takes no minutes."""
    last = 0.0

    def looked() -> Any:
        nonlocal last
        if time.monotonic() > last + 4:
            gateway.invoke("sweep", {})
            last = time.monotonic()
        return happened()

    return until(looked, within, what)


def ended(gateway: Stack, message: dict[str, Any], within: float = 90.0) -> Any:
    message_id = message["message_id"]
    swept(gateway, lambda: status(gateway, message_id)["status"] in {"delivered", "failed"}, within, message_id)
    return status(gateway, message_id)


def rung(gateway: Stack, mobile: str) -> int:
    return len(calls(gateway, "dxtong", mobile))


def at(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


def test_the_next_number_is_rung_within_seconds_without_a_sweep(gateway: Stack) -> None:
    """Nobody answers the first: its receipt moves the message on, and the stream hands the next ring over."""
    queue = gateway.queue_on(gateway.description["results_topic_arn"], "e2e-rings")
    message_id = new_id()
    sent = send(gateway, message_id=message_id, mobile=number(36), escalate_to=[SECOND], **DXTONG)
    assert (sent["status"], sent["ring"], sent["next"]["callee"]) == ("accepted", 1, SECOND[-4:])
    known = final(gateway, message_id)
    assert (known["status"], known["ring"], known["next"]) == ("delivered", 2, None)
    assert [(ring["callee"], ring["status"]) for ring in known["rings"]] == [("8036", "failed"), ("8007", "delivered")]
    assert at(known["rings"][1]["at"]) - at(known["rings"][0]["at"]) < 20
    told: list[Any] = []

    def all_told() -> bool:
        told.extend((r["status"], r["ring"]) for r in gateway.messages(queue) if r["message_id"] == message_id)
        return {("accepted", 1), ("deferred", 1), ("accepted", 2), ("delivered", 2)} <= set(told)

    until(all_told, what="every end of a ring at the results topic")


def test_a_cancel_between_two_rings(gateway: Stack, begun: dict[str, Any]) -> None:
    message_id = begun["called off"]["message_id"]
    until(lambda: status(gateway, message_id)["status"] == "deferred", what="the first ring's end")
    gone = gateway.invoke("cancel", {"message_id": message_id})
    assert (gone["status"], gone["next"], gone["rings"][0]["reason"]) == ("cancelled", None, "no_answer")
    gateway.invoke("sweep", {})
    assert gateway.invoke("cancel", {"message_id": message_id}) == {**gone, "replayed": True}
    assert rung(gateway, number(55)) == 1


def test_a_scheduled_message(gateway: Stack, begun: dict[str, Any]) -> None:
    sent = begun["scheduled"]
    assert (sent["status"], sent["ring"], sent["error"]) == ("deferred", 0, None)
    known = ended(gateway, sent)
    assert known["status"] == "delivered"
    assert at(known["rings"][0]["at"]) >= at(sent["deferred_until"])


def test_a_vendor_that_was_away_rings_when_it_is_back(gateway: Stack, begun: dict[str, Any]) -> None:
    sent = begun["away"]
    assert (sent["status"], sent["error"]["code"]) == ("deferred", "vendor_unavailable")
    known = ended(gateway, sent)
    assert (known["status"], known["ring"]) == ("delivered", 1)
    assert at(known["rings"][0]["at"]) >= at(sent["deferred_until"])


def test_a_ring_without_a_result_is_left_behind(gateway: Stack, begun: dict[str, Any]) -> None:
    known = ended(gateway, begun["silent"])
    assert [(ring["callee"], ring["status"]) for ring in known["rings"]] == [
        ("8088", "accepted"),
        ("8007", "delivered"),
    ]
    assert at(known["rings"][1]["at"]) - at(known["rings"][0]["at"]) >= 30


def test_a_redial_after_a_minute(gateway: Stack, begun: dict[str, Any]) -> None:
    known = ended(gateway, begun["redialled"], within=110)
    assert (known["status"], [ring["status"] for ring in known["rings"]]) == ("delivered", ["failed", "delivered"])
    assert at(known["rings"][1]["at"]) - at(known["rings"][0]["at"]) >= 60
    assert rung(gateway, number(53)) == 2
    assert known["next"] is None


# The events under events/ are what the triggers really deliver.


def test_the_events_are_what_the_triggers_deliver(gateway: Stack, catcher: "Catcher") -> None:
    gateway.aws.sns.publish(
        TopicArn=gateway.description["notify_topic_arn"],
        Message=json.dumps({"message_id": new_id(), "mobile": free_number(), **SHIPPED}),
    )
    for method, body in (("POST", b"code=2"), ("GET", None)):
        push(catcher.api(method) + "?callStatus=0", body)
    wanted: dict[str, Callable[[Any], bool]] = {
        "send_sns": lambda event: "Sns" in event.get("Records", [{}])[0],
        "send_sqs": lambda event: event.get("Records", [{}])[0].get("eventSource") == "aws:sqs",
        "publish": lambda event: event.get("Records", [{}])[0].get("eventName") == "MODIFY",
        "callback_dxtong": lambda event: event.get("httpMethod") == "POST",
        "callback_jumdata_post": lambda event: event.get("httpMethod") == "POST",
        "callback_jumdata_get": lambda event: event.get("httpMethod") == "GET",
        "sweep": lambda event: event.get("detail-type") == "Scheduled Event",
        "balance_check": lambda event: event.get("detail-type") == "Scheduled Event",
    }
    for name, looks in wanted.items():
        delivered = until(partial(catcher.caught, looks), within=120, what=f"the event of {name}")
        sample = json.loads((ROOT / "events" / f"{name}.json").read_text())
        differences = [each for each in unlike(delivered, sample, name) if each not in ONLY_HERE]
        assert not differences


def test_the_schedules_run_by_themselves(gateway: Stack) -> None:
    """One line an invocation: those that no test asked for were asked for by the rules."""

    def ran(function: str) -> bool:
        return any("DurationMs" in record for record in records(gateway, function))

    for function in ("sweep", "balance_check"):
        rule = gateway.aws.cloudformation.describe_stack_resources(StackName=gateway.description["stack_name"])
        assert any(r["ResourceType"] == "AWS::Events::Rule" for r in rule["StackResources"])
        until(partial(ran, function), within=120, what=f"a run of {function}")
