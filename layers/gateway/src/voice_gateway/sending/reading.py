"""Reads a request: checks all of it, and normalises it (docs/using.md)."""

import datetime
from collections.abc import Callable
from functools import partial
from typing import Any

from voice_gateway import vendors
from voice_gateway.model import mobile
from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.request import (
    Catalogue,
    Form,
    Redial,
    Request,
    Text,
    VendorTemplate,
    digest,
    valid_message_id,
    without_id,
)
from voice_gateway.model.text import spoken
from voice_gateway.sending import checks

_FORMS = ("template", "content", "template_id")
_FIELDS = frozenset(
    {"message_id", "mobile", *_FORMS, "params", "vendor", "play_times"}
    | {"notify_data", "on_unknown", "expires_at", "dry_run"}
    | {"redial", "escalate_to", "escalate_after_seconds", "not_before", "hours", "priority"}
)
_MOST_NUMBERS = 5
_ESCALATE_AFTER = (30, 3600)
_LATEST_START = 30 * 86400
"""How many seconds ahead ``not_before`` may be."""
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
        self.notify_data = checks.valid_notify_data(fields.get("notify_data"))


def read(raw: Any, fallback_id: str, now: float) -> Request:
    """Checks and normalises a request; ``fallback_id`` is its id if it brings none. Raises InvalidRequest."""
    return _Reader(raw, fallback_id, now).read()


class _Reader:
    """Reads one request, collecting every fault there is."""

    def __init__(self, raw: Any, fallback_id: str, now: float) -> None:
        self._raw = raw
        self._fallback_id = fallback_id
        self._now = now
        self._faults: list[tuple[Code, str]] = []

    def read(self) -> Request:
        if not isinstance(self._raw, dict):
            self._fault("the request must be a JSON object")
            raise self._invalid()
        for name in sorted(set(self._raw) - _FIELDS):
            self._fault(f"{checks.shown(name)}: unknown field")
        vendor = self._checked("vendor", checks.vendor)
        values: dict[str, Any] = {
            "message_id": self._checked("message_id", checks.message_id) or self._fallback_id,
            "mobile": self._mobile("mobile", self._raw.get("mobile")),
            "form": self._form(vendor),
            "vendor": vendor,
            "play_times": self._checked("play_times", partial(checks.whole, 1, 3)),
            "notify_data": self._checked("notify_data", checks.notify_data),
            "on_unknown": self._checked("on_unknown", checks.on_unknown),
            "redial": self._redial(),
            "escalate_to": (),
            "escalate_after_seconds": self._checked("escalate_after_seconds", partial(checks.whole, *_ESCALATE_AFTER)),
            "not_before": self._checked("not_before", checks.moment),
            "hours": self._checked("hours", checks.hours),
            "priority": self._checked("priority", checks.priority),
            "expires_at": self._checked("expires_at", checks.moment),
            "dry_run": self._checked("dry_run", checks.flag) or False,
            "as_given": self._raw,
        }
        values["escalate_to"] = self._escalate_to(values["mobile"])
        self._in_time(values["not_before"], values["expires_at"])
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

    def _mobile(self, name: str, value: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST_MOBILE:
            value = str(value)
        number = mobile.normalise(value) if isinstance(value, str) else None
        if number is None:
            self._fault(f"{name}: {checks.mobile_rule(value)}", Code.INVALID_MOBILE)
        return number or ""

    def _escalate_to(self, first: str) -> tuple[str, ...]:
        given = self._raw.get("escalate_to")
        if given is None and "escalate_to" not in self._raw:
            return ()
        if not isinstance(given, list) or not 1 <= len(given) <= _MOST_NUMBERS:
            self._fault(f"escalate_to: must be a list of 1 to {_MOST_NUMBERS} mobiles")
            return ()
        numbers = tuple(self._mobile(f"escalate_to[{at}]", value) for at, value in enumerate(given))
        for at, number in enumerate(numbers):
            if number and number in (first, *numbers[:at]):
                self._fault(f"escalate_to[{at}]: each number, mobile among them, may be there once")
        return numbers

    def _redial(self) -> Redial | None:
        given = self._raw.get("redial")
        if given is None and "redial" not in self._raw:
            return None
        if not isinstance(given, dict):
            self._fault("redial: must be an object")
            return None
        before = len(self._faults)
        for name in sorted(set(given) - {"times", "after_seconds", "reasons"}):
            self._fault(f"redial.{checks.shown(name)}: unknown field")
        times = self._part("redial", given, "times", partial(checks.whole, 1, 5), required=True)
        after = self._part("redial", given, "after_seconds", partial(checks.redial_after, times))
        reasons = self._part("redial", given, "reasons", checks.reasons)
        return Redial(times, after, reasons) if len(self._faults) == before else None

    def _part(
        self, name: str, given: dict[str, Any], part: str, check: Callable[[Any], Any], *, required: bool = False
    ) -> Any:
        """A field of an object in the request, as ``check`` gives it."""
        if part not in given:
            if required:
                self._fault(f"{name}.{part}: is required")
            return None
        try:
            return check(given[part])
        except ValueError as error:
            self._fault(f"{name}.{part}: {error}")
            return None

    def _in_time(self, not_before: datetime.datetime | None, expires_at: datetime.datetime | None) -> None:
        if not_before is None:
            return
        if expires_at is not None and not_before >= expires_at:
            self._fault("not_before: must be before expires_at")
        if not_before.timestamp() > self._now + _LATEST_START:
            self._fault("not_before: must be at most 30 days ahead")

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
        name = self._checked("template", checks.text)
        params = self._raw.get("params", {})
        if not isinstance(params, dict):
            self._fault("params: must be an object of named values")
            return None
        values = {str(key): self._value(f"params.{checks.shown(key)}", value) for key, value in params.items()}
        if not all(checks.writable(name) for name in values):
            self._fault("params: names must be text that UTF-8 can write")
        return Catalogue(name, values) if name else None

    def _text(self) -> Form | None:
        if "params" in self._raw:
            self._fault("params: go with template or template_id, not with content")
        content = self._checked("content", checks.spoken_text)
        return Text(content) if content else None

    def _vendor_template(self) -> Form | None:
        template_id = self._checked("template_id", checks.text)
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
            return spoken(checks.encodable(value))
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
