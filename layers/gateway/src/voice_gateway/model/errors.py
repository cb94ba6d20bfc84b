"""Exceptions. A vendor's answer is not one of them: it is an outcome (``call.py``)."""


class GatewayError(Exception):
    """The base of the gateway's own exceptions. Their texts hold no secret, token, number or message text."""


class SettingsError(GatewayError):
    """The deployment is set up wrongly."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__(f"{name} {rule}")
        self.name = name
        self.rule = rule


class UnreadableSecret(SettingsError):
    """A secret is not what it must be. The text names the trouble and the secret's fields, and no value."""

    def __init__(self, trouble: str) -> None:
        super().__init__("its secret", trouble)


class AwsUnavailable(GatewayError):
    """A request to AWS failed. If it was a write, it may or may not have been applied."""


class TryLater(GatewayError):
    """Nothing was rung, and the same message may be handed over again. The text is its result, as JSON."""


class BadToken(GatewayError):
    """A callback's token is absent, malformed, forged or expired."""


class Unreadable(GatewayError):
    """What a vendor sent is not what its page describes."""


class NotConnected(GatewayError):
    """No connection to the vendor was made, so nothing was sent."""


class ReplyLost(GatewayError):
    """A connection was made, and no whole reply came back: the vendor may have acted, or not."""
