"""Sequences of rings under fault: one at every boundary, pairs, and interleavings of what must not go together.

Each behaviour has up to three rings: the same number again, the next number, or both. The oracles are those of
:mod:`tests.faults.world`: every ring at most once and to its own number, none after ``cancelled`` or beyond the last
that was allowed, none jumped over, no sequence stuck, no result lost, every end of a ring published.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from tests.faults.boundaries import Tally, judged, pairs_of, run_one, singles, spread, trace
from tests.faults.figures import Figure, say
from tests.faults.world import ORDERS, SOON, Behaviour, World, findings, story

SECOND, THIRD = "13800138001", "13800138002"
BOTH: dict[str, Any] = {
    "redial": {"times": 1, "after_seconds": 60},
    "escalate_to": [SECOND],
    "escalate_after_seconds": 60,
}
"""The same number again, then another: three rings, for the other is rung again only if it fails."""
OTHERS: dict[str, Any] = {"escalate_to": [SECOND, THIRD], "escalate_after_seconds": 60}
AGAIN: dict[str, Any] = {"redial": {"times": 2, "after_seconds": [60, 90]}}
_FAIL, _REACHED, _BOTH_WAYS = ("failed",), ("delivered",), ("failed", "delivered")
PAIRS = 50_000
DIRECTED = 2_000


def behaviours() -> list[Behaviour]:
    """Every way in which a ring can end, in sequences of three."""
    found: list[Behaviour] = []
    for first, (_, second) in ORDERS.items():
        found += _told(first)
        found += _left_behind(first, second)
        found += _refused(first, second)
    return found


def _told(first: str) -> Iterator[Behaviour]:
    """The receipts of each ring come, early or late."""
    for name, over in (("both", BOTH), ("others", OTHERS), ("again", AGAIN)):
        for push in ("normal", "early", "io 1"):
            each = (_FAIL, _FAIL, _REACHED)
            yield Behaviour(
                f"sequence {name}, {first}, the third answers, {push}", first, {}, push, over=over, each=each
            )
        yield Behaviour(f"sequence {name}, {first}, nobody answers", first, over=over, receipts=_FAIL)
        yield Behaviour(f"sequence {name}, {first}, the second answers", first, over=over, each=(_FAIL, _REACHED))
        yield Behaviour(f"sequence {name}, {first}, told otherwise", first, over=over, each=(_BOTH_WAYS, _FAIL))


def _left_behind(first: str, second: str) -> Iterator[Behaviour]:
    """Nobody knows what became of a ring when the next begins; then its receipt comes after all, or never."""
    for reply in ("ok", "lost", "lost, not rung"):
        for late in ("next", "hour", "never"):
            for said in ("delivered", "failed"):
                if said == "delivered" and (late == "never" or reply == "lost, not rung"):
                    continue  # nobody says so
                if reply == "lost, not rung" and late != "never":
                    continue
                yield Behaviour(
                    f"sequence others, {first} {reply}, {said} {late}",
                    first,
                    {first: (reply, "ok")},
                    over={**OTHERS, "vendor": first},
                    each=((said,), _FAIL, _REACHED),
                    pushes=(late, "normal"),
                )
    for said in ("delivered", "failed"):
        replies = {first: ("lost",), second: ("ok",)}
        over = {**BOTH, "on_unknown": "redial_once", "escalate_after_seconds": 600}
        yield Behaviour(f"sequence redialled, {first} lost, {said}", first, replies, "redial", (said,), over=over)


def _refused(first: str, second: str) -> Iterator[Behaviour]:
    """A number that no vendor rings, a vendor that is away for a while, a text that nobody takes."""
    pinned = {**BOTH, "vendor": first}
    for replies in (
        ("F", "ok"),
        ("T", "ok"),
        ("not sent", "ok"),
        ("ok", "F"),
        ("ok", "T", "ok"),
        ("ok", "not sent", "ok"),
    ):
        name = f"sequence both, {first} {' '.join(replies)}"
        over = pinned | (SOON if "not sent" in replies else {})
        yield Behaviour(name, first, {first: replies}, over=over, each=(_FAIL, _REACHED))
    yield Behaviour(f"sequence both, {first} N", first, {first: ("N",), second: ("N",)}, over=BOTH)
    yield Behaviour(f"sequence both, {first} cancelled", first, over=BOTH, receipts=_FAIL, cancels=True)
    yield Behaviour(
        f"sequence others, {first} T cancelled", first, {first: ("T",), second: ("T",)}, over=OTHERS, cancels=True
    )
    yield Behaviour(f"sequence others, {first} cap full", "jumdata", {}, over={**OTHERS, "vendor": "jumdata"}, before=3)


# Interleavings.


def met_by(other: str, behaviour: Behaviour, seed: int, count: int) -> Tally:
    """Somebody else does all of its work between two I/O of a run, at places drawn by the seed."""
    tally, labels, chance = Tally(), trace(behaviour), random.Random(f"{other} {seed} {behaviour.name}")
    for _ in range(count):
        places = sorted(chance.sample(range(len(labels)), min(2, len(labels))))

        def prepare(world: World, places: list[int] = places) -> None:
            for place in places:
                world.faults.before[place] = partial(MEETINGS[other], world)

        world = run_one(behaviour, {}, prepare)
        tally.add(world, findings(world), f"{behaviour.name} | {other} at {places}")
    return tally


MEETINGS: Mapping[str, Callable[[World], Any]] = {
    "a late receipt against the next ring's claim": World.pushes,
    "a cancel against a claim": World.cancel,
    "two sweeps at once": World.sweep,
    "another sender": lambda world: world.send(process="send_another"),
}


def the_stream_again(behaviour: Behaviour) -> list[str]:
    """Every record of the stream is handed over again a day later: no ring more, and nothing told that is not so."""
    with World(behaviour) as world:
        story(world)
        rung = len(world.attempts)
        world.now += 86400
        world.stream_again()
        world.hand_over()
        found = findings(world)
        if len(world.attempts) != rung:
            found.append(f"DOUBLE {len(world.attempts) - rung} calls after the stream came again")
    return found


def outage(spread_over: float, messages: int = 1000) -> list[Figure]:
    """A vendor is away for an hour, in the first ``spread_over`` seconds of which the messages come."""
    over = {"vendor": "dxtong"}
    with World(Behaviour("outage", over=over, push="never")) as world:
        begins = world.now
        world.vendors.away_until = back = begins + 3600
        left = [f"n{number}" for number in range(messages)]
        minute = 0
        while world.now < back + 1800:
            until = begins + 60 * minute
            while left and begins + (messages - len(left)) * spread_over / messages <= until:
                world.send(left.pop(0))
            world.sweep()
            minute += 1
            world.now = max(world.now, begins + 60 * minute)
        calls = Counter(call.message_id for call in world.vendors.calls)
        first = sum(call.at < back + 60 for call in world.vendors.calls)
        letters = len(world.queues.bodies("dead"))
        found = findings(world)
    for finding in found[:10]:
        say(f"   {finding}")
    once = sum(times == 1 for times in calls.values())
    what = f"a vendor away for an hour, {messages:,} messages within {spread_over / 60:.0f} minutes of it"
    told = f"{once:,} rung once, {letters} dead letters, {len(found)} findings; {first} in the first minute"
    reached = (once, len(calls), letters, len(found)) == (messages, messages, 0, 0) and first <= messages / 4
    return [Figure(what, told, f"{messages:,}, 0, 0; at most a quarter", reached=reached)]


def run(seed: int, seconds: float) -> list[Figure]:
    """Everything above."""
    every = behaviours()
    one = spread(singles, [(behaviour,) for behaviour in every])
    say(f"   {one.runs:,} single faults of sequences")
    figures = [
        judged(
            f"sequences: one fault at every one of {one.boundaries:,} boundaries, {len(every)} behaviours", one, "0 / 0"
        )
    ]
    each = -(-PAIRS // len(every))
    two = spread(pairs_of, [(behaviour, seed, each) for behaviour in every])
    figures.append(judged(f"sequences: pairs of faults, sampled by seed {seed}", two, f"0 / 0 of {PAIRS:,}", PAIRS))
    say(f"   {two.runs:,} pairs of faults of sequences")
    times = -(-DIRECTED // len(every))
    for other in MEETINGS:
        tally = spread(met_by, [(other, behaviour, seed, times) for behaviour in every])
        figures.append(judged(f"sequences: {other}", tally, f"0 / 0 of {DIRECTED:,}", DIRECTED))
    again = [finding for behaviour in every for finding in the_stream_again(behaviour)]
    for finding in again[:10]:
        say(f"   {finding}")
    figures.append(Figure("sequences: the stream again a day later", f"{len(again)} findings", "0", reached=not again))
    return [*figures, *outage(60), *outage(3600)]
