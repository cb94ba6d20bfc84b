"""Secrets, messages and texts as people really write them, through the handlers."""

import json
import re
from typing import Any

import pytest
import time_machine
from moto import mock_aws
from voice_gateway.model.errors import SettingsError, TryLater
from voice_gateway.model.request import digest

from local.simulators.dxtong import DxtongSimulator
from local.simulators.jumdata import JumdataSimulator
from tests.functions.test_balance_check import alarms, check
from tests.functions.test_callbacks import KEYRING, dxtong_receipt, event, push_dxtong, succeeded
from tests.functions.test_rules import between, repeated_put
from tests.functions.test_send import CONTENT, MORNING, NIGHT, SHIPPED, Wire, number, submits
from tests.functions.test_versions import table
from tests.gateway import ROOT, SECRETS, STACK, Gateway, deployed

GOOD = json.dumps({"account": "sandbox-account", "apiKey": "sandbox-key"})


def put(gateway: Gateway, secret: str | bytes, name: str = "dxtong") -> None:
    kind = "SecretBinary" if isinstance(secret, bytes) else "SecretString"
    gateway.client("secretsmanager").put_secret_value(SecretId=f"{STACK}/{name}", **{kind: secret})
    for function in ("send", "balance_check", f"callback_{'dxtong' if name == 'callback' else name}"):
        gateway.start_anew(function)


# A secret that can be read, however it was put there.


@pytest.mark.parametrize(
    "secret",
    [
        "\ufeff" + GOOD,
        GOOD.encode(),
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.encode("utf-16"),
        GOOD.replace('"sandbox-key"', '"\\ufeff sandbox-key\\n"'),
        GOOD.replace("}", ', "unused": "x", "note": "from the console"}'),
    ],
)
def test_a_secret_is_read_as_tools_write_it(gateway: Gateway, dxtong: DxtongSimulator, secret: str | bytes) -> None:
    put(gateway, secret)
    assert gateway.send(message_id="m1", mobile=number(0), content=CONTENT)["status"] == "accepted"
    assert check(gateway)["dxtong"]["error"] is None


def test_an_account_may_be_a_number(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    dxtong.configure(account="100200300400500600700")
    try:
        put(gateway, '{"account": 100200300400500600700, "apiKey": "sandbox-key"}')
        assert gateway.send(message_id="m1", mobile=number(0), content=CONTENT)["status"] == "accepted"
    finally:
        dxtong.configure(account="sandbox-account")


# One that cannot be read is a fault that says so.

SPOILT = {
    "another case": ('{"account": "a", "apikey": "hidden-1"}', "apiKey filled in; its fields are account, apikey"),
    "nested": ('{"dxtong": {"account": "sandbox-account", "apiKey": "hidden-1"}}', "its fields are dxtong"),
    "twice encoded": (json.dumps(GOOD), "encoded twice"),
    "typographic quotes": ("{“account”: “hidden-1”}", "line 1, column 2, at U+201C (LEFT DOUBLE QUOTATION MARK)"),
    "a comma before the end": ('{"account": "a", "apiKey": "hidden-1",}', "a comma before the end"),
    "half filled in": ('{"account": "sandbox-account", "apiKey": ""}', "does not have apiKey filled in"),
    "a list": ('["sandbox-account", "hidden-1"]', "is JSON, but no object"),
    "no JSON": ("hidden-1", "is not JSON, line 1, column 1"),
    "a fraction": ('{"account": 1.5, "apiKey": "hidden-1"}', "has a field account that is no text"),
    "true": ('{"account": true, "apiKey": "hidden-1"}', "has a field account that is no text"),
    "an invisible character": ('{"account": "a\u200bb", "apiKey": "hidden-1"}', "has U+200B (ZERO WIDTH SPACE) in its"),
    "a line break in a text": ('{"account": "a\nb", "apiKey": "hidden-1"}', "is not JSON"),
    "a value for a name": ('{"hidden-1-hidden-1-hidden-1-hidden-1": "x"}', "1 with odd names"),
    "binary that is no text": (b"\xff\xfa\xff", "is binary, and no text"),
    "blank": (" ", "is empty"),
    "too deep": ("[" * 30_000, "is not JSON"),
}  # fmt: skip


@pytest.mark.parametrize(("secret", "trouble"), SPOILT.values(), ids=SPOILT)
def test_a_secret_that_cannot_be_read_names_the_trouble_and_no_value(
    gateway: Gateway, dxtong: DxtongSimulator, secret: str | bytes, trouble: str
) -> None:
    put(gateway, secret)
    refused = gateway.send(message_id="m1", mobile=number(0), content=CONTENT)
    assert (refused["status"], refused["error"]["code"]) == ("rejected", "not_configured")
    assert refused["error"]["retryable"] is True
    assert trouble in refused["error"]["message"]
    assert "hidden" not in refused["error"]["message"]
    assert gateway.send(message_id="m2", mobile=number(0), **SHIPPED)["vendor"] == "jumdata"
    states = [check(gateway)["dxtong"] for _ in range(4)]
    assert [state["state"] for state in states] == ["unknown"] * 4
    assert trouble in states[0]["error"]["message"]
    (alarm,) = alarms(gateway)
    assert (alarm["vendor"], alarm["state"]) == ("dxtong", "unknown")
    assert trouble in alarm["text"]
    assert not dxtong.requests


@pytest.mark.parametrize("secret", ['{"account": "", "apiKey": "", "unused": "Xy12"}', "{}", '{"account": null}'])
def test_the_empty_secret_of_a_fresh_deployment_is_no_fault(gateway: Gateway, secret: str) -> None:
    put(gateway, secret)
    refused = gateway.send(message_id="m1", mobile=number(0), content=CONTENT)
    assert refused["error"]["message"] == "dxtong: its secret is not filled in"
    assert [list(check(gateway)) for _ in range(4)] == [["jumdata"]] * 4
    assert alarms(gateway) == []


def test_a_vendor_that_drops_out_of_a_running_deployment_is_alarmed(gateway: Gateway) -> None:
    check(gateway)
    put(gateway, '{"account": "", "apiKey": ""}')
    assert [check(gateway)["dxtong"]["state"] for _ in range(4)] == ["ok", "ok", "unknown", "unknown"]
    (alarm,) = alarms(gateway)
    assert (alarm["vendor"], alarm["state"]) == ("dxtong", "unknown")
    assert "not filled in any more" in alarm["text"]


def test_a_vendor_that_is_not_deployed_is_left_out_of_the_check(dxtong: DxtongSimulator) -> None:
    """Even if it was once: its block was taken out of the template."""
    with mock_aws(), deployed({"dxtong": dxtong.address}) as gateway:
        table(gateway).put_item(Item={"pk": "BALANCE#jumdata", "state": "ok", "announced": "ok", "revision": 1})
        assert list(check(gateway)) == ["dxtong"]


def test_a_secret_that_is_spoilt_between_two_tries_leaves_the_refusal(
    gateway: Gateway, dxtong: DxtongSimulator
) -> None:
    check(gateway)
    gateway.client("secretsmanager").put_secret_value(SecretId=f"{STACK}/dxtong", SecretString="no JSON")
    dxtong.configure(api_key="changed-in-the-console")
    try:
        assert check(gateway)["dxtong"]["error"]["code"] == "credentials_refused"
    finally:
        dxtong.configure(api_key="sandbox-key")


CALLBACK = json.dumps(SECRETS["callback"])


@pytest.mark.parametrize("secret", ["\ufeff" + CALLBACK, CALLBACK.encode(), b"\xef\xbb\xbf" + CALLBACK.encode()])
def test_the_callback_secret_is_read_as_tools_write_it(gateway: Gateway, secret: str | bytes) -> None:
    put(gateway, secret, "callback")
    sent = gateway.send(message_id="m1", mobile=number(0), content=CONTENT)
    assert succeeded(push_dxtong(gateway, dxtong_receipt(sent["call_id"])))
    assert gateway.status("m1")["status"] == "delivered"


@pytest.mark.parametrize(
    ("secret", "trouble"),
    [
        (CALLBACK.replace('"number_key"', '"numberKey"'), "its fields are keys, numberKey"),
        (json.dumps(CALLBACK), "encoded twice"),
        (CALLBACK.replace('"', "”"), "U+201D"),
        (b"\xff\xfa\xff", "is binary, and no text"),
    ],
)
def test_a_callback_secret_that_cannot_be_read_names_the_trouble(
    gateway: Gateway, dxtong: DxtongSimulator, secret: str | bytes, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(gateway, secret, "callback")
    assert push_dxtong(gateway, dxtong_receipt("1"))["statusCode"] == 500
    assert any(trouble in getattr(line, "why", "") for line in caplog.records)
    with pytest.raises(SettingsError, match=re.escape(trouble)):
        gateway.send(message_id="m1", mobile=number(0), content=CONTENT)
    assert not dxtong.requests


# A bad request burns no id.

BAD: dict[str, dict[str, Any]] = {
    "invalid_mobile": {"mobile": "12", "content": CONTENT},
    "invalid_request": {"mobile": number(0), "content": CONTENT, "surprise": 1},
    "unknown_template": {"mobile": number(0), "template": "order_shiped", "params": SHIPPED["params"]},
    "template_mismatch": {"mobile": number(0), "template": "order_shipped", "params": {"order": "1"}},
    "content_too_long": {"mobile": number(0), "content": "长" * 181},
}
MENDED: dict[str, Any] = {"mobile": number(0), "content": CONTENT}


@pytest.mark.parametrize(("code", "bad"), BAD.items())
def test_a_bad_request_may_be_mended_under_its_id(
    gateway: Gateway, dxtong: DxtongSimulator, code: str, bad: dict[str, Any]
) -> None:
    assert gateway.send(message_id="m1", **bad)["error"]["code"] == code
    wire = Wire(gateway)
    mended = gateway.send(message_id="m1", **MENDED)
    assert (mended["status"], mended["replayed"], mended["error"]) == ("accepted", False, None)
    assert wire.operations.count("PutItem") == 2, (
        "the one that finds the bad one there, and the one that takes its place"
    )
    # What comes again afterwards changes nothing.
    assert gateway.send(message_id="m1", **MENDED)["replayed"] is True
    again = gateway.send(message_id="m1", **bad)
    assert again["error"]["code"] == "conflict"
    assert gateway.status("m1")["status"] == "accepted"
    assert len(submits(dxtong)) == 1


def test_one_bad_request_after_another_each_gets_its_own_faults(gateway: Gateway) -> None:
    for code, bad in BAD.items():
        refused = gateway.send(message_id="m1", **bad)
        assert (refused["error"]["code"], refused["replayed"]) == (code, False)
        assert gateway.send(message_id="m1", **bad)["replayed"] is True
    assert gateway.status("m1")["error"]["code"] == code


def test_what_was_handed_to_a_vendor_is_not_replaced(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    """dxtong's own refusal of a number looks like ours, but the id was claimed for it."""
    refused = gateway.send(message_id="m1", mobile=number(21), content=CONTENT)
    assert (refused["status"], refused["error"]["vendor_code"]) == ("rejected", "406")
    assert gateway.send(message_id="m1", **MENDED)["error"]["code"] == "conflict"
    assert len(submits(dxtong)) == 1


def test_of_two_that_mend_one_rings(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    gateway.send(message_id="m1", **BAD["invalid_mobile"])
    inner: list[Any] = []
    between("PutItem", 2, lambda: inner.append(gateway.send(message_id="m1", mobile=number(1), content=CONTENT)))
    outer = gateway.send(message_id="m1", **MENDED)
    assert (inner[0]["status"], outer["error"]["code"]) == ("accepted", "conflict")
    assert len(submits(dxtong)) == 1


def test_a_bad_request_does_not_take_the_place_of_one_that_mended_meanwhile(
    gateway: Gateway, dxtong: DxtongSimulator
) -> None:
    gateway.send(message_id="m1", **BAD["invalid_mobile"])
    between("PutItem", 2, lambda: gateway.send(message_id="m1", **MENDED))
    assert gateway.send(message_id="m1", **BAD["invalid_request"])["error"]["code"] == "conflict"
    assert gateway.status("m1")["status"] == "accepted"


def test_a_mended_request_whose_write_is_repeated_rings_once(gateway: Gateway, dxtong: DxtongSimulator) -> None:
    """boto3 repeats a request whose reply was lost, and then finds its own write there."""
    gateway.send(message_id="m1", **BAD["invalid_mobile"])
    with repeated_put("called_at"):
        mended = gateway.send(message_id="m1", **MENDED)
    assert (mended["status"], mended["replayed"]) == ("accepted", False)
    assert len(submits(dxtong)) == 1


def test_a_mended_request_whose_write_is_lost_is_released_and_rung_later(
    gateway: Gateway, dxtong: DxtongSimulator
) -> None:
    gateway.send(message_id="m1", **BAD["invalid_mobile"])
    wire = Wire(gateway)
    wire.fail_next("PutItem", times=1, after=1)
    with pytest.raises(TryLater):
        gateway.send(message_id="m1", **MENDED)
    assert gateway.status("m1")["status"] == "rejected"
    assert gateway.send(message_id="m1", **MENDED)["status"] == "accepted"
    assert len(submits(dxtong)) == 1


# A byte order mark, and what else topics carry.


def test_a_message_with_a_byte_order_mark_is_found_under_its_own_id(gateway: Gateway) -> None:
    message = "\ufeff" + json.dumps({"message_id": "m1", "mobile": number(0), "content": CONTENT})
    assert gateway.notify(message, "sns-1")[0]["status"] == "accepted"
    assert gateway.status("m1")["status"] == "accepted"
    assert gateway.status("sns-1")["error"]["code"] == "not_found"


def test_a_stored_template_with_a_byte_order_mark_is_read(gateway: Gateway) -> None:
    ssm, name = gateway.client("ssm"), f"/{STACK}/templates/order_shipped"
    before = ssm.get_parameter(Name=name)["Parameter"]["Value"]
    ssm.put_parameter(Name=name, Value="\ufeff" + before, Type="String", Overwrite=True)
    assert gateway.send(message_id="m1", mobile=number(0), **SHIPPED)["status"] == "accepted"


@pytest.mark.parametrize("name", ["order\nshipped", "order shipped", "Ünknown", "x" * 300, "\x00", "\ufffe"])
def test_a_name_that_no_attribute_can_carry_is_left_out_and_the_result_goes_out(gateway: Gateway, name: str) -> None:
    refused = gateway.send(message_id="m1", mobile=number(0), template=name)
    assert refused["error"]["code"] == "unknown_template"
    wire = Wire(gateway)
    image = {"pk": {"S": "MSG#m1"}, "st": {"S": "rejected"}, "updated_at": {"N": "1"}, "template": {"S": name}}
    record = json.loads((ROOT / "events" / "publish.json").read_text())["Records"][0]
    record["dynamodb"] = {**record["dynamodb"], "NewImage": image}
    record["dynamodb"].pop("OldImage", None)
    gateway.invoke("publish", {"Records": [record]})
    assert "Publish" in wire.operations
    (told,) = gateway.taken("results")
    assert set(told["MessageAttributes"]) == {"status", "ring", "priority"}


# A probe.


@pytest.mark.parametrize("body", [b"", b" \r\n", b"\xef\xbb\xbf"])
def test_a_probe_is_answered_and_leaves_nothing(gateway: Gateway, body: bytes) -> None:
    wire = Wire(gateway)
    assert succeeded(push_dxtong(gateway, body))
    probe = event("dxtong", KEYRING.static_token("dxtong"), body, "")
    probe["queryStringParameters"] = None
    assert succeeded(gateway.invoke("callback_dxtong", probe))
    assert gateway.taken("dead-letters") == []
    assert "UpdateItem" not in wire.operations


# Texts.


@pytest.mark.parametrize(
    ("char", "named"), [("\x00", "U+0000"), ("\x1b", "U+001B"), ("\x7f", "U+007F"), ("\x85", "U+0085")]
)
@pytest.mark.parametrize("form", ["content", "params", "list"])
def test_a_control_character_is_refused_by_its_code_point(
    gateway: Gateway, dxtong: DxtongSimulator, jumdata: JumdataSimulator, char: str, named: str, form: str
) -> None:
    given: dict[str, Any] = {
        "content": {"content": f"a{char}b"},
        "params": {**SHIPPED, "params": {"order": f"a{char}b", "carrier": "x"}},
        "list": {"template_id": "T1001", "params": [f"a{char}b", "x"]},
    }[form]
    refused = gateway.send(message_id="m1", mobile=number(0), **given)
    assert refused["error"]["code"] == "invalid_request"
    assert named in refused["error"]["message"]
    assert not dxtong.requests
    assert not jumdata.requests


@pytest.mark.parametrize("written", ["a b", "a\nb", "a\tb", "a\r\nb", "a\rb", "a\u2028b"])
def test_a_line_break_is_read_out_as_a_blank(gateway: Gateway, dxtong: DxtongSimulator, written: str) -> None:
    gateway.send(message_id="m1", mobile=number(0), content=written)
    assert submits(dxtong)[-1]["fields"]["content"] == "a b"
    assert gateway.send(message_id="m1", mobile=number(0), content="a b")["replayed"] is True


@pytest.mark.parametrize(("params", "sent"), [([""], ""), (["", "a"], ",a"), ([], None)])
def test_an_empty_value_is_sent_as_one(
    gateway: Gateway, jumdata: JumdataSimulator, params: list[str], sent: str | None
) -> None:
    gateway.send(message_id="m1", mobile=number(0), template_id="T1001", params=params)
    (submit,) = [each for each in jumdata.requests if each["path"].endswith("/send")]
    assert submit["fields"].get("param") == sent


# What an earlier release kept is handed over as it is, and may read otherwise today.


@pytest.mark.parametrize(("kept", "status"), [("a\nb", "accepted"), ("a\x1bb", "rejected")])
def test_a_message_that_an_earlier_release_deferred_is_not_stuck(
    dxtong: DxtongSimulator, jumdata: JumdataSimulator, kept: str, status: str
) -> None:
    endpoints = {"dxtong": dxtong.address, "jumdata": jumdata.address}
    with mock_aws(), deployed(endpoints, JUMDATA_HOURS="09:00-21:00") as gateway:
        with time_machine.travel(NIGHT):
            request: dict[str, Any] = {"mobile": number(0), "template_id": "T1001", "params": [kept, "x"]}
            gateway.send(message_id="m1", **{**request, "params": ["a b", "x"]})
            text = json.dumps({**request, "message_id": "m1"})
            table(gateway).update_item(
                Key={"pk": "MSG#m1"},
                UpdateExpression="SET #request = :request, #fingerprint = :fingerprint",
                ExpressionAttributeNames={"#request": "request", "#fingerprint": "fingerprint"},
                ExpressionAttributeValues={":request": text, ":fingerprint": digest(request)},
            )
        with time_machine.travel(MORNING):
            gateway.sweep()
            for envelope in gateway.taken("urgent"):
                gateway.take_up(envelope)
            assert gateway.status("m1")["status"] == status


@pytest.mark.parametrize("name", ["13800138000", "138\u20110013\u20118000", "１３８００１３８０００"])
def test_a_number_for_a_values_name_is_masked(gateway: Gateway, name: str) -> None:
    refused = gateway.send(message_id="m1", mobile=number(0), template="order_shipped", params={name: "x"})
    assert refused["error"]["message"] == "params: missing: carrier, order; extra: *8000"
