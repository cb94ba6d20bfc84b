"""A session of boto3 whose clients answer what a test says, in order: no sockets."""

import io
import json
from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ClientError


def result(**fields: Any) -> dict[str, Any]:
    """A result with every field, as the gateway returns it."""
    empty: dict[str, Any] = dict.fromkeys(
        (
            "vendor",
            "call_id",
            "linked_by",
            "reason",
            "error",
            "receipt",
            "deferred_until",
            "next",
            "notify_data",
            "template",
        )
    )
    counts: dict[str, Any] = dict.fromkeys(("later_receipts", "unlinked_receipts", "redials", "ring"), 0)
    others = {"rings": [], "dry_run": False, "replayed": False, "updated_at": "2026-11-22T03:04:05Z"}
    return {"message_id": "order-9633", "status": "accepted", **empty, **counts, **others, **fields}


def error(code: str, *, retryable: bool = False, message: str = "why") -> dict[str, Any]:
    vendors = dict.fromkeys(("vendor", "vendor_code", "vendor_message"))
    return {"code": code, "message": message, **vendors, "retryable": retryable}


def returned(value: Any) -> dict[str, Any]:
    """Lambda's answer to an invoke."""
    return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(value).encode())}


def raised(kind: str, text: str) -> dict[str, Any]:
    return {**returned({"errorType": kind, "errorMessage": text}), "FunctionError": "Unhandled"}


def refused(status: int, code: str) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "Invoke")


class Scripted:
    """A client: each request is kept, and answered by the next of ``answers``; an exception among them is raised."""

    def __init__(self, answers: Iterable[Any]) -> None:
        self.requests: list[dict[str, Any]] = []
        self._answers = iter(answers)

    def __getattr__(self, operation: str) -> Any:
        def answer(**request: Any) -> Any:
            self.requests.append({"operation": operation, **request})
            given = next(self._answers)
            if isinstance(given, Exception):
                raise given
            return given

        return answer

    @property
    def payloads(self) -> list[Any]:
        """What functions were invoked with."""
        return [json.loads(request["Payload"]) for request in self.requests]


class Session:
    """``scripts``: the answers of each service."""

    def __init__(self, **scripts: Iterable[Any]) -> None:
        self.clients = {name: Scripted(answers) for name, answers in scripts.items()}
        self.configs: dict[str, Any] = {}
        self.made: list[str] = []

    def client(self, service: str, config: Any) -> Scripted:
        self.configs[service] = config
        self.made.append(service)
        return self.clients[service]

    def __getitem__(self, service: str) -> Scripted:
        return self.clients[service]
