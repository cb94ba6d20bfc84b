"""A gateway on moto whose callback key is rotated by the command: its functions are the real ones, several of each."""

import base64
import io
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from typing import Any

import boto3
import pytest
import time_machine
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws
from moto.secretsmanager.models import SecretsManagerBackend
from typer.testing import CliRunner, Result
from voice_gateway import vendors
from voice_gateway.platform.callback_tokens import Keyring
from voice_gateway_cli import session
from voice_gateway_cli.deployed import callbacks
from voice_gateway_cli.deployed.stack import Stack
from voice_gateway_cli.keys import asking, running
from voice_gateway_cli.main import app

from tests.functions.test_callbacks import event
from tests.gateway import REGION, STACK, Context, Gateway, _load, deployed

BASE = "https://api.example"
NOW = 1_800_000_000.0
NUMBER_KEY = "n" * 64
DAY = 86400
SHORT = running.SHORT
INSTANCES = 2

STEPS: dict[str, tuple[str, ...]] = {
    "added": (),
    "signing": (),
    "registered": ("--registered",),
    "done": ("--without-waiting", "--yes"),
}
"""Each step, with the options that it takes."""

Hook = Callable[..., Any]


class World:
    """One deployed gateway, its operator, and a clock that stands until it is turned."""

    def __init__(self, gateway: Gateway, clock: time_machine.Traveller, patch: pytest.MonkeyPatch) -> None:
        self.clock = clock
        self.client = _session().client("secretsmanager")
        self.arn = gateway.environ["CALLBACK_SECRET_ARN"]
        self.parameters = {"RetentionDays": "30"}
        self.push = True
        self.hooks: list[tuple[str, Hook]] = []
        self.asked: list[str] = []
        self.answers: Callable[[str], int] | None = None
        self._instances = {
            name: itertools.cycle([_load(f"callback_{name}") for _ in range(INSTANCES)]) for name in vendors.names()
        }
        self._lock = threading.Lock()
        patch.setattr(session, "target", lambda *_: self._stack())
        patch.setattr(callbacks, "post", self._post)
        for module in (running, asking):
            patch.setattr(module.time, "sleep", clock.shift)

    # The operator.

    def operate(self, *arguments: str, typed: str | None = None) -> Result:
        """One run of the command, which prints nothing that it must not."""
        done = CliRunner().invoke(app, list(arguments), input=typed)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        for secret in (*self.keys.values(), NUMBER_KEY, *(key.hex() for key in self.keyring.keys.values())):
            assert not secret or secret not in done.output
        for vendor in vendors.with_one_address():
            assert self.keyring.static_token(vendor) not in done.output
        return done

    def rotate(self, *options: str) -> Any:
        """What a run of `keys rotate` that goes well tells."""
        done = self.operate("keys", "rotate", "--json", *options)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def status(self) -> Any:
        done = self.operate("keys", "status", "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def to(self, step: str) -> None:
        """A rotation brought to a step, and the minutes after it over."""
        for each in list(STEPS)[: list(STEPS).index(step) + 1]:
            self.rotate(*STEPS[each])
            self.clock.shift(SHORT)

    def due(self, step: str) -> tuple[str, ...]:
        """A rotation brought to where this step is due; the options that it takes."""
        if at := list(STEPS).index(step):
            self.to(list(STEPS)[at - 1])
        return STEPS[step]

    # The secret.

    @property
    def content(self) -> dict[str, Any]:
        found = self.client.get_secret_value(SecretId=self.arn)
        content: dict[str, Any] = json.loads(found.get("SecretString") or found["SecretBinary"])
        return content

    @property
    def keys(self) -> dict[str, str]:
        keys: dict[str, str] = self.content["keys"]
        return keys

    @property
    def keyring(self) -> Keyring:
        return Keyring.from_secret(json.dumps(self.content))

    def put(self, content: dict[str, Any]) -> None:
        """By hand, as in the console."""
        self.client.put_secret_value(SecretId=self.arn, SecretString=json.dumps(content))

    def by_hand(self, keys: dict[str, str], **fields: Any) -> None:
        self.put({**self.content, "keys": keys, **fields})

    # The callbacks.

    def taken(self, keyring: Keyring) -> bool:
        """Whether every instance of every callback takes what this keyring signs."""
        addresses = [callbacks.trial_address(BASE, vendor, keyring) for vendor in vendors.names()]
        return {self._post(address, b"x" * 70000)[0] for address in addresses for _ in range(INSTANCES)} == {413}

    def _post(self, address: str, body: bytes) -> tuple[int, str]:
        with self._lock:
            self.asked.append(address)
            if self.answers:
                return self.answers(address), ""
            vendor, token = address.removeprefix(f"{BASE}/callbacks/").split("/")
            handler = next(self._instances[vendor]).handler
            with redirect_stdout(io.StringIO()):  # its log
                answer = handler(event(vendor, token, body, "application/json"), Context())
            text = answer["body"]
            return answer["statusCode"], base64.b64decode(text).decode() if answer.get("isBase64Encoded") else text

    def _stack(self) -> Stack:
        stack = Stack(STACK, "moto", _session(), {})
        outputs = {"CallbackSecretArn": self.arn} | ({"CallbackBaseUrl": BASE} if self.push else {})
        stack.__dict__["described"] = {
            "Outputs": [{"OutputKey": name, "OutputValue": value} for name, value in outputs.items()],
            "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in self.parameters.items()],
        }
        events = stack.client("secretsmanager").meta.events
        for name, hook in self.hooks:
            events.register(name, hook)
        return stack

    @contextmanager
    def hooked(self, name: str, hook: Hook) -> Iterator[None]:
        """Something happens around a request of the operator's."""
        self.hooks.append((name, hook))
        try:
            yield
        finally:
            self.hooks.clear()


@cache
def _session() -> boto3.Session:
    """One for all tests: it takes long to read what a service is like."""
    return boto3.Session("testing", "testing", region_name=REGION)


def lost(**_: Any) -> None:
    """The network ends here."""
    raise EndpointConnectionError(endpoint_url="https://secretsmanager")


@contextmanager
def world() -> Iterator[World]:
    with (
        pytest.MonkeyPatch.context() as patch,
        time_machine.travel(NOW, tick=False) as clock,
        mock_aws(),
        deployed({}) as gateway,
    ):
        _as_aws(patch)
        yield World(gateway, clock, patch)


def _as_aws(patch: pytest.MonkeyPatch) -> None:
    """A version that AWSCURRENT was moved to is the one that is read without naming a version: moto forgets that."""
    move = SecretsManagerBackend.update_secret_version_stage

    def moved(
        self: Any, secret_id: str, version_stage: str, remove_from_version_id: str, move_to_version_id: str
    ) -> Any:
        done = move(self, secret_id, version_stage, remove_from_version_id, move_to_version_id)
        if version_stage == "AWSCURRENT":
            self.secrets[secret_id].set_default_version_id(move_to_version_id)
        return done

    patch.setattr(SecretsManagerBackend, "update_secret_version_stage", moved)
