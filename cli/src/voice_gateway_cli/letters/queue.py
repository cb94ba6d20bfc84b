"""The dead-letter queue. Whoever receives a letter hides it from all others, so it is shown again as soon as may be."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import batched
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from voice_gateway_cli.deployed.stack import Letter, Stack
from voice_gateway_cli.errors import CommandError, UsageError
from voice_gateway_cli.letters.kinds import Found
from voice_gateway_cli.letters.reading import LANES, OUTBOX, read

QUEUE = "DeadLetterQueueUrl"
HIDDEN = 120
"""Seconds for which a letter is hidden; renewed where work takes longer, and ended at once where it does not."""
RENEWED = 30.0
"""Seconds between two renewals: one letter's redrive may take a minute."""
SHORTEST = 8
"""Characters of a letter's id."""


class DeadLetters:
    """The letters of one stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._sqs = stack.client("sqs")
        self._url = stack.output(QUEUE)
        self._sources = {stack.output(name).rpartition("/")[2]: name for name in (*LANES, OUTBOX)}

    def look(self) -> list[Found]:
        """All of them, newest first. They are shown again before this returns."""
        with self.held() as held:
            return sorted(held.letters.values(), key=lambda found: (-found.letter.sent_at, found.letter_id))

    @contextmanager
    def held(self, only: Iterable[str] | None = None) -> Iterator["Held"]:
        """The letters, or ``only`` those of these ids, hidden until the end of the context; the others not longer

        than it takes to find these.
        """
        letters: dict[str, Letter] = {}
        wanted = None if only is None else set(only)
        held = Held(self._sqs, self._url, {})
        try:
            for letter in self._received(wanted):
                letters[letter.letter_id] = letter
            others = [each for each in letters.values() if wanted is not None and each.letter_id not in wanted]
            self._show(others)
            for letter in others:
                del letters[letter.letter_id]
            held.letters = {key: read(letter, self._source(letter)) for key, letter in letters.items()}
            yield held
        finally:
            self._show([letter for key, letter in letters.items() if key not in held.gone])

    def hidden(self) -> int:
        """How many are hidden at the moment, about: somebody looks at them."""
        return self._count("ApproximateNumberOfMessagesNotVisible")

    def _received(self, wanted: set[str] | None) -> Iterator[Letter]:
        """Each letter; one that came again has another handle. A look may find nothing where there is something."""
        seen: set[str] = set()
        fruitless = 0
        while fruitless < 3 and not (wanted is not None and wanted <= seen):
            found = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=HIDDEN,
                WaitTimeSeconds=1 if fruitless else 0,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            new = {each["MessageId"] for each in found} - seen
            seen |= new
            yield from map(_letter, found)
            if not found and not self._count("ApproximateNumberOfMessages"):
                return
            fruitless = 0 if new else fruitless + 1

    def _show(self, letters: Sequence[Letter]) -> None:
        """Lets others see them again; where it fails, they come back by themselves."""
        for some in batched(letters, 10, strict=False):
            entries = [_hiding(at, letter.handle, 0) for at, letter in enumerate(some)]
            with suppress(ClientError, BotoCoreError):
                self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)

    def _source(self, letter: Letter) -> str | None:
        name = letter.attributes.get("DeadLetterQueueSourceArn", "").rpartition(":")[2]
        return self._sources.get(name)

    def _count(self, name: str) -> int:
        found = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=[name])
        return int(found["Attributes"].get(name, 0))


class Held:
    """Letters that nobody else sees, for as long as they are held. ``gone`` are those that were taken out."""

    def __init__(self, sqs: Any, url: str, letters: dict[str, Found]) -> None:
        self._sqs = sqs
        self._url = url
        self.letters = letters
        self.gone: set[str] = set()
        self._renewed = time.monotonic()

    def keep_hidden(self) -> None:
        """Hides what is still held for longer, if it is time. What somebody else has got meanwhile is let go."""
        if time.monotonic() - self._renewed < RENEWED:
            return
        self._renewed = time.monotonic()
        for some in batched(list(self.letters.values()), 10, strict=False):
            entries = [_hiding(at, found.letter.handle, HIDDEN) for at, found in enumerate(some)]
            answer = self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
            for failed in answer.get("Failed", []):
                del self.letters[some[int(failed["Id"])].letter_id]

    def take_out(self, found: Found) -> None:
        """Deletes a letter: what it holds is somebody else's now, or nobody's."""
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=found.letter.handle)
        self.gone.add(found.letter_id)
        self.letters.pop(found.letter_id, None)


def short_ids(letter_ids: Iterable[str]) -> dict[str, str]:
    """The beginning of each id that tells it from the others, eight characters at least."""
    ids = sorted(set(letter_ids))
    short = {}
    for at, letter_id in enumerate(ids):
        beside = ids[max(0, at - 1) : at] + ids[at + 1 : at + 2]
        length = SHORTEST
        while any(other.startswith(letter_id[:length]) for other in beside) and length < len(letter_id):
            length += 1
        short[letter_id] = letter_id[:length]
    return short


def named(letters: Sequence[Found], name: str) -> Found:
    """The one letter whose id begins so. Raises CommandError, UsageError."""
    wanted = name.strip().lower()
    fitting = [found for found in letters if wanted and found.letter_id.lower().startswith(wanted)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UsageError(f"{name}: {len(fitting)} letters begin so")
    raise CommandError(
        f"{name}: no such dead letter; if somebody looks at it just now, it is there again in two minutes"
    )


def _letter(found: Mapping[str, Any]) -> Letter:
    """The queue's own attributes and those that came with it, by one name each."""
    system = found.get("Attributes", {})
    came_with = {name: each.get("StringValue", "") for name, each in found.get("MessageAttributes", {}).items()}
    sent = int(system.get("SentTimestamp", 0)) / 1000
    return Letter(found["MessageId"], found["Body"], found["ReceiptHandle"], sent, {**came_with, **system})


def _hiding(at: int, handle: str, seconds: int) -> dict[str, Any]:
    return {"Id": str(at), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
