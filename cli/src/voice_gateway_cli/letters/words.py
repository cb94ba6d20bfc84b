"""A letter in words: for a list, as JSON, and one in full with what a redrive does. No number, text or token."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

from voice_gateway import vendors
from voice_gateway.model.errors import Unreadable
from voice_gateway.model.mobile import masked, normalise
from voice_gateway.model.receipt import read_receipt
from voice_gateway.model.result import rfc3339
from voice_gateway.receipts.http import Pushed
from voice_gateway.receipts.reading import receipts
from voice_gateway.vendors.common.decoding import text as decoded

from voice_gateway_cli.letters.kinds import Callback, Found, Kind
from voice_gateway_cli.letters.redriving import impossible
from voice_gateway_cli.session import Session
from voice_gateway_cli.terminal.output import ago

Facts = Iterator[tuple[str, str]]
_TOKEN = re.compile(r"(?:[A-Za-z0-9_\-]+\.){1,4}[A-Za-z0-9_\-]{1,32}\.[A-Za-z0-9_\-]{43}(?![A-Za-z0-9_\-])", re.ASCII)
_IN_PATH = re.compile(r"(/callbacks/[a-z0-9]+/)[A-Za-z0-9_.\-]+", re.ASCII)
_A_DAY = 86400.0
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""A terminal would obey them."""
_TIMES = (
    "play_times",
    "on_unknown",
    "not_before",
    "expires_at",
    "hours",
    "escalate_after_seconds",
    "priority",
    "dry_run",
)
RUNBOOK = "docs/runbooks/dead-letters.md"


def safe(session: Session, text: str) -> str:
    """A text of others as it may be shown: without tokens ever, and with whole numbers only if they are asked for."""
    text = _CONTROLS.sub("·", text.encode(errors="backslashreplace").decode())
    text = _IN_PATH.sub(r"\1…", _TOKEN.sub("…", text))
    return text if session.options.reveal else masked(text)


def as_data(session: Session, found: Found, short: str) -> dict[str, Any]:
    """What ``--json`` prints of each letter (docs/cli.md)."""
    return {
        "id": short,
        "letter_id": found.letter_id,
        "kind": str(found.kind),
        "what": found.what,
        "message_id": found.message_id,
        "vendor": found.vendor and safe(session, found.vendor),
        "why": safe(session, found.why),
        "error": found.error and safe(session, found.error),
        "came_at": rfc3339(found.letter.sent_at),
        "redrivable": impossible(found) is None,
    }


def does(found: Found) -> str:
    """What a redrive does."""
    why_not = impossible(found)
    if why_not:
        return why_not
    match found.kind:
        case Kind.REQUEST:
            told = f"invokes send with it, as {found.message_id}: a message that rang cannot ring again"
            late = " It asks for no end of its time: the phone rings now." if _late(found) else ""
            return told + late
        case Kind.CALLBACK:
            return "pushes it again to the stack's own address: a release that can read it settles its message"
        case Kind.OUTBOX:
            return "puts it back into the outbox as it was: sweep applies it within a minute, if it still fits"
        case _:
            return "reads them from the table's stream, which has them for a day, and invokes publish with them"


def briefly(found: Found) -> str:
    """The same in a word or two, for a list."""
    if impossible(found):
        return "left: see show"
    if found.kind is Kind.REQUEST and _late(found):
        return f"handed to send: rings now (came {ago(found.letter.sent_at)})"
    return {
        Kind.REQUEST: "handed to send",
        Kind.CALLBACK: "pushed again",
        Kind.OUTBOX: "back to the outbox",
    }.get(found.kind, "handed to publish")


def _late(found: Found) -> bool:
    """Whether a request of more than a day ago would be rung all the same."""
    raw = found.content.raw
    return time.time() - found.letter.sent_at > _A_DAY and isinstance(raw, dict) and "expires_at" not in raw


def facts(session: Session, found: Found) -> Facts:
    """What else there is to know of it, by name, as far as it is what it seems."""
    try:
        yield from _told(session, found)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        yield "odd", f"the rest is not as it should be: {type(error).__name__}"


def _told(session: Session, found: Found) -> Facts:
    match found.kind:
        case Kind.REQUEST:
            yield from _of_request(session, found.content.raw)
        case Kind.CALLBACK:
            yield from _of_callback(session, found)
        case Kind.RECEIPT:
            yield from _of_receipt(session, found.content)
        case Kind.OUTBOX:
            yield from _of_entry(session, found.content)
        case Kind.CHANGES:
            place = found.content
            yield "stream", place.stream
            yield "shard", place.shard
            yield "from", place.first
            yield "to", place.last
        case _:
            yield "size", f"{len(found.letter.body)} characters"
    times = found.letter.attributes.get("ApproximateReceiveCount")
    if times:
        yield "received", f"{times} times"


def _of_request(session: Session, raw: Any) -> Facts:
    if not isinstance(raw, dict):
        yield "request", f"no JSON object: {type(raw).__name__}, {len(str(raw))} characters"
        return
    if "Records" in raw:
        yield "requests", str(len(raw["Records"]))
        return
    if "mobile" in raw:
        yield "number", _number(session, raw["mobile"])
    others = raw.get("escalate_to")
    if isinstance(others, list):
        yield "then", ", ".join(_number(session, each) for each in others)
    if template := raw.get("template", raw.get("template_id")):
        yield "template", safe(session, str(template))
    for name, field in (("text", "content"), ("notes", "notify_data")):
        if field in raw:
            text = str(raw[field])
            yield name, safe(session, text) if session.options.reveal else f"{field}, {len(text)} characters"
    params = raw.get("params")
    if params:
        yield "params", _params(session, params)
    yield "asks", safe(session, ", ".join(f"{name} {raw[name]}" for name in _TIMES if name in raw))


def _params(session: Session, params: Any) -> str:
    if session.options.reveal:
        return safe(session, json.dumps(params, ensure_ascii=False))
    return safe(session, ", ".join(map(str, params))) if isinstance(params, dict) else f"{len(params)} values"


def _number(session: Session, mobile: Any) -> str:
    """As the gateway reads it; what is no number is not shown, for it may be one that was mistyped."""
    number = normalise(str(mobile))
    return session.number(number) if number else session.number(str(mobile)) + " (no number)"


def _of_callback(session: Session, found: Found) -> Facts:
    callback: Callback = found.content
    yield "type", safe(session, callback.content_type) or "none was declared"
    yield "size", f"{len(callback.body)} bytes" + (f", and a query of {len(callback.query)}" if callback.query else "")
    if callback.attempt:
        yield "attempt", callback.attempt
    if session.options.reveal:
        yield "query", safe(session, callback.query)
        yield "body", safe(session, _text(callback))
    yield "read here", readable_here(found)


def readable_here(found: Found) -> str:
    """Whether the release of this command can read a callback; the deployed one decides."""
    if found.vendor not in vendors.names():
        return f"no vendor {found.vendor} is known to this release"
    callback: Callback = found.content
    whole, unreadable = receipts(vendors.vendor(found.vendor), _pushed(callback), lambda _: "")
    told = ", ".join(f"call {receipt.call_id or '-'} {receipt.state}" for receipt in whole)
    if unreadable:
        return f"not by this release: {unreadable}" + (f" (but {told})" if told else "")
    return told or "nothing is in it"


def _pushed(callback: Callback) -> Pushed:
    class Kept(Pushed):
        """The parts as they were kept."""

        @property
        def query(self) -> str:
            return callback.query

    kept = Kept({"headers": {"content-type": callback.content_type}})
    vars(kept)["body"] = callback.body
    return kept


def _text(callback: Callback) -> str:
    try:
        return decoded(callback.body, callback.content_type)
    except Unreadable:
        return repr(callback.body)


def _of_receipt(session: Session, text: str) -> Facts:
    receipt = read_receipt(text)
    yield "call", str(receipt.call_id or "-")
    yield "code", f"{receipt.code} {safe(session, receipt.message)}".strip()
    if receipt.reason:
        yield "because", receipt.reason
    if receipt.reported_at:
        yield "reported", receipt.reported_at


def _of_entry(session: Session, text: str) -> Facts:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        yield "entry", f"no JSON object, {len(text)} characters"
        return
    yield "entry", ", ".join(safe(session, str(name)) for name in content)
    changes = content.get("changes")
    call_id = changes.get("call_id") if isinstance(changes, dict) else None
    told = content.get("result")
    state = content.get("state") or (told.get("status") if isinstance(told, dict) else None)
    for name, value in (("state", state), ("call", call_id), ("attempt", content.get("attempt"))):
        if value:
            yield name, safe(session, str(value))
    if isinstance(content.get("receipt"), str):
        try:
            yield from _of_receipt(session, content["receipt"])
        except (TypeError, ValueError):
            yield "receipt", "cannot be read"


def whole(session: Session, found: Found) -> str:
    """The letter as it lies there, for ``--reveal``; without tokens."""
    try:
        text = json.dumps(json.loads(found.letter.body), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        text = found.letter.body
    return safe(session, text)
