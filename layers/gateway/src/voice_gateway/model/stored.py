"""Reading what another release of the gateway wrote: during a deployment two of them write side by side."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


def known_fields(kind: type[_Dataclass], found: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of ``kind``: those that a later release added are passed over."""
    return {name: found[name] for name in kind.__dataclass_fields__ if name in found}
