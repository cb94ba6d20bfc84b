"""How to talk to each vendor: one module for each, found because it is here; ``common/`` is what they share.

A vendor's module knows no settings, no state and no other vendor. Imports ``model``; only ``common/accounts.py``
imports ``platform`` as well. Begin with ``common/base.py``, then any vendor.
"""

import pkgutil
from functools import cache
from importlib import import_module

from voice_gateway.vendors.common.base import Vendor


@cache
def names() -> tuple[str, ...]:
    """The names of all vendors, in the alphabet's order: each module here is one."""
    return tuple(module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)


def with_one_address() -> tuple[str, ...]:
    """The names of the vendors that push every receipt to one address, which is registered in their console."""
    return tuple(name for name in names() if not vendor(name).callback_per_call)


@cache
def vendor(name: str) -> Vendor:
    """The vendor of that name, which is one of :func:`names`: its module's ``VENDOR``."""
    module = import_module(f"{__name__}.{name}")
    assert isinstance(module.VENDOR, Vendor)  # noqa: S101 -- a promise to the type checker
    return module.VENDOR


@cache
def reasons() -> frozenset[str]:
    """Every ``reason`` that a receipt of any vendor can have."""
    return frozenset().union(*(vendor(name).reasons for name in names()))
