"""A vendor that nobody has, and that does what neither of the real ones does.

It signs with an HMAC in a header, takes JSON, pushes its receipts several at once, as a list or in an envelope, wants
an answer of its own, and echoes the id that a call was given. ``tests/functions/test_made_up_vendor.py`` puts it beside
the real ones: what it needs of the package must stay possible with a module like this one and nothing else.
"""

import hashlib
import hmac
from typing import Any, ClassVar

from voice_gateway.model import mobile
from voice_gateway.model.call import Accepted, Call, Outcome, RefusalClass, Unknown
from voice_gateway.model.errors import Unreadable
from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.receipt import Receipt
from voice_gateway.model.request import Form, Template, Text
from voice_gateway.vendors.common.base import Credentials, Refusals, Vendor
from voice_gateway.vendors.common.decoding import Fields
from voice_gateway.vendors.common.http import HttpRequest, json_body
from voice_gateway.vendors.common.values import call_id, field, vendor_text

REFUSALS: Refusals = {"denied": ("denied", Code.BLOCKLISTED, RefusalClass.FINAL)}
RESULTS = {"answered": None, "busy": "busy"}


class Example(Vendor):
    name: ClassVar[str] = "example"
    credentials: ClassVar[tuple[str, ...]] = ("key",)
    forms: ClassVar[tuple[type, ...]] = (Text,)
    line: ClassVar[str] = "voice"
    unit: ClassVar[str] = "calls"
    callback_per_call: ClassVar[bool] = False
    result_query: ClassVar[bool] = False
    refusals: ClassVar[Refusals] = REFUSALS
    echoes_message_id: ClassVar[bool] = True
    acknowledgement: ClassVar[str] = '{"ok":true}'
    acknowledgement_type: ClassVar[str] = "application/json"

    def carry(self, form: Form, template: Template | None) -> Call | Fault:
        if isinstance(form, Text):
            return Call(mobile="", content=form.content)
        return self._fault(Code.TEMPLATE_MISMATCH, "cannot carry this template")

    def submit_request(self, call: Call, credentials: Credentials, now: float) -> HttpRequest:
        fields = {"to": call.mobile, "text": call.content, "ref": call.reference, "at": int(now)}
        return _signed("/calls", fields, credentials)

    def read_submit(self, fields: Fields) -> Outcome:
        if field(fields, "status") == "queued":
            try:
                return Accepted(call_id(field(fields, "call")))
            except Unreadable:
                return Unknown("queued without a call")
        return self.refused(field(fields, "status"), field(fields, "why"))

    def balance_request(self, credentials: Credentials, now: float) -> HttpRequest:
        return _signed("/credit", {"at": int(now)}, credentials)

    def read_balance(self, fields: Fields) -> str | None:
        return field(fields, "left") or None

    def entries(self, pushed: Fields) -> list[Fields]:
        events = pushed.get("events", [pushed])
        if not (isinstance(events, list) and all(isinstance(event, dict) for event in events)):
            raise Unreadable("no events")
        return events

    def read_callback(self, fields: Fields) -> Receipt:
        result = field(fields, "result")
        if result not in RESULTS:
            raise Unreadable("no result")
        return Receipt(
            vendor=self.name,
            call_id=call_id(field(fields, "call")),
            delivered=result == "answered",
            reason=RESULTS[result],
            code=result,
            message=vendor_text(fields, "result"),
            mobile=mobile.normalise(field(fields, "to")),
            message_id=field(fields, "ref") or None,
        )


def _signed(path: str, fields: dict[str, Any], credentials: Credentials) -> HttpRequest:
    """The signature is over the body, byte for byte."""
    signature = hmac.new(credentials["key"].encode(), json_body(fields), hashlib.sha256).hexdigest()
    return HttpRequest("POST", path, json=fields, headers={"X-Signature": signature})


VENDOR = Example()
