"""The callback secret: read with its version, and written only over the version that was read.

A write is two requests. PutSecretValue stores the new content as a version that nobody reads yet, for it has a label
of our own; UpdateSecretVersionStage then moves AWSCURRENT to it *from the version that was read*, and is refused if
AWSCURRENT is elsewhere by now, whoever put it there: another run of this command, the console, `put-secret-value`. So
of two writers at the same time one succeeds, and the other is told. An interruption between the two requests changes
nothing.

Not covered: somebody who writes *after* us what they had read *before* us, by means that look at no version (the
console, `put-secret-value`): the note is gone then, or names another version, and the next run says so. That AWS itself
compares and moves as one is its documentation's word (UpdateSecretVersionStage, RemoveFromVersionId).
"""

import contextlib
import json
import secrets
import string
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError
from voice_gateway.model.text import without_mark
from voice_gateway.platform.callback_tokens import Keyring
from voice_gateway.platform.secrets import stored_text

from voice_gateway_cli.deployed.stack import Stack
from voice_gateway_cli.errors import CommandError
from voice_gateway_cli.keys.rotation import FIELD, Rotation

PENDING = "voice-gateway-keys"
"""The label of a version that is stored and not current yet."""
_CURRENT = "AWSCURRENT"
_CHARACTERS = string.ascii_letters + string.digits
_LENGTH = 48


class Changed(CommandError):
    """Somebody else changed the secret meanwhile. Nothing of ours was written."""


class Version(NamedTuple):
    """The secret as it was read. ``created`` and ``now``: epoch seconds, by AWS's clock."""

    content: Mapping[str, Any]
    keyring: Keyring
    version_id: str
    created: float
    now: float

    def __repr__(self) -> str:
        return f"Version({self.version_id})"


class CallbackSecret:
    """The callback secret of one stack. Every method raises what boto3 raises, too."""

    def __init__(self, stack: Stack) -> None:
        self._client = stack.client("secretsmanager")
        self._arn = stack.output("CallbackSecretArn")

    def read(self) -> Version:
        """Raises SettingsError if the gateway could not read it either."""
        found = self._client.get_secret_value(SecretId=self._arn, VersionStage=_CURRENT)
        text = stored_text(found)
        keyring = Keyring.from_secret(text)
        content: dict[str, Any] = json.loads(without_mark(text))
        return Version(content, keyring, found["VersionId"], found["CreatedDate"].timestamp(), _now(found))

    def write(self, before: Version, keys: Mapping[str, str], rotation: Rotation) -> Version:
        """Writes keys and note over the version that was read, and reads them back.

        Raises Changed if the secret is not at that version any more, CommandError if it is not as it was to be.
        """
        version_id = str(uuid.uuid4())
        note = replace(rotation, version=version_id).written()
        content = {**before.content, "keys": dict(keys), FIELD: note}
        _unharmed(before, content)
        text = json.dumps(content)
        self._client.put_secret_value(
            SecretId=self._arn, SecretString=text, ClientRequestToken=version_id, VersionStages=[PENDING]
        )
        try:
            self._make_current(version_id, before.version_id)
        finally:
            with contextlib.suppress(ClientError):  # nobody reads it by that label: it only says what was left behind
                self._client.update_secret_version_stage(
                    SecretId=self._arn, VersionStage=PENDING, RemoveFromVersionId=version_id
                )
        after = self.read()
        if after.version_id != version_id:
            raise CommandError(
                "the secret was changed again right after it was written: see `voice-gateway keys status`"
            )
        if after.content != content or after.keyring.number_key != before.keyring.number_key:
            raise CommandError("the secret is not as it was written: see `voice-gateway keys status`")
        return after

    def _make_current(self, version_id: str, before: str) -> None:
        try:
            self._client.update_secret_version_stage(
                SecretId=self._arn, VersionStage=_CURRENT, MoveToVersionId=version_id, RemoveFromVersionId=before
            )
        except ClientError:
            current = self.read().version_id
            if current == version_id:  # the answer to a first attempt was lost
                return
            if current != before:
                raise Changed(
                    "somebody else changed the secret at the same time; nothing was written. "
                    "`voice-gateway keys status` says where it stands now"
                ) from None
            raise


def new_key() -> str:
    return "".join(secrets.choice(_CHARACTERS) for _ in range(_LENGTH))


def _unharmed(before: Version, content: Mapping[str, Any]) -> None:
    """What is about to be written leaves the number key and every key that stays as they are. Raises CommandError."""
    after = Keyring.from_secret(json.dumps(content))
    kept = before.keyring.keys.keys() & after.keys.keys()
    same = all(before.keyring.keys[each] == after.keys[each] for each in kept)
    if not same or not kept or after.number_key != before.keyring.number_key:
        raise CommandError("what would be written is not what was read: nothing was written")


def _now(found: Mapping[str, Any]) -> float:
    """AWS's clock, by which versions are dated too: the operators' machines may differ."""
    said = found["ResponseMetadata"]["HTTPHeaders"].get("date")
    try:
        return parsedate_to_datetime(said).timestamp() if said else time.time()
    except ValueError:
        return time.time()
