"""`templates list`, `check`, `push`, `pull`: the catalogue of texts, and the file that people keep of it."""

from typing import Annotated

import typer

from voice_gateway_cli.catalogue import file as files
from voice_gateway_cli.catalogue import store
from voice_gateway_cli.catalogue.file import STANDARD, Checked
from voice_gateway_cli.errors import CommandError
from voice_gateway_cli.session import Session

File = Annotated[str, typer.Argument(metavar="FILE", help="A JSON file of templates; - is standard input.")]
Target = Annotated[str, typer.Argument(metavar="[FILE]", help="Where to write; - is standard output.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before a file is written over.")]


def show(session: Session) -> int:
    """List the catalogue: name, text, and the vendors that can carry it."""
    found = store.stored(session.stack)
    if session.out.as_json:
        session.out.data(
            [
                {
                    "name": name,
                    "text": each.value["text"] if each.value else None,
                    "vendors": list(each.value["vendors"]) if each.value else [],
                    "fault": each.fault,
                }
                for name, each in found.items()
            ]
        )
        return 0
    if not found:
        session.out.say(f"no templates in {store.prefix(session.stack)} ({session.stack.where})")
        return 0
    rows = [
        (name, each.value["text"], ", ".join(each.value["vendors"]))
        if each.value
        else (name, f"cannot be used: {each.fault}", None)
        for name, each in found.items()
    ]
    session.out.table(("name", "text", "vendors"), rows)
    return 0


def check(session: Session, file: File) -> int:
    """Check a file, as push does. Nothing is asked of AWS."""
    found = files.checked(file)
    if session.out.as_json:
        both = {
            name: {"fault": found.faults.get(name), "warnings": found.warnings.get(name, [])}
            for name in found.templates
        }
        session.out.data({"templates": both, "ok": not found.faults})
        return int(bool(found.faults))
    _usable(session, found, "not all can be used")
    session.out.say(f"{len(found.templates)} can be used")
    return 0


def push(session: Session, file: File) -> int:
    """Check a file and push it to the catalogue, all or none. What is not in the file stays as it is."""
    found = files.checked(file)
    _usable(session, found, "nothing was pushed")
    store.push(found.templates, session.stack)
    if session.out.as_json:
        session.out.data({"pushed": list(found.templates), "prefix": store.prefix(session.stack)})
    else:
        place = store.prefix(session.stack).rstrip("/")
        session.out.say(f"{len(found.templates)} pushed to {place} ({session.stack.where})")
    return 0


def pull(session: Session, file: Target = STANDARD, yes: Yes = False) -> int:  # noqa: FBT002
    """Write the catalogue into a file that push takes."""
    found = store.stored(session.stack)
    usable = {name: each.value for name, each in found.items() if each.fault is None}
    for name, each in found.items():
        if each.fault is not None:
            session.out.warn(f"{name} is left out, for it cannot be used: {each.fault}")
    if not usable:
        raise CommandError(f"no template in {store.prefix(session.stack)} can be used: nothing was written")
    text = files.text_of(usable)
    if file == STANDARD:
        session.out.raw(text.removesuffix("\n"))
    else:
        if files.holds_another(file, text):
            session.confirmed(f"{file} holds something else. Write over it?", yes=yes)
        files.write(file, text)
        if session.out.as_json:
            session.out.data({"file": file, "templates": list(usable)})
        else:
            session.out.say(f"{len(usable)} written to {file}")
    return int(len(usable) < len(found))


def _usable(session: Session, found: Checked, otherwise: str) -> None:
    """Tells the warnings. Raises CommandError with the faults of all templates."""
    for name, warnings in found.warnings.items():
        for warning in warnings:
            session.out.warn(f"{name}: {warning}")
    if found.faults:
        lines = [f"{name}: {fault}" for name, fault in found.faults.items()]
        raise CommandError("\n  ".join([otherwise, *lines]))
