"""What is raised if there is no result. A refusal by the gateway is not: it is a result, whose ``error`` says why.

Whatever is raised, the same request may be sent again under ``message_id``: it rings once.
"""

from voice_gateway_client.request import Request


class GatewayError(Exception):
    """The gateway was not reached, or did not answer. ``__cause__`` is what boto3 raised, if it did.

    ``message_id`` is the message's, also if the caller gave none. ``request`` is what was to be sent, with that id;
    None if nothing was to be.
    """

    def __init__(self, message_id: str, text: str, request: Request | None = None) -> None:
        super().__init__(text)
        self.message_id = message_id
        self.request = request

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message_id, str(self), self.request)


class NotSent(GatewayError):
    """Nothing left for the gateway in this call. What was sent under the id before stands.

    ``send(error.request)`` sends it again, once what the text names is mended.
    """


class OutcomeUnknown(GatewayError):
    """It may have been handed over, and no answer came back: it may ring, or have rung.

    ``send(error.request)`` sends it again under the same id, and rings once. Under another id it might ring twice.
    """
