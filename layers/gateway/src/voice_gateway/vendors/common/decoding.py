"""What vendors send, as text and then as fields: JSON, XML, form and multipart, in UTF-8 or what charset is declared.

Numbers come as numbers or as strings, namespaces and byte order marks come and go (docs/vendors.md), so every value
is text here and every name is bare.
"""

import codecs
import json
import re
from typing import Any
from urllib.parse import parse_qsl

from voice_gateway.model.errors import Unreadable
from voice_gateway.model.text import without_mark

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9_.:\-]+)", re.IGNORECASE)
_DECLARED = re.compile(rb"^<\?xml[^>]*encoding\s*=\s*[\"']([A-Za-z0-9_\-]+)", re.IGNORECASE)
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_BOM, _UTF16 = codecs.BOM_UTF8, (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Not the one-byte ones: servers name ISO-8859-1 by default, and it decodes anything. Nor Python's own, such as utf-7.
_OBEYED = re.compile(r"utf-(?:8|16|32)|gb|big5|hz|euc|shift_jis|iso2022|cp9")
_LIKE_ASCII = {None, "utf-8", "gb18030"}
_MOST_FIELDS = 64

Fields = dict[str, Any]


def text(body: bytes, content_type: str = "") -> str:
    """The body as text, without a byte order mark: in the declared charset, if it is one that decides anything.

    Else, or if the body cannot be that, UTF-8, and else GB18030, which includes GBK and GB2312. Raises Unreadable.
    """
    declared = "utf-16" if body.startswith(_UTF16) else _codec(content_type) or _codec_of_xml(body)
    for encoding in (*([declared] if declared else []), "utf-8-sig", "gb18030"):
        try:
            return without_mark(body.decode(encoding))
        except UnicodeDecodeError:
            continue
    raise Unreadable("neither UTF-8 nor GBK")


def _codec(content_type: str) -> str | None:
    """The codec of a declared charset; None if none is declared, or none that is obeyed."""
    found = _CHARSET.search(content_type)
    if not found:
        return None
    for name in (found[1], found[1].lower().removeprefix("x-")):
        try:
            codec = codecs.lookup(name).name
        except (LookupError, ValueError):
            continue
        if codec.startswith("gb") and codec != "gb18030":
            return "gb18030"
        return codec if _OBEYED.match(codec) else None
    return None


def _codec_of_xml(body: bytes) -> str | None:
    declared = _DECLARED.match(body.removeprefix(_BOM).lstrip())
    codec = _codec(f"charset={declared[1].decode('ascii')}") if declared else None
    # A declaration that can be read as ASCII is in no such charset.
    return None if codec and codec.startswith(("utf-16", "utf-32")) else codec


def reply(body: bytes, content_type: str = "") -> Fields:
    """A vendor's answer, JSON or XML, told apart by how it begins. Raises Unreadable."""
    content = without_mark(text(body, content_type).strip())
    return xml(content) if content.startswith("<") else json_object(content)


def callbacks(body: bytes, content_type: str, query: str) -> list[Any]:
    """What a callback brings: one object, or several. Raises Unreadable.

    JSON, XML, a form or multipart in the body, told apart by how it begins; without a body, the query string. A form
    may carry JSON as its one field, or in its field ``data``.
    """
    if not body.removeprefix(_BOM).strip():
        return _objects(form(query.encode("latin-1", "replace"), ""))
    if _is_multipart(body, content_type):
        return _objects(multipart(body, content_type))
    try:
        content = text(body, content_type).strip()
    except Unreadable:
        content = ""  # a form in which each value may be decoded by itself
    if content.startswith(("{", "[")):
        return _objects(_json(content))
    if content.startswith("<"):
        return _xml_objects(content)
    return _objects(form(body.removeprefix(_BOM).strip(), content_type))


def callback(body: bytes, content_type: str, query: str) -> Fields:
    """The fields of a callback that brings one receipt. Raises Unreadable."""
    value = callbacks(body, content_type, query)[0]
    if not isinstance(value, dict):
        raise Unreadable("not a JSON object")
    return value


def form(body: bytes, content_type: str) -> Fields:
    """Form fields, the first of each name. Escapes are bytes of the sender's charset, so they are decoded first."""
    try:
        pairs = parse_qsl(
            body.decode("latin-1"), keep_blank_values=True, encoding="latin-1", max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise Unreadable("too many fields") from None
    return _decoded([(name, value.encode("latin-1"), "") for name, value in pairs], content_type)


def multipart(body: bytes, content_type: str) -> Fields:
    """The fields of multipart/form-data, the first of each name. Raises Unreadable."""
    # Imported here: hardly a callback is multipart, and a cold start pays for every import.
    from email.parser import BytesParser  # noqa: PLC0415
    from email.utils import collapse_rfc2231_value  # noqa: PLC0415

    if "boundary" not in content_type.lower():
        first = body.lstrip().split(b"\n", 1)[0].strip()
        content_type = f'multipart/form-data; boundary="{first[2:].decode("latin-1")}"'
    header = re.sub(r"[\r\n]", " ", f"Content-Type: {content_type}").encode("utf-8", "replace")
    try:
        message = BytesParser().parsebytes(header + b"\r\n\r\n" + body)
        parts: Any = message.get_payload() if message.is_multipart() else []
        if message.defects or not 0 < len(parts) <= _MOST_FIELDS:
            raise Unreadable("not a multipart form, cut short, or of too many fields")
        pairs = []
        for part in parts:
            name = part.get_param("name", header="content-disposition")
            value = part.get_payload(decode=True)
            if name is not None and value is not None:
                pairs.append((str(collapse_rfc2231_value(name)), value, str(part.get("content-type", ""))))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise Unreadable("not a multipart form") from None
    named = next((value.decode("latin-1") for name, value, _ in pairs if name == "_charset_"), "")
    return _decoded(pairs, f"; charset={named}" if named else content_type)


def _decoded(pairs: list[tuple[str, bytes, str]], content_type: str) -> Fields:
    """Names and values, each with a content type of its own, as text. Raises Unreadable, also if there are none."""
    if _codec(content_type) in {None, "utf-8"}:
        content_type = _form_charset([value for _, value, _ in pairs])
    fields: Fields = {}
    plain = _codec(content_type) in _LIKE_ASCII
    for name, value, own in pairs:
        if plain and not own and name.isascii() and value.isascii() and b"<" not in value:
            fields.setdefault(name, value.decode("ascii"))  # as most are, and as all of these would read it
            continue
        shown = text(name.encode("latin-1", "replace"), content_type)
        fields.setdefault(shown, text(value, own if _codec(own) else content_type))
    if not fields:
        raise Unreadable("no fields")
    return fields


def _is_multipart(body: bytes, content_type: str) -> bool:
    begins = body[:1024].lstrip()
    return content_type.strip().lower().startswith("multipart/") or (
        begins.startswith(b"--") and b"content-disposition" in begins.lower()
    )


def _objects(value: Any) -> list[Any]:
    """The objects in what was read: those of a list, the JSON in a form's field, or the fields themselves."""
    if isinstance(value, dict):
        value = _wrapped(value)
    if isinstance(value, list):
        if not value:
            raise Unreadable("an empty JSON list")
        return value
    return [value]


def _wrapped(fields: Fields) -> Any:
    """The JSON that is a form's only field or only name, or that is in its field ``data``; else the fields."""
    for name, value in fields.items():
        alone = len(fields) == 1
        inner = name if alone and value == "" else value
        if (alone or name.lower() == "data") and isinstance(inner, str) and inner.strip().startswith(("{", "[")):
            try:
                return _json(inner)
            except Unreadable:
                return fields
    return fields


def _xml_objects(content: str) -> list[Any]:
    """The object that a document is, or those in it, if all that is below its root are such."""
    root = _root(content)
    inner = list(root)
    return [_leaves(each) for each in inner] if inner and all(map(len, inner)) else [_leaves(root)]


def _form_charset(values: list[bytes]) -> str:
    """The charset of all values together: one short GBK value alone can look like UTF-8."""
    try:
        b"\n".join(values).decode("utf-8")
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
        return json.loads(without_mark(content.strip()), parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise Unreadable("not JSON") from None


def xml(content: str) -> Fields:
    """The leaves below the root element, by their names without namespace. Raises Unreadable."""
    return _leaves(_root(content))


def _leaves(element: Any) -> Fields:
    return {leaf.tag.rpartition("}")[2]: (leaf.text or "").strip() for leaf in element}


def _root(content: str) -> Any:
    # Imported here: hardly anything is XML, and a cold start pays for every import.
    from defusedxml import ElementTree  # noqa: PLC0415
    from defusedxml.common import DefusedXmlException  # noqa: PLC0415

    try:
        # The charset is settled already, and expat refuses a str whose declaration names another.
        return ElementTree.fromstring(_XML_DECLARATION.sub("", content))
    except (ElementTree.ParseError, DefusedXmlException, ValueError, RecursionError):
        raise Unreadable("not XML") from None
