"""Asks the deployed callbacks which addresses are good, before a step relies on it.

Each address is asked several times at once, so that several instances of the function answer: each has its own copy of
the secret. An instance that does not know a key looks again at once, if nobody's guess used that up, so asking also
makes it known. Instances that were not asked are what the wait before each step is for.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from voice_gateway import vendors
from voice_gateway.platform.callback_tokens import Keyring

from voice_gateway_cli.deployed import callbacks
from voice_gateway_cli.deployed.callbacks import CLOSED, GOOD, REFUSED, THROTTLED
from voice_gateway_cli.errors import CommandError

TIMES = 3
_TRIES = 20
_PAUSE = 1.0
_OTHERWISE = "To go on without asking: --without-asking"


class Asking:
    """The callbacks at one address. ``say`` is told what was found, a line each."""

    def __init__(self, base: str, say: Callable[[str], None]) -> None:
        self._base = base
        self._say = say

    def require_good(self, keyring: Keyring, key_ids: Iterable[str]) -> None:
        """Every callback takes addresses signed with each of the keys. Raises CommandError."""
        for key_id in key_ids:
            for vendor in vendors.names():
                self._require(vendor, signing(keyring, key_id), key_id, GOOD)

    def require_refused(self, keyring: Keyring, key_ids: Iterable[str]) -> None:
        """No callback takes an address signed with one of the keys any more. Raises CommandError."""
        for key_id in key_ids:
            for vendor in vendors.names():
                self._require(vendor, signing(keyring, key_id), key_id, REFUSED)

    def _require(self, vendor: str, keyring: Keyring, key_id: str, wanted: int) -> None:
        address = callbacks.trial_address(self._base, vendor, keyring)
        with ThreadPoolExecutor(TIMES) as threads:
            answers = Counter(threads.map(self._answer, [address] * TIMES))
        words = "taken" if wanted == GOOD else "refused"
        if set(answers) == {wanted}:
            self._say(f"callback of {vendor}: an address signed with {key_id} is {words}, asked {TIMES} times")
            return
        raise CommandError(f"callback of {vendor}: {_wrong(key_id, answers, wanted)}")

    def _answer(self, address: str) -> int:
        """What one request is answered, once the stage lets it through."""
        for _ in range(_TRIES):
            try:
                status = callbacks.asked(address)
            except OSError as error:
                raise CommandError(f"{self._base} cannot be reached: {error}. {_OTHERWISE}") from None
            if status != THROTTLED:
                return status
            time.sleep(_PAUSE)
        raise CommandError(f"{self._base} throttles every request: try again when there is less traffic")


def signing(keyring: Keyring, key_id: str) -> Keyring:
    """The same keys, of which this one signs."""
    others = {each: key for each, key in keyring.keys.items() if each != key_id}
    return Keyring({**others, key_id: keyring.keys[key_id]}, keyring.number_key)


def _wrong(key_id: str, answers: Counter[int], wanted: int) -> str:
    if CLOSED in answers:
        return f"403; is this machine's address in CallbackCidrs? {_OTHERWISE}"
    if wanted == GOOD and REFUSED in answers:
        return (
            f"{answers[REFUSED]} of {TIMES} requests refuse an address signed with {key_id}: some function has not read"
            " the secret yet. Wait a minute and run it again; if it stays so, see the function's log"
        )
    if wanted == REFUSED and GOOD in answers:
        return f"{answers[GOOD]} of {TIMES} requests still take an address signed with {key_id}"
    told = ", ".join(str(status) for status in sorted(answers))
    return f"an address signed with {key_id} is answered {told}, not {wanted}. {_OTHERWISE}"
