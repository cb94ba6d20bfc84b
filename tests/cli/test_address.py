"""`voice-gateway address`: the address alone on standard output, for a pipe."""

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner
from voice_gateway_cli.main import app

from tests.cli.operated import BASE, World, world


@pytest.fixture
def gateway() -> Iterator[World]:
    with world() as made:
        yield made


def test_the_address_stands_alone_on_standard_output(gateway: World) -> None:
    done = CliRunner().invoke(app, ["address"])
    address = gateway.keyring.static_address(BASE, "dxtong")
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"{address}\n", "voice-gateway-test, moto:\n")
    assert json.loads(CliRunner().invoke(app, ["address", "--json"]).stdout) == {"dxtong": address}


def test_it_is_signed_with_the_key_that_signs(gateway: World) -> None:
    gateway.to("added")
    assert ".k1." in CliRunner().invoke(app, ["address"]).stdout
    gateway.to("signing")
    assert ".k2." in CliRunner().invoke(app, ["address"]).stdout


def test_in_poll_mode_there_is_none(gateway: World) -> None:
    gateway.push = False
    done = CliRunner().invoke(app, ["address"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "voice-gateway-test has no callbacks (CallbackMode is poll)" in done.stderr
