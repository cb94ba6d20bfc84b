"""It is over: delivered, failed, called off, or out of time."""

from voice_gateway_cli.why.cause import Cause, status
from voice_gateway_cli.why.evidence import Evidence


def nobody_listens(evidence: Evidence) -> bool:
    """A result was published, and no subscription of the results topic is confirmed."""
    return evidence.status not in {None, "deferred", "submitting"} and evidence.listeners == 0


def conflicting(evidence: Evidence) -> bool:
    """Whether another request came under the same id."""
    return bool(evidence.lines_of("send", error="conflict"))


CAUSES = (
    Cause(
        "conflict",
        lambda e: conflicting(e) and e.status in {"delivered", "failed", "deferred"} and not nobody_listens(e),
        "Two different requests came under this id. The first one stands, {status}; the other was refused, "
        "and was not rung.",
        "Have the caller send the other one under an id of its own: an id is for one request.",
        "refused",
    ),
    Cause(
        "results_unheard",
        lambda e: e.status == "delivered" and nobody_listens(e),
        "The phone was rung, and the text was read out. But nobody was told: "
        "the results topic has no confirmed subscription.",
        "Subscribe the caller's queue to the results topic; until then, `voice-gateway status {id}`.",
        "results-unheard",
    ),
    Cause(
        "linked_by_number",
        lambda e: e.status in {"delivered", "failed"} and bool(e.message and e.message.linked_by == "number"),
        "It is {status}. The vendor's answer to the call was lost, so its receipt was matched by the number alone.",
        "Nothing. If another system calls the same numbers by this account at {vendor}, set LinkByNumber to off.",
        "outcome-unknown",
    ),
    Cause(
        "delivered",
        status("delivered"),
        "*{callee} was rung, and the text was read out: {vendor} reported it.",
        "Nothing.",
        "ended",
    ),
    Cause(
        "failed",
        status("failed"),
        "*{callee} was rung by {vendor}, without success: {because}. After {rings} nobody else is rung.",
        "Reach them another way, or send it again under a new id; `redial` and `escalate_to` do that by themselves.",
        "ended",
    ),
    Cause(
        "cancelled",
        status("cancelled"),
        "Its caller called it off, after {rings}.",
        "Nothing; if it was a mistake, send it again under a new id.",
        "ended",
    ),
    Cause(
        "expired_between_rings",
        lambda e: e.status == "expired" and bool((e.result or {}).get("rings")),
        "Its time ran out at {expires}, after {rings} without success.",
        "If it is still worth a call, send it again under a new id with a later `expires_at`.",
        "ended",
    ),
    Cause(
        "expired",
        status("expired"),
        "Its time had run out ({expires}) before it could be rung. Nobody was rung.",
        "If it is still worth a call, send it again under a new id with a later `expires_at`.",
        "ended",
    ),
)
