"""What it means, and what is to be done: the first cause that applies, and what is true beside it."""

from dataclasses import dataclass

from voice_gateway_cli.why import ended, kept, never_stored, refused, under_way
from voice_gateway_cli.why.cause import Cause, When, facts, stored
from voice_gateway_cli.why.evidence import Evidence

CAUSES: tuple[Cause, ...] = (
    *never_stored.CAUSES,
    *ended.CAUSES,
    *refused.CAUSES,
    *kept.CAUSES,
    *under_way.CAUSES,
)
"""In the order in which one explains the next; the last always applies."""

_ALSO: tuple[tuple[str, When, str], ...] = (
    (
        "results_unheard",
        ended.nobody_listens,
        "The results topic has no confirmed subscription: nobody was told of the result.",
    ),
    (
        "dead_letter",
        lambda e: stored(e) and bool(e.letters),
        "A dead letter is about it: `voice-gateway dead-letters list --message {id}`.",
    ),
    (
        "conflict",
        lambda e: stored(e) and ended.conflicting(e),
        "Another request came under the same id: it was refused, and was not rung.",
    ),
    ("outbox", lambda e: bool(e.entries), "A write about it waits in the outbox; `sweep` applies it within minutes."),
    (
        "receipt_waits",
        lambda e: e.status == "unknown" and bool(e.waiting) and not e.rivals,
        "A receipt for its number waits: it is linked about two minutes after it came.",
    ),
)


@dataclass(frozen=True)
class Answer:
    """What it means, and what to do; ``also`` are further sentences that are true; ``runbook`` is a file."""

    key: str
    means: str
    do: str
    runbook: str
    also: tuple[str, ...] = ()


def explain(evidence: Evidence) -> Answer:
    cause = next(each for each in CAUSES if each.applies(evidence))
    known = facts(evidence)
    also = tuple(text.format_map(known) for key, applies, text in _ALSO if key != cause.key and applies(evidence))
    means, do = (text.format_map(known).strip() for text in (cause.means, cause.do))
    return Answer(cause.key, means, do, f"docs/runbooks/{cause.runbook.format_map(known)}.md", also)
