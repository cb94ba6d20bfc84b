"""`status`, `cancel`, `send`, `resend`: as the gateway's functions do, with a question before a phone rings."""

import json
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer
from voice_gateway.model.message import Message

from voice_gateway_cli.errors import CommandError, UsageError
from voice_gateway_cli.session import Session
from voice_gateway_cli.terminal.output import Output, state

MessageId = Annotated[str, typer.Argument(help="The message's id, as its caller chose it.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

_NOT_AGAIN = {"message_id", "expires_at", "not_before"}
"""What a message that is sent again under another id does not take over."""


def status(session: Session, message_id: MessageId) -> int:
    """Show the result of a message, as its caller sees it."""
    result = session.stack.invoke("status", {"message_id": session.checked_id(message_id)})
    return _show(session.out, result)


def cancel(session: Session, message_id: MessageId) -> int:
    """Call a message off: what has not been handed to a vendor never will be."""
    result = session.stack.invoke("cancel", {"message_id": session.checked_id(message_id)})
    return _show(session.out, result)


def send(
    session: Session,
    mobile: Annotated[str | None, typer.Argument(help="The number to ring.")] = None,
    template: Annotated[str | None, typer.Option(help="A template of the catalogue.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="name=value of the template; as often as needed.")] = None,
    content: Annotated[str | None, typer.Option(help="The text itself, for dxtong.")] = None,
    message_id: Annotated[str | None, typer.Option("--id", help="The message's id; else a new one.")] = None,
    vendor: Annotated[str | None, typer.Option(help="By this vendor only.")] = None,
    priority: Annotated[str | None, typer.Option(help="urgent or bulk.")] = None,
    request: Annotated[Path | None, typer.Option(help="A request as JSON, with any of its fields.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and ring nobody.")] = False,  # noqa: FBT002
    yes: Yes = False,  # noqa: FBT002
) -> int:
    """Hand a message over. It asks before it rings."""
    asked = _read(request) if request else {}
    options = {"mobile": mobile, "template": template, "content": content, "vendor": vendor, "priority": priority}
    asked |= {name: value for name, value in options.items() if value is not None}
    if param and not isinstance(asked.get("params", {}), dict):
        raise UsageError("--param is for a template of the catalogue: the params of this request are a list")
    if param:
        asked["params"] = {**asked.get("params", {}), **dict(_pair(each) for each in param)}
    asked["message_id"] = session.checked_id(message_id or asked.get("message_id") or f"cli-{uuid.uuid4().hex[:12]}")
    if "mobile" not in asked:
        raise UsageError("say which number to ring")
    if dry_run:
        return _show(session.out, session.stack.invoke("send", asked | {"dry_run": True}))
    return _ring(session, asked, yes=yes)


def resend(
    session: Session,
    message_id: MessageId,
    new_id: Annotated[str, typer.Option("--as", help="The id of the new message.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and ring nobody.")] = False,  # noqa: FBT002
    yes: Yes = False,  # noqa: FBT002
) -> int:
    """Hand a message's request over again, as a new message under a new id. The phone may ring a second time."""
    message = session.stack.message(session.checked_id(message_id))
    if message is None:
        raise CommandError(f"no message {message_id} is stored")
    asked = again(message, session.checked_id(new_id))
    if new_id == message_id:
        raise UsageError("--as must be another id: under the same one nothing would be rung again")
    if dry_run:
        return _show(session.out, session.stack.invoke("send", asked | {"dry_run": True}))
    if message.status in {"accepted", "unknown", "submitting", "delivered"}:
        session.out.warn(f"{message_id} is {message.status}: the phone may have rung, or may ring still")
    return _ring(session, asked, yes=yes)


def again(message: Message, new_id: str) -> dict[str, Any]:
    """The request of a stored message under a new id. Raises CommandError if it is not kept any more."""
    if not message.request:
        raise CommandError(
            f"{message.message_id} keeps neither number nor text any more, as nobody is to ring it: "
            f"have its caller send it again under a new id"
        )
    asked: dict[str, Any] = json.loads(message.request)
    return {name: value for name, value in asked.items() if name not in _NOT_AGAIN} | {"message_id": new_id}


def _ring(session: Session, asked: dict[str, Any], *, yes: bool) -> int:
    planned = session.stack.invoke("send", asked | {"dry_run": True})
    if planned["status"] == "rejected":
        _show(session.out, planned)
        return 1
    how = f"by {planned['vendor']}" if planned["status"] == "accepted" else f"at {planned['deferred_until']}"
    session.confirmed(f"Ring {session.number(str(asked['mobile']))} {how} ({session.stack.where})?", yes=yes)
    return _show(session.out, session.stack.invoke("send", asked))


def _show(out: Output, result: dict[str, Any]) -> int:
    """The result; 1 if there is no such message, or it was refused."""
    bad = result["status"] in {None, "rejected"}
    if out.as_json:
        out.data(result)
        return int(bad)
    error, receipt = result["error"] or {}, result["receipt"] or {}
    out.say(str(result["message_id"] or ""), "  ", state(result["status"] or "not found"))
    next_ring = result["next"]
    facts = (
        ("vendor", result["vendor"]),
        ("call", result["call_id"]),
        ("because", result["reason"]),
        ("error", error and f"{error['code']}: {error['message']}"),
        ("receipt", receipt and _receipt(receipt)),
        ("until", result["deferred_until"]),
        ("next", next_ring and f"ring {next_ring['ring']}, of *{next_ring['callee']}, {next_ring['at']}"),
        ("template", result["template"]),
        ("updated", result["updated_at"] if result["status"] else None),
    )
    for name, value in facts:
        if value:
            out.say(f"{name:<9} {value}", indent=2)
    if result["rings"]:
        columns = ("ring", "number", "vendor", "call", "status", "because", "at")
        rows = [
            (
                each["ring"],
                f"*{each['callee']}",
                each["vendor"],
                each["call_id"],
                state(each["status"]),
                each["reason"] or (each["error"] or {}).get("code"),
                each["at"],
            )
            for each in result["rings"]
        ]
        out.table(columns, rows)
    return int(bad)


def _receipt(receipt: dict[str, Any]) -> str:
    when = f", reported {receipt['reported_at']}" if receipt["reported_at"] else ""  # jumdata's bring no time
    return f"{receipt['code']} {receipt['message']}{when}"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path}: must hold one JSON object")
    return found


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise UsageError(f"--param {text}: must be name=value")
    return name, value
