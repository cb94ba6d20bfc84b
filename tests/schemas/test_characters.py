"""Texts, ids and names, character by character of the BMP: the patterns and the rules that the parser goes by."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from voice_gateway.model.request import valid_message_id, valid_template_name
from voice_gateway.model.text import spoken
from voice_gateway.sending import checks

from tests.schemas.held import parser_takes, schema, takes
from tests.schemas.making import EVERY_CHARACTER

pytestmark = pytest.mark.disable_socket

BMP = [char for char in EVERY_CHARACTER[:0x10000] if not "\ud800" <= char <= "\udfff"]
REQUEST, TEMPLATES = schema("request"), schema("templates")
TEXT = {"mobile": "13800138000", "content": "a"}


def refuses(check: Callable[[str], Any], text: str) -> bool:
    try:
        return check(text) in {None, False}
    except ValueError:
        return True


def rejecting(part: dict[str, Any], root: dict[str, Any] = REQUEST) -> Callable[[str], bool]:
    """Whether a part's patterns refuse a text."""
    parts = [part, *part.get("allOf", []), *([root["$defs"]["text"]] if part.get("$ref") == "#/$defs/text" else [])]
    wanted = [re.compile(each["pattern"]) for each in parts if "pattern" in each]
    unwanted = [re.compile(part["not"]["pattern"])] if "not" in part else []
    return lambda text: not all(each.search(text) for each in wanted) or any(each.search(text) for each in unwanted)


RULES: dict[str, tuple[dict[str, Any], Callable[[str], Any], str]] = {
    "content": (REQUEST["properties"]["content"], checks.spoken_text, "{}"),
    "content among others": (REQUEST["properties"]["content"], checks.spoken_text, "a{}b"),
    "template": (REQUEST["properties"]["template"], checks.text, "{}"),
    "template_id": (REQUEST["properties"]["template_id"], checks.text, "{}"),
    "value": (REQUEST["$defs"]["value"]["anyOf"][0], spoken, "{}"),
    "message_id": (REQUEST["properties"]["message_id"], valid_message_id, "{}"),
    "message_id among others": (REQUEST["properties"]["message_id"], valid_message_id, "a{}"),
    "a template's name": (TEMPLATES["propertyNames"], valid_template_name, "{}"),
    "a template's name among others": (TEMPLATES["propertyNames"], valid_template_name, "a{}"),
}


@pytest.mark.parametrize("name", RULES)
def test_a_character_is_refused_by_both(name: str) -> None:
    part, check, form = RULES[name]
    refused = rejecting(part)
    for char in BMP:
        text = form.format(char)
        assert refused(text) == refuses(check, text), ascii(text)


def test_a_templates_text_is_checked_as_a_content_is() -> None:
    text = TEMPLATES["$defs"]["template"]["properties"]["text"]
    assert text["allOf"][0]["pattern"] == REQUEST["$defs"]["text"]["pattern"]
    assert text["not"] == REQUEST["properties"]["content"]["not"]
    jumdata = TEMPLATES["$defs"]["jumdata"]["properties"]["template_id"]
    assert jumdata["pattern"] == REQUEST["$defs"]["text"]["pattern"]


@pytest.mark.parametrize("length", [0, 1, 127, 128, 129, 1024, 1025])
def test_lengths_agree(length: int) -> None:
    for field in ("message_id", "notify_data"):
        raw = {**TEXT, field: "a" * length}
        assert takes("request", raw) == parser_takes(raw), field


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65])
def test_lengths_of_names_agree(length: int) -> None:
    templates = {"a" * length: TEMPLATES["examples"][0]["order_shipped"]}
    assert takes("templates", templates) == valid_template_name("a" * length)
