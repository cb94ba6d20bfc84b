"""The request's schema and the gateway's parser: what the one takes the other takes, but for the listed differences."""

import itertools
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.schemas.differences import REFUSED, expected
from tests.schemas.held import DETERMINISTIC, parser_takes, takes, why_not
from tests.schemas.making import values
from tests.schemas.mutating import mutated
from tests.schemas.systematic import changed

pytestmark = pytest.mark.disable_socket

TEXT: dict[str, Any] = {"mobile": "13800138000", "content": "您的订单号是:9633。"}
CATALOGUE: dict[str, Any] = {"mobile": "13800138000", "template": "order_shipped", "params": {"order": 9633}}

DIFFERENT: dict[str, list[dict[str, Any]]] = {
    "a number with a fraction of zero": [
        {**TEXT, "play_times": 1.0},
        {**TEXT, "mobile": 13800138000.0},
        {**CATALOGUE, "params": {"order": 1e2}},
        {**TEXT, "redial": {"times": 2, "after_seconds": [60, 60.0]}},
    ],
    "half a character": [
        {**TEXT, "content": "a\ud83d"},
        {**TEXT, "notify_data": "\ude00"},
        {**CATALOGUE, "params": {"order": "\ud83d"}},
        {**CATALOGUE, "params": {"\ud83d": 1}},
    ],
    "notify_data over 1,024 bytes": [{**TEXT, "notify_data": "字" * 342}],
    "a request over 65,536 bytes": [{**CATALOGUE, "params": {"order": "字" * 22_000}}],
    "the same number twice": [
        {**TEXT, "escalate_to": ["138 0013 8000"]},
        {**TEXT, "escalate_to": ["13800138001", "+86 １３８００１３８００１"]},
        {**TEXT, "escalate_to": ["13800138001", 13800138001]},
    ],
    "two equal times in hours": [{**TEXT, "hours": "09:00-09:00"}],
    "not_before not before expires_at": [
        {**TEXT, "not_before": "2027-01-15T09:00:00Z", "expires_at": "2027-01-15T17:00:00+08:00"}
    ],
    "not_before over 30 days ahead": [{**TEXT, "not_before": "2027-02-14T08:00:01Z"}],
    "a moment outside the years 1 to 9999 in UTC": [
        {**TEXT, "expires_at": "9999-12-31T23:59:59-00:01"},
        {**TEXT, "expires_at": "0001-01-01T00:00:00+08:00"},
    ],
}


@settings(DETERMINISTIC, max_examples=20)
@given(values("request"))
def test_what_the_schema_takes_the_parser_takes(raw: dict[str, Any]) -> None:
    different = [name for name, differs in REFUSED.items() if differs(raw)]
    note(f"different: {different}")
    assert parser_takes(raw) == (not different)


@settings(DETERMINISTIC, max_examples=400)
@given(mutated())
def test_near_the_boundary_they_agree(raw: Any) -> None:
    note(f"schema: {why_not('request', raw)}")
    assert parser_takes(raw) == expected(raw)


def test_every_difference_has_its_examples() -> None:
    assert list(DIFFERENT) == list(REFUSED)


@pytest.mark.parametrize("name", REFUSED)
def test_a_difference_is_one(name: str) -> None:
    """The schema takes it, the gateway refuses it, and for this alone."""
    for raw in DIFFERENT[name]:
        assert takes("request", raw), why_not("request", raw)
        assert not parser_takes(raw), raw
        assert [other for other, differs in REFUSED.items() if differs(raw)] == [name]


@pytest.mark.parametrize("offset", ["+08:60", "-22:99", "+00:75"])
def test_an_offset_has_no_more_than_59_minutes(offset: str) -> None:
    raw = {**TEXT, "expires_at": f"2026-11-22T03:04:02{offset}"}
    assert not parser_takes(raw)
    assert not takes("request", raw)


MORE: dict[str, Any] = {
    "message_id": "order-9633", "play_times": 1, "notify_data": "{}", "on_unknown": "stop", "hours": "22:00-06:00",
    "redial": {"times": 2, "after_seconds": [60, 86400], "reasons": ["no_answer", "busy"]}, "priority": "bulk",
    "escalate_to": ["13800138001", "138 0013 8002"], "escalate_after_seconds": 30, "dry_run": True,
    "not_before": "2027-01-15T10:00:00+08:00", "expires_at": "2027-01-16T08:00:00Z",
}  # fmt: skip
WHOLE: dict[str, dict[str, Any]] = {
    "catalogue": {**CATALOGUE, **MORE},
    "text": {**TEXT, "vendor": "dxtong", "redial": {"times": 5}},
    "vendor template": {"mobile": 13800138000, "template_id": "T1001", "params": [9633, "顺丰"], "vendor": "jumdata"},
}


@pytest.mark.parametrize("form", WHOLE)
def test_at_every_place_they_agree(form: str) -> None:
    assert takes("request", WHOLE[form])
    assert parser_takes(WHOLE[form])
    for raw in changed(WHOLE[form]):
        assert parser_takes(raw) == expected(raw), raw


@pytest.mark.parametrize("raw", [None, "", "{}", 1, True, [], [TEXT], {}, {"mobile": "13800138000"}])
def test_what_is_no_request_is_refused_by_both(raw: Any) -> None:
    assert not takes("request", raw)
    assert not parser_takes(raw)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\u2028", "é"])
@pytest.mark.parametrize("field", ["message_id", "hours", "expires_at"])
def test_a_line_end_after_a_value_is_refused_by_both(field: str, ending: str) -> None:
    """Python's ``$`` matches before one, and ECMAScript's does not."""
    good = {"message_id": "order-9633", "hours": "09:00-21:30", "expires_at": "2027-01-15T09:00:00Z"}[field]
    assert takes("request", {**TEXT, field: good})
    assert parser_takes({**TEXT, field: good})
    assert not takes("request", {**TEXT, field: good + ending})
    assert not parser_takes({**TEXT, field: good + ending})


HOURS = st.from_regex(r"\A[012][0-9]:[0-6][0-9]-[012][0-9]:[0-6][0-9]\Z")
DAYS = st.tuples(st.integers(0, 9999), st.integers(0, 13), st.integers(0, 32)).map(
    "{0[0]:04}-{0[1]:02}-{0[2]:02}".format
)
TIMES = st.tuples(st.integers(0, 25), st.integers(0, 61), st.integers(0, 61)).map(
    "{0[0]:02}:{0[1]:02}:{0[2]:02}".format
)
OFFSETS = st.sampled_from(["Z", "z", "+08:00", "-23:59", "+24:00", "+08:61", "+0800", "+08", "", "+23:60", " Z"])
MOMENTS = st.tuples(DAYS, st.sampled_from("TtT "), TIMES, st.sampled_from(["", ".1", ".", ".1234567890"]), OFFSETS)


@DETERMINISTIC
@given(HOURS)
def test_hours_agree(hours: str) -> None:
    raw = {**TEXT, "hours": hours}
    assert parser_takes(raw) == expected(raw)


@DETERMINISTIC
@given(MOMENTS.map("".join))
def test_moments_agree(moment: str) -> None:
    raw = {**TEXT, "expires_at": moment}
    assert parser_takes(raw) == expected(raw)


@pytest.mark.parametrize("year", [1600, 1900, 2000, 2026, 2028, 2100, 2400, 9999, 1, 0])
def test_every_day_of_a_year_agrees(year: int) -> None:
    for month in range(14):
        for day in range(33):
            raw = {**TEXT, "expires_at": f"{year:04}-{month:02}-{day:02}T12:00:00Z"}
            assert takes("request", raw) == parser_takes(raw), raw


@pytest.mark.parametrize("least", [1, 5, 30, 60, 3600, 86400])
def test_bounds_of_numbers_agree(least: int) -> None:
    for number in range(least - 2, least + 3):
        for more in (
            {"play_times": number},
            {"escalate_after_seconds": number},
            {"redial": {"times": number}},
            {"redial": {"times": 1, "after_seconds": number}},
            {"redial": {"times": 2, "after_seconds": [60, number]}},
        ):
            assert takes("request", {**TEXT, **more}) == parser_takes({**TEXT, **more}), more


def test_redials_of_each_length_agree() -> None:
    for times in range(7):
        for length in range(7):
            raw = {**TEXT, "redial": {"times": times, "after_seconds": [60] * length}}
            assert takes("request", raw) == parser_takes(raw), raw


def test_forms_vendors_and_params_agree() -> None:
    forms: list[dict[str, Any]] = [{}, {"template": "a"}, {"content": "a"}, {"template_id": "a"}]
    params: list[dict[str, Any]] = [{}, *({"params": value} for value in ({}, [], {"a": 1}, ["a", 1], None))]
    given_vendors: list[dict[str, Any]] = [{}, {"vendor": "dxtong"}, {"vendor": "jumdata"}, {"vendor": "base"}]
    for parts in itertools.product(forms, forms, params, given_vendors):
        raw = {"mobile": "13800138000"}
        for part in parts:
            raw |= part
        assert takes("request", raw) == parser_takes(raw), raw
