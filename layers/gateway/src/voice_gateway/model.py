"""The words of the gateway: a request, a call, its outcome, a receipt, a message and the states it goes through.

Plain data with no behaviour that reaches outside; every other module speaks in these terms.
"""

import datetime
import re
import string
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

CHINA = datetime.timezone(datetime.timedelta(hours=8), "UTC+8")
"""China Standard Time: both vendors' hours and times of day; it has no daylight saving."""


class State(StrEnum):
    """What the calls table holds of a message; the transitions are in docs/protocol.md."""

    DUE = "due"
    """Kept until a vendor's hours begin."""
    RELEASED = "released"
    """Provably not rung; whoever hands the message over again may ring."""
    CALLING = "calling"
    """One sender holds a lease and is ringing."""
    ACCEPTED = "accepted"
    """The vendor has it; no receipt yet."""
    UNKNOWN = "unknown"
    """Handed over, and nobody can say whether the vendor took it."""
    DELIVERED = "delivered"
    """Rung, answered, read out."""
    FAILED = "failed"
    """Tried by the vendor without success."""
    REJECTED = "rejected"
    """Never rung: refused."""
    EXPIRED = "expired"
    """Never rung: its time ran out."""


FINAL = frozenset({State.DELIVERED, State.FAILED, State.REJECTED, State.EXPIRED})

PUBLIC_STATUS = {State.DUE: "deferred", State.RELEASED: "deferred", State.CALLING: "submitting"}
"""Where a result's ``status`` differs from the state (docs/using.md)."""


class Code(StrEnum):
    """Every ``error.code`` that a result can carry (docs/using.md)."""

    INVALID_REQUEST = "invalid_request"
    INVALID_MOBILE = "invalid_mobile"
    UNKNOWN_TEMPLATE = "unknown_template"
    TEMPLATE_MISMATCH = "template_mismatch"
    CONTENT_TOO_LONG = "content_too_long"
    CONTENT_REFUSED = "content_refused"
    BLOCKLISTED = "blocklisted"
    DAILY_LIMIT = "daily_limit"
    OUTSIDE_HOURS = "outside_hours"
    INSUFFICIENT_CREDIT = "insufficient_credit"
    CREDENTIALS_REFUSED = "credentials_refused"
    IP_NOT_ALLOWED = "ip_not_allowed"
    ACCOUNT_SUSPENDED = "account_suspended"
    VENDOR_UNAVAILABLE = "vendor_unavailable"
    NOT_CONFIGURED = "not_configured"
    OUTCOME_UNKNOWN = "outcome_unknown"
    CONFLICT = "conflict"
    IN_PROGRESS = "in_progress"
    EXPIRED = "expired"
    NOT_FOUND = "not_found"


RETRYABLE = frozenset(
    {
        Code.DAILY_LIMIT,
        Code.OUTSIDE_HOURS,
        Code.INSUFFICIENT_CREDIT,
        Code.CREDENTIALS_REFUSED,
        Code.IP_NOT_ALLOWED,
        Code.ACCOUNT_SUSPENDED,
        Code.VENDOR_UNAVAILABLE,
        Code.NOT_CONFIGURED,
        Code.IN_PROGRESS,
    }
)
"""The same request under a new id may succeed later; for ``in_progress``, under the same id."""


@dataclass(frozen=True)
class Fault:
    """Why a message was not rung, or is not settled: a result's ``error``."""

    code: Code
    message: str
    vendor: str | None = None
    vendor_code: str | None = None
    vendor_message: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "code": str(self.code), "retryable": self.code in RETRYABLE}


# A request, normalised.


@dataclass(frozen=True)
class Catalogue:
    """A template's name in the gateway's own catalogue, and its named values."""

    template: str
    params: dict[str, str]


@dataclass(frozen=True)
class Text:
    """The text itself: dxtong's form."""

    content: str


@dataclass(frozen=True)
class VendorTemplate:
    """A vendor's template id and a list of values: jumdata's form."""

    template_id: str
    params: tuple[str, ...] = ()


Form = Catalogue | Text | VendorTemplate
OnUnknown = Literal["stop", "redial_once"]


@dataclass(frozen=True)
class Request:
    """What a caller asks for (docs/using.md), checked and normalised; defaults are not filled in."""

    message_id: str
    mobile: str = field(repr=False)
    form: Form = field(repr=False)
    vendor: str | None = None
    play_times: int | None = None
    notify_data: str | None = field(default=None, repr=False)
    on_unknown: OnUnknown | None = None
    expires_at: datetime.datetime | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Template:
    """One catalogue entry: the text, and what each vendor that can carry it calls it, in routing order."""

    name: str
    text: str
    vendors: dict[str, dict[str, Any]]


def placeholders(text: str) -> set[str]:
    """The names in braces of a template's text. Raises ValueError where braces hold anything but a name."""
    names = set()
    for _, name, spec, conversion in string.Formatter().parse(text):
        if name is None:
            continue
        if spec or conversion or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII):
            raise ValueError("braces must hold a name; {{ and }} are literal braces")
        names.add(name)
    return names


@dataclass(frozen=True)
class Call:
    """One call as a vendor is to place it.

    ``content`` is the text in full, at most 180 characters at dxtong; ``template_id`` is jumdata's. ``values`` are a
    template's, in its order. ``notify_url`` is where this one call's receipt is to be pushed, for a vendor that takes
    an address a call.
    """

    mobile: str = field(repr=False)
    content: str | None = field(default=None, repr=False)
    template_id: str | None = None
    values: tuple[str, ...] = field(default=(), repr=False)
    play_times: int | None = None
    notify_data: str | None = field(default=None, repr=False)
    notify_url: str | None = field(default=None, repr=False)


# The four outcomes of a call (docs/protocol.md). Each says whether the phone may be rung again.


@dataclass(frozen=True)
class Accepted:
    """A parsed success with a call id: the vendor rings."""

    call_id: str


class RefusalClass(StrEnum):
    """What a vendor's refusal means for the message (docs/vendors.md)."""

    FINAL = "F"
    """The number's or the text's fault: no other vendor is asked."""
    NEXT = "N"
    """The vendor's own reason: the next vendor is asked, and this one rests."""
    TRANSIENT = "T"
    """Passing: the next vendor is asked; with none left the message is released."""
    CAP = "C"
    """This vendor's cap for the number: the next vendor is asked, and this one does not rest."""


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
    """Everything else: never rung again by itself."""

    why: str
    vendor_code: str | None = None
    vendor_message: str | None = None


Outcome = Accepted | Refused | NotSent | Unknown


@dataclass(frozen=True)
class Receipt:
    """What a vendor says became of a call.

    ``call_id`` is None where the vendor left it out of a callback to a call's own address. ``talk_seconds`` is None
    where it does not say; ``reported_at`` is RFC 3339 with offset. ``mobile`` is only there to be compared, as
    ``number_hash``, and is never stored.
    """

    vendor: str
    call_id: str | None
    delivered: bool
    reason: str | None
    code: str
    message: str
    talk_seconds: int | None = None
    reported_at: str | None = None
    mobile: str | None = field(default=None, repr=False, compare=False)
    number_hash: str | None = None

    @property
    def state(self) -> State:
        return State.DELIVERED if self.delivered else State.FAILED

    def as_dict(self) -> dict[str, Any]:
        """A result's ``receipt``."""
        return {
            "code": self.code,
            "message": self.message,
            "talk_seconds": self.talk_seconds,
            "reported_at": self.reported_at,
        }


@dataclass(frozen=True)
class Message:
    """A message as the calls table holds it: one item, ``MSG#<id>``.

    Times are epoch seconds, lease and ``called_at`` with a fraction. ``request`` is the normalised request as JSON, by
    which a deferred message is sent and an unknown one redialled. ``receipts`` are the distinct receipts that came, as
    canonical JSON, the first of which stands. After a redial ``called_at`` is still when the first call was made, by
    ``earlier_vendor``. ``asked`` is when ``sweep`` handed an unknown message over, or counted an accepted one as
    unanswered. ``unlinked`` counts receipts for its number that nobody could attribute.
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
    dry_run: bool = False

    @property
    def final(self) -> bool:
        return self.state in FINAL

    def but(self, **changes: Any) -> "Message":
        return replace(self, **changes)
