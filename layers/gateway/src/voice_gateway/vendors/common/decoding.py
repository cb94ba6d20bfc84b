"""What vendors send, as text and then as fields: JSON, form and XML, in UTF-8 or the GBK family.

Numbers come as numbers or as strings, namespaces and byte order marks come and go (docs/vendors.md), so every value
is text here and every name is bare.
"""

import json
import re
from typing import Any
from urllib.parse import parse_qsl

from voice_gateway.model import mobile
from voice_gateway.model.errors import Unreadable

_CHARSET = re.compile(r"charset\s*=\s*\"?([A-Za-z0-9_\-]+)", re.IGNORECASE)
_DECLARED = re.compile(rb"^<\?xml[^>]*encoding\s*=\s*[\"']([A-Za-z0-9_\-]+)", re.IGNORECASE)
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_GBK = {"gbk", "gb2312", "gb18030", "cp936", "x-gbk"}

Fields = dict[str, Any]


def text(body: bytes, content_type: str = "") -> str:
    """The body as text: GB18030 (it includes GBK and GB2312) if declared, or if UTF-8 does not decode.

    Raises Unreadable.
    """
    declared = _CHARSET.search(content_type) or _DECLARED.match(body.lstrip(b"\xef\xbb\xbf \r\n\t"))
    name = declared[1] if declared else ""
    charset = (name.decode("ascii") if isinstance(name, bytes) else name).lower()
    first = ("gb18030",) if charset in _GBK else ()
    for encoding in (*first, "utf-8-sig", "gb18030"):
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Unreadable("neither UTF-8 nor GBK")


def reply(body: bytes, content_type: str = "") -> Fields:
    """A vendor's answer, JSON or XML, told apart by how it begins. Raises Unreadable."""
    content = text(body, content_type).strip().lstrip("\ufeff")
    return xml(content) if content.startswith("<") else json_object(content)


def callback(body: bytes, content_type: str, query: str) -> Fields:
    """A vendor's callback: JSON or form in the body, else the query string. Raises Unreadable."""
    stripped = body.strip().removeprefix(b"\xef\xbb\xbf").strip()
    if stripped.startswith(b"{"):
        return json_object(text(stripped, content_type))
    fields = form(stripped, content_type) if stripped else form(query.encode("latin-1", "replace"), "")
    if not fields:
        raise Unreadable("no fields")
    return fields


def callbacks(body: bytes, content_type: str, query: str) -> list[Any]:
    """What a callback brings: the elements of a JSON list, or one as :func:`callback` reads it. Raises Unreadable."""
    stripped = body.strip().removeprefix(b"\xef\xbb\xbf").strip()
    if not stripped.startswith(b"["):
        return [callback(body, content_type, query)]
    values = _json(text(stripped, content_type))
    if not (isinstance(values, list) and values):
        raise Unreadable("an empty JSON list")
    return values


def form(body: bytes, content_type: str) -> Fields:
    """Form fields, the first of each name. Escapes are bytes of the sender's charset, so they are decoded first."""
    try:
        pairs = parse_qsl(body.decode("latin-1"), keep_blank_values=True, encoding="latin-1", max_num_fields=64)
    except ValueError:
        raise Unreadable("too many fields") from None
    charset = _CHARSET.search(content_type)
    if charset is None or charset[1].lower() not in _GBK:
        content_type = _form_charset(pairs)
    fields: Fields = {}
    for name, value in pairs:
        fields.setdefault(text(name.encode("latin-1"), content_type), text(value.encode("latin-1"), content_type))
    return fields


def _form_charset(pairs: list[tuple[str, str]]) -> str:
    """The charset of all values together: one short GBK value alone can look like UTF-8."""
    try:
        "\n".join(value for _, value in pairs).encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return "; charset=gb18030"
    return ""


def json_object(content: str) -> Fields:
    """A JSON object, its numbers as text. Raises Unreadable."""
    value = _json(content)
    if not isinstance(value, dict):
        raise Unreadable("not a JSON object")
    return value


def _json(content: str) -> Any:
    try:
        return json.loads(content.strip().lstrip("\ufeff"), parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise Unreadable("not JSON") from None


def xml(content: str) -> Fields:
    """The leaves below the root element, by their names without namespace. Raises Unreadable."""
    # Imported here: callbacks are never XML, and a cold start pays for every import.
    from defusedxml import ElementTree  # noqa: PLC0415
    from defusedxml.common import DefusedXmlException  # noqa: PLC0415

    try:
        # The charset is settled already, and expat refuses a str whose declaration names another.
        root = ElementTree.fromstring(_XML_DECLARATION.sub("", content))
    except (ElementTree.ParseError, DefusedXmlException, ValueError, RecursionError):
        raise Unreadable("not XML") from None
    return {leaf.tag.rpartition("}")[2]: (leaf.text or "").strip() for leaf in root}


def field(fields: Fields, name: str) -> str:
    """A field as stripped text; empty if it is absent or no plain value."""
    value = fields.get(name)
    # JSON lets half a surrogate pair through, which could not be stored or logged.
    return value.strip().encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def vendor_text(fields: Fields, name: str) -> str:
    """A vendor's own text about a number, without the number."""
    return mobile.masked(field(fields, name))[:200]


def integer(value: str) -> int | None:
    """A whole number, or None if it is not one."""
    return int(value) if re.fullmatch(r"-?[0-9]{1,9}", value) else None


def call_id(value: str) -> str:
    """A call id that is fit to be a key. Raises Unreadable."""
    if not re.fullmatch(r"[A-Za-z0-9._:\-]{1,64}", value) or value == "0":
        raise Unreadable("no call id")
    return value
