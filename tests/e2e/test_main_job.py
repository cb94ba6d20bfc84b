"""The main job on the deployed stack: both vendors, every form and way in, every code, results and alarms."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.stack import Stack
from tests.e2e.use import (
    CONTENT,
    SHIPPED,
    asked,
    calls,
    final,
    free_number,
    make_earlier,
    new_id,
    number,
    push,
    send,
    status,
    until,
)
from tests.functions.test_callbacks import DXTONG_REASONS
from tests.functions.test_send import DXTONG_REFUSALS, JUMDATA_REFUSALS, TRANSIENT


@pytest.fixture(scope="session")
def results(gateway: Stack) -> Any:
    """A queue on the results topic; what was taken from it stays known to the others."""
    url = gateway.queue_on(gateway.description["results_topic_arn"], "e2e-results")
    seen: list[dict[str, Any]] = []

    def published(message_id: str) -> list[dict[str, Any]]:
        seen.extend(gateway.messages(url))
        return [result for result in seen if result["message_id"] == message_id]

    return published


@pytest.mark.parametrize(
    ("request_", "vendor"),
    [
        ({**SHIPPED, "vendor": "dxtong"}, "dxtong"),
        ({**SHIPPED, "vendor": "jumdata", "play_times": 2}, "jumdata"),
        ({"content": CONTENT}, "dxtong"),
        ({"template_id": "T1001", "params": ["9633", "顺丰快递"]}, "jumdata"),
    ],
)
def test_a_call_is_placed_reported_and_published(
    gateway: Stack, results: Any, request_: dict[str, Any], vendor: str
) -> None:
    message_id, mobile = new_id(), free_number()
    accepted = send(gateway, message_id=message_id, mobile=mobile, notify_data="仓库", **request_)
    assert (accepted["status"], accepted["vendor"]) == ("accepted", vendor)
    delivered = final(gateway, message_id)
    assert (delivered["status"], delivered["call_id"]) == ("delivered", accepted["call_id"])
    assert delivered["linked_by"] == ("token" if vendor == "jumdata" else "call_id")
    assert delivered["receipt"]["talk_seconds"] > 0
    until(lambda: {r["status"] for r in results(message_id)} == {"accepted", "delivered"}, what="both results")
    (told,) = [r for r in results(message_id) if r["status"] == "delivered"]
    assert told == {name: value for name, value in delivered.items() if name != "replayed"}


def test_a_message_of_the_notify_topic(gateway: Stack) -> None:
    published = gateway.aws.sns.publish(
        TopicArn=gateway.description["notify_topic_arn"],
        Message=json.dumps({"mobile": free_number(), "content": CONTENT}, ensure_ascii=False),
    )
    until(lambda: status(gateway, published["MessageId"])["status"], what="the message")
    assert final(gateway, published["MessageId"])["status"] == "delivered"


def test_every_receipt_of_dxtong_has_its_documented_reason(gateway: Stack) -> None:
    endings = {str(-at): 30 + at for at in range(23)} | {"0": 30}
    sent = {}
    for code, ending in endings.items():
        sent[code] = new_id(f"receipt{code}")
        assert send(gateway, message_id=sent[code], mobile=number(ending), **SHIPPED)["status"] == "accepted"
    for code, message_id in sent.items():
        result = final(gateway, message_id)
        assert (result["status"], result["reason"]) == ("failed", DXTONG_REASONS[code]), code
        assert result["receipt"]["code"] == code


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        *((71, "busy"), (72, "no_answer"), (73, "declined"), (74, "number_invalid"), (75, "unreachable")),
        *((76, "timed_out"), (77, "unknown"), (78, "unknown")),
    ],
)
def test_every_failure_of_jumdata_has_its_documented_reason(gateway: Stack, ending: int, reason: str) -> None:
    message_id = new_id()
    send(gateway, message_id=message_id, mobile=number(ending), vendor="jumdata", **SHIPPED)
    result = final(gateway, message_id)
    assert (result["status"], result["reason"]) == ("failed", reason)


@pytest.mark.parametrize(
    ("vendor", "ending", "vendor_code", "code"),
    [("dxtong", ending, *row) for ending, row in DXTONG_REFUSALS.items()]
    + [("jumdata", ending, *row) for ending, row in JUMDATA_REFUSALS.items()],
)
def test_every_refusal_has_its_documented_error(
    gateway: Stack, vendor: str, ending: int, vendor_code: str, code: str
) -> None:
    request = {"message_id": new_id(), "mobile": number(ending), "vendor": vendor, **SHIPPED}
    result = gateway.invoke("send", request)
    if vendor_code in TRANSIENT:
        assert result["status"] == "deferred"
    else:
        assert result["status"] == "rejected"
    assert (result["error"]["code"], result["error"]["vendor_code"]) == (code, vendor_code)


def test_bad_input_is_refused_with_every_fault_named_and_reaches_no_vendor(gateway: Stack) -> None:
    before = asked(gateway)
    result = send(gateway, mobile="1", content="", template_id=5, play_times=9, vendor="acme", surprise=True)
    assert (result["status"], result["error"]["code"]) == ("rejected", "invalid_request")
    for name in ("mobile", "play_times", "vendor", "surprise", "template, content, template_id"):
        assert name in result["error"]["message"]
    for request, code in [
        ({"mobile": "123", **SHIPPED}, "invalid_mobile"),
        ({"mobile": number(0), "template": "no_such"}, "unknown_template"),
        ({"mobile": number(0), **SHIPPED, "params": {}}, "template_mismatch"),
        ({"mobile": number(0), "content": "长" * 181, "vendor": "dxtong"}, "content_too_long"),
    ]:
        assert send(gateway, **request)["error"]["code"] == code
    assert asked(gateway) == before


def test_one_message_from_many_threads_rings_once(gateway: Stack) -> None:
    message_id, mobile = new_id(), number(79)
    before = len(calls(gateway, "dxtong", mobile))
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: send(gateway, message_id=message_id, mobile=mobile, **SHIPPED), range(12)))
    assert {answer["status"] for answer in answers} <= {"accepted", "submitting", "delivered"}
    assert final(gateway, message_id)["status"] == "delivered"
    assert len(calls(gateway, "dxtong", mobile)) - before == 1


@pytest.mark.parametrize("vendor", ["dxtong", "jumdata"])
@pytest.mark.parametrize("ending", [90, 91, 92, 93])
def test_a_call_whose_answer_is_lost_rings_once_and_its_callback_still_settles_it(
    gateway: Stack, vendor: str, ending: int
) -> None:
    message_id, mobile = new_id(), number(ending)
    before = len(calls(gateway, vendor, mobile))
    assert send(gateway, message_id=message_id, mobile=mobile, vendor=vendor, **SHIPPED)["status"] in {
        "unknown",
        "delivered",  # the callback may be quicker than the deadline
    }
    if vendor == "jumdata":  # its address names the message; dxtong's receipt is linked by number after a while
        assert final(gateway, message_id)["status"] == "delivered"
    assert len(calls(gateway, vendor, mobile)) - before == 1


@pytest.mark.parametrize("vendor", ["dxtong", "jumdata"])
@pytest.mark.parametrize("ending", [86, 87])
def test_a_dripping_vendor_is_asked_once_and_not_waited_for(gateway: Stack, vendor: str, ending: int) -> None:
    message_id, mobile = new_id(), number(ending)
    request = {"message_id": message_id, "mobile": mobile, "vendor": vendor, **SHIPPED}
    before = len(calls(gateway, vendor, mobile))
    started = time.monotonic()
    result = gateway.invoke("send", request)
    assert time.monotonic() - started < 30  # a drip lasts as long; the deadline here is 2 s
    assert (result["status"], result["error"]["code"], result["vendor"]) == ("unknown", "outcome_unknown", vendor)
    assert gateway.invoke("send", request)["replayed"]
    made = calls(gateway, vendor, mobile)[before:]
    assert len(made) == 1
    if vendor == "jumdata":  # its callback may come at any time later
        address = made[0]["fields"]["notifyUrl"]
        receipt = {"callId": new_id(), "callStatus": 0, "callStatusText": "成功", "callTime": 7}
        assert push(address, json.dumps(receipt).encode(), "application/json") == (200, "success")
        late = status(gateway, message_id)
        assert (late["status"], late["linked_by"], late["call_id"]) == ("delivered", "token", receipt["callId"])


@pytest.mark.parametrize("ending", [94, 95, 96, 97, 99])
@pytest.mark.parametrize("vendor", ["dxtong", "jumdata"])
def test_late_double_early_and_contradicting_callbacks(gateway: Stack, vendor: str, ending: int) -> None:
    message_id = new_id()
    send(gateway, message_id=message_id, mobile=number(ending), vendor=vendor, **SHIPPED)
    result = final(gateway, message_id)
    assert result["status"] == ("failed" if ending == 97 else "delivered")
    if ending == 97:
        until(lambda: status(gateway, message_id)["later_receipts"] == 1, what="the later receipt")
        assert status(gateway, message_id)["reason"] == "no_answer"


def test_an_unknown_message_is_redialled_once_where_its_caller_asks_for_it(gateway: Stack) -> None:
    message_id, mobile = new_id(), number(83)  # both vendors answer with HTTP 500
    request = {"message_id": message_id, "mobile": mobile, "on_unknown": "redial_once", **SHIPPED}
    before = [len(calls(gateway, vendor, mobile)) for vendor in ("dxtong", "jumdata")]
    assert gateway.invoke("send", request)["status"] == "unknown"
    make_earlier(gateway, message_id, "updated_at")

    def redialled() -> bool:
        gateway.invoke("sweep", {})
        return bool(status(gateway, message_id)["redials"] == 1)

    until(redialled, what="the redial")
    gateway.invoke("sweep", {})
    after = [len(calls(gateway, vendor, mobile)) for vendor in ("dxtong", "jumdata")]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1]


def test_jumdata_is_asked_where_no_callback_comes(gateway: Stack) -> None:
    message_id = new_id()
    send(gateway, message_id=message_id, mobile=number(88), vendor="jumdata", **SHIPPED)

    def answered() -> bool:
        gateway.invoke("sweep", {})
        return bool(status(gateway, message_id)["status"] == "delivered")

    until(answered, what="the answer")
    assert status(gateway, message_id)["linked_by"] == "query"


def test_credit_raises_one_alarm_and_one_recovery(gateway: Stack) -> None:
    url = gateway.queue_on(gateway.description["alarm_topic_arn"], "e2e-alarms")
    seen: list[tuple[str, str, str]] = []

    def alarms() -> list[tuple[str, str, str]]:
        told = [alarm for alarm in gateway.messages(url) if alarm.get("kind") == "credit"]
        seen.extend((alarm["vendor"], alarm["previous"], alarm["state"]) for alarm in told)
        return [alarm for alarm in seen if alarm[0] == "dxtong"]

    gateway.invoke("balance_check", {})
    for balance in (5, 3, 110, 500, 600):
        gateway.configure_simulator("dxtong", balance=balance)
        state = gateway.invoke("balance_check", {})["dxtong"]
        assert (state["remaining"], state["unit"]) == (str(balance), "calls")
        assert state["state"] == ("ok" if balance >= 500 else "low")
    gateway.configure_simulator("dxtong", balance=10000)
    until(lambda: len(alarms()) == 2, what="the alarm and the recovery")
    assert alarms() == [("dxtong", "ok", "low"), ("dxtong", "low", "ok")]


# Callbacks, through the API.


def test_a_token_that_is_not_ours_is_turned_away(gateway: Stack) -> None:
    url = gateway.description["dxtong_callback_url"]
    body = b"code=2&voiceid=1&mobilephone=13800138000"
    forged = url[:-1] + ("A" if url[-1] != "A" else "B")
    assert push(forged, body) == (404, "")
    assert push(f"{gateway.description['callback_base_url']}/callbacks/jumdata/{'a' * 60}", body) == (404, "")


def test_a_gbk_receipt_arrives_undamaged(gateway: Stack) -> None:
    gateway.configure_simulator("dxtong", callback_format="gbk-raw")
    try:
        message_id = new_id()
        send(gateway, message_id=message_id, mobile=number(42), vendor="dxtong", **SHIPPED)
        result = final(gateway, message_id)
    finally:
        gateway.configure_simulator("dxtong", callback_format="form")
    assert (result["reason"], result["receipt"]["message"]) == ("declined", "用戶拒接")


def test_the_edges_of_what_a_callback_may_be(gateway: Stack) -> None:
    url = gateway.description["dxtong_callback_url"]
    assert push(url, b"x" * 65537) == (413, "")
    assert push(url, b"\x00\xff nonsense") == (200, "success")
    assert push(url, None)[0] in {403, 404, 405}, "dxtong by GET is no route"


# Retries.


def test_what_nobody_could_take_is_tried_again_by_the_gateway_and_is_no_dead_letter(gateway: Stack) -> None:
    message_id, mobile = new_id(), number(10)  # dxtong: 0, submit failed
    before = len(calls(gateway, "dxtong", mobile))
    gateway.aws.lambda_.invoke(
        FunctionName=gateway.description["functions"]["send"],
        InvocationType="Event",
        Payload=json.dumps({"message_id": message_id, "mobile": mobile, "vendor": "dxtong", **SHIPPED}),
    )
    waits = until(lambda: status(gateway, message_id)["deferred_until"], what="the first try")
    make_earlier(gateway, message_id, "deferred_until")

    def tried_again() -> bool:
        gateway.invoke("sweep", {})
        until_when = status(gateway, message_id)["deferred_until"]  # null while it is being handed over
        return bool(until_when and until_when > waits)

    until(tried_again, what="a retry")
    assert len(calls(gateway, "dxtong", mobile)) - before >= 2
    assert status(gateway, message_id)["status"] == "deferred"
