"""A message as its caller sees it: the result of docs/using.md, every field always there."""

import datetime
import json
from typing import Any

from voice_gateway.model.faults import Fault
from voice_gateway.model.message import PUBLIC_STATUS, Message, State
from voice_gateway.model.request import valid_template_name

Result = dict[str, Any]


def result(message: Message, *, replayed: bool = False) -> Result:
    """The result of a stored message, or of the one that a ``dry_run`` would have stored."""
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
        "deferred_until": rfc3339(message.deferred_until) if message.state is State.DUE else None,
        "dry_run": message.dry_run,
        "replayed": replayed,
        "notify_data": message.notify_data,
        "template": message.template,
        "updated_at": rfc3339(message.updated_at),
    }


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


def attributes(result: Result) -> dict[str, dict[str, str]]:
    """The message attributes by which subscribers of the results topic filter; left out where null.

    A template's name that no template can have is left out as well: it is the caller's text, and SNS takes only some.
    """
    return {
        name: {"DataType": "String", "StringValue": result[name]}
        for name in ("status", "vendor", "template")
        if result[name] is not None and (name != "template" or valid_template_name(result[name]))
    }


def log_fields(result: Result) -> dict[str, str | None]:
    """What a log line shows of a result."""
    error = result["error"] or {}
    shown = {name: result[name] for name in ("message_id", "status", "vendor", "call_id", "reason", "linked_by")}
    return shown | {"error": error.get("code"), "vendor_code": error.get("vendor_code")}


def rfc3339(epoch: float | None) -> str | None:
    """A moment in UTC, to the second."""
    if epoch is None:
        return None
    return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).isoformat().replace("+00:00", "Z")
