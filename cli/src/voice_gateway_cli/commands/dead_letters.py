"""`dead-letters`: what could not be sent, applied or read; what each is, and back with it under the same conditions."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from voice_gateway_cli.commands.messages import Yes
from voice_gateway_cli.deployed.stack import Stack
from voice_gateway_cli.errors import CommandError, UsageError, in_words
from voice_gateway_cli.letters.kinds import Found, Kind
from voice_gateway_cli.letters.queue import DeadLetters, Held, named, short_ids
from voice_gateway_cli.letters.redriving import Outcome, again, impossible, left, redrive, taken
from voice_gateway_cli.letters.words import RUNBOOK, as_data, briefly, does, facts, safe, whole
from voice_gateway_cli.session import Session
from voice_gateway_cli.terminal.output import ago, moment

Ids = Annotated[list[str] | None, typer.Argument(help="Letters, by the beginning of their ids.", show_default=False)]
OfKind = Annotated[Kind | None, typer.Option("--kind", help="Only of this kind.")]
OfMessage = Annotated[str | None, typer.Option("--message", help="Only about this message.")]
OfVendor = Annotated[str | None, typer.Option("--vendor", help="Only of this vendor.")]
All = Annotated[bool, typer.Option("--all", help="All that lie there.")]
Fits = Callable[[Found], bool]


def show_list(
    session: Session,
    kind: OfKind = None,
    message: OfMessage = None,
    vendor: OfVendor = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The newest so many.")] = None,
) -> int:
    """List the dead letters, newest first: what each is, whose, and why it is there."""
    letters, short = _look(session)
    found = _fitting(session.stack, letters, kind, message, vendor)
    shown = found[:limit]
    if session.out.as_json:
        session.out.data([as_data(session, each, short[each.letter_id]) for each in shown])
    elif shown:
        _table(session, shown, short)
        if len(shown) < len(found):
            session.out.say(f"and {len(found) - len(shown)} older ones")
    else:
        session.out.say("No dead letter fits." if letters else "No dead letters.")
    return 0


def show(session: Session, letter: Annotated[str, typer.Argument(help="The beginning of its id.")]) -> int:
    """Show one dead letter in words, and what a redrive would do."""
    letters, short = _look(session)
    found = named(letters, letter)
    stored = session.stack.message(found.message_id) if found.message_id else None
    told = stored.status if stored else None
    more = {name: value for name, value in facts(session, found) if value}
    if session.out.as_json:
        told_more = {"facts": more, "stored": told, "redrive": does(found), "runbook": RUNBOOK}
        content = {"content": whole(session, found)} if session.options.reveal else {}
        session.out.data(as_data(session, found, short[found.letter_id]) | told_more | content)
        return 0
    session.out.say((short[found.letter_id], "bold"), f"  {found.what}")
    sent = found.letter.sent_at
    table_has = f"{told} in the table" if told else "not in the table: never taken, or deleted"
    told_facts: dict[str, str | None] = {
        "message": found.message_id and f"{found.message_id}, {table_has}",
        "vendor": found.vendor and safe(session, found.vendor),
        "came": f"{moment(sent)}, {ago(sent)}",
        "why": safe(session, found.why),
        "error": found.error and safe(session, found.error),
        **{name: value for name, value in more.items() if name != "vendor"},
        "redrive": does(found),
        "runbook": RUNBOOK,
    }
    for name, value in told_facts.items():
        if value:
            session.out.paragraph(name, value)
    if session.options.reveal:
        session.out.raw(whole(session, found))
    return 0


def redrive_them(
    session: Session,
    letters: Ids = None,
    kind: OfKind = None,
    message: OfMessage = None,
    vendor: OfVendor = None,
    every: All = False,  # noqa: FBT002
    yes: Yes = False,  # noqa: FBT002
) -> int:
    """Hand back what letters hold, under the same conditions as ever. What was taken is deleted from the queue."""
    lying, short = _look(session)
    chosen = _chosen(session.stack, lying, letters, kind, message, vendor, every=every)
    able = [each for each in chosen if letters or impossible(each) is None]
    _plan(session, chosen, short, briefly)
    if not able:
        return _nothing(session, "redrive")
    session.confirmed(f"Redrive {_count(able)} ({session.stack.where})?", yes=yes)
    work, known = _Work(session, short), {each.letter_id for each in lying}
    queue = DeadLetters(session.stack)
    with queue.held(each.letter_id for each in able) as held:
        for found in reversed(able):  # who waits longest goes first
            work.do(found, held, lambda mine: redrive(session.stack, mine))
        if work.pushed:
            work.settle(queue.look(), known)
    return work.end("redriven")


def drop(
    session: Session,
    letters: Ids = None,
    kind: OfKind = None,
    message: OfMessage = None,
    vendor: OfVendor = None,
    every: All = False,  # noqa: FBT002
    yes: Yes = False,  # noqa: FBT002
) -> int:
    """Delete letters; what they hold is lost."""
    lying, short = _look(session)
    chosen = _chosen(session.stack, lying, letters, kind, message, vendor, every=every)
    _plan(session, chosen, short, lambda found: safe(session, found.why))
    if not chosen:
        return _nothing(session, "drop")
    session.confirmed(f"Delete {_count(chosen)} for good ({session.stack.where})?", yes=yes)
    work = _Work(session, short)
    with DeadLetters(session.stack).held(each.letter_id for each in chosen) as held:
        for found in chosen:
            work.do(found, held, lambda _: taken("deleted"))
    return work.end("deleted")


class _Work:
    """Letters one after the other: each outcome is told as it comes, and a letter that was taken is deleted.

    What came of a callback shows only when it lies there again, or does not.
    """

    def __init__(self, session: Session, short: dict[str, str]) -> None:
        self._session = session
        self._short = short
        self._letters: dict[str, Found] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._anew: dict[str, str] = {}
        """The letters that the gateway made anew of these."""
        self.pushed: list[Found] = []

    def do(self, found: Found, held: Held, what: Callable[[Found], Outcome]) -> None:
        self._letters[found.letter_id] = found
        try:
            with in_words(), self._session.out.working(f"{self._short[found.letter_id]}: {found.what}"):
                held.keep_hidden()
                mine = held.letters.get(found.letter_id)
                outcome = what(mine) if mine else left("it is gone, or somebody else looks at it")
                if mine and outcome.done:
                    held.take_out(mine)
        except CommandError as error:
            outcome = left(str(error))
        self._outcomes[found.letter_id] = outcome
        if outcome.pushed:
            self.pushed.append(found)
        else:
            self._tell(found)

    def settle(self, letters: list[Found], known: set[str]) -> None:
        """Whether the callbacks that were pushed could be read; ``known`` are the letters that were there before."""
        short, known = short_ids(each.letter_id for each in letters), set(known)
        for found in self.pushed:
            anew = again(found, letters, known)
            if anew:
                known.add(anew.letter_id)
                self._anew[found.letter_id] = short[anew.letter_id]
                text = f"it still cannot be read, and lies there anew as {short[anew.letter_id]}"
                self._outcomes[found.letter_id] = left(text)
            self._tell(found)

    def _tell(self, found: Found) -> None:
        if self._session.out.as_json:
            return
        outcome = self._outcomes[found.letter_id]
        how = ("done  ", "green") if outcome.done else ("FAILED", "red")
        text = safe(self._session, outcome.text)
        self._session.out.say(f"{self._short[found.letter_id]}  ", how, f"  {text}")

    def end(self, what: str) -> int:
        """Sums up; 1 if any failed."""
        failed = [letter_id for letter_id, outcome in self._outcomes.items() if not outcome.done]
        out = self._session.out
        if out.as_json:
            out.data([self._as_data(found) for found in self._letters.values()])
            return int(bool(failed))
        out.say(f"{len(self._outcomes) - len(failed)} of {len(self._outcomes)} {what}")
        if failed:
            there = ", ".join(self._anew.get(letter_id, self._short[letter_id]) for letter_id in failed)
            out.say(f"not solved: {there}")
        return int(bool(failed))

    def _as_data(self, found: Found) -> dict[str, Any]:
        outcome = self._outcomes[found.letter_id]
        told = {"done": outcome.done, "outcome": safe(self._session, outcome.text), "result": outcome.result}
        anew = {"lies_anew_as": self._anew.get(found.letter_id)}
        return as_data(self._session, found, self._short[found.letter_id]) | told | anew


def _look(session: Session) -> tuple[list[Found], dict[str, str]]:
    """The letters, and their short ids."""
    queue = DeadLetters(session.stack)
    with session.out.working("reading the dead letters"):
        letters = queue.look()
        hidden = 0 if letters else queue.hidden()
    if hidden:
        session.out.warn(f"somebody looks at {hidden} of them just now: they are there again in two minutes at most")
    return letters, short_ids(each.letter_id for each in letters)


def _chosen(
    stack: Stack,
    lying: Sequence[Found],
    ids: Sequence[str] | None,
    kind: Kind | None,
    message: str | None,
    vendor: str | None,
    *,
    every: bool,
) -> list[Found]:
    """The letters that are meant. Raises UsageError unless they are named, or a filter is, or all."""
    filtered = any(value is not None for value in (kind, message, vendor))
    if sum((bool(ids), filtered, every)) != 1:
        raise UsageError("say which: their ids, or --kind, --message, --vendor, or --all")
    if ids:
        return list({each.letter_id: each for each in (named(lying, name) for name in ids)}.values())
    return _fitting(stack, lying, kind, message, vendor)


def _fitting(
    stack: Stack, letters: Sequence[Found], kind: Kind | None, message: str | None, vendor: str | None
) -> list[Found]:
    about = _about(stack, message) if message else None
    return [
        each
        for each in letters
        if kind in {None, each.kind} and vendor in {None, each.vendor} and (about is None or about(each))
    ]


def _about(stack: Stack, message_id: str) -> Fits:
    """Whether a letter is about a message. A raw callback to a vendor's one address has only the call's id inside."""
    message = stack.message(message_id)
    calls = [(message.vendor, message.call_id)] if message else []
    calls += [(ring.vendor, ring.call_id) for ring in message.past] if message else []

    def fits(found: Found) -> bool:
        if found.message_id is not None or found.kind is not Kind.CALLBACK:
            return found.message_id == message_id
        callback = found.content
        return any(
            call_id and found.vendor == vendor and call_id.encode() in callback.body + callback.query.encode()
            for vendor, call_id in calls
        )

    return fits


def _table(session: Session, letters: Sequence[Found], short: dict[str, str]) -> None:
    rows = [
        (short[each.letter_id], ago(each.letter.sent_at), each.what, _whose(session, each), _why(session, each))
        for each in letters
    ]
    session.out.table(("id", "age", "what", "whose", "why"), rows)


def _whose(session: Session, found: Found) -> str:
    return " ".join(part for part in (found.message_id, found.vendor and safe(session, found.vendor)) if part)


def _why(session: Session, found: Found) -> str:
    return safe(session, f"{found.why}: {found.error}" if found.error else found.why)


def _plan(session: Session, letters: Sequence[Found], short: dict[str, str], what: Callable[[Found], str]) -> None:
    """What is about to be done to each."""
    if session.out.as_json or not letters:
        return
    rows = [(short[each.letter_id], each.what, _whose(session, each), what(each)) for each in letters]
    session.out.table(("id", "what", "whose", "then"), rows)


def _nothing(session: Session, what: str) -> int:
    if session.out.as_json:
        session.out.data([])
    else:
        session.out.say(f"There is nothing to {what}.")
    return 0


def _count(letters: Sequence[Found]) -> str:
    return f"{len(letters)} letter{'s' if len(letters) > 1 else ''}"
