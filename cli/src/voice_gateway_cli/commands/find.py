"""`find`: messages by number, status, time, vendor and template, newest first."""

import datetime
from typing import Annotated, Any

import typer
from voice_gateway import vendors
from voice_gateway.model.message import Message
from voice_gateway.model.mobile import normalise
from voice_gateway.model.result import published

from voice_gateway_cli.deployed.finding import NOT_TOLD, STATUSES, Page, Wanted
from voice_gateway_cli.deployed.finding import find as found_by
from voice_gateway_cli.errors import CommandError, UsageError
from voice_gateway_cli.session import Session, moment_of
from voice_gateway_cli.terminal.output import moment, state

_WIDE = 100
"""Columns from which on the template is shown too."""


def find(
    session: Session,
    mobile: Annotated[str | None, typer.Option(help="A number that it rang, or is to ring.")] = None,
    status: Annotated[str | None, typer.Option(help=f"One of {', '.join(STATUSES)}.")] = None,
    vendor: Annotated[str | None, typer.Option(help="Rung by this vendor.")] = None,
    template: Annotated[str | None, typer.Option(help="With this template's text.")] = None,
    since: Annotated[str | None, typer.Option(help="Changed since: 30m, 6h, 3d, or a date; else a day.")] = None,
    before: Annotated[str | None, typer.Option(help="Changed before: the same; for the next page.")] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=1000)] = 20,
    scan: Annotated[bool, typer.Option("--scan", help="Read the whole table: slow, and charged.")] = False,  # noqa: FBT002
) -> None:
    """Find messages: by the number that was rung, by status and time."""
    if status is not None and status not in STATUSES:
        raise UsageError(f"--status must be one of {', '.join(STATUSES)}")
    if vendor is not None and vendor not in vendors.names():
        raise UsageError(f"--vendor must be one of {', '.join(vendors.names())}")
    begins, ends = moment_of("--since", since), moment_of("--before", before)
    wanted = Wanted(status, vendor, template, begins, ends)
    with session.out.working("looking for messages"):
        page = found_by(session.stack, wanted, limit, _hashed(session, mobile), scan=scan)
    if session.out.as_json:
        found = [as_data(each) for each in page.messages]
        session.out.data({"messages": found, "more": page.more, "next": _next_page(page)})
        return
    _print(session, page.messages)
    if page.more:
        session.out.say(f"There are more: --before {_next_page(page)} shows those before.")
    elif not page.messages:
        _say_where(session, wanted, by_number=mobile is not None, scan=scan)


def as_data(message: Message) -> dict[str, Any]:
    """What ``--json`` prints of each (docs/cli.md)."""
    result = published(message)
    names = ("message_id", "status", "vendor", "call_id", "reason", "template", "ring", "updated_at")
    error = result["error"] or {}
    return {name: result[name] for name in names} | {"error": error.get("code"), "callees": list(message.callees)}


def _next_page(page: Page) -> str | None:
    """What ``--before`` is to be for the next page."""
    if not page.more:
        return None
    last = page.messages[-1].updated_at  # a thousandth of a second is all that the table keeps
    return datetime.datetime.fromtimestamp(last).astimezone().isoformat(timespec="milliseconds")


def _hashed(session: Session, mobile: str | None) -> str | None:
    if mobile is None:
        return None
    if not session.stack.has_number_index:
        raise CommandError("this stack has no index by number yet (NumberIndex): --scan without --mobile reads all")
    number = normalise(mobile)
    if number is None:
        raise UsageError("--mobile must be a mainland mobile number, all of its 11 digits")
    return session.stack.keyring().number_hash(number)


def _print(session: Session, messages: list[Message]) -> None:
    wide = session.out.width >= _WIDE
    rows = [
        (
            moment(each.updated_at),
            each.message_id,
            state(each.status),
            each.reason or (each.error or {}).get("code"),
            each.vendor,
            " ".join(f"*{callee}" for callee in each.callees),
            *([each.template] if wide else []),
        )
        for each in messages
    ]
    columns = ("when", "message", "status", "because", "vendor", "number", *(["template"] if wide else []))
    if rows:
        session.out.table(columns, rows)


def _say_where(session: Session, wanted: Wanted, *, by_number: bool, scan: bool) -> None:
    where = "in the table" if scan or by_number or wanted.status in NOT_TOLD else "in the log of `publish`"
    session.out.say(f"None found {where}. --since looks further back; --scan reads the whole table.")
