"""The credit alarm's schema and real alarms: of rows of checks of every kind, and from the topic itself."""

import copy
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voice_gateway import vendors
from voice_gateway.credit import alarm
from voice_gateway.credit.state import Check, next_state, to_be_announced
from voice_gateway.model.faults import Code, Fault
from voice_gateway.storage.credit import CreditState

from local.simulators.dxtong import DxtongSimulator
from tests.functions.test_balance_check import alarms, check
from tests.gateway import Gateway
from tests.schemas.held import DETERMINISTIC, NOW, schema, takes, why_not

PROPERTIES = list(schema("credit-alarm")["properties"])
AMOUNTS = st.decimals(-10, 10**9, places=2) | st.integers(0, 10**6).map(Decimal) | st.sampled_from([Decimal("1E+3")])
MARKS = st.decimals(0, 10**6, places=2)
FAULTS = st.builds(
    Fault, st.sampled_from(Code), st.text(max_size=9), st.just("dxtong"), st.none() | st.text(max_size=9)
)


def held(told: dict[str, Any]) -> None:
    assert takes("credit-alarm", told), why_not("credit-alarm", told)
    assert list(told) == PROPERTIES


@settings(DETERMINISTIC, max_examples=80)
@given(
    st.sampled_from(vendors.names()),
    MARKS,
    st.integers(0, 30),
    st.lists(st.tuples(st.none() | AMOUNTS, FAULTS, st.integers(60, 86400)), min_size=1, max_size=12),
)
def test_every_alarm_of_a_row_of_checks_is_taken(
    vendor: str, mark: Decimal, days: int, found: list[tuple[Decimal | None, Fault, int]]
) -> None:
    state: CreditState = {}
    now = NOW
    for remaining, fault, seconds in found:
        now += seconds
        marks = (mark, mark * 120 / 100, Decimal(days), Decimal(days * 120) / 100)
        made = Check(vendors.vendor(vendor), *marks, remaining, None if remaining is not None else fault)
        state = next_state(state, made, now)
        if to_be_announced(state):
            told = alarm.content("voice-gateway", made, state)
            held(told)
            assert {name: told[name] for name in alarm.attributes(told)} == {
                name: each["StringValue"] for name, each in alarm.attributes(told).items()
            }
            state = {**state, "announced": state["state"]}


def test_what_the_alarm_topic_carries_is_taken(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    try:
        for balance in (1, 0, 100000):
            dxtong.configure(balance=balance)
            check(gateway)
        dxtong.configure(api_key="changed-in-the-console")
        for _ in range(3):
            check(gateway)
    finally:
        dxtong.configure(balance=100000, api_key="sandbox-key")
    found = alarms(gateway)
    assert [each["state"] for each in found] == ["low", "empty", "ok", "unknown"]
    for each in found:
        held(each)


def test_the_states_are_those_that_the_checks_give() -> None:
    vendor, none = vendors.vendor("dxtong"), Decimal(0)
    seen = {
        next_state({}, Check(vendor, Decimal(100), Decimal(120), none, none, remaining), NOW)["state"]
        for remaining in (Decimal(100), Decimal(99), none, None)
    }
    assert seen == set(schema("credit-alarm")["$defs"]["state"]["enum"])


@pytest.mark.parametrize("field", PROPERTIES)
def test_what_is_no_alarm_is_refused(field: str) -> None:
    good = schema("credit-alarm")["examples"][0]
    without = {name: value for name, value in good.items() if name != field}
    assert not takes("credit-alarm", without)
    assert not takes("credit-alarm", [good])
    wrongs: list[Any] = [None, 1, True, [], {}, "", "1\n", "1E3", ".5"]
    for wrong in wrongs:
        changed = copy.deepcopy(good) | {field: wrong}
        text = isinstance(wrong, str) and wrong and field in {"stack", "text", "unit"}
        null = wrong is None and field in {"remaining", "per_day", "days_left"}
        assert takes("credit-alarm", changed) == bool(text or null), changed


def test_a_further_field_is_taken() -> None:
    assert takes("credit-alarm", schema("credit-alarm")["examples"][0] | {"later": {}})
    assert json.dumps(schema("credit-alarm")["examples"][0])


def test_the_example_is_what_the_gateway_would_write() -> None:
    example = schema("credit-alarm")["examples"][0]
    now = 1795316645
    threshold, clear_at, remaining = (Decimal(example[name]) for name in ("threshold", "clear_at", "remaining"))
    made = Check(vendors.vendor("dxtong"), threshold, clear_at, Decimal(3), Decimal("3.6"), remaining)
    seen = {"state": "ok", "level": "ok", "announced": "ok", "readings": f"{now - 172800}:660 {now - 86400}:350"}
    assert alarm.content("voice-gateway", made, next_state(seen, made, now)) == example
