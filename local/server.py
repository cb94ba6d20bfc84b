"""The AWS server of the local stack: ministack, in a virtual environment of its own."""

import fcntl
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from local import processes
from local.places import LOCAL, ROOT, environment, tool

ENVIRONMENT = LOCAL / "server"
REQUIREMENTS = ROOT / "local" / "requirements.txt"
ONLY_LAYERS = ROOT / "local" / "only_layers.py"
SERVED = ROOT / "local" / "served.py"
DECISIONS = "iam.jsonl"
"""In the server's folder: what IAM decided of the roles' requests (served.py)."""

START_SECONDS = 30.0


class StackError(Exception):
    """The local stack cannot do what was asked; the text says why."""


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time: a demo, a test run and `make up` may start together."""
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def install(say: Callable[[str], None]) -> None:
    """Brings the server's environment to what is pinned."""
    with locked("server"):
        stamp = ENVIRONMENT / "installed"
        wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + ONLY_LAYERS.read_bytes() + sys.version.encode()).hexdigest()
        if stamp.exists() and stamp.read_text() == wanted:
            return
        say("installing the local AWS server, the first time only")
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        _uv("venv", "--python", sys.executable, str(ENVIRONMENT))
        python = str(ENVIRONMENT / "bin" / "python")
        _uv("pip", "sync", "--require-hashes", "--python", python, str(REQUIREMENTS))
        (site,) = ENVIRONMENT.glob("lib/python*/site-packages")
        shutil.copyfile(ONLY_LAYERS, site / "sitecustomize.py")
        stamp.write_text(wanted)


def start(folder: Path, port: int) -> processes.Process:
    """Starts the server; all that it writes goes below the folder."""
    own = {name: folder / name for name in ("home", "tmp", "state", "s3")}
    for path in own.values():
        path.mkdir(parents=True, exist_ok=True)
    # Functions inherit this environment as it is, so nothing of the caller's goes in.
    env = {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HOME": str(own["home"]),
        "TMPDIR": str(own["tmp"]),
        "STATE_DIR": str(own["state"]),
        "S3_DATA_DIR": str(own["s3"]),
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.2",
        "LAMBDA_WARM_TTL_SECONDS": "20",
    }
    # -P: else modules of `local` would stand in front of those that the server imports.
    command = [str(ENVIRONMENT / "bin" / "python"), "-P", str(SERVED), str(folder / DECISIONS)]
    return processes.start("server", command, log=folder / "server.log", cwd=folder, env=env)


def wait(process: processes.Process, port: int, log: Path) -> None:
    """Returns when the server answers. Raises StackError."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if not process.alive:
            raise StackError(f"the AWS server ended at once:\n{_last_lines(log)}")
        if _answers(f"http://127.0.0.1:{port}/_ministack/health"):
            return
        time.sleep(0.05)
    raise StackError(f"the AWS server did not answer within {START_SECONDS:.0f} s:\n{_last_lines(log)}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def _answers(address: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(address, timeout=1) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else "(no log)"


def _uv(*arguments: str) -> None:
    done = subprocess.run(
        [tool("uv"), "--quiet", *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StackError(f"uv {arguments[0]} failed:\n{done.stderr.strip()}")
