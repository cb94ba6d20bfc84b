"""Makes values from a schema: a strategy for the part of JSON Schema that ours use, read from the file itself."""

import re
import sys
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.schemas.held import schema, takes

Schema = dict[str, Any]
EVERY_CHARACTER = [chr(point) for point in range(sys.maxunicode + 1)]


def values(name: str) -> st.SearchStrategy[Any]:
    """Values that the schema of that name takes."""
    return _made(schema(name), schema(name)).filter(lambda value: takes(name, value))


@cache
def characters(pattern: str) -> str:
    """The characters of which a pattern lets texts be made."""
    compiled = re.compile(pattern)
    return "".join(char for char in EVERY_CHARACTER if compiled.search(char))


def _made(part: Schema, root: Schema) -> st.SearchStrategy[Any]:
    part = _resolved(part, root)
    if "const" in part or "enum" in part:
        return st.sampled_from(part.get("enum") or [part["const"]])
    if "anyOf" in part and part.get("type") != "object":
        return st.one_of([_made({**_without_any_of(part), **branch}, root) for branch in _branches(part, root)])
    match part.get("type"):
        case "string":
            return _text(part)
        case "integer":
            return st.integers(part.get("minimum"), part.get("maximum"))
        case "boolean":
            return st.booleans()
        case "array":
            return st.lists(
                _made(part.get("items", {}), root), min_size=part.get("minItems", 0), max_size=part.get("maxItems", 4)
            )
        case "object":
            return _object(part, root)
        case other:
            raise NotImplementedError(other)


def _resolved(part: Schema, root: Schema) -> Schema:
    """The part with what it refers to; what stands beside ``$ref`` adds to it."""
    while "$ref" in part:
        target = root["$defs"][part["$ref"].removeprefix("#/$defs/")]
        part = {**target, **{key: value for key, value in part.items() if key != "$ref"}}
    return part


def _without_any_of(part: Schema) -> Schema:
    return {key: value for key, value in part.items() if key != "anyOf"}


def _branches(part: Schema, root: Schema) -> list[Schema]:
    """Those of ``anyOf`` that fit a type which stands beside it."""
    branches = [_resolved(branch, root) for branch in part["anyOf"]]
    return [branch for branch in branches if part.get("type") in {None, branch.get("type")}] or [{}]


def _text(part: Schema) -> st.SearchStrategy[str]:
    patterns = [each["pattern"] for each in [part, *part.get("allOf", [])] if "pattern" in each]
    if not patterns:
        return st.text(max_size=min(part.get("maxLength", 20), 20), min_size=part.get("minLength", 0))
    if len(patterns) == 2 and patterns[0].endswith("+$"):  # which characters there may be, and how they stand
        return st.from_regex(patterns[1], alphabet=characters(patterns[0]))
    return st.from_regex(patterns[-1])


@st.composite
def _object(draw: st.DrawFn, part: Schema, root: Schema) -> dict[str, Any]:
    choices = part.get("oneOf", [{"required": []}])
    chosen = draw(st.sampled_from(choices))["required"]
    left_out = {name for choice in choices for name in choice["required"]} - set(chosen)
    properties = {name: each for name, each in part.get("properties", {}).items() if name not in left_out}
    narrowing = [part["dependentSchemas"][name] for name in chosen if name in part.get("dependentSchemas", {})]
    if "anyOf" in part:
        narrowing.append(draw(st.sampled_from(part["anyOf"])))
    for each in narrowing:
        for name, more in each["properties"].items():
            properties[name] = more if more is False or "$ref" in more else {**properties.get(name, {}), **more}
    required = {*part.get("required", []), *chosen}
    found = {}
    for name, each in properties.items():
        if each is not False and (name in required or draw(st.booleans())):
            found[name] = draw(_made(each, root))
    others = part.get("additionalProperties")
    if isinstance(others, dict):
        names = _made({"type": "string", **part.get("propertyNames", {})}, root)
        found |= draw(st.dictionaries(names, _made(others, root), min_size=part.get("minProperties", 0), max_size=3))
    return found
