"""Background processes that outlive their starter, and are ended only if they are still the same ones."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

GRACE_SECONDS = 3.0


@dataclass(frozen=True)
class Process:
    """The leader of a process group of its own. Its start time tells it from a later one with the same id."""

    name: str
    pid: int
    started: str

    @property
    def alive(self) -> bool:
        _reap(self.pid)
        # One that ended before it could be looked at has no start time; nor has any that is gone.
        return bool(self.started) and _start_time(self.pid) == self.started


def start(name: str, command: Sequence[str], *, log: Path, cwd: Path, env: Mapping[str, str]) -> Process:
    """Starts a process that holds nothing of ours: no pipe, no terminal, no process group."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # Popen warns of children that nobody waited for; these are reaped by id.
    child.returncode = 0
    return Process(name, child.pid, _start_time(child.pid))


def myself() -> Process:
    """The process that this runs in."""
    return Process("owner", os.getpid(), _start_time(os.getpid()))


def stop(processes: Iterable[Process]) -> None:
    """Ends the groups of those that still run: politely, then for good."""
    running = [process for process in processes if process.alive]
    for process in running:
        _signal_group(process, signal.SIGTERM)
    end = time.monotonic() + GRACE_SECONDS
    while any(process.alive for process in running) and time.monotonic() < end:
        time.sleep(0.02)
    for process in running:
        # The leader may be gone and its children not: their group keeps its number until the last has ended.
        _signal_group(process, signal.SIGKILL)
    end = time.monotonic() + GRACE_SECONDS
    while any(process.alive for process in running) and time.monotonic() < end:
        time.sleep(0.02)


def save(processes: Iterable[Process], path: Path) -> None:
    path.write_text(json.dumps([asdict(process) for process in processes], indent=2) + "\n")


def load(path: Path) -> list[Process]:
    """Those saved; none where nothing was."""
    try:
        return [Process(**each) for each in json.loads(path.read_text())]
    except FileNotFoundError:
        return []


def _signal_group(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        os.killpg(process.pid, number)


def _start_time(pid: int) -> str:
    """When a process started, in whatever form the system has; empty where it does not run (any more)."""
    if not Path("/proc/self/stat").exists():
        shown = subprocess.run(
            ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
        state, _, started = shown.strip().partition(" ")
        return "" if state.startswith("Z") else started.strip()
    try:
        # After the command, which may hold anything: state first, and the start time as the 20th.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):  # somebody else's child: of an earlier `make up`
        os.waitpid(pid, os.WNOHANG)
