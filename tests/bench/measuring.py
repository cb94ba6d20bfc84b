"""Runs the cases, each in a process of its own, and round by round, so that what slows the machine slows them all."""

import json
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.cases import SEND_ANEW, A, Case, environment, ours
from tests.bench.child import WARM_UPS
from tests.bench.fake import VENDOR

WARM_ROUNDS = 3
_CHILD = Path(__file__).with_name("child.py")

Say = Callable[[str], None]


class BenchError(Exception):
    """A case could not be measured; the text says why."""


@dataclass
class Measured:
    """By case and round, seconds to the first reply, and of CPU a warm invocation; by case, requests to AWS for one."""

    cold: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    warm: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    requests: dict[str, float] = field(default_factory=dict)

    def cold_by(self, case: str, base: str = A) -> float:
        return _median_ratio(self.cold[case], self.cold[base])

    def warm_by(self, case: str, base: str) -> float:
        return _median_ratio(self.warm[case], self.warm[base])

    @property
    def artifact_by_anew(self) -> float:
        return self.cold_by(ours("send", "dxtong"), SEND_ANEW)


def _median_ratio(over: list[float], under: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(over, under, strict=True))


class Runner:
    """Runs cases against the fake at an address; the folder takes their events."""

    def __init__(self, cases: Mapping[str, Case], fake: str, folder: Path) -> None:
        self._cases = cases
        self._fake = fake
        self._folder = folder

    def measure(self, rounds: int, warm: int, say: Say) -> Measured:
        measured = Measured()
        for name in self._cases:
            self._run(name, first=True)
        for at in range(rounds):
            say(f"cold, round {at + 1} of {rounds}")
            for name in self._cases:
                measured.cold[name].append(self._run(name)[0])
        bases = {case.base for case in self._cases.values()}
        warmed = [name for name, case in self._cases.items() if case.base or name in bases]
        for at in range(WARM_ROUNDS):
            say(f"warm, round {at + 1} of {WARM_ROUNDS}")
            for name in warmed:
                self._counted()
                measured.warm[name].append(self._run(name, warm)[1])
                measured.requests[name] = self._counted() / (1 + WARM_UPS + warm)
        return measured

    def _run(self, name: str, warm: int = 0, *, first: bool = False) -> tuple[float, float]:
        """Seconds to the first reply, and seconds of CPU a warm invocation."""
        case = self._cases[name]
        event = self._folder / f"{name.replace(' ', '_')}.json"
        event.write_text(json.dumps(case.event), encoding="utf-8")
        env = environment(self._folder, self._fake, case)
        if first and not case.ours:
            # Others' packages may never have been compiled here; ours stay as they were built.
            del env["PYTHONDONTWRITEBYTECODE"]
        command = [sys.executable, "-S", str(_CHILD), str(case.app), str(event), str(warm)]
        began = time.monotonic()
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"{name}:\n{done.stderr[-2000:]}")
        told = json.loads(done.stdout)
        return told["first"] - began, told["cpu"]

    def _counted(self) -> int:
        """Requests to AWS since this was asked last."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"{self._fake}/_counts", timeout=10) as reply:
            counts: dict[str, int] = json.load(reply)
        return sum(count for operation, count in counts.items() if operation != VENDOR)
