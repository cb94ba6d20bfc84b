"""`keys status`, `keys rotate`: the key that signs callback addresses, rotated step by step."""

from typing import Annotated

import typer

from voice_gateway_cli.keys.rotating import Wishes
from voice_gateway_cli.keys.running import SHORT, Run
from voice_gateway_cli.session import Session

Status = Annotated[bool, typer.Option("--status", help="Only say where it stands.")]
Registered = Annotated[bool, typer.Option("--registered", help="The vendor has the new address now.")]
WithoutWaiting = Annotated[
    bool, typer.Option("--without-waiting", help="Late receipts of old calls can be done without: old keys go out now.")
]
Compromised = Annotated[
    bool, typer.Option("--compromised", help="A key became known: all steps without the long wait; it is remembered.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for what takes minutes, and go on.")]
NewKey = Annotated[
    str | None, typer.Option(metavar="ID", help="Which key is new, after the secret was edited by hand.")
]
WithoutAsking = Annotated[
    bool, typer.Option("--without-asking", help="Do not ask the callbacks: this machine does not reach them.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Short = Annotated[int, typer.Option("--cache-seconds", hidden=True, help="For tests: in place of five minutes.")]


def status(session: Session, cache_seconds: Short = SHORT) -> int:
    """Say where the rotation of the callback key stands, and what comes next."""
    return Run(session, cache_seconds, asks=False).show()


def rotate(
    session: Session,
    status: Status = False,  # noqa: FBT002
    registered: Registered = False,  # noqa: FBT002
    without_waiting: WithoutWaiting = False,  # noqa: FBT002
    compromised: Compromised = False,  # noqa: FBT002
    wait: Wait = False,  # noqa: FBT002
    new_key: NewKey = None,
    without_asking: WithoutAsking = False,  # noqa: FBT002
    yes: Yes = False,  # noqa: FBT002
    cache_seconds: Short = SHORT,
) -> int:
    """Rotate the callback key: do the next step that is due, checked before and after. Run it again to go on."""
    run = Run(session, cache_seconds, asks=not without_asking, yes=yes)
    return run.show() if status else run.go(Wishes(registered, without_waiting, compromised, new_key), wait=wait)
