"""`balance_check` through its handler: one message a change, however often it runs."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.simulators.dxtong import DxtongSimulator
from local.simulators.jumdata import JumdataSimulator
from tests.functions.test_send import Wire
from tests.gateway import ROOT, STACK, Gateway


@pytest.fixture(autouse=True)
def restored(dxtong: DxtongSimulator, jumdata: JumdataSimulator) -> Iterator[None]:
    dxtong.configure(balance=100000)
    jumdata.configure(balance=100000)
    yield
    dxtong.configure(balance=100000, api_key="sandbox-key")
    jumdata.configure(balance=100000)


def check(gateway: Gateway) -> Any:
    event = json.loads((ROOT / "events" / "balance_check.json").read_text())
    return gateway.invoke("balance_check", event)


def alarms(gateway: Gateway) -> list[dict[str, Any]]:
    return [json.loads(envelope["Message"]) for envelope in gateway.taken("alarms")]


def states(gateway: Gateway) -> list[tuple[str, str, str]]:
    return [(a["vendor"], a["previous"], a["state"]) for a in alarms(gateway)]


def test_each_vendor_is_asked_and_a_first_ok_is_silent(gateway: Gateway) -> None:
    assert check(gateway) == {
        "dxtong": {"state": "ok", "remaining": "100000", "unit": "calls", "threshold": "100", "error": None},
        "jumdata": {"state": "ok", "remaining": "100000", "unit": "CNY", "threshold": "50", "error": None},
    }
    assert alarms(gateway) == []


def test_low_credit_alarms_once_and_recovery_once(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    check(gateway)
    for balance in (1, 99, 119):  # 119 is over the mark of 100, yet under 120 %: no flapping
        dxtong.configure(balance=balance)
        assert check(gateway)["dxtong"]["state"] == "low"
    (low,) = alarms(gateway)
    assert {name: low[name] for name in low if name not in {"checked_at", "text"}} == {
        "kind": "credit",
        "stack": STACK,
        "vendor": "dxtong",
        "state": "low",
        "previous": "ok",
        "remaining": "1",
        "unit": "calls",
        "threshold": "100",
        "clear_at": "120",
        "per_day": None,
        "days_left": None,
    }
    assert "dxtong" in low["text"]
    dxtong.configure(balance=120)
    assert check(gateway)["dxtong"]["state"] == "ok"
    check(gateway)
    assert states(gateway) == [("dxtong", "low", "ok")]


def test_a_first_check_that_finds_low_credit_alarms(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    jumdata.configure(balance="49.99")
    check(gateway)
    (low,) = alarms(gateway)
    assert (low["vendor"], low["remaining"], low["unit"], low["clear_at"]) == ("jumdata", "49.99", "CNY", "60")


def test_three_failures_in_a_row_are_unknown_and_do_not_forget_low(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    dxtong.configure(balance=1)
    check(gateway)
    dxtong.configure(api_key="changed-in-the-console")
    assert [check(gateway)["dxtong"]["state"] for _ in range(4)] == ["low", "low", "unknown", "unknown"]
    assert check(gateway)["dxtong"]["error"]["code"] == "credentials_refused"
    assert states(gateway) == [("dxtong", "ok", "low"), ("dxtong", "low", "unknown")]
    dxtong.configure(api_key="sandbox-key", balance=110)
    assert check(gateway)["dxtong"]["state"] == "low", "under 120 % of the mark, and it was low"
    assert states(gateway) == [("dxtong", "unknown", "low")]


def test_an_alarm_says_what_the_vendor_said_and_a_recovery_what_it_is_from(
    gateway: Gateway, dxtong: DxtongSimulator
) -> None:
    dxtong.configure(api_key="changed-in-the-console")
    refused = [check(gateway)["dxtong"]["error"] for _ in range(3)][-1]
    (unknown,) = alarms(gateway)
    assert f"it said {refused['vendor_code']} {refused['vendor_message']}" in unknown["text"]
    dxtong.configure(api_key="sandbox-key")
    check(gateway)
    (known,) = alarms(gateway)
    assert (known["previous"], known["state"]) == ("unknown", "ok")
    assert "known again, and sufficient" in known["text"]


def test_an_alarm_that_could_not_be_published_is_published_by_the_next_check(
    gateway: Gateway, dxtong: DxtongSimulator
) -> None:
    dxtong.configure(balance=1)
    wire = Wire(gateway)
    wire.failing = {"Publish"}
    with pytest.raises(Exception, match="sns"):
        check(gateway)
    wire.failing = set()
    check(gateway)
    check(gateway)
    assert states(gateway) == [("dxtong", "ok", "low")]


def test_a_vendor_that_is_not_configured_is_left_out(gateway: Gateway) -> None:
    gateway.client("secretsmanager").put_secret_value(
        SecretId=f"{STACK}/jumdata", SecretString=json.dumps({"appId": "", "appSecret": ""})
    )
    assert list(check(gateway)) == ["dxtong"]


def test_a_metric_a_vendor_is_written(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    check(gateway)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    credit = {line["vendor"]: line["Credit"] for line in lines if "Credit" in line}
    assert credit == {"dxtong": [100000.0], "jumdata": [100000.0]}
