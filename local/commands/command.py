"""What the operator's commands share: `--stack`, and how they say that something is wrong."""

import argparse
import sys
from collections.abc import Callable
from functools import cached_property

from botocore.exceptions import BotoCoreError, ClientError
from voice_gateway.model.errors import SettingsError

from local.commands.target import NoStackError, Target, target


class CommandError(Exception):
    """What the operator did wrong, in words."""


class Asked:
    """What the operator asked for. ``of`` is the stack, looked for when it is first needed. Raises NoStackError."""

    def __init__(self, stack_name: str | None, file: str) -> None:
        self._stack_name = stack_name
        self.file = file

    @cached_property
    def of(self) -> Target:
        return target(self._stack_name)


def run(module: str, description: str | None, work: Callable[[Asked], int], *, file: str = "") -> int:
    """Reads the arguments and does the work: its exit status, or 1 with a line that begins with ``error:``.

    ``file`` is the help of the one positional argument, if the command takes one.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--stack", help="name of the stack")
    if file:
        parser.add_argument("file", help=file)
    arguments = parser.parse_args()
    try:
        return work(Asked(arguments.stack, getattr(arguments, "file", "")))
    except (CommandError, NoStackError, SettingsError, BotoCoreError, ClientError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
