"""Messages by number, by status and time, without reading the whole table.

By number: the index by number. What is open: the index of work, from which ``sweep`` takes what it looks at. What is
over: ``publish`` has a log line for each change. Each is read from the table then: it is shown as it is now.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from voice_gateway.model.message import FINAL, Message, State
from voice_gateway.storage.message_item import kind_of, message_of_item
from voice_gateway.storage.table import SHARDS, work_key

from voice_gateway_cli.deployed.stack import Item, Stack

OPEN = {
    "deferred": (State.DUE, State.RELEASED),
    "submitting": (State.CALLING,),
    "accepted": (State.ACCEPTED,),
    "unknown": (State.UNKNOWN,),
}
"""The states that the index of work holds, by the status that a caller sees."""
NOT_TOLD = ("deferred", "submitting")
"""Statuses of which ``publish`` says nothing."""
STATUSES = (*OPEN, *sorted(FINAL))
_WINDOW = 3600.0
_A_DAY = 86400.0
_LATE = 120.0
"""Seconds by which a change is told, at the latest that is usual."""


@dataclass(frozen=True)
class Wanted:
    """What a message must be like. ``since`` and ``before`` (epoch seconds): when it last changed."""

    status: str | None = None
    vendor: str | None = None
    template: str | None = None
    since: float | None = None
    before: float | None = None

    def fits(self, message: Message) -> bool:
        return (
            self.status in {None, message.status}
            and self.vendor in {None, message.vendor, *(ring.vendor for ring in message.past)}
            and self.template in {None, message.template}
            and (self.since or 0) <= message.updated_at < (self.before or 1e11)
        )


@dataclass(frozen=True)
class Page:
    """Some messages, newest first; ``more``: there are others, which changed earlier."""

    messages: list[Message]
    more: bool


def find(stack: Stack, wanted: Wanted, limit: int, number_hash: str | None = None, *, scan: bool = False) -> Page:
    """The newest messages that fit. Without a number or ``scan`` what was told is of a day, or since."""
    if number_hash is not None:
        found = _by_number(stack, number_hash)
    elif scan:
        found = (message_of_item(item) for item in stack.messages())
    else:
        open_ones = _newest_first(_open(stack, [wanted.status] if wanted.status else OPEN))
        if wanted.status in NOT_TOLD:
            return _page(open_ones, wanted, limit)
        return _page(_told(stack, wanted, open_ones), wanted, limit)
    return _page(_newest_first(found), wanted, limit)


def _page(found: Iterable[Message], wanted: Wanted, limit: int) -> Page:
    """So many of them, and those that changed at the very moment of the last: the next page begins before it."""
    some: list[Message] = []
    for message in filter(wanted.fits, found):
        if len(some) >= limit and message.updated_at != some[-1].updated_at:
            return Page(some, more=True)
        some.append(message)
    return Page(some, more=False)


def _newest_first(found: Iterable[Message]) -> list[Message]:
    return sorted(found, key=lambda message: -message.updated_at)


def _by_number(stack: Stack, number_hash: str) -> Iterator[Message]:
    """Also the messages to which the number is not the first, but one that they go on to."""
    ids = dict.fromkeys(_message_id(item) for item in stack.by_number(number_hash))
    return _read(stack, (message_id for message_id in ids if message_id))


def _message_id(item: Item) -> str | None:
    kind, _, rest = item["pk"].partition("#")
    return {"MSG": rest, "NUMBER": rest.partition("#")[2]}.get(kind)


def _told(stack: Stack, wanted: Wanted, others: list[Message]) -> Iterator[Message]:
    """What ``publish`` told, and the others, newest first: by windows of time, so that little is read in vain.

    A line is written after the change that it tells of: a message found too early in this way back is held until its
    window comes.
    """
    now = time.time()
    ends = min(wanted.before or now, now)
    begins = wanted.since or ends - _A_DAY
    held, seen = others, {message.message_id for message in others}
    for since, before in _windows(begins, ends):
        lines = stack.log_lines("publish", wanted.status or "message_id", since, before + _LATE)
        ids = {str(line.content["message_id"]) for line in lines if "message_id" in line.content} - seen
        seen |= ids
        held = _newest_first([*held, *_read(stack, ids)])
        yield from (message for message in held if message.updated_at >= since)
        held = [message for message in held if message.updated_at < since]
    yield from held


def _windows(since: float, before: float) -> Iterator[tuple[float, float]]:
    """Backwards, each twice as long as the one before."""
    size = _WINDOW
    while before > since:
        begins = max(since, before - size)
        yield begins, before
        before, size = begins, size * 2


def _open(stack: Stack, statuses: Iterable[str]) -> Iterator[Message]:
    """What ``sweep`` still has to look at. The index has them by when it does, so all are read."""
    states = [state for status in statuses for state in OPEN.get(status, ())]
    kinds = dict.fromkeys(kind_of(state, bulk=bulk) for state in states for bulk in (False, True))
    for kind in kinds:
        for shard in range(SHARDS):
            yield from map(message_of_item, stack.in_work(work_key(kind, shard)))


def _read(stack: Stack, ids: Iterable[str]) -> Iterator[Message]:
    found = (stack.message(message_id) for message_id in ids)
    return (message for message in found if message is not None)
