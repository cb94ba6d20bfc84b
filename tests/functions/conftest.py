"""Fixtures: a gateway on moto, and one simulator a vendor for each module."""

from collections.abc import Iterator

import pytest
from moto import mock_aws
from voice_gateway.platform import aws

from local.simulators.dxtong import DxtongSimulator
from local.simulators.jumdata import JumdataSimulator
from tests.gateway import HOOK, Gateway, deployed


@pytest.fixture(scope="module")
def simulators() -> Iterator[tuple[DxtongSimulator, JumdataSimulator]]:
    with (
        DxtongSimulator(slow_seconds=3, balance=100000) as dxtong,
        JumdataSimulator(slow_seconds=3, balance=100000) as jumdata,
    ):
        yield dxtong, jumdata


@pytest.fixture
def dxtong(simulators: tuple[DxtongSimulator, JumdataSimulator]) -> DxtongSimulator:
    simulators[0].forget()
    return simulators[0]


@pytest.fixture
def jumdata(simulators: tuple[DxtongSimulator, JumdataSimulator]) -> JumdataSimulator:
    simulators[1].forget()
    return simulators[1]


@pytest.fixture
def gateway(dxtong: DxtongSimulator, jumdata: JumdataSimulator) -> Iterator[Gateway]:
    with mock_aws(), deployed({"dxtong": dxtong.address, "jumdata": jumdata.address}) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def _unhooked() -> Iterator[None]:
    """Takes out what ``between`` and ``lose_reply`` hooked in (test_rules.py)."""
    yield
    if not aws.client.cache_info().currsize:  # no test has needed AWS yet, and there is no region to make a client for
        return
    aws.client("dynamodb").meta.events.unregister("before-call", unique_id=f"{HOOK}-between")
    aws.client("dynamodb").meta.events.unregister("after-call", unique_id=f"{HOOK}-lost")
