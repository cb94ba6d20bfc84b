"""`make deploy ENV=…`: each environment has its own stack and section of samconfig.toml, and is asked for once."""

import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from voice_gateway_cli.deployed.target import target
from voice_gateway_cli.errors import UsageError

from local import account
from local.places import ROOT, environment

PYTHON = f"#!{sys.executable}\nimport sys\nfrom pathlib import Path\n"
NOTED = "with Path('asked').open('a') as asked: print(*{what}, file=asked)\n"
SAM = """
match sys.argv[1:]:
    case ["deploy", "--config-env", name, "--guided", "--stack-name", stack]:
        config = Path("samconfig.toml")
        text, section = config.read_text(), f"[{name}.deploy.parameters]\\n"
        if section not in text:
            text += section
        config.write_text(text.replace(section, f'{section}stack_name = "{stack}"\\n'))
"""
"""As sam does it: what was answered goes into the section that was named, which is made where it is missing."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What `make deploy` reads and writes, with a sam that only writes down what it was asked."""
    for name in ("Makefile", "samconfig.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / ".aws-sam" / "build").mkdir(parents=True)
    (tmp_path / ".aws-sam" / "build" / "template.yaml").write_text("")
    sam, python = NOTED.format(what="sys.argv[1:]") + SAM, NOTED.format(what="['python', *sys.argv[1:]]")
    for name, text in (("sam", PYTHON + sam), ("python", PYTHON + python)):
        path = tmp_path / "fake" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def deploy(checkout: Path, *settings: str) -> list[str]:
    """What sam and the look at the account were asked, without the build."""
    (checkout / "asked").unlink(missing_ok=True)
    command = ["make", "--old-file=.venv/ready", "BIN=fake", "deploy", *settings]
    path = f"{checkout / 'fake'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=checkout, env=environment() | {"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    asked = (checkout / "asked").read_text().splitlines()
    return [line for line in asked if "local.account" in line or line.startswith("deploy")]


@pytest.mark.parametrize(
    ("settings", "name", "stack"),
    [
        ((), "default", "voice-gateway"),
        (("ENV=staging",), "staging", "voice-gateway-staging"),
        (("ENV=production",), "production", "voice-gateway-production"),
        (("ENV=qa-2",), "qa-2", "voice-gateway-qa-2"),
    ],
)
def test_an_environment_is_asked_for_once_and_kept_in_its_own_section(
    checkout: Path, settings: tuple[str, ...], name: str, stack: str
) -> None:
    before = tomllib.loads((checkout / "samconfig.toml").read_text())
    look = f"python -m local.account {name}"
    assert deploy(checkout, *settings) == [look, f"deploy --config-env {name} --guided --stack-name {stack}"]
    assert deploy(checkout, *settings) == [look, f"deploy --config-env {name}"]
    after = tomllib.loads((checkout / "samconfig.toml").read_text())
    assert after.pop(name)["deploy"]["parameters"]["stack_name"] == stack
    before.pop(name, None)
    assert after == before


def test_one_environments_answers_are_not_anothers(checkout: Path) -> None:
    deploy(checkout, "ENV=staging")
    for settings in ((), ("ENV=production",)):
        assert "--guided" in deploy(checkout, *settings)[-1]


def test_production_shows_what_would_change_and_asks() -> None:
    written = tomllib.loads((ROOT / "samconfig.toml").read_text())
    assert written["production"]["deploy"]["parameters"]["confirm_changeset"] is True
    for name, section in written.items():
        assert name == "version" or "stack_name" not in section["deploy"]["parameters"], "no answer of anybody's"


@pytest.mark.parametrize("name", ["local", "", "a b", "../x", "Staging", "/root/.profile"])
def test_the_local_stacks_section_and_what_is_no_name_are_refused(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(account, "deploying", lambda environment: pytest.fail("nobody is to be asked"))
    assert account.main(name) == 1
    assert f"ENV={name}:" in capsys.readouterr().err


ANSWERED = """\
[default.deploy.parameters]
stack_name = "one"
region = "eu-central-1"
[staging.deploy.parameters]
stack_name = "two"
[staging.global.parameters]
region = "ap-northeast-1"
"""


@pytest.fixture
def answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "samconfig.toml").write_text("version = 0.1\n" + ANSWERED)
    for name in [name for name in os.environ if name.startswith(("AWS_", "VOICE_GATEWAY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("named", "stack", "region"),
    [(None, "one", "eu-central-1"), ("one", "one", "eu-central-1"), ("two", "two", "ap-northeast-1")],
)
def test_the_command_finds_a_stack_where_it_was_deployed(
    answered: Path, named: str | None, stack: str, region: str
) -> None:
    found = target(named)
    assert (found.name, found.where) == (stack, f"AWS, {region}")


def test_the_command_takes_no_environment_for_granted(answered: Path) -> None:
    (answered / "samconfig.toml").write_text(ANSWERED.partition("[staging")[1] + ANSWERED.partition("[staging")[2])
    with pytest.raises(UsageError, match="say which stack"):
        target(None)


def test_the_account_is_looked_up_where_the_environment_is_deployed(
    answered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "ROOT", answered)
    assert account.deploying("default").region_name == "eu-central-1"
    assert account.deploying("staging").region_name == "ap-northeast-1"
    assert account.deploying("new").region_name is None
