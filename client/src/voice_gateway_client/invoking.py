"""One request to AWS, and what a failure of it means: may it have done its work, and is another try worth it?"""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, SSLError
from botocore.exceptions import ConnectionError as NoConnection

_BUSY = {"Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException"}
"""SNS says some of them with status 400."""
_NOTHING_KEPT = "TryLater"
_SET_UP_WRONGLY = {"SettingsError", "UnreadableSecret"}


class Failed(Exception):
    """No result. ``done``: the function may have done its work. ``again``: another try may succeed."""

    def __init__(self, why: str, *, done: bool, again: bool) -> None:
        super().__init__(why)
        self.done = done
        self.again = again


def invoke(client: Any, function: str, payload: Mapping[str, Any]) -> Any:
    """What the function returns. Raises Failed; ValueError or TypeError if the payload cannot be written as JSON."""
    body = json.dumps(payload, ensure_ascii=False).encode()
    try:
        reply = client.invoke(FunctionName=function, Payload=body)
        returned = json.loads(reply["Payload"].read())
    except (BotoCoreError, ClientError) as error:
        raise failed(error) from error
    except ValueError as error:
        raise Failed("its answer was cut off", done=True, again=True) from error
    if reply.get("FunctionError"):
        raise _raised(returned)
    return returned


def failed(error: BotoCoreError | ClientError) -> Failed:
    """What an error of boto3 means."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        busy = status == 429 or error.response.get("Error", {}).get("Code") in _BUSY
        broken = status >= 500 and not busy
        return Failed(str(error), done=broken, again=busy or broken)
    if isinstance(error, SSLError):  # a wrong certificate, most likely; a connection may also break like that
        return Failed(str(error), done=True, again=False)
    sent = isinstance(error, HTTPClientError)
    return Failed(str(error), done=sent, again=sent or isinstance(error, NoConnection))


def _raised(returned: Any) -> Failed:
    """What an exception of the function's means (docs/using.md, What `send` returns and raises)."""
    kind, text = (str(returned.get(name) or "") for name in ("errorType", "errorMessage"))
    if kind == _NOTHING_KEPT:
        return Failed(_of_result(text), done=False, again=True)
    if kind in _SET_UP_WRONGLY:
        return Failed(f"the gateway is set up wrongly: {text}", done=False, again=False)
    return Failed(f"it raised {kind or 'an error'}: {text}", done=True, again=True)


def _of_result(text: str) -> str:
    """The text of a TryLater is a result, whose error says why."""
    try:
        return str(json.loads(text)["error"]["message"])
    except (KeyError, TypeError, ValueError):
        return "it could not store the message"
