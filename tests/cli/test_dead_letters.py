"""`dead-letters`: every form that a letter may have, what is shown of it, and where a redrive hands it."""

import base64
import datetime
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from typer.testing import CliRunner
from voice_gateway.model.message import Message, State
from voice_gateway.platform.callback_tokens import Keyring
from voice_gateway.storage.message_text import message_fields
from voice_gateway_cli import session as of_session
from voice_gateway_cli.deployed.stack import Letter, Stack
from voice_gateway_cli.errors import CommandError, UsageError
from voice_gateway_cli.letters import queue, redriving
from voice_gateway_cli.letters.kinds import Asked, Callback, Found, Kind
from voice_gateway_cli.letters.queue import DeadLetters, named, short_ids
from voice_gateway_cli.letters.reading import LANES, OUTBOX, read
from voice_gateway_cli.letters.redriving import event, redrive
from voice_gateway_cli.letters.words import as_data, does, facts, safe
from voice_gateway_cli.main import app
from voice_gateway_cli.session import Options, Session

from tests.marks import NUMBERS, leaks

REGION = "cn-north-1"
NUMBER = f"{NUMBERS}01"
REQUEST: dict[str, Any] = {"message_id": "m1", "mobile": NUMBER, "vendor": "dxtong", "content": "请注意查收"}
BARE = {name: value for name, value in REQUEST.items() if name != "message_id"}
RESULT = {"message_id": "m1", "status": "deferred", "error": {"code": "unavailable", "message": "dynamodb: no answer"}}
RECEIPT = json.dumps(
    {"vendor": "jumdata", "call_id": "7", "delivered": True, "reason": None, "code": "0", "message": ""}
)
SNS_ID = "8f3c2a9e-0000-4000-8000-000000000001"
SECRET = json.dumps({"keys": {"k1": ""}, "number_key": "n" * 64})
TOKEN = Keyring.from_secret(SECRET).static_token("dxtong")
PLACE = {
    "shardId": "shardId-00000001",
    "startSequenceNumber": "000000000000000000000100",
    "endSequenceNumber": "000000000000000000000104",
    "batchSize": 5,
    "streamArn": "arn:aws-cn:dynamodb:cn-north-1:1:table/calls/stream/1",
}


def letter(body: Any, letter_id: str = "abcdef01-23", **attributes: str) -> Letter:
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return Letter(letter_id, text, "handle", 1795316640.0, attributes)


def failed(payload: Any, **context: Any) -> dict[str, Any]:
    raised = {"errorType": "TryLater", "errorMessage": json.dumps(RESULT)}
    return {"requestContext": context, "requestPayload": payload, "responsePayload": raised}


def notification(message: str) -> dict[str, Any]:
    return {"Type": "Notification", "MessageId": SNS_ID, "TopicArn": "arn:t", "Message": message}


def raw_callback(**more: Any) -> dict[str, Any]:
    packed = base64.b64encode(f"code=2&mobilephone={NUMBER}".encode()).decode()
    kept = {"content_type": "text/plain", "query": "", "body_base64": packed}
    return {"why": "unreadable callback of dxtong: no call id", "message_id": None, **kept, **more}


def handed_over() -> dict[str, Any]:
    stored = Message("m1", State.DUE, 1.0, request=json.dumps(REQUEST), vendor="jumdata")
    return {"handed_over": message_fields(stored)}


def sns_event(*bodies: dict[str, Any]) -> dict[str, Any]:
    return {"Records": [{"Sns": {"MessageId": SNS_ID, "Message": json.dumps(each)}} for each in bodies]}


FORMS: dict[str, tuple[Any, dict[str, str], str | None, tuple[Any, ...]]] = {
    # name: body, attributes, source; kind, what, message id, vendor, a part of why and error
    "async": (
        failed(REQUEST),
        {},
        None,
        (Kind.REQUEST, "request, asynchronous", "m1", "dxtong", "dynamodb: no answer"),
    ),
    "async, too old": (
        {"requestPayload": REQUEST, "requestContext": {"condition": "EventAgeExceeded"}},
        *({}, None, (Kind.REQUEST, "request, asynchronous", "m1", "dxtong", "six hours")),
    ),
    "async, no id": (
        failed(BARE, requestId="r-1"),
        {},
        None,
        (Kind.REQUEST, "request, asynchronous", "r-1", "dxtong", ""),
    ),
    "async, its result's id": (failed(BARE), {}, None, (Kind.REQUEST, "request, asynchronous", "m1", "dxtong", "")),
    "async, no object": (
        failed("x", requestId="r-1"),
        {},
        None,
        (Kind.REQUEST, "request, asynchronous", "r-1", None, ""),
    ),
    "async, SNS": (
        failed(sns_event(BARE), requestId="r-1"),
        *({}, None, (Kind.REQUEST, "request, asynchronous, SNS", SNS_ID, "dxtong", "")),
    ),
    "async, SNS, two": (
        failed(sns_event(REQUEST, BARE)),
        *({}, None, (Kind.REQUEST, "request, asynchronous, SNS, 2 at once", "m1", "dxtong", "")),
    ),
    "raw event": (
        BARE,
        {"RequestID": "r-1", "ErrorCode": "200", "ErrorMessage": json.dumps(RESULT)},
        *(None, (Kind.REQUEST, "request, asynchronous", "r-1", "dxtong", "200 dynamodb: no answer")),
    ),
    "SNS": (
        notification(json.dumps(REQUEST)),
        {},
        LANES[0],
        (Kind.REQUEST, "request, SNS", "m1", "dxtong", "for a day"),
    ),
    "SNS, no id": (notification(json.dumps(BARE)), {}, None, (Kind.REQUEST, "request, SNS", SNS_ID, "dxtong", "")),
    "SNS, no JSON": (notification("hello"), {}, None, (Kind.REQUEST, "request, SNS", SNS_ID, None, "")),
    "SNS, undelivered": (
        notification(json.dumps(BARE)),
        {"RequestID": "r-2", "ErrorCode": "403", "ErrorMessage": "denied"},
        *(None, (Kind.REQUEST, "request, SNS", SNS_ID, "dxtong", "403 denied")),
    ),
    "handed over": (
        handed_over(),
        {},
        LANES[1],
        (Kind.REQUEST, "request, stored message", "m1", "dxtong", "for a day"),
    ),
    "in a lane": (REQUEST, {}, LANES[0], (Kind.REQUEST, "request, lane", "m1", "dxtong", "")),
    "in a lane, no id": (BARE, {}, None, (Kind.REQUEST, "request, lane", "abcdef01-23", "dxtong", "")),
    "in a lane, no JSON": ("hello", {}, LANES[0], (Kind.REQUEST, "request, lane", "abcdef01-23", None, "")),
    "callback": (raw_callback(), {}, None, (Kind.CALLBACK, "callback, raw", None, "dxtong", "no call id")),
    "callback, own address": (
        raw_callback(why="unreadable callback of jumdata: not JSON", message_id="m1", attempt="a1"),
        *({}, None, (Kind.CALLBACK, "callback, raw", "m1", "jumdata", "not JSON")),
    ),
    "receipt": (
        {"why": "no such message", "message_id": "m1", "receipt": RECEIPT},
        *({}, None, (Kind.RECEIPT, "receipt, delivered", "m1", "jumdata", "deleted")),
    ),
    "entry": (
        {
            "why": "an outbox entry that cannot be applied: KeyError",
            "entry": json.dumps({"kind": "result", "result": RESULT}),
        },
        *({}, None, (Kind.OUTBOX, "outbox: a result to be published", "m1", None, "KeyError")),
    ),
    "entry, no JSON": (
        {"why": "an outbox entry that cannot be applied: ValueError", "entry": "x"},
        *({}, None, (Kind.OUTBOX, "outbox: unreadable entry", None, None, "ValueError")),
    ),
    "outcome": (
        {"kind": "outcome", "message": {"message_id": "m1"}, "state": "accepted", "changes": {"vendor": "dxtong"}},
        *({}, OUTBOX, (Kind.OUTBOX, "outbox: what came of a call", "m1", "dxtong", "for a day")),
    ),
    "release": (
        {"kind": "release", "message": {"message_id": "m1", "vendor": "dxtong"}},
        *({}, None, (Kind.OUTBOX, "outbox: a call that was not made", "m1", "dxtong", "")),
    ),
    "receipt in the outbox": (
        {"kind": "receipt", "receipt": RECEIPT, "rhash": None, "message_id": None, "attempt": None, "ttl": 1},
        *({}, None, (Kind.OUTBOX, "outbox: a receipt", None, "jumdata", "")),
    ),
    "result": (
        {"kind": "result", "result": {**RESULT, "vendor": "dxtong"}, "bulk": True},
        *({}, None, (Kind.OUTBOX, "outbox: a result to be published", "m1", "dxtong", "")),
    ),
    "a later release's entry": ({"kind": "new"}, {}, OUTBOX, (Kind.OUTBOX, "outbox: unknown entry", None, None, "")),
    "changes": (
        {"DDBStreamBatchInfo": PLACE, "responseContext": {"functionError": "Unhandled"}},
        *({}, None, (Kind.CHANGES, "changes, 5", None, None, "Unhandled")),
    ),
    "a riddle": ("a riddle", {}, None, (Kind.UNKNOWN, "unknown to this release", None, None, "not known")),
    "a list": ([1], {}, None, (Kind.UNKNOWN, "unknown to this release", None, None, "not known")),
    "another why": ({"why": "new"}, {}, None, (Kind.UNKNOWN, "unknown to this release", None, None, "new")),
    "kind alone": ({"kind": "new"}, {}, None, (Kind.UNKNOWN, "unknown to this release", None, None, "")),
    "a callback without a body": (
        {"why": "unreadable callback of dxtong: x"},
        *({}, None, (Kind.UNKNOWN, "unknown to this release", None, None, "unreadable")),
    ),
    "changes without a place": (
        {"DDBStreamBatchInfo": {**PLACE, "startSequenceNumber": "x"}},
        *({}, None, (Kind.UNKNOWN, "unknown to this release", None, None, "")),
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_each_form_in_words(name: str) -> None:
    body, attributes, source, expected = FORMS[name]
    found = read(letter(body, **attributes), source)
    kind, what, message_id, vendor, said = expected
    assert (found.kind, found.what, found.message_id, found.vendor) == (kind, what, message_id, vendor)
    assert said in f"{found.why}: {found.error}"
    assert does(found)


@pytest.mark.parametrize("name", FORMS)
def test_no_number_and_no_text_is_shown_unless_it_is_asked_for(name: str) -> None:
    body, attributes, source, _ = FORMS[name]
    found = read(letter(body, **attributes), source)
    shown = json.dumps([as_data(Session(Options()), found, "x"), *facts(Session(Options()), found)], ensure_ascii=False)
    assert leaks(shown, ["n" * 64]) == []


def test_a_request_is_told_in_full_if_it_is_asked_for() -> None:
    found = read(letter(failed({**REQUEST, "escalate_to": [f"{NUMBERS}02"], "play_times": 2})))
    shown = dict(facts(Session(Options(reveal=True)), found))
    assert shown == {"number": NUMBER, "then": f"{NUMBERS}02", "text": "请注意查收", "asks": "play_times 2"}
    masked = dict(facts(Session(Options()), found))
    assert masked == {"number": "*8001", "then": "*8002", "text": "content, 5 characters", "asks": "play_times 2"}


def test_no_token_is_ever_shown() -> None:
    session = Session(Options(reveal=True))
    for text in (TOKEN, f"https://x/callbacks/dxtong/{TOKEN}", f'{{"notifyUrl": "…/callbacks/jumdata/{TOKEN[:20]}"}}'):
        assert TOKEN[-10:] not in safe(session, text)
        assert TOKEN[:20] not in safe(session, text)
    assert safe(session, "\x1b[31m\ud800") == "·[31m\\ud800"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["Sns", "MessageId", "x"]), inner),
    max_leaves=4,
)
NAMES = ["requestPayload", "requestContext", "responsePayload", "DDBStreamBatchInfo", "why", "entry", "kind", "receipt"]
NAMES += [
    "handed_over",
    "Type",
    "MessageId",
    "Message",
    "mobile",
    "body_base64",
    "Records",
    "result",
    "message",
    "params",
]


@given(
    body=st.dictionaries(st.sampled_from(NAMES), anything)
    | st.sampled_from([form[0] for form in FORMS.values() if isinstance(form[0], dict)]).flatmap(
        lambda form: st.dictionaries(st.sampled_from(sorted(form)), anything).map(lambda odd: {**form, **odd})
    ),
    attributes=st.dictionaries(st.sampled_from(["RequestID", "ErrorCode", "ErrorMessage"]), st.text(max_size=5)),
    source=st.sampled_from([None, *LANES, OUTBOX]),
    reveal=st.booleans(),
)
def test_no_letter_is_too_odd_to_be_shown(
    body: Any, attributes: dict[str, str], source: str | None, reveal: bool
) -> None:
    found = read(letter(json.dumps(body), **attributes), source)
    session = Session(Options(reveal=reveal))
    json.dumps([as_data(session, found, "x"), *facts(session, found), does(found)]).encode()


def test_ids_are_as_short_as_tells_them_apart() -> None:
    ids = ["aaaaaaaa-1", "aaaaaaaa-2", "bbbbbbbb-1"]
    assert short_ids(ids) == {"aaaaaaaa-1": "aaaaaaaa-1", "aaaaaaaa-2": "aaaaaaaa-2", "bbbbbbbb-1": "bbbbbbbb"}
    letters = [read(letter("x", letter_id)) for letter_id in ids]
    assert named(letters, "BB").letter_id == "bbbbbbbb-1"
    with pytest.raises(UsageError):
        named(letters, "aa")
    for none in ("c", ""):
        with pytest.raises(CommandError):
            named(letters, none)


# Redrive.


class Here(Stack):
    """Queues of moto's, a table of messages, and functions that answer as they are told."""

    def __init__(self) -> None:
        super().__init__("s", "here", boto3.Session(region_name=REGION), {})
        sqs = self.client("sqs")
        names = ("DeadLetterQueueUrl", OUTBOX, *LANES)
        urls = {name: sqs.create_queue(QueueName=f"s-{name}-1")["QueueUrl"] for name in names}
        vars(self)["outputs"] = {**urls, "CallbackBaseUrl": "https://cb.example/v1"}
        self.invoked: list[tuple[str, Any]] = []
        self.answers: dict[str, Callable[[Any], Any]] = {}
        self.stored: dict[str, Message] = {}

    def invoke(self, function: str, payload: Any) -> Any:
        self.invoked.append((function, payload))
        return self.answers[function](payload)

    def message(self, message_id: str) -> Message | None:
        return self.stored.get(message_id)

    def keyring(self) -> Keyring:
        return Keyring.from_secret(SECRET)

    def put(self, *bodies: Any, queue: str = "DeadLetterQueueUrl") -> None:
        for body in bodies:
            text = body if isinstance(body, str) else json.dumps(body)
            self.client("sqs").send_message(QueueUrl=self.output(queue), MessageBody=text)

    def lying(self) -> list[Found]:
        return DeadLetters(self).look()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        stack = Here()
        monkeypatch.setattr(of_session, "target", lambda *_: stack)
        yield stack


def run(*arguments: str, exits: int = 0) -> str:
    done = CliRunner().invoke(app, ["dead-letters", *arguments], env={"COLUMNS": "120"})
    assert done.exit_code == exits, f"{done.output}\n{done.exception!r}"
    return done.output


def accepted(payload: Any) -> Any:
    return [{"message_id": "m1", "status": "accepted", "vendor": "dxtong", "error": None, "replayed": False}]


@pytest.mark.parametrize(("name", "expected"), [("async", "m1"), ("async, no id", "r-1"), ("SNS, no id", SNS_ID)])
def test_a_request_goes_to_send_under_its_own_id(here: Here, name: str, expected: str) -> None:
    here.answers["send"] = accepted
    found = read(letter(FORMS[name][0]))
    outcome = redrive(here, found)
    assert (outcome.done, outcome.text) == (True, "m1 is accepted by dxtong")
    ((function, payload),) = here.invoked
    (record,) = payload["Records"]
    assert function == "send"
    asked = json.loads(record["Sns"]["Message"])
    assert asked.get("message_id") or record["Sns"]["MessageId"] == expected
    assert asked["mobile"] == NUMBER


def test_an_event_of_sns_goes_as_it_came() -> None:
    whole = sns_event(REQUEST, BARE)
    assert event(Asked(whole, "r-1")) is whole
    odd = {"Records": [1]}
    assert event(Asked(odd, "r-1"))["Records"][0]["Sns"]["Message"] == json.dumps(odd)


def test_a_request_that_send_does_not_take_stays(here: Here) -> None:
    def raises(_: Any) -> Any:
        raise CommandError(f"send raised {json.dumps(RESULT)}")

    here.answers["send"] = raises
    here.put(failed(REQUEST))
    assert "FAILED  send did not take it: dynamodb: no answer" in run("redrive", "--all", "--yes", exits=1)
    here.answers["send"] = lambda _: [{"message_id": "m1", "status": "rejected", "error": {"code": "conflict"}}]
    assert "conflict" in run("redrive", "--all", "--yes", exits=1)
    assert len(here.lying()) == 1
    here.answers["send"] = accepted
    assert "1 of 1 redriven" in run("redrive", "--all", "--yes")
    assert here.lying() == []


def test_an_entry_goes_back_as_it_was(here: Here) -> None:
    entry = '{"kind": "result",  "result": {"message_id": "m1"}}'
    here.put(entry, {"why": "an outbox entry that cannot be applied: KeyError", "entry": entry})
    told = json.loads(run("redrive", "--kind", "outbox", "--yes", "--json"))
    assert [each["done"] for each in told] == [True, True]
    there = here.client("sqs").receive_message(QueueUrl=here.output(OUTBOX), MaxNumberOfMessages=10)["Messages"]
    assert [each["Body"] for each in there] == [entry, entry]
    assert here.lying() == []


def test_a_callback_is_pushed_as_it_came_and_counts_if_it_is_read(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed: list[tuple[str, Callback]] = []

    def read_it(address: str, callback: Callback) -> tuple[int, str]:
        pushed.append((address, callback))
        return 200, "success"

    def read_it_not(address: str, callback: Callback) -> tuple[int, str]:
        here.put(raw_callback())
        return read_it(address, callback)

    here.put(raw_callback())
    monkeypatch.setattr(redriving, "push", read_it_not)
    (before,) = here.lying()
    said = run("redrive", before.letter_id, "--yes", exits=1)
    (anew,) = here.lying()
    assert anew.letter_id != before.letter_id
    assert f"lies there anew as {anew.letter_id[:8]}" in said
    assert f"not solved: {anew.letter_id[:8]}" in said
    monkeypatch.setattr(redriving, "push", read_it)
    run("redrive", "--vendor", "dxtong", "--yes")
    assert here.lying() == []
    address, callback = pushed[-1]
    assert address == f"https://cb.example/v1/callbacks/dxtong/{TOKEN}"
    assert callback == Callback("text/plain", "", f"code=2&mobilephone={NUMBER}".encode())


@pytest.mark.parametrize(
    ("kept", "stored", "attempt"),
    [
        ({"attempt": "a1"}, {"attempt": "a2"}, "a1"),
        ({}, {"attempt": "a2"}, "a2"),
        ({}, {"attempt": "a2", "first_attempt": "a1"}, "unsaid"),
    ],
)
def test_a_callback_to_a_calls_own_address_says_which_call(
    here: Here, monkeypatch: pytest.MonkeyPatch, kept: dict[str, Any], stored: dict[str, Any], attempt: str
) -> None:
    tokens: list[str] = []

    def push(address: str, callback: Callback) -> tuple[int, str]:
        tokens.append(address.rpartition("/")[2])
        return 200, "success"

    monkeypatch.setattr(redriving, "push", push)
    found = read(letter(raw_callback(why="unreadable callback of jumdata: x", message_id="m1", **kept)))
    with pytest.raises(CommandError, match="only to drop"):
        redrive(here, found)
    here.stored["m1"] = Message("m1", State.ACCEPTED, 1.0, **stored)
    assert redrive(here, found).text == "taken: m1 is accepted"
    call = here.keyring().read_call_token("jumdata", tokens[0], 0)
    assert (call.message_id, call.attempt) == ("m1", attempt)


def test_a_callback_that_is_turned_away_stays(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redriving, "push", lambda *_: (403, ""))
    here.put(raw_callback())
    assert "answered 403: the API lets no callback in from here" in run("redrive", "--all", "--yes", exits=1)
    assert len(here.lying()) == 1
    del here.outputs["CallbackBaseUrl"]  # type: ignore[attr-defined]
    assert "CallbackMode is poll" in run("redrive", "--all", "--yes", exits=1)


@pytest.mark.parametrize("query", ["a b", "é", "\n"])
def test_what_cannot_be_pushed_tells_no_address(monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    with pytest.raises(CommandError) as told:
        redriving.push(f"http://127.0.0.1:9/callbacks/dxtong/{TOKEN}", Callback("text/plain\r\nX: 1", query, b""))
    assert "cannot be reached" in str(told.value)
    assert TOKEN not in str(told.value)


class Streams:
    """A stream that has the records from ``oldest`` on."""

    def __init__(self, oldest: int) -> None:
        self._numbers = range(oldest, 108)

    def get_shard_iterator(self, ShardIteratorType: str, SequenceNumber: str = "", **_: Any) -> Any:  # noqa: N803
        if ShardIteratorType == "AT_SEQUENCE_NUMBER" and int(SequenceNumber) not in self._numbers:
            raise ClientError({"Error": {"Code": "TrimmedDataAccessException"}}, "GetShardIterator")
        return {"ShardIterator": SequenceNumber or "0"}

    def get_records(self, ShardIterator: str) -> Any:  # noqa: N803
        after = [number for number in self._numbers if number >= int(ShardIterator)]
        made = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)
        records = [{"dynamodb": {"SequenceNumber": f"{n:024}", "ApproximateCreationDateTime": made}} for n in after[:2]]
        return {"Records": records, "NextShardIterator": str(after[1] + 1) if len(after) > 2 else None}


@pytest.mark.parametrize(
    ("oldest", "taken", "text"),
    [
        (90, 5, "publish took 5"),
        (103, 2, "publish took 2 of 5; the stream has the others no more"),
        (105, 0, "the stream has them no more: `status` tells each message; drop the letter"),
    ],
)
def test_changes_are_read_from_the_stream_while_it_has_them(here: Here, oldest: int, taken: int, text: str) -> None:
    here._clients["dynamodbstreams"] = Streams(oldest)
    here.answers["publish"] = lambda _: {"batchItemFailures": []}
    outcome = redrive(here, read(letter({"DDBStreamBatchInfo": PLACE})))
    assert (outcome.done, outcome.text) == (bool(taken), text)
    numbers = [int(each["dynamodb"]["SequenceNumber"]) for _, payload in here.invoked for each in payload["Records"]]
    assert numbers == list(range(105 - taken, 105))
    here.answers["publish"] = lambda _: {"batchItemFailures": [{"itemIdentifier": "104"}]}
    assert not redrive(here, read(letter({"DDBStreamBatchInfo": PLACE}))).done


# The queue, and what is chosen.


def test_all_are_shown_and_none_is_hidden_afterwards(here: Here) -> None:
    here.put(*({**REQUEST, "message_id": f"m{at}"} for at in range(25)))
    for _ in range(2):
        assert {found.message_id for found in here.lying()} == {f"m{at}" for at in range(25)}
    assert len(json.loads(run("list", "--json", "--limit", "3"))) == 3
    with pytest.raises(KeyError), DeadLetters(here).held():
        raise KeyError
    assert len(here.lying()) == 25


def test_what_is_held_is_hidden_and_the_others_are_not(here: Here) -> None:
    here.put(*({**REQUEST, "message_id": f"m{at}"} for at in range(3)))
    mine = here.lying()[0]
    with DeadLetters(here).held([mine.letter_id]) as held:
        assert list(held.letters) == [mine.letter_id]
        assert mine.letter_id not in {found.letter_id for found in here.lying()}
        assert "no such dead letter" in run("show", mine.letter_id, exits=1)
    assert len(here.lying()) == 3


def test_what_takes_long_stays_hidden_and_what_others_got_is_let_go(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "RENEWED", 0)
    here.put(failed(REQUEST), raw_callback())
    with DeadLetters(here).held() as held:
        lost, kept = held.letters.values()
        here.client("sqs").delete_message(QueueUrl=here.output("DeadLetterQueueUrl"), ReceiptHandle=lost.letter.handle)
        held.keep_hidden()
        assert list(held.letters) == [kept.letter_id]


def test_the_source_queue_tells_what_it_is(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto moves letters without saying from where."""
    sqs = here.client("sqs")
    receive = sqs.receive_message

    def out_of(name: str) -> Callable[..., Any]:
        arn = f"arn:aws-cn:sqs:{REGION}:1:{here.output(name).rpartition('/')[2]}"

        def received(**request: Any) -> Any:
            found = receive(**request)
            for each in found.get("Messages", []):
                each["Attributes"]["DeadLetterQueueSourceArn"] = arn
            return found

        return received

    here.put({"new": 1})
    for name, kind in ((OUTBOX, Kind.OUTBOX), (LANES[0], Kind.REQUEST), ("DeadLetterQueueUrl", Kind.UNKNOWN)):
        monkeypatch.setattr(sqs, "receive_message", out_of(name))
        assert [found.kind for found in here.lying()] == [kind]


def test_filters_choose_and_what_is_left_alone_stays(here: Here) -> None:
    here.put(
        failed(REQUEST), raw_callback(), {"why": "no such message", "message_id": "m2", "receipt": RECEIPT}, "riddle"
    )
    for arguments, kinds in (
        ((), {"request", "callback", "receipt", "unknown"}),
        (("--kind", "receipt"), {"receipt"}),
        (("--vendor", "dxtong"), {"request", "callback"}),
        (("--message", "m1"), {"request"}),
        (("--message", "m2", "--kind", "request"), set()),
    ):
        assert {each["kind"] for each in json.loads(run("list", *arguments, "--json"))} == kinds
    assert "There is nothing to redrive" in run("redrive", "--kind", "receipt", "--yes")
    lying = {found.kind: found.letter_id for found in here.lying()}
    assert "only to drop" in run("redrive", lying[Kind.RECEIPT], "--yes", exits=1)
    assert "1 of 1 deleted" in run("drop", "--message", "m2", "--yes")
    assert {found.kind for found in here.lying()} == {Kind.REQUEST, Kind.CALLBACK, Kind.UNKNOWN}


def test_a_raw_callback_is_found_by_its_messages_call_id(here: Here) -> None:
    packed = base64.b64encode(b"voiceid=4711&code=x").decode()
    here.put(raw_callback(body_base64=packed), raw_callback())
    here.stored["m1"] = Message("m1", State.ACCEPTED, 1.0, vendor="dxtong", call_id="4711")
    assert len(json.loads(run("list", "--message", "m1", "--json"))) == 1
    assert json.loads(run("list", "--message", "m9", "--json")) == []


@pytest.mark.parametrize("command", ["redrive", "drop"])
def test_nothing_is_done_unasked(here: Here, command: str) -> None:
    here.put(failed(REQUEST))
    assert "Nobody can answer here: say --yes" in run(command, "--all", exits=2)
    assert "say which" in run(command, exits=2)
    assert "say which" in run(command, "--all", "--vendor", "dxtong", exits=2)
    assert "no such dead letter" in run(command, "zz", "--yes", exits=1)
    assert here.invoked == []
    assert len(here.lying()) == 1


def test_one_in_full(here: Here) -> None:
    here.put(failed(REQUEST))
    (found,) = here.lying()
    here.stored["m1"] = Message("m1", State.DELIVERED, 1.0)
    told = run("show", found.letter_id[:6])
    for part in (
        "m1, delivered in the table",
        "*8001",
        "dynamodb: no answer",
        "cannot ring again",
        "docs/runbooks/dead-letters.md",
    ):
        assert part in told
    assert NUMBER not in told
    assert NUMBER in run("show", found.letter_id, "--reveal")
    whole = json.loads(run("show", found.letter_id, "--json"))
    assert (whole["stored"], whole["redrivable"], whole["facts"]["number"]) == ("delivered", True, "*8001")
    assert "No dead letter fits" in run("list", "--vendor", "jumdata")
    run("drop", "--all", "--yes")
    assert "No dead letters." in run("list")
