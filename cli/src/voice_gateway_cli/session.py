"""What every command has in common: its options, the stack that they say, where it prints, and how it fails."""

import datetime
import functools
import inspect
import os
import re
import sys
import time
import traceback
from collections.abc import Callable
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import typer
from voice_gateway.sending.checks import message_id as readable_id

from voice_gateway_cli.deployed.stack import Stack
from voice_gateway_cli.deployed.target import target
from voice_gateway_cli.errors import CommandError, UsageError, in_words
from voice_gateway_cli.terminal.output import Output


class Options(NamedTuple):
    """The options that every command takes."""

    stack: str | None = None
    region: str | None = None
    profile: str | None = None
    as_json: bool = False
    reveal: bool = False
    debug: bool = False


class Session:
    """One run of a command."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.out = Output(as_json=options.as_json)

    @cached_property
    def stack(self) -> Stack:
        """The stack that is meant. Raises UsageError if nothing says which."""
        return target(self.options.stack, self.options.region, self.options.profile)

    def number(self, mobile: str) -> str:
        """A phone number as it may be shown: its last four digits, unless the operator said ``--reveal``."""
        return mobile if self.options.reveal else f"*{mobile[-4:]}"

    @staticmethod
    def checked_id(message_id: str) -> str:
        """Raises UsageError if no message can have that id."""
        try:
            return readable_id(message_id)
        except ValueError as error:
            raise UsageError(f"message_id {error}") from None

    def confirmed(self, question: str, *, yes: bool) -> None:
        """Asks before something that cannot be undone. Raises CommandError if it is not wanted, or nobody can say."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise UsageError(f"{question} Nobody can answer here: say --yes")
        if not typer.confirm(question, err=True):
            raise CommandError("nothing was done")


_UNITS = {"m": 60, "h": 3600, "d": 86400}


def moment_of(option: str, text: str | None) -> float | None:
    """A moment, epoch seconds: how long ago, or a date or time; None if none is given. Raises UsageError."""
    if text is None:
        return None
    if found := re.fullmatch(r"(\d{1,5})([mhd])", text.strip()):
        return time.time() - int(found[1]) * _UNITS[found[2]]
    try:
        return datetime.datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        raise UsageError(f"{option} {text}: must be like 30m, 6h, 3d, 2026-11-27 or 2026-11-27T09:00") from None


def _common(
    stack: Annotated[str | None, typer.Option(help="The stack, by its name; else the running local one.")] = None,
    region: Annotated[str | None, typer.Option(help="AWS region, else the usual one.")] = None,
    profile: Annotated[str | None, typer.Option(help="Profile of the AWS configuration.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, for pipes.")] = False,  # noqa: FBT002
    reveal: Annotated[bool, typer.Option("--reveal", help="Show numbers and texts in full.")] = False,  # noqa: FBT002
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,  # noqa: FBT002
) -> None:
    """The signature alone is used."""


_OPTIONS = inspect.signature(_common).parameters
NAMES = {"--stack": True, "--region": True, "--profile": True, "--json": False, "--reveal": False, "--debug": False}
"""The options of every command, and whether each takes a value."""


def command(work: Callable[..., int | None]) -> Callable[..., None]:
    """Gives a command the common options; ``work`` gets a Session first, and returns its exit status (None: 0)."""
    own = list(inspect.signature(work, eval_str=True).parameters.values())[1:]
    keyword_only = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in [*own, *_OPTIONS.values()]]

    @functools.wraps(work)
    def run(**given: Any) -> None:
        options = Options(**{name: given.pop(name) for name in _OPTIONS})
        try:
            with in_words():
                status = work(Session(options), **given)
        except BrokenPipeError:  # whoever reads the output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except CommandError as error:
            if options.debug:
                traceback.print_exception(error)
            print(f"error: {error}", file=sys.stderr)  # noqa: T201 -- a line as it stands, for scripts too
            raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None
        raise typer.Exit(status or 0)

    run.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in keyword_only}
    del run.__wrapped__  # else its signature is looked at instead
    return run


def options_last(arguments: list[str]) -> list[str]:
    """The arguments with the common options behind the command where they came before it."""
    before: list[str] = []
    rest = list(arguments)
    while rest and (name := rest[0].partition("=")[0]) in NAMES:
        before.append(rest.pop(0))
        if NAMES[name] and "=" not in before[-1] and rest:
            before.append(rest.pop(0))
    return [*rest, *before]
