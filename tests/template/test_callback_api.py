"""What guards the callbacks on AWS and not on the local server: resource policy, access log, reserved concurrency."""

import json
import re
from typing import Any

import pytest

from tests.found import FUNCTIONS
from tests.template.translation import ROOT, translate

NOTHING = object()
"""AWS::NoValue: the property is not there."""

CIDRS = "192.0.2.0/24,198.51.100.7/32"


def settled(value: Any, template: dict[str, Any], parameters: dict[str, Any]) -> Any:
    """What CloudFormation makes of a value with these parameters; only the functions that are needed here."""
    if isinstance(value, list):
        return [settled(each, template, parameters) for each in value]
    if not isinstance(value, dict):
        return value
    if list(value) == ["Ref"] and value["Ref"] == "AWS::NoValue":
        return NOTHING
    if list(value) == ["Ref"] and value["Ref"] in template["Parameters"]:
        return parameters.get(value["Ref"], template["Parameters"][value["Ref"]]["Default"])
    if list(value) == ["Fn::If"]:
        name, yes, no = value["Fn::If"]
        holds = settled(template["Conditions"][name], template, parameters)
        return settled(yes if holds else no, template, parameters)
    if list(value) == ["Fn::Equals"]:
        one, other = settled(value["Fn::Equals"], template, parameters)
        return str(one) == str(other)
    if list(value) == ["Fn::Not"]:
        return not settled(value["Fn::Not"][0], template, parameters)
    if list(value) == ["Fn::Split"]:
        separator, text = settled(value["Fn::Split"], template, parameters)
        return text.split(separator)
    found = {name: settled(each, template, parameters) for name, each in value.items()}
    return {name: each for name, each in found.items() if each is not NOTHING}


def deployed(written: dict[str, Any], **parameters: Any) -> dict[str, dict[str, Any]]:
    """The resources as they are deployed with these parameters: SAM gets to see them as well as CloudFormation."""
    translated = translate(written, "eu-central-1", **parameters)
    found: dict[str, dict[str, Any]] = settled(translated["Resources"], translated, parameters)
    return found


def policy(resources: dict[str, dict[str, Any]]) -> Any:
    (statement,) = resources["CallbackApi"]["Properties"]["Body"]["x-amazon-apigateway-policy"]["Statement"]
    return statement


def test_with_no_ranges_set_whoever_has_a_token_is_let_in(written: dict[str, Any]) -> None:
    statement = policy(deployed(written))
    assert statement.keys() == {"Effect", "Principal", "Action", "Resource"}
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Allow", "*", "execute-api:Invoke")


@pytest.mark.parametrize("cidrs", [CIDRS, "203.0.113.9/32"])
def test_with_ranges_set_nobody_else_is_let_in(written: dict[str, Any], cidrs: str) -> None:
    """An API with a policy refuses what no statement allows."""
    statement = policy(deployed(written, CallbackCidrs=cidrs))
    assert statement["Effect"] == "Allow"
    assert statement["Condition"] == {"IpAddress": {"aws:SourceIp": cidrs.split(",")}}


def test_ranges_that_are_set_later_reach_the_stage(written: dict[str, Any]) -> None:
    """A stage goes on with the policy of its last deployment: each change has to make another."""

    def deployment(**parameters: Any) -> str:
        stage = deployed(written, **parameters)["CallbackApiv1Stage"]
        name: str = stage["Properties"]["DeploymentId"]["Ref"]
        return name

    made = {deployment(), deployment(CallbackCidrs=CIDRS), deployment(CallbackCidrs="203.0.113.9/32")}
    assert len(made) == 3
    assert deployment() in made


def test_the_stage_is_throttled_as_the_parameters_say(written: dict[str, Any]) -> None:
    def throttle(**parameters: Any) -> tuple[Any, Any]:
        (settings,) = deployed(written, **parameters)["CallbackApiv1Stage"]["Properties"]["MethodSettings"]
        assert (settings["HttpMethod"], settings["ResourcePath"]) == ("*", "/*")
        return settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]

    assert throttle() == (50, 100)
    assert throttle(CallbackRatePerSecond=5, CallbackBurst=10) == (5, 10)


def test_send_alone_has_concurrency_of_its_own_where_it_is_set(written: dict[str, Any]) -> None:
    """What is reserved for send no flood of callbacks can take; and 0 as a reservation would stop it for good."""

    def reserved(**parameters: Any) -> dict[str, Any]:
        resources = deployed(written, **parameters)
        properties = {name: resources[f"{name}Function"]["Properties"] for name in FUNCTIONS}
        return {
            name: each["ReservedConcurrentExecutions"]
            for name, each in properties.items()
            if "ReservedConcurrentExecutions" in each
        }

    assert reserved() == {}
    assert reserved(SendConcurrency=20) == {"Send": 20}


def test_the_query_for_source_addresses_asks_for_what_the_access_log_has(written: dict[str, Any]) -> None:
    runbook = (ROOT / "docs" / "security.md").read_text()
    (query,) = re.findall(r"^ +(stats .* by .*sourceIp.*)$", runbook, re.MULTILINE)
    grouped = re.split(r"[\s,|]+", re.split(r"\bby\b", query)[1].partition("|")[0].strip())
    logged = json.loads(deployed(written)["CallbackApiv1Stage"]["Properties"]["AccessLogSetting"]["Format"])
    assert set(grouped) == {"sourceIp", "route", "status"} <= set(logged)
    group = deployed(written)["CallbackApiLogGroup"]["Properties"]["LogGroupName"]["Fn::Sub"]
    assert group.replace("${AWS::StackName}", "<stack>") in runbook
