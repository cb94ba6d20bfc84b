"""The template catalogue: one SSM parameter a template, cached 5 minutes (docs/using.md)."""

import json
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from voice_gateway import vendors
from voice_gateway.model.errors import AwsUnavailable
from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.request import TEMPLATE_NAME_RULE, Template, placeholders, valid_template_name
from voice_gateway.model.text import spoken, without_mark
from voice_gateway.platform import aws

MAX_AGE = 300
"""Seconds that a template is taken from the cache."""
_JSON_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_LARGEST = 4096
"""Bytes of a standard SSM parameter."""

Load = Callable[[str], Template | Fault]


class _Copy(NamedTuple):
    found: Template | Fault
    read_at: float


class TemplateCatalogue:
    """Reads templates by name. One a process."""

    def __init__(self, prefix: str, clock: Callable[[], float] = time.time) -> None:
        self._prefix = prefix
        self._clock = clock
        self._copies: dict[str, _Copy] = {}

    def load(self, name: str) -> Template | Fault:
        """The template, or an ``unknown_template`` fault. Raises AwsUnavailable if SSM fails and no copy is left."""
        if not valid_template_name(name):
            return Fault(Code.UNKNOWN_TEMPLATE, f"template: a name is {TEMPLATE_NAME_RULE}")
        now, copy = self._clock(), self._copies.get(name)
        if copy is not None and now - copy.read_at < MAX_AGE:
            return copy.found
        try:
            stored = self._stored(name)
        except AwsUnavailable:
            if copy is None:
                raise
            return copy.found
        if stored is None:
            return Fault(Code.UNKNOWN_TEMPLATE, f"template: {name} is not in the catalogue")
        self._copies[name] = _Copy(_read(name, stored), now)
        return self._copies[name].found

    def _stored(self, name: str) -> str | None:
        with aws.reaching("ssm"):
            try:
                found = aws.client("ssm").get_parameter(Name=self._prefix + name)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ParameterNotFound":
                    raise
                return None
        return str(found["Parameter"]["Value"])


def _read(name: str, stored: str) -> Template | Fault:
    try:
        content = json.loads(without_mark(stored))
        check_template(name, content)
    except (ValueError, RecursionError) as error:
        return Fault(Code.UNKNOWN_TEMPLATE, f"template: {name} is stored, but cannot be used: {error}")
    return Template(name, spoken(content["text"]), content["vendors"])


def check_template(name: str, value: Any) -> list[str]:
    """Checks one catalogue entry, ``{"text": …, "vendors": {vendor: {…}}}``; returns warnings.

    Raises ValueError, whose text lists every fault, if a vendor that it names could never carry it.
    """
    if not valid_template_name(name):
        raise ValueError(f"a name is {TEMPLATE_NAME_RULE}")
    if not isinstance(value, dict) or set(value) != {"text", "vendors"}:
        raise ValueError("must be an object with text and vendors, and nothing else")
    text, carriers = value["text"], value["vendors"]
    if not isinstance(text, str) or not text.strip():
        raise ValueError("text must be a text")
    try:
        spoken(text)
    except ValueError as error:
        raise ValueError(f"text {error}") from None
    placeholders(text)
    if not isinstance(carriers, dict) or not carriers:
        raise ValueError("vendors must name at least one vendor")
    faults, warnings = [], []
    for carrier, own in carriers.items():
        if carrier not in vendors.names() or not isinstance(own, dict):
            faults.append(f"vendors.{carrier}: must be one of {', '.join(vendors.names())}, with an object")
            continue
        wrong, doubtful = vendors.vendor(carrier).check_template(text, own)
        faults += [f"vendors.{carrier}: {fault}" for fault in wrong]
        warnings += [f"vendors.{carrier}: {warning}" for warning in doubtful]
    if len(stored_form(value).encode()) > _LARGEST:
        faults.append(f"is larger than {_LARGEST} bytes, the most that a parameter holds")
    if faults:
        raise ValueError("; ".join(faults))
    return warnings


def stored_form(value: Any) -> str:
    """One catalogue entry as its parameter holds it: JSON, with double braces of a text escaped.

    SSM takes no value with ``{{…}}`` in it, which it reads as the name of another parameter.
    """
    text = json.dumps(value, ensure_ascii=False)
    return _JSON_TEXT.sub(lambda found: found[0].replace("{{", "\\u007b\\u007b").replace("}}", "\\u007d\\u007d"), text)
