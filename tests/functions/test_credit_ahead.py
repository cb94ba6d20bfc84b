"""Credit that looks ahead: `balance_check` through its handler, hour by hour for weeks, in a time that the tests turn.

What it says is compared with the definition, worked out here from what was truly used each hour.
"""

import datetime
import json
import locale
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import time_machine
from moto import mock_aws
from voice_gateway.model.hours import CHINA

from local.simulators.dxtong import DxtongSimulator
from local.simulators.jumdata import JumdataSimulator
from tests.functions.test_balance_check import alarms, check, states
from tests.functions.test_send import Wire
from tests.gateway import Gateway, deployed

MONDAY = datetime.datetime(2026, 11, 16, 0, 7, tzinfo=CHINA)
HOUR = datetime.timedelta(hours=1)
WEEK = 7 * 24


@pytest.fixture(autouse=True)
def full(dxtong: DxtongSimulator, jumdata: JumdataSimulator) -> Iterator[None]:
    yield
    dxtong.configure(balance=100000, api_key="sandbox-key")
    jumdata.configure(balance=100000)


@dataclass
class Course:
    """What becomes of the credit: ``used`` in the hour before each, ``added`` in the same, from hour 1 on."""

    begins: int
    used: Callable[[int], int]
    added: Mapping[int, int] = field(default_factory=dict)
    failing: range = range(0)
    """Hours at which the check fails."""
    every: int = 2
    """Hours from one check to the next."""
    hours: int = 8 * 24

    def left(self, hour: int) -> int:
        return (
            self.begins
            - sum(map(self.used, range(1, hour + 1)))
            + sum(more for at, more in self.added.items() if at <= hour)
        )

    def per_day(self, now: int) -> float:
        """The definition, hour by hour: the burn of the last seven days, the hours with a top-up taken out."""
        hours = [hour for hour in range(max(1, now - WEEK + 1), now + 1) if hour not in self.added]
        return 24 * sum(map(self.used, hours)) / len(hours)


def working_hours(hour: int) -> int:
    """Forty an hour from nine to six on workdays; one every other hour at other times."""
    moment = MONDAY + hour * HOUR
    return 40 if moment.weekday() < 5 and 9 <= moment.hour < 18 else hour % 2


COURSES = {
    "as much each hour": Course(5_000, lambda hour: 13, every=1),
    "more each day": Course(20_000, lambda hour: 1 + hour // 6),
    "more each day, and then nothing": Course(
        9_000, lambda hour: hour // 6 if hour < 120 else 0, hours=12 * 24, every=3
    ),
    "a top-up in the middle": Course(2_500, lambda hour: 13, added={100: 4_000}),
    "a top-up each second day": Course(
        2_000, lambda hour: 10 + hour // 24, added=dict.fromkeys(range(30, 200, 48), 800)
    ),
    "a weekend of little": Course(6_500, working_hours, hours=14 * 24, every=3),
    "checks that fail for a day": Course(5_000, lambda hour: 13, failing=range(60, 84)),
    "a check every five hours": Course(9_000, lambda hour: 1 + (hour - 1) // 5, every=5),
}


@dataclass
class Clock:
    """Checks at moved hours, and takes what the alarm topic heard then: the queue forgets it in four days."""

    gateway: Gateway
    heard: list[dict[str, Any]] = field(default_factory=list)

    def check(self, hour: float) -> Any:
        with time_machine.travel(MONDAY + hour * HOUR):
            told = check(self.gateway)
            self.heard += alarms(self.gateway)
        return told["dxtong"]


@pytest.fixture
def clock(gateway: Gateway) -> Clock:
    return Clock(gateway)


def forecast(capsys: pytest.CaptureFixture[str], vendor: str = "dxtong") -> tuple[float | None, float | None]:
    """What the metrics said since it was last asked: CreditPerDay and CreditDaysLeft."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = (line for line in lines if line.get("vendor") == vendor and "Credit" in line)
    (metrics,) = line["_aws"]["CloudWatchMetrics"]
    assert metrics["Dimensions"] == [["stack", "vendor", "service"]]
    assert {metric["Name"] for metric in metrics["Metrics"]} == {name for name in line if name.startswith("Credit")}
    return line.get("CreditPerDay", [None])[0], line.get("CreditDaysLeft", [None])[0]


def near(told: float | None, expected: float) -> bool:
    """Within ten in a hundred, or half of what the last decimal can say."""
    return told is not None and abs(told - expected) <= max(0.1 * expected, 0.01)


@pytest.mark.parametrize("name", COURSES)
def test_days_left_are_what_the_definition_gives_hour_by_hour(
    name: str, clock: Clock, dxtong: DxtongSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    course, level, expected = COURSES[name], "ok", []
    for hour in range(0, course.hours, course.every):
        left = course.left(hour)
        assert left > 0, "a course that says something"
        dxtong.configure(balance=left, api_key="changed" if hour in course.failing else "sandbox-key")
        told = clock.check(hour)
        if hour in course.failing:
            continue
        per_day, days_left = forecast(capsys)
        if hour < 24:
            assert (per_day, days_left) == (None, None), hour
            days = 1e9
        else:
            assert near(per_day, course.per_day(hour)), (hour, per_day, course.per_day(hour))
            days = left / course.per_day(hour) if course.per_day(hour) else 1e9
            assert near(days_left, days) if course.per_day(hour) else days_left is None, (hour, days_left, days)
        before, level = level, _level(level, left, days)
        assert told["state"] == level, (hour, days)
        expected += [(before, level)] * (before != level)
    heard = [(alarm["previous"], alarm["state"]) for alarm in clock.heard]
    away = [("ok", "unknown"), ("unknown", "ok")] if course.failing else []
    assert [change for change in heard if change not in away] == expected, "one message a change"
    assert [change for change in heard if change in away] == away


def _level(before: str, left: float, days: float) -> str:
    if left < 100 or days < 3:
        return "low"
    return "low" if before == "low" and (left < 120 or days < 3.6) else "ok"


def steadily(clock: Clock, vendor: DxtongSimulator, begins: int, hours: int, used: int = 10) -> int:
    """Uses so much an hour, and checks once in three; returns what is left then."""
    for hour in range(0, hours + 1, 3):
        vendor.configure(balance=begins - used * hour)
        clock.check(hour)
    return begins - used * hours


# The state.


@pytest.mark.parametrize(
    ("vendor", "course"),
    [
        ("dxtong", [(1000, "ok"), (100, "ok"), (99, "low"), (1, "low"), (0, "empty"), (0, "empty"), (1, "low")]),
        ("dxtong", [(0, "empty"), (119, "low"), (120, "ok"), (0, "empty"), (5000, "ok")]),
        ("dxtong", [(99, "low"), (119, "low"), (120, "ok"), (119, "ok"), (100, "ok")]),
        ("dxtong", [*[(None, "unknown")] * 3, (0, "empty"), *[(None, "empty")] * 2, (None, "unknown"), (119, "low"),
                    (None, "low"), (120, "ok")]),
        ("jumdata", [("50", "ok"), ("49.99", "low"), ("0.01", "low"), ("0.009", "empty"), ("0", "empty"), ("60", "ok"),
                     ("59.99", "ok")]),
    ],
)  # fmt: skip
def test_the_state_by_what_is_left_and_one_message_a_change(
    gateway: Gateway,
    dxtong: DxtongSimulator,
    jumdata: JumdataSimulator,
    vendor: str,
    course: list[tuple[Any, str]],
) -> None:
    simulator: DxtongSimulator | JumdataSimulator = dxtong if vendor == "dxtong" else jumdata
    said, changes = "ok", []
    for at_, (balance, state) in enumerate(course):
        if balance is None:
            dxtong.configure(api_key="changed")
        else:
            dxtong.configure(api_key="sandbox-key")
            simulator.configure(balance=balance)
        assert check(gateway)[vendor]["state"] == state, (at_, balance)
        silent = state == "unknown" and at_ < 2
        if state != said and not silent:
            changes.append((vendor, said, state))
            said = state
    assert states(gateway) == changes


def test_credit_that_does_not_last_is_low_however_much_is_there_and_does_not_flap(
    clock: Clock, dxtong: DxtongSimulator
) -> None:
    """240 a day: 720 are three days, and 864 are 3.6."""
    assert steadily(clock, dxtong, 1000, 27) == 730
    assert clock.heard == []
    for hour, left, state in ((29, 710, "low"), (30, 760, "low"), (31, 850, "low"), (32, 840, "low"), (33, 900, "ok")):
        dxtong.configure(balance=left)
        assert clock.check(hour)["state"] == state, left
    low, ok = clock.heard
    assert (low["previous"], low["state"], low["remaining"]) == ("ok", "low", "710")
    assert (low["per_day"], low["days_left"]) == ("240", "2.9")
    assert (ok["previous"], ok["state"]) == ("low", "ok")
    assert float(ok["days_left"]) >= 3.6


@pytest.mark.parametrize(("ahead", "state"), [("0", "ok"), ("2", "ok"), ("3", "low"), ("30", "low")])
def test_the_days_ahead_are_a_setting_and_nought_is_off(
    dxtong: DxtongSimulator, jumdata: JumdataSimulator, ahead: str, state: str
) -> None:
    endpoints = {"dxtong": dxtong.address, "jumdata": jumdata.address}
    with mock_aws(), deployed(endpoints, CREDIT_DAYS_AHEAD=ahead) as gateway:
        clock = Clock(gateway)
        steadily(clock, dxtong, 900, 30)
        told = clock.check(31)
        assert told == {"state": state, "remaining": "600", "unit": "calls", "threshold": "100", "error": None}


def test_where_nothing_is_used_there_is_a_pace_and_no_end(
    clock: Clock, dxtong: DxtongSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    steadily(clock, dxtong, 500, 27, used=0)
    capsys.readouterr()
    clock.check(28)
    assert forecast(capsys) == (0, None)
    assert clock.heard == []


# What is kept.


def test_a_reading_an_hour_is_kept_for_fourteen_days(clock: Clock, gateway: Gateway) -> None:
    for hour in (0, 0.25, 0.5, 0.75, 1, 1.25):
        clock.check(hour)
    begun = [int(MONDAY.timestamp()) + 3600 * hour for hour in (0, 1)]
    assert readings(gateway) == [(moment, "100000") for moment in begun]
    for hour in range(8, 20 * 24, 8):
        clock.check(hour)
        assert readings(gateway)[-1][0] - readings(gateway)[0][0] <= 14 * 86400
    assert len(readings(gateway)) == 14 * 3 + 1


def readings(gateway: Gateway) -> list[tuple[int, str]]:
    item = gateway.item("BALANCE#dxtong") or {}
    parts = [part.split(":") for part in item["readings"].split(" ")]
    return [(int(moment), left) for moment, left in parts]


def test_what_an_earlier_release_stored_goes_on_and_so_does_what_nobody_can_read(
    clock: Clock, gateway: Gateway, dxtong: DxtongSimulator
) -> None:
    stored = {
        "pk": "BALANCE#dxtong",
        "v": "1",
        "revision": 7,
        "state": "low",
        "level": "low",
        "announced": "low",
        "failures": 0,
        "remaining": "60",
        "checked_at": 1,
    }
    for spoilt in ({}, {"readings": "x:1 1795000000:NaN 5 : "}):
        item = {name: {"N" if isinstance(value, int) else "S": str(value)} for name, value in (stored | spoilt).items()}
        gateway.client("dynamodb").put_item(TableName=gateway.environ["CALLS_TABLE"], Item=item)
        dxtong.configure(balance=110)
        assert clock.check(0)["state"] == "low", "over the mark, and it was low"
        assert readings(gateway) == [(int(MONDAY.timestamp()), "110")]
    assert clock.heard == []


def test_before_there_is_a_day_of_readings_nothing_is_foretold(
    clock: Clock, dxtong: DxtongSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    for hour, left, known in ((0, 4000, False), (12, 2000, False), (23.9, 150, False), (24, 140, True)):
        dxtong.configure(balance=left)
        capsys.readouterr()
        clock.check(hour)
        assert [each is not None for each in forecast(capsys)] == [known, known], hour
    (low,) = clock.heard
    assert (low["state"], low["per_day"], low["days_left"]) == ("low", "3860", "0.03")


# The alarm.


def test_the_alarm_says_on_which_weekday_it_will_be_used_up(clock: Clock, dxtong: DxtongSimulator) -> None:
    """Tuesday, ten past six in the morning, 240 a day, 698 left: it lasts until Friday morning."""
    steadily(clock, dxtong, 998, 30)
    (low,) = clock.heard
    assert low == {
        "kind": "credit",
        "stack": low["stack"],
        "vendor": "dxtong",
        "state": "low",
        "previous": "ok",
        "remaining": "698",
        "unit": "calls",
        "threshold": "100",
        "clear_at": "120",
        "per_day": "240",
        "days_left": "2.9",
        "checked_at": "2026-11-16T22:07:00Z",
        "text": low["text"],
    }
    assert low["text"].startswith(
        f"{low['stack']}: the credit at dxtong is low, 698 calls left, enough for 2.9 days, "
        "and the alarm is at 3 days. At this pace, 240 calls a day, it is used up on Friday, 20 November, "
        "at about 04:00 China time. Top "
    )


def test_weekdays_are_english_on_every_machine_and_the_year_is_told_where_it_is_another(
    clock: Clock, dxtong: DxtongSimulator
) -> None:
    spoken = [name for name in ("de_DE.UTF-8", "zh_CN.UTF-8", "fr_FR.UTF-8", "C.UTF-8") if _speaks(name)]
    try:
        for days in range(45):
            dxtong.configure(balance=9399 - 200 * days)
            clock.check(24 * days)
    finally:
        locale.setlocale(locale.LC_TIME, "C")
    assert spoken
    (low,) = clock.heard
    assert low["checked_at"].startswith("2026-12-29T16:07")
    assert "is used up on Saturday, 2 January 2027, at about 00:00 China time." in low["text"]


def _speaks(name: str) -> bool:
    try:
        locale.setlocale(locale.LC_TIME, name)
    except locale.Error:
        return False
    return True


def test_the_alarm_of_what_is_used_up_says_what_becomes_of_calls(gateway: Gateway, jumdata: JumdataSimulator) -> None:
    for balance in ("0", "1.5", "100"):
        jumdata.configure(balance=balance)
        check(gateway)
    empty, low, ok = alarms(gateway)
    assert (empty["previous"], empty["state"], empty["remaining"]) == ("ok", "empty", "0")
    assert (empty["per_day"], empty["days_left"]) == (None, None)
    for word in ("used up", "0 CNY left", "Calls fail now with insufficient_credit", "the other vendor", "at once"):
        assert word in empty["text"]
    assert (low["previous"], low["state"]) == ("empty", "low")
    assert "is not used up any more, but low, 1.5 CNY left and the alarm is at 50." in low["text"]
    assert (ok["previous"], ok["state"]) == ("low", "ok")
    assert ok["text"].endswith("is sufficient again, 100 CNY left.")


def test_an_alarm_that_waited_says_the_same_when_the_next_check_fails(clock: Clock, dxtong: DxtongSimulator) -> None:
    """The topic was away; then the vendor is."""
    steadily(clock, dxtong, 1000, 27)
    wire = Wire(clock.gateway)
    wire.failing = {"Publish"}
    dxtong.configure(balance=700)
    with pytest.raises(Exception, match="sns"):
        clock.check(30)
    wire.failing = set()
    dxtong.configure(api_key="changed")
    clock.check(31)
    (low,) = clock.heard
    assert (low["state"], low["remaining"], low["per_day"], low["days_left"]) == ("low", "700", "240", "2.9")
    assert "Friday, 20 November" in low["text"]
