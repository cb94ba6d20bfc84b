"""Runs the local AWS server, with what it lacks. `python -P served.py`, on the server's own environment.

An API keeps its id when its definition changes, as on AWS: the server makes another one, and vendors that were told the
old address would find nobody there.
"""

from typing import Any

from ministack.app import main  # type: ignore[import-not-found]
from ministack.services import apigateway_v1  # type: ignore[import-not-found]
from ministack.services.cloudformation import provisioners  # type: ignore[import-not-found]

_API = provisioners._RESOURCE_HANDLERS["AWS::ApiGateway::RestApi"]
_update = _API["update"]


def _keep_id(
    api_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str, logical_id: str | None = None
) -> Any:
    """Reads a changed definition into another API, and puts what came of it into the one that is there."""
    if new.get("Body") != old.get("Body"):
        other, _ = _API["create"](logical_id, {**new, "Tags": []}, stack_name)
        for part in (apigateway_v1._resources, apigateway_v1._gateway_responses, apigateway_v1._authorizers_v1):
            if other in part:
                part[api_id] = part[other]
        apigateway_v1._delete_rest_api(other)
    return _update(api_id, {**old, "Body": new.get("Body")}, new, stack_name, logical_id)


_API["update"] = _keep_id

if __name__ == "__main__":
    main()
