"""What happened to a message, in order: from its log lines, and from its item where the lines are gone."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from voice_gateway_cli.deployed.stack import LogLine
from voice_gateway_cli.why.evidence import Evidence
from voice_gateway_cli.why.words import LINKED, SETTLED, SWEPT, reason


class Event(NamedTuple):
    """One thing that happened. ``at``: epoch seconds; ``by``: which function, or where else it is read."""

    at: float
    by: str
    what: str


def tell(evidence: Evidence) -> list[Event]:
    """The events, oldest first; the same is told once."""
    told = [event for line in evidence.lines for event in _of_line(line)]
    told += _of_item(evidence, {event.by for event in told})
    told += [Event(letter.sent_at, "queue", "a dead letter about it was kept") for letter in evidence.letters]
    told += [Event(entry.sent_at, "queue", "an entry about it waits in the outbox") for entry in evidence.entries]
    return list(dict.fromkeys(sorted(told, key=lambda event: event.at)))


def _of_line(line: LogLine) -> Iterator[Event]:
    content = line.content
    if "_aws" in content:
        told = _LINES[line.function.partition("_")[0]](content)
        if told:
            yield Event(line.at, line.function, told)
    elif "message" in content:
        what = SWEPT.get(str(content["message"]), str(content["message"]))
        why = content.get("why")
        yield Event(line.at, line.function, f"{what} ({why})" if why else what)
    elif "Task timed out" in line.text:
        yield Event(line.at, line.function, "the function ran out of time")


def _sent(content: Mapping[str, Any]) -> str | None:
    if content.get("dry_run"):
        return None
    if content.get("WentBack"):
        return "asked; it could not be stored, and goes back to its lane"
    if content.get("raised"):
        return f"asked; it could not be taken ({content['raised']}), and comes again"
    status, ring = content.get("status"), content.get("ring")
    if content.get("replayed"):
        return f"asked again under the same id: got the stored result, {status}"
    passed = [each for each in str(content.get("not_taken", "")).split(", ") if each]
    by, last = content.get("vendor"), ""
    if passed and status in {"rejected", "deferred"}:
        by, _, last = passed.pop().partition(" ")
    before = "".join(f"{each}; then " for each in passed)
    called = f"ring {ring or 1}: {by}"
    error = " ".join(str(part) for part in (content.get("error"), content.get("vendor_code")) if part)
    if status == "accepted":
        took = f" in {content['vendor_ms']} ms" if "vendor_ms" in content else ""
        return f"{before}{called} took the call{took}, call id {content.get('call_id')}"
    if error == "conflict":
        return "another request came under the same id: refused, conflict"
    if status == "unknown":
        return f"{before}{called} was called and gave no clear answer{_after(content)}"
    if status in {"rejected", "deferred"} and "vendor_ms" in content:
        end = "it is tried again later" if status == "deferred" else "refused"
        return f"{before}{called} said {last or error}: {end}"
    plain = {
        "deferred": f"asked; kept for later{f' ({error})' if error else ''}",
        "rejected": f"asked; refused: {error}",
        "expired": "its time had run out: not rung",
    }
    return plain.get(str(status), f"asked: {status}")


def _after(content: Mapping[str, Any]) -> str:
    return f" within {content['vendor_ms']} ms" if "vendor_ms" in content else ""


def _reported(content: Mapping[str, Any]) -> str | None:
    if content.get("refused"):
        return f"a callback was turned away: {content['refused']}"
    if "code" not in content:
        return "a callback that cannot be read came: kept as a dead letter" if content.get("Unreadable") else None
    said = f"{content.get('vendor')} reported {content['code']}: {content.get('status')}"
    why = f", {reason(content['reason'])}" if content.get("reason") else ""
    return f"{said}{why}; {SETTLED.get(str(content.get('receipt')), content.get('receipt'))}"


def _published(content: Mapping[str, Any]) -> str | None:
    count = content.get("Published", [0])
    told = "the results topic was told" if sum(count) else "the results topic could not be told yet"
    linked = f", linked by {content['linked_by']}" if content.get("linked_by") not in {None, "call_id", "token"} else ""
    following = "; the next ring was handed over" if content.get("NextRing") else ""
    return f"{told}: {content.get('status')}{linked}{following}"


def _called_off(content: Mapping[str, Any]) -> str | None:
    return f"its caller asked to call it off: {content.get('status') or 'not found'}"


_LINES: Mapping[str, Callable[[Mapping[str, Any]], str | None]] = {
    "send": _sent,
    "callback": _reported,
    "publish": _published,
    "cancel": _called_off,
    "sweep": lambda _: None,
}
"""By the function's name, or its first part."""


def _of_item(evidence: Evidence, told_by: set[str]) -> Iterator[Event]:
    """What the item says by itself: its rings, and how it stands."""
    message, result = evidence.message, evidence.result
    if message is None or result is None:
        return
    if "send" not in told_by:
        for ring, shown in zip(message.past, result["rings"], strict=False):
            why = shown["reason"] or (shown["error"] or {}).get("code")
            came = f": {shown['status']}{f', {why}' if why else ''}"
            yield Event(ring.at, "table", f"ring {ring.ring}: *{ring.callee} by {ring.vendor}{came}")
        if message.called_at and len(result["rings"]) > len(message.past):
            yield Event(message.called_at, "table", f"ring {message.ring}: *{message.callee} by {message.vendor}")
    if message.receipt and not any(name.startswith("callback_") for name in told_by):
        said = f"{message.vendor} reported {message.receipt['code']} {message.receipt['message']}"
        yield Event(message.updated_at, "table", f"{said} ({LINKED[message.linked_by or 'call_id']})")
    if not told_by:
        yield Event(message.updated_at, "table", f"since then it is {message.status}")
