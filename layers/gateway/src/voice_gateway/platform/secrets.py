"""Credentials and keys from Secrets Manager, cached for some minutes.

While Secrets Manager is down an expired copy is used: a credential that worked five minutes ago is better than no call.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from voice_gateway.model.errors import AwsUnavailable, UnreadableSecret
from voice_gateway.model.text import code_point, without_mark
from voice_gateway.platform import aws

MAX_AGE = 300
"""Seconds that a secret is taken from the cache."""
_REST = 30
"""Seconds for which Secrets Manager is not asked after it failed: three slow secrets would use up a function's time."""
_GENERATED = "unused"
"""The field that CloudFormation fills in a vendor's fresh secret (template.yaml)."""
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,23}", re.ASCII)
_NOT_JSON = "is not JSON"


class Secrets:
    """Reads secrets, by ARN. One a process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._copies: dict[str, tuple[str, float]] = {}
        self._asked: dict[str, float] = {}
        self._failed_at = 0.0

    def text(self, arn: str, *, anew: bool = False) -> str:
        """The secret's text. ``anew`` asks past the cache.

        Raises AwsUnavailable if there is no old copy either, UnreadableSecret.
        """
        now = self._clock()
        copy, read_at = self._copies.get(arn, (None, 0.0))
        if copy is not None and ((now - read_at < MAX_AGE and not anew) or now - self._failed_at < _REST):
            return copy
        try:
            with aws.reaching("secretsmanager"):
                found = aws.client("secretsmanager").get_secret_value(SecretId=arn)
        except AwsUnavailable:
            self._failed_at = self._clock()
            if copy is not None:
                return copy
            raise
        text = stored_text(found)
        self._copies[arn] = (text, now)
        return text

    def anew_at_most(self, arn: str, seconds: float) -> str:
        """The secret, read past the cache at most once in ``seconds``; in between, from the cache."""
        due = self._clock() - self._asked.get(arn, -seconds) >= seconds
        if due:
            self._asked[arn] = self._clock()
        return self.text(arn, anew=due)

    def fields(self, arn: str, names: tuple[str, ...], *, anew: bool = False) -> dict[str, str] | None:
        """A vendor's credentials: every named field as text, or None if the secret is not filled in.

        Raises AwsUnavailable, UnreadableSecret.
        """
        return credentials(self.text(arn, anew=anew), names)


def secret_text(value: Any) -> str:
    """SecretString, or SecretBinary as text, without a byte order mark. Raises UnreadableSecret."""
    if not isinstance(value, bytes):
        return without_mark(str(value))
    try:
        return without_mark(value.decode(json.detect_encoding(value)))
    except UnicodeDecodeError:
        raise UnreadableSecret("is binary, and no text in UTF-8") from None


def stored_text(found: Mapping[str, Any]) -> str:
    """The text of an answer to GetSecretValue. Raises UnreadableSecret."""
    return secret_text(found.get("SecretString", found.get("SecretBinary", "")))


def secret_object(text: str) -> dict[str, Any]:
    """The JSON object that a secret is; a whole number in it is text. Raises UnreadableSecret."""
    try:
        content = json.loads(text, parse_int=str)
    except json.JSONDecodeError as error:
        raise UnreadableSecret(_what_is_wrong(text, error)) from None
    except (ValueError, RecursionError):
        raise UnreadableSecret(_NOT_JSON) from None
    if isinstance(content, str):
        raise UnreadableSecret("is a JSON text and not an object: was it encoded twice?")
    if not isinstance(content, dict):
        raise UnreadableSecret("is JSON, but no object")
    return content


def credentials(text: str, names: tuple[str, ...]) -> dict[str, str] | None:
    """The named fields of a vendor's secret; None if nothing at all is filled in. Raises UnreadableSecret."""
    content = secret_object(text)
    values = {name: _credential(name, content.get(name)) for name in names}
    if all(values.values()):
        return values
    others = (value for name, value in content.items() if name != _GENERATED and value is not None)
    if not any(str(value).strip() for value in others):
        return None
    absent = ", ".join(name for name in names if not values[name])
    raise UnreadableSecret(f"does not have {absent} filled in; its fields are {field_names(content)}")


def field_names(content: Mapping[str, Any]) -> str:
    """The names of a secret's fields; one that could be a value in the wrong place is only counted."""
    named = [name for name in content if _FIELD.fullmatch(name)]
    others = [f"{len(content) - len(named)} with odd names"] if len(named) < len(content) else []
    return ", ".join([*named, *others]) or "none"


def _credential(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnreadableSecret(f"has a field {name} that is no text")
    text = without_mark(value.strip()).strip()
    odd = next((char for char in text if not char.isprintable()), None)
    if odd is not None:
        raise UnreadableSecret(f"has {code_point(odd)} in its field {name}")
    return text


def _what_is_wrong(text: str, error: json.JSONDecodeError) -> str:
    """Where JSON ends to be JSON. Of the text it shows only a character that is neither letter nor digit."""
    if not text.strip():
        return "is empty"
    found = text[error.pos : error.pos + 1]
    at = f", at {code_point(found)}" if found and not found.isalnum() else ""
    why = ": a comma before the end" if "trailing comma" in error.msg else ""
    return f"{_NOT_JSON}, line {error.lineno}, column {error.colno}{at}{why}"
