"""What is raised: whether anything was rung, and what may be repeated.

A refusal by the gateway is not raised: it is a result, whose ``error`` says why.
"""


class GatewayError(Exception):
    """The gateway was not reached, or did not answer. ``__cause__`` is what boto3 raised, if it did.

    ``message_id``: the message's, also if the caller gave none.
    """

    def __init__(self, message_id: str, text: str) -> None:
        super().__init__(text)
        self.message_id = message_id

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message_id, str(self))


class NotSent(GatewayError):
    """Nothing was rung, and nothing is kept: the request may be sent again, once what the text names is mended."""


class OutcomeUnknown(GatewayError):
    """It was handed over, and no answer came back: it may ring, or have rung.

    Ask ``status``, or send the same request again **under this** ``message_id``, for which it rings once at most. Under
    another it might ring twice.
    """
