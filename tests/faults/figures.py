"""A figure of the fault harness, and the table that ``make faults`` prints of them (issue 3, Figures to reach)."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """What was attacked, what came of it, what was to be reached, and whether it was."""

    what: str
    value: str
    goal: str
    reached: bool


def table(figures: Sequence[Figure]) -> str:
    """The figures as text, one a line, each column as wide as its widest entry."""
    rows = [("what", "value", "goal", "reached")]
    rows += [(figure.what, figure.value, figure.goal, "yes" if figure.reached else "NO") for figure in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-+-".join("-" * width for width in widths), *lines[1:]])


def say(text: str) -> None:
    """Tells whoever waits how far it is."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
