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
from pathlib import Path

from voice_gateway.storage.calls_table import calls_table
from voice_gateway.storage.quotas import Counted, Quota, Quotas

from tests.faults import boundaries
from tests.faults.figures import Figure, say
from tests.faults.kinds import kinds_at
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
                'seen.message_id, changes, "#st = :seen AND #attempt = :old", seen=seen.state, old=seen.attempt',
                'seen.message_id, changes, ""',
            ),
        ),
        "interleavings",
        ("DOUBLE",),
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
            (
                "storage/messages.py",
                "f\"attribute_exists(#pk) AND NOT #st IN ({', '.join(f':final{at}' for at in range(len(FINAL)))})\",",
                '"attribute_exists(#pk)",',
            ),
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
        "outbox",
        (
            (
                "receipts/callbacks.py",
                "            self._outbox.keep_receipt(receipt, token.message_id if token else None, ttl, now)\n",
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


PARTS: Mapping[str, Callable[[], Iterator[str]]] = {
    "single faults": _single_faults,
    "interleavings": _interleavings,
    "threads": _threads,
    "a race with no sweep": _no_sweep,
    "an outage through all pushes": _outage,
    "a call id used again": _used_again,
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
    environ = {**os.environ, "POWERTOOLS_METRICS_NAMESPACE": "V"}
    if package is not None:
        environ["PYTHONPATH"] = str(package)
    command = [sys.executable, "-m", "tests.faults.ablations", part, *sought]
    done = subprocess.run(command, cwd=_ROOT, env=environ, capture_output=True, text=True, timeout=400, check=False)
    errors = "" if done.returncode in {0, 1} else f"ended with {done.returncode}: {done.stderr[-300:]}"
    return done.stdout.strip(), errors


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
