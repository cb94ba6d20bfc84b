"""When a message that nobody could take is tried again (docs/using.md, Retries)."""

import hashlib

_DELAYS = (15.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Seconds before each retry; the last one over and over."""
_SPREAD = 0.2
"""Each is up to a fifth sooner or later, so that a vendor that comes back is not met by all at once."""


def retry_after(message_id: str, retries: int) -> float:
    """Seconds before the next retry of a message that was retried so often.

    By the message's id and not by chance: the same message has the same times whoever computes them.
    """
    delay = _DELAYS[min(retries, len(_DELAYS) - 1)]
    digest = hashlib.blake2s(f"{message_id} {retries}".encode(), digest_size=4).digest()
    place = int.from_bytes(digest) / 2**32
    return delay * (1 - _SPREAD + 2 * _SPREAD * place)
