"""The lanes under fault: a batch whose function is killed in its midst, fails in parts, or comes twice; with a pace.

Three messages to three numbers come by a lane, three to an invocation or one by one, one call a second at the most.
The oracles are those of :mod:`tests.faults.world`; and no message may be neither in the table nor in its lane. A slot
of the pace that is lost with its function, or taken twice as a reply was lost, costs a slot and never a ring.
"""

import itertools
import random
from collections import Counter
from functools import partial

from tests.faults.boundaries import Tally, judged, pairs_of, run_one, singles, spread, trace
from tests.faults.figures import Figure, say
from tests.faults.world import BATCH, ORDERS, SOON, Behaviour, World, findings

PAIRS = 10_000
DIRECTED = 2_000
_PACE = {"DXTONG_PER_SECOND": "1", "JUMDATA_PER_SECOND": "1"}


def behaviours() -> list[Behaviour]:
    found = []
    for first, (_, second) in ORDERS.items():
        for size in (1, 3):
            for where in ("in the lane for bulk", "in the lane for urgent ones"):
                named = partial(Behaviour, first=first, by_lane=size, environ=_PACE)
                what = f"{size} at a time {where}, {first}"
                found.append(named(name=f"{what} ok"))
                found.append(named(name=f"{what} T", replies={first: ("T", "ok"), second: ("T", "ok")}))
            found.append(named(name=f"{what} not sent", replies={first: ("not sent", "ok")}, over=SOON))
            found.append(named(name=f"{what} lost", replies={first: ("lost", "ok")}))
            found.append(named(name=f"{what}, says bulk", over={"priority": "bulk"}))
            found.append(named(name=f"{what} without a pace", environ={}))
    return found


def again(behaviour: Behaviour, seed: int, count: int) -> Tally:
    """The queue delivers to another process what is being handed over, at places drawn by the seed."""
    tally, labels, chance = Tally(), trace(behaviour), random.Random(f"again {seed} {behaviour.name}")
    for _ in range(count):
        places = sorted(chance.sample(range(len(labels)), min(2, len(labels))))

        def prepare(world: World, places: list[int] = places) -> None:
            for place in places:
                world.faults.before[place] = world.deliver_again

        world = run_one(behaviour, {}, prepare)
        tally.add(world, findings(world), f"{behaviour.name} | delivered again at {places}")
    return tally


def spaced() -> list[str]:
    """Where nothing fails: by how much two calls of a run are closer than the pace allows."""
    close = []
    for behaviour in behaviours():
        if not behaviour.environ:
            continue
        world = run_one(behaviour, {})
        for vendor in ORDERS:
            times = sorted(attempt.at for attempt in world.attempts if attempt.vendor == vendor)
            gaps = [after - before for before, after in itertools.pairwise(times)]
            close += [f"{behaviour.name}: {gap:.2f} s" for gap in gaps if gap < 0.9]
        rung = Counter(call.message_id for call in world.vendors.calls if call.rang)
        close += [f"{behaviour.name}: {dict(rung)}" for name in BATCH if rung[name] != 1]
    return close


def run(seed: int, seconds: float) -> list[Figure]:
    every = behaviours()
    one = spread(singles, [(behaviour,) for behaviour in every])
    figures = [
        judged(f"lanes: one fault at every one of {one.boundaries:,} boundaries, {len(every)} behaviours", one, "0 / 0")
    ]
    two = spread(pairs_of, [(behaviour, seed, -(-PAIRS // len(every))) for behaviour in every])
    figures.append(judged(f"lanes: pairs of faults, sampled by seed {seed}", two, f"0 / 0 of {PAIRS:,}", PAIRS))
    twice = spread(again, [(behaviour, seed, -(-DIRECTED // len(every))) for behaviour in every])
    figures.append(judged("lanes: delivered again in the midst of it", twice, f"0 / 0 of {DIRECTED:,}", DIRECTED))
    close = spaced()
    for example in close[:5]:
        say(f"   {example}")
    figures.append(
        Figure("lanes: calls closer than the pace, where nothing fails", f"{len(close)}", "0", reached=not close)
    )
    return figures
