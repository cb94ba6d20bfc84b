"""The payload files: bytes as vendors send them, and what they mean (payloads/README.md)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voice_gateway.model.call import Call
from voice_gateway.vendors.common.http import Exchange, HttpReply, HttpRequest

FOLDER = Path(__file__).parent / "payloads"


@dataclass(frozen=True)
class Payload:
    vendor: str
    name: str
    body: bytes
    meaning: dict[str, Any]

    @property
    def reply(self) -> HttpReply:
        return HttpReply(self.meaning["status"], self.meaning["content_type"], self.body)


def of_kind(kind: str) -> list[Payload]:
    """Every vendor's payloads of one kind."""
    return [payload for payload in _all() if payload.meaning["kind"] == kind]


def contract(vendor: str) -> dict[str, Any]:
    """What the vendor's pages promise, restated."""
    content: dict[str, Any] = json.loads((FOLDER / vendor / "contract.json").read_text())
    return content


def smallest_call(vendor: str) -> Call:
    """A call with what the page requires, and no more."""
    return Call(**contract(vendor)["call"])


def largest_call(vendor: str) -> Call:
    """The same call with everything that a request of ours can add to it."""
    extras = dict(contract(vendor)["extras"])
    extras["values"] = tuple(extras.get("values", ()))
    return Call(**contract(vendor)["call"], **extras)


def fields(request: HttpRequest) -> dict[str, str]:
    """The fields of a request's body, a form's or a JSON object's, as text."""
    assert request.form is None or request.json is None, "one body"
    return {name: str(value) for name, value in (request.form or request.json or {}).items()}


class Answering:
    """An exchange that gives one answer, and keeps what was asked."""

    def __init__(self, answer: HttpReply | Exception) -> None:
        self._answer = answer
        self.requests: list[HttpRequest] = []

    def __call__(self, request: HttpRequest) -> HttpReply:
        self.requests.append(request)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def answering(body: bytes | str, content_type: str = "application/json", status: int = 200) -> Exchange:
    return Answering(HttpReply(status, content_type, body.encode() if isinstance(body, str) else body))


def _all() -> list[Payload]:
    return [
        Payload(raw.parent.name, raw.stem, raw.read_bytes(), json.loads(raw.with_suffix(".json").read_text()))
        for raw in sorted(FOLDER.glob("*/*.raw"))
    ]
