"""Hands back what a letter holds, always by the door that it came in by: the conditions there are the same as ever."""

import datetime
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from botocore.exceptions import ClientError
from voice_gateway import vendors
from voice_gateway.model.message import Message
from voice_gateway.model.result import result
from voice_gateway.platform.callback_tokens import CallToken, callback_address

from voice_gateway_cli.deployed.callbacks import base_url, post
from voice_gateway_cli.deployed.stack import Stack
from voice_gateway_cli.errors import CommandError
from voice_gateway_cli.letters.kinds import Asked, Callback, Changes, Found, Kind
from voice_gateway_cli.letters.reading import OUTBOX, is_event, told

_TOKEN_SECONDS = 300
_NO_ATTEMPT = "unsaid"
"""Of a call that cannot be told: then ``delivered`` counts, and a failure is kept beside what is known."""
_PATIENCE = 60.0
"""Seconds for which a stream is read."""
_BETWEEN_PAGES = 0.2
_GONE = {"TrimmedDataAccessException", "ResourceNotFoundException"}


@dataclass(frozen=True)
class Outcome:
    """What came of one letter: whether it was taken, in words, and what ``send`` or ``publish`` returned.

    ``pushed``: a callback was, and if it cannot be read, another letter lies there now.
    """

    done: bool
    text: str
    result: Any = None
    pushed: bool = False


def taken(text: str, result: Any = None) -> Outcome:
    """Of a letter that may be deleted."""
    return Outcome(done=True, text=text, result=result)


def left(text: str, result: Any = None) -> Outcome:
    """Of a letter that stays."""
    return Outcome(done=False, text=text, result=result)


def impossible(found: Found) -> str | None:
    """Why there is nothing to redrive; None if there is something."""
    return {
        Kind.RECEIPT: "its message was deleted: there is nothing to redrive, only to drop",
        Kind.UNKNOWN: "nobody knows what takes it: show it with --reveal",
    }.get(found.kind)


def redrive(stack: Stack, found: Found) -> Outcome:
    """Raises CommandError, and what boto3 raises."""
    why_not = impossible(found)
    return left(why_not) if why_not else _WAYS[found.kind](stack, found)


# Requests.


def _request(stack: Stack, found: Found) -> Outcome:
    asked: Asked = found.content
    try:
        returned = stack.invoke("send", event(asked))
    except CommandError as error:
        said, _ = told(str(error).removeprefix("send raised "))
        return left(f"send did not take it: {said}")
    results = returned if isinstance(returned, list) else [returned]
    conflict = any((each.get("error") or {}).get("code") == "conflict" for each in results)
    end = left if conflict else taken
    return end("; ".join(map(_of_result, results)), results[0] if len(results) == 1 else results)


def event(asked: Asked) -> Any:
    """What ``send`` is invoked with. A record of SNS's carries the id that the request has if it brings none."""
    if is_event(asked.raw):
        return asked.raw
    message = json.dumps(asked.raw, ensure_ascii=False)
    return {"Records": [{"EventSource": "aws:sns", "Sns": {"MessageId": asked.source_id, "Message": message}}]}


def _of_result(told: dict[str, Any]) -> str:
    by = f" by {told['vendor']}" if told.get("vendor") else ""
    error = told.get("error") or {}
    because = f": {error.get('code')}, {error.get('message')}" if error else ""
    before = "was stored before, nobody is rung again: " if told.get("replayed") else ""
    return f"{before}{told.get('message_id')} is {told.get('status')}{by}{because}"


# Callbacks.


def _callback(stack: Stack, found: Found) -> Outcome:
    callback: Callback = found.content
    address = _address(stack, found)
    status, answer = push(address, callback)
    if status == 200:
        message = stack.message(found.message_id) if found.message_id else None
        now = f": {found.message_id} is {message.status}" if message else ""
        told = result(message) if message else None
        return Outcome(done=True, text=f"taken{now}", result=told, pushed=True)
    hint = {
        403: "the API lets no callback in from here (CallbackCidrs)",
        404: "its token was refused; was a key rotated a moment ago?",
        413: "it is too large",
        429: "too many at once; try again",
    }.get(status, answer[:80])
    return left(f"answered {status}: {hint}")


def _address(stack: Stack, found: Found) -> str:
    """Where it is to be pushed; it holds a token. Raises CommandError."""
    if found.vendor not in vendors.names():
        raise CommandError(f"no vendor {found.vendor} is known to this release")
    base = base_url(stack)
    if base is None:
        raise CommandError("the stack takes no callbacks: CallbackMode is poll")
    keyring = stack.keyring()
    if not vendors.vendor(found.vendor).callback_per_call:
        return keyring.static_address(base, found.vendor)
    if found.message_id is None:
        raise CommandError("it does not say to which message it belongs")
    message = stack.message(found.message_id)
    if message is None:
        raise CommandError(f"{found.message_id} was deleted: there is nothing to settle, only to drop")
    attempt = found.content.attempt or only_attempt(message) or _NO_ATTEMPT
    call = CallToken(found.message_id, attempt, int(time.time()) + _TOKEN_SECONDS)
    return callback_address(base, found.vendor, keyring.call_token(found.vendor, call))


def only_attempt(message: Message) -> str | None:
    """The attempt of a message that had one call only: an earlier release's letter does not say it."""
    return None if message.past or message.first_attempt else message.attempt


def push(address: str, callback: Callback) -> tuple[int, str]:
    """Pushes a callback as it came; status and body of the answer. Raises CommandError, without the address."""
    url = f"{address}?{callback.query}" if callback.query else address
    content_type = " ".join(callback.content_type.encode("latin-1", "replace").decode("latin-1").split())
    try:
        return post(url, callback.body, content_type)
    except (HTTPException, OSError, ValueError) as error:
        why = getattr(error, "reason", None) or type(error).__name__
        raise CommandError(f"the callback address cannot be reached: {why}") from None


def again(found: Found, letters: list[Found], known: set[str]) -> Found | None:
    """The letter that the gateway made anew of a callback that it still cannot read; ``known`` were there before."""
    fitting = (each for each in letters if each.kind is Kind.CALLBACK and each.letter_id not in known)
    return next((each for each in fitting if _same(each, found)), None)


def _same(one: Found, other: Found) -> bool:
    told = [(found.vendor, found.message_id, found.content.query, found.content.body) for found in (one, other)]
    return told[0] == told[1]


# Entries of the outbox.


def _entry(stack: Stack, found: Found) -> Outcome:
    stack.client("sqs").send_message(QueueUrl=stack.output(OUTBOX), MessageBody=found.content)
    return taken("back in the outbox: sweep applies it within a minute")


# Changes.


def _changes(stack: Stack, found: Found) -> Outcome:
    place: Changes = found.content
    records, whole = _records(stack, place)
    if not records and whole:
        return left("the stream has them no more: `status` tells each message; drop the letter")
    if not records:
        return left("the stream was not read to its end in time: run it again")
    returned = stack.invoke("publish", {"Records": records})
    failed = len((returned or {}).get("batchItemFailures", []))
    of = "" if len(records) >= place.count else f" of {place.count}; the stream has the others no more"
    if failed:
        return left(f"publish did not take {failed} of {len(records)}", returned)
    if not whole:
        return left(f"publish took {len(records)} of {place.count}; the stream was not read to its end: run it again")
    return taken(f"publish took {len(records)}{of}", returned)


def _records(stack: Stack, place: Changes) -> tuple[list[dict[str, Any]], bool]:
    """The records of a place that the stream still has, as Lambda hands them to a function; whether that is all."""
    streams = stack.client("dynamodbstreams")
    for kind in ("AT_SEQUENCE_NUMBER", "TRIM_HORIZON"):  # the first of them may be gone: what is left?
        try:
            return _from(streams, place, kind)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise
    return [], True


def _from(streams: Any, place: Changes, kind: str) -> tuple[list[dict[str, Any]], bool]:
    """A stream's pages may be empty though there is more behind them: only time bounds the reading."""
    at = {"SequenceNumber": place.first} if kind == "AT_SEQUENCE_NUMBER" else {}
    found = streams.get_shard_iterator(StreamArn=place.stream, ShardId=place.shard, ShardIteratorType=kind, **at)
    iterator, end = found.get("ShardIterator"), time.monotonic() + _PATIENCE
    records: list[dict[str, Any]] = []
    while iterator:
        page = streams.get_records(ShardIterator=iterator)
        for record in page["Records"]:
            number = int(record["dynamodb"]["SequenceNumber"])
            if place.covers(number):
                records.append(_plain(record))
            if number >= int(place.last):
                return records, True
        if time.monotonic() > end:
            return records, False
        iterator = page.get("NextShardIterator")
        if not page["Records"]:
            time.sleep(_BETWEEN_PAGES)  # a shard answers five reads a second
    return records, True


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """A record as JSON has it."""
    found: dict[str, Any] = json.loads(json.dumps(record, default=_as_text))
    return found


def _as_text(value: Any) -> Any:
    return value.timestamp() if isinstance(value, datetime.datetime) else str(value)


_WAYS: dict[Kind, Callable[[Stack, Found], Outcome]] = {
    Kind.REQUEST: _request,
    Kind.CALLBACK: _callback,
    Kind.OUTBOX: _entry,
    Kind.CHANGES: _changes,
}
