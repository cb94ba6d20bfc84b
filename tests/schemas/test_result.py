"""The result's schema and real results: made of messages in any state, and told by the functions themselves."""

import ast
import copy
import json
from typing import Any

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st
from voice_gateway import vendors
from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.message import DEFERRED, PUBLIC_STATUS, Message, State
from voice_gateway.model.receipt import Receipt
from voice_gateway.model.result import nothing_stored, published, result
from voice_gateway.model.sequence import Ring, Sequence

from local.simulators.dxtong import DxtongSimulator
from local.simulators.jumdata import JumdataSimulator
from tests.functions.test_callbacks import dxtong_receipt, own_token, push_dxtong, push_jumdata
from tests.functions.test_publish import change
from tests.functions.test_send import SHIPPED, _in, number
from tests.gateway import ROOT, Gateway
from tests.schemas import systematic
from tests.schemas.held import DETERMINISTIC, NOW, schema, takes, why_not

PROPERTIES = list(schema("result")["properties"])
LINKED_BY = [each for each in schema("result")["$defs"]["linked_by"]["enum"] if each]

WORDS = st.text(max_size=10)
NAMES = st.none() | st.sampled_from(vendors.names())
EPOCHS = st.floats(0, 4e9)
DIGITS = st.from_regex(r"\A[0-9]{4}\Z")
CALL_IDS = st.none() | st.from_regex(r"\A[A-Za-z0-9._:-]{1,64}\Z")
ERRORS = st.none() | st.builds(Fault, st.sampled_from(Code), WORDS, NAMES, st.none() | WORDS, st.none() | WORDS).map(
    Fault.as_dict
)
REASONS = st.none() | st.sampled_from(sorted(vendors.reasons()))
RECEIPTS = st.none() | st.builds(
    Receipt, st.just("dxtong"), CALL_IDS, st.booleans(), REASONS, WORDS, WORDS, st.none() | st.integers(0, 9**9),
    st.none() | st.sampled_from(["2026-11-22T11:04:02+08:00"]),
).map(Receipt.as_dict)  # fmt: skip
LAST: dict[str, st.SearchStrategy[Any]] = {
    "vendor": NAMES,
    "call_id": CALL_IDS,
    "linked_by": st.none() | st.sampled_from(LINKED_BY),
    "reason": REASONS,
    "receipt": RECEIPTS,
    "error": ERRORS,
    "redials": st.integers(0, 1),
}
STATUSES = st.sampled_from(sorted({PUBLIC_STATUS.get(state, str(state)) for state in State}))


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """A message in any state; its numbers fit each other, as the gateway's do."""
    state = draw(st.sampled_from(State))
    callees = tuple(draw(st.lists(DIGITS, max_size=6)))
    rings = draw(st.lists(st.builds(Ring, st.just(1), st.none() | DIGITS, STATUSES, EPOCHS, **LAST), max_size=4))
    past = tuple(ring.but(ring=at) for at, ring in enumerate(rings, start=1))
    return Message(
        draw(st.from_regex(r"\A[A-Za-z0-9._:-]{1,128}\Z")),
        state,
        draw(EPOCHS),
        **draw(st.fixed_dictionaries(LAST)),
        template=draw(st.none() | WORDS),
        notify_data=draw(st.none() | WORDS),
        receipts=draw(st.frozensets(WORDS, max_size=3)),
        unlinked=draw(st.integers(0, 3)),
        deferred_until=draw(EPOCHS) if state in DEFERRED else None,
        called_at=draw(st.none() | EPOCHS),
        expires_at=draw(st.none() | EPOCHS),
        callees=callees,
        place=draw(st.integers(0, max(0, len(callees) - 1))),
        sequence=draw(st.none() | st.just(Sequence((60,), escalate_after=30))),
        ring=len(past) + draw(st.integers(0, 1)),
        past=past,
        no_more=draw(st.booleans()),
        dry_run=draw(st.booleans()),
    )


def held(told: dict[str, Any], *, as_published: bool = False) -> None:
    """A real result is taken, and has just the fields that the schema lists."""
    read_again = json.loads(json.dumps(told, ensure_ascii=False))
    assert takes("result", read_again), why_not("result", read_again)
    assert list(told) == [name for name in PROPERTIES if not (as_published and name == "replayed")]
    definitions = schema("result")["$defs"]
    for ring in told["rings"]:
        assert list(ring) == list(definitions["ring"]["properties"])
    parts = [*(told[name] for name in ("error", "receipt", "next")), *(ring["error"] for ring in told["rings"])]
    for name, part in zip(("error", "receipt", "next", *("error" for _ in told["rings"])), parts, strict=True):
        assert part is None or set(part) == set(definitions[name]["properties"])


@settings(DETERMINISTIC, max_examples=60)
@given(messages(), st.booleans())
def test_the_result_of_any_message_is_taken(message: Message, replayed: bool) -> None:
    held(result(message, replayed=replayed))
    held(published(message), as_published=True)


@pytest.mark.parametrize("code", Code)
@pytest.mark.parametrize("message_id", ["order-9633", None])
def test_the_result_of_nothing_stored_is_taken(message_id: str | None, code: Code) -> None:
    held(nothing_stored(message_id, Fault(code, "no", "dxtong", "1", "不"), NOW))


# Told by the functions


def test_what_the_functions_tell_is_taken(gateway: Gateway, dxtong: DxtongSimulator, jumdata: JumdataSimulator) -> None:
    told = [
        gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED),
        gateway.send(message_id="m1", mobile=number(0), vendor="dxtong", **SHIPPED),  # a replay
        gateway.send(message_id="m1", mobile=number(1), **SHIPPED),  # a conflict
        gateway.send(message_id="m2", mobile=number(0), dry_run=True, notify_data="仓库", **SHIPPED),
        gateway.send(message_id="m3", mobile="1", template=1),
        gateway.send(message_id="m4", mobile=number(90), vendor="dxtong", **SHIPPED),  # unknown
        gateway.send(message_id="m5", mobile=number(0), hours="03:00-03:01", escalate_to=[number(1)], **SHIPPED),
        gateway.status("nobody"),
        gateway.invoke("status", {}),
        gateway.invoke("cancel", {"message_id": "m5"}),
        gateway.invoke("cancel", {"message_id": "m5"}),
    ]
    push_dxtong(gateway, dxtong_receipt(told[0]["call_id"], "-6"))
    told.append(gateway.send(message_id="m6", mobile=number(0), vendor="jumdata", **SHIPPED))
    push_jumdata(gateway, own_token(jumdata), callId=told[-1]["call_id"])
    push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(90)))
    with time_machine.travel(_in(70)):
        gateway.sweep()
        told += [gateway.status(message_id) for message_id in ("m1", "m4", "m5", "m6")]
    for each in told:
        held(each)
    seen = {each["status"] for each in told}
    assert seen >= {"accepted", "rejected", "unknown", "failed", "delivered", "cancelled", None}
    assert {each["linked_by"] for each in told} >= {"call_id", "token"}


def test_what_the_results_topic_carries_is_taken(gateway: Gateway) -> None:
    gateway.invoke("publish", json.loads((ROOT / "events" / "publish.json").read_text()))
    for at, state in enumerate(("accepted", "unknown", "rejected", "expired", "cancelled")):
        gateway.invoke("publish", change("calling", state, f"m{at}"))
    found = [json.loads(envelope["Message"]) for envelope in gateway.taken("results")]
    assert len(found) == 6
    for each in found:
        held(each, as_published=True)


def test_a_receipt_is_matched_in_the_ways_that_the_schema_lists() -> None:
    """The code has them as plain texts: where it applies a receipt."""
    found = set()
    for room in ("receipts", "sweeping"):
        for path in (ROOT / "layers" / "gateway" / "src" / "voice_gateway" / room).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in {"of_message", "_apply", "_link"}:
                    texts = (each.value for each in node.args if isinstance(each, ast.Constant))
                    found |= {text for text in texts if isinstance(text, str)}
    assert found == set(LINKED_BY)


# What is no result


EXAMPLES = pytest.mark.parametrize("example", [0, 1, 2], ids=["failed", "deferred", "not found"])


@EXAMPLES
def test_a_result_without_one_of_its_fields_is_refused(example: int) -> None:
    good = schema("result")["examples"][example]
    for path in systematic.places(good):
        if isinstance(path[-1], str):
            assert takes("result", systematic.without(good, path)) == (path == ("replayed",)), path


@EXAMPLES
@pytest.mark.parametrize("wrong", [[], {}, 1.5, -1, True, "?", "a\n", None], ids=repr)
def test_a_result_with_a_value_of_another_kind_is_refused(example: int, wrong: Any) -> None:
    good = schema("result")["examples"][example]
    assert not takes("result", wrong)
    for path in systematic.places(good):
        assert takes("result", systematic.put(good, path, wrong)) == _may_be(path, wrong), path


@pytest.mark.parametrize("more", [None, 1, {"a": []}])
def test_a_further_field_is_taken(more: Any) -> None:
    changed = copy.deepcopy(schema("result")["examples"][0])
    for part in (changed, changed["receipt"], changed["rings"][0]):
        part["later"] = more
    assert takes("result", changed)


TEXTS = {"message_id", "call_id", "notify_data", "template", "message", "reported_at", "vendor_code", "vendor_message"}
NULLABLE = {
    *("vendor", "call_id", "linked_by", "reason", "error", "receipt", "deferred_until", "next", "callee", "message_id"),
    *("status", "notify_data", "template", "talk_seconds", "reported_at", "vendor_code", "vendor_message"),
}


def _may_be(path: tuple[Any, ...], wrong: Any) -> bool:
    """Whether a value of that kind may be there, by the page and not by the schema."""
    name = path[-1]
    if wrong is None:
        may = name in NULLABLE and path != ("rings", 0, "status")
    elif wrong is True:
        may = name in {"dry_run", "replayed", "retryable"}
    elif isinstance(wrong, str):
        may = name in TEXTS or path == ("receipt", "code")
    else:
        may = wrong == [] and name == "rings"
    return bool(may)
