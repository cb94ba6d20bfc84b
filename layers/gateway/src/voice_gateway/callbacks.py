"""The story of the callbacks: verify, keep, and only then answer ``success`` (docs/protocol.md).

Whoever does not hold a token of ours costs no request to AWS and learns nothing; whatever comes with one is never lost:
it goes to the table, else to the outbox, and what cannot be read goes to the dead letters as it came.
"""

import base64
import binascii
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from voice_gateway import decoding, letters, numbers, signatures, vendors
from voice_gateway.errors import AwsUnavailable, BadToken, SettingsError, Unreadable
from voice_gateway.letters import Kind
from voice_gateway.model import Receipt
from voice_gateway.observability import Record, log
from voice_gateway.outbox import DeadLetters, Outbox
from voice_gateway.secrets import Secrets
from voice_gateway.settings import Settings
from voice_gateway.settling import Settling
from voice_gateway.signatures import CallToken, Keyring, UnknownKey
from voice_gateway.store import DAY

LARGEST_BODY = 65536
"""Bytes of a callback's body, decoded."""
_KEY_REREAD_SECONDS = 60.0

HttpResponse = dict[str, Any]


class Callbacks:
    """Takes one vendor's callbacks."""

    def __init__(
        self,
        vendor: str,
        settings: Settings,
        secrets: Secrets,
        settling: Settling,
        outbox: Outbox,
        dead_letters: DeadLetters,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._vendor = vendors.vendor(vendor)
        self._settings = settings
        self._secrets = secrets
        self._settling = settling
        self._outbox = outbox
        self._dead_letters = dead_letters
        self._clock = clock

    def receive(self, event: dict[str, Any], record: Record) -> HttpResponse:
        """Answers one HTTP request of API Gateway's proxy integration. Never raises: the vendor pushes again on 500."""
        now = self._clock()
        record.note(vendor=self._vendor.name)
        try:
            keyring, token = self._verified((event.get("pathParameters") or {}).get("token") or "", now)
        except BadToken as error:
            record.note(refused=str(error))
            record.count("BadToken")
            return _response(404)
        except (AwsUnavailable, SettingsError) as error:
            log.error("the callback key could not be read", extra={"why": str(error)})
            record.count("NotKept")
            return _response(500)
        if token is not None:
            record.note(message_id=token.message_id)
        body = _body(event)
        if len(body) > LARGEST_BODY:
            record.count("TooLarge")
            return _response(413)
        try:
            self._keep(event, body, keyring, token, now, record)
        except AwsUnavailable as error:
            log.error("a callback could not be kept", extra={"why": str(error)})
            record.count("NotKept")
            return _response(500)
        return _response(200, "success")

    def _verified(self, token: str, now: float) -> tuple[Keyring, CallToken | None]:
        """The keys, and what the token says where it names a message. Raises BadToken, AwsUnavailable."""
        signatures.well_formed(token)
        secret = self._settings.callback_secret
        keyring = Keyring.from_secret(self._secrets.text(secret))
        try:
            return keyring, self._read(keyring, token, now)
        except UnknownKey:
            keyring = Keyring.from_secret(self._secrets.anew_at_most(secret, _KEY_REREAD_SECONDS))
            return keyring, self._read(keyring, token, now)

    def _read(self, keyring: Keyring, token: str, now: float) -> CallToken | None:
        if self._vendor.own_address:
            return keyring.read_call_token(self._vendor.name, token, now)
        keyring.check_static_token(self._vendor.name, token)
        return None

    def _keep(
        self,
        event: dict[str, Any],
        body: bytes,
        keyring: Keyring,
        token: CallToken | None,
        now: float,
        record: Record,
    ) -> None:
        """Raises AwsUnavailable where neither table nor queue took it."""
        content_type = _header(event, "content-type")
        try:
            fields = decoding.callback(body, content_type, _query(event))
            receipt = self._vendor.read_callback(fields)
        except Unreadable as error:
            record.count("Unreadable")
            self._dead_letters.keep(
                f"unreadable callback of {self._vendor.name}: {error}",
                {
                    "message_id": token and token.message_id,
                    "content_type": content_type,
                    "query": _query(event),
                    "body_base64": base64.b64encode(body).decode(),
                },
            )
            return
        record.note(call_id=receipt.call_id, code=receipt.code, reason=receipt.reason, status=str(receipt.state))
        self._apply(receipt, keyring, token, now, record)

    def _apply(self, receipt: Receipt, keyring: Keyring, token: CallToken | None, now: float, record: Record) -> None:
        rhash = numbers.keyed_hash(keyring.number_key, receipt.mobile) if receipt.mobile else None
        ttl = int(now) + self._settings.retention_days * DAY
        try:
            if token is not None:
                settled = self._settling.of_message(token.message_id, receipt, "token", now)
            else:
                settled = self._settling.at_call_id(receipt, rhash, ttl, now, now)
        except AwsUnavailable:
            message_id = token.message_id if token else None
            self._outbox.keep(Kind.RECEIPT, letters.receipt(receipt, rhash, message_id, ttl, now))
            record.note(receipt="outbox")
            return
        record.note(receipt=str(settled))
        record.count(f"Receipt{settled.title()}")


def _body(event: dict[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return str(body).encode("utf-8", "surrogatepass")


def _query(event: dict[str, Any]) -> str:
    """The query string, built again from API Gateway's parsed parameters."""
    return urlencode(event.get("queryStringParameters") or {}, errors="replace")


def _header(event: dict[str, Any], name: str) -> str:
    headers = event.get("headers") or {}
    return next((str(value) for key, value in headers.items() if key.lower() == name), "")


def _response(status: int, body: str = "") -> HttpResponse:
    return {"statusCode": status, "headers": {"Content-Type": "text/plain; charset=utf-8"}, "body": body}
