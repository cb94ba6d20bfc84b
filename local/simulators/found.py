"""Which simulators there are: each module beside this one that has a SIMULATOR is a vendor's."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import local.simulators

from .server import Simulator

OWN_MODULES = {"__main__", "found", "server"}


def simulators() -> dict[str, type[Simulator[Any]]]:
    """The simulators, by vendor."""
    names = sorted({each.name for each in pkgutil.iter_modules(local.simulators.__path__)} - OWN_MODULES)
    modules = [importlib.import_module(f"local.simulators.{name}") for name in names]
    return {each.SIMULATOR.vendor: each.SIMULATOR for each in modules}
