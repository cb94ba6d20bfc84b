"""Until somebody knows: retries, redials, escalation, schedule and cancel, through the handlers (docs/using.md)."""

import datetime
import json
import time
from typing import Any

import pytest
import time_machine
from moto import mock_aws
from voice_gateway.model.errors import TryLater
from voice_gateway.model.hours import CHINA

from local.simulators.dxtong import DxtongSimulator
from local.simulators.jumdata import JumdataSimulator
from tests.functions.test_callbacks import dxtong_receipt, push_dxtong
from tests.functions.test_rules import between
from tests.functions.test_send import SHIPPED, Wire, number, submits
from tests.gateway import ROOT, Gateway, deployed

NOON = datetime.datetime(2026, 11, 22, 12, 0, tzinfo=CHINA).timestamp()
DXTONG: dict[str, Any] = {"vendor": "dxtong", **SHIPPED}
ON_CALL: dict[str, Any] = {
    "message_id": "m1",
    "mobile": number(0),
    "redial": {"times": 1, "after_seconds": 60},
    "escalate_to": [number(1)],
    **DXTONG,
}


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def later(clock: Any, seconds: float) -> None:
    clock.move_to(NOON + seconds, tick=False)


def swept(gateway: Gateway) -> list[Any]:
    """One sweep, and what ``send`` answers to what it hands over."""
    gateway.sweep()
    return [gateway.take_up(envelope) for envelope in gateway.taken("urgent")]


def told(gateway: Gateway, call_id: str, code: str, ending: int) -> None:
    push_dxtong(gateway, dxtong_receipt(call_id, code, number(ending)))


def rung(simulator: DxtongSimulator | JumdataSimulator) -> list[str]:
    return [request["mobile"][-2:] for request in submits(simulator)]


def rings(result: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return [(ring["callee"], ring["status"], ring["reason"]) for ring in result["rings"]]


# Redials and escalation.


def test_the_same_number_again_and_then_the_next(gateway: Gateway, dxtong: DxtongSimulator, clock: Any) -> None:
    first = gateway.send(**ON_CALL)
    assert (first["status"], first["ring"]) == ("accepted", 1)
    assert first["next"] == {"ring": 2, "callee": "8001", "at": "2026-11-22T04:03:00Z"}
    told(gateway, first["call_id"], "-6", 0)
    waits = gateway.status("m1")
    assert (waits["status"], waits["reason"], waits["ring"]) == ("deferred", "no_answer", 1)
    assert waits["next"] == {"ring": 2, "callee": "8000", "at": waits["deferred_until"]}
    assert waits["deferred_until"] == "2026-11-22T04:01:00Z"
    assert not swept(gateway), "not before its time"
    later(clock, 66)
    (second,) = swept(gateway)
    assert (second["status"], second["ring"], second["call_id"] != first["call_id"]) == ("accepted", 2, True)
    told(gateway, second["call_id"], "-12", 0)
    later(clock, 72)
    (third,) = swept(gateway)
    assert (third["ring"], third["rings"][2]["callee"], third["next"]) == (3, "8001", None)
    told(gateway, third["call_id"], "2", 1)
    known = gateway.status("m1")
    assert (known["status"], known["call_id"], known["next"]) == ("delivered", third["call_id"], None)
    assert rings(known) == [
        ("8000", "failed", "no_answer"),
        ("8000", "failed", "declined"),
        ("8001", "delivered", None),
    ]
    assert [ring["ring"] for ring in known["rings"]] == [1, 2, 3]
    assert known["later_receipts"] == 0
    assert rung(dxtong) == ["00", "00", "01"]


def test_nobody_left_ends_with_the_last_rings_status(gateway: Gateway, clock: Any) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), escalate_to=[number(1)], **DXTONG)
    told(gateway, sent["call_id"], "-5", 0)
    later(clock, 6)
    (second,) = swept(gateway)
    told(gateway, second["call_id"], "-1", 1)
    ended = gateway.status("m1")
    assert (ended["status"], ended["reason"], ended["error"], ended["next"]) == ("failed", "powered_off", None, None)
    assert rings(ended) == [("8000", "failed", "number_invalid"), ("8001", "failed", "powered_off")]


def test_a_reason_that_is_not_among_those_named_is_not_rung_again(gateway: Gateway) -> None:
    redial = {"times": 3, "reasons": ["busy"]}
    sent = gateway.send(message_id="m1", mobile=number(0), redial=redial, **DXTONG)
    told(gateway, sent["call_id"], "-6", 0)
    assert gateway.status("m1")["status"] == "failed"


def test_each_time_may_have_its_own_wait(gateway: Gateway, clock: Any) -> None:
    redial = {"times": 2, "after_seconds": [60, 600]}
    sent = gateway.send(message_id="m1", mobile=number(0), redial=redial, **DXTONG)
    told(gateway, sent["call_id"], "-6", 0)
    later(clock, 70)
    (second,) = swept(gateway)
    told(gateway, second["call_id"], "-6", 0)
    assert gateway.status("m1")["deferred_until"] == "2026-11-22T04:11:10Z"


def test_another_vendor_first(gateway: Gateway, jumdata: JumdataSimulator, clock: Any) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), escalate_to=[number(1)], **SHIPPED)
    assert sent["vendor"] == "dxtong"
    told(gateway, sent["call_id"], "-6", 0)
    later(clock, 6)
    (second,) = swept(gateway)
    assert second["vendor"] == "jumdata"
    assert rung(jumdata) == ["01"]


@pytest.mark.parametrize(("ending", "code"), [(21, "invalid_mobile"), (15, "blocklisted")])
def test_refused_for_the_numbers_sake_rings_the_next(gateway: Gateway, clock: Any, ending: int, code: str) -> None:
    sent = gateway.send(message_id="m1", mobile=number(ending), escalate_to=[number(1)], **DXTONG)
    assert (sent["status"], sent["next"]["callee"]) == ("deferred", "8001")
    assert (sent["rings"][0]["status"], sent["rings"][0]["error"]["code"]) == ("rejected", code)
    later(clock, 6)
    (second,) = swept(gateway)
    assert (second["status"], second["ring"]) == ("accepted", 2)


def test_over_the_cap_rings_the_next(gateway: Gateway, jumdata: JumdataSimulator, clock: Any) -> None:
    for at in range(3):
        gateway.send(message_id=f"b{at}", mobile=number(0), vendor="jumdata", **SHIPPED)
    sent = gateway.send(message_id="m1", mobile=number(0), escalate_to=[number(1)], vendor="jumdata", **SHIPPED)
    assert (sent["status"], sent["ring"]) == ("deferred", 1)
    assert rings(sent) == [("8000", "rejected", None)]
    later(clock, 6)
    assert [result["ring"] for result in swept(gateway)] == [2]
    assert rung(jumdata) == ["00", "00", "00", "01"]


@pytest.mark.parametrize(("ending", "code"), [(22, "content_refused"), (19, "insufficient_credit")])
def test_refused_for_text_or_account_ends_it(gateway: Gateway, ending: int, code: str) -> None:
    sent = gateway.send(message_id="m1", mobile=number(ending), escalate_to=[number(1)], **DXTONG)
    assert (sent["status"], sent["error"]["code"], sent["next"]) == ("rejected", code, None)


@pytest.mark.parametrize("ending", [88, 90])
def test_a_ring_without_a_result_keeps_the_next_waiting_only_so_long(
    gateway: Gateway, dxtong: DxtongSimulator, clock: Any, ending: int
) -> None:
    """88: accepted, and no receipt; 90: nobody can say whether the vendor took it."""
    asked: dict[str, Any] = {"escalate_to": [number(1)], "escalate_after_seconds": 90}
    sent = gateway.send(message_id="m1", mobile=number(ending), **asked, **DXTONG)
    later(clock, 80)
    assert not swept(gateway)
    later(clock, 91)
    gateway.sweep()
    assert gateway.status("m1")["status"] == "deferred"
    later(clock, 97)
    (second,) = swept(gateway)
    assert (second["ring"], second["rings"][0]["status"]) == (2, sent["status"])
    assert rung(dxtong) == [f"{ending}", "01"]


def test_a_late_delivered_of_an_earlier_ring_ends_it(gateway: Gateway, dxtong: DxtongSimulator, clock: Any) -> None:
    """It calls off a ring that has not begun, and ends the message where one has."""
    asked: dict[str, Any] = {"escalate_to": [number(1)], "escalate_after_seconds": 30}
    for name, begun in (("m1", False), ("m2", True)):
        dxtong.forget()
        later(clock, 0)
        sent = gateway.send(message_id=name, mobile=number(88), **asked, **DXTONG)
        later(clock, 40)
        gateway.sweep()
        assert not gateway.taken("urgent"), "due from now on: handed over by the next run"
        if begun:
            later(clock, 46)
            swept(gateway)
        told(gateway, sent["call_id"], "2", 88)
        later(clock, 400)
        assert not swept(gateway)
        known = gateway.status(name)
        assert (known["status"], known["call_id"], known["next"]) == ("delivered", sent["call_id"], None)
        assert [ring["status"] for ring in known["rings"]] == ["delivered", "accepted"][: 1 + begun]
        assert rung(dxtong) == ["88", "01"][: 1 + begun]


def test_a_receipt_of_an_earlier_ring_come_twice_moves_nothing_on(gateway: Gateway, clock: Any) -> None:
    first = gateway.send(**ON_CALL)
    told(gateway, first["call_id"], "-6", 0)
    later(clock, 66)
    (second,) = swept(gateway)
    told(gateway, first["call_id"], "-6", 0)
    told(gateway, first["call_id"], "-4", 0)
    now = gateway.status("m1")
    assert (now["status"], now["ring"], now["call_id"]) == ("accepted", 2, second["call_id"])
    assert (rings(now)[0], now["later_receipts"]) == (("8000", "failed", "no_answer"), 1)


def test_no_ring_begins_after_its_time(gateway: Gateway, clock: Any) -> None:
    sent = gateway.send(**{**ON_CALL, "expires_at": "2026-11-22T12:00:50+08:00"})
    told(gateway, sent["call_id"], "-6", 0)
    passed_over = gateway.status("m1")
    assert passed_over["next"]["callee"] == "8001", "the same number again would be too late; the next one is not"
    later(clock, 51)
    swept(gateway)
    expired = gateway.status("m1")
    assert (expired["status"], expired["error"]["code"], expired["reason"]) == ("expired", "expired", "no_answer")
    assert rings(expired) == [("8000", "failed", "no_answer")]


def test_a_ring_that_nobody_can_take_is_retried_as_that_ring(gateway: Gateway, clock: Any) -> None:
    asked: dict[str, Any] = {"escalate_to": [number(10)], "redial": {"times": 1}}  # 10: refused for now
    sent = gateway.send(message_id="m1", mobile=number(0), **asked, **DXTONG)
    told(gateway, sent["call_id"], "-5", 0)
    later(clock, 6)
    (put_off,) = swept(gateway)
    assert (put_off["status"], put_off["error"]["code"], put_off["ring"]) == ("deferred", "vendor_unavailable", 1)
    assert (put_off["next"]["ring"], put_off["next"]["callee"]) == (2, "8010")
    assert (put_off["call_id"], put_off["reason"]) == (sent["call_id"], "number_invalid")


def test_every_end_of_a_ring_is_published_and_the_next_handed_over_at_once(
    gateway: Gateway, dxtong: DxtongSimulator
) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), escalate_to=[number(1)], **DXTONG)
    before = stored(gateway)
    told(gateway, sent["call_id"], "-6", 0)
    record = {"dynamodb": {"OldImage": before, "NewImage": stored(gateway), "SequenceNumber": "1"}}
    assert gateway.invoke("publish", {"Records": [record]}) == {"batchItemFailures": []}
    (envelope,) = gateway.taken("results")
    result = json.loads(envelope["Message"])
    assert (result["status"], result["ring"], result["rings"][0]["status"]) == ("deferred", 1, "failed")
    assert {name: value["Value"] for name, value in envelope["MessageAttributes"].items()} == {
        "status": "deferred",
        "vendor": "dxtong",
        "template": "order_shipped",
        "ring": "1",
        "priority": "urgent",
    }
    (next_ring,) = gateway.taken("urgent")
    assert gateway.take_up(next_ring)["ring"] == 2
    gateway.invoke("publish", {"Records": [record]})  # the same record again, a day later
    (again,) = gateway.taken("urgent")
    assert gateway.take_up(again)["ring"] == 2
    assert rung(dxtong) == ["00", "01"]


def stored(gateway: Gateway) -> dict[str, Any]:
    table = gateway.environ["CALLS_TABLE"]
    found: dict[str, Any] = gateway.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": "MSG#m1"}})
    image: dict[str, Any] = found["Item"]
    return image


def test_a_next_ring_that_cannot_be_handed_over_waits_for_the_sweep(gateway: Gateway, clock: Any) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), escalate_to=[number(1)], **DXTONG)
    before = stored(gateway)
    told(gateway, sent["call_id"], "-6", 0)
    record = {"dynamodb": {"OldImage": before, "NewImage": stored(gateway), "SequenceNumber": "1"}}
    Wire(gateway).fail_next("Publish", times=9, after=1)
    assert gateway.invoke("publish", {"Records": [record]}) == {"batchItemFailures": []}
    assert len(gateway.taken("results")) == 1


def test_a_redelivery_of_a_sequence_counts_in_nobodys_quota(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    request = {**ON_CALL, "vendor": "jumdata"}
    gateway.send(**request)
    for _ in range(5):
        assert gateway.send(**request)["replayed"]
    for at in range(2):
        gateway.send(message_id=f"b{at}", mobile=number(0), vendor="jumdata", **SHIPPED)
    assert len(submits(jumdata)) == 3


def test_a_redial_by_on_unknown_is_part_of_its_ring(gateway: Gateway, dxtong: DxtongSimulator, clock: Any) -> None:
    asked: dict[str, Any] = {"escalate_to": [number(1)], "escalate_after_seconds": 900, "on_unknown": "redial_once"}
    gateway.send(message_id="m1", mobile=number(91), **asked, **DXTONG)
    later(clock, 320)
    (again,) = swept(gateway)
    assert (again["ring"], again["redials"], len(again["rings"])) == (1, 1, 1)
    later(clock, 906)
    swept(gateway)
    later(clock, 912)
    swept(gateway)
    assert rung(dxtong) == ["91", "91", "01"]


# Retries.


def test_what_nobody_could_take_is_tried_again_until_its_time(
    gateway: Gateway, dxtong: DxtongSimulator, clock: Any, request: pytest.FixtureRequest
) -> None:
    dxtong.configure(down_seconds=3600)
    request.addfinalizer(lambda: dxtong.configure(down_seconds=5))
    sent = gateway.send(message_id="m1", mobile=number(56), **DXTONG)
    assert (sent["status"], sent["error"]["code"]) == ("deferred", "vendor_unavailable")
    assert (sent["ring"], sent["rings"], sent["next"]["ring"]) == (0, [], 1)
    waits, at = [], NOON
    for second in range(0, 4260, 60):
        later(clock, second)
        for result in swept(gateway):
            if result["status"] == "deferred":
                waits.append(moment(result["deferred_until"]) - (NOON + second))
                at = NOON + second
    result = gateway.status("m1")
    assert (result["status"], result["ring"], result["error"]) == ("accepted", 1, None)
    assert at < NOON + 3600
    for wait, step in zip(waits, (30, 60, 120, 300, 600, 600, 600), strict=False):
        assert 0.79 * step - 1 <= wait <= 1.21 * step, waits
    assert rung(dxtong) == ["56"] * (len(waits) + 2)


def moment(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


def test_the_first_retry_is_soon(gateway: Gateway) -> None:
    sent = gateway.send(message_id="m1", mobile=number(10), **DXTONG)
    assert 11 <= moment(sent["deferred_until"]) - NOON <= 18


def test_messages_are_not_all_retried_at_once(gateway: Gateway) -> None:
    sent = [gateway.send(message_id=f"m{at}", mobile=number(10), **DXTONG) for at in range(12)]
    assert len({result["deferred_until"] for result in sent}) > 3


def test_nothing_stored_is_raised(gateway: Gateway) -> None:
    wire = Wire(gateway)
    wire.failing = {"PutItem", "UpdateItem", "SendMessage"}
    with pytest.raises(TryLater, match="vendor_unavailable"):
        gateway.send(message_id="m1", mobile=number(0), **SHIPPED)


def test_what_only_the_outbox_took_is_sent_all_the_same(gateway: Gateway, dxtong: DxtongSimulator, clock: Any) -> None:
    wire = Wire(gateway)
    wire.failing = {"PutItem", "UpdateItem"}
    assert gateway.send(message_id="m1", mobile=number(0), **DXTONG)["status"] == "deferred"
    wire.failing = set()
    later(clock, 20)
    assert [result["status"] for result in swept(gateway)] == ["accepted"]
    assert rung(dxtong) == ["00"]


def test_while_secrets_cannot_be_read_each_try_is_put_off(
    gateway: Gateway, dxtong: DxtongSimulator, clock: Any
) -> None:
    wire = Wire(gateway)
    wire.failing = {"GetSecretValue"}
    waits = []
    for second in (0, 60, 120, 180, 360):
        later(clock, second)
        result = (
            gateway.send(message_id="m1", mobile=number(0), **DXTONG) if second == 0 else (swept(gateway) or [None])[0]
        )
        if result:
            waits.append(moment(result["deferred_until"]) - NOON - second)
    assert len(waits) >= 4
    assert waits == sorted(waits)
    wire.failing = set()
    later(clock, 1000)
    assert [result["status"] for result in swept(gateway)] == ["accepted"]
    assert rung(dxtong) == ["00"]


def test_what_an_earlier_version_released_is_retried(gateway: Gateway, dxtong: DxtongSimulator, clock: Any) -> None:
    """It looked again only when the message expired: Lambda's retries were to ring it."""
    gateway.send(message_id="m1", mobile=number(56), **DXTONG)
    gateway.client("dynamodb").update_item(
        TableName=gateway.environ["CALLS_TABLE"],
        Key={"pk": {"S": "MSG#m1"}},
        UpdateExpression="SET look_at = expires_at REMOVE deferred_until, retries, ring, callees, #w, work_at",
        ExpressionAttributeNames={"#w": "work"},
    )
    later(clock, 30)
    assert [result["status"] for result in swept(gateway)] == ["accepted"]


# Schedule.


def test_not_before_its_time(gateway: Gateway, dxtong: DxtongSimulator, clock: Any) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), not_before="2026-11-22T13:00:00+08:00", **DXTONG)
    assert (sent["status"], sent["deferred_until"], sent["error"]) == ("deferred", "2026-11-22T05:00:00Z", None)
    later(clock, 3590)
    assert not swept(gateway)
    later(clock, 3606)
    assert [result["status"] for result in swept(gateway)] == ["accepted"]
    assert rung(dxtong) == ["00"]
    expires = float(stored(gateway)["expires_at"]["N"])
    assert expires == NOON + 3600 + 86400, "24 hours after not_before"


def test_a_scheduled_message_that_nobody_can_carry_is_refused_at_once(gateway: Gateway) -> None:
    asked: dict[str, Any] = {"not_before": "2026-11-23T12:00:00+08:00", "mobile": number(0)}
    assert gateway.send(message_id="m1", content="长" * 181, **asked)["error"]["code"] == "content_too_long"
    unknown = gateway.send(message_id="m2", template="no_such", **asked)
    assert unknown["error"]["code"] == "unknown_template"


@pytest.mark.parametrize(
    ("hours", "opens"),
    [
        ("13:00-14:00", "2026-11-22T05:00:00Z"),
        ("08:00-09:00", "2026-11-23T00:00:00Z"),
        ("22:00-06:00", "2026-11-22T14:00:00Z"),
        ("23:00-12:00", "2026-11-22T15:00:00Z"),
        ("11:00-12:00", "2026-11-23T03:00:00Z"),
        ("11:00-12:01", None),
        ("23:30-12:30", None),
        ("00:00-24:00", None),
    ],
)
def test_the_callees_own_hours(gateway: Gateway, hours: str, opens: str | None) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), hours=hours, **DXTONG)
    assert (sent["status"], sent["deferred_until"]) == (("deferred", opens) if opens else ("accepted", None))


@pytest.mark.parametrize(
    ("asked", "told_"),
    [
        ({"hours": "08:00-10:00"}, ("deferred", "2026-11-23T01:00:00Z")),
        ({"hours": "08:00-09:00", "expires_at": "2026-11-29T00:00:00+08:00"}, ("rejected", "outside_hours")),
        ({"hours": "13:00-14:00", "expires_at": "2026-11-22T13:00:00+08:00"}, ("rejected", "outside_hours")),
        ({"not_before": "2026-11-22T22:00:00+08:00"}, ("deferred", "2026-11-23T01:00:00Z")),
        (
            {"not_before": "2026-11-22T22:00:00+08:00", "expires_at": "2026-11-23T01:00:00+08:00"},
            ("rejected", "outside_hours"),
        ),
    ],
)
def test_together_with_the_vendors_hours(
    dxtong: DxtongSimulator, jumdata: JumdataSimulator, asked: dict[str, Any], told_: tuple[str, str]
) -> None:
    endpoints = {"dxtong": dxtong.address, "jumdata": jumdata.address}
    with mock_aws(), deployed(endpoints, JUMDATA_HOURS="09:00-21:00") as gateway:
        sent = gateway.send(message_id="m1", mobile=number(0), vendor="jumdata", **asked, **SHIPPED)
    told = sent["error"]["code"] if sent["error"] else sent["deferred_until"]
    assert (sent["status"], told) == told_


# Cancel.


def cancel(gateway: Gateway, message_id: str = "m1") -> Any:
    return gateway.invoke("cancel", {"message_id": message_id})


def test_what_waits_is_called_off(gateway: Gateway, dxtong: DxtongSimulator, clock: Any) -> None:
    gateway.send(message_id="m1", mobile=number(0), not_before="2026-11-22T13:00:00+08:00", **DXTONG)
    gone = cancel(gateway)
    assert (gone["status"], gone["replayed"], gone["rings"], gone["next"]) == ("cancelled", False, [], None)
    assert cancel(gateway) == {**gone, "replayed": True}
    later(clock, 4000)
    assert not swept(gateway)
    assert gateway.send(message_id="m1", mobile=number(0), not_before="2026-11-22T13:00:00+08:00", **DXTONG) == {
        **gone,
        "replayed": True,
    }
    assert not submits(dxtong)
    assert "request" not in stored(gateway), "it keeps no number and no text"


def test_between_two_rings(gateway: Gateway, dxtong: DxtongSimulator, clock: Any) -> None:
    sent = gateway.send(**ON_CALL)
    told(gateway, sent["call_id"], "-6", 0)
    gone = cancel(gateway)
    assert (gone["status"], gone["reason"], rings(gone)) == (
        "cancelled",
        "no_answer",
        [("8000", "failed", "no_answer")],
    )
    later(clock, 66)
    assert not swept(gateway)
    assert rung(dxtong) == ["00"]


@pytest.mark.parametrize("code", ["2", "-6"])
def test_while_a_ring_is_under_way_it_ends_as_it_ends(gateway: Gateway, clock: Any, code: str) -> None:
    sent = gateway.send(**ON_CALL)
    rests = cancel(gateway)
    assert (rests["status"], rests["next"], rests["replayed"]) == ("accepted", None, False)
    assert cancel(gateway)["replayed"]
    later(clock, 300)
    assert not swept(gateway), "nobody else is rung"
    told(gateway, sent["call_id"], code, 0)
    assert gateway.status("m1")["status"] == ("delivered" if code == "2" else "failed")


def test_a_claim_and_a_cancel_never_both(gateway: Gateway, dxtong: DxtongSimulator, clock: Any) -> None:
    """Called off between the look and the claim: nobody is rung. After the claim: it rings, and is not cancelled."""
    sent = gateway.send(**ON_CALL)
    told(gateway, sent["call_id"], "-6", 0)
    later(clock, 66)
    gateway.sweep()
    (envelope,) = gateway.taken("urgent")
    answers: list[Any] = []
    between("UpdateItem", 1, lambda: answers.append(cancel(gateway)))  # the claim of the second ring
    lost = gateway.take_up(envelope)
    assert (answers[0]["status"], lost["status"]) == ("cancelled", "cancelled")
    assert rung(dxtong) == ["00"]


def test_called_off_while_it_was_being_handed_over_in_vain(gateway: Gateway, clock: Any) -> None:
    """The vendor refuses for now: what was called off meanwhile is not tried again."""
    answers: list[Any] = []
    between("UpdateItem", 1, lambda: answers.append(cancel(gateway)))  # the outcome
    sent = gateway.send(message_id="m1", mobile=number(10), **DXTONG)
    assert (answers[0]["status"], sent["status"]) == ("submitting", "cancelled")
    later(clock, 100)
    assert not swept(gateway)


def test_no_redial_of_what_was_called_off(gateway: Gateway, dxtong: DxtongSimulator, clock: Any) -> None:
    gateway.send(message_id="m1", mobile=number(91), on_unknown="redial_once", **DXTONG)
    assert cancel(gateway)["status"] == "unknown"
    later(clock, 400)
    assert not swept(gateway)
    assert rung(dxtong) == ["91"]


@pytest.mark.parametrize("event", [{"message_id": "no such"}, {}, None, {"message_id": 1}])
def test_a_cancel_without_an_id(gateway: Gateway, event: Any) -> None:
    answer = gateway.invoke("cancel", event)
    assert (answer["status"], answer["error"]["code"]) == (None, "invalid_request")


def test_a_cancel_of_what_is_not_there(gateway: Gateway) -> None:
    assert cancel(gateway, "nothing")["error"]["code"] == "not_found"


def test_what_is_final_stays(gateway: Gateway) -> None:
    gateway.send(message_id="m1", mobile=number(0), content="")
    assert (cancel(gateway)["status"], cancel(gateway)["replayed"]) == ("rejected", True)


def test_the_event_in_events_is_one_of_cancel(gateway: Gateway) -> None:
    event = json.loads((ROOT / "events" / "cancel.json").read_text())
    gateway.send(message_id=event["message_id"], mobile=number(0), hours="13:00-14:00", **DXTONG)
    assert gateway.invoke("cancel", event)["status"] == "cancelled"


def test_a_dry_run_says_what_would_be(gateway: Gateway) -> None:
    would = gateway.send(**ON_CALL, dry_run=True)
    assert (would["status"], would["ring"], would["dry_run"], would["call_id"]) == ("accepted", 1, True, None)
    later_on = gateway.send(**{**ON_CALL, "dry_run": True, "not_before": "2026-11-22T13:00:00+08:00"})
    assert (later_on["status"], later_on["deferred_until"]) == ("deferred", "2026-11-22T05:00:00Z")
    assert time.time() == NOON
    assert gateway.status("m1")["error"]["code"] == "not_found"


def test_a_short_wait_for_an_answer_keeps_no_number_waiting(
    dxtong: DxtongSimulator, jumdata: JumdataSimulator, clock: Any
) -> None:
    """The vendor cannot be asked, and the message is counted as unanswered before the next number's turn."""
    endpoints = {"dxtong": dxtong.address, "jumdata": jumdata.address}
    with mock_aws(), deployed(endpoints, UNANSWERED_AFTER_SECONDS="2") as gateway:
        gateway.send(message_id="m1", mobile=number(88), escalate_to=[number(1)], escalate_after_seconds=90, **DXTONG)
        for second in (5, 60, 95, 101):
            later(clock, second)
            swept(gateway)
        assert gateway.status("m1")["ring"] == 2


def test_a_ring_that_is_left_when_time_has_run_out_is_the_last(gateway: Gateway, clock: Any) -> None:
    """The sweep stood still until after ``expires_at``."""
    asked: dict[str, Any] = {"escalate_to": [number(1)], "expires_at": "2026-11-22T12:10:00+08:00"}
    assert gateway.send(message_id="m1", mobile=number(90), **asked, **DXTONG)["next"]
    later(clock, 700)
    assert not swept(gateway)
    result = gateway.status("m1")
    assert (result["status"], result["ring"], result["next"]) == ("unknown", 1, None)
    assert "Escalated" not in gateway.sweep()
