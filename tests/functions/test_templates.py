"""`voice-gateway templates`: what a person's file may look like, and all or none of it in the catalogue."""

import argparse
import io
import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from voice_gateway_cli.commands import templates
from voice_gateway_cli.deployed.stack import Stack
from voice_gateway_cli.errors import CommandError
from voice_gateway_cli.session import Options, Session

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


def operator(ssm: Any, stack: str = STACK, *, as_json: bool = False) -> Session:
    """A command's session with a stack of which SSM alone is there."""
    session = Session(Options(as_json=as_json))
    clients: Any = argparse.Namespace(client=lambda *_, **__: ssm)
    session.__dict__["stack"] = Stack(stack, "moto", clients, {})
    return session


def push(tmp_path: Path, content: str | bytes, ssm: Ssm, stack: str = STACK) -> None:
    file = tmp_path / "templates.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert templates.push(operator(ssm, stack), str(file)) == 0


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


def test_what_is_pulled_can_be_pushed_and_is_the_same(gateway: Gateway, tmp_path: Path) -> None:
    ssm, file = Ssm(), tmp_path / "pulled.json"
    push(tmp_path, json.dumps({"braces": BRACES, "a": {"text": "\u2028\t中\\", "vendors": {"dxtong": {}}}}), ssm)
    push(tmp_path, json.dumps({"order_shipped": ORDER_SHIPPED}), ssm)
    before = {name: stored(gateway, name) for name in ("a", "braces", "order_shipped")}
    assert templates.pull(operator(ssm), str(file)) == 0
    pulled = file.read_text(encoding="utf-8")
    assert list(json.loads(pulled)) == ["a", "braces", "order_shipped"]
    assert templates.push(operator(ssm), str(file)) == 0
    assert {name: stored(gateway, name) for name in before} == before
    assert templates.pull(operator(ssm), str(file)) == 0
    assert file.read_text(encoding="utf-8") == pulled


def test_a_pull_goes_to_standard_output_and_a_push_comes_from_standard_input(
    gateway: Gateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert templates.pull(operator(Ssm())) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"order_shipped": ORDER_SHIPPED}
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(printed.encode())))
    assert templates.push(operator(Ssm()), "-") == 0
    assert "1 pushed to /voice-gateway-test/templates (moto)" in capsys.readouterr().out


def test_a_file_is_written_over_only_when_that_is_wanted(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text("{}")
    with pytest.raises(CommandError, match="holds something else"):
        templates.pull(operator(Ssm()), str(file))
    assert file.read_text() == "{}"
    assert templates.pull(operator(Ssm()), str(file), yes=True) == 0
    assert json.loads(file.read_text()) == {"order_shipped": ORDER_SHIPPED}
    assert [each.name for each in tmp_path.iterdir()] == ["mine.json"]


def test_what_cannot_be_used_is_left_out_of_a_pull_and_shown_in_the_list(
    gateway: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Ssm().put_parameter(Name=f"/{STACK}/templates/broken", Value="{", Type="String")
    assert templates.pull(operator(Ssm()), str(tmp_path / "t.json")) == 1
    assert list(json.loads((tmp_path / "t.json").read_text())) == ["order_shipped"]
    assert "broken is left out" in capsys.readouterr().err
    assert templates.show(operator(Ssm())) == 0
    listed = capsys.readouterr().out
    assert "dxtong, jumdata" in listed
    assert "cannot be used" in listed
    assert templates.show(operator(Ssm(), as_json=True)) == 0
    broken, shipped = json.loads(capsys.readouterr().out)
    assert (broken["name"], broken["text"], bool(broken["fault"])) == ("broken", None, True)
    vendors = ["dxtong", "jumdata"]
    assert shipped == {
        "name": "order_shipped",
        "text": ORDER_SHIPPED["text"],
        "vendors": vendors,
        "fault": None,
    }


def test_a_catalogue_of_many_pages_is_pulled_whole(gateway: Gateway, tmp_path: Path) -> None:
    many = {f"t{at:02}": ORDER_SHIPPED for at in range(25)}
    push(tmp_path, json.dumps(many), Ssm())
    assert templates.pull(operator(Ssm()), str(tmp_path / "all.json")) == 0
    assert json.loads((tmp_path / "all.json").read_text()) == many | {"order_shipped": ORDER_SHIPPED}


def test_a_file_is_checked_without_aws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps({"a": ORDER_SHIPPED}))
    bad.write_text(json.dumps({"a": ORDER_SHIPPED, "B": ORDER_SHIPPED, "c": {"text": "x", "vendors": {"nobody": {}}}}))
    assert templates.check(Session(Options()), str(good)) == 0
    assert "1 can be used" in capsys.readouterr().out
    with pytest.raises(CommandError, match=r"(?s)not all can be used\n  B: a name is .*c: vendors.nobody"):
        templates.check(Session(Options()), str(bad))
    assert templates.check(Session(Options(as_json=True)), str(bad)) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], [name for name, each in told["templates"].items() if each["fault"]]) == (False, ["B", "c"])


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", "{", b"\xff\xfe\xfd"])
def test_a_file_that_is_none_is_told_so(tmp_path: Path, content: str | bytes) -> None:
    file = tmp_path / "t.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CommandError, match=r"t\.json: "):
        templates.check(Session(Options()), str(file))
