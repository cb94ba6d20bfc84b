"""Fixtures: the gateway on moto that the functions' tests use."""

from tests.functions.conftest import _unhooked, dxtong, gateway, jumdata, simulators

__all__ = ["_unhooked", "dxtong", "gateway", "jumdata", "simulators"]
