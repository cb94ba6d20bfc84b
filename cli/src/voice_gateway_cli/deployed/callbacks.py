"""The deployed callbacks as a vendor reaches them: which addresses there are, and how they answer."""

import time
import urllib.error
import urllib.request
from collections.abc import Mapping

from voice_gateway import vendors
from voice_gateway.platform.callback_tokens import CallToken, Keyring, callback_address

from voice_gateway_cli.deployed.stack import Stack
from voice_gateway_cli.errors import CommandError

GOOD, REFUSED, THROTTLED, CLOSED = 413, 404, 429, 403
"""How an address is answered that is asked with a body that is too large: its token is good; is not; it was not looked
at; this machine's address is not among those that may call."""
_TOO_LARGE = b"x" * (64 * 1024 + 1)
_LIFE = 300
"""Seconds for which an address of a call is good that is made to be asked only."""


def base_url(stack: Stack) -> str | None:
    """Where the callbacks are; None in poll mode."""
    return stack.outputs.get("CallbackBaseUrl")


def addresses(stack: Stack) -> Mapping[str, str]:
    """The addresses to register, with their tokens, by vendor. Raises CommandError in poll mode: there are none."""
    base = base_url(stack)
    if base is None:
        raise CommandError(f"{stack.name} has no callbacks (CallbackMode is poll)")
    keyring = stack.keyring()
    return {name: keyring.static_address(base, name) for name in vendors.with_one_address()}


def trial_address(base: str, vendor: str, keyring: Keyring) -> str:
    """An address as the vendor has one: the registered one, or that of a call that there never was."""
    if not vendors.vendor(vendor).callback_per_call:
        return keyring.static_address(base, vendor)
    return callback_address(base, vendor, keyring.call_token(vendor, never_placed("smoke")))


def never_placed(message_id: str) -> CallToken:
    """What the token of a call says that was not placed."""
    return CallToken(message_id, "smoke", int(time.time()) + _LIFE)


def asked(address: str) -> int:
    """How an address is answered whose token is to be looked at, and nothing kept. Raises OSError."""
    return post(address, _TOO_LARGE)[0]


def post(address: str, body: bytes, content_type: str = "application/json") -> tuple[int, str]:
    """Status and text of the answer. Raises OSError where there is none."""
    headers = {"Content-Type": content_type}
    request = urllib.request.Request(address, data=body, headers=headers)  # noqa: S310 - the stack's own
    proxies: dict[str, str] | None = {} if request.host.startswith("127.0.0.1") else None
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler(proxies)).open(request, timeout=35) as reply:
            return reply.status, reply.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
