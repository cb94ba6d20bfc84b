"""`voice-gateway smoke` on the deployed stack: all is well when it is, and each thing that is not is found."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from voice_gateway import vendors
from voice_gateway_cli.smoke.finding import Finding
from voice_gateway_cli.smoke.run import findings as found_by_smoke

from local.stack import Stack
from tests.e2e.use import deployed, operate
from tests.found import TITLES


def smoke(stack: Stack) -> list[Finding]:
    return list(found_by_smoke(deployed(stack)))


def failed(stack: Stack) -> str:
    return "; ".join(finding.text for finding in smoke(stack) if finding.verdict == "FAIL")


def placed(stack: Stack) -> int:
    """How many calls the vendors were asked for."""
    requests = [each for name in vendors.names() for each in stack.simulator(name)["requests"]]
    return sum(each["mobile"] is not None for each in requests)


@contextmanager
def secret(stack: Stack, name: str, content: dict[str, Any]) -> Iterator[None]:
    """Another content of a secret, and functions that have not read the old one."""
    secrets = stack.aws.secretsmanager
    (arn,) = (each["ARN"] for each in secrets.list_secrets()["SecretList"] if f"-{name}-" in each["Name"])
    before = secrets.get_secret_value(SecretId=arn)["SecretString"]
    for function in ("send", "balance_check"):
        stack.start_anew(function)
    secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(content))
    try:
        yield
    finally:
        secrets.put_secret_value(SecretId=arn, SecretString=before)
        for function in ("send", "balance_check"):
            stack.start_anew(function)


def test_all_is_well_and_no_phone_is_rung(gateway: Stack) -> None:
    before = placed(gateway)
    findings = smoke(gateway)
    assert not [finding for finding in findings if finding.verdict == "FAIL"]
    told = [finding.text for finding in findings if finding.verdict == "ok"]
    assert "callback of jumdata: a signed receipt reaches the calls table" in told
    assert "callback of dxtong: the token of the registered address is good" in told
    assert "send: a message by content would go to dxtong, by template_id would go to jumdata" in told
    assert placed(gateway) == before


def test_the_command_prints_what_it_finds_line_by_line(gateway: Stack) -> None:
    done = operate(gateway, "smoke")
    first, *lines, last = done.stdout.splitlines()
    assert (done.exit_code, last) == (0, "all is well; no phone was rung")
    assert first.startswith(f"{gateway.description['stack_name']}, the local stack at ")
    assert {line[:8] for line in lines} <= {"  ok    ", "  warn  "}


def test_a_trigger_that_was_left_behind_is_found(gateway: Stack) -> None:
    name = gateway.description["functions"]["status"]
    size = gateway.aws.lambda_.get_function_configuration(FunctionName=name)["MemorySize"]
    gateway.aws.lambda_.update_function_configuration(FunctionName=name, MemorySize=size + 64)
    try:
        assert f"never published, of {name}" in failed(gateway)
    finally:
        gateway.aws.lambda_.update_function_configuration(FunctionName=name, MemorySize=size)
        gateway.start_anew("status")
    assert not failed(gateway)


def test_a_rollback_is_told_and_no_failure(gateway: Stack) -> None:
    name = gateway.description["functions"]["status"]
    before = gateway.aws.lambda_.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
    gateway.start_anew("status")
    size = gateway.aws.lambda_.get_function_configuration(FunctionName=name)["MemorySize"]
    gateway._publish("status", MemorySize=size + 64)
    gateway.aws.lambda_.update_alias(FunctionName=name, Name="live", FunctionVersion=before)
    try:
        findings = smoke(gateway)
        assert f"{name} (version {before})" in "".join(each.text for each in findings if each.verdict == "warn")
        assert not [each for each in findings if each.verdict == "FAIL"]
    finally:
        gateway._publish("status", MemorySize=size)


def test_a_callback_secret_that_is_none_is_told(gateway: Stack) -> None:
    content = {"keys": {"k2": "too short"}, "number_key": "n" * 64}
    with secret(gateway, "CallbackSecret", content):
        done = operate(gateway, "smoke", "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["ok"]) == (1, False)
    faults = [each["text"] for each in told["findings"] if each["verdict"] == "FAIL"]
    assert any("callbacks: SettingsError: key k2" in each for each in faults)


def test_a_callback_that_cannot_be_written_is_found(gateway: Stack) -> None:
    with (
        gateway.without_permission("callback_jumdata", "dynamodb:UpdateItem"),
        gateway.without_permission("callback_jumdata", "sqs:SendMessage"),
    ):
        assert "callback of jumdata: signed receipts are answered" in failed(gateway)


def test_credentials_that_a_vendor_refuses_are_found(gateway: Stack) -> None:
    with secret(gateway, "DxtongSecret", {"account": "nobody", "apiKey": "wrong"}):
        assert "dxtong does not tell its credit" in failed(gateway)


def test_a_secret_that_cannot_be_read_is_found(gateway: Stack) -> None:
    with secret(gateway, "DxtongSecret", {"account": "nobody", "apikey": "wrong"}):
        found = failed(gateway)
    assert "dxtong does not tell its credit" in found
    assert "does not have apiKey filled in; its fields are account, apikey" in found


def test_secrets_that_nobody_filled_in_are_found(gateway: Stack) -> None:
    """On a fresh deployment, and on one that had them once."""
    smoke(gateway)
    with ExitStack() as emptied:
        for name, title in TITLES.items():
            empty = dict.fromkeys(vendors.vendor(name).credentials, "")
            emptied.enter_context(secret(gateway, f"{title}Secret", empty))
        emptied_since = failed(gateway)
        for name in vendors.names():
            key = {"pk": {"S": f"BALANCE#{name}"}}
            gateway.aws.dynamodb.delete_item(TableName=gateway.description["calls_table"], Key=key)
        never_filled = failed(gateway)
    assert "no dry run would be sent" in emptied_since
    assert emptied_since.count("is not filled in any more") == len(TITLES)
    assert "no vendor has credentials" in never_filled
