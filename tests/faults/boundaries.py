"""One fault at every I/O boundary of every behaviour, every pair of faults, and directed interleavings.

A boundary is one I/O of the run without a fault. What cannot differ in effect is run once (``kinds.kinds_at``).
"""

import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.faults import kinds
from tests.faults.figures import Figure, say
from tests.faults.kinds import Kind
from tests.faults.world import BEFORE_NINE, ORDERS, SOON, Behaviour, World, findings, story, where

Chosen = dict[int, Kind]
PROCESSES = 2
MOST_UNKNOWN = 0.0272
"""The share of single faults that end ``unknown`` though nobody was rung: lower it where the code gets better.

It was 0.0221 while a sweep made more requests that could fail: 2,154 of 97,461 runs, and 2,158 of 79,406 since.
"""
_WORST = 400
"""I/O after which a run is taken not to end."""


# Behaviours.


def behaviours() -> list[Behaviour]:
    """Every way in which the vendors are scripted to behave, for both orders of them."""
    found: list[Behaviour] = []
    for first, (_, second) in ORDERS.items():
        found += _plain(first, second)
        found += _pushed(first)
        found += _redialled(first, second)
    return [*found, *_deferred(), *_capped(), *_mended()]


def _plain(first: str, second: str) -> Iterator[Behaviour]:
    """Each reply, and each pair of replies that leads to the second vendor."""
    for reply in ("ok", "lost", "lost, not rung", "5xx", "garbage", "F"):
        yield Behaviour(f"{first} {reply}", first, {first: (reply,)})
    pairs = [("N", "ok"), ("N", "lost"), ("N", "F"), ("N", "N"), ("T", "ok"), ("T", "T"), ("T", "N"), ("T", "garbage")]
    pairs += [("C", "ok"), ("C", "C"), ("not sent", "ok"), ("not sent", "not sent"), ("not sent", "lost, not rung")]
    for reply, other in pairs:
        nobody = {reply, other} <= {"T", "N", "not sent"}
        both = {first: (reply,), second: (other,)}
        yield Behaviour(f"{first} {reply}, then {other}", first, both, over=SOON if nobody else {})
    for reply in ("T", "not sent"):
        replies = {first: (reply, "ok"), second: (reply, "lost")}
        for push in ("normal", "hour"):
            yield Behaviour(f"{first} {reply}, ok when sent again, {push}", first, replies, push)


def _pushed(first: str) -> Iterator[Behaviour]:
    """Receipts early, during the send, late or never; failed, contradicting, of another number."""
    for reply in ("ok", "lost"):
        replies = {first: (reply,)}
        between = ("io 0", "io 1", "io 2", "io 3") if reply == "ok" else ("io 0", "io 1")
        for push in ("early", *between, "hour", "day", "never"):
            yield Behaviour(f"{first} {reply}, receipt {push}", first, replies, push)
        yield Behaviour(f"{first} {reply}, failed", first, replies, receipts=("failed",))
        for receipts in (("delivered", "failed"), ("failed", "delivered")):
            for push in ("normal", "early"):
                name = f"{first} {reply}, {push} {' and '.join(receipts)}"
                yield Behaviour(name, first, replies, push, receipts)
        if first == "dxtong":
            yield Behaviour(f"{first} {reply}, receipt of another number", first, replies, receipts=("mismatch",))
    for asked in ("delivered", "failed"):
        yield Behaviour(f"{first} ok, asked: {asked}", first, {first: ("ok",)}, "never", asked=asked)
    contradicted = ("failed", "delivered")
    yield Behaviour(f"{first} ok, asked, then told otherwise", first, {}, "day", contradicted, asked="delivered")


def _redialled(first: str, second: str) -> Iterator[Behaviour]:
    """``redial_once``: by another vendor and by the same, with receipts of the first call in between or late."""
    once = {"on_unknown": "redial_once"}
    others = ("ok", "lost", "lost, not rung", "F", "T", "N", "not sent")
    for reply, following in (("lost", others), ("lost, not rung", others[:4])):
        for other in following:
            replies = {first: (reply, "ok"), second: (other,)}
            # A receipt that comes before it forestalls the redial.
            yield Behaviour(f"redial {first} {reply}, then {other}", first, replies, "redial", over=once)
        for again in ("ok", "lost", "F", "T") if reply == "lost" else ("ok", "T"):
            pinned = {**once, "vendor": first}
            name = f"redial {first} {reply}, then itself {again}"
            yield Behaviour(name, first, {first: (reply, again)}, "redial", over=pinned)
    for push in ("early", "normal", "hour", "day"):
        yield Behaviour(f"redial {first} lost, receipt {push}", first, {first: ("lost", "ok")}, push, over=once)


def _deferred() -> Iterator[Behaviour]:
    """Kept until the vendor's hours begin."""
    settings: dict[str, Any] = {"environ": {"JUMDATA_HOURS": "09:00-21:00"}, "begins": BEFORE_NINE}
    for replies in (("ok",), ("lost",), ("lost, not rung",), ("T", "ok"), ("not sent",), ("F",)):
        over = {"vendor": "jumdata"}
        yield Behaviour(f"deferred, {' '.join(replies)}", "jumdata", {"jumdata": replies}, over=over, **settings)
    over = {"vendor": "jumdata", "on_unknown": "redial_once"}
    lost = {"jumdata": ("lost, not rung", "ok")}
    yield Behaviour("deferred, redialled", "jumdata", lost, over=over, **settings)


def _mended() -> Iterator[Behaviour]:
    """A bad request, then a good one under its id, then the bad one again."""
    for first in ORDERS:
        for reply in ("ok", "lost", "T"):
            yield Behaviour(f"mended, {first} {reply}", first, {first: (reply, "ok")}, mended=True)


def _capped() -> Iterator[Behaviour]:
    """The fourth call to a number never reaches jumdata, whatever became of the third."""
    pinned = {"vendor": "jumdata"}
    for replies in (("ok",), ("ok", "ok", "lost, not rung"), ("ok", "ok", "T", "ok")):
        name = f"cap, {' '.join(replies)}"
        yield Behaviour(name, "jumdata", {"jumdata": replies}, over=pinned, before=2, after=2)
    yield Behaviour("cap full", "jumdata", {}, over=pinned, before=3)
    yield Behaviour("cap full, then dxtong", "jumdata", {}, before=3)


# Runs.


@dataclass
class Tally:
    """What came of many runs."""

    runs: int = 0
    boundaries: int = 0
    unknown: int = 0
    """Runs that end ``unknown`` without a ring, where without a fault they would not."""
    retries: int = 0
    retries_unknown: int = 0
    """Both of faults while the gateway tried again by itself, counted apart: each retry is one more call to fail."""
    waits: int = 0
    """Receipts that stay at their call id: too late to be linked by number, or of a ring whose message has a result."""
    bad: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, world: World, found: Iterable[str], run: str) -> None:
        self.runs += 1
        message, calls = world.message(), world.vendors.calls
        rang = any(call.rang and call.message_id == "m1" for call in calls)
        self.unknown += message is not None and message.state == "unknown" and not rang
        answered = [(call, one) for call in calls for one in call.receipts if one.answered]
        self.waits += sum(where(world, call, one) == "waits" for call, one in answered)
        for finding in found:
            kind = finding.split()[0]
            self.bad[kind] += 1
            self.examples.setdefault(f"{kind} {world.behaviour.name}", f"{finding} | {run}")

    def merge(self, other: "Tally") -> None:
        self.runs += other.runs
        self.boundaries += other.boundaries
        self.unknown += other.unknown
        self.retries += other.retries
        self.retries_unknown += other.retries_unknown
        self.waits += other.waits
        self.bad += other.bad
        self.examples = {**other.examples, **self.examples}

    @property
    def findings(self) -> str:
        """The kinds of finding and how often, doubles and losses always."""
        kinds_found = {"DOUBLE": 0, "LOST": 0, **self.bad}
        return ", ".join(f"{number} {kind.lower()}" for kind, number in kinds_found.items())

    def unknown_share(self) -> float:
        """Without the faults in the gateway's own retries."""
        return (self.unknown - self.retries_unknown) / max(1, self.runs - self.retries)

    def unknown_told(self) -> str:
        unknown, runs = self.unknown - self.retries_unknown, self.runs - self.retries
        apart = f"in the gateway's own retries {self.retries_unknown:,} of {self.retries:,}"
        return f"{self.unknown_share():.2%} ({unknown:,} of {runs:,} runs); {apart}"


def run_one(behaviour: Behaviour, chosen: Mapping[int, Kind], prepare: Callable[[World], None] | None = None) -> World:
    """One run of the story with the chosen faults."""
    with World(behaviour, chosen) as world:
        if prepare:
            prepare(world)
        story(world)
    return world


def trace(behaviour: Behaviour) -> list[str]:
    """The boundaries of a behaviour: its I/O without a fault, which must end without a finding."""
    world = run_one(behaviour, {})
    assert len(world.faults.trace) < _WORST, behaviour.name
    assert not findings(world), (behaviour.name, findings(world))
    return world.faults.trace


def attempt(tally: Tally, behaviour: Behaviour, chosen: Chosen, labels: list[str]) -> None:
    """One run, judged."""
    world = run_one(behaviour, chosen)
    told = ", ".join(f"{labels[n]} at {n}: {kind}" for n, kind in chosen.items() if n < len(labels))
    tally.add(world, findings(world), f"{behaviour.name} | {told}")


def singles(behaviour: Behaviour) -> Tally:
    """Every kind of fault at every boundary of one behaviour."""
    tally, labels = Tally(), trace(behaviour)
    tally.boundaries = len(labels)
    without = run_one(behaviour, {})
    for number, label in enumerate(labels):
        before = tally.unknown, tally.runs
        for kind in kinds.kinds_at(label):
            attempt(tally, behaviour, {number: kind}, labels)
        if number in without.faults.retried:
            tally.retries_unknown += tally.unknown - before[0]
            tally.retries += tally.runs - before[1]
    if getattr(without.message(), "state", None) == "unknown":
        tally.unknown = tally.retries_unknown = 0  # it would be so without a fault
    return tally


def pairs_of(behaviour: Behaviour, seed: int, count: int) -> Tally:
    """A sample of all pairs of faults of one behaviour; the second may lie where only the first leads."""
    tally, labels, chance = Tally(), trace(behaviour), random.Random(f"{seed} {behaviour.name}")
    for _ in range(count):
        first, second = sorted(chance.sample(range(len(labels) + 8), 2))
        chosen = {first: chance.choice(kinds.PAIRED), second: chance.choice(kinds.PAIRED)}
        attempt(tally, behaviour, chosen, labels)
    return tally


# Directed interleavings.


def late_ones(behaviour: Behaviour) -> Tally:
    """Every write lands late, once and again, at every distance up to nine I/O: in the midst of another attempt."""
    tally, labels = Tally(), trace(behaviour)
    for number, label in enumerate(labels):
        if label.partition(".")[2] not in {"put_item", "update_item"}:
            continue
        for kind in (Kind.LATE_IO, Kind.AGAIN_IO):
            for distance in range(2, 10):
                world = run_one(behaviour, {number: kind}, partial(_set_distance, distance))
                tally.add(world, findings(world), f"{behaviour.name} | {label} at {number}: {kind}, {distance} later")
    return tally


def _set_distance(distance: int, world: World) -> None:
    world.faults.distance = distance


def met(behaviour: Behaviour) -> Tally:
    """Another sender, a sweep or the vendors' pushes do all their work between two I/O of a run."""
    tally, labels = Tally(), trace(behaviour)
    for number in range(len(labels)):
        for name, other in _OTHERS.items():
            world = run_one(behaviour, {}, partial(_meet, number, other))
            tally.add(world, findings(world), f"{behaviour.name} | {name} before {labels[number]} at {number}")
    return tally


_OTHERS: Mapping[str, Callable[[World], object]] = {
    "another sender": lambda world: world.send(process="send_another"),
    "a sweep": World.sweep,
    "pushes": World.pushes,
}


def _meet(number: int, other: Callable[[World], object], world: World) -> None:
    world.faults.before[number] = partial(_by_others, world, other)


def _by_others(world: World, other: Callable[[World], object]) -> None:
    other(world)


def mixed(behaviour: Behaviour, seed: int, count: int) -> Tally:
    """Random interleavings of senders, sweeps, pushes and the clock, with up to three faults."""
    tally, labels, chance = Tally(), trace(behaviour), random.Random(f"mixed {seed} {behaviour.name}")
    for _ in range(count):
        chosen = {chance.randrange(len(labels) + 8): chance.choice(kinds.ALL) for _ in range(chance.randrange(4))}
        meetings = {chance.randrange(len(labels)): chance.choice(list(_OTHERS)) for _ in range(chance.randrange(1, 4))}
        distance = chance.randrange(1, 10)

        def prepare(world: World, meetings: dict[int, str] = meetings, distance: int = distance) -> None:
            world.faults.distance = distance
            for number, name in meetings.items():
                _meet(number, _OTHERS[name], world)

        world = run_one(behaviour, chosen, prepare)
        tally.add(world, findings(world), f"{behaviour.name} | {chosen} {meetings} {distance}")
    return tally


# Attacks of their own.


def outage() -> tuple[int, int]:
    """DynamoDB away for 30 minutes of callbacks, all three pushes of each: how many came, and how many were lost."""
    lost = came = 0
    for first in ORDERS:
        with World(Behaviour(f"{first}, outage", first, push="hour")) as world:
            names = [f"n{number}" for number in range(30)]
            for name in names:
                world.send(name)
            world.faults.always_down = {"dynamodb"}
            for call in world.vendors.calls:
                for _ in range(3):
                    world.now += 20
                    if call.receipts[0].open:
                        world.vendors.push(call)
                world.sweep()
            world.faults.always_down = set()
            for _ in range(6):
                world.now += 60
                world.sweep()
            found = findings(world)
            states = [getattr(world.message(name), "state", None) for name in names]
        came += len(names)
        lost += sum(state != "delivered" for state in states) + len(found)
    return came, lost


def shuffled(seed: int) -> tuple[int, list[str]]:
    """100 messages delivered 10 times each, shuffled: how many calls were made."""
    names = [f"n{number}" for number in range(100)] * 10
    random.Random(seed).shuffle(names)
    with World(Behaviour("shuffled")) as world:
        for name in names:
            world.now += 7
            world.send(name)
            if len(world.vendors.calls) % 7 == 0:
                world.pushes()
        world.pushes()
        return len(world.attempts), findings(world)


def repeated() -> tuple[int, int]:
    """One receipt 1,000 times: how many results were published of it, and how many answers were ``success``."""
    with World(Behaviour("repeated")) as world:
        world.send()
        (call,) = world.vendors.calls
        successes = sum(world.callback(call, "delivered") for _ in range(1000))
        world.stream()
        results = sum('"delivered"' in text for text in world.topics.published["results"])
    return results, successes


def no_sweep() -> list[str]:
    """Callback against record in every order, with no sweep to help: which of them lost the result."""
    lost = []
    for first in ORDERS:
        for push in ("early", "io 0", "io 1", "io 2", "io 3", "normal"):
            with World(Behaviour(f"{first}, no sweep, {push}", first, push=push)) as world:
                world.send()
                world.pushes()
                world.stream()
                if getattr(world.message(), "state", None) != "delivered" or findings(world):
                    lost.append(world.behaviour.name)
    return lost


# All of it.


def spread(work: Callable[..., Tally], arguments: list[tuple[Any, ...]]) -> Tally:
    """Does the work in several processes, and adds up what came of it."""
    total = Tally()
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for tally in pool.imap_unordered(partial(_apply, work), arguments):
            total.merge(tally)
    return total


def _apply(work: Callable[..., Tally], arguments: tuple[Any, ...]) -> Tally:
    return work(*arguments)


def judged(what: str, tally: Tally, goal: str, enough: int = 1) -> Figure:
    for example in list(tally.examples.values())[:20]:
        say(f"   {example}")
    value = f"{tally.runs:,} runs: {tally.findings}"
    return Figure(what, value, goal, reached=not tally.bad and tally.runs >= enough)


def run(seed: int, seconds: float) -> list[Figure]:
    """Everything above; what is left of the time goes to pairs and mixed interleavings, and 100,000 pairs at least."""
    until = time.monotonic() + seconds
    every = behaviours()
    one = spread(singles, [(behaviour,) for behaviour in every])
    say(f"   {one.runs:,} single faults, {until - time.monotonic():.0f} s left")
    figures = [
        judged(f"one fault at every one of {one.boundaries:,} boundaries, {len(every)} behaviours", one, "0 / 0"),
        Figure(
            "single faults that end unknown without a ring",
            one.unknown_told(),
            f"{MOST_UNKNOWN:.2%}, may only fall",
            reached=round(one.unknown_share(), 4) <= MOST_UNKNOWN,
        ),
        Figure("receipts that nobody can attribute, kept at their call id", f"{one.waits:,}", "printed", reached=True),
    ]
    directed = spread(late_ones, [(behaviour,) for behaviour in every if _is_directed(behaviour)])
    directed.merge(spread(met, [(behaviour,) for behaviour in every if _is_directed(behaviour)]))
    figures.append(judged("directed interleavings", directed, "0 / 0"))
    say(f"   {directed.runs:,} interleavings, {until - time.monotonic():.0f} s left")
    two = Tally()
    each = -(-100_000 // len(every))
    two.merge(spread(pairs_of, [(behaviour, seed, each) for behaviour in every]))
    figures.append(judged(f"pairs of faults, sampled by seed {seed}", two, "0 / 0 of 100,000", 100_000))
    say(f"   {two.runs:,} pairs, {until - time.monotonic():.0f} s left")
    random_ones = Tally()
    turn = seed
    while time.monotonic() < until or not random_ones.runs:
        random_ones.merge(spread(mixed, [(behaviour, turn, 10) for behaviour in every]))
        turn += 1
    figures.append(judged("random interleavings with up to three faults", random_ones, "0 / 0"))
    return figures + few(seed)


def _is_directed(behaviour: Behaviour) -> bool:
    """Where a message is handed over more than once and may ring: what several at once can do to each other."""
    words = ("again", "not sent, then", "T, then", "deferred", "then itself", "redial dxtong lost, then ok")
    return any(word in behaviour.name for word in words)


def few(seed: int) -> list[Figure]:
    """The attacks that take a second."""
    came, lost = outage()
    calls, found = shuffled(seed)
    results, successes = repeated()
    raced = no_sweep()
    return [
        Figure("DynamoDB away for 30 minutes of callbacks", f"{lost} of {came} lost", "0 lost", reached=lost == 0),
        Figure(
            "100 messages delivered 10 times each, shuffled",
            f"{calls} calls, {len(found)} findings",
            "100 calls",
            reached=calls == 100 and not found,
        ),
        Figure(
            "one receipt 1,000 times",
            f"{results} result, {successes:,} times success",
            "1 and 1,000",
            reached=(results, successes) == (1, 1000),
        ),
        Figure("callback against record, no sweep, every order", f"{len(raced)} lost", "0 lost", reached=not raced),
    ]
