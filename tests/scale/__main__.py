"""``python -m tests.scale [names…]``: the figures of docs/scale.md, and what was assumed. Ends with 1 if one is missed.

The functions are the project's own; AWS and the vendor are in memory, and time is virtual, so that neither this
machine's speed nor its other work matters. What it cannot tell, the CPU that AWS gives a function, is left out.
"""

import argparse
import random
import sys
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from tests.faults.figures import Figure, say, table
from tests.scale import on_stack
from tests.scale.aws import COLD_START, FIRST_POLLERS, LATENCY, MORE_POLLERS, VENDOR_SECONDS
from tests.scale.world import NINE, World

MANY = 100_000
MINUTE = 60.0
AT_NINE = "2027-01-15T09:00:00+08:00"
ASSUMED = (
    f"assumed: DynamoDB {LATENCY['dynamodb'] * 1000:.0f} ms, SNS and SQS {LATENCY['sqs'] * 1000:.0f} ms a request, "
    f"the vendor {VENDOR_SECONDS * 1000:.0f} ms a call, a cold start {COLD_START * 1000:.0f} ms; Lambda begins with "
    f"{FIRST_POLLERS} invocations at a time on a queue and adds {MORE_POLLERS:.0f} a second; no limit of the account, "
    "no throttling, and CPU as much as is wanted"
)


def request(at: int, **over: Any) -> dict[str, Any]:
    """One message; there are a hundred sandbox numbers, which it goes round."""
    message_id = f"m{at}"
    return {"message_id": message_id, "mobile": f"138001380{at % 100:02}", "content": message_id, **over}


def clock(moment: float) -> str:
    seconds = moment - NINE
    return f"09:{int(seconds // 60):02}:{seconds % 60:04.1f}" if seconds >= 0 else f"{seconds:.0f} s before 09:00"


def templated(at: int | str, vendor: str, **over: Any) -> dict[str, Any]:
    """The same by the catalogue's template, pinned to a vendor."""
    asked = request(at if isinstance(at, int) else 0, template=vendor, vendor=vendor, **over)
    message_id = f"m{at}" if isinstance(at, int) else at
    del asked["content"]
    return {**asked, "message_id": message_id, "params": {"a": message_id}}


def _deferred(world: World, requests: Iterable[dict[str, Any]]) -> None:
    """Stored at eight, for nine o'clock."""
    world.takes_time = False
    for asked in requests:
        world.send({**asked, "priority": "bulk", "not_before": AT_NINE})
    world.takes_time = True
    assert world.states() == {"due": MANY}


def _once(world: World) -> Figure:
    told = f"{len(world.twice)}, {sum(world.raised.values())}"
    return Figure("  rung twice, raised", told, "0, 0", not world.twice and not world.raised)


def due_at_nine() -> list[Figure]:
    with World(NINE - 3600, {"urgent": 50, "bulk": 60}) as world:
        _deferred(world, map(request, range(MANY)))
        world.clock.now = NINE - 50
        world.sweeps(NINE + 14 * MINUTE)
        handed: list[float] = []
        queue = world.queues.by_url["bulk"]
        on_message = queue.on_message

        def noted(moment: float) -> None:
            handed.append(world.clock.now)
            on_message(moment)

        queue.on_message = noted
        world.clock.run(NINE + 15 * MINUTE)
        first = handed[:MANY]
        last = max(world.begun)
        return [
            Figure(
                f"{MANY:,} due at 09:00, no pace: all handed over by",
                clock(max(first)) if len(first) == MANY else f"{len(first):,} handed over",
                "09:02",
                reached=len(first) == MANY and max(first) <= NINE + 2 * MINUTE,
            ),
            Figure(
                "  rung by, at BulkConcurrency 60",
                clock(last) if len(world.rung) == MANY else f"{len(world.rung):,} rung",
                "09:10",
                reached=len(world.rung) == MANY and last <= NINE + 10 * MINUTE,
            ),
            _once(world),
        ]


def paced() -> list[Figure]:
    environ = {"JUMDATA_PER_SECOND": "50", "VENDOR_ORDER": "jumdata"}
    with World(NINE - 3600, {"urgent": 50, "bulk": 60}, **environ) as world:
        _deferred(world, (templated(at, "jumdata") for at in range(MANY)))
        world.clock.now = NINE - 50
        world.sweeps(NINE + 40 * MINUTE)
        urgent = templated("urgent", "jumdata")
        world.clock.at(NINE + MINUTE, lambda: world.publish([urgent]))
        world.clock.run(NINE + 41 * MINUTE, lambda: len(world.rung) == MANY + 1)
        begun = sorted(world.begun)
        most = max(bisect_left(begun, moment + 1) - at for at, moment in enumerate(begun))
        steady = [moment for moment in begun if begun[0] + MINUTE <= moment <= begun[-1] - MINUTE]
        sustained = (len(steady) - 1) / (steady[-1] - steady[0])
        waited = world.rung.get("urgent", float("inf")) - (NINE + MINUTE)
        return [
            Figure(
                f"{MANY:,} due at 09:00, JumdataPerSecond 50: begun in any second",
                f"{most} at the most",
                "52",
                reached=most <= 52 and len(world.rung) == MANY + 1,
            ),
            Figure("  sustained", f"{sustained:.1f} a second", "at least 45", reached=sustained >= 45),
            Figure("  an urgent message at 09:01 rung after", f"{waited:.1f} s", "5 s", reached=waited <= 5),
            _once(world),
            Figure("  came again for a slot", f"{_again(world):,} times", "printed", reached=True),
        ]


def _again(world: World) -> int:
    return sum(count - 1 for queue in world.queues.by_url.values() for count in queue.received.values())


def away() -> list[Figure]:
    """Nobody at the vendor takes a connection for twenty minutes: no phone can have rung."""
    with World(NINE, {"urgent": 50, "bulk": 60}) as world:
        back = NINE + 20 * MINUTE
        world.answers = lambda: world.clock.now >= back
        for second in range(60):
            some = [request(at, priority="bulk") for at in range(second * MANY // 60, (second + 1) * MANY // 60)]
            world.clock.at(NINE + second, lambda some=some: world.publish(some))  # type: ignore[misc]
        world.sweeps(back + 61 * MINUTE)
        world.clock.run(back + 61 * MINUTE, lambda: len(world.rung) == MANY)
        last = max(world.begun, default=back)
        lost = MANY - len(world.rung)
        letters = len(world.queues.by_url["dead"])
        most = max(max(queue.received.values(), default=0) for queue in world.queues.by_url.values())
        told = f"{lost}, {letters}, {len(world.twice)}"
        return [
            Figure(
                f"{MANY:,} published in a minute, the vendor away for 20 minutes: lost, dead letters, twice",
                told,
                "0, 0, 0",
                reached=not (lost or letters or world.twice or world.raised) and most < 1000,
            ),
            Figure(
                "  all rung after it is back within",
                f"{(last - back) / 60:.1f} minutes",
                "60",
                reached=last - back <= 3600,
            ),
        ]


def sweep_reads() -> list[Figure]:
    """What a sweep reads with a receipt waiting, by how many messages are open."""
    read = {}
    for many in (10, 1_000, MANY):
        with World(NINE, {"urgent": 50, "bulk": 60}) as world:
            world.takes_time = False
            for at in range(many):
                world.send(request(at, mobile=f"138001380{1 + at % 99:02}"))
            world.receipt("m-unknown", "c-unknown", "13800138000")
            world.clock.now += 200
            world.table.items_read = 0
            gets = world.requests["dynamodb.get_item"]
            world.sweeps(world.clock.now)
            world.clock.run(world.clock.now + 55)
            read[many] = world.table.items_read + world.requests["dynamodb.get_item"] - gets
    worst = max(read.values()) / min(read.values())
    told = ", ".join(f"{count} of {many:,}" for many, count in read.items())
    return [
        Figure(
            "items that a sweep reads with 10, 1,000, 100,000 open and 1 receipt waiting",
            told,
            "the same, within 20 %",
            reached=worst <= 1.2,
        )
    ]


def requests() -> list[Figure]:
    """Requests to AWS a message, by the way that it takes; what is cached once a process is left out."""
    ways: dict[str, tuple[float, float]] = {}
    for vendor, cap in (("dxtong", "0"), ("jumdata", "3")):
        for way in ("direct", "deferred"):
            with World(NINE - 3600, {"urgent": 50, "bulk": 60}, JUMDATA_DAILY_CAP=cap, VENDOR_ORDER=vendor) as world:
                later = {"not_before": AT_NINE} if way == "deferred" else {}
                asked = [templated(at, vendor, **later) for at in range(100)]
                world.takes_time = False
                world.send({**asked[0], "message_id": "warm", "dry_run": True})
                world.requests.clear()
                for one in asked:
                    world.send(one)
                if way == "deferred":
                    world.clock.now = NINE + 10
                    idle = dict(world.requests)
                    world.sweeps(world.clock.now)
                    world.clock.run(world.clock.now + 50)
                    queries = world.requests["dynamodb.query"] - idle.get("dynamodb.query", 0)
                    world.requests["dynamodb.query"] -= queries  # a sweep's own, however many are due
                    world.requests["sqs.receive_message"] = 0
                assert len(world.rung) == 100, world.states()
                most = {"direct": 3.0, "deferred": 6.0}[way]
                ways[f"{way}, {vendor}"] = (world.requests.total() / 100, most)
    with World(NINE, {"urgent": 50, "bulk": 60}) as world:
        world.takes_time = False
        for at in range(100):
            world.send(request(at))
        world.receipt("m0", "c1", "13800138000")
        world.requests.clear()
        for at in range(1, 100):
            world.receipt(f"m{at}", f"c{at + 1}", f"138001380{at:02}")
        asked_for = world.requests.total() - world.requests["secretsmanager.get_secret_value"]
        ways["a receipt, dxtong"] = (asked_for / 99, 2.0)
    told = "; ".join(f"{way} {count:.1f} (of {most:.0f})" for way, (count, most) in ways.items())
    return [
        Figure(
            "requests to AWS a message",
            told,
            "as in brackets",
            reached=all(count <= most for count, most in ways.values()),
        )
    ]


def hottest() -> list[Figure]:
    """A thousand messages a second by direct invoke, for twenty seconds, with their receipts ten seconds later."""
    many, receipts = 20_000, Counter[str]()
    with World(NINE, {"urgent": 50, "bulk": 50}) as world:

        def told(at: int) -> None:
            call_id = world.table.items[f"MSG#m{at}"]["call_id"]["S"]
            receipts[world.receipt(f"m{at}", call_id, f"138001380{at % 100:02}")["body"]] += 1

        for at in range(many):
            asked = request(at)
            world.clock.at(NINE + at / 1000, lambda asked=asked: world.clock.start(lambda: world.send(asked)))  # type: ignore[misc]
            world.clock.at(NINE + at / 1000 + 10, lambda at=at: world.clock.start(lambda: told(at)))  # type: ignore[misc]
        world.sweeps(NINE + 30)
        world.clock.run(NINE + 60)
        most, key = world.table.hottest()
        rate = (len(world.rung) - 1) / (max(world.begun) - min(world.begun))
    what = f"writes a second to the hottest partition key, at {rate:,.0f} messages a second"
    done = (len(world.rung), receipts["success"]) == (many, many)
    value = f"{most} ({key}); {len(world.rung):,} rung, receipts: {dict(receipts)}"
    return [Figure(what, value, "under 500", reached=done and most < 500 and rate > 990)]


SCENARIOS: Mapping[str, Callable[[], list[Figure]]] = {
    "paced": paced,
    "due": due_at_nine,
    "away": away,
    "hottest": hottest,
    "reads": sweep_reads,
    "requests": requests,
    "stack": on_stack.run,
}


def run(name: str) -> tuple[str, list[Figure], float]:
    random.seed(1)
    began = time.monotonic()
    return name, SCENARIOS[name](), time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.scale", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(SCENARIOS)}; all where none is given")
    names = parser.parse_args().names or list(SCENARIOS)
    if unknown := [name for name in names if name not in SCENARIOS]:
        parser.error(f"no such scenario: {', '.join(unknown)}")
    figures: dict[str, list[Figure]] = {}
    apart = [name for name in names if name != "stack"]  # which is in real time, and wants the machine for itself
    with ProcessPoolExecutor(2) as pool:
        for name, found, took in pool.map(run, apart):
            figures[name] = found
            say(f"{name}: {took:.0f} s")
    if "stack" in names:
        name, found, took = run("stack")
        figures[name] = found
        say(f"{name}: {took:.0f} s")
    every = [figure for name in names for figure in figures[name]]
    say(f"\n{table(every)}\n\n{ASSUMED}")
    return 0 if all(figure.reached for figure in every) else 1


if __name__ == "__main__":
    sys.exit(main())
