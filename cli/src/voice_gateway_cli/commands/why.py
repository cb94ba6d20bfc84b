"""`why`: what became of a message, in order; what it means; what to do."""

from typing import Annotated, Any

import typer
from voice_gateway.model.result import rfc3339

from voice_gateway_cli.commands.messages import MessageId
from voice_gateway_cli.session import Session, moment_of
from voice_gateway_cli.terminal.output import moment, state
from voice_gateway_cli.why.causes import Answer, explain
from voice_gateway_cli.why.evidence import Evidence, gather
from voice_gateway_cli.why.story import Event, tell

Since = Annotated[
    str | None, typer.Option(help="How far back the logs are read: 30m, 6h, 3d, or a date; else since it came.")
]


def why(session: Session, message_id: MessageId, since: Since = None) -> None:
    """Say in plain words what became of a message, and what to do."""
    checked = session.checked_id(message_id)
    begun = moment_of("--since", since)
    with session.out.working("looking at the table, the queues and the logs"):
        evidence = gather(session.stack, checked, begun)
    answer, story = explain(evidence), tell(evidence)
    if session.out.as_json:
        session.out.data(as_data(evidence, answer, story))
    else:
        _print(session, evidence, answer, story)


def as_data(evidence: Evidence, answer: Answer, story: list[Event]) -> dict[str, Any]:
    """What ``--json`` prints (docs/cli.md)."""
    return {
        "message_id": evidence.message_id,
        "status": evidence.status,
        "cause": answer.key,
        "means": answer.means,
        "do": answer.do,
        "also": list(answer.also),
        "runbook": answer.runbook,
        "story": [{"at": rfc3339(event.at), "by": event.by, "what": event.what} for event in story],
        "result": evidence.result,
    }


def _print(session: Session, evidence: Evidence, answer: Answer, story: list[Event]) -> None:
    out = session.out
    out.say((evidence.message_id, "bold"), "  ", state(evidence.status or "not found"))
    out.blank()
    if story:
        out.table(("when", "by", "what"), [(moment(event.at), event.by, event.what) for event in story])
        out.blank()
    for name, text in (("It means", answer.means), *(("And", text) for text in answer.also), ("Do", answer.do)):
        out.paragraph(name, text)
    out.paragraph("Runbook", answer.runbook)
