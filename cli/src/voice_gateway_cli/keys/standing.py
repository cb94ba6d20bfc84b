"""Where a rotation stands, from the keys and the note beside them, and what is due when. No AWS here."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from voice_gateway_cli.keys import rotation as notes
from voice_gateway_cli.keys.rotation import Rotation, Step
from voice_gateway_cli.keys.secret import Version

_NUMBERED = re.compile(r"k([0-9]{1,9})", re.ASCII)
DAY = 86400


class Action(StrEnum):
    """What comes next."""

    ADD = "add"
    SIGN = "sign"
    REGISTER = "register"
    REMOVE = "remove"
    SETTLE = "settle"  # the old keys are out, and some functions may know them yet
    NAME = "name"  # the keys were changed by hand: only the operator knows which of them is the new one


class Waits(NamedTuple):
    """Seconds: until every function has read the secret anew, and until no address is good any more that is out."""

    short: float
    long: float


@dataclass(frozen=True)
class Standing:
    """What is in the secret. ``rotation`` is None where none is under way, and none is known to have been."""

    keys: tuple[str, ...]
    rotation: Rotation | None
    used: frozenset[str] = frozenset()
    """Ids of keys that are or were."""
    puzzle: str = ""
    """Why it cannot be told which key is the new one."""
    changed_by_hand: float | None = None
    """When the secret was changed otherwise than by a step, since the last one."""

    @property
    def signing(self) -> str:
        return self.keys[-1]

    @property
    def under_way(self) -> Rotation | None:
        return self.rotation if self.rotation and self.rotation.step is not Step.DONE else None


class Due(NamedTuple):
    """What comes next, and from when on (epoch seconds). ``early``: from when on it can be had by waiving the long
    wait."""

    action: Action
    at: float
    early: float


def standing(version: Version) -> Standing:
    """Reads the note, and holds it against the keys: they count where the two differ."""
    keys = tuple(version.keyring.keys)
    note = notes.read(version.content.get(notes.FIELD))
    used = frozenset({*keys, *((note.key, *note.old) if note else ())})
    by_hand = version.created if note and note.version != version.version_id else None
    if len(keys) == 1:
        return Standing(keys, _ended(note, keys[0], version.created), used, changed_by_hand=by_hand)
    if note is None or note.step is Step.DONE:
        return Standing(keys, None, used, f"{' and '.join(keys)} are there, and nothing says which one is new", by_hand)
    if note.key not in keys:
        return Standing(keys, None, used, f"the new key, {note.key}, is not there any more", by_hand)
    if strange := [each for each in keys if each not in {note.key, *note.old}]:
        return Standing(
            keys, None, used, f"{', '.join(strange)} was added by hand while {note.key} was rotated in", by_hand
        )
    return Standing(keys, _placed(note, keys, version.created), used, changed_by_hand=by_hand)


def adopted(version: Version, key: str, days: int) -> Rotation:
    """A note for keys that were changed by hand, once the operator says which one is new.

    It is known to have been there, and in that place, since this version was written.
    """
    keys = tuple(version.keyring.keys)
    step = Step.SIGNING if keys[-1] == key else Step.ADDED
    old = tuple(each for each in keys if each != key)
    return Rotation(key, old, step, {step.value: version.created}, days)


def due(where: Standing, waits: Waits, now: float, *, push: bool) -> Due:
    """``push`` False: in poll mode there is no address to register."""
    if where.puzzle:
        return Due(Action.NAME, 0, 0)
    found = where.rotation
    if found is None:
        return Due(Action.ADD, 0, 0)
    since = where.changed_by_hand or 0.0  # until then functions may have read whatever was there
    known = max(found.at(found.step), since) + waits.short
    match found.step:
        case Step.ADDED:
            return Due(Action.SIGN, known, known)
        case Step.SIGNING if push:
            return Due(Action.REGISTER, 0, 0)
        case Step.DONE:
            return Due(Action.SETTLE, known, known) if now < known else Due(Action.ADD, 0, 0)
    signed_by_all = max(found.at(Step.SIGNING), since) + waits.short
    last_address = max(signed_by_all, found.at(Step.REGISTERED))
    return Due(Action.REMOVE, last_address + max(waits.long, found.days * DAY), signed_by_all)


def next_id(used: Iterable[str]) -> str:
    """The id of a new key: ``k2`` after ``k1``. That of a key that is gone is not taken again."""
    numbers = [int(found[1]) for each in used if (found := _NUMBERED.fullmatch(each))]
    return f"k{max(numbers, default=0) + 1}"


def _ended(note: Rotation | None, key: str, changed: float) -> Rotation | None:
    """With one key no rotation is under way: the last one ended, if it was to that key, or was given up by hand."""
    if note is None or note.key != key:
        return None
    return note if note.step is Step.DONE else note.after(Step.DONE, changed)


def _placed(note: Rotation, keys: tuple[str, ...], changed: float) -> Rotation:
    """The note, or where somebody put the new key elsewhere by hand, the step that its place is."""
    last = keys[-1] == note.key
    if last is (note.step is not Step.ADDED):
        return note
    return note.after(Step.SIGNING if last else Step.ADDED, changed)
