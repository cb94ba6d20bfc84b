"""`watch`: results as they come. It reads the log of ``publish``, so that it leaves nothing behind."""

import time
from typing import Annotated

import typer

from voice_gateway_cli.deployed.stack import LogLine
from voice_gateway_cli.session import Session
from voice_gateway_cli.terminal.output import moment, state
from voice_gateway_cli.why.words import REASONS

_EVERY_SECONDS = 2.0
_LATE = 30.0
"""Seconds by which a line may be stored after a later one."""


def watch(
    session: Session,
    status: Annotated[str | None, typer.Option(help="Only results of this status.")] = None,
    vendor: Annotated[str | None, typer.Option(help="Only results of this vendor.")] = None,
    seconds: Annotated[float, typer.Option(help="End after so many; 0: never.", min=0)] = 0,
) -> None:
    """Show results as they come, until you press Ctrl-C."""
    began = time.time()
    seen: set[tuple[float, str]] = set()
    if not session.out.as_json:
        session.out.say(f"{session.stack.name}, {session.stack.where}: waiting for results; Ctrl-C ends it")
    while True:
        for line in session.stack.log_lines("publish", "message_id", max(began, time.time() - _LATE)):
            told = line.content
            wanted = status in {None, told.get("status")} and vendor in {None, told.get("vendor")}
            if "message_id" in told and wanted and (line.at, line.text) not in seen:
                seen.add((line.at, line.text))
                _show(session, line)
        if seconds and time.time() > began + seconds:
            return
        time.sleep(_EVERY_SECONDS)


def _show(session: Session, line: LogLine) -> None:
    told = line.content
    if session.out.as_json:
        names = ("message_id", "status", "vendor", "call_id", "reason", "error", "ring")
        session.out.line_of_data({name: told.get(name) for name in names} | {"at": line.at})
        return
    because = REASONS.get(told.get("reason", ""), told.get("error") or "")
    parts = [part for part in (told.get("vendor"), because) if part]
    session.out.say(moment(line.at), "  ", state(told.get("status")), f"  {told['message_id']}  {', '.join(parts)}")
