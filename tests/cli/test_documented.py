"""docs/cli.md says what there is: every command, every option of all of them, every cause."""

import re
from typing import Any

import typer.main
from voice_gateway_cli.main import app
from voice_gateway_cli.session import NAMES
from voice_gateway_cli.why.causes import CAUSES

from tests.template.translation import ROOT

PAGE = (ROOT / "docs" / "cli.md").read_text()


def commands(group: Any, before: str = "") -> list[str]:
    found: list[str] = []
    for name, command in group.commands.items():
        found += commands(command, f"{name} ") if hasattr(command, "commands") else [f"{before}{name}"]
    return found


def test_every_command_is_there() -> None:
    table = PAGE.partition("| command | does |")[2].partition("\n\n")[0]
    for name in commands(typer.main.get_command(app)):
        first, _, second = name.partition(" ")
        row = next((line for line in table.splitlines() if re.match(rf"\| .*`{first}\b", line)), "")
        assert f"`{second}" in row or f"{first} {second}".strip() in row, name


def test_every_common_option_is_there() -> None:
    for option in NAMES:
        assert f"`{option}`" in PAGE or f"`{option} " in PAGE, option


def test_every_cause_is_there_in_its_order_with_its_page() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+ \| \[([\w<>-]+)\]", PAGE.partition("## Causes")[2], re.MULTILINE)
    assert rows == [(cause.key, cause.runbook.replace("{vendor}", "<vendor>")) for cause in CAUSES]
