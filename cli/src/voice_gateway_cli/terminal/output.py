"""How a command prints: tables and sentences for people, JSON for pipes; progress and complaints on standard error."""

import datetime
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES = {
    "delivered": "green",
    "accepted": "cyan",
    "submitting": "cyan",
    "deferred": "cyan",
    "unknown": "yellow",
    "failed": "red",
    "rejected": "red",
    "expired": "red",
    "cancelled": "dim",
    "ok": "green",
    "low": "yellow",
    "warn": "yellow",
    "empty": "red",
    "FAIL": "red",
}
"""How a word that says a state is shown; the word itself always stands there too."""


_WHOLE = {"when", "status", "age", "message", "id"}
"""Columns whose cells are short, and are not folded."""


class Output:
    """Where one command prints. ``as_json``: one JSON value on standard output, and nothing else there."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self._out = Console(highlight=False, soft_wrap=False)
        self._err = Console(stderr=True, highlight=False, quiet=quiet)

    @property
    def width(self) -> int:
        """Columns."""
        return self._out.width

    def data(self, value: Any) -> None:
        """One value as JSON, Chinese text as itself."""
        json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")

    def line_of_data(self, value: Any) -> None:
        """One value of many, as they come: JSON on a line of its own."""
        sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def say(self, *parts: Any, style: str | None = None, indent: int = 0) -> None:
        """A paragraph; a long one is broken at blanks, and each of its lines begins at the same column."""
        text = Text.assemble(*parts)
        if style:
            text.stylize(style)
        for line in text.wrap(self._out, max(20, self.width - indent)):
            line.rstrip()
            self._out.print(Text(" " * indent) + line, soft_wrap=True)

    def paragraph(self, name: str, text: str) -> None:
        """A named paragraph: the name in a column of its own."""
        wide = 10
        for at, line in enumerate(Text(text).wrap(self._out, max(20, self.width - wide))):
            line.rstrip()
            self._out.print(Text.assemble((f"{name if at == 0 else '':<{wide}}", "bold"), line), soft_wrap=True)

    def line(self, *parts: Any) -> None:
        """One line as it stands, not broken, and seen at once."""
        self._out.print(Text.assemble(*parts), soft_wrap=True)

    def blank(self) -> None:
        self._out.print()

    def raw(self, text: str) -> None:
        """A text as it stands, not broken into lines: what somebody copies."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """A table; a cell that is too long is folded, so that nothing is left out."""
        found = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
        for column in columns:
            found.add_column(column, overflow="fold", no_wrap=column in _WHOLE)
        for row in rows:
            found.add_row(*(_cell(value) for value in row))
        self._out.print(found)

    def aside(self, text: str) -> None:
        """What is for people and not for a pipe: a line on standard error."""
        self._err.print(text, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        self._err.print(Text.assemble(("warning: ", "yellow"), text), soft_wrap=True)

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Says what takes long, for as long as it does, where somebody looks on."""
        if not self._err.is_terminal:
            yield
            return
        with self._err.status(what):
            yield


def state(word: str | None) -> Text:
    return Text(word or "-", style=STYLES.get((word or "").strip(), ""))


def moment(epoch: float | None, *, weekday: bool = False) -> str:
    """A moment as the operator's clock has it; ``-`` if there is none."""
    if epoch is None:
        return "-"
    form = "%a %m-%d %H:%M" if weekday else "%m-%d %H:%M:%S"
    return datetime.datetime.fromtimestamp(epoch).astimezone().strftime(form)


def day(epoch: float) -> str:
    """A day as the operator's clock has it."""
    return datetime.datetime.fromtimestamp(epoch).astimezone().strftime("%m-%d")


def ago(epoch: float, now: float | None = None) -> str:
    """How long ago, or in how long, in words."""
    seconds = (time.time() if now is None else now) - epoch
    text = duration(abs(seconds))
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def duration(seconds: float) -> str:
    """A time in words, to one unit: ``12 s``, ``5 min``, ``3 h``, ``2 days``."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _cell(value: Any) -> Text:
    if isinstance(value, Text):
        return value
    return Text("-" if value is None or value == "" else str(value))
