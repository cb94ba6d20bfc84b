"""Which deployed stack a command is for: the one named, else the running local stack, else what was deployed last."""

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from voice_gateway_cli.deployed.stack import Stack
from voice_gateway_cli.errors import UsageError

LOCAL_STACK = "VOICE_GATEWAY_LOCAL_STACK"
"""The environment variable that names another local stack's ``stack.json``."""
_PATIENT = Config(connect_timeout=5, read_timeout=70)
"""Seconds: an invoked function may take a minute."""


def target(name: str | None = None, region: str | None = None, profile: str | None = None) -> Stack:
    """The stack by its name in the account that profile, region and environment say; None: see above.

    Raises UsageError if nothing says which stack is meant.
    """
    environments = _environments()
    description = _local_description() if name is None else None
    if name is None and description is not None:
        if region or profile:
            raise UsageError("--region and --profile are for a stack on AWS: say which with --stack, or leave them out")
        return local_stack(description)
    name = name or environments.get("default", {}).get("stack_name")
    if not name:
        raise UsageError(
            "say which stack: --stack NAME (no local stack is running here, and none was deployed from here)"
        )
    saved = next((each for each in environments.values() if each.get("stack_name") == name), {})
    session = boto3.Session(
        region_name=region or (None if os.environ.get("AWS_REGION") else saved.get("region")),
        profile_name=profile or (None if os.environ.get("AWS_PROFILE") else saved.get("profile")),
    )
    options = {"config": _PATIENT}
    elsewhere = os.environ.get("AWS_ENDPOINT_URL")  # as in a shell whose AWS is the local stack
    where = f"AWS at {elsewhere}" if elsewhere else "AWS"
    return Stack(name, f"{where}, {session.region_name or 'no region'}", session, options)


def local_stack(description: Path) -> Stack:
    """The stack that a ``stack.json`` describes, as ``make up`` writes it."""
    described: dict[str, Any] = json.loads(description.read_text(encoding="utf-8"))
    session = boto3.Session(
        aws_access_key_id=described["aws_access_key_id"],
        aws_secret_access_key=described["aws_secret_access_key"],
        region_name=described["region"],
    )
    config = _PATIENT.merge(Config(proxies={}, retries={"total_max_attempts": 1}))
    options = {"endpoint_url": described["endpoint_url"], "config": config}
    return Stack(described["stack_name"], f"the local stack at {described['endpoint_url']}", session, options)


def _local_description() -> Path | None:
    """Where ``make up`` wrote down the stack that it started, here or in a folder above; None if none runs."""
    named = os.environ.get(LOCAL_STACK)
    if named and not Path(named).exists():
        raise UsageError(f"{LOCAL_STACK} names {named}, and there is no such file")
    return Path(named) if named else _above(".local/stack.json")


def _environments() -> dict[str, dict[str, str]]:
    """What ``make deploy`` wrote down in this checkout, by its ``ENV``."""
    path = _above("samconfig.toml")
    if path is None:
        return {}
    sections = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: _settings(section) for name, section in sections.items() if isinstance(section, dict)}


def _settings(section: dict[str, Any]) -> dict[str, str]:
    settings = section.get("global", {}).get("parameters", {}) | section.get("deploy", {}).get("parameters", {})
    return {key: value for key, value in settings.items() if isinstance(value, str)}


def _above(name: str) -> Path | None:
    here = Path.cwd()
    return next((folder / name for folder in (here, *here.parents) if (folder / name).exists()), None)
