"""What a vendor reports of a call, by callback or when it is asked."""

import json
from dataclasses import dataclass, field
from typing import Any

from voice_gateway.model.message import State
from voice_gateway.model.stored import known_fields


@dataclass(frozen=True)
class Receipt:
    """What became of a call, as the vendor reports it.

    ``call_id`` is None if the vendor left it out of a callback to a call's own address. ``talk_seconds`` is None if the
    vendor does not report it; ``reported_at`` is RFC 3339 with offset. ``mobile`` is only compared, as ``number_hash``,
    and never stored. ``message_id`` is our own id, from a vendor that echoes it; it is not stored with the receipt.
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
    message_id: str | None = field(default=None, compare=False)

    @property
    def state(self) -> State:
        return State.DELIVERED if self.delivered else State.FAILED

    @property
    def text(self) -> str:
        """Canonical JSON, without the number: equal texts are the same receipt pushed again."""
        public = {name: value for name, value in vars(self).items() if name not in {"mobile", "message_id"}}
        return json.dumps(public, sort_keys=True, ensure_ascii=False)

    def as_dict(self) -> dict[str, Any]:
        """A result's ``receipt``."""
        return {
            "code": self.code,
            "message": self.message,
            "talk_seconds": self.talk_seconds,
            "reported_at": self.reported_at,
        }


def read_receipt(text: str) -> Receipt:
    """The receipt of a canonical JSON text."""
    return Receipt(**known_fields(Receipt, json.loads(text)))
