"""What a caller asks for, checked and normalised (docs/using.md), and the catalogue's templates."""

import datetime
import hashlib
import json
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from voice_gateway.model.hours import Window
from voice_gateway.model.sequence import ESCALATE_AFTER_SECONDS, REDIAL_AFTER_SECONDS, REDIAL_REASONS, Sequence

_MESSAGE_ID = re.compile(r"[A-Za-z0-9._:\-]{1,128}", re.ASCII)
_TEMPLATE_NAME = re.compile(r"[a-z0-9_-]{1,64}", re.ASCII)
TEMPLATE_NAME_RULE = "1-64 of a-z, 0-9, _ and -"
MESSAGE_ID_RULE = "1-128 of A-Z, a-z, 0-9 and . _ : -"


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
Priority = Literal["urgent", "bulk"]


@dataclass(frozen=True)
class Redial:
    """Ring the same number again: ``times`` at the most; defaults are not filled in.

    ``after_seconds`` is one for all, or one for each time. ``reasons`` are those of receipts.
    """

    times: int
    after_seconds: int | tuple[int, ...] | None = None
    reasons: tuple[str, ...] | None = None

    @property
    def after(self) -> tuple[int, ...]:
        """The seconds before each of the times."""
        given = self.after_seconds or REDIAL_AFTER_SECONDS
        return given if isinstance(given, tuple) else (given,) * self.times

    def as_dict(self) -> dict[str, Any]:
        after = list(self.after_seconds) if isinstance(self.after_seconds, tuple) else self.after_seconds
        fields = {"times": self.times, "after_seconds": after, "reasons": self.reasons and list(self.reasons)}
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True)
class Request:
    """What a caller asks for (docs/using.md), checked and normalised; defaults are not filled in.

    ``hours`` is the callee's window as text and as such. ``as_given`` is the object that was read.
    """

    message_id: str
    mobile: str = field(repr=False)
    form: Form = field(repr=False)
    vendor: str | None = None
    play_times: int | None = None
    notify_data: str | None = field(default=None, repr=False)
    on_unknown: OnUnknown | None = None
    redial: Redial | None = None
    escalate_to: tuple[str, ...] = field(default=(), repr=False)
    escalate_after_seconds: int | None = None
    not_before: datetime.datetime | None = None
    hours: tuple[str, Window] | None = None
    priority: Priority | None = None
    expires_at: datetime.datetime | None = None
    dry_run: bool = False
    as_given: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def callee(self) -> str:
        """The last four digits: what a log line may show of the number."""
        return self.mobile[-4:]

    @property
    def numbers(self) -> tuple[str, ...]:
        """The numbers to ring, one after the other."""
        return (self.mobile, *self.escalate_to)

    @property
    def sequence(self) -> Sequence | None:
        """What is asked for beyond one ring, defaults filled in; None if nothing is."""
        if self.redial is None and not self.escalate_to:
            return None
        return Sequence(
            self.redial.after if self.redial else (),
            (self.redial and self.redial.reasons) or REDIAL_REASONS,
            self.escalate_after_seconds or ESCALATE_AFTER_SECONDS,
        )

    @property
    def template(self) -> str | None:
        """The name of the catalogue's template, if it asks for one."""
        return self.form.template if isinstance(self.form, Catalogue) else None

    @property
    def fingerprint(self) -> str:
        """A hash of the normalised request without ``message_id`` and ``dry_run``: tells a replay from a reused id."""
        return digest(self._fields())

    def has_fingerprint(self, stored: str) -> bool:
        """Whether a stored fingerprint is this request's.

        What an earlier release normalised, and kept, is handed over as it is: it may be read otherwise today.
        """
        return stored == self.fingerprint or stored == digest(without_id(self.as_given))

    def to_json(self) -> str:
        """The normalised request as JSON. Read again, it gives the same request: deferred messages are sent from it."""
        return json.dumps({**self._fields(), "message_id": self.message_id}, ensure_ascii=False)

    def _fields(self) -> dict[str, Any]:
        """Without ``message_id`` and ``dry_run``; what was absent stays absent."""
        form: dict[str, Any]
        match self.form:
            case Catalogue(template, params):
                form = {"template": template, "params": params}
            case Text(content):
                form = {"content": content}
            case VendorTemplate(template_id, values):
                form = {"template_id": template_id, "params": list(values)}
        fields = {
            "mobile": self.mobile,
            **form,
            "vendor": self.vendor,
            "play_times": self.play_times,
            "notify_data": self.notify_data,
            "on_unknown": self.on_unknown,
            "redial": self.redial and self.redial.as_dict(),
            "escalate_to": list(self.escalate_to) or None,
            "escalate_after_seconds": self.escalate_after_seconds,
            "not_before": self.not_before and self.not_before.isoformat(),
            "hours": self.hours and self.hours[0],
            "priority": self.priority,
            "expires_at": self.expires_at and self.expires_at.isoformat(),
        }
        return {name: value for name, value in fields.items() if value is not None}


def valid_message_id(raw: Any) -> str | None:
    """A message id, or None where it cannot be one."""
    return raw if isinstance(raw, str) and _MESSAGE_ID.fullmatch(raw) else None


def valid_template_name(raw: Any) -> bool:
    """Whether the catalogue could hold a template of that name."""
    return isinstance(raw, str) and bool(_TEMPLATE_NAME.fullmatch(raw))


def without_id(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A request's fields without those that its fingerprint does not cover."""
    return {name: value for name, value in fields.items() if name not in {"message_id", "dry_run"}}


def digest(fields: Any) -> str:
    """A fingerprint of a request's fields, in any order."""
    try:
        canonical = json.dumps(fields, sort_keys=True, ensure_ascii=True, default=str)
    except RecursionError:  # only a bad request is nested like that
        canonical = "nested too deeply"
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class Template:
    """One catalogue entry: the text, and for each vendor that can carry it the vendor's own part, in routing order."""

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
