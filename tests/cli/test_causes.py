"""The causes of `why` on evidence made by hand: every one is reached, in its order, in words that are whole."""

import json
from typing import Any

import pytest
from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.message import Message, State
from voice_gateway.model.sequence import Ring, Sequence
from voice_gateway_cli.deployed.stack import Letter, LogLine
from voice_gateway_cli.why.causes import CAUSES, explain
from voice_gateway_cli.why.evidence import Evidence

NOW = 1_795_800_000.0


def message(state: State, error: Fault | None = None, **fields: Any) -> Message:
    usual: dict[str, Any] = {
        "vendor": "dxtong",
        "callees": ("8001",),
        "called_at": NOW - 60,
        "expires_at": NOW + 3600,
        "request": '{"mobile": "13800138001", "content": "x"}',
        "ring": 1,
    }
    return Message("m", state, NOW - 50, error=error.as_dict() if error else None, **{**usual, **fields})


def refusal(code: Code, text: str = "why", vendor_code: str | None = None) -> Message:
    return message(State.REJECTED, Fault(code, text, "dxtong", vendor_code, vendor_code and "說明"))


def kept(code: Code | None = None, text: str = "why", **fields: Any) -> Message:
    error = Fault(code, text, "dxtong") if code else None
    return message(State.DUE, error, deferred_until=NOW + 600, ring=0, called_at=None, **fields)


def line(function: str, **content: Any) -> LogLine:
    return LogLine(NOW - 30, function, json.dumps(content), content)


def letter(body: str) -> Letter:
    return Letter("1", body, "handle", NOW - 30, {})


RUNG = (Ring(1, "8001", "failed", NOW - 400, vendor="dxtong", reason="no_answer"),)
UNKNOWN = Fault(
    Code.OUTCOME_UNKNOWN, "dxtong: the deadline passed; nobody can say whether the phone was rung", "dxtong"
)
CUT = Fault(Code.OUTCOME_UNKNOWN, "the function ended while it was calling; nobody can say …", "dxtong")
TWO: dict[str, Any] = {"callees": ("8001", "8002"), "sequence": Sequence(escalate_after=180)}
BASE: dict[str, Any] = {"message_id": "m", "now": NOW, "listeners": 1}

EVIDENCE: dict[str, Evidence] = {
    "dead_letter": Evidence(**BASE, letters=(letter("{}"),)),
    "could_not_be_stored": Evidence(**BASE, lines=(line("send", raised="TryLater"),), backlog=3),
    "lanes_not_subscribed": Evidence(**BASE, lanes_listen=False),
    "waits_in_lane": Evidence(**BASE, backlog=3),
    "never_seen": Evidence(**BASE),
    "conflict": Evidence(**BASE, message=message(State.DELIVERED), lines=(line("send", error="conflict"),)),
    "results_unheard": Evidence(**{**BASE, "listeners": 0}, message=message(State.DELIVERED)),
    "linked_by_number": Evidence(**BASE, message=message(State.FAILED, linked_by="number", reason="busy")),
    "delivered": Evidence(**BASE, message=message(State.DELIVERED, linked_by="call_id")),
    "failed": Evidence(**BASE, message=message(State.FAILED, reason="no_answer", linked_by="query")),
    "cancelled": Evidence(**BASE, message=message(State.CANCELLED)),
    "expired_between_rings": Evidence(**BASE, message=message(State.EXPIRED, past=RUNG, ring=1, called_at=None)),
    "expired": Evidence(**BASE, message=message(State.EXPIRED, ring=0, called_at=None)),
    "bad_request": Evidence(**BASE, message=refusal(Code.INVALID_REQUEST)),
    "number_refused": Evidence(**BASE, message=refusal(Code.INVALID_MOBILE, vendor_code="406")),
    "bad_number": Evidence(**BASE, message=refusal(Code.INVALID_MOBILE)),
    "blocklisted": Evidence(**BASE, message=refusal(Code.BLOCKLISTED, vendor_code="4030")),
    "content_refused": Evidence(**BASE, message=refusal(Code.CONTENT_REFUSED, vendor_code="407")),
    "unknown_template": Evidence(**BASE, message=refusal(Code.UNKNOWN_TEMPLATE)),
    "text_not_registered": Evidence(**BASE, message=refusal(Code.TEMPLATE_MISMATCH, vendor_code="4072")),
    "params_do_not_fit": Evidence(**BASE, message=refusal(Code.TEMPLATE_MISMATCH, "params: missing: order")),
    "too_long": Evidence(**BASE, message=refusal(Code.CONTENT_TOO_LONG)),
    "vendor_cap": Evidence(**BASE, message=refusal(Code.DAILY_LIMIT, vendor_code="4082")),
    "cap": Evidence(**BASE, message=refusal(Code.DAILY_LIMIT)),
    "outside_hours": Evidence(**BASE, message=refusal(Code.OUTSIDE_HOURS)),
    "no_credit": Evidence(**BASE, message=refusal(Code.INSUFFICIENT_CREDIT, vendor_code="4051")),
    "credentials": Evidence(**BASE, message=refusal(Code.CREDENTIALS_REFUSED, vendor_code="405")),
    "ip_not_allowed": Evidence(**BASE, message=refusal(Code.IP_NOT_ALLOWED, vendor_code="400")),
    "account_suspended": Evidence(**BASE, message=refusal(Code.ACCOUNT_SUSPENDED, vendor_code="4050")),
    "secret_empty": Evidence(**BASE, message=refusal(Code.NOT_CONFIGURED, "dxtong: its secret is not filled in")),
    "not_configured": Evidence(**BASE, message=refusal(Code.NOT_CONFIGURED, vendor_code="601")),
    "rejected": Evidence(**BASE, message=refusal(Code.VENDOR_UNAVAILABLE)),
    "sequence_goes_on": Evidence(**BASE, message=kept(past=RUNG)),
    "paced": Evidence(**BASE, message=kept(Code.VENDOR_UNAVAILABLE, "more calls than dxtong's pace allows")),
    "vendor_down": Evidence(**BASE, message=kept(Code.VENDOR_UNAVAILABLE, "dxtong could not be reached: refused")),
    "deferred_by_error": Evidence(**BASE, message=kept(Code.NOT_CONFIGURED)),
    "not_before": Evidence(
        **BASE, message=kept(request=json.dumps({"mobile": "1", "not_before": "2026-11-27T17:30:00+00:00"}))
    ),
    "callee_hours": Evidence(**BASE, message=kept(request='{"mobile": "1", "hours": "08:00-20:00"}')),
    "vendor_hours": Evidence(**BASE, message=kept()),
    "sweep_is_not_running": Evidence(**BASE, message=message(State.CALLING, lease=NOW - 300)),
    "receipt_unreadable": Evidence(
        **BASE, message=message(State.ACCEPTED), letters=(letter('{"why": "unreadable callback of dxtong: no code"}'),)
    ),
    "number_mismatch": Evidence(
        **BASE, message=message(State.ACCEPTED, call_id="1"), call={"pk": "CALL#dxtong#1", "rhash": "a", "nhash": "b"}
    ),
    "two_open_messages": Evidence(**BASE, message=message(State.UNKNOWN, UNKNOWN, unlinked=2)),
    "old_key": Evidence(
        **BASE, message=message(State.ACCEPTED), refused=(line("callback_dxtong", refused="unknown key"),)
    ),
    "no_receipt": Evidence(**BASE, message=message(State.ACCEPTED, asked=1)),
    "escalates": Evidence(**BASE, message=message(State.ACCEPTED, **TWO)),
    "waiting_for_receipt": Evidence(**BASE, message=message(State.ACCEPTED)),
    "redial_comes": Evidence(**BASE, message=message(State.UNKNOWN, UNKNOWN, on_unknown="redial_once")),
    "cut_off": Evidence(**BASE, message=message(State.UNKNOWN, CUT)),
    "answer_lost": Evidence(**BASE, message=message(State.UNKNOWN, UNKNOWN)),
    "being_handed_over": Evidence(**BASE, message=message(State.CALLING, lease=NOW + 40)),
}


@pytest.mark.parametrize("key", EVIDENCE)
def test_each_cause_is_reached_in_whole_words(key: str) -> None:
    answer = explain(EVIDENCE[key])
    assert answer.key == key
    for text in (answer.means, answer.do, *answer.also):
        assert text.endswith((".", "?")), text
        for gap in ("{", "None", "????", "  ", ".."):
            assert gap not in text, text
    assert answer.runbook.startswith("docs/runbooks/")
    assert "{" not in answer.runbook


def test_every_cause_has_its_evidence_here_and_its_own_key_and_words() -> None:
    assert list(EVIDENCE) == [cause.key for cause in CAUSES]
    assert len({cause.means for cause in CAUSES}) == len(CAUSES)


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        (Evidence(**{**BASE, "listeners": 0}, message=message(State.FAILED)), "nobody was told"),
        (Evidence(**BASE, message=message(State.ACCEPTED), letters=(letter("{}"),)), "A dead letter is about it"),
        (Evidence(**BASE, message=message(State.ACCEPTED), entries=(letter("{}"),)), "waits in the outbox"),
        (
            Evidence(**BASE, message=message(State.UNKNOWN, UNKNOWN), waiting=({"pk": "CALL#dxtong#1"},)),
            "A receipt for its number waits",
        ),
    ],
    ids=["nobody listens", "dead letter", "outbox", "receipt"],
)
def test_what_is_true_beside_the_cause(evidence: Evidence, told: str) -> None:
    assert any(told in text for text in explain(evidence).also)


def test_nothing_is_said_beside_a_cause_that_says_it() -> None:
    assert explain(EVIDENCE["results_unheard"]).also == ()


def test_who_answered_is_named_and_not_whose_turn_it_was() -> None:
    """A late receipt of the first ring ends a message that had gone on to the next number."""
    first = Ring(1, "8001", "delivered", NOW - 400, vendor="dxtong")
    second = Ring(2, "8002", "unknown", NOW - 100, vendor="jumdata")
    now = message(State.DELIVERED, **TWO, past=(first, second), place=1, ring=2)
    assert "*8001 was rung" in explain(Evidence(**BASE, message=now)).means


def test_what_nobody_keeps_is_not_offered_to_be_sent_again() -> None:
    kept = explain(EVIDENCE["no_credit"]).do
    gone = explain(Evidence(**BASE, message=refusal(Code.INSUFFICIENT_CREDIT).but(request=""))).do
    assert "`voice-gateway resend m --as NEW`" in kept
    assert "have its caller send it again under a new id" in gone
    assert "resend" not in gone


def test_what_was_rung_before_a_refusal_is_said() -> None:
    refused_later = refusal(Code.INSUFFICIENT_CREDIT).but(past=RUNG, ring=2)
    said = explain(Evidence(**BASE, message=refused_later)).means
    assert "Nobody was rung" not in said
    assert "Before that there was 1 ring, without success." in said
    assert "Nobody was rung." in explain(EVIDENCE["no_credit"]).means


def test_what_went_back_to_its_lane_did_come() -> None:
    back = Evidence(**BASE, lines=(line("send", WentBack=[1.0], status="deferred"),))
    assert explain(back).key == "could_not_be_stored"
    for other in (line("send", raised="TryLater", dry_run=True), line("cancel", raised="AwsUnavailable")):
        assert explain(Evidence(**BASE, lines=(other,))).key == "never_seen"


def test_a_ring_to_come_is_said_before_how_the_last_one_was_lost() -> None:
    cut = message(State.UNKNOWN, CUT, on_unknown="redial_once")
    assert explain(Evidence(**BASE, message=cut)).key == "redial_comes"
    assert explain(Evidence(**BASE, message=cut.but(expires_at=NOW - 1))).key == "cut_off"


def test_a_conflict_does_not_hide_what_became_of_the_first() -> None:
    lines = (line("send", error="conflict"),)
    lost = explain(Evidence(**BASE, message=message(State.UNKNOWN, UNKNOWN), lines=lines))
    assert lost.key == "answer_lost"
    assert any("Another request" in text for text in lost.also)


def test_a_sequence_that_a_vendor_keeps_waiting_says_so() -> None:
    fault = Fault(Code.VENDOR_UNAVAILABLE, "dxtong could not be reached", "dxtong")
    waits = message(State.RELEASED, fault, past=RUNG, deferred_until=NOW + 60)
    assert explain(Evidence(**BASE, message=waits)).key == "vendor_down"
