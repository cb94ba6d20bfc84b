"""What there is to know of one message: its item, receipts, dead letters, outbox entries, topics, lanes and logs."""

import base64
import binascii
import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from voice_gateway.model.message import FINAL, UNDER_WAY, Message
from voice_gateway.model.result import published

from voice_gateway_cli.deployed.stack import Item, Letter, LogLine, Stack

SPEAKING = ("send", "publish", "sweep", "cancel")
"""The functions whose lines tell of a message by its id; the callbacks' do as well."""
_A_DAY = 86400.0
_MARGIN = 120.0
"""Seconds: clocks differ, and a line may be stored a moment later."""
_REFUSED = "refused"
_UNKNOWN_KEY = "unknown key"


@dataclass(frozen=True)
class Evidence:
    """All of it. ``lines`` are oldest first; ``refused`` are callbacks with a key that is gone, since the call."""

    message_id: str
    now: float
    message: Message | None = None
    call: Item | None = None
    """The item of its call id, with the receipts that came for it."""
    lines: tuple[LogLine, ...] = ()
    refused: tuple[LogLine, ...] = ()
    letters: tuple[Letter, ...] = ()
    entries: tuple[Letter, ...] = ()
    waiting: tuple[Item, ...] = ()
    """Receipts for its number that no message was found for."""
    rivals: tuple[str, ...] = ()
    """Other messages to its number of which it is not known either what became."""
    listeners: int = 0
    """Confirmed subscriptions of the results topic."""
    lanes_listen: bool = True
    """Whether the lanes are subscribed to the notify topic."""
    backlog: int = 0
    """How many messages wait in the lanes."""

    @cached_property
    def result(self) -> dict[str, Any] | None:
        return None if self.message is None else published(self.message)

    @property
    def status(self) -> str | None:
        return None if self.message is None else self.message.status

    @property
    def error(self) -> dict[str, Any]:
        """The error of the message, or of its ring; empty if there is none."""
        return (self.message.error if self.message else None) or {}

    @property
    def code(self) -> str | None:
        return self.error.get("code")

    @cached_property
    def request(self) -> dict[str, Any]:
        """The normalised request; empty once it is not needed any more."""
        found: dict[str, Any] = json.loads(self.message.request) if self.message and self.message.request else {}
        return found

    def lines_of(self, function: str, **fields: Any) -> list[LogLine]:
        """A function's lines that have these fields."""
        return [
            line
            for line in self.lines
            if line.function == function and all(line.content.get(name) == value for name, value in fields.items())
        ]


def gather(stack: Stack, message_id: str, since: float | None = None, now: float | None = None) -> Evidence:
    """Looks everywhere. ``since`` (epoch seconds) is where the logs are read from, else from when the message came."""
    now = time.time() if now is None else now
    message = stack.message(message_id)
    begun = since if since is not None else _came_at(stack, message, now)
    stack.client("logs")  # made before the threads want it
    with ThreadPoolExecutor(8) as pool:
        read = _reader(stack, pool, begun)
        names = _names(message_id, message)
        lines = read([(function, name) for function in _speaking(stack) for name in names])
        refused = read([(function, _REFUSED) for function in _may_report(stack, message)])
    call = stack.item(f"CALL#{message.vendor}#{message.call_id}") if message and message.call_id else None
    waiting, rivals = _by_number(stack, message)
    return Evidence(
        message_id=message_id,
        now=now,
        message=message,
        call=call,
        lines=tuple(line for line in lines if _about(line, message_id, message)),
        refused=tuple(line for line in refused if line.content.get("refused") == _UNKNOWN_KEY),
        letters=tuple(
            letter for letter in stack.letters("DeadLetterQueueUrl") if _names_it(letter.body, names, message)
        ),
        entries=tuple(letter for letter in stack.letters("OutboxQueueUrl") if message_id in letter.body),
        waiting=waiting,
        rivals=rivals,
        listeners=len(stack.subscriptions("ResultsTopicArn")),
        lanes_listen=message is not None or _lanes_listen(stack),
        backlog=0 if message else stack.depth("UrgentQueueUrl") + stack.depth("BulkQueueUrl"),
    )


def _reader(
    stack: Stack, pool: ThreadPoolExecutor, since: float
) -> Callable[[Iterable[tuple[str, str]]], list[LogLine]]:
    def read(wanted: Iterable[tuple[str, str]]) -> list[LogLine]:
        found = pool.map(lambda one: stack.log_lines(one[0], one[1], since - _MARGIN), wanted)
        lines = {(line.function, line.at, line.text): line for batch in found for line in batch}
        return sorted(lines.values(), key=lambda line: line.at)

    return read


def _came_at(stack: Stack, message: Message | None, now: float) -> float:
    """When a message came, as far as its item tells: a day ago if there is none."""
    if message is None:
        return now - _A_DAY
    kept = float(stack.parameters.get("RetentionDays", 30)) * _A_DAY
    known = [message.updated_at, message.called_at, message.number_at, *(ring.at for ring in message.past)]
    return min(at for at in [*known, message.ttl and message.ttl - kept] if at)


def _names(message_id: str, message: Message | None) -> list[str]:
    """By what log lines name it: a receipt's line may have the call id only."""
    call_ids = [message.call_id, *(ring.call_id for ring in message.past)] if message else []
    return [name for name in dict.fromkeys([message_id, *call_ids]) if name]


def _speaking(stack: Stack) -> list[str]:
    return [name for name in stack.functions if name in SPEAKING or name.startswith("callback_")]


def _about(line: LogLine, message_id: str, message: Message | None) -> bool:
    """Whether a line found by its words is about this message: another may have a name that looks the same."""
    named = line.content.get("message_id")
    if named is not None:
        return bool(named == message_id)
    vendor = line.content.get("vendor")
    return not line.content or message is None or vendor is None or vendor in _vendors_of(message)


def _vendors_of(message: Message) -> set[str | None]:
    return {message.vendor, message.earlier_vendor, *(ring.vendor for ring in message.past)}


def _may_report(stack: Stack, message: Message | None) -> list[str]:
    """The callback functions by which a receipt may still come; in poll mode there are none."""
    if message is None or message.state not in UNDER_WAY:
        return []
    return [f"callback_{vendor}" for vendor in _vendors_of(message) if f"callback_{vendor}" in stack.functions]


def _names_it(body: str, names: list[str], message: Message | None) -> bool:
    """Whether a dead letter is about it. A receipt that cannot be read is kept as it came: its call id is inside."""
    text = f"{body} {_opened(body)}"
    message_id, *call_ids = names
    if f'"{message_id}"' in text.replace('\\"', '"'):
        return True
    return message is not None and message.state not in FINAL and any(call_id in text for call_id in call_ids)


def _opened(body: str) -> str:
    """What is packed in a raw callback, as text."""
    try:
        packed = json.loads(body).get("body_base64", "")
        return base64.b64decode(packed).decode("utf-8", "replace")
    except (ValueError, AttributeError, TypeError, binascii.Error):
        return ""


def _by_number(stack: Stack, message: Message | None) -> tuple[tuple[Item, ...], tuple[str, ...]]:
    """Waiting receipts for a message's number, and other messages to it that are unknown too."""
    if message is None or message.state not in UNDER_WAY or not message.number_hash:
        return (), ()
    waiting: list[Item] = []
    rivals: list[str] = []
    if not stack.has_number_index:
        return (), ()
    for item in stack.by_number(message.number_hash):
        if item["pk"].startswith("CALL#"):
            call = stack.item(item["pk"])
            if call and call.get("waiting") and not call.get("message"):
                waiting.append(call)
        else:
            other_id = item["pk"].removeprefix("MSG#") if item["pk"].startswith("MSG#") else item.get("message")
            if other_id not in {None, message.message_id, *rivals}:
                other = stack.message(str(other_id))
                if other is not None and other.state is message.state and other.call_id is None:
                    rivals.append(str(other_id))
    return tuple(waiting), tuple(rivals)


def _lanes_listen(stack: Stack) -> bool:
    queues = {stack.output(name).rpartition("/")[2] for name in ("UrgentQueueUrl", "BulkQueueUrl")}
    ends = {found["Endpoint"].rpartition(":")[2] for found in stack.subscriptions("NotifyTopicArn")}
    return queues <= ends
