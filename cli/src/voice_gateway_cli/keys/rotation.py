"""The note in the callback secret, in a field that the gateway does not read: how far a rotation is."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

FIELD = "rotation"


class Step(StrEnum):
    """What was done last."""

    ADDED = "added"  # the new key is in the secret, and an older one signs
    SIGNING = "signing"  # the new key signs
    REGISTERED = "registered"  # the vendors with one address for all calls have the new one
    DONE = "done"  # the older keys are out


@dataclass(frozen=True)
class Rotation:
    """One rotation: to ``key``, from those that are to go out. ``times`` are epoch seconds, by AWS's clock."""

    key: str
    old: tuple[str, ...]
    step: Step
    times: Mapping[str, float] = field(default_factory=dict)
    days: int = 0
    """RetentionDays when the key began to sign: what was signed before lives so long, though it be shorter now."""
    compromised: bool = False
    version: str = ""
    """The version of the secret that this note was written with: of a later one somebody else wrote something."""

    def after(self, step: Step, now: float, **changes: Any) -> "Rotation":
        """The note once a step was done."""
        return replace(self, step=step, times={**self.times, step.value: now}, **changes)

    def at(self, step: Step) -> float:
        """When a step was done; 0 if nobody wrote it down."""
        return self.times.get(step.value, 0.0)

    def written(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "key": self.key,
            "old": list(self.old),
            "step": self.step.value,
            "at": {name: moment_text(at) for name, at in self.times.items()},
            "days": self.days,
            "compromised": self.compromised,
            "version": self.version,
        }


def read(value: Any) -> Rotation | None:
    """The note; None if there is none, or none that can be read: then the keys alone count."""
    try:
        return Rotation(
            key=_text(value["key"]),
            old=tuple(_text(each) for each in value["old"]),
            step=Step(value["step"]),
            times={Step(name).value: _epoch(at) for name, at in value["at"].items()},
            days=int(value["days"]),
            compromised=value["compromised"] is True,
            version=_text(value["version"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def moment_text(epoch: float) -> str:
    return datetime.datetime.fromtimestamp(epoch, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _epoch(text: Any) -> float:
    return datetime.datetime.fromisoformat(_text(text)).timestamp()


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
