"""Publishes a file of requests, up to millions of them, to the gateway's notify topic (README.md beside this file)."""

import argparse
import csv
import hashlib
import itertools
import json
import random
import re
import signal
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

MOST_ENTRIES = 10
LARGEST = 256 * 1024  # SNS's most for a batch in all, attributes included, and so for one message
LONGEST_LINE = 8 * LARGEST  # more than the body, for escapes; no more of a line is kept in memory
HEAD = 64 * 1024
WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds before each further try
COLUMNS = {"message_id", "mobile", "template", "vendor", "content", "notify_data"}
COLUMNS |= {"not_before", "expires_at", "hours", "on_unknown"}
CLEAR = "\r\x1b[K"  # takes the progress off a terminal's line
Post = Callable[[list[Any]], Any]  # takes a batch's entries, gives SNS's reply


class WrongUsage(Exception):
    """The run cannot begin; the text says why."""


class BadLine(Exception):
    """The line cannot be published; the text says why."""


@dataclass(frozen=True)
class Entry:
    """A line that can be published, and its size in a batch."""

    line: int
    raw: bytes
    body: str
    size: int


@dataclass
class Outcome:
    """What became of a batch. What is ``left`` is neither published nor refused, because of ``error``."""

    left: dict[str, Entry]
    refused: dict[int, str]
    error: str = ""


def masked(text: object) -> str:
    """The text with its long numbers reduced to their last four digits."""
    return re.sub(r"\d{3,}(\d{4})", r"*\1", str(text))


def lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Each line with its number. Of a line that is too long only the beginning is kept."""
    for number in itertools.count(1):
        raw = part = file.readline(LONGEST_LINE)
        if not raw:
            return
        while len(part) == LONGEST_LINE and not part.endswith(b"\n"):
            part = file.readline(LONGEST_LINE)
        yield number, raw


def header(first: bytes, id_prefix: str | None) -> list[str]:
    """The columns that a CSV file's first line names. Raises WrongUsage."""
    try:
        names = [name.strip() for name in next(csv.reader([first.decode("utf-8-sig")], strict=True))]
    except (UnicodeDecodeError, StopIteration, csv.Error) as error:
        raise WrongUsage(f"the first line is no header: {error}") from None
    if unknown := [name for name in names if name not in COLUMNS and not re.fullmatch(r"params\..+", name)]:
        raise WrongUsage(f"unknown column: {masked(unknown)}")
    needed = {"mobile"} if id_prefix else {"mobile", "message_id"}
    if len(set(names)) < len(names) or needed - set(names):
        raise WrongUsage("a column is there twice, or mobile is missing, or message_id without --id-prefix")
    return names


@dataclass(frozen=True)
class Reader:
    """Makes entries of lines: of JSON lines, if there are no ``columns``."""

    priority: str
    id_prefix: str | None
    columns: list[str] | None

    def entry(self, number: int, raw: bytes) -> Entry | None:
        """The line's entry; None if the line is blank. Raises BadLine."""
        if len(raw) == LONGEST_LINE:
            raise BadLine("the line is too long")
        request: Any = None
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
            if not text.strip():
                return None
            request = json.loads(text) if self.columns is None else self._row(text, self.columns)
            self._check(number, request)
            body = json.dumps(request, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            size = len(body.encode()) + len("priority" + "String" + self.priority)
        except csv.Error:
            raise BadLine("no CSV row: a quote is not closed or misplaced; a row must be on one line") from None
        except UnicodeError:  # or half of a surrogate pair, as an escape in JSON
            raise BadLine("broken UTF-8") from None
        except (ValueError, RecursionError):
            raise BadLine("no JSON") from None
        if size > LARGEST:
            raise BadLine(f"the body is over 256 kB{_whose(request)}")
        return Entry(number, raw, body, size)

    def _row(self, text: str, columns: list[str]) -> dict[str, Any]:
        cells = next(csv.reader([text], strict=True))
        if len(cells) > len(columns):
            raise BadLine(f"{len(cells)} cells, and the header has {len(columns)}")
        given = {name: cell for name, cell in zip(columns, cells, strict=False) if cell}
        params = {name.removeprefix("params."): given.pop(name) for name in [*given] if name not in COLUMNS}
        return given | ({"params": params} if params else {})

    def _check(self, number: int, request: Any) -> None:
        """Completes the request with its id and priority."""
        if not isinstance(request, dict):
            raise BadLine("no JSON object")
        mobile = request.get("mobile")
        if isinstance(mobile, bool) or not isinstance(mobile, str | int) or not str(mobile).strip():
            raise BadLine("no mobile")
        if self.id_prefix:
            request.setdefault("message_id", f"{self.id_prefix}-{number}")
        message_id = request.get("message_id", "")
        if not isinstance(message_id, str) or not re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", message_id):
            raise BadLine(f"message_id is missing, or not 1-128 of A-Z a-z 0-9 . _ : -{_whose(request)}")
        if request.setdefault("priority", self.priority) != self.priority:
            raise BadLine(f"its priority is not this run's, {self.priority}{_whose(request)}")


def _whose(request: dict[str, Any]) -> str:
    """The last four digits: enough to find the line's callee, and no more than a log may show."""
    digits = re.sub(r"[^0-9]", "", str(request["mobile"]))
    return f" (mobile *{digits[-4:]})" if len(digits) > 4 else ""


def batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """The entries by tens, or fewer where ten would be too large."""
    batch: list[Entry] = []
    for entry in entries:
        if batch and (len(batch) == MOST_ENTRIES or sum(it.size for it in batch) + entry.size > LARGEST):
            yield batch
            batch = []
        batch.append(entry)
    if batch:
        yield batch


def publish(batch: list[Entry], post: Post, priority: str, stop: threading.Event) -> Outcome:
    """Publishes a batch, and tries again what SNS could not take, until ``stop``."""
    outcome = Outcome({str(entry.line): entry for entry in batch}, {})
    for seconds in (0.0, *WAITS):
        again = not stop.wait(seconds * random.uniform(0.8, 1.2)) and _try(outcome, post, priority)  # noqa: S311
        if not again or not outcome.left:
            break
    if outcome.error:
        stop.set()  # here, and not where it is booked: another batch would begin in between
    return outcome


def _try(outcome: Outcome, post: Post, priority: str) -> bool:
    """Whether another try of what is left makes sense."""
    attributes = {"priority": {"DataType": "String", "StringValue": priority}}
    messages = [(key, entry.body) for key, entry in outcome.left.items()]
    try:
        reply = post([{"Id": key, "Message": body, "MessageAttributes": attributes} for key, body in messages])
    except (ClientError, BotoCoreError) as error:
        outcome.error, response = masked(error), getattr(error, "response", {})
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return "Throttl" in response.get("Error", {}).get("Code", "") or status == 429 or status >= 500
    for done in reply.get("Successful", []):
        del outcome.left[done["Id"]]
    outcome.error = ""
    for failed in reply.get("Failed", []):
        why = masked(f"SNS: {failed['Code']} {failed.get('Message', '')}".strip())
        # Were a refusal for the policy, the key or the pace booked as the line's fault, good lines would be lost.
        if failed["SenderFault"] and not re.search("Throttl|KMS|Authori[sz]", failed["Code"]):
            outcome.refused[outcome.left.pop(failed["Id"]).line] = why
        else:
            outcome.error = why
    if outcome.left and not outcome.error:
        outcome.error = "SNS did not say what became of a message"
    return True


class Checkpoint:
    """Knows up to which line everything is done, in whatever order batches end, and keeps that in a file."""

    def __init__(self, path: Path, source: Path) -> None:
        self._path, self._read, self._saved = path, 0, -1
        self._open: OrderedDict[int, None] = OrderedDict()
        with source.open("rb") as file:
            head = hashlib.sha256(file.read(HEAD)).hexdigest()
        self._source = {"file": source.name, "size": source.stat().st_size, "sha256_head": head}

    def load(self) -> None:
        """Goes on from the file, if there is one. Raises WrongUsage if it is another file's."""
        try:
            stored = json.loads(self._path.read_bytes())
            same = all(stored[name] == self._source[name] for name in ("size", "sha256_head"))
            self._read = int(stored["lines"])
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError):
            same = False
        if not same:
            raise WrongUsage(f"{self._path} is not the checkpoint of this file; --again begins anew at line 1")

    def save(self) -> None:
        """Writes the file, if anything has changed; whoever reads it finds the old state or the new one."""
        if self._saved != (done := self.lines):
            new = self._path.with_name(self._path.name + ".new")
            new.write_text(json.dumps(self._source | {"lines": done}) + "\n", encoding="utf-8")
            new.replace(self._path)
            self._saved = done

    def read(self, line: int, *, is_open: bool) -> None:
        """The next line was read; it is done unless it is open."""
        self._read = line
        if is_open:
            self._open[line] = None

    def done(self, line: int) -> None:
        """The open line is published or reported."""
        self._open.pop(line, None)

    @property
    def lines(self) -> int:
        """The highest line such that it and all before it are done."""
        return next(iter(self._open)) - 1 if self._open else self._read


class Run:
    """Reads, and books what came of the batches, all in the main thread; the pool's threads only publish."""

    def __init__(self, options: argparse.Namespace, checkpoint: Checkpoint, stop: threading.Event) -> None:
        self._options, self._checkpoint, self._stop = options, checkpoint, stop
        self._size, self._first_byte, self._at_byte = options.file.stat().st_size, 0, 0
        self._began = self._saved = self._shown = time.monotonic()
        self._terminal = sys.stdout.isatty()
        self.good = self.bad = 0
        self.error, self.complete = "", False
        self.bad_lines: BinaryIO | None = None

    def go(self, file: BinaryIO, reader: Reader, post: Post) -> None:
        """Publishes the file from where the checkpoint says, to its end or until told to stop."""
        flying: dict[Future[Outcome], list[Entry]] = {}
        workers = self._options.workers
        with ThreadPoolExecutor(workers) as pool:
            try:
                for batch in batches(self._entries(file, reader)):
                    flying[pool.submit(publish, batch, post, reader.priority, self._stop)] = batch
                    self._settle(flying, 2 * workers)
                self._settle(flying, 0)
                self.complete = not self._stop.is_set()
            finally:
                self._stop.set()
                self._save()
                print(CLEAR if self._terminal else "", end="")

    def _entries(self, file: BinaryIO, reader: Reader) -> Iterator[Entry]:
        start = max(self._checkpoint.lines, 0 if reader.columns is None else 1)
        for number, raw in lines(file):
            if self._stop.is_set():
                return
            self._at_byte = file.tell()
            if number <= start:
                self._first_byte = self._at_byte
                continue
            entry = None
            try:
                entry = reader.entry(number, raw)
            except BadLine as error:
                self._report(number, raw, str(error))
            self._checkpoint.read(number, is_open=entry is not None)
            self._tick()
            if entry:
                yield entry

    def _settle(self, flying: dict[Future[Outcome], list[Entry]], most: int) -> None:
        """Books the batches that have ended, and waits until no more than ``most`` are under way."""
        while True:
            seconds = 0.5 if len(flying) > most else 0
            for future in wait(flying, timeout=seconds, return_when=FIRST_COMPLETED).done:
                batch, outcome = flying.pop(future), future.result()
                for entry in batch:
                    if why := outcome.refused.get(entry.line):
                        self._report(entry.line, entry.raw, why)
                    if str(entry.line) not in outcome.left:
                        self.good += not why
                        self._checkpoint.done(entry.line)
                self.error = self.error or outcome.error
            self._tick()
            if len(flying) <= most:
                return

    def _report(self, number: int, raw: bytes, why: str) -> None:
        self.bad += 1
        clear = CLEAR if self._terminal and sys.stderr.isatty() else ""
        print(f"{clear}line {number}: {why}", file=sys.stderr)
        if self.bad_lines:
            self.bad_lines.write(b"%d\t%s\n" % (number, raw.rstrip(b"\r\n")))

    def _save(self) -> None:
        if not self._options.check:
            self._checkpoint.save()
            self._saved = time.monotonic()

    def _tick(self) -> None:
        """Saves the checkpoint and shows the progress, each when it is time to."""
        now = time.monotonic()
        if now - self._saved >= 1:
            self._save()
        if now - self._shown < (0.5 if self._terminal else 10):
            return
        self._shown, seconds = now, now - self._began
        left = (self._size - self._at_byte) * seconds / max(self._at_byte - self._first_byte, 1)
        text = f"{self._checkpoint.lines} lines done, {(self.good + self.bad) / seconds:.0f} a second, {self.bad} bad"
        text += f", {self._at_byte / max(self._size, 1):.1%}, {left / 60:.1f} minutes left"
        print(*([CLEAR, text] if self._terminal else [text, "\n"]), sep="", end="", flush=True)


def poster(options: argparse.Namespace) -> Post:
    """What publishes a batch to the topic. Raises WrongUsage if the topic cannot be found."""
    if options.check:
        return lambda entries: {"Successful": entries}
    topic, address = options.topic, options.endpoint_url
    config = Config(retries={"mode": "standard", "max_attempts": 10}, max_pool_connections=options.workers)
    try:
        region = options.region or (topic.split(":")[3] if topic else None)
        session = boto3.Session(profile_name=options.profile, region_name=region)
        if not topic:
            stacks = session.client("cloudformation", endpoint_url=address, config=config)
            outputs = stacks.describe_stacks(StackName=options.stack)["Stacks"][0].get("Outputs", [])
            topic = {it["OutputKey"]: it["OutputValue"] for it in outputs}["NotifyTopicArn"]
        sns = session.client("sns", endpoint_url=address, config=config)
    except (ClientError, BotoCoreError, ValueError, LookupError) as error:
        raise WrongUsage(f"no topic: {error}") from None
    return lambda entries: sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Publishes a file of requests to the gateway's notify topic.")
    add = parser.add_argument
    add("file", type=Path, help="the requests: .csv with a header, or .jsonl")
    add("--format", choices=["csv", "jsonl"], help="what the file is, if its name does not tell")
    add("--topic", help="the notify topic's ARN")
    add("--stack", help="or the stack's name, whose output NotifyTopicArn is read")
    add("--region")
    add("--profile")
    add("--endpoint-url", help="another address than AWS's")
    add("--priority", choices=["bulk", "urgent"], default="bulk")
    add("--id-prefix", metavar="P", help="line N gets the id P-N, if it has none")
    add("--workers", type=int, choices=range(1, 101), metavar="N", default=8, help="batches at a time, 1-100")
    add("--checkpoint", type=Path, help="where to keep how far it has got (default: FILE.done)")
    add("--bad", type=Path, help="write the bad lines to this file too, whole numbers and all")
    add("--check", action="store_true", help="read and check everything, and publish nothing")
    add("--again", action="store_true", help="begin at line 1, whatever the checkpoint says")
    options = parser.parse_args(arguments)
    options.format = options.format or options.file.suffix.lower().removeprefix(".")
    options.checkpoint = options.checkpoint or Path(f"{options.file}.done")
    paths = [path.resolve() for path in (options.file, options.checkpoint, options.bad) if path]
    if options.format not in {"csv", "jsonl"} or not options.file.is_file() or len(set(paths)) < len(paths):
        parser.error("FILE must be a file, .csv or .jsonl or with --format, and --checkpoint and --bad other files")
    if bool(options.topic) + bool(options.stack) != 1 and not options.check:
        parser.error("either --topic or --stack is needed")
    if not re.fullmatch(r"[A-Za-z0-9._:-]{0,100}", options.id_prefix or ""):
        parser.error("--id-prefix must be at most 100 of A-Z a-z 0-9 . _ : -")
    return options


def _run(options: argparse.Namespace, stop: threading.Event) -> int:
    csv.field_size_limit(LONGEST_LINE)
    checkpoint = Checkpoint(options.checkpoint, options.file)
    if not (options.again or options.check):
        checkpoint.load()
    with ExitStack() as stack:
        file = stack.enter_context(options.file.open("rb"))
        columns = header(file.readline(LONGEST_LINE), options.id_prefix) if options.format == "csv" else None
        file.seek(0)
        run, post = Run(options, checkpoint, stop), poster(options)
        if before := checkpoint.lines:
            print(f"going on after line {before}, as {options.checkpoint} says")
        if options.bad:
            options.bad.touch(mode=0o600)  # whole numbers: for nobody else to read
            run.bad_lines = stack.enter_context(options.bad.open("ab" if before else "wb"))
        run.go(file, Reader(options.priority, options.id_prefix, columns), post)
    print(f"{run.good} {'good' if options.check else 'published'}, {run.bad} bad; done up to line {checkpoint.lines}")
    if not run.complete:
        print(f"{run.error or 'stopped'}; the same command goes on from there", file=sys.stderr)
    return 0 if run.complete and not run.bad else 1


def main(arguments: list[str] | None = None) -> int:
    """Does what the command line says: 0 if all is published, 1 if something is not, 2 if the usage is wrong."""
    options, stop = _options(arguments), threading.Event()

    def end(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second Ctrl-C ends it at once
        stop.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return _run(options, stop)
    except (WrongUsage, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, WrongUsage) else 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
