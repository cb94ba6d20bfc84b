"""One HTTP request to a vendor, and its reply."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class HttpRequest:
    """One request to a vendor; its body is ``form`` or ``json``. Its repr shows no credentials and no number."""

    method: Literal["GET", "POST"]
    path: str
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    json: Mapping[str, Any] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def texts(self) -> set[str]:
        """Every text in it that a vendor might repeat."""
        return {*self.query.values(), *(self.form or {}).values(), *self.headers.values(), *_texts(self.json)}


@dataclass(frozen=True)
class HttpReply:
    """A whole reply: status, content type as sent, body of at most 64 kB after decoding."""

    status: int
    content_type: str
    body: bytes = field(repr=False)


Exchange = Callable[[HttpRequest], HttpReply]
"""Carries one request to the vendor's endpoint. Raises NotConnected or ReplyLost, and nothing else."""


def json_body(fields: Mapping[str, Any]) -> bytes:
    """A JSON body exactly as it is sent: what a vendor that signs its requests signs."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for inner in value.values():
                yield from _texts(inner)
        case list() | tuple():
            for inner in value:
                yield from _texts(inner)
