"""One request to AWS, and what a failure of it means: may it have done its work, and is another try worth it?

It may, unless it certainly did not: what is not known here, or may come after the request has left, counts as done.
"""

import json
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    MetadataRetrievalError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    SSLError,
    UnauthorizedSSOTokenError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

ERRORS = (BotoCoreError, ClientError, HTTPError, ResponseParserError)
"""What a request raises. The last two boto3 lets through, where an answer breaks off or is not AWS's."""

_NOT_LEFT_FOR_NOW = (ConnectTimeoutError, EndpointConnectionError, CredentialRetrievalError, MetadataRetrievalError)
_NOT_LEFT_UNTIL_MENDED = (
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    UnauthorizedSSOTokenError,
)
_REFUSED_FOR_NOW = {408, 409, 429}
"""Statuses of Lambda: SnapStart or the function is not ready yet, or too many invokes at once."""
_SET_UP_WRONGLY = {"SettingsError", "UnreadableSecret"}


class Failed(Exception):
    """No result. ``done``: the function may have done its work. ``again``: another try may succeed."""

    def __init__(self, why: str, *, done: bool, again: bool) -> None:
        super().__init__(why)
        self.done = done
        self.again = again


def invoke(client: Any, function: str, payload: str) -> Any:
    """What the function returns. Raises Failed."""
    try:
        reply = client.invoke(FunctionName=function, Payload=payload.encode())
        returned = json.loads(reply["Payload"].read())
    except ERRORS as error:
        raise failed(error) from error
    except ValueError as error:
        raise Failed("its answer was cut off", done=True, again=True) from error
    if reply.get("FunctionError"):
        raise _raised(returned)
    return returned


def failed(error: Exception) -> Failed:
    """What an error of a request means."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        code = error.response.get("Error", {}).get("Code", "")
        busy = status in _REFUSED_FOR_NOW or "Throttl" in code or code == "RequestLimitExceeded"
        broken = status >= 500 and not busy
        return Failed(str(error), done=broken, again=busy or broken)
    if isinstance(error, _NOT_LEFT_UNTIL_MENDED + _NOT_LEFT_FOR_NOW):
        return Failed(str(error), done=False, again=isinstance(error, _NOT_LEFT_FOR_NOW))
    # TLS that is broken is a wrong certificate, most likely; but a connection may also break like that.
    return Failed(str(error), done=True, again=not isinstance(error, SSLError))


def _raised(returned: Any) -> Failed:
    """What an exception of the function's means (docs/using.md, What `send` returns and raises)."""
    found = returned if isinstance(returned, dict) else {}
    kind, text = (str(found.get(name) or "") for name in ("errorType", "errorMessage"))
    if kind in _SET_UP_WRONGLY:
        return Failed(f"the gateway is set up wrongly: {text}", done=False, again=False)
    # TryLater too: nobody was rung, but a write whose answer was lost may have stored the message, and then it rings.
    return Failed(f"it raised {kind or 'an error'}: {_of_result(text)}", done=True, again=True)


def _of_result(text: str) -> str:
    """The text of a TryLater is a result, whose error says why."""
    try:
        return str(json.loads(text)["error"]["message"])
    except (KeyError, TypeError, ValueError):
        return text
