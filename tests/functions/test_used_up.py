"""`send` and `balance_check` together: calls go past a vendor whose credit is used up, and never stop for it."""

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from local.simulators.dxtong import DxtongSimulator
from local.simulators.jumdata import JumdataSimulator
from tests.functions.test_balance_check import check
from tests.functions.test_send import CONTENT, SHIPPED, Wire, number, submits
from tests.gateway import Gateway

WARM = ["PutItem", "UpdateItem", "UpdateItem"]
LOOK = "GetItem"


@pytest.fixture(autouse=True)
def full(dxtong: DxtongSimulator, jumdata: JumdataSimulator) -> Iterator[None]:
    dxtong.configure(balance=100000)
    jumdata.configure(balance=100000)
    yield
    dxtong.configure(balance=100000, api_key="sandbox-key")
    jumdata.configure(balance=100000)


class Sending:
    """Sends one message after the other at moved seconds; which vendor took each."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._begun = datetime.datetime.now(datetime.UTC)
        self._sent = 0

    def at(self, seconds: float, **more: Any) -> str:
        self._sent += 1
        with time_machine.travel(self._begun + datetime.timedelta(seconds=seconds)):
            told = self._gateway.send(message_id=f"m{self._sent}", mobile=number(self._sent), **(SHIPPED | more))
        assert told["status"] == "accepted", told
        vendor: str = told["vendor"]
        return vendor


@pytest.fixture
def sending(gateway: Gateway) -> Sending:
    return Sending(gateway)


def test_a_vendor_without_credit_is_passed_until_the_check_finds_some(
    gateway: Gateway, sending: Sending, dxtong: DxtongSimulator, jumdata: JumdataSimulator
) -> None:
    dxtong.configure(balance=0)
    assert check(gateway)["dxtong"]["state"] == "empty"
    assert [sending.at(0), sending.at(30)] == ["jumdata", "jumdata"]
    assert submits(dxtong) == [], "no call is lost on it, and no second of anybody's waiting"
    dxtong.configure(balance=119)
    assert check(gateway)["dxtong"]["state"] == "low"
    assert [sending.at(59), sending.at(61), sending.at(62)] == ["jumdata", "dxtong", "dxtong"]


def test_it_is_never_left_out(
    gateway: Gateway, sending: Sending, dxtong: DxtongSimulator, jumdata: JumdataSimulator
) -> None:
    """Its account may have been topped up since: it is asked where nobody else can carry the message."""
    dxtong.configure(balance=0)
    jumdata.configure(balance=0)
    check(gateway)
    dxtong.configure(balance=10)
    assert sending.at(0) == "dxtong", "where nobody has credit the order stands"
    assert sending.at(1, vendor="dxtong") == "dxtong"
    alone = gateway.send(message_id="alone", mobile=number(42), content=CONTENT)
    assert (alone["status"], alone["vendor"]) == ("accepted", "dxtong"), "nobody else carries a text"
    refused = gateway.send(message_id="j", mobile=number(40), vendor="jumdata", **SHIPPED)
    assert (refused["status"], refused["error"]["code"]) == ("rejected", "insufficient_credit")


def test_checks_that_fail_do_not_forget_that_it_is_used_up(
    gateway: Gateway, sending: Sending, dxtong: DxtongSimulator
) -> None:
    dxtong.configure(balance=0)
    check(gateway)
    dxtong.configure(api_key="changed-in-the-console")
    assert [check(gateway)["dxtong"]["state"] for _ in range(3)] == ["empty", "empty", "unknown"]
    assert sending.at(0) == "jumdata"


def test_credit_is_read_once_a_minute_and_only_of_whom_it_matters(
    gateway: Gateway, sending: Sending, dxtong: DxtongSimulator
) -> None:
    wire = Wire(gateway)
    for vendor in ("dxtong", "jumdata"):
        sending.at(0, vendor=vendor)
    assert LOOK not in wire.operations, "pinned: there is nothing to choose"
    for seconds, looks in ((1, 1), (2, 0), (60, 0), (62, 1), (121, 0)):
        wire.operations.clear()
        sending.at(seconds)
        assert wire.operations == [LOOK] * looks + WARM, seconds
    dxtong.configure(balance=0)
    check(gateway)
    for seconds, looks in ((200, 2), (201, 0), (259, 0), (262, 2)):
        wire.operations.clear()
        assert sending.at(seconds) == "jumdata"
        assert wire.operations.count(LOOK) == looks, seconds


def test_a_read_that_fails_changes_nothing_and_is_left_for_a_minute(
    gateway: Gateway, sending: Sending, dxtong: DxtongSimulator
) -> None:
    wire = Wire(gateway)
    wire.failing = {LOOK}
    assert [sending.at(0), sending.at(30)] == ["dxtong", "dxtong"]
    assert wire.operations.count(LOOK) == 1
    wire.failing = set()
    dxtong.configure(balance=0)
    check(gateway)
    assert sending.at(61) == "jumdata"
    wire.failing = {LOOK}
    assert [sending.at(122), sending.at(150)] == ["jumdata", "jumdata"], "what was known before is not forgotten"


def test_a_vendor_that_was_never_checked_has_credit_and_so_has_one_of_an_earlier_release(
    gateway: Gateway, sending: Sending
) -> None:
    assert sending.at(0) == "dxtong"
    item = {"pk": "BALANCE#dxtong", "state": "low", "level": "low", "remaining": "0", "announced": "low"}
    stored = {name: {"S": value} for name, value in item.items()}
    gateway.client("dynamodb").put_item(TableName=gateway.environ["CALLS_TABLE"], Item=stored)
    assert sending.at(61) == "dxtong"


def test_a_dry_run_names_the_vendor_that_would_be_called(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    dxtong.configure(balance=0)
    check(gateway)
    told = gateway.send(message_id="d", mobile=number(41), dry_run=True, **SHIPPED)
    assert (told["status"], told["vendor"]) == ("accepted", "jumdata")
