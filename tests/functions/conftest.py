"""Fixtures: a gateway on moto, and one simulator a vendor for each module."""

from collections.abc import Iterator

import pytest
from moto import mock_aws

from local.simulators.dxtong import DxtongSimulator
from local.simulators.jumdata import JumdataSimulator
from tests.gateway import Gateway, deployed


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
