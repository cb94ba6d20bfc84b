"""What became of a message (docs/using.md, The result). What a later release adds to it is left out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Status = Literal[
    "deferred", "submitting", "accepted", "unknown", "delivered", "failed", "rejected", "expired", "cancelled"
]
"""Those of today. A later release may bring more: let a ``match`` have a last case."""

_PLAIN = (
    *("message_id", "status", "vendor", "call_id", "linked_by", "reason", "later_receipts", "unlinked_receipts"),
    *("redials", "ring", "dry_run", "replayed", "notify_data", "template"),
)
"""The fields of a result that are what they are in JSON."""

FINAL = frozenset({"delivered", "failed", "rejected", "expired", "cancelled"})


@dataclass(frozen=True)
class Receipt:
    """The vendor's word on a call: its own code and text. ``reported_at``: its own clock, with a time zone."""

    code: str
    message: str | None
    talk_seconds: int | None
    reported_at: datetime | None


@dataclass(frozen=True)
class Error:
    """Why nothing was rung, or why the outcome is not known. ``code``: docs/using.md, error.code.

    ``retryable``: the same request may succeed later under a new id (``in_progress``: under the same).
    """

    code: str
    message: str
    vendor: str | None
    vendor_code: str | None
    vendor_message: str | None
    retryable: bool


@dataclass(frozen=True)
class Ring:
    """One ring that was begun. ``callee``: the last four digits."""

    ring: int
    callee: str | None
    vendor: str | None
    call_id: str | None
    status: Status
    reason: str | None
    error: Error | None
    at: datetime | None


@dataclass(frozen=True)
class NextRing:
    """The ring that comes ``at`` that time, unless something comes before it."""

    ring: int
    callee: str | None
    at: datetime | None


@dataclass(frozen=True)
class Result:
    """What became of a message. Times have a time zone."""

    message_id: str
    status: Status
    vendor: str | None = None
    call_id: str | None = None
    linked_by: str | None = None
    reason: str | None = None
    error: Error | None = None
    receipt: Receipt | None = None
    later_receipts: int = 0
    unlinked_receipts: int = 0
    redials: int = 0
    deferred_until: datetime | None = None
    ring: int = 0
    rings: tuple[Ring, ...] = ()
    next: NextRing | None = None
    dry_run: bool = False
    replayed: bool = False
    notify_data: str | None = field(default=None, repr=False)
    template: str | None = None
    updated_at: datetime | None = None

    @property
    def final(self) -> bool:
        """Whether the status stays."""
        return self.status in FINAL

    @classmethod
    def from_json(cls, text: str) -> "Result":
        """A result as a queue or a topic delivers it: by itself, or in SNS's envelope.

        In a Lambda function on a queue: ``Result.from_json(record["body"])``. Raises ValueError if it is none.
        """
        try:
            found = json.loads(text)
            if (
                isinstance(found, dict)
                and found.get("Type") == "Notification"
                and isinstance(found.get("Message"), str)
            ):
                found = json.loads(found["Message"])
        except RecursionError:
            raise ValueError("is no result of a gateway: it is nested too deeply") from None
        return cls.from_dict(found)

    @classmethod
    def from_dict(cls, found: Any) -> "Result":
        """A result as ``send``, ``status`` and ``cancel`` return it. Raises ValueError if it is none."""
        if not (isinstance(found, dict) and all(isinstance(found.get(name), str) for name in ("message_id", "status"))):
            raise ValueError("is no result of a gateway: it has no message_id, or no status")
        try:
            return _result(found)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"is no result of a gateway: {error!r}") from error


def _result(found: Mapping[str, Any]) -> Result:
    return Result(
        **{name: found[name] for name in _PLAIN if name in found},
        error=_error(found.get("error")),
        receipt=_receipt(found.get("receipt")),
        deferred_until=_moment(found.get("deferred_until")),
        rings=tuple(map(_ring, found.get("rings") or ())),
        next=_next(found.get("next")),
        updated_at=_moment(found.get("updated_at")),
    )


def _ring(found: Mapping[str, Any]) -> Ring:
    return Ring(
        ring=found["ring"],
        callee=found.get("callee"),
        vendor=found.get("vendor"),
        call_id=found.get("call_id"),
        status=found["status"],
        reason=found.get("reason"),
        error=_error(found.get("error")),
        at=_moment(found.get("at")),
    )


def _next(found: Mapping[str, Any] | None) -> NextRing | None:
    return None if found is None else NextRing(found["ring"], found.get("callee"), _moment(found.get("at")))


def _receipt(found: Mapping[str, Any] | None) -> Receipt | None:
    if found is None:
        return None
    reported_at = _moment(found.get("reported_at"))
    return Receipt(found["code"], found.get("message"), found.get("talk_seconds"), reported_at)


def _error(found: Mapping[str, Any] | None) -> Error | None:
    if found is None:
        return None
    vendors = (found.get("vendor"), found.get("vendor_code"), found.get("vendor_message"))
    return Error(found["code"], found["message"], *vendors, retryable=bool(found.get("retryable")))


def _moment(text: str | None) -> datetime | None:
    """RFC 3339. Python 3.10 does not read its ``Z``."""
    return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00"))
