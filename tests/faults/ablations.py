"""Takes each rule of the protocol's last table out of a copy of the package, and demands that the harness sees it.

A harness that stays green with a rule removed proves nothing. Each rule is tried by the smallest part that must show
its loss; the same part must be green on the package as it is. Both run in processes of their own.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from voice_gateway.model.message import State
from voice_gateway.storage.calls_table import calls_table
from voice_gateway.storage.quotas import Counted, Quota, Quotas

from tests.faults import boundaries, lanes, sequences
from tests.faults.figures import Figure, say
from tests.faults.kinds import Kind, kinds_at
from tests.faults.world import NOON, ORDERS, Behaviour, Call, Pushed, World, findings

_ROOT = Path(__file__).parents[2]
_PACKAGE = _ROOT / "layers" / "gateway" / "src" / "voice_gateway"


@dataclass(frozen=True)
class Rule:
    """A rule, what takes it out (file, text, other text), the part that must show it, and what that must find."""

    name: str
    patches: tuple[tuple[str, str, str], ...]
    part: str
    shows: tuple[str, ...]


_DEFINITE = 'when, values = "#attempt = :mine AND #st IN (:calling, :unknown)", values | {"unknown": State.UNKNOWN}'
_OTHERS = 'when = "#attempt = :mine AND #st = :calling"'
_MINE = '{"mine": message.attempt or "", "calling": State.CALLING}'

_AS_SEEN = """            differences(seen, moved),
            f"#st = :seen AND #attempt = :old AND attribute_not_exists(#no_more) AND {past_as(seen)}",
            look_of(moved),
            seen=seen.state,
            old=seen.attempt,
            **past_of(seen),
"""
_AS_IT_MAY_BE = """            differences(seen, moved),
            "attribute_not_exists(#no_more) AND NOT #st IN (:delivered, :cancelled)",
            look_of(moved),
            delivered=State.DELIVERED,
            cancelled=State.CANCELLED,
"""

_ALONE = """            differences(seen, moved),
            "#st = :seen",
            look_of(moved),
            seen=seen.state,
"""

RULES = (
    Rule(
        "claim condition",
        (
            (
                "storage/messages.py",
                '        self._put(message, "attribute_not_exists(#pk)")',
                '        self._put(message, "")',
            ),
        ),
        "single faults",
        ("DOUBLE",),
    ),
    Rule(
        "stale becomes unknown",
        (
            (
                "sending/claiming.py",
                "        if seen.state is State.CALLING:\n            return",
                "        if seen.state is State.CALLING and (seen.lease or 0) > now:\n            return",
            ),
            (
                "sending/claiming.py",
                "        waits = seen.state is State.RELEASED or ",
                "        waits = seen.state in {State.RELEASED, State.CALLING} or ",
            ),
        ),
        "single faults",
        ("DOUBLE",),
    ),
    Rule(
        "attempt condition",
        (
            ("storage/messages.py", _DEFINITE, _DEFINITE.replace("#attempt = :mine AND ", "")),
            ("storage/messages.py", _OTHERS, _OTHERS.replace("#attempt = :mine AND ", "")),
            ("storage/messages.py", _MINE, '{"calling": State.CALLING}'),
        ),
        "interleavings",
        ("DOUBLE",),
    ),
    Rule(
        "takeover condition",
        (
            (
                "storage/messages.py",
                _AS_SEEN,
                _AS_IT_MAY_BE,
            ),
        ),
        "interleavings",
        ("DOUBLE",),
    ),
    Rule(
        "a sequence's claim as it was seen: the state alone",
        (
            (
                "storage/messages.py",
                _AS_SEEN,
                _ALONE,
            ),
        ),
        "interleavings of sequences",
        ("DOUBLE", "WRONG", "MISATTRIBUTED"),
    ),
    Rule(
        "a sequence's outcomes by their own attempt",
        (
            ("storage/messages.py", _DEFINITE, _DEFINITE.replace("#attempt = :mine AND ", "")),
            ("storage/messages.py", _OTHERS, _OTHERS.replace("#attempt = :mine AND ", "")),
            ("storage/messages.py", _MINE, '{"calling": State.CALLING}'),
        ),
        "an outcome that comes late",
        ("WRONG", "MISATTRIBUTED"),
    ),
    Rule(
        "a failure moves on only the ring whose attempt it bears",
        (
            (
                "model/moving_on.py",
                "if attempt in ring.attempts)",
                "if attempt in ring.attempts and receipt.delivered)",
            ),
            ("model/moving_on.py", "attempt is None or attempt in seen.attempts", "True"),
        ),
        "a receipt of an earlier ring",
        ("MISATTRIBUTED",),
    ),
    Rule(
        "moving on looks at no more",
        (
            (
                "storage/messages.py",
                'follows = " AND attribute_not_exists(#no_more)" if moved.state is State.DUE else ""',
                'follows = ""',
            ),
            (
                "storage/messages.py",
                "#attempt = :old AND attribute_not_exists(#no_more) AND",
                "#attempt = :old AND",
            ),
        ),
        "a cancel anywhere",
        ("CALLED OFF",),
    ),
    Rule(
        "a lease that is over belongs to nobody alive",
        (
            (
                "sweeping/stale.py",
                "self._messages.in_state(State.CALLING, now)",
                "self._messages.in_state(State.CALLING, now + 60)",
            ),
        ),
        "a slow sender",
        ("WRONG NUMBER", "CALLED OFF", "DOUBLE"),
    ),
    Rule(
        "mending condition",
        (
            (
                "storage/messages.py",
                '"#st = :rejected AND #attempt = :seen AND attribute_not_exists(#called_at)"',
                '"(#st = :rejected OR #attempt = :seen OR attribute_exists(#pk))"',
            ),
        ),
        "interleavings",
        ("DOUBLE",),
    ),
    Rule(
        "state condition on the outcome",
        (
            ("storage/messages.py", _DEFINITE, 'when = "#attempt = :mine"'),
            ("storage/messages.py", _OTHERS, 'when = "#attempt = :mine"'),
            ("storage/messages.py", _MINE, '{"mine": message.attempt or ""}'),
        ),
        "single faults",
        ("OVERWRITTEN",),
    ),
    Rule(
        "first result stands",
        (
            ("storage/messages.py", '            f" AND {open_ones}",\n', '            "",\n'),
            (
                "storage/messages.py",
                '            **{f"final{at}": state for at, state in enumerate(sorted(FINAL))},\n',
                "",
            ),
        ),
        "single faults",
        ("OVERWRITTEN",),
    ),
    Rule(
        "quota condition",
        (
            (
                "storage/quotas.py",
                'f"attribute_not_exists(#m1) OR ((attribute_not_exists(#t{last}) OR #t{last} <= :cut) AND {others})",',
                'f"attribute_not_exists(#m1) OR attribute_not_exists(#t{last}) OR #t{last} > :cut OR {others}",',
            ),
        ),
        "threads",
        ("CAP",),
    ),
    Rule(
        "applying at the meeting point, callback side",
        (
            (
                "receipts/settling.py",
                "        return self.apply(call, now, only=receipt)\n",
                "        return Settled.SETTLED\n",
            ),
        ),
        "single faults",
        ("LOST",),
    ),
    Rule(
        "applying at the meeting point, send side",
        (
            (
                "receipts/settling.py",
                "        self.apply(call, now)\n        return self",
                "        return self",
            ),
        ),
        "a race with no sweep",
        ("LOST",),
    ),
    Rule(
        "answering after the write",
        (
            (
                "receipts/callbacks.py",
                '            return self._not_kept("a callback could not be kept", error, record)\n',
                '            return response(200, "success")\n',
            ),
        ),
        "single faults",
        ("LOST",),
    ),
    Rule(
        "what could not be stored goes back to its lane",
        (
            (
                "sending/sender.py",
                'invocation.record.count("WentBack")\n            return True',
                'invocation.record.count("WentBack")\n            return False',
            ),
        ),
        "a batch of a lane",
        ("LOST",),
    ),
    Rule(
        "outbox",
        (
            (
                "receipts/callbacks.py",
                "            self._outbox.keep_receipt(receipt, message_id, attempt, ttl, now)\n",
                "            raise\n",
            ),
        ),
        "an outage through all pushes",
        ("LOST",),
    ),
    Rule(
        "link condition",
        (
            (
                "storage/call_ids.py",
                'OR #message = :mine",\n            mine=message.message_id,\n',
                'OR attribute_exists(#message)",\n',
            ),
        ),
        "a call id used again",
        ("MISATTRIBUTED",),
    ),
)

# The parts: each yields what it found.


def _single_faults() -> Iterator[str]:
    """The boundaries of few behaviours; each kind of fault at each."""
    for first, (_, second) in ORDERS.items():
        yield from _faulted(Behaviour(f"{first} ok", first))
        yield from _faulted(Behaviour(f"{first} early", first, push="early"))
        yield from _faulted(Behaviour(f"{first} contradicted", first, receipts=("delivered", "failed")))
        yield from _faulted(Behaviour(f"{first} T", first, {first: ("T", "ok"), second: ("T", "ok")}))


def _faulted(behaviour: Behaviour) -> Iterator[str]:
    world = boundaries.run_one(behaviour, {})
    yield from findings(world)
    for number, label in enumerate(world.faults.trace[:40]):
        for kind in kinds_at(label):
            yield from findings(boundaries.run_one(behaviour, {number: kind}))


def _interleavings() -> Iterator[str]:
    """Writes that land in the midst of another attempt, and senders between each other's I/O; receipts come too late
    to hide what happened."""
    for first, (_, second) in ORDERS.items():
        for reply in ("T", "not sent"):
            behaviour = Behaviour(f"{first} {reply}", first, {first: (reply, "ok")}, "hour", over={"vendor": first})
            yield from boundaries.late_ones(behaviour).examples.values()
            yield from boundaries.met(behaviour).examples.values()
        behaviour = Behaviour(f"{first} T T", first, {first: ("T", "ok"), second: ("T", "ok")})
        yield from boundaries.met(behaviour).examples.values()
        yield from boundaries.met(Behaviour(f"mended, {first}", first, mended=True)).examples.values()


def _sequences() -> Iterator[str]:
    """Senders, sweeps and pushes between each other's I/O, and writes that land late, in sequences."""
    for first in ORDERS:
        over = {**sequences.BOTH, "vendor": first}
        for push in ("normal", "early"):
            each = (("failed",), ("failed",), ("delivered",))
            behaviour = Behaviour(f"sequence {first}", first, push=push, over=over, each=each)
            yield from boundaries.met(behaviour).examples.values()
            yield from boundaries.late_ones(behaviour).examples.values()


def _late_outcome() -> Iterator[str]:
    """A ring's receipt is quicker than its sender, and the next ring's sender is killed before it calls."""
    for first in ORDERS:
        behaviour = Behaviour(f"sequence {first}", first, over=sequences.OTHERS, each=(("failed",), ("delivered",)))
        for place in range(4, 12):
            for crash in range(place + 1, place + 24):
                world = boundaries.run_one(behaviour, {crash: Kind.CRASH_BEFORE}, partial(_pushed_at, place))
                yield from findings(world)


def _pushed_at(place: int, world: World) -> None:
    world.faults.before[place] = world.pushes


def _earlier_ring() -> Iterator[str]:
    """The same failure again, and another one, of a ring that is over, while the next is under way."""
    for first in ORDERS:
        over = {**sequences.AGAIN, "vendor": first}
        for told in ("failed", "failed again"):
            with World(Behaviour(f"sequence {first}", first, push="never", over=over)) as world:
                world.send()
                (call,) = world.vendors.calls
                world.callback(call, "failed")
                world.stream()
                world.now += 70
                world.sweep()
                world.callback(call, told)
                world.stream()
                message, found = world.message(), findings(world)
            yield from found
            if not message or (message.state, message.ring) != (State.ACCEPTED, 2):
                yield f"MISATTRIBUTED {message and (message.state, message.ring)} by a receipt of ring 1"


def _cancelled() -> Iterator[str]:
    """A cancel before each I/O of a sequence."""
    for first in ORDERS:
        for over in (sequences.BOTH, sequences.OTHERS):
            for push in ("normal", "early", "never"):
                behaviour = Behaviour(f"sequence {first}", first, push=push, over=over, receipts=("failed",))
                for place in range(len(boundaries.trace(behaviour))):
                    yield from _met_at(behaviour, place, World.cancel)


def _slow_sender() -> Iterator[str]:
    """Half a minute passes between two I/O of a sender that is alive; meanwhile others sweep, and it is called off."""
    over = {"escalate_to": [sequences.SECOND], "escalate_after_seconds": 30}
    for first in ORDERS:
        behaviour = Behaviour(f"slow {first}", first, push="never", over=over)
        for place in range(20):
            for cancels in (False, True):
                yield from _met_at(behaviour, place, partial(_half_a_minute, cancels))


def _half_a_minute(cancels: bool, world: World) -> None:
    world.now += 26
    world.sweep()
    world.now += 10
    if cancels:
        world.sweep()
        world.cancel()
    world.sweep()


def _met_at(behaviour: Behaviour, place: int, other: Callable[[World], object]) -> list[str]:
    def prepare(world: World) -> None:
        def met() -> None:
            other(world)

        world.faults.before[place] = met

    return findings(boundaries.run_one(behaviour, {}, prepare))


def _threads() -> Iterator[str]:
    """32 messages to one number by 32 threads, in a store that takes one request at a time: three may be counted."""
    for turn in range(5):
        with World(Behaviour("threads")) as world:
            quotas, barrier = calls_table("calls").quotas, threading.Barrier(32)
            world.open_gate()

            def count(
                number: int, quotas: Quotas = quotas, barrier: threading.Barrier = barrier, turn: int = turn
            ) -> Counted:
                barrier.wait()
                return quotas.count(Quota("jumdata", "line", f"h{turn}", f"m{number}", 3), NOON)

            with ThreadPoolExecutor(32) as pool:
                counted = list(pool.map(count, range(32)))
        may_ring = sum(one is not Counted.FULL for one in counted)
        if may_ring != 3:
            yield f"CAP {may_ring} of 32 may ring"


def _no_sweep() -> Iterator[str]:
    for name in boundaries.no_sweep():
        yield f"LOST {name}"


def _outage() -> Iterator[str]:
    _, lost = boundaries.outage()
    if lost:
        yield f"LOST {lost}"


def _used_again() -> Iterator[str]:
    """A vendor gives two messages one call id: its receipt is the first one's."""
    with World(Behaviour("used again")) as world:
        world.send("m1")
        world.vendors.begin_again()
        world.send("m2")
        call: Call = world.vendors.calls[0]
        call.receipts = [Pushed("delivered")]
        world.pushes()
        world.now += 61
        world.sweep()
        states = [getattr(world.message(name), "state", None) for name in ("m1", "m2")]
    if states != ["delivered", "accepted"]:
        yield f"MISATTRIBUTED m1 is {states[0]}, m2 {states[1]}"


def _lanes() -> Iterator[str]:
    for behaviour in lanes.behaviours():
        if behaviour.by_lane == 3 and behaviour.name.endswith("ok"):
            yield from boundaries.singles(behaviour).examples.values()


PARTS: Mapping[str, Callable[[], Iterator[str]]] = {
    "single faults": _single_faults,
    "interleavings": _interleavings,
    "interleavings of sequences": _sequences,
    "an outcome that comes late": _late_outcome,
    "a receipt of an earlier ring": _earlier_ring,
    "a cancel anywhere": _cancelled,
    "a slow sender": _slow_sender,
    "threads": _threads,
    "a race with no sweep": _no_sweep,
    "an outage through all pushes": _outage,
    "a call id used again": _used_again,
    "a batch of a lane": _lanes,
}

# The copies.


def patched(rule: Rule, into: Path) -> None:
    """Copies the package without the rule. Raises ValueError where the text to patch is not there exactly once."""
    copy = into / "voice_gateway"
    shutil.copytree(_PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text, other in rule.patches:
        content = (copy / name).read_text()
        if content.count(text) != 1:
            raise ValueError(f"{rule.name}: {content.count(text)} times in {name}: {text!r}")
        (copy / name).write_text(content.replace(text, other))


def _tried(part: str, package: Path | None, sought: tuple[str, ...] = ()) -> tuple[str, str]:
    """Runs a part in a process of its own: what it found first of what is sought, or of anything; and its errors."""
    environ = dict(os.environ)
    if package is not None:
        environ["PYTHONPATH"] = str(package)
    command = [sys.executable, "-m", "tests.faults.ablations", part, *sought]
    done = subprocess.run(command, cwd=_ROOT, env=environ, capture_output=True, text=True, timeout=400, check=False)
    found = done.stdout.strip()
    whole = done.returncode == (1 if found else 0)
    return found, "" if whole else f"ended with {done.returncode}: {done.stderr[-300:]}"


def _ablated(rule: Rule) -> Figure:
    """Red as demanded: what is sought was found, by a harness that ran on the copy."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            patched(rule, Path(folder))
        except ValueError as error:
            return Figure(f"without {rule.name}", str(error)[:100], "red", reached=False)
        found, errors = _tried(rule.part, Path(folder), rule.shows)
    first = found.splitlines()[0] if found else "green"
    goal = f"red in {rule.part}: {' or '.join(rule.shows).lower()}"
    return Figure(f"without {rule.name}", errors or first[:100], goal, reached=bool(found) and not errors)


def _whole(part: str) -> Figure:
    found, errors = _tried(part, None)
    first = found.splitlines()[0][:100] if found else "green"
    return Figure(f"with every rule, {part}", errors or first, "green", reached=not found and not errors)


def run(seed: int, seconds: float) -> list[Figure]:
    """Every part on the package as it is, then every rule; two processes at a time."""
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        figures = [*pool.map(_whole, PARTS), *pool.map(_ablated, RULES)]
    took = time.monotonic() - began
    return [*figures, Figure("ablations in time", f"{took:.0f} s", f"{seconds:.0f} s", reached=took <= seconds)]


def main() -> int:
    """Runs one part; prints the first finding of the kinds sought, or of any, and ends with 1 where there is one."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.ablations")
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("sought", nargs="*")
    arguments = parser.parse_args()
    for finding in PARTS[arguments.part]():
        if not arguments.sought or finding.startswith(tuple(arguments.sought)):
            say(finding)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
