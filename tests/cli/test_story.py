"""The story of `why`: what each kind of log line says, in order, and what the item says where the lines are gone."""

import json
from typing import Any

import pytest
from voice_gateway.model.message import State
from voice_gateway_cli.deployed.stack import LogLine
from voice_gateway_cli.why.evidence import Evidence
from voice_gateway_cli.why.story import Event, tell

from tests.cli.test_causes import BASE, NOW, RUNG, letter, message


def metrics(function: str, at: float = NOW, **content: Any) -> LogLine:
    """An invocation's line, as `platform/observability.py` writes it."""
    whole = {"_aws": {}, "service": function, **content}
    return LogLine(at, function, json.dumps(whole), whole)


def said(function: str, **content: Any) -> LogLine:
    return LogLine(NOW, function, json.dumps(content), content)


def told(*lines: LogLine, **more: Any) -> list[str]:
    return [event.what for event in tell(Evidence(**BASE, lines=lines, **more))]


CALLED: dict[str, Any] = {"vendor": "dxtong", "vendor_ms": 12, "ring": 1}
REPORTED: dict[str, Any] = {"vendor": "dxtong", "code": "-6", "status": "failed", "reason": "no_answer"}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            metrics("send", **CALLED, status="accepted", call_id="7"),
            "ring 1: dxtong took the call in 12 ms, call id 7",
        ),
        (
            metrics("send", **CALLED, status="accepted", call_id="7", not_taken="jumdata insufficient_credit 603"),
            "jumdata insufficient_credit 603; then ring 1: dxtong took the call in 12 ms, call id 7",
        ),
        (
            metrics(
                "send",
                **{**CALLED, "vendor": "jumdata"},  # of a message that nobody took the line has the first error
                status="rejected",
                error="insufficient_credit",
                vendor_code="603",
                not_taken="jumdata insufficient_credit 603, dxtong account_suspended 4050",
            ),
            "jumdata insufficient_credit 603; then ring 1: dxtong said account_suspended 4050: refused",
        ),
        (
            metrics("send", **CALLED, status="rejected", error="blocklisted", vendor_code="4030"),
            "ring 1: dxtong said blocklisted 4030: refused",
        ),
        (
            metrics("send", **CALLED, status="deferred", error="vendor_unavailable", vendor_code="0"),
            "ring 1: dxtong said vendor_unavailable 0: it is tried again later",
        ),
        (
            metrics("send", **CALLED, status="unknown"),
            "ring 1: dxtong was called and gave no clear answer within 12 ms",
        ),
        (metrics("send", status="deferred"), "asked; kept for later"),
        (metrics("send", status="rejected", error="invalid_request"), "asked; refused: invalid_request"),
        (metrics("send", status="expired", error="expired"), "its time had run out: not rung"),
        (
            metrics("send", status="rejected", error="conflict"),
            "another request came under the same id: refused, conflict",
        ),
        (
            metrics("send", status="delivered", replayed=True),
            "asked again under the same id: got the stored result, delivered",
        ),
        (metrics("send", raised="TryLater"), "asked; it could not be taken (TryLater), and comes again"),
        (
            metrics("callback_dxtong", **REPORTED, receipt="settled"),
            "dxtong reported -6: failed, nobody answered; it settled the message",
        ),
        (
            metrics("callback_dxtong", **REPORTED, receipt="waiting"),
            "dxtong reported -6: failed, nobody answered; no message known for this call id yet: it waits",
        ),
        (metrics("callback_jumdata", Unreadable=[1.0]), "a callback that cannot be read came: kept as a dead letter"),
        (metrics("publish", status="unknown", Published=[0, 1.0]), "the results topic was told: unknown"),
        (metrics("publish", status="failed", Published=[0]), "the results topic could not be told yet: failed"),
        (
            metrics("publish", status="delivered", Published=[1.0], linked_by="number"),
            "the results topic was told: delivered, linked by number",
        ),
        (
            metrics("publish", status="deferred", Published=[1.0], NextRing=[1.0]),
            "the results topic was told: deferred; the next ring was handed over",
        ),
        (metrics("cancel", status="cancelled"), "its caller asked to call it off: cancelled"),
        (said("sweep", message="no receipt came", message_id="m"), "sweep: no receipt came in time"),
        (said("send", message="something new", why="because"), "something new (because)"),
        (LogLine(NOW, "send", "Task timed out after 30.00 seconds", {}), "the function ran out of time"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_line_says(line: LogLine, sentence: str) -> None:
    assert told(line) == [sentence]


def test_what_is_no_part_of_the_story() -> None:
    assert told(metrics("send", status="accepted", dry_run=True), metrics("sweep", Applied=[1.0])) == []
    assert told(LogLine(NOW, "send", "REPORT RequestId: 1", {})) == []


def test_the_item_speaks_where_the_lines_are_gone() -> None:
    receipt = {"code": "2", "message": "成功", "talk_seconds": 9, "reported_at": None}
    now = message(State.DELIVERED, past=RUNG, ring=2, called_at=NOW - 90, receipt=receipt, linked_by="number")
    assert [(event.by, event.what) for event in tell(Evidence(**BASE, message=now))] == [
        ("table", "ring 1: *8001 by dxtong: failed, no_answer"),
        ("table", "ring 2: *8001 by dxtong"),
        ("table", "dxtong reported 2 成功 (matched by the number)"),
        ("table", "since then it is delivered"),
    ]


def test_it_is_in_order_and_nothing_is_told_twice() -> None:
    later = metrics("publish", NOW + 1, status="accepted", Published=[1.0])
    earlier = metrics("send", NOW - 40, **CALLED, status="accepted", call_id="7")
    events = tell(Evidence(**BASE, lines=(later, earlier, later), letters=(letter("{}"),)))
    assert [event.by for event in events] == ["send", "queue", "publish"]
    assert events[1] == Event(NOW - 30, "queue", "a dead letter about it was kept")
