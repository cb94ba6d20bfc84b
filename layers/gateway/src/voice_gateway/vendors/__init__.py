"""The vendors there are: each module of this package but ``base`` is one, and its ``VENDOR`` is how it is spoken to."""

import pkgutil
from functools import cache
from importlib import import_module

from voice_gateway.vendors.base import Vendor


@cache
def names() -> tuple[str, ...]:
    """The names of all vendors, in the alphabet's order."""
    return tuple(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base")


@cache
def vendor(name: str) -> Vendor:
    """The vendor of that name, which is one of :func:`names`."""
    module = import_module(f"{__name__}.{name}")
    assert isinstance(module.VENDOR, Vendor)  # noqa: S101 -- a promise to the type checker
    return module.VENDOR
