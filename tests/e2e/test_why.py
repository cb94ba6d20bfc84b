"""`why` on the deployed stack: each cause is made to happen, and answered in its own words."""

import datetime
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from voice_gateway.platform.callback_tokens import CallToken, Keyring
from voice_gateway.storage.message_item import message_of
from voice_gateway_cli.commands.why import as_data
from voice_gateway_cli.deployed.target import local_stack
from voice_gateway_cli.why.causes import CAUSES, explain
from voice_gateway_cli.why.evidence import gather
from voice_gateway_cli.why.story import tell

from local.stack import Stack
from tests.e2e.command import data, run
from tests.e2e.use import SHIPPED, in_seconds, new_id, number, push, send, status, until

Made = Callable[[Stack, str], None]
"""Makes a message of that id stand as its cause says."""
VENDORS_REFUSALS = {
    "blocklisted": ("dxtong", 15),
    "number_refused": ("dxtong", 21),
    "content_refused": ("dxtong", 22),
    "text_not_registered": ("dxtong", 24),
    "too_long": ("dxtong", 25),
    "vendor_cap": ("dxtong", 27),
    "no_credit": ("dxtong", 19),
    "credentials": ("dxtong", 12),
    "ip_not_allowed": ("dxtong", 20),
    "account_suspended": ("dxtong", 18),
    "not_configured": ("jumdata", 66),
}
"""The simulators' magic numbers: docs/simulators.md."""
DXTONG: dict[str, Any] = {"vendor": "dxtong", **SHIPPED}
JUMDATA: dict[str, Any] = {"vendor": "jumdata", **SHIPPED}


def not_now() -> str:
    """Hours of a callee's day, China time, in which it is not now."""
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=8)
    return f"{(now.hour + 6) % 24:02}:00-{(now.hour + 8) % 24:02}:00"


def refused(vendor: str, ending: int) -> Made:
    return lambda stack, message_id: send(stack, message_id=message_id, mobile=number(ending), vendor=vendor, **SHIPPED)


def sent(**request: Any) -> Made:
    return lambda stack, message_id: send(stack, message_id=message_id, **request)


def asked(stack: Stack, message_id: str) -> dict[str, Any]:
    """What the command answers, without its printing, which only one thread can do."""
    evidence = gather(local_stack(stack.folder / "stack.json"), message_id)
    return as_data(evidence, explain(evidence), tell(evidence))


def capped(stack: Stack, message_id: str) -> None:
    for _ in range(3):
        send(stack, mobile=number(59), **JUMDATA)
    send(stack, message_id=message_id, mobile=number(59), **JUMDATA)


def conflicting(stack: Stack, message_id: str) -> None:
    send(stack, message_id=message_id, mobile=number(10), **DXTONG)
    send(stack, message_id=message_id, mobile=number(11), **DXTONG)


def called_off(stack: Stack, message_id: str) -> None:
    send(stack, message_id=message_id, mobile=number(1), not_before=in_seconds(3600), **SHIPPED)
    stack.invoke("cancel", {"message_id": message_id})


def settled(ending: int, word: str, **request: Any) -> Made:
    def make(stack: Stack, message_id: str) -> None:
        send(stack, message_id=message_id, mobile=number(ending), **DXTONG, **request)
        until(lambda: status(stack, message_id)["status"] == word, what=f"{message_id} {word}")

    return make


def no_receipt(stack: Stack, message_id: str) -> None:
    send(stack, message_id=message_id, mobile=number(88), **DXTONG)

    def given_up() -> bool:
        stack.invoke("sweep", {})
        return bool(item(stack, message_id).asked)

    time.sleep(2.2)
    until(given_up, what="the sweep counts it")


def unreadable(stack: Stack, message_id: str) -> None:
    send(stack, message_id=message_id, mobile=number(89), **JUMDATA)
    until(
        lambda: (
            data(stack, "why", message_id)["also"] or data(stack, "why", message_id)["cause"] != "waiting_for_receipt"
        )
    )


def cut_off(stack: Stack, message_id: str) -> None:
    """As if `send` had been killed a minute ago, in the middle of the call."""
    send(stack, message_id=message_id, mobile=number(88), **DXTONG)
    past = time.time() - 300
    sets: dict[str, str | float] = {"st": "calling", "lease": past, "work": "calling#0", "work_at": past}
    change(stack, f"MSG#{message_id}", sets, removed="call_id")
    stack.invoke("sweep", {})


def linked_by_number(stack: Stack, message_id: str) -> None:
    """The answer is lost, and the receipt came an hour ago."""
    send(stack, message_id=message_id, mobile=number(91), **DXTONG)
    waiting = until(lambda: waiting_receipt(stack, message_id), what="the receipt")
    past = time.time() - 3700  # no other message of this number is near
    change(stack, f"MSG#{message_id}", {"called_at": past, "number_at": past})
    change(stack, waiting, {"waiting": past, "marked_at": past, "number_at": past})

    def linked() -> bool:
        stack.invoke("sweep", {})
        return bool(status(stack, message_id)["status"] == "delivered")

    until(linked, what="the link by number")


def two_open(stack: Stack, message_id: str) -> None:
    send(stack, message_id=message_id, mobile=number(92), **DXTONG)
    send(stack, mobile=number(92), **DXTONG)
    until(lambda: waiting_receipt(stack, message_id), what="a receipt")


def old_key(stack: Stack, message_id: str) -> None:
    """Its receipt comes with a token of a key that was taken out."""
    send(stack, message_id=message_id, mobile=number(94), **JUMDATA)
    message = item(stack, message_id)
    gone = Keyring({"gone": b"x" * 32}, "x" * 32)
    token = gone.call_token("jumdata", CallToken(message_id, message.attempt or "", int(time.time()) + 600))
    base = stack.description["callback_base_url"]
    assert push(f"{base}/callbacks/jumdata/{token}", b"{}", "application/json")[0] == 404


CAUSES_MADE: dict[str, Made] = {
    **{key: refused(vendor, ending) for key, (vendor, ending) in VENDORS_REFUSALS.items()},
    "bad_request": sent(mobile=number(1), colour="red", **SHIPPED),
    "bad_number": sent(mobile="12345", **SHIPPED),
    "unknown_template": sent(mobile=number(1), template="no_such", params={}),
    "params_do_not_fit": sent(mobile=number(1), template="order_shipped", params={"order": "1"}),
    "cap": capped,
    "callee_hours": sent(mobile=number(1), hours=not_now(), **SHIPPED),
    "not_before": sent(mobile=number(1), not_before=in_seconds(3600), **SHIPPED),
    "vendor_down": sent(mobile=number(10), **DXTONG),
    "answer_lost": sent(mobile=number(86), **DXTONG),
    "redial_comes": sent(mobile=number(87), on_unknown="redial_once", **DXTONG),
    "cut_off": cut_off,
    "no_receipt": no_receipt,
    "receipt_unreadable": unreadable,
    "old_key": old_key,
    "linked_by_number": linked_by_number,
    "two_open_messages": two_open,
    "conflict": conflicting,
    "expired": sent(mobile=number(1), expires_at="2020-01-01T00:00:00Z", **SHIPPED),
    "cancelled": called_off,
    "sequence_goes_on": settled(54, "deferred", redial={"times": 3, "after_seconds": 3600}),
    "escalates": sent(mobile=number(88), escalate_to=[number(3)], escalate_after_seconds=3600, **DXTONG),
    "waiting_for_receipt": sent(mobile=number(94), **DXTONG),
    "failed": settled(36, "failed"),
    "delivered": settled(2, "delivered"),
    "never_seen": lambda _stack, _message_id: None,
}


def item(stack: Stack, message_id: str) -> Any:
    found = stack.aws.dynamodb.get_item(
        TableName=stack.description["calls_table"], Key={"pk": {"S": f"MSG#{message_id}"}}, ConsistentRead=True
    )
    return message_of(found["Item"])


def change(stack: Stack, pk: str, sets: dict[str, str | float], removed: str | None = None) -> None:
    """Writes attributes of an item: texts and numbers."""
    expression = f"SET {', '.join(f'#{name} = :{name}' for name in sets)}" + (f" REMOVE #{removed}" if removed else "")
    stack.aws.dynamodb.update_item(
        TableName=stack.description["calls_table"],
        Key={"pk": {"S": pk}},
        UpdateExpression=expression,
        ExpressionAttributeNames={f"#{name}": name for name in (*sets, *([removed] if removed else []))},
        ExpressionAttributeValues={
            f":{name}": {"S": value} if isinstance(value, str) else {"N": str(round(value, 3))}
            for name, value in sets.items()
        },
    )


def waiting_receipt(stack: Stack, message_id: str) -> str | None:
    """The key of a receipt that waits under the message's number."""
    found = stack.aws.dynamodb.query(
        TableName=stack.description["calls_table"],
        IndexName="number",
        KeyConditionExpression="#number = :number",
        ExpressionAttributeNames={"#number": "number"},
        ExpressionAttributeValues={":number": {"S": item(stack, message_id).number_hash}},
    )["Items"]
    return next((each["pk"]["S"] for each in found if each["pk"]["S"].startswith("CALL#")), None)


SWEPT = {"cut_off", "no_receipt", "linked_by_number"}
"""These take sweeps, which would move others on: they are made first."""


@pytest.fixture(scope="module")
def answers(gateway: Stack) -> dict[str, Any]:
    """Everything is made to happen side by side, and asked at once: by the cause that it is to have."""
    ids = {key: new_id("why") for key in CAUSES_MADE}

    def answer(key: str) -> Any:
        CAUSES_MADE[key](gateway, ids[key])
        return asked(gateway, ids[key])

    gateway.configure_simulator("dxtong", late_seconds=600)
    gateway.configure_simulator("jumdata", late_seconds=600)
    found: dict[str, Any] = {}
    for batch in ([key for key in CAUSES_MADE if key in SWEPT], [key for key in CAUSES_MADE if key not in SWEPT]):
        with ThreadPoolExecutor(6) as threads:
            found |= zip(batch, threads.map(answer, batch), strict=True)
    gateway.configure_simulator("dxtong", late_seconds=5)
    gateway.configure_simulator("jumdata", late_seconds=5)
    return found


@pytest.mark.parametrize("key", CAUSES_MADE)
def test_each_cause_is_told(answers: dict[str, Any], key: str) -> None:
    answer = answers[key]
    assert answer["cause"] == key, f"{answer['cause']}: {answer['means']}\n{answer['story']}\n{answer['result']}"
    for sentence in (answer["means"], answer["do"]):
        assert sentence.endswith((".", "?")), sentence
        assert "{" not in sentence, sentence
        assert "None" not in sentence, sentence
    assert answer["runbook"].startswith("docs/runbooks/")
    assert answer["story"] or key == "never_seen"


def test_there_are_many_causes_and_their_words_are_their_own() -> None:
    assert len(CAUSES_MADE) >= 30
    assert set(CAUSES_MADE) <= {cause.key for cause in CAUSES}
    assert len({cause.means for cause in CAUSES}) == len(CAUSES)


def test_a_vendors_hours(gateway: Stack) -> None:
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=8)
    opens = (now.hour + 3) % 23
    with gateway.with_setting("send", "JUMDATA_HOURS", f"{opens:02}:00-{opens:02}:59"):
        message_id = send(gateway, mobile=number(1), **JUMDATA)["message_id"]
    answer = data(gateway, "why", message_id)
    assert answer["cause"] == "vendor_hours"
    assert answer["result"]["deferred_until"] is not None


def test_a_result_that_nobody_hears(gateway: Stack, answers: dict[str, Any]) -> None:
    with nobody_subscribed(gateway):
        heard_by_none = data(gateway, "why", answers["delivered"]["message_id"])
        beside = data(gateway, "why", answers["blocklisted"]["message_id"])
    assert heard_by_none["cause"] == "results_unheard"
    assert beside["cause"] == "blocklisted"
    assert any("nobody was told" in sentence for sentence in beside["also"])


@contextmanager
def nobody_subscribed(gateway: Stack) -> Iterator[None]:
    """The results topic without its subscriptions, which come back afterwards."""
    topic = gateway.description["results_topic_arn"]
    found = gateway.aws.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    for each in found:
        gateway.aws.sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])
    yield
    for each in found:
        gateway.aws.sns.subscribe(TopicArn=topic, Protocol=each["Protocol"], Endpoint=each["Endpoint"])


def test_the_command_says_the_same(gateway: Stack, answers: dict[str, Any]) -> None:
    for key in ("blocklisted", "failed", "conflict", "never_seen"):
        answer = data(gateway, "why", answers[key]["message_id"])
        assert {**answer, "story": ()} == {**answers[key], "story": ()}
        assert answer["story"][: len(answers[key]["story"])] == answers[key]["story"]


@pytest.mark.parametrize("columns", [80, 120])
def test_the_story_fits_a_terminal_and_shows_no_number(gateway: Stack, answers: dict[str, Any], columns: int) -> None:
    for key in ("failed", "linked_by_number", "receipt_unreadable", "two_open_messages"):
        told = run(gateway, "why", answers[key]["message_id"], columns=columns)
        assert max(map(len, told.splitlines())) <= columns, told
        assert "It means" in told
        assert "138001380" not in told


def test_find_by_the_number_that_was_rung(gateway: Stack, answers: dict[str, Any]) -> None:
    found = data(gateway, "find", "--mobile", f"+86 {number(36)}")["messages"]
    assert answers["failed"]["message_id"] in {each["message_id"] for each in found}
    goes_on = data(gateway, "find", "--mobile", number(54), "--status", "deferred")["messages"]
    assert answers["sequence_goes_on"]["message_id"] in {each["message_id"] for each in goes_on}


def test_find_by_status_and_time_in_pages(gateway: Stack, answers: dict[str, Any]) -> None:
    refusals = {answers[key]["message_id"] for key in VENDORS_REFUSALS}
    seen: list[str] = []
    before = "2100-01-01"
    while True:
        page = data(gateway, "find", "--status", "rejected", "--limit", "7", "--before", before, "--since", "10m")
        seen += [each["message_id"] for each in page["messages"]]
        if not page["more"]:
            break
        before = page["next"]
    assert refusals <= set(seen)
    assert len(seen) == len(set(seen))
    for key in ("vendor_down", "answer_lost", "no_receipt"):
        standing = answers[key]["status"]
        found = data(gateway, "find", "--status", standing, "--limit", "500")["messages"]
        assert answers[key]["message_id"] in {each["message_id"] for each in found}
    everything = data(gateway, "find", "--scan", "--limit", "1000")["messages"]
    assert {answer["message_id"] for key, answer in answers.items() if key != "never_seen"} <= {
        each["message_id"] for each in everything
    }
