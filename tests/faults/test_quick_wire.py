"""A quick part of the fault harness, for every test run: each attack a few times. `make faults` prints the figures."""

import pytest

from tests.faults import parsers, processes, races, wire
from tests.faults.figures import Figure

pytestmark = pytest.mark.enable_socket


def reached(figures: list[Figure]) -> None:
    assert figures
    missed = [f"{figure.what}: {figure.value}, not {figure.goal}" for figure in figures if not figure.reached]
    assert not missed


def test_threads_ring_once_and_lose_no_receipt() -> None:
    reached(races.run(1, 5, count=5, races=60, receipts=64, moto_rounds=0))


def test_a_broken_vendor_has_the_outcome_that_is_documented() -> None:
    reached(wire.vendors_over_sockets(step=40))


def test_a_bomb_grows_nothing() -> None:
    reached([figure for figure in wire.a_bomb(16_000_000) if "memory" in figure.what])


def test_aws_down_after_the_call_loses_nothing() -> None:
    reached(wire.aws_down(("after the call",), alone=True))


def test_killed_processes_ring_once_and_lose_no_result() -> None:
    reached(processes.run(1, 10, kills=12, size=9)[:2])


@pytest.mark.parametrize("parser", list(parsers.parsers()), ids=lambda parser: parser.name)
def test_arbitrary_input_raises_only_what_is_declared(parser: parsers.Parser) -> None:
    assert parsers.attack(parser, seed=1, inputs=150) == []
