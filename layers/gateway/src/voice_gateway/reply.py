"""A message as its caller sees it: the result of docs/using.md, every field always there."""

import datetime
from typing import Any

from voice_gateway.model import PUBLIC_STATUS, Code, Fault, Message, State

Result = dict[str, Any]


def result(message: Message, *, replayed: bool = False) -> Result:
    """The result of a stored message, or of one that would be stored but for ``dry_run``."""
    return {
        "message_id": message.message_id,
        "status": PUBLIC_STATUS.get(message.state, str(message.state)),
        "vendor": message.vendor,
        "call_id": message.call_id,
        "linked_by": message.linked_by,
        "reason": message.reason,
        "error": message.error,
        "receipt": message.receipt,
        "later_receipts": max(0, len(message.receipts) - 1),
        "unlinked_receipts": message.unlinked,
        "redials": message.redials,
        "deferred_until": moment(message.deferred_until) if message.state is State.DUE else None,
        "dry_run": message.dry_run,
        "replayed": replayed,
        "notify_data": message.notify_data,
        "template": message.template,
        "updated_at": moment(message.updated_at),
    }


def in_progress(message: Message) -> Result:
    """What a direct caller gets while another invocation holds the lease."""
    fault = Fault(Code.IN_PROGRESS, "another invocation is handing this message over", message.vendor)
    return {**result(message, replayed=True), "error": fault.as_dict()}


def not_stored(message_id: str | None, status: str | None, fault: Fault, now: float) -> Result:
    """A result of something that the table does not hold: an unknown id, a conflict."""
    blank = Message(message_id or "", State.REJECTED, now)
    return {**result(blank), "message_id": message_id, "status": status, "error": fault.as_dict()}


def summary(result: Result) -> dict[str, str | None]:
    """What a log line says of a result."""
    error = result["error"] or {}
    said = {name: result[name] for name in ("message_id", "status", "vendor", "call_id", "reason", "linked_by")}
    return said | {"error": error.get("code"), "vendor_code": error.get("vendor_code")}


def attributes(result: Result) -> dict[str, dict[str, str]]:
    """The message attributes by which subscribers of the results topic filter; left out where null."""
    return {
        name: {"DataType": "String", "StringValue": result[name]}
        for name in ("status", "vendor", "template")
        if result[name] is not None
    }


def moment(epoch: float | None) -> str | None:
    """RFC 3339 in UTC, to the second."""
    if epoch is None:
        return None
    return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).isoformat().replace("+00:00", "Z")
