"""The client as a caller has it: in an environment with nothing but boto3, on the README's own lines."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from local import shell
from local.places import ROOT, environment, tool
from local.stack import Stack
from tests.e2e.use import new_id, number

PYTHONS = ("3.10", "3.13")
"""The oldest that the client is for, and the gateway's own."""


def interpreter(version: str) -> str | None:
    """A Python of that version on this machine, on the path or among pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{version}.*/bin/python")
    for path in (shutil.which(f"python{version}"), *map(str, pyenv)):
        command = [path or "false", "-c", "import sys; print(*sys.version_info[:2], sep='.')"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        if asked.returncode == 0 and asked.stdout.strip() == version:
            return path
    return None


def installed(python: str, folder: Path) -> Path:
    """The Python of a new environment that holds the client, and what it needs."""
    uv = [tool("uv"), "--quiet", "--no-config"]
    subprocess.run([*uv, "venv", "--python", python, str(folder)], check=True, env=environment())
    made = folder / "bin" / "python"
    subprocess.run([*uv, "pip", "install", "--python", str(made), str(ROOT / "client")], check=True, env=environment())
    return made


@pytest.fixture(scope="module")
def variables(gateway: Stack) -> dict[str, str]:
    """The environment of a shell that has read `env.sh`."""
    command = f'. "{shell.write(gateway)}" && env -0'
    printed = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, env=environment())
    return dict(each.split("=", 1) for each in printed.stdout.split("\0") if "=" in each)


@pytest.fixture(scope="module", params=PYTHONS)
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = interpreter(request.param)
    if found is None:
        pytest.skip(f"no Python {request.param} here")
    return installed(found, tmp_path_factory.mktemp("caller"))


def run(python: Path, program: str, variables: dict[str, str]) -> list[str]:
    done = subprocess.run(
        [python, "-I", "-c", program], capture_output=True, text=True, check=False, env=variables, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def readme() -> tuple[str, str]:
    """The README's lines that send, and those that read results."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    sends, reads = blocks
    return sends, reads


def test_nothing_but_boto3_is_needed(python: Path) -> None:
    listed = run(
        python, "from importlib.metadata import distributions as d\nfor e in d(): print(e.name)", dict(os.environ)
    )
    needed = {"boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"}
    assert set(listed) == needed | {"voice-gateway-client"}


def test_the_readmes_lines_ring_a_phone_and_print_its_results_as_they_come(
    python: Path, variables: dict[str, str]
) -> None:
    sends, reads = readme()
    assert len([line for line in sends.splitlines() if line]) == 5
    message_id = new_id("order")
    printed = run(python, f"{sends}\n{reads}".replace("order-9633", message_id), variables)
    assert printed[0] == "accepted"
    told = [status for found, status, _ in map(str.split, printed[1:]) if found == message_id]
    assert list(dict.fromkeys(told)) == ["accepted", "delivered"]  # each once or more


ASKS = """
import datetime, os
from voice_gateway_client import Gateway, Request
gateway = Gateway.of_stack("voice-gateway")
soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
form = {"template": "order_shipped", "params": {"order": 9633, "carrier": "顺丰快递"}, "mobile": MOBILE}
print(gateway.status(ID))
print(gateway.send(Request(message_id=ID, not_before=soon, **form)).status)
print(gateway.cancel(ID).status, gateway.status(ID).status)
print(gateway.send(Request(mobile="12", content="x")).error.code)
published = gateway.publish(Request(priority="bulk", **form))
with gateway.results(os.environ["RESULTS_QUEUE_URL"], idle_seconds=20) as results:
    print(next(found.status for found in results if found.message_id == published and found.final))
"""


def test_it_asks_calls_off_and_publishes(python: Path, variables: dict[str, str]) -> None:
    given = f"ID, MOBILE = {new_id('client')!r}, {number(2)!r}\n"
    printed = run(python, given + ASKS, variables)
    assert printed == ["None", "deferred", "cancelled cancelled", "invalid_mobile", "delivered"]
