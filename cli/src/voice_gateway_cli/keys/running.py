"""One run of the command: the steps that are due one after the other, waits between them, and what is said of it."""

import time

from voice_gateway.platform.secrets import MAX_AGE

from voice_gateway_cli.deployed.callbacks import base_url
from voice_gateway_cli.errors import CommandError
from voice_gateway_cli.keys import telling
from voice_gateway_cli.keys.asking import Asking
from voice_gateway_cli.keys.rotating import Moment, Rotating, Wishes
from voice_gateway_cli.keys.rotation import Step
from voice_gateway_cli.keys.secret import CallbackSecret
from voice_gateway_cli.keys.standing import DAY, Action, Waits
from voice_gateway_cli.session import Session
from voice_gateway_cli.terminal.output import duration

SHORT = MAX_AGE + 60
"""Seconds: as long as a function keeps the secret, and a margin."""
_LOOK = 20.0
"""Seconds between two words of a wait."""


class Run:
    """One run. ``short``: seconds that a function may keep the secret, and a margin."""

    def __init__(self, session: Session, short: int, *, asks: bool, yes: bool = False) -> None:
        self._session = session
        self._waits, days = _waits(session, short)
        self._yes = yes
        self._option = f" --stack {session.options.stack}" if session.options.stack else ""
        base = base_url(session.stack)
        asking = Asking(base, self._say) if base and asks else None
        self._unasked = "" if asking else _why_unasked(session, push=base is not None)
        self.rotating = Rotating(
            CallbackSecret(session.stack), asking, self._waits, days, self._confirm, push=base is not None
        )

    def go(self, wishes: Wishes, *, wait: bool) -> int:
        """Does what is due, and tells what is done and what comes next. Raises CommandError."""
        self._say(f"{self._session.stack.name}, {self._session.stack.where}")
        if self._unasked:
            self._say(self._unasked)
        seen, did = self.rotating.moment(), []
        while True:
            after = self.rotating.step(seen, wishes)
            if after is None:
                if not (wait and self._waited(seen, wishes)):
                    break
                seen = self.rotating.moment()
                continue
            before, seen = seen, after
            did.append(self._did(after))
            if did[-1] is Step.DONE and wait:
                self._ended(before, after)
            # Once it is registered nothing may be left to wait for.
            if did[-1] is Step.DONE or not (wait or seen.due.action is Action.REMOVE):
                break
        self._tell(self.rotating.moment(), wishes, did)
        return 0

    def show(self) -> int:
        """Tells where it stands, and does nothing."""
        seen = self.rotating.moment()
        at = self.rotating.due_at(seen, Wishes())
        if self._session.out.as_json:
            self._session.out.data({"stack": self._session.stack.name} | telling.data(seen, at))
            return 0
        self._say(f"{self._session.stack.name}, {self._session.stack.where}")
        for name, text in [*telling.lines(seen), ("next", telling.following(seen, at, self._option))]:
            self._say(f"  {name:<6}{text}")
        return 0

    def _ended(self, before: Moment, after: Moment) -> None:
        """Waits until nobody can know the old keys any more, and sees that it is so. Raises CommandError."""
        self._wait(max(0, after.due.at - after.now))
        self.rotating.check_ended(before.version, after.version)

    def _waited(self, seen: Moment, wishes: Wishes) -> bool:
        """Waits until the next step is due, if time alone brings it, and minutes are enough."""
        left = self.rotating.due_at(seen, wishes) - seen.now
        if seen.due.action not in {Action.SIGN, Action.REMOVE} or not 0 < left <= self._waits.short:
            return False
        self._wait(left)
        return True

    def _wait(self, seconds: float) -> None:
        self._say(f"waiting {duration(seconds)}, until every function has read the secret anew")
        while seconds > 0:
            with self._session.out.working(f"{duration(seconds)} left"):
                time.sleep(min(seconds, _LOOK))
            seconds -= _LOOK

    def _did(self, after: Moment) -> Step:
        rotation = after.standing.rotation
        if rotation is None:
            raise CommandError("the secret is not as it was written: see `voice-gateway keys status`")
        self._say(f"done: {telling.step_words(rotation, rotation.step)}")
        return rotation.step

    def _tell(self, seen: Moment, wishes: Wishes, did: list[Step]) -> None:
        at = self.rotating.due_at(seen, wishes)
        if self._session.out.as_json:
            told = {"stack": self._session.stack.name, "did": [each.value for each in did]}
            self._session.out.data(told | telling.data(seen, at))
        else:
            self._say(f"next: {telling.following(seen, at, self._option)}")

    def _confirm(self, seen: Moment) -> None:
        rotation = seen.standing.rotation
        old = " and ".join(rotation.old) if rotation else "the old keys"
        left = duration(seen.due.at - seen.now)
        self._session.confirmed(
            f"Take {old} out {left} early? Receipts at addresses signed with it are refused from then on.",
            yes=self._yes,
        )

    def _say(self, text: str) -> None:
        if not self._session.out.as_json:
            self._session.out.line(text)


def _waits(session: Session, short: int) -> tuple[Waits, int]:
    """How long to wait, and RetentionDays. Raises CommandError if the stack has no such parameter."""
    days = session.stack.parameters.get("RetentionDays", "")
    if not days.isdecimal():
        raise CommandError(f"{session.stack.name} has no parameter RetentionDays: is it a stack of this gateway?")
    return Waits(short, int(days) * DAY), int(days)


def _why_unasked(session: Session, *, push: bool) -> str:
    if push:
        return "the callbacks are not asked which addresses are good"
    return f"{session.stack.name} has no callbacks (CallbackMode is poll): none is asked, and no address is registered"
