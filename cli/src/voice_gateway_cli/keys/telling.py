"""Says where a rotation stands and what comes next: in words, and as data. Never a key."""

from typing import Any

from voice_gateway import vendors

from voice_gateway_cli.keys.rotating import Moment
from voice_gateway_cli.keys.rotation import Rotation, Step, moment_text
from voice_gateway_cli.keys.standing import Action
from voice_gateway_cli.terminal.output import ago, duration, moment

_STEPS = {
    Step.ADDED: "{key} was added; it signs nothing yet",
    Step.SIGNING: "{key} began to sign",
    Step.REGISTERED: "the address signed with {key} was registered",
    Step.DONE: "{old} {was_were} taken out",
}


def lines(seen: Moment) -> list[tuple[str, str]]:
    """The state, each line with its name."""
    where = seen.standing
    keys = f"{', '.join(where.keys)}; {where.signing} signs" if len(where.keys) > 1 else f"{where.signing}, which signs"
    told = [("keys", keys)]
    rotation = where.rotation
    if rotation:
        told += [("at", f"{_at(at, seen.now)}: {step_words(rotation, Step(name))}") for name, at in _times(rotation)]
    if rotation and rotation.compromised and where.under_way:
        told.append(("note", "a key became known: the old ones go out without the long wait"))
    if where.changed_by_hand is not None:
        told.append(("note", f"changed by hand, {_at(where.changed_by_hand, seen.now)}: waits begin then"))
    return told


def step_words(rotation: Rotation, step: Step) -> str:
    """What a step has brought about."""
    old = " and ".join(rotation.old) or "the older keys"
    was_were = "was" if len(rotation.old) == 1 else "were"
    return _STEPS[step].format(key=rotation.key, old=old, was_were=was_were)


def following(seen: Moment, at: float, option: str) -> str:
    """What comes next. ``at``: from when on, as the operator wishes it; ``option`` says the stack, if it was named."""
    rotation, left = seen.standing.rotation, at - seen.now
    when = f"in {duration(left)}, at {moment(at)}" if left > 0 else "now"
    rotate = f"voice-gateway keys rotate{option}"
    match seen.due.action:
        case Action.ADD:
            return f"`{rotate}` begins a rotation; none is under way"
        case Action.SIGN if rotation:
            return f"{rotation.key} is made to sign, {when}: `{rotate}`"
        case Action.REGISTER:
            who = " and ".join(vendors.with_one_address())
            return (
                f"register the new address with {who}, `voice-gateway address{option}` prints it;"
                f" then `{rotate} --registered`"
            )
        case Action.REMOVE if rotation:
            early = left > 0 and at >= seen.due.at > seen.due.early
            hint = f"; earlier, if late receipts of old calls can be done without: `{rotate} --without-waiting`"
            return f"{_old(rotation)} out, {when}: `{rotate}`{hint if early else ''}"
        case Action.SETTLE:
            return f"nothing; the old key is refused everywhere in {duration(max(0, left))}"
    return f"{seen.standing.puzzle}. Say which one is new: {_choices(seen, rotate)}"


def _choices(seen: Moment, rotate: str) -> str:
    signs = {each: "signs" if each == seen.standing.signing else "does not sign yet" for each in seen.standing.keys}
    return ", or ".join(f"`{rotate} --new-key {each}` ({each} {does})" for each, does in signs.items())


def _old(rotation: Rotation) -> str:
    return " and ".join(rotation.old) + (" goes" if len(rotation.old) == 1 else " go")


def data(seen: Moment, at: float) -> dict[str, Any]:
    """The same for a pipe."""
    where, rotation = seen.standing, seen.standing.rotation
    told = None
    if rotation:
        told = {
            "key": rotation.key,
            "old": list(rotation.old),
            "step": rotation.step.value,
            "at": {name: moment_text(each) for name, each in _times(rotation)},
            "compromised": rotation.compromised,
        }
    return {
        "keys": list(where.keys),
        "signing": where.signing,
        "rotation": told,
        "changed_by_hand_at": None if where.changed_by_hand is None else moment_text(where.changed_by_hand),
        "puzzle": where.puzzle or None,
        "next": {
            "action": seen.due.action.value,
            "at": moment_text(at) if at else None,
            "seconds": max(0, round(at - seen.now)),
        },
    }


def _times(rotation: Rotation) -> list[tuple[str, float]]:
    return sorted(rotation.times.items(), key=lambda each: each[1])


def _at(epoch: float, now: float) -> str:
    return f"{moment(epoch)} ({ago(epoch, now)})"
