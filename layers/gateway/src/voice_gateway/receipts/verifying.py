"""Verifies the token of a callback's address: no vendor signs its callbacks (docs/protocol.md)."""

from voice_gateway.platform.callback_tokens import CallbackKeys, CallToken, Keyring, UnknownKey, well_formed
from voice_gateway.vendors.common.base import Vendor

_KEY_REREAD_SECONDS = 60.0


class Verifier:
    """Verifies the tokens of one vendor's callbacks."""

    def __init__(self, vendor: Vendor, keys: CallbackKeys) -> None:
        self._vendor = vendor
        self._keys = keys

    def verified(self, token: str, now: float) -> tuple[Keyring, CallToken | None]:
        """The keys, and what the token says if it is a call's own.

        Length and alphabet come first, before any request to AWS. An unknown key may have been added a moment ago: the
        secret is read again, at most once a minute. Raises BadToken, AwsUnavailable, SettingsError.
        """
        well_formed(token)
        keyring = self._keys.keyring()
        try:
            return keyring, self._read(keyring, token, now)
        except UnknownKey:
            keyring = self._keys.keyring(anew_after=_KEY_REREAD_SECONDS)
            return keyring, self._read(keyring, token, now)

    def _read(self, keyring: Keyring, token: str, now: float) -> CallToken | None:
        if self._vendor.callback_per_call:
            return keyring.read_call_token(self._vendor.name, token, now)
        keyring.check_static_token(self._vendor.name, token)
        return None
