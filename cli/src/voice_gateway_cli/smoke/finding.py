"""What a check found, in one line."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of the account. Only ``FAIL`` fails the check; ``warn`` is for the operator to judge."""

    verdict: str
    text: str


Findings = Iterator[Finding]


def ok(text: str) -> Finding:
    return Finding("ok", text)


def warn(text: str) -> Finding:
    return Finding("warn", text)


def fail(text: str) -> Finding:
    return Finding("FAIL", text)
