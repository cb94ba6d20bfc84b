"""`python -m local.simulators`: address, settings, signals, a taken port."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "local.simulators"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *arguments]
    return subprocess.run(command, check=False, cwd=ROOT, text=True, capture_output=True, timeout=10)


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("vendor", "number", "settings", "balance"),
    [
        ("dxtong", signal.SIGTERM, ["--balance", "7", "--templates", '["模板"]'], 7),
        ("jumdata", signal.SIGINT, ["--balance", "1.5", "--hours", "09:00-21:00"], 1.5),
    ],
)
def test_start_and_stop(
    tmp_path: Path, vendor: str, number: signal.Signals, settings: list[str], balance: float
) -> None:
    file = tmp_path / "address"
    with running(vendor, "--address-file", str(file), *settings) as process:
        end = time.monotonic() + 10
        while not file.exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        address = file.read_text().strip()
        with urllib.request.urlopen(f"{address}/_simulator", timeout=5) as reply:
            assert json.load(reply) == {"vendor": vendor, "requests": [], "callbacks": [], "balance": balance}
        process.send_signal(number)
        output, errors = process.communicate(timeout=5)
    assert (process.returncode, errors) == (0, "")
    assert output == f"{vendor} simulator: {address}\n"
    assert [each.name for each in tmp_path.iterdir()] == ["address"]


def test_a_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("dxtong", "--port", str(port))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"port {port}" in done.stderr
    assert "Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["nobody"], [], ["jumdata", "--hours", "noon"], ["dxtong", "--port", "99999"]])
def test_bad_arguments(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
