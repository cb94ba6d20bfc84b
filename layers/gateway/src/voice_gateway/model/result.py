"""A message as its caller sees it: the result of docs/using.md, every field always there."""

import datetime
import json
from typing import Any

from voice_gateway.model.faults import Fault
from voice_gateway.model.message import DEFERRED, TOLD_BY_RECEIPT, Message, State
from voice_gateway.model.moving_on import escalates_at, with_current_ring
from voice_gateway.model.request import valid_template_name
from voice_gateway.model.sequence import Ring

Result = dict[str, Any]


def result(message: Message, *, replayed: bool = False) -> Result:
    """The result of a stored message, or of the one that a ``dry_run`` would have stored."""
    rings = with_current_ring(message)
    return {
        "message_id": message.message_id,
        "status": message.status,
        "vendor": message.vendor,
        "call_id": message.call_id,
        "linked_by": message.linked_by,
        "reason": message.reason,
        "error": message.error,
        "receipt": message.receipt,
        "later_receipts": max(0, len(message.receipts) - max(1, sum(ring.status in TOLD_BY_RECEIPT for ring in rings))),
        "unlinked_receipts": message.unlinked,
        "redials": message.redials,
        "deferred_until": rfc3339(message.deferred_until) if message.state in DEFERRED else None,
        "ring": message.ring,
        "rings": [_ring(ring) for ring in rings],
        "next": _next(message),
        "dry_run": message.dry_run,
        "replayed": replayed,
        "notify_data": message.notify_data,
        "template": message.template,
        "updated_at": rfc3339(message.updated_at),
    }


def _ring(ring: Ring) -> dict[str, Any]:
    return {
        "ring": ring.ring,
        "callee": ring.callee,
        "vendor": ring.vendor,
        "call_id": ring.call_id,
        "status": ring.status,
        "reason": ring.reason,
        "error": ring.error,
        "at": rfc3339(ring.at),
    }


def _next(message: Message) -> dict[str, Any] | None:
    """The ring that comes next, if nothing comes before it; while one is under way, the next number's."""
    if message.state in DEFERRED:
        return {"ring": len(message.past) + 1, "callee": message.callee, "at": rfc3339(message.deferred_until)}
    at = escalates_at(message)
    if at is None:
        return None
    return {"ring": message.ring + 1, "callee": message.callees[message.place + 1], "at": rfc3339(at)}


def to_json(message: Message) -> str:
    """The result as JSON."""
    return json.dumps(result(message), ensure_ascii=False)


def nothing_stored(message_id: str | None, fault: Fault, now: float) -> Result:
    """The result of an id that the table does not hold."""
    blank = Message(message_id or "", State.REJECTED, now)
    return {**result(blank), "message_id": message_id, "status": None, "error": fault.as_dict()}


def published(message: Message) -> Result:
    """The result as it is published: without ``replayed``, which only makes sense in a reply."""
    told = result(message)
    del told["replayed"]
    return told


def attributes(result: Result, *, bulk: bool) -> dict[str, dict[str, str]]:
    """The message attributes by which subscribers of the results topic filter; left out where null.

    A template's name that no template can have is left out as well: it is the caller's text, and SNS takes only some.
    """
    found = {
        name: {"DataType": "String", "StringValue": result[name]}
        for name in ("status", "vendor", "template")
        if result[name] is not None and (name != "template" or valid_template_name(result[name]))
    }
    priority = {"DataType": "String", "StringValue": "bulk" if bulk else "urgent"}
    return found | {"ring": {"DataType": "Number", "StringValue": str(result.get("ring", 0))}, "priority": priority}


def log_fields(result: Result) -> dict[str, str | int | None]:
    """What a log line shows of a result."""
    error = result["error"] or {}
    shown = {name: result[name] for name in ("message_id", "status", "vendor", "call_id", "reason", "linked_by")}
    return shown | {"ring": result["ring"] or None, "error": error.get("code"), "vendor_code": error.get("vendor_code")}


def rfc3339(epoch: float | None) -> str | None:
    """A moment in UTC, to the second."""
    if epoch is None:
        return None
    return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).isoformat().replace("+00:00", "Z")
