"""Reads a request: checks all of it, and normalises it (docs/using.md)."""

import datetime
import re
from collections.abc import Callable
from typing import Any

from voice_gateway import vendors
from voice_gateway.model import mobile
from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.request import (
    MESSAGE_ID_RULE,
    Catalogue,
    Form,
    Request,
    Text,
    VendorTemplate,
    digest,
    valid_message_id,
    without_id,
)
from voice_gateway.model.text import spoken

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_FORMS = ("template", "content", "template_id")
_FIELDS = frozenset(
    {"message_id", "mobile", *_FORMS, "params", "vendor", "play_times"}
    | {"notify_data", "on_unknown", "expires_at", "dry_run"}
)
_LONGEST_NOTIFY_DATA = 1024
_LARGEST_MOBILE = 10**18
"""Above any number with its country code; str() of an integer of many more digits is refused by Python itself."""
_LARGEST = 65536
"""Most bytes of a normalised request, because an item of the table has a limit. A text that long is refused earlier."""


class InvalidRequest(Exception):
    """The request has faults; ``fault`` lists all of them. It is stored all the same, as ``message_id``."""

    def __init__(self, fault: Fault, message_id: str, raw: Any) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.message_id = message_id
        fields = raw if isinstance(raw, dict) else {}
        self.dry_run = fields.get("dry_run") is True
        self.fingerprint = digest(without_id(fields) if isinstance(raw, dict) else raw)
        self.notify_data = _valid_notify_data(fields.get("notify_data"))


def read(raw: Any, fallback_id: str) -> Request:
    """Checks and normalises a request; ``fallback_id`` is its id if it brings none. Raises InvalidRequest."""
    return _Reader(raw, fallback_id).read()


class _Reader:
    """Reads one request, collecting every fault there is."""

    def __init__(self, raw: Any, fallback_id: str) -> None:
        self._raw = raw
        self._fallback_id = fallback_id
        self._faults: list[tuple[Code, str]] = []

    def read(self) -> Request:
        if not isinstance(self._raw, dict):
            self._fault("the request must be a JSON object")
            raise self._invalid()
        for name in sorted(set(self._raw) - _FIELDS):
            self._fault(f"{_shown(name)}: unknown field")
        vendor = self._checked("vendor", _vendor)
        values: dict[str, Any] = {
            "message_id": self._checked("message_id", _message_id) or self._fallback_id,
            "mobile": self._mobile(),
            "form": self._form(vendor),
            "vendor": vendor,
            "play_times": self._checked("play_times", _play_times),
            "notify_data": self._checked("notify_data", _notify_data),
            "on_unknown": self._checked("on_unknown", _on_unknown),
            "expires_at": self._checked("expires_at", _moment),
            "dry_run": self._checked("dry_run", _flag) or False,
            "as_given": self._raw,
        }
        if self._faults:
            raise self._invalid()
        request = Request(**values)
        if not isinstance(request.form, Text) and len(request.to_json().encode()) > _LARGEST:
            self._fault(f"params: the request is over {_LARGEST} bytes")
            raise self._invalid()
        return request

    def _checked(self, name: str, check: Callable[[Any], Any]) -> Any:
        """A field's value as ``check`` gives it; None if the field is absent or bad."""
        value = self._raw.get(name)
        if value is None and name not in self._raw:
            return None
        try:
            return check(value)
        except ValueError as error:
            self._fault(f"{name}: {error}")
            return None

    def _mobile(self) -> str:
        value = self._raw.get("mobile")
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST_MOBILE:
            value = str(value)
        number = mobile.normalise(value) if isinstance(value, str) else None
        if number is None:
            self._fault(f"mobile: {_mobile_rule(value)}", Code.INVALID_MOBILE)
        return number or ""

    def _form(self, vendor: str | None) -> Form | None:
        given = [name for name in _FORMS if name in self._raw]
        if len(given) != 1:
            self._fault(f"exactly one of {', '.join(_FORMS)} is required, not {len(given)}")
            return None
        form: Form | None = {
            "template": self._catalogue,
            "content": self._text,
            "template_id": self._vendor_template,
        }[given[0]]()
        if vendor and form and not isinstance(form, vendors.vendor(vendor).forms):
            self._fault(f"{given[0]}: {vendor} cannot carry this form")
        return form

    def _catalogue(self) -> Form | None:
        name = self._checked("template", _text)
        params = self._raw.get("params", {})
        if not isinstance(params, dict):
            self._fault("params: must be an object of named values")
            return None
        values = {str(key): self._value(f"params.{_shown(key)}", value) for key, value in params.items()}
        if not all(_writable(name) for name in values):
            self._fault("params: names must be text that UTF-8 can write")
        return Catalogue(name, values) if name else None

    def _text(self) -> Form | None:
        if "params" in self._raw:
            self._fault("params: go with template or template_id, not with content")
        content = self._checked("content", _spoken_text)
        return Text(content) if content else None

    def _vendor_template(self) -> Form | None:
        template_id = self._checked("template_id", _text)
        params = self._raw.get("params", [])
        if not isinstance(params, list):
            self._fault("params: must be a list of values")
            return None
        values = tuple(self._value(f"params[{at}]", value) for at, value in enumerate(params))
        return VendorTemplate(template_id, values) if template_id else None

    def _value(self, name: str, value: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            self._fault(f"{name}: must be a string or an integer")
            return ""
        try:
            return spoken(_encodable(value))
        except ValueError as error:
            self._fault(f"{name}: {error}")
            return ""

    def _fault(self, rule: str, code: Code = Code.INVALID_REQUEST) -> None:
        # The fault's text is stored and published: it must be valid UTF-8, and a field's name may contain a number.
        self._faults.append((code, mobile.masked(rule.encode("utf-8", "replace").decode())))

    def _invalid(self) -> InvalidRequest:
        """A single fault keeps its own code; several become one ``invalid_request`` that lists them."""
        code = self._faults[0][0] if len(self._faults) == 1 else Code.INVALID_REQUEST
        fault = Fault(code, "; ".join(rule for _, rule in self._faults)[:2000])
        raw = self._raw
        named = valid_message_id(raw.get("message_id")) if isinstance(raw, dict) else None
        return InvalidRequest(fault, named or self._fallback_id, raw)


def _encodable(value: Any) -> str:
    """A string that UTF-8 can encode: JSON lets half a surrogate pair through, which cannot be sent to any vendor."""
    if not isinstance(value, str):
        raise ValueError("must be a string")
    if not _writable(value):
        raise ValueError("must be a text that UTF-8 can write")
    return value


def _writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(value: Any) -> str:
    if not _encodable(value).strip():
        raise ValueError("must not be blank")
    return str(value)


def _spoken_text(value: Any) -> str:
    return spoken(_text(value))


def _mobile_rule(value: Any) -> str:
    """Why a value is no number; nothing of the number itself but a character that cannot be in one."""
    if value is None:
        return "is required"
    rule = "must be a mainland mobile, 1[3-9] and 9 digits, as a string or an integer"
    odd = mobile.in_the_way(value) if isinstance(value, str) else None
    return f"{rule}; {odd} is in the way" if odd else rule


def _shown(name: str) -> str:
    """A name that the caller chose, as a fault shows it: a number in it is masked before it is cut."""
    return mobile.masked(name)[:64]


def _message_id(value: Any) -> str:
    if valid_message_id(value) is None:
        raise ValueError(f"must be {MESSAGE_ID_RULE}")
    return str(value)


def _vendor(value: Any) -> str:
    if value not in vendors.names():
        raise ValueError(f"must be one of {', '.join(vendors.names())}")
    return str(value)


def _play_times(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 3:
        raise ValueError("must be a whole number from 1 to 3")
    return value


def _notify_data(value: Any) -> str:
    if len(_encodable(value).encode()) > _LONGEST_NOTIFY_DATA:
        raise ValueError(f"must be at most {_LONGEST_NOTIFY_DATA} bytes in UTF-8")
    return str(value)


def _valid_notify_data(value: Any) -> str | None:
    try:
        return _notify_data(value)
    except ValueError:
        return None


def _on_unknown(value: Any) -> str:
    if value not in ("stop", "redial_once"):
        raise ValueError("must be stop or redial_once")
    return str(value)


def _moment(value: Any) -> datetime.datetime:
    rule = "must be a moment as RFC 3339 has it, with an offset"
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError(rule)
    try:
        return datetime.datetime.fromisoformat(value.upper()).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        raise ValueError(rule) from None


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value
