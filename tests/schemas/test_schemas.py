"""All four schemas: sound, readable by others' validators, held to the code's own names and the pages' examples."""

import json
import re
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from voice_gateway import vendors
from voice_gateway.model.faults import Code
from voice_gateway.model.message import PUBLIC_STATUS, State
from voice_gateway.model.request import OnUnknown, Priority
from voice_gateway.model.sequence import ESCALATE_AFTER_SECONDS, REDIAL_AFTER_SECONDS, REDIAL_REASONS

from tests.gateway import ROOT
from tests.schemas.held import NAMES, SCHEMAS, nodes, parser_takes, schema, takes, why_not

USING = (ROOT / "docs" / "using.md").read_text(encoding="utf-8")
LINE_ENDS_ARE_TAKEN = {
    "#/$defs/mobile/anyOf/0/allOf/0",
    "#/$defs/mobile/anyOf/0/allOf/1",
    "#/$defs/template/properties/text/allOf/1",
}
"""Patterns to whose end one may be added anyway."""
EVERY = pytest.mark.parametrize("name", NAMES)


@EVERY
def test_a_schema_is_a_sound_one(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))
    assert schema(name)["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert schema(name)["$id"] == f"urn:voice-gateway:schema:{name}:1"
    assert schema(name)["title"]


def test_there_is_no_other_schema() -> None:
    assert {path.name.removesuffix(".schema.json") for path in SCHEMAS.glob("*.json")} == set(NAMES)


@EVERY
def test_its_examples_are_taken(name: str) -> None:
    checking = Draft202012Validator(schema(name), format_checker=FormatChecker())
    assert schema(name)["examples"]
    for place, part in nodes(schema(name)):
        here = checking.evolve(schema={**part, "$defs": schema(name)["$defs"]})
        for example in [*part.get("examples", []), *([part["default"]] if "default" in part else [])]:
            assert here.is_valid(example), f"{place}: {example}"


@EVERY
def test_every_field_is_described(name: str) -> None:
    for place, part in nodes(schema(name)):
        for field, rule in part.get("properties", {}).items():
            if re.search(r"/(dependentSchemas|anyOf)/[^/]+$", place):
                continue  # these only narrow what is described
            told = (
                rule.get("description") or schema(name)["$defs"][rule["$ref"].removeprefix("#/$defs/")]["description"]
            )
            assert re.fullmatch(r"[^\n]{4,}\.", told), f"{place}/{field}"


@EVERY
def test_every_reference_resolves(name: str) -> None:
    references = {part["$ref"] for _, part in nodes(schema(name)) if "$ref" in part}
    assert references == {f"#/$defs/{each}" for each in schema(name)["$defs"]}


@EVERY
def test_patterns_mean_the_same_everywhere(name: str) -> None:
    """To ECMAScript, Python and Go: no shorthand, no look-around, no back reference, characters written as such."""
    for place, part in nodes(schema(name)):
        if isinstance(part.get("pattern"), str):
            pattern = part["pattern"]
            assert not re.search(r"\(\?[^:]", pattern), place
            assert set(re.findall(r"\\(.)", pattern, re.DOTALL)) <= set(".[]{}-^\\"), place
            assert not re.search(r"&&|\|\||~~|--|\[\[", pattern), place
            if pattern.endswith("$") and place not in LINE_ENDS_ARE_TAKEN:
                assert re.search(part["not"]["pattern"], "a\n"), f"{place}: Python's $ matches before a line end"


@EVERY
def test_a_file_shows_all_that_it_holds(name: str) -> None:
    text = (SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8")
    assert all(char.isprintable() or char == "\n" for char in text)
    assert text.endswith("}\n")


@pytest.mark.parametrize("name", ["request", "templates"])
def test_what_the_gateway_reads_has_no_further_field(name: str) -> None:
    for place, part in nodes(schema(name)):
        if part.get("type") == "object":
            assert "additionalProperties" in part, place
            assert part["additionalProperties"] is not True, place


@pytest.mark.parametrize("name", ["result", "credit-alarm"])
def test_what_the_gateway_writes_may_get_further_fields(name: str) -> None:
    for place, part in nodes(schema(name)):
        assert "additionalProperties" not in part, place
        assert "unevaluatedProperties" not in part, place
        if part.get("type") == "object":
            assert "should ignore a field that they do not know" in part["description"], place
            assert set(part["required"]) == set(part["properties"]) - {"replayed"}, place
        if None in part.get("enum", []) or len(part.get("enum", [])) > 1:
            assert "More may come in a later release." in part["description"], place


# The code's own names


def test_enums_are_the_codes_own() -> None:
    request, result, alarm = (schema(name) for name in ("request", "result", "credit-alarm"))
    assert set(result["$defs"]["error"]["properties"]["code"]["enum"]) == set(Code)
    statuses = {PUBLIC_STATUS.get(state, str(state)) for state in State}
    assert set(result["$defs"]["ring"]["properties"]["status"]["enum"]) == statuses
    assert set(result["properties"]["status"]["enum"]) == {*statuses, None}
    redial = request["$defs"]["redial"]["properties"]
    assert set(result["$defs"]["reason"]["enum"]) == vendors.reasons()
    assert set(redial["reasons"]["items"]["enum"]) == vendors.reasons()
    assert request["properties"]["vendor"]["enum"] == list(vendors.names())
    assert set(schema("templates")["$defs"]["template"]["properties"]["vendors"]["properties"]) == set(vendors.names())
    assert request["properties"]["on_unknown"]["enum"] == list(get_args(OnUnknown))
    assert request["properties"]["priority"]["enum"] == list(get_args(Priority))
    for vendor in map(vendors.vendor, vendors.names()):
        assert f"{vendor.unit} at {vendor.name}" in alarm["properties"]["unit"]["description"]


def test_defaults_are_the_codes_own() -> None:
    properties = schema("request")["properties"]
    redial = schema("request")["$defs"]["redial"]["properties"]
    assert tuple(redial["reasons"]["default"]) == REDIAL_REASONS
    assert redial["after_seconds"]["default"] == REDIAL_AFTER_SECONDS
    assert properties["escalate_after_seconds"]["default"] == ESCALATE_AFTER_SECONDS
    for field in ("on_unknown", "priority"):
        assert f"`{properties[field]['default']}` (default)" in USING


def test_the_page_lists_the_same_fields() -> None:
    table = USING.partition("| field | required | rule |")[2].partition("\n\n")[0]
    listed = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert listed == set(schema("request")["properties"])


# The pages' examples


def blocks() -> dict[str, list[Any]]:
    """The JSON objects of docs/using.md, by what they are."""
    found: dict[str, list[Any]] = {name: [] for name in (*NAMES, "other")}
    for block in re.findall(r"^```json\n(.*?)^```", USING, re.DOTALL | re.MULTILINE):
        value = json.loads(block)
        kinds = {"request": "mobile" in value, "result": "rings" in value, "templates": "vendors" in str(value)}
        found[next((name for name, fits in kinds.items() if fits), "other")].append(value)
    return found


@pytest.mark.parametrize("name", ["request", "result", "templates"])
def test_the_pages_examples_are_taken(name: str) -> None:
    found = blocks()
    assert found[name]
    for value in found[name]:
        assert takes(name, value), why_not(name, value)
    assert len(found["other"]) == 1, "the filter policy"


@pytest.mark.parametrize("event", ["send_invoke", "send_sns"])
def test_the_events_are_taken(event: str) -> None:
    content = json.loads((ROOT / "events" / f"{event}.json").read_text(encoding="utf-8"))
    raw = json.loads(content["Records"][0]["Sns"]["Message"]) if "Records" in content else content
    assert takes("request", raw), why_not("request", raw)


def test_the_requests_examples_are_taken_by_the_parser() -> None:
    for example in schema("request")["examples"]:
        assert parser_takes(example), example


# format


def test_a_validator_that_checks_formats_too_takes_no_blank_for_the_t() -> None:
    """The difference of schemas/README.md that a validator's own setting makes."""
    raw = {"mobile": "13800138000", "content": "a", "expires_at": "2026-11-22 03:04:02Z"}
    assert parser_takes(raw)
    assert takes("request", raw)
    assert not Draft202012Validator(schema("request"), format_checker=FormatChecker()).is_valid(raw)
    raw["expires_at"] = "2026-11-22T03:04:02Z"
    assert Draft202012Validator(schema("request"), format_checker=FormatChecker()).is_valid(raw)
