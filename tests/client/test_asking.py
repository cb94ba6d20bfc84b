"""Publishing, asking, calling off, and what goes in and comes out."""

import datetime
import json
from typing import Any, get_args

import pytest
from botocore.exceptions import ReadTimeoutError
from voice_gateway.model.message import FINAL, Message, State
from voice_gateway.model.result import result as gateways
from voice_gateway.sending.reading import read
from voice_gateway_client import Gateway, GatewayError, NotSent, Redial, Request, Result, result

from tests.client.aws import Session, error, raised, refused, returned
from tests.client.aws import result as told

CHINA = datetime.timezone(datetime.timedelta(hours=8))
EVERYTHING = Request(
    message_id="alert-4711",
    mobile="13800138000",
    template="disk_full",
    params={"host": "db1"},
    vendor="dxtong",
    play_times=2,
    notify_data="mine",
    on_unknown="redial_once",
    redial=Redial(times=2, after_seconds=[60, 120], reasons=("busy",)),
    escalate_to=("13800138001", 13800138002),
    escalate_after_seconds=60,
    not_before=datetime.datetime(2026, 11, 22, 3, tzinfo=datetime.UTC),
    hours="08:00-22:00",
    priority="bulk",
    expires_at=datetime.datetime(2026, 11, 22, 20, tzinfo=CHINA),
    dry_run=True,
)
TOPIC = "arn:aws-cn:sns:cn-north-1:123456789012:notify"
STACK = {"Stacks": [{"Outputs": [{"OutputKey": "NotifyTopicArn", "OutputValue": TOPIC}]}]}


def gateway(**scripts: Any) -> tuple[Gateway, Session]:
    session = Session(**scripts)
    return Gateway.of_stack("voice-gateway", session=session), session  # type: ignore[arg-type]


# What goes in.


def test_every_field_of_a_request_is_one_of_the_gateways_and_is_read_as_it_was_meant() -> None:
    asked = json.loads(json.dumps(EVERYTHING.as_dict()))
    found = read(asked, "other", datetime.datetime(2026, 11, 22, 2, tzinfo=datetime.UTC).timestamp())
    assert (found.message_id, found.numbers) == ("alert-4711", ("13800138000", "13800138001", "13800138002"))
    assert found.redial is not None
    assert (found.redial.after, found.redial.reasons) == ((60, 120), ("busy",))
    assert (found.not_before, found.expires_at) == (EVERYTHING.not_before, EVERYTHING.expires_at)
    assert set(asked) | {"content", "template_id"} == set(vars(EVERYTHING))


@pytest.mark.parametrize(
    "form", [{"content": "火警"}, {"template_id": "T1001", "params": ("9633", 1)}], ids=["content", "template_id"]
)
def test_the_vendors_own_forms_are_read_too(form: dict[str, Any]) -> None:
    asked = json.loads(json.dumps(Request(mobile=13800138000, **form).as_dict()))
    assert read(asked, "id", 0).mobile == "13800138000"


def test_a_request_shows_no_number_and_no_text() -> None:
    shown = repr(Request(**{**vars(EVERYTHING), "template": None, "params": None, "content": "secret"}))
    assert "1380013" not in shown
    assert "secret" not in shown
    assert "mine" not in shown
    assert "db1" not in repr(EVERYTHING)


def test_a_moment_needs_a_time_zone() -> None:
    naive = datetime.datetime(2026, 11, 22, 3)  # noqa: DTZ001
    with pytest.raises(ValueError, match="expires_at: must have a time zone"):
        Request(mobile="13800138000", content="x", expires_at=naive).as_dict()


# Publishing.


def test_publishing_takes_the_lane_and_one_id_over_all_tries() -> None:
    found, session = gateway(cloudformation=[STACK], sns=[refused(500, "InternalError"), {}, {}])
    message_id = found.publish(Request(mobile="13800138000", content="火警", priority="bulk"))
    first, second = session["sns"].requests
    assert first == second
    assert first["TopicArn"] == TOPIC
    assert first["MessageAttributes"] == {"priority": {"DataType": "String", "StringValue": "bulk"}}
    assert json.loads(first["Message"])["message_id"] == message_id
    assert found.publish(Request(mobile="13800138000", content="火警", message_id="mine")) == "mine"
    assert session["sns"].requests[2]["MessageAttributes"]["priority"]["StringValue"] == "urgent"
    assert len(session["cloudformation"].requests) == 1


def test_a_topic_that_is_given_is_not_looked_up() -> None:
    session = Session(sns=[{}])
    found = Gateway.of_stack("x", session=session, notify_topic_arn=TOPIC)  # type: ignore[arg-type]
    found.publish(Request(mobile="13800138000", content="火警"))
    assert session["sns"].requests[0]["TopicArn"] == TOPIC


def test_what_no_xml_can_hold_is_escaped() -> None:
    session = Session(sns=[{}])
    found = Gateway.of_stack("x", session=session, notify_topic_arn=TOPIC)  # type: ignore[arg-type]
    found.publish(Request(mobile="13800138000", content="火\ufffe\uffff"))
    message = session["sns"].requests[0]["Message"]
    assert "火" in message
    assert not {"\ufffe", "\uffff"} & set(message)
    assert json.loads(message)["content"] == "火\ufffe\uffff"


@pytest.mark.parametrize(
    "answer", [refused(400, "ValidationError"), {"Stacks": [{"StackName": "other"}]}], ids=["none", "another"]
)
def test_without_the_topic_nothing_is_sent(answer: Any) -> None:
    found, _ = gateway(cloudformation=[answer])
    with pytest.raises(NotSent, match="voice-gateway"):
        found.publish(Request(mobile="13800138000", content="火警"))


# Asking and calling off.


@pytest.mark.parametrize("method", ["status", "cancel"])
def test_what_is_asked_comes_back_as_a_result_or_none(method: str) -> None:
    none = told(status=None, error=error("not_found"))
    found, session = gateway(**{"lambda": [returned(told(status="cancelled")), returned(none)]})
    result = getattr(found, method)("order-9633")
    assert (result.status, result.final) == ("cancelled", True)
    assert getattr(found, method)("order-9633") is None
    assert session["lambda"].requests[0]["FunctionName"] == f"voice-gateway-{method}:live"
    assert session["lambda"].payloads == [{"message_id": "order-9633"}] * 2


def test_what_can_be_no_id_is_said() -> None:
    found, _ = gateway(
        **{"lambda": [returned(told(status=None, error=error("invalid_request", message="message_id: …")))]}
    )
    with pytest.raises(ValueError, match="message_id"):
        found.status("no id")


@pytest.mark.parametrize(
    "answer",
    [
        ReadTimeoutError(endpoint_url="x"),
        raised("AwsUnavailable", "no table"),
        refused(403, "AccessDeniedException"),
        returned({"hello": "world"}),
        returned(told(rings=[{}])),
    ],
    ids=["timeout", "raised", "denied", "no result", "half a result"],
)
def test_no_answer_is_an_error_with_the_id(answer: Any) -> None:
    found, _ = gateway(**{"lambda": [answer]})
    with pytest.raises(GatewayError, match=r"status (did not answer|returned what is no result)") as caught:
        found.status("order-9633")
    assert caught.value.message_id == "order-9633"


# What comes out.


def test_a_result_is_read_whole() -> None:
    ring = {"ring": 1, "callee": "8000", "vendor": "dxtong", "call_id": "6", "status": "failed", "reason": "busy"}
    found = Result.from_dict(
        told(
            receipt={
                "code": "-6",
                "message": "無人接聽",
                "talk_seconds": 0,
                "reported_at": "2026-11-22T11:04:02+08:00",
            },
            rings=[{**ring, "error": error("vendor_unavailable", retryable=True), "at": "2026-11-22T03:03:30Z"}],
            next={"ring": 2, "callee": "8001", "at": "2026-11-22T03:05:30Z"},
            deferred_until="2026-11-22T03:05:30Z",
            later="of a release to come",
        )
    )
    assert found.receipt is not None
    assert found.receipt.reported_at == datetime.datetime(2026, 11, 22, 11, 4, 2, tzinfo=CHINA)
    assert found.rings[0].error is not None
    assert (found.rings[0].reason, found.rings[0].error.retryable) == ("busy", True)
    assert found.next is not None
    assert found.next.at == found.deferred_until == datetime.datetime(2026, 11, 22, 3, 5, 30, tzinfo=datetime.UTC)


def test_a_result_has_every_field_that_the_gateways_has_and_knows_its_statuses() -> None:
    message = Message("order-9633", State.CALLING, 1_763_780_000)
    assert set(gateways(message)) == set(Result.__dataclass_fields__)
    assert set(get_args(result.Status)) == {str(Message("x", state, 0).status) for state in State}
    assert {str(Message("x", state, 0).status) for state in FINAL} == result.FINAL


def test_a_result_in_an_envelope_is_read_as_one_without() -> None:
    text = json.dumps(told(notify_data="订单"), ensure_ascii=False)
    envelope = json.dumps({"Type": "Notification", "MessageId": "m", "Message": text, "TopicArn": "t"})
    assert Result.from_json(envelope) == Result.from_json(text)
    assert "订单" not in repr(Result.from_json(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"message_id": "x"}',
        json.dumps(told(rings=[{}])),
        json.dumps(told(updated_at="soon")),
        '{"Type": "Notification", "Message": 1}',
    ],
)
def test_what_is_no_result_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no result of a gateway|Expecting value|Invalid isoformat"):
        Result.from_json(text)
