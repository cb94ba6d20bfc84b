"""What a dead letter is. Every form there is has a function here; what none of them knows is ``unknown``, and shown."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from voice_gateway.model.receipt import read_receipt
from voice_gateway.model.request import valid_message_id
from voice_gateway.model.text import without_mark
from voice_gateway.storage.outbox import Kind as EntryKind

from voice_gateway_cli.deployed.stack import Letter
from voice_gateway_cli.letters.kinds import Asked, Callback, Changes, Found, Kind, Lying

LANES = ("UrgentQueueUrl", "BulkQueueUrl")
OUTBOX = "OutboxQueueUrl"
"""Outputs that name the queues out of which SQS moves what nobody took."""


def read(letter: Letter, source: str | None = None) -> Found:
    """What a letter is; ``source`` is as Lying has it. Never raises."""
    lying = Lying(letter, _json(letter.body), source)
    for form in _FORMS:
        try:
            found = form(lying)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            continue  # it looks like that form, and is not
        if found is not None:
            return found
    return Found(letter, Kind.UNKNOWN, "unknown to this release", _said(lying.body))


def _failed_invoke(lying: Lying) -> Found | None:
    """What Lambda writes of an asynchronous invoke of ``send``. A retry has the request id of the first try."""
    letter, body, _ = lying
    if not isinstance(body, dict) or "requestPayload" not in body:
        return None
    context, raised = body.get("requestContext") or {}, body.get("responsePayload")
    late = context.get("condition") == "EventAgeExceeded"
    times = context.get("approximateInvokeCount")
    why = "send did not take it for six hours" if late else f"send raised {times or 'several'} times"
    error, told_id = _raised(raised)
    source_id = valid_message_id(context.get("requestId")) or told_id or letter.letter_id
    return _request(letter, "request, asynchronous", why, Asked(body["requestPayload"], source_id), error)


def _changes(lying: Lying) -> Found | None:
    letter, body, _ = lying
    if not isinstance(body, dict) or "DDBStreamBatchInfo" not in body:
        return None
    info = body["DDBStreamBatchInfo"]
    place = Changes(
        str(info["streamArn"]),
        str(info["shardId"]),
        str(info["startSequenceNumber"]),
        str(info["endSequenceNumber"]),
        int(info.get("batchSize") or 0),
    )
    place.covers(0)  # raises ValueError unless they are numbers
    error = (body.get("responseContext") or {}).get("functionError")
    what, why = f"changes, {place.count}", "publish did not take them for an hour"
    return Found(letter, Kind.CHANGES, what, why, error=error and str(error), content=place)


def _kept(lying: Lying) -> Found | None:
    """What the gateway wrote itself: it says why."""
    letter, body, _ = lying
    if not isinstance(body, dict) or not isinstance(body.get("why"), str):
        return None
    why, message_id = body["why"], valid_message_id(body.get("message_id"))
    if why.startswith("unreadable callback of "):
        vendor, _, error = why.removeprefix("unreadable callback of ").partition(": ")
        attempt = body.get("attempt")
        callback = Callback(
            str(body.get("content_type") or ""),
            str(body.get("query") or ""),
            base64.b64decode(body["body_base64"], validate=True),
            attempt if isinstance(attempt, str) and attempt else None,
        )
        why = "cannot be read"
        return Found(letter, Kind.CALLBACK, "callback, raw", why, message_id, vendor, error, callback)
    if why == _DELETED:
        receipt = read_receipt(body["receipt"])
        what = f"receipt, {receipt.state}"
        return Found(
            letter, Kind.RECEIPT, what, "its message was deleted", message_id, receipt.vendor, None, body["receipt"]
        )
    if why.startswith("an outbox entry") and isinstance(body.get("entry"), str):
        error = why.partition(": ")[2]
        return _entry(letter, body["entry"], "sweep cannot apply it: a defect", error or None)
    return None


def _handed_over(lying: Lying) -> Found | None:
    """A stored message that the gateway put into a lane: as a request it is claimed under the same conditions."""
    letter, body, _ = lying
    if not isinstance(body, dict) or set(body) != {"handed_over"}:
        return None
    message = body["handed_over"]
    message_id = valid_message_id(message["message_id"])
    if message_id is None:
        return None
    asked = Asked(_json(message["request"]), message_id)
    found = _request(letter, "request, stored message", _OFTEN, asked)
    vendor = found.vendor or message.get("vendor")
    return Found(letter, found.kind, found.what, found.why, message_id, vendor, None, asked)


def _notification(lying: Lying) -> Found | None:
    """SNS's envelope: out of a lane, or because SNS could not put it into one, which its attributes say then."""
    letter, body, _ = lying
    if not _is_notification(body):
        return None
    asked = Asked(_json(body["Message"]), body["MessageId"])
    error = _of_attributes(letter.attributes)
    why = "SNS could not put it into its lane" if error else _OFTEN
    return _request(letter, "request, SNS", why, asked, error)


def _entry_of_outbox(lying: Lying) -> Found | None:
    letter, body, source = lying
    known = isinstance(body, dict) and body.get("kind") in set(EntryKind) and "why" not in body
    if not known and source != OUTBOX:
        return None
    return _entry(letter, letter.body, "sweep tried it for a day", None)


def _raw_event(lying: Lying) -> Found | None:
    """An event as it was, with attributes that name the error: what a function's own dead-letter queue gets."""
    letter, body, _ = lying
    request_id = valid_message_id(letter.attributes.get("RequestID"))
    if request_id is None:
        return None
    error = _of_attributes(letter.attributes)
    what, why = "request, asynchronous", "send raised several times"
    return _request(letter, what, why, Asked(body, request_id), error)


def _in_lane(lying: Lying) -> Found | None:
    """What somebody put into a lane past SNS: its text is the request."""
    letter, body, source = lying
    if source not in LANES and not (isinstance(body, dict) and "mobile" in body):
        return None
    return _request(letter, "request, lane", _OFTEN, Asked(body, letter.letter_id))


_DELETED = "no such message"
_OFTEN = "it came back to its lane for a day"
_FORMS: tuple[Callable[[Lying], Found | None], ...] = (
    _failed_invoke,
    _changes,
    _kept,
    _handed_over,
    _notification,
    _entry_of_outbox,
    _raw_event,
    _in_lane,
)


def _request(letter: Letter, what: str, why: str, asked: Asked, error: str | None = None) -> Found:
    raw = asked.raw
    if is_event(raw):
        records = [_json(record["Sns"]["Message"]) for record in raw["Records"]]
        raw = records[0]
        asked = Asked(asked.raw, raw_id(asked.raw["Records"][0]))
        what = f"{what}, SNS" if len(records) == 1 else f"{what}, SNS, {len(records)} at once"
    fields = raw if isinstance(raw, dict) else {}
    message_id = valid_message_id(fields.get("message_id")) or asked.source_id
    vendor = fields.get("vendor")
    vendor = vendor if isinstance(vendor, str) else None
    return Found(letter, Kind.REQUEST, what, why, message_id, vendor, error, asked)


def raw_id(record: Mapping[str, Any]) -> str:
    """The id of a record of SNS's."""
    return str(record["Sns"]["MessageId"])


def is_event(raw: Any) -> bool:
    """Whether it is SNS's event and not a request itself: an earlier release was invoked by SNS."""
    records = raw.get("Records") if isinstance(raw, dict) else None
    return (
        isinstance(records, list)
        and bool(records)
        and all(isinstance(each, dict) and _is_sns(each.get("Sns")) for each in records)
    )


def _is_notification(body: Any) -> bool:
    return isinstance(body, dict) and body.get("Type") == "Notification" and _is_sns(body)


def _is_sns(sns: Any) -> bool:
    return isinstance(sns, dict) and isinstance(sns.get("Message"), str) and bool(valid_message_id(sns["MessageId"]))


def _entry(letter: Letter, text: str, why: str, error: str | None) -> Found:
    content = _json(text)
    fields = content if isinstance(content, dict) else {}
    kind = fields.get("kind")
    what = _ENTRIES.get(kind, "unknown entry") if isinstance(kind, str) else "unreadable entry"
    named = [fields, *(fields.get(name) for name in ("message", "result", "changes"))]
    parts = [each for each in named if isinstance(each, dict)]
    message_id = next((valid_message_id(each.get("message_id")) for each in parts if each.get("message_id")), None)
    receipt = _json(str(fields.get("receipt")))
    vendors = [each.get("vendor") for each in (*reversed(parts), receipt) if isinstance(each, dict)]
    vendor = next((name for name in vendors if isinstance(name, str)), None)
    return Found(letter, Kind.OUTBOX, f"outbox: {what}", why, message_id, vendor, error, text)


_ENTRIES: Mapping[str, str] = {
    "outcome": "what came of a call",
    "release": "a call that was not made",
    "receipt": "a receipt",
    "result": "a result to be published",
}


def _raised(payload: Any) -> tuple[str | None, str | None]:
    """What a function raised; and the message id, if it was the result of what could not be stored."""
    if not isinstance(payload, dict):
        return None, None
    text, kind = str(payload.get("errorMessage") or ""), str(payload.get("errorType") or "")
    said, message_id = told(text)
    return ": ".join(part for part in (kind, said) if part) or None, message_id


def told(text: str) -> tuple[str, str | None]:
    """What ``send`` raises is a result: its error in words, and its message id. Of another text: itself."""
    result = _json(text)
    if not isinstance(result, dict) or not isinstance(result.get("error"), dict):
        return text, None
    return str(result["error"].get("message") or text), valid_message_id(result.get("message_id"))


def _of_attributes(attributes: Mapping[str, str]) -> str | None:
    parts = (attributes.get("ErrorCode"), attributes.get("ErrorMessage"))
    text = told(parts[1])[0] if parts[1] else ""
    return " ".join(part for part in (parts[0], text) if part) or None


def _said(body: Any) -> str:
    why = body.get("why") if isinstance(body, dict) else None
    return why if isinstance(why, str) else "not known"


def _json(text: str) -> Any:
    """As ``send`` reads it: what is no JSON is a text."""
    try:
        return json.loads(without_mark(text))
    except (ValueError, RecursionError):
        return text
