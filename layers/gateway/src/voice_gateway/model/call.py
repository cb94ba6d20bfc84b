"""One call as a vendor is to place it, and the four outcomes that a call can have (docs/protocol.md, The call)."""

from dataclasses import dataclass, field
from enum import StrEnum

from voice_gateway.model.faults import Code


@dataclass(frozen=True)
class Call:
    """One call as a vendor is to place it.

    ``content`` is the text in full, at most 180 characters at dxtong; ``template_id`` is jumdata's. ``values`` are a
    template's, in its order. ``notify_url`` is where this one call's receipt is to be pushed, for a vendor that takes
    an address a call; ``reference`` is our message id, for a vendor that echoes it in the receipt.
    """

    mobile: str = field(repr=False)
    content: str | None = field(default=None, repr=False)
    template_id: str | None = None
    values: tuple[str, ...] = field(default=(), repr=False)
    play_times: int | None = None
    notify_data: str | None = field(default=None, repr=False)
    notify_url: str | None = field(default=None, repr=False)
    reference: str | None = None


# The four outcomes. Each says whether the phone may be rung again.


@dataclass(frozen=True)
class Accepted:
    """A parsed success with a call id: the vendor rings."""

    call_id: str


class RefusalClass(StrEnum):
    """What a vendor's refusal means for the message (docs/vendors.md)."""

    FINAL = "F"
    """The number is at fault, or what the text says: no other vendor is asked."""
    NEXT = "N"
    """The vendor's own reason, such as no credit: the next vendor is asked, and this one rests."""
    TRANSIENT = "T"
    """It will pass: the next vendor is asked; if none is left, the message is released."""
    CAP = "C"
    """This vendor's cap for the number, or its template: the next vendor is asked, and this one does not rest."""


@dataclass(frozen=True)
class Refused:
    """A parsed, documented refusal: not rung."""

    refusal: RefusalClass
    code: Code
    vendor_code: str
    vendor_message: str


@dataclass(frozen=True)
class NotSent:
    """Provably not rung: no connection to the vendor was made."""

    why: str


@dataclass(frozen=True)
class Unknown:
    """Everything else: the phone may have rung, so the gateway does not ring again by itself."""

    why: str
    vendor_code: str | None = None
    vendor_message: str | None = None


Outcome = Accepted | Refused | NotSent | Unknown
