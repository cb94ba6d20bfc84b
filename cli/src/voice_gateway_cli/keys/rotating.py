"""Does the step of a rotation that is due, each checked before it is done and after."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from voice_gateway_cli.errors import UsageError
from voice_gateway_cli.keys.asking import Asking
from voice_gateway_cli.keys.rotation import Rotation, Step
from voice_gateway_cli.keys.secret import CallbackSecret, Version, new_key
from voice_gateway_cli.keys.standing import Action, Due, Standing, Waits, adopted, due, next_id, standing


class Wishes(NamedTuple):
    """What the operator says with the command."""

    registered: bool = False
    waive: bool = False
    """Late receipts of old calls can be done without, or a key became known: the long wait is waived."""
    compromised: bool = False
    new_key: str | None = None


class Moment(NamedTuple):
    """Where the rotation stands, as it was read, and what comes next."""

    version: Version
    standing: Standing
    due: Due

    @property
    def now(self) -> float:
        return self.version.now


class Rotating:
    """One run. ``asking`` is None where the callbacks are not asked; ``push`` False in poll mode.

    ``confirm`` asks before the old keys go out early, and raises where that is not wanted.
    """

    def __init__(
        self,
        secret: CallbackSecret,
        asking: Asking | None,
        waits: Waits,
        days: int,
        confirm: Callable[[Moment], None],
        *,
        push: bool,
    ) -> None:
        self._secret = secret
        self._asking = asking
        self._waits = waits
        self._days = days
        self._confirm = confirm
        self._push = push

    def moment(self) -> Moment:
        """Read anew. Raises SettingsError if the gateway could not read the secret either."""
        return self._seen(self._secret.read())

    def due_at(self, seen: Moment, wishes: Wishes) -> float:
        """From when on the next step may be done, as the operator wishes it."""
        rotation = seen.standing.rotation
        waived = wishes.waive or wishes.compromised or (rotation is not None and rotation.compromised)
        return seen.due.early if waived else seen.due.at

    def step(self, seen: Moment, wishes: Wishes) -> Moment | None:
        """Does the next step, and tells where it stands then; None if none can be done now.

        Raises CommandError if a check fails, UsageError for a wish that cannot be.
        """
        if wishes.new_key is not None and seen.due.action is not Action.NAME:
            raise UsageError(
                f"--new-key {wishes.new_key}: the keys are as a rotation leaves them, nothing is to be named"
            )
        if wishes.registered and seen.due.action in {Action.ADD, Action.SIGN, Action.NAME}:
            raise UsageError("--registered: the new key does not sign yet, so the new address was not printed yet")
        steps: Mapping[Action, Callable[[Moment, Wishes], Version | None]] = {
            Action.NAME: self._name,
            Action.ADD: self._add,
            Action.SIGN: self._sign,
            Action.REGISTER: self._register,
            Action.REMOVE: self._remove,
        }
        if seen.due.action not in steps or seen.now < self.due_at(seen, wishes):
            return None
        after = steps[seen.due.action](seen, wishes)
        return self._seen(after) if after else None

    def check_ended(self, before: Version, after: Version) -> None:
        """The keys that went out are refused, and the one that stayed is good. Raises CommandError."""
        if self._asking:
            self._asking.require_refused(before.keyring, before.keyring.keys.keys() - after.keyring.keys.keys())
            self._asking.require_good(after.keyring, after.keyring.keys)

    # The steps.

    def _name(self, seen: Moment, wishes: Wishes) -> Version | None:
        """Keys that were changed by hand: the note is written that their places say, and no key is touched."""
        if wishes.new_key is None:
            return None
        if wishes.new_key not in seen.standing.keys:
            raise UsageError(f"--new-key {wishes.new_key}: the keys are {', '.join(seen.standing.keys)}")
        note = adopted(seen.version, wishes.new_key, self._days)
        return self._write(seen, list(seen.standing.keys), note)

    def _add(self, seen: Moment, wishes: Wishes) -> Version:
        """First in ``keys``: it signs nothing, and every function gets to know it."""
        self._require_good(seen.version)
        key = next_id(seen.standing.used)
        note = Rotation(key, seen.standing.keys, Step.ADDED, {Step.ADDED.value: seen.now}, self._days)
        keys = {key: new_key(), **seen.version.content["keys"]}
        return self._secret.write(seen.version, keys, _marked(note, wishes))

    def _sign(self, seen: Moment, wishes: Wishes) -> Version:
        """Last in ``keys``: it signs from now on."""
        self._require_good(seen.version)
        note = self._note(seen).after(Step.SIGNING, seen.now, days=self._days)
        others = [each for each in seen.standing.keys if each != note.key]
        return self._write(seen, [*others, note.key], _marked(note, wishes))

    def _register(self, seen: Moment, wishes: Wishes) -> Version | None:
        """The operator says that the vendors have the new address: no vendor can be asked for it."""
        if not wishes.registered:
            return None
        self._require_good(seen.version)
        note = self._note(seen).after(Step.REGISTERED, seen.now)
        return self._write(seen, list(seen.standing.keys), _marked(note, wishes))

    def _remove(self, seen: Moment, wishes: Wishes) -> Version:
        """The old keys go out. What they signed is refused from then on."""
        if seen.now < seen.due.at:
            self._confirm(seen)
        note = self._note(seen).after(Step.DONE, seen.now)
        if self._asking:
            self._asking.require_good(seen.version.keyring, [note.key])
        return self._write(seen, [note.key], _marked(note, wishes))

    def _write(self, seen: Moment, order: list[str], note: Rotation) -> Version:
        stored = seen.version.content["keys"]
        return self._secret.write(seen.version, {each: stored[each] for each in order}, note)

    def _require_good(self, version: Version) -> None:
        if self._asking:
            self._asking.require_good(version.keyring, version.keyring.keys)

    def _seen(self, version: Version) -> Moment:
        where = standing(version)
        return Moment(version, where, due(where, self._waits, version.now, push=self._push))

    @staticmethod
    def _note(seen: Moment) -> Rotation:
        assert seen.standing.rotation  # noqa: S101 -- else no step but ADD and NAME is due
        return seen.standing.rotation


def _marked(note: Rotation, wishes: Wishes) -> Rotation:
    return note.after(note.step, note.at(note.step), compromised=note.compromised or wishes.compromised)
