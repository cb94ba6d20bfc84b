"""Which deployed stack an operator's command is for."""

import json
import tomllib
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from local.places import LOCAL, ROOT


class NoStackError(Exception):
    """Nothing says which stack is meant."""


@dataclass(frozen=True)
class Target:
    """A stack by name, with a session and options for the clients that reach it."""

    stack_name: str
    where: str
    session: boto3.Session
    client_options: dict[str, Any]

    def client(self, service: str) -> Any:
        return self.session.client(service, **self.client_options)  # type: ignore[call-overload]

    def described(self) -> Any:
        """What CloudFormation says of it. Raises ClientError where there is none."""
        (stack,) = self.client("cloudformation").describe_stacks(StackName=self.stack_name)["Stacks"]
        return stack

    def outputs(self) -> dict[str, str]:
        return {each["OutputKey"]: each["OutputValue"] for each in self.described().get("Outputs", [])}


def target(stack_name: str | None) -> Target:
    """The named stack in the caller's account; else the local one if it runs; else what was last deployed."""
    settings = _deploy_settings()
    local_stack = LOCAL / "stack.json"
    if stack_name is None and local_stack.exists():
        return _local(json.loads(local_stack.read_text()))
    name = stack_name or settings.get("stack_name")
    if not name:
        raise NoStackError("say which stack: STACK=name (make deploy has not been run here, nor make up)")
    session = _session(settings if name == settings.get("stack_name") else {})
    return Target(name, f"AWS, {session.region_name or 'no region'}", session, {})


def deploying() -> boto3.Session:
    """The account and region that `make deploy` goes to."""
    return _session(_deploy_settings())


def _session(settings: dict[str, str]) -> boto3.Session:
    return boto3.Session(region_name=settings.get("region"), profile_name=settings.get("profile"))


def _local(found: dict[str, Any]) -> Target:
    session = boto3.Session(
        aws_access_key_id=found["aws_access_key_id"],
        aws_secret_access_key=found["aws_secret_access_key"],
        region_name=found["region"],
    )
    options = {"endpoint_url": found["endpoint_url"], "config": Config(proxies={})}
    return Target(found["stack_name"], f"the local stack at {found['endpoint_url']}", session, options)


def _deploy_settings() -> dict[str, str]:
    """What `sam deploy --guided` wrote down."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    settings = {**config.get("default", {}).get("global", {}).get("parameters", {})}
    settings |= config.get("default", {}).get("deploy", {}).get("parameters", {})
    return {key: value for key, value in settings.items() if isinstance(value, str)}
