"""What is asked for: one call, or a sequence of them (docs/using.md, The request).

Nothing is checked here that the gateway checks: it names every fault in one reply, and what is checked twice is checked
differently one day. Only what cannot be written as JSON is refused.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

_ESCAPED = {0xFFFE: "\\ufffe", 0xFFFF: "\\uffff"}


@dataclass(frozen=True)
class Redial:
    """Ring the same number again: ``times`` at the most (1-5).

    ``after_seconds``: 60-86400, one for all, or one for each time; the gateway's default is 300. ``reasons``: of a
    failed call, those for which it is rung again.
    """

    times: int
    after_seconds: int | Sequence[int] | None = None
    reasons: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request. Numbers, texts and values are not shown by ``repr``, so that no log line has them.

    One of three says what is read out: ``template`` (with ``params``, a mapping), ``content``, or ``template_id`` (with
    ``params``, a list). ``message_id`` is the idempotency key: the same id never rings twice. Give one of your own,
    such as the order's, if your process may run again: what :class:`Gateway` makes up otherwise is new each time.

    ``not_before``, ``expires_at``: with a time zone. ``notify_data``: at most 1,024 bytes, handed back in every result.
    """

    mobile: str | int = field(repr=False)
    template: str | None = None
    content: str | None = field(default=None, repr=False)
    template_id: str | None = None
    params: Mapping[str, str | int] | Sequence[str | int] | None = field(default=None, repr=False)
    message_id: str | None = None
    vendor: str | None = None
    play_times: int | None = None
    notify_data: str | None = field(default=None, repr=False)
    on_unknown: Literal["stop", "redial_once"] | None = None
    redial: Redial | None = None
    escalate_to: Sequence[str | int] | None = field(default=None, repr=False)
    escalate_after_seconds: int | None = None
    not_before: datetime | None = None
    hours: str | None = None
    priority: Literal["urgent", "bulk"] | None = None
    expires_at: datetime | None = None
    dry_run: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """The request as the gateway reads it, without what is None. Raises ValueError as ``to_json`` does."""
        return {name: _plain(name, value) for name, value in _given(self)}

    def to_json(self) -> str:
        """The same as JSON. Raises ValueError, which names the field, for what JSON or UTF-8 cannot write."""
        return (
            "{"
            + ", ".join(f"{_written(name, name)}: {_written(name, each)}" for name, each in self.as_dict().items())
            + "}"
        )


def _given(holder: Request | Redial) -> list[tuple[str, Any]]:
    named = [(each.name, getattr(holder, each.name)) for each in fields(holder)]
    return [(name, value) for name, value in named if value is not None]


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{name}: must have a time zone")
        return value.isoformat()
    if isinstance(value, Redial):
        return {part: _plain(part, each) for part, each in _given(value)}
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _written(name: str, value: Any) -> str:
    """A value as JSON. What no XML can hold is escaped, for SNS's requests are checked like XML."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        # Not the error itself: its repr may show the text, and the number in it.
        raise ValueError(f"{name}: cannot be written as JSON ({type(error).__name__})") from None
    return text.translate(_ESCAPED)
