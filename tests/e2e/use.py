"""How the end-to-end tests use a running stack: send, wait for what comes of it, look at what a vendor got."""

import datetime
import itertools
import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner, Result
from voice_gateway import vendors
from voice_gateway_cli.deployed import stack as operators
from voice_gateway_cli.deployed.target import LOCAL_STACK, target
from voice_gateway_cli.main import app

from local.stack import Stack

SHIPPED: dict[str, Any] = {"template": "order_shipped", "params": {"order": 9633, "carrier": "顺丰快递"}}
CONTENT = "您的订单号是:9633。已由顺丰快递发出,请注意查收。"
FINAL = {"delivered", "failed", "rejected", "expired", "cancelled"}

_numbers = itertools.count()


def client(stack: Stack, service: str) -> Any:
    """A client of a service that the stack itself has none of."""
    description = stack.description
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=description["endpoint_url"],
        region_name=description["region"],
        aws_access_key_id=description["aws_access_key_id"],
        aws_secret_access_key=description["aws_secret_access_key"],
    )


def operate(stack: Stack, *arguments: str) -> Result:
    """What `voice-gateway` says of this stack."""
    return CliRunner().invoke(app, list(arguments), env={LOCAL_STACK: str(stack.folder / "stack.json")})


def deployed(stack: Stack) -> operators.Stack:
    """The stack as the operator's commands reach it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(LOCAL_STACK, str(stack.folder / "stack.json"))
        return target()


def new_id(label: str = "e2e") -> str:
    return f"{label}-{uuid.uuid4().hex[:12]}"


def number(ending: int) -> str:
    return f"138001380{ending:02}"


def free_number() -> str:
    """A number whose calls succeed at both vendors, in turn: jumdata takes three calls a day to one."""
    return number(next(_numbers) % 10)


def in_seconds(seconds: float) -> str:
    return (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)).isoformat()


def send(stack: Stack, **request: Any) -> Any:
    return stack.invoke("send", {"message_id": new_id(), **request})


def status(stack: Stack, message_id: str) -> Any:
    return stack.invoke("status", {"message_id": message_id})


_given_up: list[Callable[[], bool]] = []
_AFTER_IT = 1.0
"""Seconds for which is waited on, once it is known why nothing is to happen: something might all the same."""


@contextmanager
def expecting_nothing(given_up: Callable[[], bool]) -> Iterator[None]:
    """What is not to happen is not waited for as long as what is: the machine may be busy, a test suite is long.

    ``given_up`` says whether what keeps it from happening has come about.
    """
    _given_up.append(given_up)
    try:
        yield
    finally:
        _given_up.pop()


def until(happened: Callable[[], Any], within: float = 60.0, what: str = "it") -> Any:
    """What ``happened`` returns once it is something; fails when that takes too long."""
    within = min(within, 30.0) if _given_up else within
    end, pause, hopeless = time.monotonic() + within, 0.05, False
    while True:
        found = happened()
        if found:
            return found
        if not hopeless and any(each() for each in _given_up):
            hopeless, end = True, time.monotonic() + _AFTER_IT
        assert time.monotonic() < end, f"{what} did not happen within {within:.0f} s"
        time.sleep(pause)
        pause = min(1.2 * pause, 0.2)  # looking costs the machine on which it is to happen


def final(stack: Stack, message_id: str) -> Any:
    """The result once it is final."""

    def ended() -> Any:
        result = status(stack, message_id)
        return result if result["status"] in FINAL else None

    return until(ended, what=f"the end of {message_id}")


def make_earlier(stack: Stack, message_id: str, attribute: str) -> None:
    """What the sweep goes by, eight seconds earlier: for then it acts at once."""
    stack.aws.dynamodb.update_item(
        TableName=stack.description["calls_table"],
        Key={"pk": {"S": f"MSG#{message_id}"}},
        UpdateExpression=f"SET {attribute} = {attribute} - :seconds, work_at = work_at - :seconds",
        ConditionExpression=f"attribute_exists({attribute}) AND attribute_exists(work_at)",
        ExpressionAttributeValues={":seconds": {"N": "8"}},
    )


def calls(stack: Stack, vendor: str, mobile: str) -> list[Any]:
    """The calls to a number that a vendor was asked for."""
    return [r for r in stack.simulator(vendor)["requests"] if r["mobile"] == mobile and "/result" not in r["path"]]


def asked(stack: Stack) -> int:
    """How many requests the vendors got in all."""
    return sum(len(stack.simulator(vendor)["requests"]) for vendor in vendors.names())


def push(url: str, body: bytes | None, content_type: str = "application/x-www-form-urlencoded") -> tuple[int, str]:
    """Sends a callback as a vendor would; status and body of the reply."""
    request = urllib.request.Request(url, data=body, headers={"Content-Type": content_type})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=20) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def records(stack: Stack, function: str) -> list[dict[str, Any]]:
    """The JSON lines that a function logged."""
    group = f"/aws/lambda/{stack.description['functions'][function]}"
    pages = stack.aws.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    lines = (event["message"] for page in pages for event in page["events"])
    return [json.loads(line) for line in lines if line.startswith("{")]


def refused(stack: Stack, function: str) -> list[tuple[str, str]]:
    """What a function asked AWS for and its role does not grant: actions with their resources.

    Not what a test took out of the role: that is granted again by now.
    """
    grants = stack.grants(function)
    return [
        (request.action, request.resource)
        for request in stack.requests(function)
        if not any(g.action == request.action and fnmatchcase(request.resource, g.resource) for g in grants)
    ]


def sends(stack: Stack) -> None:
    """One call is placed, and what came of it is written down."""
    message_id = new_id()
    assert send(stack, message_id=message_id, mobile=number(79), **SHIPPED)["status"] == "accepted"
    assert status(stack, message_id)["status"] in {"accepted", "delivered"}
