"""The templates file's schema and the command's own check, both ways, but for the listed differences."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from voice_gateway.model.request import placeholders
from voice_gateway.sending.catalogue import stored_form
from voice_gateway_cli.catalogue.file import checked
from voice_gateway_cli.errors import CommandError

from tests.gateway import ORDER_SHIPPED
from tests.schemas.held import DETERMINISTIC, schema, takes, why_not
from tests.schemas.making import values
from tests.schemas.systematic import changed


def command_takes(folder: Path, templates: Any) -> bool:
    """Whether ``voice-gateway templates push`` would push a file."""
    file = folder / "templates.json"
    file.write_text(json.dumps(templates), encoding="utf-8")
    try:
        return not checked(str(file)).faults
    except CommandError:
        return False


# Each difference as a predicate of one template that the schema takes.


def a_name_that_is_not_in_the_text(template: dict[str, Any]) -> bool:
    return not set(template["vendors"].get("jumdata", {}).get("params", [])) <= placeholders(template["text"])


def over_180_characters(template: dict[str, Any]) -> bool:
    fixed = template["text"].format(**dict.fromkeys(placeholders(template["text"]), ""))
    return "dxtong" in template["vendors"] and len(fixed) > 180


def over_4096_bytes(template: dict[str, Any]) -> bool:
    return len(stored_form(template).encode("utf-8", "surrogatepass")) > 4096


def a_half_character(template: dict[str, Any]) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in json.dumps(template, ensure_ascii=False))


REFUSED: dict[str, Callable[[dict[str, Any]], bool]] = {
    "a name in params that is not in the text": a_name_that_is_not_in_the_text,
    "a text over 180 characters for dxtong": over_180_characters,
    "a template over 4,096 bytes": over_4096_bytes,
    "half a character in a template": a_half_character,
}
"""The schema takes it, and the command refuses it."""
DIFFERENT: dict[str, dict[str, Any]] = {
    "a name in params that is not in the text": {
        "text": "{order}",
        "vendors": {"jumdata": {"template_id": "T1001", "params": ["order", "carrier"]}},
    },
    "a text over 180 characters for dxtong": {"text": "字" * 181 + "{order}", "vendors": {"dxtong": {}}},
    "a template over 4,096 bytes": {"text": "字" * 1400, "vendors": {"jumdata": {"template_id": "T1001"}}},
    "half a character in a template": {"text": "a\ud83d", "vendors": {"dxtong": {}}},
}


def expected(templates: Any) -> bool:
    return takes("templates", templates) and not any(
        differs(template) for template in templates.values() for differs in REFUSED.values()
    )


TEXTS = st.sampled_from(
    [
        *(
            "{order}",
            "{{",
            "}}",
            "{",
            "}",
            "{}",
            "{order",
            "{{order}",
            "{{{order}}}",
            "{order}}",
            "{a b}",
            "{1a}",
            "{_}",
        ),
        *(
            "{é}",
            "{order!r}",
            "{order!}",
            "{order[0]}",
            "{order.x}",
            "{order:>9}",
            "{order:{x}}",
            "字",
            "\n",
            "\t",
            " ",
        ),
        *("\x00", "\x85", "\u2028", "\x0b", "\r", "a", ",", "字" * 60, "\ud83d"),
    ]
)
SHAPES: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, 1, "a", " ", "{order}", [], {}, ["order"], ["a\n"], {"dxtong": {}}, {"dxtong": {"a": 1}}),
        *({"nobody": {}}, {"dxtong": None}, {"jumdata": {"template_id": " "}}, {"jumdata": {}}),
        {"jumdata": {"template_id": "T", "params": [1]}},
        {"jumdata": {"template_id": "T", "more": 1}},
        {"jumdata": {"template_id": "T", "params": ["order"]}},
    ]
)
TEMPLATE_NAMES = st.sampled_from(["order_shipped", "a" * 64, "a" * 65, "", "A", "a b", "a\n", "é", "0-_"])


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A good template with one thing changed, or its text made of pieces."""
    template: dict[str, Any] = copy.deepcopy(ORDER_SHIPPED)
    name = "a"
    match draw(st.sampled_from(["text", "text", "text", "vendors", "drop", "add", "replace", "name"])):
        case "text":
            template["text"] += draw(st.lists(TEXTS, max_size=3).map("".join))
        case "vendors":
            template["vendors"] = draw(SHAPES)
        case "drop":
            del template[draw(st.sampled_from(["text", "vendors"]))]
        case "add":
            template[draw(st.sampled_from(["more", "", "Text"]))] = draw(SHAPES)
        case "replace":
            template[draw(st.sampled_from(["text", "vendors"]))] = draw(SHAPES)
        case _:
            name = draw(TEMPLATE_NAMES)
    return {name: template}


@settings(DETERMINISTIC, max_examples=8)
@given(templates=values("templates"))
def test_what_the_schema_takes_the_command_takes(tmp_path_factory: pytest.TempPathFactory, templates: Any) -> None:
    assert command_takes(tmp_path_factory.getbasetemp(), templates) == expected(templates)


@settings(DETERMINISTIC, max_examples=300)
@given(templates=mutated())
def test_near_the_boundary_they_agree(tmp_path_factory: pytest.TempPathFactory, templates: Any) -> None:
    note(f"schema: {why_not('templates', templates)}")
    assert command_takes(tmp_path_factory.getbasetemp(), templates) == expected(templates)


def test_at_every_place_they_agree(tmp_path: Path) -> None:
    good = {"order_shipped": ORDER_SHIPPED}
    assert command_takes(tmp_path, good)
    for templates in changed(good):
        assert command_takes(tmp_path, templates) == expected(templates), templates


@pytest.mark.parametrize("templates", [None, [], {}, "", 1, {"a": None}, {"a": []}, {"a": {}}, [ORDER_SHIPPED]])
def test_what_is_no_file_of_templates_is_refused_by_both(tmp_path: Path, templates: Any) -> None:
    assert not takes("templates", templates)
    assert not command_takes(tmp_path, templates)


def test_every_difference_has_its_example() -> None:
    assert list(DIFFERENT) == list(REFUSED)


@pytest.mark.parametrize("name", REFUSED)
def test_a_difference_is_one(tmp_path: Path, name: str) -> None:
    templates = {"a": DIFFERENT[name]}
    assert takes("templates", templates), why_not("templates", templates)
    assert not command_takes(tmp_path, templates)
    assert [other for other, differs in REFUSED.items() if differs(DIFFERENT[name])] == [name]


def test_a_colon_after_a_name_is_taken_by_the_command_alone(tmp_path: Path) -> None:
    templates = {"a": {"text": "{order:}", "vendors": {"dxtong": {}}}}
    assert command_takes(tmp_path, templates)
    assert not takes("templates", templates)


def test_a_mark_at_the_beginning_of_a_file_is_no_matter_of_the_schemas(tmp_path: Path) -> None:
    example = schema("templates")["examples"][0]
    (tmp_path / "t.json").write_text("\ufeff" + json.dumps(example), encoding="utf-8")
    assert checked(str(tmp_path / "t.json")).templates == example
