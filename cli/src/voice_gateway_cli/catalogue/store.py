"""The deployed catalogue: one SSM parameter a template, ``/<stack>/templates/<name>``."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from voice_gateway.model.text import without_mark
from voice_gateway.sending.catalogue import check_template, stored_form

from voice_gateway_cli.deployed.stack import Stack
from voice_gateway_cli.errors import CommandError

RESERVED = re.compile("aws|ssm", re.IGNORECASE)
"""What the name of a parameter, and so a stack's, may not begin with, in any case (AWS, Parameter names)."""


class Stored(NamedTuple):
    """One template that is deployed. ``fault`` says why it cannot be used; None if it can."""

    value: Any
    fault: str | None


def prefix(stack: Stack) -> str:
    return f"/{stack.name}/templates/"


def stored(stack: Stack) -> dict[str, Stored]:
    """All that the catalogue holds, by name, in the order of the names."""
    if RESERVED.match(stack.name):
        return {}
    pages = stack.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=prefix(stack))
    found = {each["Name"].removeprefix(prefix(stack)): each["Value"] for page in pages for each in page["Parameters"]}
    return {name: _read(name, found[name]) for name in sorted(found)}


def push(templates: Mapping[str, Any], to: Stack) -> None:
    """Pushes all or none: where one cannot be written, those before it are put back. Raises CommandError."""
    if RESERVED.match(to.name):
        raise CommandError(
            f"nothing was pushed: SSM takes no parameter whose name begins with aws or ssm, and those of "
            f"{to.name} would. Deploy under another stack name to use templates"
        )
    ssm = to.client("ssm")
    values = {prefix(to) + name: stored_form(value) for name, value in templates.items()}
    before = _values(ssm, list(values))
    for at, (name, value) in enumerate(values.items()):
        try:
            _put(ssm, name, value)
        except (BotoCoreError, ClientError) as error:
            # This one too: a request that failed may have been carried out.
            left = [each for each in list(values)[: at + 1] if not _put_back(ssm, each, before.get(each))]
            what = f"could not put back {', '.join(left)}" if left else "nothing was pushed"
            raise CommandError(f"{what}: {name}: {error}") from None


def _read(name: str, text: str) -> Stored:
    """As the gateway reads it, which finds out at a send what cannot be used."""
    try:
        value = json.loads(without_mark(text))
        check_template(name, value)
    except (ValueError, RecursionError) as error:
        return Stored(None, str(error))
    return Stored(value, None)


def _values(ssm: Any, names: list[str]) -> dict[str, str]:
    pages = [ssm.get_parameters(Names=names[at : at + 10])["Parameters"] for at in range(0, len(names), 10)]
    return {each["Name"]: each["Value"] for page in pages for each in page}


def _put(ssm: Any, name: str, value: str) -> None:
    ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)


def _put_back(ssm: Any, name: str, value: str | None) -> bool:
    """Whether the parameter is as it was before."""
    try:
        if value is None:
            ssm.delete_parameters(Names=[name])
        elif _values(ssm, [name]).get(name) != value:
            _put(ssm, name, value)
    except (BotoCoreError, ClientError):
        return False
    return True
