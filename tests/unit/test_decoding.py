"""Bytes to text, text to fields."""

import json
from urllib.parse import quote

import pytest
from voice_gateway.model.errors import Unreadable
from voice_gateway.vendors.common import decoding, values

pytestmark = pytest.mark.disable_socket

FORM = "application/x-www-form-urlencoded"
WORDS = "無人接聽"
BOM = b"\xef\xbb\xbf"


# -- the charset


@pytest.mark.parametrize("charset", ["gbk", "GBK", "gb2312", "GB18030", "cp936", "x-gbk"])
@pytest.mark.parametrize("form", ["text/xml; charset={}", 'text/xml;charset="{}"', "text/xml; Charset = {} ; x=y"])
def test_a_charset_of_the_header_counts(charset: str, form: str) -> None:
    assert decoding.text(WORDS.encode("gb18030"), form.format(charset)) == WORDS


@pytest.mark.parametrize("quoted", ['"{}"', "'{}'"])
@pytest.mark.parametrize("charset", ["gbk", "GB2312", "gb18030"])
def test_a_charset_of_the_xml_declaration_counts(charset: str, quoted: str) -> None:
    declaration = f'<?xml version="1.0" encoding={quoted.format(charset)}?>'
    content = f"{declaration}<r>{WORDS}</r>"
    assert decoding.text(content.encode("gb18030")) == content
    assert decoding.text(b"\r\n " + content.encode("gb18030")) == f"\r\n {content}"


def test_gbk_is_taken_where_utf8_does_not_decode() -> None:
    assert decoding.text(WORDS.encode("gbk")) == WORDS
    assert decoding.text(WORDS.encode("gbk"), "text/xml; charset=utf-8") == WORDS
    assert decoding.text(WORDS.encode("gbk"), "text/xml; charset=iso-8859-1") == WORDS


def test_utf8_is_taken_where_nobody_says_otherwise() -> None:
    assert decoding.text(WORDS.encode()) == WORDS
    assert decoding.text(WORDS.encode(), "text/xml; charset=utf-8") == WORDS


def test_characters_of_gb18030_alone_are_read() -> None:
    assert decoding.text("㐂😀".encode("gb18030"), "; charset=GBK") == "㐂😀"


def test_a_declaration_that_cannot_be_right_is_passed_over() -> None:
    """A GBK reader stumbles over these bytes; they are good UTF-8."""
    content = "成功€"
    with pytest.raises(UnicodeDecodeError):
        content.encode().decode("gb18030")
    assert decoding.text(content.encode(), "; charset=gbk") == content


def test_what_is_neither_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        decoding.text(b"\xff\xff")


def test_a_byte_order_mark_is_no_text() -> None:
    assert decoding.text(BOM + b"ok") == "ok"


# -- replies


@pytest.mark.parametrize(
    "body",
    [
        b'{"code":2,"msg":"ok"}',
        b' \r\n{"code":"2","msg":"ok"}\n',
        BOM + b'{"msg":"ok","code":2}',
        b"<r><code>2</code><msg>ok</msg></r>",
        b'<?xml version="1.0" encoding="utf-8"?>\n<r xmlns="urn:x"><code>2</code><msg>ok</msg></r>\n',
        BOM + b'\n<?xml version="1.0"?><x:r xmlns:x="urn:x"><x:msg> ok </x:msg><x:code>\n2</x:code></x:r>',
    ],
)
def test_json_and_xml_are_told_apart_by_how_they_begin(body: bytes) -> None:
    for content_type in ("", "text/html", "application/json", "text/xml"):
        assert decoding.reply(body, content_type) == {"code": "2", "msg": "ok"}


def test_a_number_of_json_is_text_to_the_last_digit() -> None:
    body = b'{"a":1,"b":-0.10,"c":69564903663951243279,"d":1e3,"e":NaN,"f":[2],"g":{"h":3},"i":true,"j":null}'
    fields = decoding.reply(body)
    assert [fields[name] for name in "abcde"] == ["1", "-0.10", "69564903663951243279", "1e3", "NaN"]
    assert (fields["f"], fields["g"], fields["i"], fields["j"]) == (["2"], {"h": "3"}, True, None)


def test_a_number_of_more_digits_than_python_reads_is_text_all_the_same() -> None:
    assert decoding.reply(b'{"code":' + b"9" * 50_000 + b"}") == {"code": "9" * 50_000}


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"2", b'"text"', b"null", b"[]", b"{", b'{"a"}', b"{'a':1}", b'{"a":1}{"a":2}', b'{"a":1',
        b"success", b"<", b"<r>", b"<r><a>1</r>", b"<r><a>1</a>", b"<r/><r/>", b"<!-- only this -->",
        b"<r><a>\x00</a></r>", b"<html><br></html>", b"[" * 60_000, b'{"a":' * 12_000, b'{"a":"\xff\xff"}',
    ],
)  # fmt: skip
def test_what_is_neither_json_object_nor_xml_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        decoding.reply(body)


@pytest.mark.parametrize(
    "definition",
    [
        '<!ENTITY a "1">',
        '<!ENTITY a SYSTEM "file:///etc/hostname">',
        '<!ENTITY % a SYSTEM "http://127.0.0.1:9/"> %a;',
        '<!ENTITY a PUBLIC "x" "http://127.0.0.1:9/">',
        '<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">',
    ],
)
def test_xml_that_defines_entities_is_unreadable(definition: str) -> None:
    with pytest.raises(Unreadable):
        decoding.reply(f"<!DOCTYPE r [{definition}]><r><code>2</code></r>".encode())


def test_the_five_entities_of_xml_are_characters() -> None:
    assert decoding.reply(b"<r><msg>&lt;&amp;&gt;&quot;&apos;&#20320;</msg></r>") == {"msg": "<&>\"'你"}


def test_xml_of_any_depth_leaves_the_process_alive() -> None:
    deep = b"<r><code>2</code>" + b"<x>" * 8_000 + b"</x>" * 8_000 + b"</r>"
    assert values.field(decoding.reply(deep), "code") == "2"


def test_an_empty_element_is_an_empty_text() -> None:
    assert decoding.reply(b"<r><a/><b></b></r>") == {"a": "", "b": ""}


# -- callbacks


@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
@pytest.mark.parametrize("declared", ["", "; charset={}"])
@pytest.mark.parametrize("escaped", [True, False])
def test_a_form_is_read_in_its_charset_escaped_or_not(charset: str, declared: str, escaped: bool) -> None:
    value = quote(WORDS, encoding=charset).encode() if escaped else WORDS.encode(charset)
    fields = decoding.callback(b"msg=" + value + b"&code=-6", FORM + declared.format(charset), "")
    assert fields == {"msg": WORDS, "code": "-6"}


def test_one_sender_has_one_charset() -> None:
    """The first value's GBK bytes are good UTF-8 by chance; the second's are not, and decide for both."""
    chance = "模"
    assert chance.encode("gbk").decode("utf-8") != chance
    body = b"a=" + chance.encode("gbk") + b"&b=" + WORDS.encode("gbk")
    assert decoding.callback(body, FORM, "") == {"a": chance, "b": WORDS}


def test_a_name_may_be_in_that_charset_too() -> None:
    fields = decoding.callback(quote("狀態", encoding="gbk").encode() + b"=1", FORM + "; charset=gbk", "")
    assert fields == {"狀態": "1"}


@pytest.mark.parametrize(
    ("body", "value"), [(b"a=1+2%2B3", "1 2+3"), (b"a=", ""), (b"a=b=c", "b=c"), (b"a=%zz", "%zz")]
)
def test_escapes_of_a_form_are_undone(body: bytes, value: str) -> None:
    assert decoding.callback(body, FORM, "") == {"a": value}


def test_the_first_of_two_fields_counts() -> None:
    assert decoding.callback(b"a=1&a=2", FORM, "") == {"a": "1"}


def test_the_query_is_read_where_there_is_no_body() -> None:
    for body in (b"", b" \r\n", BOM):
        assert decoding.callback(body, FORM, "code=-6&msg=" + quote(WORDS)) == {"code": "-6", "msg": WORDS}
    assert decoding.callback(b"", "", "msg=" + quote(WORDS, encoding="gbk")) == {"msg": WORDS}


def test_the_body_goes_before_the_query() -> None:
    assert decoding.callback(b"code=2", FORM, "code=-6") == {"code": "2"}


@pytest.mark.parametrize("content_type", ["", FORM, "application/json", "text/plain; charset=utf-8"])
def test_json_is_told_by_its_brace(content_type: str) -> None:
    body = BOM + b'\r\n{"code":-6,"msg":"' + WORDS.encode() + b'"}\r\n'
    assert decoding.callback(body, content_type, "a=1") == {"code": "-6", "msg": WORDS}


@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
@pytest.mark.parametrize("declared", ["application/json", "application/json; charset={}"])
def test_json_is_read_in_its_charset(charset: str, declared: str) -> None:
    body = json.dumps({"msg": WORDS}, ensure_ascii=False).encode(charset)
    assert decoding.callback(body, declared.format(charset), "") == {"msg": WORDS}


@pytest.mark.parametrize(
    "body", [b"", b"  ", b"&&&", b"{", b'{"a":1}x', b'{"a":' * 12_000, b"a=\xff\xff", b"&".join([b"a=1"] * 5000)]
)
def test_a_callback_without_fields_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        decoding.callback(body, FORM, "")


# -- a field


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (" a\n", "a"),
        ("", ""),
        (None, ""),
        (True, ""),
        (["1"], ""),
        ({"a": "1"}, ""),
        ("\u3000a\u3000", "a"),
    ],
)
def test_a_field_is_a_text_without_blanks_around_it(value: object, text: str) -> None:
    assert values.field({"name": value}, "name") == text


def test_an_absent_field_is_empty() -> None:
    assert values.field({}, "name") == ""
