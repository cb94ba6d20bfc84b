"""The contract suite: one set of tests over every vendor there is.

What a test expects is read from the vendor's folder in payloads/, which restates its page; nothing here names a vendor.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from voice_gateway import vendors
from voice_gateway.model.call import Accepted, Call, NotSent, Outcome, Refused, Unknown
from voice_gateway.model.errors import NotConnected, ReplyLost, Unreadable
from voice_gateway.model.faults import Fault
from voice_gateway.model.receipt import Receipt
from voice_gateway.model.request import Catalogue, Template, Text, VendorTemplate
from voice_gateway.vendors.common import decoding
from voice_gateway.vendors.common.base import BalanceUnknown, Vendor
from voice_gateway.vendors.common.http import HttpReply, HttpRequest

from tests.vendors import payloads
from tests.vendors.payloads import Answering, Payload, answering

pytestmark = pytest.mark.disable_socket

NOW = 1555378976.238
MOBILE = "13800138000"
ASKED = [name for name in vendors.names() if vendors.vendor(name).result_query]
UNCERTAIN = (301, 302, 303, 307, 308, 500, 502, 503, 504)
TEXT = "您的订单号是:{order}。已由{carrier}发出,请注意查收。"

every_vendor = pytest.mark.parametrize("name", vendors.names())
arbitrary = settings(database=None, deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


def over(kind: str, which: Callable[[dict[str, Any]], bool] = lambda meaning: True) -> pytest.MarkDecorator:
    found = [each for each in payloads.of_kind(kind) if which(each.meaning)]
    return pytest.mark.parametrize("payload", found, ids=[f"{each.vendor}-{each.name}" for each in found])


def credentials(name: str) -> dict[str, str]:
    given: dict[str, str] = payloads.contract(name)["credentials"]
    return given


def submitted(name: str, reply: HttpReply | Exception) -> Outcome:
    return vendors.vendor(name).submit(payloads.largest_call(name), credentials(name), Answering(reply), NOW)


def rows(table: str) -> list[Any]:
    return [
        pytest.param(name, *row, id=f"{name} {row[0]}")
        for name in vendors.names()
        for row in payloads.contract(name)[table]
    ]


def requests_of(name: str) -> dict[str, HttpRequest]:
    """Every kind of request that a vendor is sent."""
    vendor, secret = vendors.vendor(name), credentials(name)
    found = {
        "submit": vendor.submit_request(payloads.largest_call(name), secret, NOW),
        "balance": vendor.balance_request(secret, NOW),
    }
    if vendor.result_query:
        found["query"] = vendor.query_request("12121212121212", MOBILE, secret, NOW)
    return found


# -- what there is


def test_every_vendor_is_found_and_has_a_folder_of_payloads() -> None:
    folders = {folder.name for folder in payloads.FOLDER.iterdir() if folder.is_dir()}
    assert folders == set(vendors.names()) >= {"dxtong", "jumdata"}


def test_names_are_sorted_and_what_vendors_share_is_none_of_them() -> None:
    assert list(vendors.names()) == sorted(set(vendors.names()) - {"common"})


@every_vendor
def test_every_vendor_brings_payloads_of_each_kind(name: str) -> None:
    kinds = ["reply", "callback", "balance", *(["query"] if vendors.vendor(name).result_query else [])]
    for kind in kinds:
        assert [each for each in payloads.of_kind(kind) if each.vendor == name], kind


@every_vendor
def test_a_vendor_is_what_its_contract_declares(name: str) -> None:
    vendor, declared = vendors.vendor(name), payloads.contract(name)
    assert isinstance(vendor, Vendor)
    assert vendor.name == name
    assert [form.__name__ for form in vendor.forms] == declared["forms"]
    assert set(vendor.credentials) == set(declared["credentials"])
    for told in ("line", "unit", "callback_per_call", "result_query"):
        assert getattr(vendor, told) == declared[told], told
    assert vendor.acknowledgement == declared.get("acknowledgement", "success")
    assert vendor.echoes_message_id == declared.get("echoes_message_id", False)


@every_vendor
def test_a_vendor_that_cannot_be_asked_says_so(name: str) -> None:
    vendor = vendors.vendor(name)
    if vendor.result_query:
        assert vendor.query_request("1", MOBILE, credentials(name), NOW).method == "GET"
        return
    with pytest.raises(NotImplementedError):
        vendor.query_request("1", MOBILE, credentials(name), NOW)
    with pytest.raises(NotImplementedError):
        vendor.read_query({})


# -- what is sent


@every_vendor
def test_each_request_goes_where_the_page_says_with_documented_fields_only(name: str) -> None:
    for kind, request in requests_of(name).items():
        documented = payloads.contract(name)[kind]
        assert (request.method, request.path) == (documented["method"], documented["path"]), kind
        assert sorted(request.query) == sorted(documented["query"]), kind
        assert set(payloads.fields(request)) <= {*documented["required"], *documented["optional"]}, kind


@every_vendor
def test_no_required_field_is_missing_or_empty(name: str) -> None:
    vendor = vendors.vendor(name)
    smallest = vendor.submit_request(payloads.smallest_call(name), credentials(name), NOW)
    for request, kind in ((smallest, "submit"), (requests_of(name)["balance"], "balance")):
        required = payloads.contract(name)[kind]["required"]
        assert all(payloads.fields(request).get(each) for each in required), kind
        assert all(request.query.values())


@every_vendor
def test_an_optional_field_that_the_call_does_not_have_is_left_out(name: str) -> None:
    call = payloads.smallest_call(name)
    request = vendors.vendor(name).submit_request(call, credentials(name), NOW)
    assert not {"", "None"} & set(payloads.fields(request).values())
    documented = payloads.contract(name)["submit"]
    assert set(payloads.fields(request)) <= {*documented["required"], *documented.get("always", [])}


@every_vendor
def test_a_call_is_posted_and_its_number_and_text_stay_out_of_the_address(name: str) -> None:
    """An address ends in access logs."""
    call = payloads.largest_call(name)
    request = requests_of(name)["submit"]
    assert request.method == "POST"
    address = request.path + "?" + "&".join(f"{key}={value}" for key, value in request.query.items())
    for private in (call.mobile, call.content, call.notify_data, *call.values):
        assert not private or (private not in address and quote(private) not in address)


@every_vendor
def test_the_api_key_never_leaves(name: str) -> None:
    key = credentials(name)[payloads.contract(name)["api_key"]]
    for kind, request in requests_of(name).items():
        sent = [request.path, *request.query.values(), *payloads.fields(request).values(), *request.headers.values()]
        assert not any(key in each for each in sent), kind


@every_vendor
def test_a_request_shows_no_number_and_no_credential(name: str) -> None:
    for request in requests_of(name).values():
        shown = repr(request)
        assert MOBILE not in shown
        assert not any(value in shown for value in credentials(name).values())


@every_vendor
def test_every_field_is_text_that_utf8_can_write(name: str) -> None:
    for request in requests_of(name).values():
        for value in [*request.query.values(), *payloads.fields(request).values(), *request.headers.values()]:
            assert value.encode()


@every_vendor
def test_one_call_is_one_request(name: str) -> None:
    exchange = Answering(HttpReply(200, "", b""))
    vendors.vendor(name).submit(payloads.largest_call(name), credentials(name), exchange, NOW)
    assert len(exchange.requests) == 1


# -- what a form of request becomes


@every_vendor
def test_a_catalogue_entry_is_carried(name: str) -> None:
    template = Template("order_shipped", TEXT, {name: payloads.contract(name)["templates"]["good"]})
    form = Catalogue("order_shipped", {"order": "9633", "carrier": "顺丰快递"})
    call = vendors.vendor(name).carry(form, template)
    assert isinstance(call, Call)
    sent = payloads.fields(vendors.vendor(name).submit_request(call, credentials(name), NOW))
    assert any("9633" in value and "顺丰快递" in value for value in sent.values())


@every_vendor
def test_a_catalogue_entry_without_the_vendor_is_passed_over(name: str) -> None:
    template = Template("order_shipped", TEXT, {"another": {}})
    form = Catalogue("order_shipped", {"order": "9633", "carrier": "顺丰快递"})
    for entry in (template, None):
        fault = vendors.vendor(name).carry(form, entry)
        assert isinstance(fault, Fault)
        assert (fault.code, fault.vendor) == ("template_mismatch", name)


@every_vendor
def test_a_form_that_is_not_declared_is_passed_over(name: str) -> None:
    forms = (Catalogue("t", {}), Text("1125"), VendorTemplate("T1001", ()))
    for form in forms:
        carried = vendors.vendor(name).carry(form, Template("t", "1125", {name: {"template_id": "T1001"}}))
        assert isinstance(carried, Call) == isinstance(form, vendors.vendor(name).forms)


@every_vendor
def test_a_good_catalogue_entry_has_no_faults(name: str) -> None:
    good = payloads.contract(name)["templates"]["good"]
    assert vendors.vendor(name).check_template(TEXT, good) == ([], [])


@pytest.mark.parametrize(
    ("name", "own"),
    [
        pytest.param(name, own, id=f"{name} {json.dumps(own, ensure_ascii=False)}")
        for name in vendors.names()
        for own in payloads.contract(name)["templates"]["bad"]
    ],
)
def test_a_bad_catalogue_entry_has_faults(name: str, own: dict[str, Any]) -> None:
    faults, _ = vendors.vendor(name).check_template(TEXT, own)
    assert faults


# -- what a reply means


@over("reply")
def test_a_reply_means(payload: Payload) -> None:
    outcome = submitted(payload.vendor, payload.reply)
    meaning = payload.meaning
    match meaning["outcome"]:
        case "accepted":
            assert outcome == Accepted(meaning["call_id"])
        case "refused":
            assert isinstance(outcome, Refused)
            told = (outcome.code, outcome.refusal, outcome.vendor_code)
            assert told == tuple(meaning[key] for key in ("error", "class", "code"))
            assert outcome.vendor_message == meaning.get("message", outcome.vendor_message)
        case "unknown":
            assert isinstance(outcome, Unknown)
            if "code" in meaning:
                assert (outcome.vendor_code, outcome.vendor_message) == (meaning["code"], meaning["message"])
        case other:
            pytest.fail(f"{other} is no outcome")


@over("reply")
def test_a_redirect_or_a_5xx_is_unknown_whatever_its_body(payload: Payload) -> None:
    for status in UNCERTAIN:
        outcome = submitted(payload.vendor, HttpReply(status, payload.meaning["content_type"], payload.body))
        assert isinstance(outcome, Unknown), status


@over("reply")
def test_what_a_reply_says_can_be_written_as_utf8(payload: Payload) -> None:
    """It goes to a table, a topic and a log."""
    assert json.dumps(asdict(submitted(payload.vendor, payload.reply)), ensure_ascii=False).encode()


@over("reply", lambda meaning: meaning["outcome"] != "unknown")
def test_a_reply_that_was_cut_is_never_another_answer(payload: Payload) -> None:
    """A call id that lost its end would take another call's receipt."""
    whole = submitted(payload.vendor, payload.reply)
    for length in range(len(payload.body)):
        cut = HttpReply(payload.meaning["status"], payload.meaning["content_type"], payload.body[:length])
        outcome = submitted(payload.vendor, cut)
        assert isinstance(outcome, Unknown) or (outcome == whole and not payload.body[length:].strip()), length


@pytest.mark.parametrize(("name", "code", "text", "error", "refusal"), rows("refusals"))
def test_every_refusal_code_has_its_error_and_class(
    name: str, code: str, text: str | None, error: str, refusal: str
) -> None:
    fields = payloads.contract(name)["reply"]
    for spelt in (code, int(code)) if code.isdecimal() else (code,):
        body = {fields["code"]: spelt, fields["text"]: text or "…", **fields["rest"]}
        outcome = submitted(name, HttpReply(200, "application/json", json.dumps(body).encode()))
        assert isinstance(outcome, Refused)
        assert (outcome.code, outcome.refusal) == (error, refusal)
        assert (outcome.vendor_code, outcome.vendor_message) == (code, text or "…")


@pytest.mark.parametrize(("name", "code", "text", "error", "refusal"), rows("refusals"))
def test_every_refusal_code_has_the_text_of_the_page(
    name: str, code: str, text: str | None, error: str, refusal: str
) -> None:
    fields = payloads.contract(name)["reply"]
    outcome = submitted(name, HttpReply(200, "", json.dumps({fields["code"]: code}).encode()))
    assert isinstance(outcome, Refused)
    assert outcome.vendor_message == (text or outcome.vendor_message)
    assert outcome.vendor_message


@every_vendor
def test_the_table_of_refusals_holds_no_other_code(name: str) -> None:
    assert set(vendors.vendor(name).refusals) == {row[0] for row in payloads.contract(name)["refusals"]}


@every_vendor
def test_one_code_is_accepted_and_any_that_is_not_documented_is_unknown(name: str) -> None:
    fields = payloads.contract(name)["reply"]
    documented = {row[0] for row in payloads.contract(name)["refusals"]}
    accepted = set()
    for code in range(-30, 5000):
        for rest in (fields["rest"], fields["accepted"]):
            body = json.dumps({fields["code"]: code, fields["text"]: "手机号 签名", **rest}).encode()
            outcome = submitted(name, HttpReply(200, "", body))
            if isinstance(outcome, Accepted):
                accepted.add(code)
            elif str(code) not in documented:
                assert isinstance(outcome, Unknown), code
    assert len(accepted) == 1


@every_vendor
def test_no_connection_is_not_sent_and_a_lost_reply_is_unknown(name: str) -> None:
    assert submitted(name, NotConnected("ConnectionError")) == NotSent("ConnectionError")
    assert submitted(name, ReplyLost("ReadTimeout")) == Unknown("ReadTimeout")


@every_vendor
@arbitrary
@given(body=st.binary(max_size=200), content_type=st.sampled_from(["", "text/xml", "application/json; charset=gbk"]))
def test_arbitrary_bytes_are_unknown(name: str, body: bytes, content_type: str) -> None:
    assert isinstance(submitted(name, HttpReply(200, content_type, body)), Unknown)


# -- what a callback means


@over("callback")
def test_a_callback_means(payload: Payload) -> None:
    expected = payload.meaning["receipt"]
    if expected == "unreadable":
        with pytest.raises(Unreadable):
            read_callback(payload)
        return
    receipt = {**asdict(read_callback(payload)), "vendor": payload.vendor}
    assert {key: value for key, value in receipt.items() if key in expected} == expected


@over("callback")
def test_a_receipt_can_be_written_as_utf8(payload: Payload) -> None:
    """It goes to a table, a topic and a log; one that cannot be written there must be kept raw instead."""
    try:
        receipt = read_callback(payload)
    except Unreadable:
        return
    assert json.dumps(asdict(receipt), ensure_ascii=False).encode()


def read_callback(payload: Payload) -> Receipt:
    meaning = payload.meaning
    fields = decoding.callback(payload.body, meaning["content_type"], meaning["query"])
    return vendors.vendor(payload.vendor).read_callback(fields)


@pytest.mark.parametrize(("name", "code", "text", "reason"), rows("receipts"))
def test_every_receipt_code_has_its_reason_and_the_text_of_the_page(
    name: str, code: str, text: str, reason: str | None
) -> None:
    fields = payloads.contract(name)["receipt"]
    receipt = vendors.vendor(name).read_callback({fields["code"]: code, **fields["rest"]})
    assert (receipt.code, receipt.message, receipt.reason) == (code, text, reason)
    assert receipt.delivered == (reason is None)
    assert receipt.state == ("delivered" if reason is None else "failed")


@pytest.mark.parametrize(("name", "code", "text", "reason"), rows("receipts"))
def test_a_receipt_keeps_the_words_that_the_vendor_sent(name: str, code: str, text: str, reason: str | None) -> None:
    fields = payloads.contract(name)["receipt"]
    receipt = vendors.vendor(name).read_callback({fields["code"]: code, fields["text"]: "别的说法", **fields["rest"]})
    assert (receipt.code, receipt.message) == (code, "别的说法")


@every_vendor
def test_a_receipt_that_is_too_long_is_cut(name: str) -> None:
    fields = payloads.contract(name)["receipt"]
    code = payloads.contract(name)["receipts"][0][0]
    receipt = vendors.vendor(name).read_callback({fields["code"]: code, fields["text"]: "长" * 5000, **fields["rest"]})
    assert len(receipt.message) <= 200


@every_vendor
def test_a_receipt_does_not_show_the_number(name: str) -> None:
    for payload in payloads.of_kind("callback"):
        if payload.vendor == name and payload.meaning["receipt"] != "unreadable":
            assert MOBILE not in repr(read_callback(payload))


@every_vendor
@arbitrary
@given(
    body=st.binary(max_size=200) | st.text(max_size=100).map(str.encode),
    content_type=st.sampled_from(["", "application/json", "application/x-www-form-urlencoded; charset=gbk"]),
    query=st.text(max_size=50),
)
def test_arbitrary_callbacks_are_unreadable_and_no_other_error(
    name: str, body: bytes, content_type: str, query: str
) -> None:
    with pytest.raises(Unreadable):
        vendors.vendor(name).read_callback(decoding.callback(body, content_type, query))


# -- what is left, and what became of a call


@over("balance")
def test_a_balance_means(payload: Payload) -> None:
    vendor, secret, meaning = vendors.vendor(payload.vendor), credentials(payload.vendor), payload.meaning
    if "remaining" in meaning:
        remaining = vendor.balance(secret, Answering(payload.reply), NOW)
        assert (remaining, str(remaining)) == (Decimal(meaning["remaining"]), meaning["remaining"])
        return
    with pytest.raises(BalanceUnknown) as caught:
        vendor.balance(secret, Answering(payload.reply), NOW)
    fault = caught.value.fault
    told = (fault.code, fault.vendor, fault.vendor_code, fault.vendor_message)
    assert told == (meaning["error"], payload.vendor, meaning.get("code"), meaning.get("message"))


@every_vendor
@pytest.mark.parametrize("error", [NotConnected("ConnectTimeout"), ReplyLost("ReadTimeout")])
def test_a_balance_that_cannot_be_asked_for_is_unknown(name: str, error: Exception) -> None:
    with pytest.raises(BalanceUnknown) as caught:
        vendors.vendor(name).balance(credentials(name), Answering(error), NOW)
    assert caught.value.fault.code == "vendor_unavailable"


@over("query")
def test_a_query_means(payload: Payload) -> None:
    receipt = asked(payload.vendor, payload.reply)
    expected = payload.meaning["receipt"]
    if expected is None:
        assert receipt is None
        return
    assert receipt is not None
    assert {key: value for key, value in asdict(receipt).items() if key in expected} == expected


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("error", [NotConnected("ConnectTimeout"), ReplyLost("ReadTimeout")])
def test_a_query_that_cannot_be_asked_says_nothing(name: str, error: Exception) -> None:
    assert asked(name, error) is None


def asked(name: str, answer: HttpReply | Exception) -> Receipt | None:
    call = ("12121212121212", MOBILE, credentials(name), Answering(answer), NOW)
    return vendors.vendor(name).query(*call)


@every_vendor
def test_a_vendor_keeps_nothing_of_a_call(name: str) -> None:
    """One object serves every message of a process."""
    before = dict(vars(vendors.vendor(name)))
    for payload in payloads.of_kind("reply")[:3]:
        vendors.vendor(name).submit(
            payloads.largest_call(name),
            credentials(name),
            answering(payload.body, payload.meaning["content_type"]),
            NOW,
        )
    assert vars(vendors.vendor(name)) == before
