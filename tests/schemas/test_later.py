"""What schema and parser take, and the gateway refuses later, as schemas/README.md lists it."""

from typing import Any

import pytest
import time_machine

from tests.functions.test_send import SHIPPED, number
from tests.functions.test_sequences import NOON
from tests.gateway import Gateway
from tests.schemas.held import SCHEMAS, parser_takes, takes, why_not

LATER: dict[str, tuple[dict[str, Any], str]] = {
    "a template that is not there": ({"template": "nobody"}, "unknown_template"),
    "a name that no template can have": ({"template": "No Name"}, "unknown_template"),
    "values that the template does not have, or lacks": (
        {"template": "order_shipped", "params": {"order": 1}},
        "template_mismatch",
    ),
    "an ASCII comma in a value for jumdata": ({"template_id": "T1001", "params": ["1,2"]}, "template_mismatch"),
    "a content over 180 characters": ({"content": "字" * 181}, "content_too_long"),
    "hours that do not come before expires_at": (
        {**SHIPPED, "hours": "03:00-03:01", "expires_at": "2026-11-22T13:00:00+08:00"},
        "outside_hours",
    ),
    "a moment in the past for expires_at": ({**SHIPPED, "expires_at": "2020-01-01T00:00:00Z"}, "expired"),
}


def test_what_is_refused_later_is_told_in_the_result(gateway: Gateway) -> None:
    for name, (fields, code) in LATER.items():
        raw = {"mobile": number(0), "dry_run": True, **fields}
        assert takes("request", raw), why_not("request", raw)
        assert parser_takes(raw), name
        with time_machine.travel(NOON, tick=False):
            told = gateway.invoke("send", raw)
        assert (told["error"] or {}).get("code") == code, f"{name}: {told}"


@pytest.mark.parametrize("name", LATER)
def test_the_page_lists_it(name: str) -> None:
    page = (SCHEMAS / "README.md").read_text(encoding="utf-8")
    assert f"| {name} | `{LATER[name][1]}` |" in page.partition("## What is refused later")[2]
