"""`send` through its handler: moto for AWS, the vendor simulators over loopback HTTP."""

import json
import socket
from typing import Any

import pytest
import time_machine
from botocore.exceptions import ClientError
from moto import mock_aws
from voice_gateway.platform import aws

from local.simulators.dxtong import DxtongSimulator
from local.simulators.jumdata import JumdataSimulator
from tests.gateway import HOOK, ORDER_SHIPPED, ROOT, SERVICES, STACK, Context, Gateway, deployed

CONTENT = "您的订单号是:9633。已由顺丰快递发出,请注意查收。"
SHIPPED: dict[str, Any] = {"template": "order_shipped", "params": {"order": 9633, "carrier": "顺丰快递"}}
COMMA = {"order": "1,2", "carrier": "a"}
RESULT = {
    *("message_id", "status", "vendor", "call_id", "linked_by", "reason", "error", "receipt", "later_receipts"),
    *(
        "ring",
        "rings",
        "next",
        "unlinked_receipts",
        "redials",
        "deferred_until",
        "dry_run",
        "replayed",
        "notify_data",
        "template",
        "updated_at",
    ),
}


def number(ending: int) -> str:
    return f"138001380{ending:02}"


def submits(simulator: DxtongSimulator | JumdataSimulator) -> list[Any]:
    """The requests that ask for a call."""
    return [r for r in simulator.requests if r["fields"].get("method") == "Submit" or "send" in r["path"]]


class Wire:
    """Counts, and fails, what goes to AWS: a botocore hook, so that retries and conditions stay as they are."""

    def __init__(self, gateway: Gateway) -> None:
        self.operations: list[str] = []
        self.failing: set[str] = set()
        self.quoting = "down"
        self._next: dict[str, tuple[int, int]] = {}
        for service in SERVICES:
            aws.client(service).meta.events.register("before-call", self._before, unique_id=HOOK)

    def fail_next(self, operation: str, times: int, after: int = 0) -> None:
        """Fails the next requests of an operation, having let ``after`` of them pass."""
        self._next[operation] = (after, times)

    def _before(self, model: Any, **_: Any) -> None:
        self.operations.append(model.name)
        after, times = self._next.get(model.name, (0, 0))
        if after or times:
            self._next[model.name] = (max(0, after - 1), times if after else times - 1)
        if model.name in self.failing or (times and not after):
            raise ClientError({"Error": {"Code": "InternalServerError", "Message": self.quoting}}, model.name)


@pytest.fixture
def wire(gateway: Gateway) -> Wire:
    return Wire(gateway)


# The happy ways in.


@pytest.mark.parametrize(
    ("request_", "vendor"),
    [
        ({**SHIPPED}, "dxtong"),
        ({**SHIPPED, "vendor": "jumdata"}, "jumdata"),
        ({"content": CONTENT}, "dxtong"),
        ({"template_id": "T1001", "params": [9633, "顺丰快递"]}, "jumdata"),
    ],
)
def test_each_form_reaches_the_vendor_that_carries_it(
    gateway: Gateway, dxtong: DxtongSimulator, jumdata: JumdataSimulator, request_: dict[str, Any], vendor: str
) -> None:
    result = gateway.send(message_id="m1", mobile="+86 138-0013-8000", notify_data="仓库", **request_)
    assert set(result) == RESULT
    assert (result["status"], result["vendor"], result["error"]) == ("accepted", vendor, None)
    assert result["call_id"]
    assert result["notify_data"] == "仓库"
    taken = {"dxtong": dxtong, "jumdata": jumdata}
    assert [r["mobile"] for r in submits(taken.pop(vendor))] == ["13800138000"]  # type: ignore[arg-type]
    assert not submits(next(iter(taken.values())))  # type: ignore[arg-type]
    assert gateway.status("m1") == {**result, "replayed": False}


def test_the_catalogue_fills_the_text_in(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    gateway.send(message_id="m1", mobile=number(0), **SHIPPED)
    assert submits(dxtong)[0]["fields"]["content"] == CONTENT


def test_jumdata_gets_values_extras_and_an_address_for_the_call(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    gateway.send(message_id="m1", mobile=number(0), vendor="jumdata", play_times=2, notify_data="n", **SHIPPED)
    fields = submits(jumdata)[0]["fields"]
    assert (fields["param"], fields["playTimes"], fields["notifyData"]) == ("9633,顺丰快递", "2", "n")
    assert fields["notifyUrl"].startswith("http://127.0.0.1:9/callbacks/jumdata/")


def test_the_topics_event_is_one_request(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    event = json.loads((ROOT / "events" / "send_sns.json").read_text())
    assert gateway.invoke("send", event)[0]["status"] == "accepted"
    assert gateway.status("order-9634")["status"] == "accepted"
    assert len(submits(dxtong)) == 1


def test_the_invoke_event_is_one_request(gateway: Gateway) -> None:
    event = json.loads((ROOT / "events" / "send_invoke.json").read_text())
    assert gateway.invoke("send", event)["status"] == "accepted"


def test_without_an_id_the_sources_id_names_the_message(gateway: Gateway) -> None:
    assert gateway.notify({"mobile": number(0), **SHIPPED}, "sns-id-1")[0]["message_id"] == "sns-id-1"
    context = Context()
    result = gateway.modules["send"].handler({"mobile": number(1), **SHIPPED}, context)
    assert result["message_id"] == context.aws_request_id


# Never twice.


def test_a_replay_gives_the_stored_result_and_rings_nobody(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    first = gateway.send(message_id="m1", mobile=number(0), **SHIPPED)
    again = gateway.send(message_id="m1", mobile="0086" + number(0), **SHIPPED)
    assert again == {**first, "replayed": True}
    assert len(submits(dxtong)) == 1


def test_another_request_under_the_same_id_is_a_conflict(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    first = gateway.send(message_id="m1", mobile=number(0), **SHIPPED)
    other = gateway.send(message_id="m1", mobile=number(1), **SHIPPED)
    assert (other["status"], other["error"]["code"], other["replayed"]) == ("rejected", "conflict", False)
    assert gateway.status("m1") == first
    assert len(submits(dxtong)) == 1


@pytest.mark.parametrize("ending", [80, 81, 83, 84, 85, 86, 87, 90, 91, 92, 93])
@pytest.mark.parametrize("vendor", ["dxtong", "jumdata"])
def test_a_doubtful_answer_is_unknown_and_rung_once(
    gateway: Gateway, dxtong: DxtongSimulator, jumdata: JumdataSimulator, vendor: str, ending: int
) -> None:
    """No other vendor is asked, and no redelivery rings again."""
    for at in range(3):
        result = gateway.send(message_id="m1", mobile=number(ending), vendor=vendor, **SHIPPED)
        assert (result["status"], result["error"]["code"]) == ("unknown", "outcome_unknown")
        assert result["replayed"] == bool(at)
    assert len(submits(dxtong)) + len(submits(jumdata)) == 1


def test_unknown_never_fails_over(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    assert gateway.send(message_id="m1", mobile=number(90), **SHIPPED)["status"] == "unknown"
    assert not submits(jumdata)


def test_a_live_lease_is_in_progress(gateway: Gateway, wire: Wire) -> None:
    request = {"message_id": "m1", "mobile": number(0), **SHIPPED}
    wire.failing = {"UpdateItem", "SendMessage"}  # the outcome can be written nowhere
    gateway.send(**request)
    wire.failing = set()
    busy = gateway.send(**request)
    assert (busy["status"], busy["error"]["code"], busy["replayed"]) == ("submitting", "in_progress", True)
    assert busy["error"]["retryable"]
    (busy,) = gateway.notify(request)  # not handed over again: the lease's holder or the sweep settles it
    assert (busy["status"], busy["error"]["code"]) == ("submitting", "in_progress")


def test_a_lease_that_ran_out_is_unknown_and_not_rung_again(
    gateway: Gateway, wire: Wire, dxtong: DxtongSimulator
) -> None:
    request = {"message_id": "m1", "mobile": number(0), **SHIPPED}
    wire.failing = {"UpdateItem", "SendMessage"}
    gateway.send(**request)
    wire.failing = set()
    with time_machine.travel(_in(60)):
        assert gateway.send(**request)["status"] == "unknown"
    assert gateway.status("m1")["status"] == "unknown"
    assert len(submits(dxtong)) == 1


# Refusals.

DXTONG_REFUSALS = {
    10: ("0", "vendor_unavailable"),
    11: ("400", "ip_not_allowed"),
    12: ("401", "credentials_refused"),
    13: ("402", "credentials_refused"),
    14: ("403", "invalid_mobile"),
    15: ("4030", "blocklisted"),
    16: ("404", "content_refused"),
    17: ("405", "credentials_refused"),
    18: ("4050", "account_suspended"),
    19: ("4051", "insufficient_credit"),
    20: ("4052", "ip_not_allowed"),
    21: ("406", "invalid_mobile"),
    22: ("407", "content_refused"),
    23: ("4071", "template_mismatch"),
    24: ("4072", "template_mismatch"),
    25: ("40722", "content_too_long"),
    26: ("408", "account_suspended"),
    27: ("4082", "daily_limit"),
}
JUMDATA_REFUSALS = {
    60: ("400", "invalid_mobile"),
    61: ("400", "credentials_refused"),
    62: ("400", "invalid_request"),
    63: ("404", "not_configured"),
    64: ("500", "vendor_unavailable"),
    65: ("501", "vendor_unavailable"),
    66: ("601", "not_configured"),
    67: ("602", "account_suspended"),
    68: ("603", "insufficient_credit"),
    69: ("604", "account_suspended"),
}
TRANSIENT = {"0", "500", "501"}
FINAL = {10: False, **{ending: ending in {14, 15, 16, 21, 22} for ending in range(11, 28)}}


@pytest.mark.parametrize(
    ("vendor", "ending", "vendor_code", "code"),
    [("dxtong", ending, *row) for ending, row in DXTONG_REFUSALS.items()]
    + [("jumdata", ending, *row) for ending, row in JUMDATA_REFUSALS.items()],
)
def test_every_refusal_has_its_documented_error(
    gateway: Gateway, vendor: str, ending: int, vendor_code: str, code: str
) -> None:
    request = {"message_id": "m1", "mobile": number(ending), "vendor": vendor, **SHIPPED}
    if vendor_code in TRANSIENT:
        result = gateway.send(**request)
        assert result["status"] == "deferred"
        assert result["deferred_until"]
    else:
        result = gateway.send(**request)
        assert result["status"] == "rejected"
    error = result["error"]
    assert (error["code"], error["vendor"], error["vendor_code"]) == (code, vendor, vendor_code)
    assert error["vendor_message"]
    assert gateway.status("m1")["error"] == error


@pytest.mark.parametrize("ending", DXTONG_REFUSALS)
def test_a_refusal_of_the_vendors_own_goes_to_the_next_vendor(
    gateway: Gateway, dxtong: DxtongSimulator, jumdata: JumdataSimulator, ending: int
) -> None:
    result = gateway.send(message_id="m1", mobile=number(ending), **SHIPPED)
    expected = ("rejected", "dxtong", 0) if FINAL[ending] else ("accepted", "jumdata", 1)
    assert (result["status"], result["vendor"], len(submits(jumdata))) == expected
    assert len(submits(dxtong)) == 1


def test_a_refusal_of_jumdatas_template_goes_to_the_next_vendor(
    gateway: Gateway, dxtong: DxtongSimulator, jumdata: JumdataSimulator
) -> None:
    order = {"text": ORDER_SHIPPED["text"], "vendors": dict(reversed(ORDER_SHIPPED["vendors"].items()))}
    gateway.client("ssm").put_parameter(
        Name=f"/{STACK}/templates/other_order", Value=json.dumps(order, ensure_ascii=False), Type="String"
    )
    shipped = {**SHIPPED, "template": "other_order"}
    for ending, expected in ((62, "accepted"), (60, "rejected")):
        result = gateway.send(message_id=f"m{ending}", mobile=number(ending), **shipped)
        assert (result["status"], len(submits(dxtong))) == (expected, 1)
    # It does not rest: the number after it goes to it first.
    assert gateway.send(message_id="m0", mobile=number(0), **shipped)["vendor"] == "jumdata"


def test_a_refusal_of_the_template_by_all_is_that_of_the_first(
    gateway: Gateway, dxtong: DxtongSimulator, jumdata: JumdataSimulator
) -> None:
    registered = dxtong.settings.templates, jumdata.settings.templates
    dxtong.configure(templates=[])
    jumdata.configure(templates={})
    try:
        refused = gateway.send(message_id="m1", mobile=number(0), **SHIPPED)
    finally:
        dxtong.configure(templates=list(registered[0]))
        jumdata.configure(templates=dict(registered[1]))
    error = refused["error"]
    assert (refused["status"], error["code"]) == ("rejected", "template_mismatch")
    assert (error["vendor"], error["vendor_code"]) == ("dxtong", "4071")
    assert (len(submits(dxtong)), len(submits(jumdata))) == (1, 1)


def test_a_vendor_that_refused_for_its_own_reason_rests(
    gateway: Gateway, dxtong: DxtongSimulator, jumdata: JumdataSimulator
) -> None:
    gateway.send(message_id="m1", mobile=number(19), **SHIPPED)
    assert gateway.send(message_id="m2", mobile=number(0), **SHIPPED)["vendor"] == "jumdata"
    with time_machine.travel(_in(61)):
        assert gateway.send(message_id="m3", mobile=number(1), **SHIPPED)["vendor"] == "dxtong"


def test_a_resting_vendor_is_never_left_out(gateway: Gateway) -> None:
    gateway.send(message_id="m1", mobile=number(19), **SHIPPED)
    result = gateway.send(message_id="m2", mobile=number(66), **SHIPPED)
    assert (result["status"], result["vendor"]) == ("accepted", "dxtong")


def test_credentials_that_changed_meanwhile_are_read_anew_once(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    gateway.send(message_id="m1", mobile=number(0), **SHIPPED)
    dxtong.configure(api_key="rotated-key")
    try:
        gateway.client("secretsmanager").put_secret_value(
            SecretId=f"{STACK}/dxtong", SecretString=json.dumps({"account": "sandbox-account", "apiKey": "rotated-key"})
        )
        result = gateway.send(message_id="m2", mobile=number(1), vendor="dxtong", **SHIPPED)
        assert result["status"] == "accepted"
        assert [r["reply_code"] for r in submits(dxtong)] == [2, 405, 2]
    finally:
        dxtong.configure(api_key="sandbox-key")


def test_credentials_that_did_not_change_are_not_tried_again(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    result = gateway.send(message_id="m1", mobile=number(17), vendor="dxtong", **SHIPPED)
    assert result["error"]["code"] == "credentials_refused"
    assert len(submits(dxtong)) == 1


# Not sent.


def _closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_vendor_that_cannot_be_reached_fails_over_and_else_releases(jumdata: JumdataSimulator) -> None:
    endpoints = {"dxtong": f"http://127.0.0.1:{_closed_port()}", "jumdata": jumdata.address}
    with mock_aws(), deployed(endpoints) as gateway:
        assert gateway.send(message_id="m1", mobile=number(0), **SHIPPED)["vendor"] == "jumdata"
        assert gateway.send(message_id="m2", mobile=number(1), vendor="dxtong", **SHIPPED)["status"] == "deferred"
        stored = gateway.status("m2")
        assert (stored["status"], stored["error"]["code"]) == ("deferred", "vendor_unavailable")


def test_a_released_message_is_rung_by_a_redelivery(gateway: Gateway, wire: Wire, dxtong: DxtongSimulator) -> None:
    request = {"message_id": "m1", "mobile": number(10), "vendor": "dxtong", **SHIPPED}
    for _ in range(2):
        assert gateway.send(**request)["status"] == "deferred"
    assert len(submits(dxtong)) == 2
    assert gateway.status("m1")["status"] == "deferred"


@pytest.mark.parametrize("failing", ["GetSecretValue", "GetParameter", "PutItem"])
def test_aws_failing_before_the_call_defers_and_rings_nobody(
    gateway: Gateway, wire: Wire, dxtong: DxtongSimulator, failing: str
) -> None:
    wire.failing = {failing}
    assert gateway.send(message_id="m1", mobile=number(0), **SHIPPED)["status"] == "deferred"
    assert not submits(dxtong)
    wire.failing = set()
    gateway.sweep()
    assert gateway.send(message_id="m1", mobile=number(0), **SHIPPED)["status"] == "accepted"
    assert len(submits(dxtong)) == 1


def test_an_expired_copy_of_the_secrets_serves_while_secrets_manager_is_down(gateway: Gateway, wire: Wire) -> None:
    gateway.send(message_id="m1", mobile=number(0), **SHIPPED)
    wire.failing = {"GetSecretValue", "GetParameter"}
    with time_machine.travel(_in(3600)):
        assert gateway.send(message_id="m2", mobile=number(1), **SHIPPED)["status"] == "accepted"


def test_secrets_and_templates_are_read_once_a_cache_life(gateway: Gateway, wire: Wire) -> None:
    gateway.send(message_id="m1", mobile=number(0), **SHIPPED)
    wire.operations.clear()
    gateway.send(message_id="m2", mobile=number(1), **SHIPPED)
    assert wire.operations == ["PutItem", "UpdateItem", "UpdateItem"]


@pytest.mark.parametrize(
    ("request_", "calls"),
    [
        ({"mobile": number(0), "vendor": "jumdata"}, 3),
        ({"mobile": number(0), "vendor": "dxtong"}, 3),
        ({"mobile": number(10)}, 5),
    ],
)
def test_a_send_makes_no_more_calls_to_aws_than_the_protocol_counts(
    gateway: Gateway, wire: Wire, request_: dict[str, Any], calls: int
) -> None:
    for vendor in ("dxtong", "jumdata"):
        gateway.send(message_id=f"warm-{vendor}", mobile=number(9), vendor=vendor, **SHIPPED)
    wire.operations.clear()
    gateway.send(message_id="m1", **request_, **SHIPPED)
    assert len(wire.operations) <= calls, wire.operations
    wire.operations.clear()
    gateway.send(message_id="m1", **request_, **SHIPPED)
    assert len(wire.operations) <= 2, wire.operations


def test_too_little_time_is_not_begun_with(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    assert gateway.send(remaining=4, message_id="m1", mobile=number(0), **SHIPPED)["status"] == "deferred"
    assert not submits(dxtong)


def test_an_outcome_that_the_table_does_not_take_goes_through_the_outbox(gateway: Gateway, wire: Wire) -> None:
    gateway.send(message_id="warm", mobile=number(1), **SHIPPED)
    wire.failing = {"UpdateItem"}
    result = gateway.send(message_id="m1", mobile=number(0), **SHIPPED)
    assert result["status"] == "accepted"
    wire.failing = set()
    assert gateway.status("m1")["status"] == "submitting"
    gateway.sweep()
    stored = gateway.status("m1")
    assert (stored["status"], stored["call_id"]) == ("accepted", result["call_id"])


# Requests that nobody can carry.


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"mobile": "12345", **SHIPPED}, "invalid_mobile"),
        ({"mobile": number(0), "template": "no_such"}, "unknown_template"),
        ({"mobile": number(0), "template": "order_shipped", "params": {"order": 1}}, "template_mismatch"),
        (
            {"mobile": number(0), "template": "order_shipped", "params": {"order": 1, "carrier": 2, "x": 3}},
            "template_mismatch",
        ),
        (
            {
                "mobile": number(0),
                "vendor": "jumdata",
                "template": "order_shipped",
                "params": {"order": "1,2", "carrier": "a"},
            },
            "template_mismatch",
        ),
        ({"mobile": number(0), "content": "长" * 181}, "content_too_long"),
        ({"mobile": number(0), "content": "a", "template_id": "b"}, "invalid_request"),
        ({"mobile": number(0), "content": "a", "vendor": "jumdata"}, "invalid_request"),
        ({"mobile": number(0), "content": "a", "surprise": 1}, "invalid_request"),
        ({"mobile": number(0), "content": "a", "expires_at": "2020-01-01T00:00:00+08:00"}, "expired"),
    ],
)
def test_bad_input_is_refused_stored_and_reaches_no_vendor(
    gateway: Gateway, dxtong: DxtongSimulator, jumdata: JumdataSimulator, request_: dict[str, Any], code: str
) -> None:
    result = gateway.send(message_id="m1", **request_)
    assert result["error"]["code"] == code
    assert result["status"] == ("expired" if code == "expired" else "rejected")
    assert gateway.status("m1") == result
    assert not dxtong.requests
    assert not jumdata.requests


def test_every_fault_is_listed_in_one_reply(gateway: Gateway) -> None:
    result = gateway.send(message_id="m1", mobile="1", content="", vendor="acme", play_times=9, dry_run="yes", odd=1)
    for name in ("mobile", "content", "vendor", "play_times", "dry_run", "odd"):
        assert f"{name}:" in result["error"]["message"]
    assert result["error"]["code"] == "invalid_request"


def test_a_message_that_is_no_json_is_stored_under_the_topics_id(gateway: Gateway) -> None:
    assert gateway.notify("no json", "sns-id-2")[0]["error"]["code"] == "invalid_request"
    assert gateway.status("sns-id-2")["status"] == "rejected"


def test_a_secret_that_is_not_filled_in_passes_its_vendor_over(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    gateway.client("secretsmanager").put_secret_value(
        SecretId=f"{STACK}/dxtong", SecretString=json.dumps({"account": "", "apiKey": ""})
    )
    assert gateway.send(message_id="m1", mobile=number(0), **SHIPPED)["vendor"] == "jumdata"
    refused = gateway.send(message_id="m2", mobile=number(0), content=CONTENT)
    assert (refused["status"], refused["error"]["code"]) == ("rejected", "not_configured")
    assert not dxtong.requests


# Hours, caps, expiry.


def test_the_fourth_call_of_a_day_never_reaches_jumdata(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    for at in range(3):
        assert gateway.send(message_id=f"m{at}", mobile=number(0), vendor="jumdata", **SHIPPED)["status"] == "accepted"
    for at in range(3, 6):
        refused = gateway.send(message_id=f"m{at}", mobile=number(0), vendor="jumdata", **SHIPPED)
        assert (refused["status"], refused["error"]["code"]) == ("rejected", "daily_limit")
    assert len(submits(jumdata)) == 3
    with time_machine.travel(_in(24 * 3600 + 1)):
        assert gateway.send(message_id="m9", mobile=number(0), vendor="jumdata", **SHIPPED)["status"] == "accepted"


def test_a_full_quota_refuses_no_message_that_is_stored_already(gateway: Gateway) -> None:
    for at in range(4):
        gateway.send(message_id=f"m{at}", mobile=number(0), vendor="jumdata", **SHIPPED)
    assert gateway.send(message_id="m0", mobile=number(0), vendor="jumdata", **SHIPPED)["status"] == "accepted"


NIGHT = "2026-11-22T22:00:00+08:00"
MORNING = "2026-11-23T09:00:07+08:00"


@pytest.fixture
def by_day(dxtong: DxtongSimulator, jumdata: JumdataSimulator) -> Any:
    with (
        mock_aws(),
        deployed({"dxtong": dxtong.address, "jumdata": jumdata.address}, JUMDATA_HOURS="09:00-21:00") as gateway,
    ):
        yield gateway


def test_outside_its_hours_a_message_waits_for_the_opening_and_is_sent_then(
    by_day: Gateway, jumdata: JumdataSimulator
) -> None:
    with time_machine.travel(NIGHT):
        deferred = by_day.send(message_id="m1", mobile=number(0), vendor="jumdata", **SHIPPED)
        assert (deferred["status"], deferred["deferred_until"]) == ("deferred", "2026-11-23T01:00:00Z")
        assert deferred["error"] is None
        by_day.sweep()
        assert not by_day.taken("urgent")
    with time_machine.travel(MORNING):
        by_day.sweep()
        (envelope,) = by_day.taken("urgent")
        by_day.sweep()
        assert not by_day.taken("urgent"), "handed over twice within a minute"
        assert by_day.take_up(envelope)["status"] == "accepted"
    assert len(submits(jumdata)) == 1


@pytest.mark.parametrize(
    ("now", "expires_at", "status", "code"),
    [
        ("2026-11-22T20:58:30+08:00", None, "accepted", None),
        ("2026-11-22T20:59:30+08:00", None, "deferred", None),
        ("2026-11-22T08:59:59+08:00", None, "deferred", None),
        ("2026-11-22T09:00:00+08:00", None, "accepted", None),
        (NIGHT, "2026-11-23T08:59:00+08:00", "rejected", "outside_hours"),
    ],
)
def test_the_edges_of_the_hours(
    by_day: Gateway, now: str, expires_at: str | None, status: str, code: str | None
) -> None:
    extra: dict[str, Any] = {"expires_at": expires_at} if expires_at else {}
    with time_machine.travel(now):
        result = by_day.send(message_id="m1", mobile=number(0), vendor="jumdata", **extra, **SHIPPED)
    assert (result["status"], (result["error"] or {}).get("code")) == (status, code)


def test_a_due_message_that_expired_is_not_sent(by_day: Gateway, jumdata: JumdataSimulator) -> None:
    request = {"message_id": "m1", "mobile": number(0), "vendor": "jumdata", **SHIPPED}
    with time_machine.travel(NIGHT):
        by_day.send(expires_at="2026-11-23T10:00:00+08:00", **request)
    with time_machine.travel("2026-11-23T10:00:07+08:00"):
        by_day.sweep()
    result = by_day.status("m1")
    assert (result["status"], result["error"]["code"]) == ("expired", "expired")
    assert not submits(jumdata)


# Redial, and trying without ringing.


def test_redial_once_tries_another_vendor_first_and_never_a_third_time(
    gateway: Gateway, dxtong: DxtongSimulator, jumdata: JumdataSimulator
) -> None:
    request = {"message_id": "m1", "mobile": number(90), "on_unknown": "redial_once", **SHIPPED}
    assert gateway.send(**request)["status"] == "unknown"
    with time_machine.travel(_in(306)):
        gateway.sweep()
        (envelope,) = gateway.taken("urgent")
        again = gateway.take_up(envelope)
    assert (again["status"], again["vendor"], again["redials"]) == ("unknown", "jumdata", 1)
    with time_machine.travel(_in(700)):
        gateway.sweep()
        assert not gateway.taken("urgent")
        assert gateway.send(**request)["status"] == "unknown"
    assert len(submits(dxtong)) == len(submits(jumdata)) == 1


def test_stop_is_the_default_and_never_redials(gateway: Gateway) -> None:
    gateway.send(message_id="m1", mobile=number(90), **SHIPPED)
    with time_machine.travel(_in(306)):
        gateway.sweep()
    assert not gateway.taken("urgent")


def test_dry_run_says_what_would_happen_and_leaves_nothing(
    gateway: Gateway, dxtong: DxtongSimulator, wire: Wire
) -> None:
    result = gateway.send(message_id="m1", mobile=number(0), dry_run=True, **SHIPPED)
    assert (result["status"], result["vendor"], result["call_id"], result["dry_run"]) == (
        "accepted",
        "dxtong",
        None,
        True,
    )
    refused = gateway.send(message_id="m2", mobile="1", dry_run=True, **SHIPPED)
    assert (refused["status"], refused["dry_run"]) == ("rejected", True)
    gateway.send(message_id="m3", mobile=number(0), vendor="jumdata", dry_run=True, **SHIPPED)
    assert {"PutItem", "UpdateItem"}.isdisjoint(wire.operations)
    assert not dxtong.requests


def test_poll_mode_gives_no_address_and_leaves_dxtong_out_unless_pinned(
    dxtong: DxtongSimulator, jumdata: JumdataSimulator
) -> None:
    endpoints = {"dxtong": dxtong.address, "jumdata": jumdata.address}
    with mock_aws(), deployed(endpoints, CALLBACK_MODE="poll", CALLBACK_BASE_URL="") as gateway:
        assert gateway.send(message_id="m1", mobile=number(0), **SHIPPED)["vendor"] == "jumdata"
        assert "notifyUrl" not in submits(jumdata)[0]["fields"]
        assert gateway.send(message_id="m2", mobile=number(0), vendor="dxtong", **SHIPPED)["vendor"] == "dxtong"


def _in(seconds: float) -> float:
    import time

    return time.time() + seconds


def test_a_slow_claim_that_leaves_no_time_is_released(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    left = iter([30.0])  # before the claim; after it, nothing

    class Slow(Context):
        def get_remaining_time_in_millis(self) -> int:
            return int(next(left, 5.0) * 1000)

    assert (
        gateway.modules["send"].handler({"message_id": "m1", "mobile": number(0), **SHIPPED}, Slow())["status"]
        == "deferred"
    )
    assert not submits(dxtong)
    assert gateway.status("m1")["status"] == "deferred"
    assert gateway.send(message_id="m1", mobile=number(0), **SHIPPED)["status"] == "accepted"


def test_the_error_is_that_of_a_vendor_that_has_such_a_form(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    for at in range(4):
        result = gateway.send(message_id=f"m{at}", mobile=number(0), template_id="T1001", params=["1", "2"])
    assert (result["error"]["code"], result["error"]["vendor"]) == ("daily_limit", "jumdata")


def test_the_stored_expiry_decides_when_a_released_message_comes_again_at_night(by_day: Gateway) -> None:
    request = {"message_id": "m1", "mobile": number(64), "vendor": "jumdata", **SHIPPED}
    with time_machine.travel("2026-11-22T20:00:00+08:00"):
        assert by_day.send(expires_at="2026-11-23T08:30:00+08:00", **request)["status"] == "deferred"
    with time_machine.travel(NIGHT):
        result = by_day.send(expires_at="2026-11-23T08:30:00+08:00", **request)
    assert (result["status"], result["error"]["code"]) == ("rejected", "outside_hours")


def test_one_unreadable_secret_does_not_stop_the_other_vendor(gateway: Gateway) -> None:
    gateway.client("secretsmanager").delete_secret(SecretId=f"{STACK}/jumdata", ForceDeleteWithoutRecovery=True)
    assert gateway.send(message_id="m1", mobile=number(0), **SHIPPED)["vendor"] == "dxtong"


def test_text_that_queues_refuse_is_published_all_the_same(gateway: Gateway) -> None:
    gateway.send(message_id="m1", mobile=number(0), notify_data="\uffff", **SHIPPED)
    wire = Wire(gateway)
    wire.failing = {"UpdateItem"}
    assert gateway.send(message_id="m2", mobile=number(1), notify_data="a\uffffb", **SHIPPED)["status"] == "accepted"
    assert gateway.taken("outbox")[0]["message"]["notify_data"] == "a\ufffdb"
