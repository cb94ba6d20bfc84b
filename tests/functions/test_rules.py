"""Each rule of the protocol on its own: taken out, exactly what it is there for goes wrong (docs/protocol.md, Rules).

Most of these need somebody to be quicker at one point: `between` lets something happen just before a request to AWS.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import time_machine
from botocore.exceptions import ClientError
from moto import mock_aws
from urllib3.connection import HTTPConnection
from voice_gateway.model.errors import ReplyLost, SettingsError, TryLater
from voice_gateway.model.message import Message, State
from voice_gateway.platform import aws
from voice_gateway.platform.settings import Settings
from voice_gateway.sending.calling import Caller
from voice_gateway.sending.routing import Carrier
from voice_gateway.storage.call_ids import CallIds
from voice_gateway.storage.calls_table import calls_table
from voice_gateway.storage.messages import MessageChanged, Messages
from voice_gateway.vendors.common.exchange import _Gate, over
from voice_gateway.vendors.common.http import HttpRequest

from local.simulators.dxtong import DxtongSimulator
from local.simulators.jumdata import JumdataSimulator
from tests.functions.test_callbacks import dxtong_receipt, own_token, push_dxtong, push_jumdata, succeeded
from tests.functions.test_send import NIGHT, SHIPPED, Wire, number, submits
from tests.gateway import HOOK, SERVICES, STACK, Context, Gateway, deployed

DAY = 86400
REDIAL = {"on_unknown": "redial_once", **SHIPPED}


@pytest.fixture
def start() -> float:
    """When the test began, from which it turns the clock."""
    return time.time()


def between(operation: str, nth: int, action: Callable[[], Any]) -> None:
    """Does something once, just before the nth request of an operation that follows."""
    left = [nth]

    def before(model: Any, **_: Any) -> None:
        if model.name == operation and left[0] > 0:
            left[0] -= 1
            if left[0] == 0:
                action()

    aws.client("dynamodb").meta.events.register("before-call", before, unique_id=f"{HOOK}-between")


def lose_reply(operation: str) -> None:
    """The next request of an operation is applied, and its reply is lost."""
    left = [1]

    def after(model: Any, **_: Any) -> None:
        if model.name == operation and left[0]:
            left[0] = 0
            raise ClientError({"Error": {"Code": "InternalServerError", "Message": "lost"}}, model.name)

    aws.client("dynamodb").meta.events.register("after-call", after, unique_id=f"{HOOK}-lost")


@contextmanager
def repeated_put(condition: str = "") -> Iterator[None]:
    """boto3 repeats the next such put, because its reply was lost: the second try finds what the first wrote."""
    client, again = aws.client("dynamodb"), [True]

    def first_try(params: dict[str, Any], **_: Any) -> None:
        if condition in params.get("ConditionExpression", "") and again and again.pop():
            client.put_item(**params)

    event = "before-parameter-build.dynamodb.PutItem"
    client.meta.events.register(event, first_try, unique_id=f"{HOOK}-first")
    try:
        yield
    finally:
        client.meta.events.unregister(event, unique_id=f"{HOOK}-first")
    assert not again


class Timed(Context):
    """An invocation with these seconds left, one look after the other; the last stays."""

    def __init__(self, *seconds: float) -> None:
        super().__init__()
        self._seconds = list(seconds)

    def get_remaining_time_in_millis(self) -> int:
        return int((self._seconds.pop(0) if len(self._seconds) > 1 else self._seconds[0]) * 1000)


def send_in(gateway: Gateway, context: Context, **request: Any) -> Any:
    return gateway.modules["send"].handler(request, context)


def counted_and_released(gateway: Gateway, **request: Any) -> None:
    """Claimed and counted, and then there was no time left to ring."""
    told = send_in(gateway, Timed(30, 5), **request)
    assert (told["status"], "too little time" in told["error"]["message"]) == ("deferred", True)


def cut_off(gateway: Gateway, **request: Any) -> Any:
    """The vendor took the call, and nothing could be written of it; the result that its sender gave."""
    wire = Wire(gateway)
    count = 1 if request.get("vendor") == "jumdata" else 0
    wire.fail_next("UpdateItem", times=20, after=count)
    wire.failing = {"SendMessage"}
    try:
        return gateway.send(**request)
    finally:
        for service in SERVICES:
            aws.client(service).meta.events.unregister("before-call", unique_id=HOOK)


def store(gateway: Gateway) -> Messages:
    return calls_table(gateway.environ["CALLS_TABLE"]).messages


def call_ids(gateway: Gateway) -> CallIds:
    return calls_table(gateway.environ["CALLS_TABLE"]).call_ids


def stored(gateway: Gateway, message_id: str) -> Message:
    message = store(gateway).get(message_id)
    assert message
    return message


# Claim and outcome: whose is it?


def test_an_attempt_that_another_took_over_from_writes_nothing(
    gateway: Gateway, jumdata: JumdataSimulator, start: float
) -> None:
    """The sweep gave the first attempt up, a redial is ringing, and only then does the first write its outcome."""
    request = {"message_id": "m1", "mobile": number(0), "vendor": "jumdata", **REDIAL}

    def given_up_and_redialled() -> None:
        with time_machine.travel(start + 60):
            gateway.sweep()
        with time_machine.travel(start + 400):
            gateway.sweep()
            (envelope,) = gateway.taken("urgent")
            # its count, the takeover, and then nothing: it is still ringing
            wire = Wire(gateway)
            wire.fail_next("UpdateItem", times=20, after=2)
            wire.failing = {"SendMessage"}
            gateway.take_up(envelope)
            wire.failing = set()
            wire.fail_next("UpdateItem", times=0)

    between("UpdateItem", 2, given_up_and_redialled)  # 1 is the count, 2 the outcome
    gateway.send(**request)
    assert gateway.status("m1")["status"] == "submitting"
    assert gateway.status("m1")["redials"] == 1


def test_of_two_that_take_over_one_rings(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    request = {"message_id": "m1", "mobile": number(0), "vendor": "dxtong", **SHIPPED}
    counted_and_released(gateway, **request)
    between("UpdateItem", 1, lambda: gateway.send(**request))
    assert gateway.send(**request)["replayed"]
    assert len(submits(dxtong)) == 1


def test_a_redial_handed_over_twice_rings_once(gateway: Gateway, jumdata: JumdataSimulator, start: float) -> None:
    """Both see the same unknown message; the state alone does not tell that the other has redialled it since."""
    gateway.send(message_id="m1", mobile=number(90), vendor="jumdata", **REDIAL)
    with time_machine.travel(start + 310):
        gateway.sweep()
        (envelope,) = gateway.taken("urgent")
        between("UpdateItem", 2, lambda: gateway.take_up(envelope))  # after its count: the takeover
        gateway.take_up(envelope)
    assert len(submits(jumdata)) == 2


def test_an_outcome_does_not_replace_a_receipt(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    between("UpdateItem", 2, lambda: push_jumdata(gateway, own_token(jumdata)))
    assert gateway.send(message_id="m1", mobile=number(0), vendor="jumdata", **SHIPPED)["status"] == "delivered"
    assert gateway.status("m1")["status"] == "delivered"


def _given_up(gateway: Gateway, start: float) -> Callable[[], None]:
    def sweep() -> None:
        with time_machine.travel(start + 60):
            gateway.sweep()

    return sweep


def test_the_late_truth_of_the_same_attempt_replaces_unknown(
    gateway: Gateway, jumdata: JumdataSimulator, start: float
) -> None:
    between("UpdateItem", 2, _given_up(gateway, start))
    assert gateway.send(message_id="m1", mobile=number(0), vendor="jumdata", **SHIPPED)["status"] == "accepted"


def test_what_was_given_up_is_not_released(gateway: Gateway, start: float) -> None:
    """A released message is rung again by whoever comes; an unknown one by nobody, unless its caller asked for it."""
    between("UpdateItem", 1, _given_up(gateway, start))
    result = gateway.send(message_id="m1", mobile=number(10), vendor="dxtong", **SHIPPED)
    assert result["status"] == "unknown"


def test_a_claim_whose_reply_was_lost_is_known_again(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    with repeated_put():
        result = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    assert (result["status"], result["replayed"]) == ("accepted", False)
    assert len(submits(dxtong)) == 1


def test_undoing_a_claim_undoes_nobody_elses(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    request = {"message_id": "m1", "mobile": number(0), "vendor": "dxtong", **SHIPPED}
    gateway.send(message_id="warm", mobile=number(1), vendor="dxtong", **SHIPPED)
    Wire(gateway).fail_next("PutItem", times=1)
    between("PutItem", 1, lambda: gateway.send(**request))  # the one after that which fails: the undoing
    told = gateway.send(**request)
    assert (told["status"], told["replayed"]) == ("accepted", True)
    assert gateway.status("m1")["status"] == "accepted"
    assert len(submits(dxtong)) == 2


def test_a_claim_that_could_not_be_undone_is_released_by_the_sweep(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    """The claim was applied, its reply was lost, and then the table was down."""
    request = {"message_id": "m1", "mobile": number(0), "vendor": "dxtong", **SHIPPED}
    wire = Wire(gateway)
    wire.fail_next("UpdateItem", times=1)
    lose_reply("PutItem")
    assert gateway.send(**request)["status"] == "deferred"
    assert gateway.status("m1")["status"] == "submitting"
    gateway.sweep()
    assert gateway.status("m1")["status"] == "deferred"
    assert gateway.send(**request)["status"] == "accepted"
    assert len(submits(dxtong)) == 1


def test_a_call_that_was_taken_and_could_not_be_written_goes_through_the_outbox(
    gateway: Gateway, jumdata: JumdataSimulator
) -> None:
    """jumdata's calls have no link to write, whose own letter would tell as well."""
    Wire(gateway).fail_next("UpdateItem", times=1, after=1)
    gateway.send(message_id="m1", mobile=number(0), vendor="jumdata", **SHIPPED)
    assert gateway.status("m1")["status"] == "submitting"
    gateway.sweep()
    assert gateway.status("m1")["status"] == "accepted"


def test_a_link_that_could_not_be_written_is_written_by_the_sweep(gateway: Gateway) -> None:
    """So that a receipt of whenever finds its message at once, with nobody to search for it."""
    Wire(gateway).fail_next("UpdateItem", times=1)
    sent = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    assert gateway.status("m1")["status"] == "accepted"
    gateway.sweep()
    assert (gateway.item(f"CALL#dxtong#{sent['call_id']}") or {})["message"] == "m1"


# Failover.


def test_the_next_vendor_is_written_down_before_it_is_called(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, start: float
) -> None:
    """Whoever dies in the second vendor's call leaves behind which one it was."""
    place = Caller.place

    class Died(BaseException):
        pass

    def dies(self: Caller, message: Any, carrier: Carrier, invocation: Any) -> Any:
        if carrier.vendor.name == "jumdata":
            raise Died
        return place(self, message, carrier, invocation)

    monkeypatch.setattr(Caller, "place", dies)
    with pytest.raises(Died):
        gateway.send(message_id="m1", mobile=number(10), **SHIPPED)
    with time_machine.travel(start + 70):
        gateway.sweep()
    result = gateway.status("m1")
    assert (result["status"], result["vendor"]) == ("unknown", "jumdata")


def test_a_message_that_was_given_up_goes_to_no_other_vendor(
    gateway: Gateway, jumdata: JumdataSimulator, start: float
) -> None:
    between("UpdateItem", 2, _given_up(gateway, start))  # 1 is jumdata's count, 2 the failover
    assert gateway.send(message_id="m1", mobile=number(10), **SHIPPED)["status"] == "unknown"
    assert not submits(jumdata)


def test_no_failover_without_time_for_it(gateway: Gateway, dxtong: DxtongSimulator, jumdata: JumdataSimulator) -> None:
    assert send_in(gateway, Timed(30, 30, 5), message_id="m1", mobile=number(10), **SHIPPED)["status"] == "deferred"
    assert (len(submits(dxtong)), len(submits(jumdata))) == (1, 0)
    assert gateway.status("m1")["status"] == "deferred"


def test_no_failover_over_the_cap(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    for at in range(3):
        gateway.send(message_id=f"m{at}", mobile=number(10), vendor="jumdata", **SHIPPED)
    assert gateway.send(message_id="m3", mobile=number(10), **SHIPPED)["status"] == "deferred"
    assert len(submits(jumdata)) == 3


def test_credentials_that_changed_are_not_tried_without_time_for_it(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    gateway.send(message_id="warm", mobile=number(1), vendor="dxtong", **SHIPPED)
    gateway.client("secretsmanager").put_secret_value(
        SecretId=f"{STACK}/dxtong", SecretString=json.dumps({"account": "sandbox-account", "apiKey": "another"})
    )
    result = send_in(gateway, Timed(30, 30, 5), message_id="m1", mobile=number(17), vendor="dxtong", **SHIPPED)
    assert result["error"]["code"] == "credentials_refused"
    assert len(submits(dxtong)) == 2


def test_too_little_time_takes_nothing_over(gateway: Gateway) -> None:
    request = {"message_id": "m1", "mobile": number(0), "vendor": "dxtong", **SHIPPED}
    counted_and_released(gateway, **request)
    before = stored(gateway, "m1").attempt
    assert send_in(gateway, Timed(30, 5), **request)["status"] == "deferred"
    assert stored(gateway, "m1").attempt == before


def test_a_released_message_rings_nobody_past_its_stored_time(
    gateway: Gateway, dxtong: DxtongSimulator, start: float
) -> None:
    """It brought no expires_at: the 24 hours are those since it was first stored, not since it came again."""
    request = {"message_id": "m1", "mobile": number(0), "vendor": "dxtong", **SHIPPED}
    counted_and_released(gateway, **request)
    with time_machine.travel(start + DAY + 5):
        assert gateway.send(**request)["status"] == "expired"
    assert not submits(dxtong)


def test_a_due_message_that_comes_again_before_its_time_is_a_replay(
    dxtong: DxtongSimulator, jumdata: JumdataSimulator
) -> None:
    request = {"message_id": "m1", "mobile": number(0), "vendor": "jumdata", **SHIPPED}
    endpoints = {"dxtong": dxtong.address, "jumdata": jumdata.address}
    with mock_aws(), deployed(endpoints, JUMDATA_HOURS="09:00-21:00") as gateway, time_machine.travel(NIGHT):
        first = gateway.send(**request)
        assert gateway.send(**request) == {**first, "replayed": True}


@pytest.mark.parametrize("ending", [10, 27])
def test_a_passing_refusal_and_a_numbers_cap_rest_no_vendor(gateway: Gateway, ending: int) -> None:
    assert gateway.send(message_id="m1", mobile=number(ending), **SHIPPED)["vendor"] == "jumdata"
    assert gateway.send(message_id="m2", mobile=number(0), **SHIPPED)["vendor"] == "dxtong"


# Quotas: an attempt counts when it rings.


def fills_up(gateway: Gateway, ending: int, at: float, ids: tuple[str, ...]) -> None:
    with time_machine.travel(at):
        for message_id in ids:
            sent = gateway.send(message_id=message_id, mobile=number(ending), vendor="jumdata", **SHIPPED)
            assert sent["status"] == "accepted"


def refused(gateway: Gateway, ending: int, at: float) -> None:
    with time_machine.travel(at):
        over = gateway.send(message_id="over", mobile=number(ending), vendor="jumdata", **SHIPPED)
    assert over["error"]["code"] == "daily_limit"


@pytest.mark.parametrize("kept", [False, True])
def test_a_message_that_rings_later_counts_from_then(
    gateway: Gateway, jumdata: JumdataSimulator, start: float, kept: bool
) -> None:
    """Whether its first attempt left a message behind or none at all."""
    request = {"message_id": "m1", "mobile": number(0), "vendor": "jumdata", **SHIPPED}
    if kept:
        counted_and_released(gateway, **request)
    else:
        wire = Wire(gateway)
        wire.failing = {"PutItem", "SendMessage"}
        with pytest.raises(TryLater):
            gateway.send(**request)
        wire.failing = set()
    fills_up(gateway, 0, start + 3600, ("m1", "m2", "m3"))
    refused(gateway, 0, start + DAY + 1)


def test_a_message_whose_claim_is_repeated_counts_from_then(
    gateway: Gateway, jumdata: JumdataSimulator, start: float
) -> None:
    wire = Wire(gateway)
    wire.failing = {"PutItem", "SendMessage"}
    with pytest.raises(TryLater):
        gateway.send(message_id="m1", mobile=number(0), vendor="jumdata", **SHIPPED)
    wire.failing = set()
    with repeated_put():
        fills_up(gateway, 0, start + 3600, ("m1", "m2", "m3"))
    refused(gateway, 0, start + DAY + 1)


def test_a_failover_that_rings_later_counts_from_then(
    gateway: Gateway, jumdata: JumdataSimulator, start: float
) -> None:
    request = {"message_id": "m1", "mobile": number(10), **SHIPPED}
    Wire(gateway).fail_next("UpdateItem", times=1, after=1)  # counted; the failover cannot be written
    assert gateway.send(**request)["status"] == "deferred"
    with time_machine.travel(start + 3600):
        assert gateway.send(**request)["vendor"] == "jumdata"
    fills_up(gateway, 10, start + 3600, ("m2", "m3"))
    refused(gateway, 10, start + DAY + 1)


def test_a_message_whose_place_was_taken_meanwhile_does_not_ring(
    gateway: Gateway, jumdata: JumdataSimulator, start: float
) -> None:
    expires_at = "2099-01-01T00:00:00Z"
    request = {"message_id": "m1", "mobile": number(0), "vendor": "jumdata", "expires_at": expires_at, **SHIPPED}
    counted_and_released(gateway, **request)
    fills_up(gateway, 0, start + 3600, ("m2", "m3"))
    with time_machine.travel(start + DAY + 1):
        between("GetItem", 1, lambda: fills_up(gateway, 0, start + DAY + 1, ("m4",)))
        assert gateway.send(**request)["status"] == "deferred"
    assert len(submits(jumdata)) == 3


def test_counting_anew_forgets_nobody(gateway: Gateway, jumdata: JumdataSimulator, start: float) -> None:
    request = {"message_id": "m1", "mobile": number(0), "vendor": "jumdata", **SHIPPED}
    counted_and_released(gateway, **request)
    with time_machine.travel(start + 3600):
        between("UpdateItem", 2, lambda: fills_up(gateway, 0, start + 3600, ("m2",)))  # read; not yet written
        gateway.send(**request)
    fills_up(gateway, 0, start + 3600, ("m3",))
    refused(gateway, 0, start + 3700)
    assert len(submits(jumdata)) == 3


def test_a_redial_counts_on_its_own(gateway: Gateway, jumdata: JumdataSimulator, start: float) -> None:
    gateway.send(message_id="m1", mobile=number(90), vendor="jumdata", **REDIAL)
    redialled(gateway, start + 310)
    with time_machine.travel(start + 400):
        gateway.send(message_id="m2", mobile=number(90), vendor="jumdata", **SHIPPED)
    refused(gateway, 90, start + 400)
    assert len(submits(jumdata)) == 3


# Where message and receipt meet.


def test_a_call_that_was_linked_while_its_receipt_was_being_written(gateway: Gateway) -> None:
    """The sender is linking just then, and dies: the callback alone knows both, and nothing waits for a sweep."""
    sent = cut_off(gateway, message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    between("UpdateItem", 2, lambda: call_ids(gateway).link("dxtong", sent["call_id"], stored(gateway, "m1")))
    assert succeeded(push_dxtong(gateway, dxtong_receipt(sent["call_id"])))
    assert gateway.status("m1")["status"] == "delivered"
    assert "waiting" not in (gateway.item(f"CALL#dxtong#{sent['call_id']}") or {})


def test_a_call_id_stays_with_the_message_that_had_it_first(gateway: Gateway) -> None:
    first = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    following = str(int(first["call_id"]) + 1)
    call_ids(gateway).link("dxtong", following, stored(gateway, "m1"))
    assert gateway.send(message_id="m2", mobile=number(0), vendor="dxtong", **SHIPPED)["call_id"] == following
    push_dxtong(gateway, dxtong_receipt(following))
    assert gateway.status("m1")["status"] == "delivered"
    assert gateway.status("m2")["status"] == "accepted"


def test_a_waiting_receipt_of_another_number_is_not_the_calls(gateway: Gateway) -> None:
    first = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    following = str(int(first["call_id"]) + 1)
    push_dxtong(gateway, dxtong_receipt(following, "2", number(5)))
    assert gateway.send(message_id="m2", mobile=number(1), vendor="dxtong", **SHIPPED)["status"] == "accepted"
    assert gateway.status("m2")["status"] == "accepted"


def test_a_receipt_whose_sender_died_after_linking_is_applied_by_the_sweep(gateway: Gateway) -> None:
    first = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    push_dxtong(gateway, dxtong_receipt(str(int(first["call_id"]) + 1), "-6", number(1)))
    wire = Wire(gateway)
    wire.fail_next("UpdateItem", times=9, after=1)  # linked, and then nothing
    wire.failing = {"SendMessage"}
    gateway.send(message_id="m2", mobile=number(1), vendor="dxtong", **SHIPPED)
    wire.fail_next("UpdateItem", times=0)
    wire.failing = set()
    assert gateway.status("m2")["status"] == "submitting"
    gateway.sweep()
    assert gateway.status("m2")["reason"] == "no_answer"


# The sweep gives up what is as it saw it.


@pytest.mark.parametrize("changed", ["lease", "attempt"])
def test_a_lease_that_was_prolonged_meanwhile_is_not_given_up(gateway: Gateway, start: float, changed: str) -> None:
    cut_off(gateway, message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    seen = stored(gateway, "m1")
    if changed == "lease":
        store(gateway).fail_over(seen, "jumdata", start + 200, start)
    else:
        store(gateway).take_over(seen, seen.but(attempt="another"))
    with pytest.raises(MessageChanged):
        store(gateway).give_up(seen, start)
    assert stored(gateway, "m1").state is State.CALLING


# Redials.


def redialled(gateway: Gateway, at: float) -> Any:
    with time_machine.travel(at):
        gateway.sweep()
        (envelope,) = gateway.taken("urgent")
        return gateway.take_up(envelope)


def test_never_a_third_ring_whatever_is_marked(gateway: Gateway, jumdata: JumdataSimulator, start: float) -> None:
    request = {"message_id": "m1", "mobile": number(90), "vendor": "jumdata", **REDIAL}
    gateway.send(**request)
    assert redialled(gateway, start + 310)["redials"] == 1
    with time_machine.travel(start + 700):
        store(gateway).touch(stored(gateway, "m1"), {"asked": int(start + 700)})
        assert gateway.send(**request)["replayed"]
    assert len(submits(jumdata)) == 2


def test_no_redial_past_its_time(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    with time_machine.travel("2026-11-22T12:00:00+08:00"):
        gateway.send(
            message_id="m1", mobile=number(90), vendor="jumdata", expires_at="2026-11-22T12:05:00+08:00", **REDIAL
        )
    with time_machine.travel("2026-11-22T12:06:00+08:00"):
        gateway.sweep()
        assert not gateway.taken("urgent")
    assert len(submits(jumdata)) == 1


def test_a_redial_that_arrives_past_its_time_rings_nobody(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    with time_machine.travel("2026-11-22T12:00:00+08:00"):
        gateway.send(
            message_id="m1", mobile=number(90), vendor="jumdata", expires_at="2026-11-22T12:06:00+08:00", **REDIAL
        )
    with time_machine.travel("2026-11-22T12:05:30+08:00"):
        gateway.sweep()
        (envelope,) = gateway.taken("urgent")
    with time_machine.travel("2026-11-22T12:06:30+08:00"):
        assert gateway.take_up(envelope)["status"] == "unknown"
    assert len(submits(jumdata)) == 1


def test_a_redial_is_handed_over_again_only_after_a_while(gateway: Gateway, start: float) -> None:
    gateway.send(message_id="m1", mobile=number(90), vendor="jumdata", **REDIAL)
    taken = []
    for seconds in (310, 370, 480, 620):
        with time_machine.travel(start + seconds):
            gateway.sweep()
            taken.append(len(gateway.taken("urgent")))
    assert taken == [1, 0, 0, 1]


def test_a_redial_that_was_refused_for_now_is_made_again(
    gateway: Gateway, jumdata: JumdataSimulator, start: float
) -> None:
    """Neither deferred, for the first call may have rung, nor over: the second rang nobody."""
    with pytest.raises(TryLater):  # that it rang nobody could be kept nowhere
        cut_off(gateway, message_id="m1", mobile=number(64), vendor="jumdata", **REDIAL)  # 64: under maintenance
    with time_machine.travel(start + 60):
        gateway.sweep()
    undone = redialled(gateway, start + 400)
    assert (undone["status"], undone["redials"], undone["vendor"]) == ("unknown", 0, "jumdata")
    assert undone["error"]["code"] == "outcome_unknown"
    assert len(submits(jumdata)) == 2
    with time_machine.travel(start + 720):
        gateway.sweep()
        assert gateway.taken("urgent")


def test_a_redial_whose_takeover_cannot_be_read_back_is_undone(gateway: Gateway, start: float) -> None:
    """The takeover was applied and its reply was lost: nobody rang, so that it may be tried again."""
    gateway.send(message_id="m1", mobile=number(90), **REDIAL)
    with time_machine.travel(start + 310):
        gateway.sweep()
        (envelope,) = gateway.taken("urgent")
        Wire(gateway)
        # dxtong's line has no cap, but jumdata's has: 1 is the count, 2 the takeover
        between("UpdateItem", 2, lambda: lose_reply("UpdateItem"))
        told = gateway.take_up(envelope)
        assert told["status"] == "unknown"
    message = stored(gateway, "m1")
    assert (message.state, message.redials, message.vendor) == (State.UNKNOWN, 0, "dxtong")
    assert message.earlier_vendor is None


def test_a_redial_that_nobody_can_carry_leaves_what_is_known(gateway: Gateway, start: float) -> None:
    gateway.send(message_id="m1", mobile=number(90), vendor="dxtong", **REDIAL)
    with time_machine.travel(start + 310):
        gateway.client("secretsmanager").put_secret_value(SecretId=f"{STACK}/dxtong", SecretString="{}")
        gateway.send(message_id="anew", mobile=number(17), vendor="dxtong", **SHIPPED)  # has the secret read anew
        gateway.sweep()
        (envelope,) = gateway.taken("urgent")
        assert gateway.take_up(envelope)["status"] == "unknown"


def test_a_redial_keeps_the_time_of_the_first_call(gateway: Gateway, start: float) -> None:
    """By which a receipt of the first call is told, and dxtong says nothing else of it."""
    gateway.send(message_id="m1", mobile=number(90), vendor="dxtong", **REDIAL)
    first = stored(gateway, "m1").called_at
    redialled(gateway, start + 310)
    assert stored(gateway, "m1").called_at == first


# Linking by number.


@pytest.mark.parametrize(("seconds", "status"), [(3500, "failed"), (3700, "unknown")])
def test_a_receipt_belongs_to_a_call_of_the_hour_before_it(
    gateway: Gateway, start: float, seconds: float, status: str
) -> None:
    gateway.send(message_id="m1", mobile=number(90), vendor="dxtong", **SHIPPED)
    with time_machine.travel(start + seconds):
        push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
    with time_machine.travel(start + seconds + 130):
        gateway.sweep()
    assert gateway.status("m1")["status"] == status


def test_after_a_redial_the_hour_counts_from_the_second_call(gateway: Gateway, start: float) -> None:
    gateway.send(message_id="m1", mobile=number(90), vendor="dxtong", **REDIAL)
    redialled(gateway, start + 1000)
    with time_machine.travel(start + 4000):
        push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
    with time_machine.travel(start + 4130):
        gateway.sweep()
    assert gateway.status("m1")["status"] == "failed"


def test_two_calls_two_receipts(gateway: Gateway, start: float) -> None:
    """After a redial both receipts are the message's: the first stands, the other is kept beside it."""
    gateway.send(message_id="m1", mobile=number(90), vendor="dxtong", **REDIAL)
    redialled(gateway, start + 310)
    with time_machine.travel(start + 320):
        push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
        push_dxtong(gateway, dxtong_receipt("77777778", "2", number(90)))
    with time_machine.travel(start + 500):
        gateway.sweep()
    result = gateway.status("m1")
    assert (result["status"], result["later_receipts"]) == ("failed", 1)


def test_a_message_whose_call_id_is_known_takes_no_other_by_number(gateway: Gateway, start: float) -> None:
    """It is unknown, for the outcome of its redial says so, and a receipt of another system's comes."""
    gateway.send(message_id="m1", mobile=number(90), vendor="dxtong", **SHIPPED)
    store(gateway).touch(stored(gateway, "m1"), {"call_id": "66666666"})
    push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
    with time_machine.travel(start + 130):
        gateway.sweep()
    assert gateway.status("m1")["status"] == "unknown"


def test_a_receipt_of_another_vendor_is_not_linked_by_number(gateway: Gateway, start: float) -> None:
    gateway.send(message_id="m1", mobile=number(90), vendor="jumdata", **SHIPPED)
    push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
    with time_machine.travel(start + 130):
        gateway.sweep()
    assert gateway.status("m1")["status"] == "unknown"


def test_a_receipt_is_linked_however_long_the_sweep_stood_still(gateway: Gateway, start: float) -> None:
    gateway.send(message_id="m1", mobile=number(90), vendor="dxtong", **SHIPPED)
    push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
    with time_machine.travel(start + 7 * 3600):
        gateway.sweep()
    assert gateway.status("m1")["status"] == "failed"


def test_a_receipt_in_the_outbox_counts_from_when_it_came(gateway: Gateway, start: float) -> None:
    gateway.send(message_id="m1", mobile=number(90), vendor="dxtong", **SHIPPED)
    wire = Wire(gateway)
    wire.failing = {"UpdateItem"}
    with time_machine.travel(start + 3500):
        push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
    wire.failing = set()
    for seconds in (3700, 3900):
        with time_machine.travel(start + seconds):
            gateway.sweep()
    assert gateway.status("m1")["status"] == "failed"


def test_what_stays_open_between_two_keeps_nothing_from_a_later_message(gateway: Gateway, start: float) -> None:
    for message_id in ("m1", "m2"):
        gateway.send(message_id=message_id, mobile=number(90), vendor="dxtong", **SHIPPED)
    push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
    with time_machine.travel(start + 3 * 3600):
        gateway.send(message_id="m3", mobile=number(90), vendor="dxtong", **SHIPPED)
        push_dxtong(gateway, dxtong_receipt("77777778", "-6", number(90)))
    with time_machine.travel(start + 3 * 3600 + 130):
        gateway.sweep()
    results = [gateway.status(f"m{at}") for at in (1, 2, 3)]
    assert [result["status"] for result in results] == ["unknown", "unknown", "failed"]
    assert [result["unlinked_receipts"] for result in results] == [1, 1, 0]


def test_a_receipt_is_not_given_to_an_older_message_while_the_index_lags(
    gateway: Gateway, start: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was given up a moment ago is still shown as calling, and its receipt lay in the outbox."""
    gateway.send(message_id="m1", mobile=number(90), vendor="dxtong", **SHIPPED)
    wire = Wire(gateway)
    with time_machine.travel(start + 600):
        wire.failing = {"UpdateItem", "SendMessage"}  # the outcome can be written nowhere
        gateway.send(message_id="m2", mobile=number(90), vendor="dxtong", **SHIPPED)
        wire.failing = {"UpdateItem"}
        push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
        wire.failing = set()
    cut_off, fresh = stored(gateway, "m2"), Messages.in_state

    def lagging(own: Messages, state: State, until: float) -> Iterator[Message]:
        shown = [message for message in fresh(own, state, until) if message.message_id != "m2"]
        return iter([*shown, cut_off] if state is State.CALLING else shown)

    monkeypatch.setattr(Messages, "in_state", lagging)
    for seconds in (880, 940, 1060, 1120):
        with time_machine.travel(start + seconds):
            gateway.sweep()
    assert gateway.status("m1")["status"] == "unknown"


def test_nobodys_receipt_is_counted_once_also_out_of_the_outbox(gateway: Gateway, start: float) -> None:
    wire = Wire(gateway)
    wire.failing = {"UpdateItem"}
    push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
    wire.failing = set()
    counted = []
    for seconds in range(240, 600, 60):
        with time_machine.travel(start + seconds):
            counted.append(gateway.sweep().get("UnlinkedReceipts", 0))
    assert sum(counted) == 1


def test_what_waits_for_its_sender_is_shown_as_it_was(gateway: Gateway, start: float) -> None:
    for message_id in ("m1", "m2"):
        gateway.send(message_id=message_id, mobile=number(90), vendor="dxtong", **SHIPPED)
    push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
    with time_machine.travel(start + 130):
        gateway.sweep()
        push_dxtong(gateway, dxtong_receipt("77777778", "-6", number(90)))
        gateway.sweep()
        assert gateway.status("m1")["unlinked_receipts"] == 1
    with time_machine.travel(start + 260):
        gateway.sweep()
    assert gateway.status("m1")["unlinked_receipts"] == 2


# Receipts are bounded.


@pytest.mark.parametrize("vendor", ["dxtong", "jumdata"])
def test_a_vendor_that_never_stops_fills_no_item(gateway: Gateway, jumdata: JumdataSimulator, vendor: str) -> None:
    sent = gateway.send(message_id="m1", mobile=number(0), vendor=vendor, **SHIPPED)
    token = own_token(jumdata) if vendor == "jumdata" else ""
    for at in range(12):
        if vendor == "dxtong":
            assert succeeded(push_dxtong(gateway, dxtong_receipt(sent["call_id"], "-6", talktime=str(at))))
        else:
            assert succeeded(push_jumdata(gateway, token, callTime=at))
    assert gateway.status("m1")["later_receipts"] == 7
    assert len((gateway.item(f"CALL#dxtong#{sent['call_id']}") or {"receipts": "8" * 8})["receipts"]) == 8


def test_the_receipt_that_came_first_is_the_one_that_settles(gateway: Gateway) -> None:
    first = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    following = str(int(first["call_id"]) + 1)
    for code in ("-6", "2"):
        push_dxtong(gateway, dxtong_receipt(following, code, number(1)))
    result = gateway.send(message_id="m2", mobile=number(1), vendor="dxtong", **SHIPPED)
    assert (result["status"], result["reason"], result["later_receipts"]) == ("failed", "no_answer", 1)


# The outbox.


def test_a_letter_is_taken_out_only_once_it_is_applied(gateway: Gateway) -> None:
    gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    wire = Wire(gateway)
    wire.failing = {"UpdateItem"}
    push_dxtong(gateway, dxtong_receipt("77777777"))
    gateway.sweep()
    wire.failing = set()
    sqs, url = gateway.client("sqs"), gateway.queues["outbox"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    held = int(found["ApproximateNumberOfMessages"]) + int(found["ApproximateNumberOfMessagesNotVisible"])
    assert held == 1


def test_a_letter_links_the_call_it_tells_of(gateway: Gateway) -> None:
    Wire(gateway).fail_next("UpdateItem", times=2)
    sent = gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED)
    gateway.sweep()
    assert gateway.status("m1")["status"] == "accepted"
    assert (gateway.item(f"CALL#dxtong#{sent['call_id']}") or {})["message"] == "m1"


def test_one_part_that_fails_stops_no_other(gateway: Gateway, start: float) -> None:
    gateway.send(message_id="m1", mobile=number(90), vendor="jumdata", **REDIAL)
    with time_machine.travel(start + 310):
        Wire(gateway).fail_next("Query", times=1)
        assert gateway.sweep()["PartFailed"] == 1
        assert gateway.taken("urgent")


# What is kept of a request.


def test_a_message_that_will_never_be_sent_keeps_no_number(gateway: Gateway, start: float) -> None:
    gateway.send(message_id="m1", mobile=number(0), content="长" * 181)
    assert gateway.send(message_id="m2", mobile=number(10), vendor="dxtong", **SHIPPED)["status"] == "deferred"
    with time_machine.travel(start + DAY + 1):
        gateway.sweep()
    assert gateway.status("m2")["status"] == "expired"
    for message_id in ("m1", "m2"):
        assert not (gateway.item(f"MSG#{message_id}") or {}).get("request")


# Secrets.


def test_secrets_manager_is_left_alone_for_a_while_after_it_failed(gateway: Gateway, start: float) -> None:
    gateway.send(message_id="m1", mobile=number(0), **SHIPPED)
    wire = Wire(gateway)
    wire.failing = {"GetSecretValue"}
    with time_machine.travel(start + 400):
        gateway.send(message_id="m2", mobile=number(1), **SHIPPED)
    assert wire.operations.count("GetSecretValue") == 1


def test_an_unknown_key_has_the_secret_read_once_a_minute(gateway: Gateway, start: float) -> None:
    push_dxtong(gateway, dxtong_receipt("1"))
    wire = Wire(gateway)
    for seconds in (0, 1, 59, 61):
        with time_machine.travel(start + seconds):
            assert push_dxtong(gateway, dxtong_receipt("1"), "static.k9." + "A" * 43)["statusCode"] == 404
    assert wire.operations == ["GetSecretValue"] * 2


# Settings.


@pytest.mark.parametrize(
    ("name", "value"), [("DXTONG_ENDPOINT", "http://vendor.example.com"), ("RETENTION_DAYS", "23")]
)
def test_a_setting_that_would_break_a_promise_is_refused(name: str, value: str) -> None:
    """Credentials and numbers go by https; a message forgotten within 23 days could ring again."""
    good = {"DXTONG_ENDPOINT": "https://vendor.example.com", "DXTONG_SECRET_ARN": "arn", "RETENTION_DAYS": "24"}
    assert (Settings(good).vendor("dxtong").endpoint, Settings(good).retention_days) == (good["DXTONG_ENDPOINT"], 24)
    bad = Settings(good | {name: value})
    with pytest.raises(SettingsError, match=name):
        _ = bad.vendor("dxtong").endpoint if name == "DXTONG_ENDPOINT" else bad.retention_days


# One request, once.


def test_the_gate_is_passed_once() -> None:
    """Whatever a library makes of a connection that broke: a second one for the same request may not send."""
    gate, connection = _Gate(), HTTPConnection("127.0.0.1")
    gate.connected(connection)
    with pytest.raises(ReplyLost):
        gate.connected(connection)


def test_a_request_that_nobody_answered_is_not_made_again() -> None:
    made = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                connection, _ = server.accept()
                made.append(connection.recv(9999))
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(ReplyLost):
            over(f"http://127.0.0.1:{server.getsockname()[1]}", 2)(HttpRequest("GET", "/"))
        time.sleep(0.1)
    assert len(made) == 1


# Credit.


def test_of_two_checks_at_once_one_speaks(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    gateway.invoke("balance_check", {})
    dxtong.configure(balance=1)
    try:
        between("PutItem", 1, lambda: gateway.invoke("balance_check", {}))
        gateway.invoke("balance_check", {})
    finally:
        dxtong.configure(balance=100000)
    assert len(gateway.taken("alarms")) == 1


def test_of_two_first_checks_at_once_one_speaks(dxtong: DxtongSimulator, jumdata: JumdataSimulator) -> None:
    dxtong.configure(balance=1)
    try:
        with mock_aws(), deployed({"dxtong": dxtong.address, "jumdata": jumdata.address}) as gateway:
            between("PutItem", 1, lambda: gateway.invoke("balance_check", {}))
            gateway.invoke("balance_check", {})
            assert len(gateway.taken("alarms")) == 1
    finally:
        dxtong.configure(balance=100000)
