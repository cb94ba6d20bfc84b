"""Nothing is stored under the id."""

from collections.abc import Mapping
from typing import Any

from voice_gateway_cli.why.cause import Cause, stored


def _came(content: Mapping[str, Any]) -> bool:
    """Whether a line of ``send`` is about a request that came and could not be stored."""
    return not content.get("dry_run") and bool(content.get("raised") or content.get("WentBack"))


CAUSES = (
    Cause(
        "dead_letter",
        lambda e: not stored(e) and bool(e.letters),
        "The request came, could not be taken for hours, and lies in the dead letters. Nobody was rung.",
        "See what was in the way with `voice-gateway dead-letters list --message {id}`, mend it, and redrive it.",
        "dead-letters",
    ),
    Cause(
        "could_not_be_stored",
        lambda e: not stored(e) and any(_came(line.content) for line in e.lines_of("send")),
        "The request came, and AWS did not let it be stored. Nobody was rung; what came by the topic comes again.",
        "Look at what `send` raised in the lines above, and at the region's health.",
        "send-errors",
    ),
    Cause(
        "lanes_not_subscribed",
        lambda e: not stored(e) and not e.lanes_listen,
        "Nothing is stored under this id, and the lanes are not subscribed to the notify topic: "
        "what is published there is lost.",
        "Deploy again, so that the subscriptions come back, and have the caller publish again under the same id.",
        "never-seen",
    ),
    Cause(
        "waits_in_lane",
        lambda e: not stored(e) and e.backlog > 0,
        "Nothing is stored under this id yet. The lanes hold {backlog}, and it may be among them.",
        "See why the lanes are behind; what waits is kept for 14 days, and rung in its turn.",
        "urgent-age",
    ),
    Cause(
        "never_seen",
        lambda e: not stored(e),
        "The gateway has never seen this id, or has forgotten it: it is in no log line of that time either.",
        "Check the id, the stack and the region, then the caller's own log: did its publish or invoke succeed? "
        "If it is older than a day, say --since.",
        "never-seen",
    ),
)
