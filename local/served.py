"""Runs the local AWS server, with what it lacks: `python -P served.py FILE`, on the server's own environment.

- **IAM's decisions** on the roles' requests are written to the file, one JSON line each, what is allowed once: which
  role, which action on which resource, and whether it was allowed. What the server does by itself (reading a stream,
  delivering to a destination) asks no IAM, so it is not there.
- **Requests for ten at once** are allowed by the action for one, as on AWS, which knows no other.
- **A trigger's filter** takes a path whose beginning is not there for one that does not exist, as AWS's does
  (github.com/aws/event-ruler matches whole paths).
- **A trigger's concurrency** may be a parameter's value, which the server leaves a text.
- **An API keeps its id** when its definition changes, as on AWS: the server makes another one, and vendors that were
  told the old address would find nobody there.
- **Saved queries** are taken, and kept nowhere: the server's CloudFormation does not know them.
"""

import json
import sys
from pathlib import Path
from typing import Any

from ministack.app import main  # type: ignore[import-not-found]
from ministack.core import iam_evaluator  # type: ignore[import-not-found]
from ministack.core.responses import get_account_id  # type: ignore[import-not-found]
from ministack.services import apigateway_v1, lambda_svc  # type: ignore[import-not-found]
from ministack.services.cloudformation import provisioners  # type: ignore[import-not-found]

_decide = iam_evaluator.enforce
_OF_ONE = {"sqs:SendMessageBatch": "sqs:SendMessage", "sns:PublishBatch": "sns:Publish"}
"""IAM's action of requests that have none of their own."""
_file = Path(sys.argv.pop(1))
_written: set[str] = set()
_API = provisioners._RESOURCE_HANDLERS["AWS::ApiGateway::RestApi"]
_update = _API["update"]


def _enforce(
    access_key_id: str,
    iam_action: str,
    service: str,
    region: str,
    resource_arn: str = "*",
    service_context: dict[str, Any] | None = None,
) -> Any:
    iam_action = _OF_ONE.get(iam_action, iam_action)
    denied = _decide(access_key_id, iam_action, service, region, resource_arn, service_context)
    principal = iam_evaluator.resolve_principal(access_key_id or "", get_account_id())
    if getattr(principal, "type", None) == "AssumedRole":
        role = principal.arn.split("/")[1]
        line = json.dumps({"role": role, "action": iam_action, "resource": resource_arn, "allowed": denied is None})
        if denied is not None or line not in _written:
            _written.add(line)
            with _file.open("a") as file:
                file.write(line + "\n")
    return denied


# The server looks this up in its module at every request.
iam_evaluator.enforce = _enforce


_match = lambda_svc._match_esm_filter


def _match_paths(record: dict[str, Any], pattern: dict[str, Any]) -> bool:
    nested = {key for key, inner in pattern.items() if isinstance(inner, dict)}
    absent: dict[str, Any] = {key: {} for key in nested if not isinstance(record.get(key), dict)}
    return bool(_match({**record, **absent}, pattern))


lambda_svc._match_esm_filter = _match_paths

_limit = lambda_svc._sqs_esm_concurrency


def _whole_limit(trigger: dict[str, Any], *rest: Any) -> Any:
    scaling = trigger.get("ScalingConfig") or {}
    most = {"MaximumConcurrency": int(scaling["MaximumConcurrency"])} if "MaximumConcurrency" in scaling else {}
    return _limit({**trigger, "ScalingConfig": {**scaling, **most}}, *rest)


lambda_svc._sqs_esm_concurrency = _whole_limit


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


def _saved(logical_id: str, _properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
    return f"{stack_name}-{logical_id}", {}


provisioners._RESOURCE_HANDLERS.setdefault(
    "AWS::Logs::QueryDefinition",
    {
        "create": _saved,
        "update": lambda physical_id, _old, _new, _stack_name: (physical_id, {}),
        "delete": lambda _physical_id, _properties: None,
    },
)

if __name__ == "__main__":
    main()
