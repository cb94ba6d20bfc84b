"""The schemas as a caller would load them, and the gateway's own doors, which they are held against."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator
from voice_gateway.sending import reading

from tests.gateway import ROOT

SCHEMAS = ROOT / "schemas"
NAMES = ("request", "result", "credit-alarm", "templates")
NOW = 1800000000.0
"""2027-01-15T08:00:00Z."""

DETERMINISTIC = settings(
    database=None, deadline=None, derandomize=True, max_examples=200, suppress_health_check=list(HealthCheck)
)


@cache
def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return loaded


@cache
def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(schema(name))


def takes(name: str, value: Any) -> bool:
    """Whether the schema takes a value. ``format`` only notes, as it does by default; the patterns decide."""
    return validator(name).is_valid(value)


def why_not(name: str, value: Any) -> list[str]:
    """What the schema finds wrong, for a failing test's message."""
    return [f"{error.json_path}: {error.message[:200]}" for error in validator(name).iter_errors(value)]


def parser_takes(raw: Any) -> bool:
    """Whether the gateway takes a request."""
    try:
        reading.read(raw, "fallback", NOW)
    except reading.InvalidRequest:
        return False
    return True


def nodes(node: Any, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in a schema with its place, itself among them; what stands in ``examples`` is no schema."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            if key not in {"examples", "default", "enum", "const"}:
                yield from nodes(value, f"{path}/{key}")
    elif isinstance(node, list):
        for at, value in enumerate(node):
            yield from nodes(value, f"{path}/{at}")
