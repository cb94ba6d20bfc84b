"""`credit`: what is left at each vendor, how fast it goes, and for how long it lasts."""

import time
from typing import Annotated, Any

import typer
from voice_gateway import vendors
from voice_gateway.credit.forecast import DAY, kept
from voice_gateway.model.result import rfc3339

from voice_gateway_cli.session import Session
from voice_gateway_cli.terminal.output import ago, moment, state
from voice_gateway_cli.terminal.plot import plot

_DAYS_SHOWN = 14
_WIDEST = 100
_FAR_OFF = 365
"""Days from which on no date is named."""


def credit(
    session: Session,
    check: Annotated[bool, typer.Option("--check", help="Ask the vendors now, as balance_check does.")] = False,  # noqa: FBT002
) -> int:
    """Show each vendor's credit: what is left, per day, and how many days it lasts."""
    if check:
        with session.out.working("asking the vendors"):
            session.stack.invoke("balance_check", {})
    found = {name: session.stack.item(f"BALANCE#{name}") for name in vendors.names()}
    known = {name: item for name, item in found.items() if item is not None}
    bad = any(item["state"] in {"empty", "unknown"} for item in known.values())
    if session.out.as_json:
        session.out.data({name: as_data(name, item) for name, item in known.items()})
        return int(bad)
    if not known:
        session.out.say("No vendor was checked yet: --check asks now.")
        return 0
    now = time.time()
    session.out.table(("vendor", "state", "left", "a day", "days left", "used up", "checked"), _rows(known, now))
    for name, item in known.items():
        _plot(session, name, item, now)
    return int(bad)


def as_data(name: str, item: dict[str, Any]) -> dict[str, Any]:
    """What ``--json`` prints of each (docs/cli.md)."""
    names = ("state", "remaining", "per_day", "days_left", "error")
    readings = [[at, str(remaining)] for at, remaining in kept(item.get("readings"), 0)]
    told = {each: item.get(each) for each in names} | {"checked_at": rfc3339(item.get("checked_at"))}
    return {"unit": vendors.vendor(name).unit, **told, "readings": readings}


def _rows(known: dict[str, dict[str, Any]], now: float) -> list[tuple[Any, ...]]:
    return [
        (
            name,
            state(item["state"]),
            f"{item.get('remaining') or '?'} {vendors.vendor(name).unit}",
            item.get("per_day"),
            item.get("days_left"),
            _used_up(item),
            ago(item["checked_at"], now),
        )
        for name, item in known.items()
    ]


def _used_up(item: dict[str, Any]) -> str:
    """When, at this pace."""
    if item.get("days_left") is None:
        return "-"
    if float(item["days_left"]) > _FAR_OFF:
        return "in over a year"
    return moment(item["checked_at"] + float(item["days_left"]) * DAY, weekday=True)


def _plot(session: Session, name: str, item: dict[str, Any], now: float) -> None:
    readings = [(float(at), float(remaining)) for at, remaining in kept(item.get("readings"), now)]
    if item.get("remaining") is not None:
        readings.append((item["checked_at"], float(item["remaining"])))
    if len(readings) < 2:
        return
    session.out.say(f"{name}, the last {_DAYS_SHOWN} days, {vendors.vendor(name).unit}")
    for line in plot(readings, now - _DAYS_SHOWN * DAY, now, min(session.out.width, _WIDEST)):
        session.out.raw(line)
    session.out.blank()
