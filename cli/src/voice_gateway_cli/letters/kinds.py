"""The kinds of dead letters, and what a letter is once it was read."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from voice_gateway_cli.deployed.stack import Letter


class Kind(StrEnum):
    """What is to be done with a letter depends on this."""

    REQUEST = "request"
    """A request that ``send`` did not take."""
    CALLBACK = "callback"
    """A vendor's callback that could not be read, as it came."""
    RECEIPT = "receipt"
    """A receipt of a message that was deleted."""
    OUTBOX = "outbox"
    """A write that ``sweep`` could not apply."""
    CHANGES = "changes"
    """Changes of messages that ``publish`` did not take: their place in the table's stream."""
    UNKNOWN = "unknown"


class Asked(NamedTuple):
    """A request as it came, and the id that it has if it brings none."""

    raw: Any
    source_id: str


@dataclass(frozen=True)
class Callback:
    """A callback as it came. ``attempt`` is None in letters of earlier releases, and where one address serves all."""

    content_type: str
    query: str
    body: bytes
    attempt: str | None = None


@dataclass(frozen=True)
class Changes:
    """A place in the table's stream. Sequence numbers are texts, and are compared as numbers."""

    stream: str
    shard: str
    first: str
    last: str
    count: int

    def covers(self, number: int) -> bool:
        return int(self.first) <= number <= int(self.last)


class Lying(NamedTuple):
    """A letter, its body as JSON has it, and the output that names the queue out of which SQS moved it."""

    letter: Letter
    body: Any
    source: str | None


@dataclass(frozen=True)
class Found:
    """A letter, read.

    ``content`` is what a redrive hands over, by kind: Asked, Callback, a receipt's JSON, an entry's text, Changes.
    """

    letter: Letter
    kind: Kind
    what: str
    why: str
    message_id: str | None = None
    vendor: str | None = None
    error: str | None = None
    content: Any = None

    @property
    def letter_id(self) -> str:
        return self.letter.letter_id
