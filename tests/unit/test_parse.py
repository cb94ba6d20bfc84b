"""Every rule of a request (docs/using.md)."""

import dataclasses
import datetime
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voice_gateway.model.request import Catalogue, Request, Text, VendorTemplate
from voice_gateway.sending import reading
from voice_gateway.sending.reading import InvalidRequest

pytestmark = pytest.mark.disable_socket

NOW = 1800000000.0
"""2027-01-15T08:00:00Z."""
MOBILE = "13800138000"
CATALOGUE: dict[str, Any] = {
    "mobile": MOBILE,
    "template": "order_shipped",
    "params": {"order": "9633", "carrier": "顺丰"},
}
TEXT: dict[str, Any] = {"mobile": MOBILE, "content": "您的订单号是:9633。"}
VENDOR: dict[str, Any] = {"mobile": MOBILE, "template_id": "T1001", "params": ["9633", "顺丰"]}
FORMS = pytest.mark.parametrize("form", [CATALOGUE, TEXT, VENDOR], ids=["catalogue", "text", "vendor template"])
HALF = "\ud83d"
"""Half a surrogate pair, which JSON lets through."""
FULL: dict[str, Any] = {
    "vendor": "dxtong",
    "play_times": 2,
    "notify_data": "{}",
    "on_unknown": "redial_once",
    "redial": {"times": 2, "after_seconds": [60, 120], "reasons": ["no_answer", "busy"]},
    "escalate_to": ["13800138001", "138 0013 8002"],
    "escalate_after_seconds": 30,
    "not_before": "2026-11-22T10:04:02+08:00",
    "hours": "22:00-06:00",
    "expires_at": "2026-11-22T11:04:02+08:00",
}


def read(**request: Any) -> Request:
    return reading.read(request, "fallback", NOW)


def faults(raw: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        reading.read(raw, "fallback", NOW)
    return caught.value


def code(**request: Any) -> str:
    return faults(request).fault.code


def print_of(**request: Any) -> str:
    return read(**request).fingerprint


# -- a good request


def test_the_catalogue_form() -> None:
    expected = Catalogue("order_shipped", {"order": "9633", "carrier": "顺丰"})
    assert read(**CATALOGUE) == Request("fallback", MOBILE, expected)
    assert read(mobile=MOBILE, template="t").form == Catalogue("t", {})


def test_the_text_form() -> None:
    assert read(**TEXT) == Request("fallback", MOBILE, Text("您的订单号是:9633。"))


def test_the_vendor_s_form() -> None:
    assert read(**VENDOR) == Request("fallback", MOBILE, VendorTemplate("T1001", ("9633", "顺丰")))
    assert read(mobile=MOBILE, template_id="T1001").form == VendorTemplate("T1001", ())


def test_every_optional_field() -> None:
    request = read(message_id="order-9633", dry_run=True, **TEXT, **FULL)
    assert (request.message_id, request.dry_run, request.vendor) == ("order-9633", True, "dxtong")
    assert (request.play_times, request.notify_data, request.on_unknown) == (2, "{}", "redial_once")
    assert request.expires_at == datetime.datetime(2026, 11, 22, 3, 4, 2, tzinfo=datetime.UTC)


def test_nothing_is_filled_in_but_the_id() -> None:
    request = read(**TEXT)
    absent = (request.vendor, request.play_times, request.notify_data, request.on_unknown, request.expires_at)
    assert absent == (None,) * 5
    assert (request.message_id, request.dry_run) == ("fallback", False)


def test_integers_among_the_values_become_text() -> None:
    assert read(mobile=MOBILE, template="t", params={"a": 9633, "b": -1, "c": ""}).form == Catalogue(
        "t", {"a": "9633", "b": "-1", "c": ""}
    )
    assert read(mobile=MOBILE, template_id="t", params=[9633, "0"]).form == VendorTemplate("t", ("9633", "0"))


def test_length_and_commas_are_no_matter_of_the_request_s() -> None:
    """Which vendor they pass over is for routing to find."""
    assert read(mobile=MOBILE, content="字" * 181).form == Text("字" * 181)
    assert read(mobile=MOBILE, template_id="t", params=["a,b"]).form == VendorTemplate("t", ("a,b",))


# -- message_id


@pytest.mark.parametrize("message_id", ["a", "A-Z_a.z:0-9", "x" * 128, "0", "-", "...."])
def test_a_message_id(message_id: str) -> None:
    assert read(**TEXT, message_id=message_id).message_id == message_id


@pytest.mark.parametrize(
    "message_id", ["", "x" * 129, "a b", "a/b", "a\n", "é", "六", "a,b", None, 1, True, ["a"], {}, "\uff11", HALF]
)
def test_no_message_id(message_id: Any) -> None:
    error = faults({**TEXT, "message_id": message_id})
    assert (error.fault.code, error.message_id) == ("invalid_request", "fallback")


# -- mobile


@pytest.mark.parametrize("prefix", ["", "+86", "86", "0086", "+86 ", "86-", "+86-", "0086 ", " "])
@pytest.mark.parametrize(
    "number", ["13800138000", "138 0013 8000", "138-0013-8000", "1-3-8 0 0 1 3 8 0 0 0", "13800138000 "]
)
def test_a_mobile_is_normalised(prefix: str, number: str) -> None:
    assert read(**{**TEXT, "mobile": prefix + number}).mobile == MOBILE


@pytest.mark.parametrize("digit", "3456789")
def test_a_mobile_begins_with_1_and_3_to_9(digit: str) -> None:
    mobile = f"1{digit}" + "0" * 9  # nobody's number
    assert read(**{**TEXT, "mobile": mobile}).mobile == mobile


@pytest.mark.parametrize(
    "mobile",
    ["", "1380013800", "138001380000", "12800138000", "10800138000", "03800138000", "23800138000", "+8513800138000",
     "008613800138000x", "13800138OOO", "138_0013_8000", "+13800138000", "8613800", "tel:", "tel:tel:13800138000",
     "1380013800٠", "13800138000,13800138001", "138/0013/8000", "138+00138000", "13800138000;ext=1",
     "e\u0301", "++8613800138000",
     "+868613800138000", "13800138000\x00", HALF, "1" * 100_000],
)  # fmt: skip
def test_no_mobile(mobile: str) -> None:
    assert code(**{**TEXT, "mobile": mobile}) == "invalid_mobile"


@pytest.mark.parametrize("mobile", [13800138000.0, None, True, ["13800138000"], {}])
def test_a_mobile_is_a_string_or_an_integer(mobile: Any) -> None:
    assert code(**{**TEXT, "mobile": mobile}) == "invalid_mobile"


def test_an_absent_mobile_has_the_code_of_its_own() -> None:
    assert code(content="ok") == "invalid_mobile"


def test_a_fault_does_not_show_the_number() -> None:
    error = faults({**TEXT, "mobile": "1380013800099", "play_times": 9})
    assert "1380013800" not in error.fault.message
    assert "1380013800" not in str(error)


# -- the forms


def test_one_form_is_required() -> None:
    assert code(mobile=MOBILE) == "invalid_request"
    assert code(mobile=MOBILE, params={}) == "invalid_request"


@pytest.mark.parametrize("two", [("template", "content"), ("template", "template_id"), ("content", "template_id")])
def test_two_forms_at_once_are_a_fault(two: tuple[str, str]) -> None:
    assert code(mobile=MOBILE, **dict.fromkeys(two, "x")) == "invalid_request"
    assert code(mobile=MOBILE, **{two[0]: "x", two[1]: None}) == "invalid_request"


@pytest.mark.parametrize("field", ["template", "content", "template_id"])
@pytest.mark.parametrize("value", ["", " \n", "\u3000", None, 1, True, [], {}, HALF, "a" + HALF])
def test_a_form_s_field_is_a_text(field: str, value: Any) -> None:
    assert code(mobile=MOBILE, **{field: value}) == "invalid_request"


@FORMS
@pytest.mark.parametrize("params", [None, "a", 1, True])
def test_params_of_another_type_are_a_fault(form: dict[str, Any], params: Any) -> None:
    assert code(**{**form, "params": params}) == "invalid_request"


def test_params_have_the_type_of_their_form() -> None:
    assert code(**{**CATALOGUE, "params": ["9633"]}) == "invalid_request"
    assert code(**{**VENDOR, "params": {"order": "9633"}}) == "invalid_request"
    assert code(**TEXT, params={}) == "invalid_request"
    assert code(**TEXT, params=[]) == "invalid_request"


@pytest.mark.parametrize("value", [None, True, False, 1.5, 1.0, [], {}, ["a"], HALF])
def test_a_value_is_a_string_or_an_integer(value: Any) -> None:
    assert code(mobile=MOBILE, template="t", params={"a": value}) == "invalid_request"
    assert code(mobile=MOBILE, template_id="t", params=["a", value]) == "invalid_request"


# -- vendor


def test_a_vendor_that_carries_the_form_can_be_pinned() -> None:
    for form, vendor in ((CATALOGUE, "dxtong"), (CATALOGUE, "jumdata"), (TEXT, "dxtong"), (VENDOR, "jumdata")):
        assert read(**form, vendor=vendor).vendor == vendor


def test_a_form_that_the_pinned_vendor_cannot_carry_is_a_fault() -> None:
    assert code(**TEXT, vendor="jumdata") == "invalid_request"
    assert code(**VENDOR, vendor="dxtong") == "invalid_request"


@pytest.mark.parametrize("vendor", ["", "base", "DXTONG", "ihuyi", None, 1, True, ["dxtong"], {}, HALF])
def test_no_vendor(vendor: Any) -> None:
    assert code(**CATALOGUE, vendor=vendor) == "invalid_request"


# -- play_times, notify_data, on_unknown, dry_run


@pytest.mark.parametrize("play_times", [1, 2, 3])
def test_play_times(play_times: int) -> None:
    assert read(**TEXT, play_times=play_times).play_times == play_times


@pytest.mark.parametrize("play_times", [0, 4, -1, 10**100, True, False, "1", 1.0, None, [1]])
def test_no_play_times(play_times: Any) -> None:
    assert code(**TEXT, play_times=play_times) == "invalid_request"


@pytest.mark.parametrize("notify_data", ["", "a" * 1024, "字" * 341 + "a", "😀" * 256, '{"order": 9633}', "\x00\n"])
def test_notify_data_is_kept_as_it_is(notify_data: str) -> None:
    assert read(**TEXT, notify_data=notify_data).notify_data == notify_data


@pytest.mark.parametrize("notify_data", ["a" * 1025, "字" * 342, "😀" * 257, None, 1, True, {}, [], HALF])
def test_no_notify_data(notify_data: Any) -> None:
    assert code(**TEXT, notify_data=notify_data) == "invalid_request"


@pytest.mark.parametrize("on_unknown", ["stop", "redial_once"])
def test_on_unknown(on_unknown: str) -> None:
    assert read(**TEXT, on_unknown=on_unknown).on_unknown == on_unknown


@pytest.mark.parametrize("on_unknown", ["", "redial", "STOP", None, 1, True, ["stop"], {}])
def test_no_on_unknown(on_unknown: Any) -> None:
    assert code(**TEXT, on_unknown=on_unknown) == "invalid_request"


@pytest.mark.parametrize("dry_run", ["true", 1, 0, None, "", [], {}])
def test_no_dry_run(dry_run: Any) -> None:
    """Guessing what was meant would ring, or not ring."""
    assert code(**TEXT, dry_run=dry_run) == "invalid_request"


# -- expires_at


@pytest.mark.parametrize(
    "moment",
    ["2026-11-22T03:04:02Z", "2026-11-22T11:04:02+08:00", "2026-11-21T22:04:02-05:00", "2026-11-22t03:04:02z",
     "2026-11-22T03:04:02.000Z", "2026-11-22T03:04:02.000000000Z", "2026-11-22T08:34:02+05:30"],
)  # fmt: skip
def test_expires_at_is_a_moment(moment: str) -> None:
    expected = datetime.datetime(2026, 11, 22, 3, 4, 2, tzinfo=datetime.UTC)
    assert read(**TEXT, expires_at=moment).expires_at == expected


@pytest.mark.parametrize(
    "moment",
    ["", "2026-11-22", "2026-11-22T03:04:02", "2026-11-22T03:04Z", "20261122T030402Z", "2026-11-22T03:04:02+0800",
     "2026-11-22T03:04:02+08", "2026-13-22T03:04:02Z", "2026-11-31T03:04:02Z", "2026-11-22T25:04:02Z",
     "2026-11-22T03:04:02+25:00", "2026-W47-7T03:04:02Z", "2026-11-22T03:04:02Z\n", " 2026-11-22T03:04:02Z",
     "2026-11-22T03:04:02.Z", "２０２６-11-22T03:04:02Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+10:00",
     "9999-12-31T23:59:59-10:00", "tomorrow", "1795392000", 1795392000, 1795392000.5, None, True, {}, HALF],
)  # fmt: skip
def test_no_expires_at(moment: Any) -> None:
    assert code(**TEXT, expires_at=moment) == "invalid_request"


def test_a_moment_in_the_past_is_a_good_request() -> None:
    """It is expired, not invalid: that is for the story to say."""
    assert read(**TEXT, expires_at="1999-01-01T00:00:00Z").expires_at is not None


# -- what is no request at all


@pytest.mark.parametrize("raw", [None, "", "text", 1, True, [], [TEXT], 1.5])
def test_a_request_is_an_object(raw: Any) -> None:
    error = faults(raw)
    assert (error.fault.code, error.message_id, error.dry_run) == ("invalid_request", "fallback", False)


@pytest.mark.parametrize("name", ["", "Mobile", "phone", "param", "sign", "x" * 10_000, "号码", " mobile"])
def test_an_unknown_field_is_a_fault_that_names_it(name: str) -> None:
    error = faults({**TEXT, name: 1})
    assert error.fault.code == "invalid_request"
    assert name[:64] in error.fault.message


# -- faults


def test_every_fault_is_listed_in_one_reply() -> None:
    error = faults(
        {
            "message_id": "a b", "mobile": "138", "content": "x", "template": "y", "vendor": "z", "play_times": 9,
            "notify_data": 1, "on_unknown": 2, "expires_at": 3, "dry_run": 4, "more": 5,
        }
    )  # fmt: skip
    assert error.fault.code == "invalid_request"
    named = ("message_id", "mobile", "content", "vendor", "play_times", "notify_data", "on_unknown", "expires_at")
    for name in (*named, "dry_run", "more"):
        assert name in error.fault.message, name


def test_every_bad_value_is_listed() -> None:
    message = faults({**CATALOGUE, "params": {"order": None, "carrier": True, "good": "1"}}).fault.message
    assert "order" in message
    assert "carrier" in message
    assert "good" not in message


def test_one_fault_alone_keeps_its_own_code_and_two_do_not() -> None:
    assert code(**{**TEXT, "mobile": "138"}) == "invalid_mobile"
    assert code(**{**TEXT, "mobile": "138", "play_times": 9}) == "invalid_request"


def test_a_fault_is_not_retryable() -> None:
    assert faults({}).fault.as_dict()["retryable"] is False


def test_a_bad_request_goes_by_its_own_id_where_that_is_good() -> None:
    assert faults({"message_id": "order-9633"}).message_id == "order-9633"
    assert faults({"message_id": "order 9633"}).message_id == "fallback"


def test_a_bad_request_keeps_what_its_result_needs() -> None:
    error = faults({"message_id": "a", "notify_data": "kept", "dry_run": True})
    assert (error.notify_data, error.dry_run) == ("kept", True)
    assert faults({"notify_data": "a" * 1025, "dry_run": "true"}).notify_data is None
    assert faults({"dry_run": 1}).dry_run is False


def test_the_fingerprint_of_a_bad_request_is_over_what_came_without_id_and_dry_run() -> None:
    one = faults({"mobile": "138", "content": "x", "message_id": "a"}).fingerprint
    assert one == faults({"content": "x", "mobile": "138", "message_id": "b", "dry_run": True}).fingerprint
    assert one != faults({"mobile": "139", "content": "x"}).fingerprint


@pytest.mark.parametrize(
    "raw",
    [
        {**TEXT, HALF: 1},
        {**TEXT, "mobile": HALF},
        {**TEXT, "message_id": HALF},
        {**CATALOGUE, "params": {HALF: None}},
        {**CATALOGUE, "params": {"a": HALF}},
        {**TEXT, "notify_data": HALF},
        {HALF: HALF},
    ],
)
def test_what_a_fault_says_can_be_written_as_utf8(raw: dict[str, Any]) -> None:
    """It is stored, published and returned: a fault that cannot be written loses the result."""
    error = faults(raw)
    assert json.dumps(error.fault.as_dict(), ensure_ascii=False).encode()
    assert error.fingerprint


def test_a_good_request_can_be_written_as_utf8() -> None:
    """The name of a value counts like the value: it is stored with the message."""
    raw = {**CATALOGUE, "params": {HALF: "9633"}}
    try:
        request = reading.read(raw, "fallback", NOW)
    except InvalidRequest:
        return
    assert request.to_json().encode()


# -- huge input


@pytest.mark.parametrize(
    "raw",
    [
        {**TEXT, **{f"field{number}": number for number in range(20_000)}},
        {**CATALOGUE, "params": {f"name{number}": None for number in range(20_000)}},
        {**CATALOGUE, "params": {"n" * 200_000: None}},
        {**VENDOR, "params": [None] * 20_000},
        {**TEXT, "message_id": "a" * 200_000},
        {**TEXT, "expires_at": "2" * 200_000},
        {**TEXT, "vendor": "v" * 200_000},
        {**TEXT, "notify_data": "d" * 200_000},
    ],
)
def test_the_faults_of_a_huge_request_are_short(raw: dict[str, Any]) -> None:
    assert len(faults(raw).fault.message) <= 2000


@pytest.mark.parametrize("field", ["vendor", "play_times", "params", "more", "mobile", "content"])
def test_a_deep_request_is_a_fault_and_no_crash(field: str) -> None:
    """As deep as the JSON reader itself goes: what it lets through, this must take."""
    depth = 100
    while depth < 100_000:
        try:
            deep = json.loads("[" * depth + "]" * depth)
        except RecursionError:
            break
        assert code(**{**TEXT, field: deep}) in {"invalid_request", "invalid_mobile"}
        depth *= 2


def test_a_huge_text_is_a_good_request() -> None:
    assert read(mobile=MOBILE, content="字" * 200_000).form == Text("字" * 200_000)


def test_values_that_no_item_could_hold_are_refused() -> None:
    assert code(mobile=MOBILE, template_id="t", params=["字" * 30_000]) == "invalid_request"


def test_the_longest_integer_that_json_reads_is_a_value() -> None:
    digits = "9" * 4300
    assert read(mobile=MOBILE, template_id="t", params=[json.loads(digits)]).form == VendorTemplate("t", (digits,))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters(), max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)


@settings(database=None, deadline=None, max_examples=200)
@given(
    st.dictionaries(
        st.sampled_from([*FULL, *CATALOGUE, "content", "template_id", "message_id", "dry_run"]) | st.text(max_size=5),
        json_values,
        max_size=8,
    )
)
def test_any_object_is_a_request_or_a_list_of_faults(raw: dict[str, Any]) -> None:
    try:
        request = reading.read({**TEXT, **raw}, "fallback", NOW)
    except InvalidRequest:
        return
    kept = json.loads(request.to_json())
    assert reading.read(kept, "another", NOW) == dataclasses.replace(request, dry_run=False)


# -- the fingerprint


@FORMS
def test_a_fingerprint_does_not_depend_on_id_and_dry_run(form: dict[str, Any]) -> None:
    expected = print_of(**form)
    assert print_of(**form, message_id="order-9633") == expected
    assert print_of(**form, message_id="another", dry_run=True) == expected
    assert print_of(**form, dry_run=False) == expected


@FORMS
def test_a_fingerprint_does_not_depend_on_the_order_of_keys(form: dict[str, Any]) -> None:
    turned = dict(reversed(form.items()))
    if isinstance(form.get("params"), dict):
        turned["params"] = dict(reversed(form["params"].items()))
    assert print_of(**turned) == print_of(**form)


@FORMS
def test_a_fingerprint_is_over_the_normalised_number(form: dict[str, Any]) -> None:
    for mobile in ("+86 138-0013-8000", "008613800138000", "86 13800138000"):
        assert print_of(**{**form, "mobile": mobile}) == print_of(**form)
    assert print_of(**{**form, "mobile": "13800138001"}) != print_of(**form)


def test_a_fingerprint_is_over_the_normalised_moment_and_values() -> None:
    one = print_of(**TEXT, expires_at="2026-11-22T11:04:02+08:00")
    assert one == print_of(**TEXT, expires_at="2026-11-22T03:04:02Z")
    assert one != print_of(**TEXT, expires_at="2026-11-22T03:04:03Z")
    assert print_of(**{**CATALOGUE, "params": {"order": 9633, "carrier": "顺丰"}}) == print_of(**CATALOGUE)


def test_a_fingerprint_is_taken_before_defaults() -> None:
    """What the defaults are may change with a version; a replay must still be known as one."""
    assert print_of(**TEXT) != print_of(**TEXT, on_unknown="stop")
    assert print_of(**TEXT) != print_of(**TEXT, play_times=1)


@pytest.mark.parametrize(("field", "value"), FULL.items())
def test_every_other_field_counts(field: str, value: Any) -> None:
    assert print_of(**TEXT, **{field: value}) != print_of(**TEXT)


def test_an_empty_notify_data_is_not_an_absent_one() -> None:
    assert print_of(**TEXT, notify_data="") != print_of(**TEXT)


def test_the_form_counts() -> None:
    prints = [
        print_of(**CATALOGUE),
        print_of(**TEXT),
        print_of(**VENDOR),
        print_of(**{**CATALOGUE, "template": "other"}),
        print_of(**{**CATALOGUE, "params": {"order": "顺丰", "carrier": "9633"}}),
        print_of(**{**VENDOR, "params": ["顺丰", "9633"]}),
        print_of(**{**VENDOR, "params": ["9633,顺丰"]}),
        print_of(**{**TEXT, "content": TEXT["content"] + " "}),
    ]
    assert len(set(prints)) == len(prints)


def test_a_fingerprint_does_not_show_the_number() -> None:
    assert MOBILE not in print_of(**TEXT)
    assert MOBILE not in repr(read(**TEXT))


# -- kept, to be sent later


@FORMS
def test_what_is_kept_is_read_as_the_same_again(form: dict[str, Any]) -> None:
    extras = {name: value for name, value in FULL.items() if name != "vendor"}
    for request in (read(**form, message_id="order-9633", **extras), read(**form), read(**form, notify_data="")):
        kept = json.loads(request.to_json())
        again = reading.read(kept, "another", NOW)
        assert again == request
        assert again.fingerprint == request.fingerprint
