"""A result's ``error``: its codes, and which of them are worth a retry (docs/using.md, error.code)."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


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
"""The same request may succeed later, under a new id; for ``in_progress``, under the same id."""


@dataclass(frozen=True)
class Fault:
    """Why a message was not rung, or why its outcome is not known: a result's ``error``."""

    code: Code
    message: str
    vendor: str | None = None
    vendor_code: str | None = None
    vendor_message: str | None = None

    @property
    def briefly(self) -> str:
        """For a log line: who said what."""
        return " ".join(part for part in (self.vendor, self.code, self.vendor_code) if part)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "code": str(self.code), "retryable": self.code in RETRYABLE}
