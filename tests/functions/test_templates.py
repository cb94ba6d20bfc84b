"""`make templates`: what a person's file may look like, and all or none of it in the catalogue."""

import argparse
import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.commands.command import Asked, CommandError
from local.commands.target import Target
from local.commands.templates import push_file
from tests.functions.test_send import number, submits
from tests.gateway import ORDER_SHIPPED, REGION, STACK, Gateway

BRACES = {"text": "{{{order}}} 已由 {{顺丰}} 发出", "vendors": {"dxtong": {}}}


class Ssm:
    """SSM as AWS has it where moto is kinder: it takes no ``{{…}}`` in a value; and one name fails."""

    def __init__(self, failing: str = "-") -> None:
        self._client = boto3.client("ssm", region_name=REGION)
        self._failing = failing
        self.values: list[str] = []

    def put_parameter(self, **request: Any) -> Any:
        value = request["Value"]
        self.values.append(value)
        if "{{" in value and "}}" in value[value.index("{{") :]:
            raise self._error("ValidationException")
        if request["Name"].endswith(f"/{self._failing}") and request["Value"].count("new"):
            raise self._error("ThrottlingException")
        return self._client.put_parameter(**request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    @staticmethod
    def _error(code: str) -> ClientError:
        return ClientError({"Error": {"Code": code, "Message": "no"}}, "PutParameter")


def push(tmp_path: Path, content: str | bytes, ssm: Ssm, stack: str = STACK) -> None:
    file = tmp_path / "templates.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    asked = Asked(stack, str(file))
    session: Any = argparse.Namespace(client=lambda *_, **__: ssm)
    asked.__dict__["of"] = Target(stack, "moto", session, {})
    assert push_file(asked) == 0


def stored(gateway: Gateway, name: str) -> str | None:
    found = gateway.client("ssm").get_parameters(Names=[f"/{STACK}/templates/{name}"])["Parameters"]
    return found[0]["Value"] if found else None


def test_a_file_with_a_byte_order_mark_is_read(gateway: Gateway, tmp_path: Path) -> None:
    push(tmp_path, "\ufeff" + json.dumps({"again": ORDER_SHIPPED}), Ssm())
    assert json.loads(stored(gateway, "again") or "") == ORDER_SHIPPED


def test_literal_braces_reach_the_phone(gateway: Gateway, tmp_path: Path, dxtong: Any) -> None:
    ssm = Ssm()
    push(tmp_path, json.dumps({"braces": BRACES}), ssm)
    assert "{{" not in ssm.values[0]
    assert json.loads(ssm.values[0]) == BRACES
    gateway.send(message_id="m1", mobile=number(0), template="braces", params={"order": "9633"})
    assert submits(dxtong)[-1]["fields"]["content"] == "{9633} 已由 {顺丰} 发出"


@pytest.mark.parametrize("text", ['"{{"', "\\{{x\\}}", "}}{{", "{{{{{{", '{{\\"{{'])
def test_whatever_stands_around_braces_is_stored_as_it_is(gateway: Gateway, tmp_path: Path, text: str) -> None:
    entry = {"text": text, "vendors": {"dxtong": {}}}
    push(tmp_path, json.dumps({"braces": entry}), Ssm())
    assert json.loads(stored(gateway, "braces") or "") == entry


def test_a_file_is_pushed_all_or_not_at_all(gateway: Gateway, tmp_path: Path) -> None:
    new = {**ORDER_SHIPPED, "text": "new {order} {carrier}"}
    before = stored(gateway, "order_shipped")
    with pytest.raises(CommandError, match=r"nothing was pushed.*/c: .*ThrottlingException"):
        push(tmp_path, json.dumps({"order_shipped": new, "b": new, "c": new, "d": new}), Ssm("c"))
    assert stored(gateway, "order_shipped") == before
    assert [stored(gateway, name) for name in "bcd"] == [None] * 3


def test_what_could_not_be_put_back_is_named(gateway: Gateway, tmp_path: Path) -> None:
    class Stuck(Ssm):
        def delete_parameters(self, **_: Any) -> Any:
            raise self._error("AccessDeniedException")

    new = {**ORDER_SHIPPED, "text": "new {order} {carrier}"}
    with pytest.raises(CommandError, match=f"could not put back /{STACK}/templates/b, /{STACK}/templates/c: "):
        push(tmp_path, json.dumps({"b": new, "c": new}), Stuck("c"))


@pytest.mark.parametrize("stack", ["aws-voice", "AWS", "ssmgateway", "SSM-voice"])
def test_a_stack_whose_parameters_ssm_would_refuse_is_told_so(tmp_path: Path, gateway: Gateway, stack: str) -> None:
    ssm = Ssm()
    with pytest.raises(CommandError, match="begins with aws or ssm"):
        push(tmp_path, json.dumps({"a": ORDER_SHIPPED}), ssm, stack)
    assert ssm.values == []


@pytest.mark.parametrize("text", ["a\x00{order}", "\x1b{order}"])
def test_a_control_character_in_a_text_is_refused(gateway: Gateway, tmp_path: Path, text: str) -> None:
    with pytest.raises(CommandError, match=r"text must hold no control character, and holds U\+00"):
        push(tmp_path, json.dumps({"a": {"text": text, "vendors": {"dxtong": {}}}}), Ssm())
    assert stored(gateway, "a") is None
