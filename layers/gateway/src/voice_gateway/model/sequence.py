"""A message as a sequence of rings: who is rung, again and one after the other, and the rings that are over.

What a caller asks for is in docs/using.md, Until somebody knows. The whole sequence is in the message's one item, so
that there is nothing between two writes to lose (docs/protocol.md, Sequences).
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from voice_gateway.model.stored import known_fields

ESCALATE_AFTER_SECONDS = 180
"""How long a ring without a final result keeps the next number waiting, unless the caller says."""
REDIAL_AFTER_SECONDS = 300
"""How long after a ring the same number is rung again, unless the caller says."""
REDIAL_REASONS = (
    *("no_answer", "busy", "declined", "powered_off", "unreachable", "line_busy", "network_busy", "timed_out"),
    *("answered_by_machine", "answered_silence", "vendor_failure", "unknown"),
)
"""The reasons for which the same number is rung again, unless the caller says."""


@dataclass(frozen=True)
class Sequence:
    """What a caller asks for beyond one ring.

    ``redial_after``: seconds before each further ring of the same number, which is made if the ring before it failed
    for one of ``reasons``. ``escalate_after``: seconds for which a ring without a final result keeps the next number
    waiting.
    """

    redial_after: tuple[int, ...] = ()
    reasons: tuple[str, ...] = REDIAL_REASONS
    escalate_after: int = ESCALATE_AFTER_SECONDS

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Sequence":
        found: dict[str, Any] = known_fields(cls, json.loads(text))
        return cls(**found | {name: tuple(found[name]) for name in ("redial_after", "reasons")})


@dataclass(frozen=True)
class Ring:
    """A ring that is over, or that was left behind without a final result.

    ``attempts`` are those of its calls: by them a late receipt finds it. ``at``, ``redialled_at``: epoch seconds. The
    number's hash and the earlier vendor are only compared.
    """

    ring: int
    callee: str | None
    status: str
    at: float
    vendor: str | None = None
    call_id: str | None = None
    linked_by: str | None = None
    reason: str | None = None
    receipt: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    attempts: tuple[str, ...] = ()
    number_hash: str | None = None
    redials: int = 0
    redialled_at: float | None = None
    earlier_vendor: str | None = None

    def but(self, **changes: Any) -> "Ring":
        return replace(self, **changes)


def rings_to_json(rings: tuple[Ring, ...]) -> str:
    """Canonical: equal rings give equal texts, which a condition compares."""
    set_ones = [{name: value for name, value in asdict(ring).items() if value not in (None, ())} for ring in rings]
    return json.dumps(set_ones, sort_keys=True, ensure_ascii=False)


def rings_from_json(text: str) -> tuple[Ring, ...]:
    return tuple(ring_of(found) for found in json.loads(text))


def ring_of(found: dict[str, Any]) -> Ring:
    """A ring of its fields, which another release may have written."""
    known = known_fields(Ring, found)
    return Ring(**{**known, "attempts": tuple(known.get("attempts", ()))})
