"""What every vendor has in common: the path from a call to its outcome. A vendor's module writes only its own part."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from voice_gateway.model import mobile
from voice_gateway.model.call import Accepted, Call, NotSent, Outcome, RefusalClass, Refused, Unknown
from voice_gateway.model.errors import NotConnected, ReplyLost, Unreadable
from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.receipt import Receipt
from voice_gateway.model.request import Form, Template
from voice_gateway.vendors.common import decoding
from voice_gateway.vendors.common.decoding import Fields
from voice_gateway.vendors.common.http import Exchange, HttpRequest

Credentials = Mapping[str, str]

Refusals = Mapping[str, tuple[str, Code, RefusalClass]]
"""A vendor's refusal codes: the page's text, the result's error code, the class."""


class BalanceUnknown(Exception):
    """The vendor did not tell the credit; ``fault`` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class Vendor(ABC):
    """How to talk to one vendor. Knows no settings and keeps no state."""

    name: ClassVar[str]
    credentials: ClassVar[tuple[str, ...]]
    """Fields of the vendor's secret, all of which must be filled in."""
    forms: ClassVar[tuple[type, ...]]
    """The forms of a request that it can carry."""
    line: ClassVar[str]
    """The vendor's product that places the calls; daily caps are counted for each line."""
    unit: ClassVar[str]
    """The unit of its credit."""
    least_credit: ClassVar[Decimal] = Decimal(0)
    """What one call costs, or the least that one may: with less the credit is used up, as it is with nothing."""
    callback_per_call: ClassVar[bool]
    """True if each call names the address for its receipt; False if one address is registered for all."""
    result_query: ClassVar[bool]
    """True if it can be asked for the result of a call id."""
    refusals: ClassVar[Refusals]
    reasons: ClassVar[frozenset[str]]
    """Every ``reason`` that its receipts can have."""
    echoes_message_id: ClassVar[bool] = False
    """True if receipts echo our message id, which goes with each call as its ``reference``."""
    acknowledgement: ClassVar[str] = "success"
    """What a callback is answered with once it is kept; another answer makes the vendor push again."""
    acknowledgement_type: ClassVar[str] = "text/plain; charset=utf-8"

    # What a vendor writes.

    @abstractmethod
    def carry(self, form: Form, template: Template | None) -> Call | Fault:
        """The call that would carry this form, without number and extras, or why the vendor cannot carry it."""

    def check_template(self, text: str, own: dict[str, Any]) -> tuple[list[str], list[str]]:  # noqa: ARG002 -- for others
        """What is wrong with a catalogue entry's part for this vendor, and what the vendor may refuse.

        A vendor that reads out the entry's text, whatever it is, needs nothing but to be named.
        """
        return [f"{name}: unknown" for name in sorted(own)], []

    @abstractmethod
    def submit_request(self, call: Call, credentials: Credentials, now: float) -> HttpRequest:
        """The request that places the call. ``now`` in epoch seconds, as everywhere."""

    @abstractmethod
    def read_submit(self, fields: Fields) -> Outcome:
        """The outcome that a parsed answer stands for. Never raises: what is not documented is Unknown."""

    @abstractmethod
    def balance_request(self, credentials: Credentials, now: float) -> HttpRequest:
        """The request that asks how much credit is left."""

    @abstractmethod
    def read_balance(self, fields: Fields) -> str | None:
        """The credit left as the vendor wrote it, or None if the answer is no success."""

    @abstractmethod
    def read_callback(self, fields: Fields) -> Receipt:
        """The receipt that a callback's fields stand for. Raises Unreadable."""

    def example_callbacks(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Two different receipts of one call, as the vendor would push them: for checking that a callback is kept.

        None if this vendor cannot be checked this way.
        """
        return None

    def entries(self, pushed: Fields) -> list[Fields]:
        """The receipts in one object that was pushed: itself, unless the vendor pushes several in an envelope.

        Raises Unreadable. A push that is a JSON list is split before.
        """
        return [pushed]

    def query_request(self, call_id: str, mobile: str, credentials: Credentials, now: float) -> HttpRequest:
        """The request that asks what became of a call; only of a vendor that can be asked (``result_query``)."""
        raise NotImplementedError(f"{self.name} cannot be asked for a result")

    def read_query(self, fields: Fields) -> Receipt | None:
        """The receipt, or None if there is none yet. Raises Unreadable."""
        raise NotImplementedError(f"{self.name} cannot be asked for a result")

    # The path that is the same for all.

    def submit(self, call: Call, credentials: Credentials, exchange: Exchange, now: float) -> Outcome:
        """Sends one request and decides its one outcome of four (docs/protocol.md). Never raises."""
        request = self.submit_request(call, credentials, now)
        try:
            reply = exchange(request)
        except NotConnected as error:
            return NotSent(str(error))
        except ReplyLost as error:
            return Unknown(str(error))
        if not _readable(reply.status):
            return Unknown(f"HTTP status {reply.status}")
        try:
            fields = decoding.reply(reply.body, reply.content_type)
        except Unreadable as error:
            return Unknown(f"unreadable reply: {error}")
        outcome = self.read_submit(fields)
        if isinstance(outcome, Accepted | NotSent):
            return outcome
        own = (call.content, *call.values, call.notify_url, call.notify_data)
        code, text = outcome.vendor_code or "", outcome.vendor_message or ""
        if not _CODE.fullmatch(code):
            code = _redacted(code, request, credentials, own)
        if text not in self._page_texts():
            text = _redacted(text, request, credentials, own)
        return replace(outcome, vendor_code=code[:16], vendor_message=text[:200])

    def balance(self, credentials: Credentials, exchange: Exchange, now: float) -> Decimal:
        """The credit left, in the vendor's unit. Raises BalanceUnknown."""
        request = self.balance_request(credentials, now)
        fields = self._asked(request, exchange)
        number = self.read_balance(fields)
        if number is None:
            fault = self._refusal_fault(fields)
            text = _redacted(fault.vendor_message or "", request, credentials)[:200]
            raise BalanceUnknown(replace(fault, vendor_message=text or None))
        try:
            remaining = Decimal(number)
        except InvalidOperation:
            remaining = Decimal("NaN")
        if not remaining.is_finite():
            raise BalanceUnknown(self._fault(Code.VENDOR_UNAVAILABLE, "the balance is no number"))
        return remaining

    def query(
        self, call_id: str, mobile: str, credentials: Credentials, exchange: Exchange, now: float
    ) -> Receipt | None:
        """Asks what became of a call; None if the vendor does not say, or not yet."""
        try:
            return self.read_query(self._asked(self.query_request(call_id, mobile, credentials, now), exchange))
        except (BalanceUnknown, Unreadable):
            return None

    def _page_texts(self) -> set[str]:
        return {page_text for page_text, _, _ in self.refusals.values()}

    def refused(self, vendor_code: str, vendor_message: str) -> Outcome:
        """The refusal of the vendor's table, or Unknown for a code that is not in it."""
        row = self.refusals.get(vendor_code)
        if row is None:
            return Unknown("undocumented answer", vendor_code, vendor_message)
        page_text, code, refusal = row
        return Refused(refusal, code, vendor_code, vendor_message or page_text)

    def _asked(self, request: HttpRequest, exchange: Exchange) -> Fields:
        """The fields of an answer to a question that rings nobody. Raises BalanceUnknown."""
        try:
            reply = exchange(request)
            if _readable(reply.status):
                return decoding.reply(reply.body, reply.content_type)
            why = f"HTTP status {reply.status}"
        except (NotConnected, ReplyLost, Unreadable) as error:
            why = str(error)
        raise BalanceUnknown(self._fault(Code.VENDOR_UNAVAILABLE, why))

    def _refusal_fault(self, fields: Fields) -> Fault:
        outcome = self.read_submit(fields)
        if isinstance(outcome, Refused):
            return self._fault(outcome.code, "refused", outcome.vendor_code, outcome.vendor_message)
        return self._fault(Code.VENDOR_UNAVAILABLE, "an answer that the page does not describe")

    def _fault(self, code: Code, message: str, vendor_code: str | None = None, text: str | None = None) -> Fault:
        return Fault(code, f"{self.name}: {message}", self.name, vendor_code, text)


_CODE = re.compile(r"[A-Za-z0-9_\-]{1,8}", re.ASCII)
"""What can be a vendor's code. It is never redacted, even if a caller's text is the same: support asks for it."""


def _redacted(text: str, request: HttpRequest, credentials: Credentials, own: Iterable[str | None] = ()) -> str:
    """A vendor's text without what it repeats of the request: the text is stored, published and logged.

    ``own`` are the call's own texts. Of the other fields only long ones are removed.
    """
    sent = {value for value in request.texts if len(value) >= 10}
    sent |= {value for value in (*credentials.values(), *own) if value and len(value) >= 4}
    for value in sorted(sent, key=len, reverse=True):
        if mobile.normalise(value) is None:
            text = re.sub(re.escape(value), "…", text, flags=re.IGNORECASE)
    return mobile.masked(text)


def _readable(status: int) -> bool:
    """2xx and 4xx are read; any other status says nothing for certain, whatever the body (docs/vendors.md)."""
    return 200 <= status < 300 or 400 <= status < 500
