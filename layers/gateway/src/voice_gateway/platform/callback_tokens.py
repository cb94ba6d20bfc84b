"""Tokens in callback addresses: no vendor signs its callbacks, so the address carries a signature (docs/protocol.md).

A token is text over ``A-Za-z0-9_.-``: fields joined by dots, the last of which is an HMAC-SHA256 over the text of
the others. It is compared as text: another base64 spelling of the same bytes is a forgery.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from voice_gateway.model.errors import BadToken, SettingsError, UnreadableSecret
from voice_gateway.model.text import without_mark
from voice_gateway.platform.secrets import Secrets, field_names, secret_object
from voice_gateway.platform.settings import Settings

_TOKEN = re.compile(r"[A-Za-z0-9_.\-]{20,512}", re.ASCII)
_KEY_ID = re.compile(r"[A-Za-z0-9_\-]{1,32}", re.ASCII)


class UnknownKey(BadToken):
    """The token names a key that is not in the cached secret; it may have been added a moment ago."""


class CallToken(NamedTuple):
    """What the token of a call's own address says: message, attempt, and when the address expires (epoch seconds)."""

    message_id: str
    attempt: str
    expires: int


@dataclass(frozen=True)
class Keyring:
    """The callback secret: the live keys, the newest last, and the key that hashes numbers."""

    keys: dict[str, bytes] = field(repr=False)
    number_key: str = field(repr=False)

    @classmethod
    def from_secret(cls, secret: str) -> "Keyring":
        """Reads ``{"keys": {id: key, …}, "number_key": …}``. Raises SettingsError.

        CloudFormation generates only one string in a secret: the number key. A key left empty is derived from it.
        """
        try:
            content = secret_object(without_mark(secret))
        except UnreadableSecret as error:
            raise SettingsError("the callback secret", error.rule) from None
        number_key, keys = content.get("number_key"), content.get("keys")
        if number_key is None or keys is None:
            rule = f"must have keys and number_key; its fields are {field_names(content)}"
            raise SettingsError("the callback secret", rule)
        if not (isinstance(number_key, str) and len(number_key) >= 32 and number_key.isascii()):
            raise SettingsError("number_key of the callback secret", "must be a text of at least 32 characters")
        if not (isinstance(keys, dict) and keys and all(_KEY_ID.fullmatch(key_id) for key_id in keys)):
            raise SettingsError("keys of the callback secret", "must hold at least one key, by a short id")
        return cls({key_id: _key(number_key, key_id, key) for key_id, key in keys.items()}, number_key)

    def number_hash(self, mobile: str) -> str:
        """The hash that is stored in place of a number. Keyed, because eleven digits are soon tried out."""
        digest = hmac.new(self.number_key.encode(), b"number:" + mobile.encode(), hashlib.sha256)
        return digest.hexdigest()[:32]

    def call_token(self, vendor: str, call: CallToken) -> str:
        """The token for one call's own address, signed with the newest key."""
        name = base64.urlsafe_b64encode(call.message_id.encode()).decode().rstrip("=")
        return self._signed(vendor, f"{call.attempt}.{call.expires}.{name}")

    def read_call_token(self, vendor: str, token: str, now: float) -> CallToken:
        """What a token says, if it is ours and still good. Raises BadToken, UnknownKey."""
        parts = self._verified(vendor, token, fields=3)
        attempt, expires, name = parts
        try:
            message_id = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
            call = CallToken(message_id, attempt, int(expires))
        except (ValueError, binascii.Error):
            raise BadToken("malformed") from None
        if call.expires <= now:
            raise BadToken("expired")
        return call

    def static_token(self, vendor: str) -> str:
        """The token of the one address that is registered in a vendor's console."""
        return self._signed(vendor, "static")

    def static_address(self, base_url: str, vendor: str) -> str:
        """The one address that is registered in a vendor's console. It holds the token: treat it as a password."""
        return callback_address(base_url, vendor, self.static_token(vendor))

    def check_static_token(self, vendor: str, token: str) -> None:
        """Raises BadToken, UnknownKey."""
        if self._verified(vendor, token, fields=1) != ["static"]:
            raise BadToken("malformed")

    def _signed(self, vendor: str, body: str) -> str:
        key_id = next(reversed(self.keys))
        text = f"{body}.{key_id}"
        return f"{text}.{_mac(self.keys[key_id], vendor, text)}"

    def _verified(self, vendor: str, token: str, fields: int) -> list[str]:
        parts = well_formed(token).split(".")
        if len(parts) != fields + 2:
            raise BadToken("malformed")
        *body, key_id, mac = parts
        key = self.keys.get(key_id)
        if key is None:
            raise UnknownKey("unknown key")
        if not hmac.compare_digest(_mac(key, vendor, ".".join([*body, key_id])), mac):
            raise BadToken("forged")
        return body


class CallbackKeys:
    """The keyring of this deployment, read from its secret, which is cached."""

    def __init__(self, settings: Settings, secrets: Secrets) -> None:
        self._settings = settings
        self._secrets = secrets
        self._read: tuple[str, Keyring] | None = None

    def keyring(self, *, anew_after: float | None = None) -> Keyring:
        """The keys; read past the cache if they were not read so in the last ``anew_after`` seconds.

        Raises AwsUnavailable, SettingsError.
        """
        arn = self._settings.callback_secret
        secret = self._secrets.text(arn) if anew_after is None else self._secrets.anew_at_most(arn, anew_after)
        if self._read is None or self._read[0] is not secret:
            self._read = (secret, Keyring.from_secret(secret))
        return self._read[1]

    def number_hash(self, mobile: str) -> str:
        """The hash that is stored in place of a number. Raises AwsUnavailable, SettingsError."""
        return self.keyring().number_hash(mobile)

    def callback_address(self, vendor: str, call: CallToken) -> str | None:
        """Where one call's receipt is to be pushed; None in poll mode. Raises AwsUnavailable, SettingsError."""
        if self._settings.poll:
            return None
        return callback_address(self._settings.callback_base_url, vendor, self.keyring().call_token(vendor, call))


def callback_address(base_url: str, vendor: str, token: str) -> str:
    """Where a vendor pushes receipts: a path of the API, whose last part is the token."""
    return f"{base_url.rstrip('/')}/callbacks/{vendor}/{token}"


def well_formed(token: str) -> str:
    """Length and alphabet, before any key is looked at. Raises BadToken."""
    if not _TOKEN.fullmatch(token):
        raise BadToken("malformed")
    return token


def _key(number_key: str, key_id: str, key: object) -> bytes:
    if key == "":
        return hmac.new(number_key.encode(), b"callback-key:" + key_id.encode(), hashlib.sha256).digest()
    if not (isinstance(key, str) and len(key) >= 32 and key.isascii()):
        raise SettingsError(f"key {key_id} of the callback secret", "must be empty, or at least 32 characters")
    return key.encode()


def _mac(key: bytes, vendor: str, text: str) -> str:
    digest = hmac.new(key, f"{vendor}/{text}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
