"""Credentials and keys from Secrets Manager, cached by Powertools' Parameters.

While Secrets Manager is down an expired copy is used: a credential that worked five minutes ago is better than no call.
"""

import json
import time
from collections.abc import Callable

from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from aws_lambda_powertools.utilities.parameters.secrets import SecretsProvider

from voice_gateway.model.errors import AwsUnavailable
from voice_gateway.platform import aws

MAX_AGE = 300
"""Seconds that a secret is taken from the cache."""
_REST = 30
"""Seconds for which Secrets Manager is not asked after it failed: three slow secrets would use up a function's time."""


class Secrets:
    """Reads secrets, by ARN. One a process."""

    def __init__(self, provider: SecretsProvider | None = None, clock: Callable[[], float] = time.time) -> None:
        self._provider = provider
        self._clock = clock
        self._copies: dict[str, str] = {}
        self._asked: dict[str, float] = {}
        self._failed_at = 0.0

    def text(self, arn: str, *, anew: bool = False) -> str:
        """The secret's text. ``anew`` asks past the cache. Raises AwsUnavailable if there is no old copy either."""
        copy = self._copies.get(arn)
        if copy is not None and self._clock() - self._failed_at < _REST:
            return copy
        try:
            value = self._from(arn, anew=anew)
        except GetParameterError:
            self._failed_at = self._clock()
            if copy is not None:
                return copy
            raise AwsUnavailable("secretsmanager: a secret could not be read") from None
        self._copies[arn] = value
        return value

    def anew_at_most(self, arn: str, seconds: float) -> str:
        """The secret, read past the cache at most once in ``seconds``; in between, from the cache."""
        due = self._clock() - self._asked.get(arn, -seconds) >= seconds
        if due:
            self._asked[arn] = self._clock()
        return self.text(arn, anew=due)

    def fields(self, arn: str, names: tuple[str, ...], *, anew: bool = False) -> dict[str, str] | None:
        """A vendor's credentials: every named field as text, or None if one is not filled in."""
        try:
            content = json.loads(self.text(arn, anew=anew))
        except ValueError:
            return None
        values = {name: content.get(name) for name in names} if isinstance(content, dict) else {}
        if not values or not all(isinstance(value, str) and value.strip() for value in values.values()):
            return None
        return {name: str(value).strip() for name, value in values.items()}

    def _from(self, arn: str, *, anew: bool) -> str:
        if self._provider is None:
            self._provider = SecretsProvider(boto3_client=aws.client("secretsmanager"))
        return str(self._provider.get(arn, max_age=MAX_AGE, force_fetch=anew))
