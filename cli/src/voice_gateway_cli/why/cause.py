"""One way in which a message can stand, in words; and what its sentences can name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from voice_gateway.model.message import DEFERRED

from voice_gateway_cli.terminal.output import ago, moment
from voice_gateway_cli.why.evidence import Evidence
from voice_gateway_cli.why.words import reason

When = Callable[[Evidence], bool]
"""Whether the evidence is like that."""


@dataclass(frozen=True)
class Cause:
    """One way to stand.

    ``means`` and ``do`` are a sentence or two each, and ``runbook`` is a page of docs/runbooks without its ending; all
    are filled in with :func:`facts`.
    """

    key: str
    applies: When
    means: str
    do: str
    runbook: str


RESEND = "{resend}"
"""How the same request is sent again under a new id."""


def stored(evidence: Evidence) -> bool:
    return evidence.message is not None


def status(*words: str) -> When:
    return lambda evidence: evidence.status in words


def said(evidence: Evidence, text: str) -> bool:
    """Whether the error's own text holds these words."""
    return text in str(evidence.error.get("message"))


def facts(evidence: Evidence) -> Mapping[str, Any]:
    """What the sentences name."""
    message, error, result = evidence.message, evidence.error, evidence.result or {}
    following = result.get("next") or {}
    return {
        "id": evidence.message_id,
        "resend": _resend(evidence),
        "nobody": _nobody(evidence),
        "status": evidence.status,
        "vendor": (message and message.vendor) or error.get("vendor") or "the vendor",
        "callee": _callee(evidence) or "????",
        "call_id": (message and message.call_id) or "-",
        "because": reason(message.reason if message else None),
        "error": str(error.get("message", "")).rstrip("."),
        "vendor_said": _vendor_said(error),
        "ring": message.ring if message else 0,
        "rings": _count(len(result.get("rings", [])), "ring"),
        "when": ago(message.called_at, evidence.now) if message and message.called_at else "-",
        "until": moment(message.deferred_until if message else None),
        "expires": moment(message.expires_at if message else None),
        "next_ring": following.get("ring", "-"),
        "next_callee": following.get("callee", "-"),
        "next_at": moment(_next_at(evidence)),
        "rivals": ", ".join(evidence.rivals) or "others",
        "refusals": _count(len(evidence.refused), "callback"),
        "backlog": _count(evidence.backlog, "message"),
    }


def _callee(evidence: Evidence) -> str | None:
    """Whose phone it is about: who answered, which may be a number before the last; else whose turn it is."""
    rings: list[dict[str, Any]] = (evidence.result or {}).get("rings", [])
    answered: list[str | None] = [ring["callee"] for ring in rings if ring["status"] == "delivered"]
    if answered:
        return answered[-1]
    return evidence.message.callee if evidence.message else None


def _nobody(evidence: Evidence) -> str:
    """Of a message that was refused, whether anybody was rung before."""
    rung = [ring for ring in (evidence.result or {}).get("rings", []) if ring["status"] != "rejected"]
    return f"Before that there was {_count(len(rung), 'ring')}, without success." if rung else "Nobody was rung."


def _resend(evidence: Evidence) -> str:
    """A message that nobody will ring keeps neither number nor text: then only its caller has them."""
    if evidence.request:
        return f"`voice-gateway resend {evidence.message_id} --as NEW`"
    return "have its caller send it again under a new id"


def _count(number: int, thing: str) -> str:
    return f"{number or 'no'} {thing}{'' if number == 1 else 's'}"


def _vendor_said(error: Mapping[str, Any]) -> str:
    words = " ".join(str(error[name]) for name in ("vendor_code", "vendor_message") if error.get(name))
    return f"It said: {words}. " if words else ""


def _next_at(evidence: Evidence) -> float | None:
    """When the next ring comes, epoch seconds."""
    message = evidence.message
    if message is None:
        return None
    if message.state in DEFERRED:
        return message.deferred_until
    return message.called_at + message.sequence.escalate_after if message.called_at and message.sequence else None
