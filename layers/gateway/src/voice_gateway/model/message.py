"""A message as the calls table holds it, and the states that it goes through (docs/architecture.md)."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from voice_gateway.model.request import OnUnknown
from voice_gateway.model.sequence import Ring, Sequence

LEASE_SECONDS = 55.0
"""How long a sender holds a message. Longer than ``send`` can run: when a lease is over, its holder has ended."""


class State(StrEnum):
    """What the calls table holds of a message; the transitions are in docs/protocol.md."""

    DUE = "due"
    """Kept until its time: an opening, ``not_before``, or the next ring of its sequence."""
    RELEASED = "released"
    """Provably not rung; whoever hands the message over again may ring, and ``sweep`` does."""
    CALLING = "calling"
    """One sender holds a lease and is ringing."""
    ACCEPTED = "accepted"
    """The vendor has it; no receipt yet."""
    UNKNOWN = "unknown"
    """Handed over, and it is not known whether the vendor took it."""
    DELIVERED = "delivered"
    """Rung, answered, read out."""
    FAILED = "failed"
    """Tried by the vendor without success."""
    REJECTED = "rejected"
    """Refused."""
    EXPIRED = "expired"
    """Its time ran out before a ring could bring it to an end."""
    CANCELLED = "cancelled"
    """Called off by its caller while no ring was under way."""


FINAL = frozenset({State.DELIVERED, State.FAILED, State.REJECTED, State.EXPIRED, State.CANCELLED})
TOLD_BY_RECEIPT = frozenset({State.DELIVERED, State.FAILED})
UNDER_WAY = frozenset({State.CALLING, State.ACCEPTED, State.UNKNOWN})
"""A ring was begun, and its result is not known yet."""
DEFERRED = frozenset({State.DUE, State.RELEASED})
"""Kept for later: ``sweep`` hands it over when its time comes."""

PUBLIC_STATUS = {State.DUE: "deferred", State.RELEASED: "deferred", State.CALLING: "submitting"}
"""Where a result's ``status`` differs from the state (docs/using.md)."""


@dataclass(frozen=True)
class Message:
    """A message as the calls table holds it: one item, ``MSG#<id>``.

    Times are epoch seconds, lease and ``called_at`` with a fraction. ``request`` is the normalised request as JSON: a
    deferred message is sent, and an unknown one redialled, from it. ``receipts`` are the distinct receipts that came,
    as canonical JSON; the first one stands. After a redial ``called_at`` still is the time of the first call, which
    ``earlier_vendor`` made. ``asked`` is when ``sweep`` handed an unknown message over for a redial, or counted an
    accepted one as unanswered. ``unlinked`` counts receipts for its number whose message could not be told.

    ``callees`` are the last four digits of the numbers to ring in turn, ``place`` is whose turn it is, and ``again``
    how often that one was rung again. ``ring`` counts the rings begun; ``past`` are those that are over or left behind.
    Vendor, call id, attempt, reason, receipt and error are the last ring's; ``first_attempt`` is that of its first
    call, after a redial. ``no_more``: its caller called off what follows. ``retries``: how often this ring was put off.

    ``look_at`` is when ``sweep`` looks at it. ``number`` is the hash of the first number, under which it is found since
    ``number_at``, when its latest ring was begun or put off. ``bulk``: it goes by the lane of that name.
    """

    message_id: str
    state: State
    updated_at: float
    fingerprint: str = ""
    request: str = field(default="", repr=False)
    number_hash: str | None = None
    template: str | None = None
    notify_data: str | None = field(default=None, repr=False)
    on_unknown: OnUnknown = "stop"
    vendor: str | None = None
    attempt: str | None = None
    lease: float | None = None
    called_at: float | None = None
    earlier_vendor: str | None = None
    redialled_at: float | None = None
    call_id: str | None = None
    linked_by: str | None = None
    reason: str | None = None
    receipt: dict[str, Any] | None = None
    receipts: frozenset[str] = frozenset()
    error: dict[str, Any] | None = None
    redials: int = 0
    deferred_until: float | None = None
    expires_at: float | None = None
    unlinked: int = 0
    asked: int = 0
    look_at: float | None = None
    ttl: int | None = None
    callees: tuple[str, ...] = ()
    sequence: Sequence | None = None
    ring: int = 0
    place: int = 0
    again: int = 0
    past: tuple[Ring, ...] = ()
    first_attempt: str | None = None
    no_more: bool = False
    retries: int = 0
    number: str | None = None
    number_at: float | None = None
    bulk: bool = False
    dry_run: bool = False

    @property
    def status(self) -> str:
        """The state as its caller sees it."""
        return PUBLIC_STATUS.get(self.state, str(self.state))

    @property
    def callee(self) -> str | None:
        """The last four digits of the number whose turn it is."""
        return self.callees[self.place] if self.place < len(self.callees) else None

    @property
    def attempts(self) -> tuple[str, ...]:
        """The attempts of the ring's calls: two after a redial."""
        return tuple(attempt for attempt in (self.first_attempt, self.attempt) if attempt)

    def but(self, **changes: Any) -> "Message":
        """Another message, with these fields as given. As dataclasses' replace, in a tenth of the time."""
        if not changes.keys() <= vars(self).keys():
            raise TypeError(f"a message has no {', '.join(changes.keys() - vars(self).keys())}")
        other = object.__new__(Message)
        vars(other).update(vars(self), **changes)
        return other
