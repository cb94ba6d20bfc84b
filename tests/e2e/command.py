"""Runs ``voice-gateway`` against a running stack, in this process: as its entry point does, without a second Python."""

import json
from typing import Any

from typer.testing import CliRunner
from voice_gateway_cli.deployed.target import LOCAL_STACK
from voice_gateway_cli.main import app
from voice_gateway_cli.session import options_last

from local.stack import Stack


def run(stack: Stack, *arguments: str, columns: int = 120, exits: int = 0) -> str:
    """What the command prints on standard output; fails where its exit status is another."""
    environment = {LOCAL_STACK: str(stack.folder / "stack.json"), "COLUMNS": str(columns)}
    done = CliRunner().invoke(app, options_last(list(arguments)), env=environment)
    assert done.exit_code == exits, f"{arguments}: {done.exit_code}\n{done.output}\n{done.exception!r}"
    return done.stdout


def data(stack: Stack, *arguments: str, exits: int = 0) -> Any:
    """What the command prints with ``--json``."""
    return json.loads(run(stack, *arguments, "--json", exits=exits))
