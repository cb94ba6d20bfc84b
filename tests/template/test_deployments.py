"""What a deployment replaces, how gradually, and what leads it back."""

import json
import re
from copy import deepcopy
from typing import Any

import pytest

from tests.template.test_translated_template import FUNCTIONS, Resources, of_type
from tests.template.translation import translate

REGION = "eu-central-1"
ROLL_BACK = {
    "Send": {"SendErrorsAlarm"},
    "CallbackJumdata": {"CallbackJumdataErrorsAlarm", "JumdataNotKeptAlarm"},
    "CallbackDxtong": {"CallbackDxtongErrorsAlarm", "DxtongNotKeptAlarm"},
    "Status": {"StatusErrorsAlarm"},
    "Publish": {"PublishErrorsAlarm", "PublishAgeAlarm"},
    "Sweep": {"SweepErrorsAlarm", "SweepPartFailedAlarm"},
    "BalanceCheck": {"BalanceCheckErrorsAlarm"},
}


def versions(template: dict[str, Any]) -> set[str]:
    return set(of_type(template["Resources"], "AWS::Lambda::Version"))


def test_every_trigger_calls_the_alias(resources: Resources) -> None:
    aliases = {name: alias["Properties"] for name, alias in of_type(resources, "AWS::Lambda::Alias").items()}
    assert set(aliases) == {f"{name}FunctionAliaslive" for name in FUNCTIONS}
    assert {alias["Name"] for alias in aliases.values()} == {"live"}
    called = [each["Properties"]["Endpoint"] for each in of_type(resources, "AWS::SNS::Subscription").values()]
    called += [
        each["Properties"]["FunctionName"] for each in of_type(resources, "AWS::Lambda::EventSourceMapping").values()
    ]
    rules = of_type(resources, "AWS::Events::Rule").values()
    called += [target["Arn"] for rule in rules for target in rule["Properties"]["Targets"]]
    called = [each for each in called if each != {"Ref": "AlarmEmail"}]
    assert {each["Ref"] for each in called} == {
        f"{name}FunctionAliaslive" for name in ("Send", "Publish", "Sweep", "BalanceCheck")
    }
    integrations = json.dumps(resources["CallbackApi"]["Properties"]["Body"]["paths"])
    assert set(re.findall(r"functions/\$\{(\w+)\}/invocations", integrations)) == {
        f"Callback{vendor}FunctionAliaslive" for vendor in ("Jumdata", "Dxtong")
    }


def test_a_change_of_code_of_a_layer_or_of_a_release_makes_a_new_version_of_each_function(
    written: dict[str, Any], translated: dict[str, Any]
) -> None:
    """Else the aliases, and all that calls them, would stay with the old code, and nobody would be told."""
    before = versions(translated)
    assert len(before) == len(FUNCTIONS)
    assert versions(translate(written, REGION)) == before
    changed = deepcopy(written)
    changed["Globals"]["Function"]["Environment"]["Variables"]["RELEASE"] = "another"
    assert not versions(translate(changed, REGION)) & before
    for layer in ("DependenciesLayer", "GatewayLayer"):
        changed = deepcopy(written)
        changed["Resources"][layer]["Properties"]["Description"] += ", changed"
        assert not versions(translate(changed, REGION)) & before, layer


def test_all_at_once_where_nothing_else_is_asked_for(resources: Resources) -> None:
    assert not [name for name, each in resources.items() if each["Type"].startswith("AWS::CodeDeploy")]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_gradual_deployment_goes_back_by_itself_when_an_alarm_is_raised(written: dict[str, Any], name: str) -> None:
    resources = translate(written, REGION, GradualDeployment="true")["Resources"]
    group = resources[f"{name}FunctionDeploymentGroup"]
    properties = group["Properties"]
    alarms = properties["AlarmConfiguration"]
    assert alarms["Enabled"] is True
    assert {alarm["Name"]["Ref"] for alarm in alarms["Alarms"]} == ROLL_BACK[name]
    assert properties["AutoRollbackConfiguration"]["Enabled"] is True
    assert "DEPLOYMENT_STOP_ON_ALARM" in properties["AutoRollbackConfiguration"]["Events"]
    assert "Canary10Percent5Minutes" in str(properties["DeploymentConfigName"])
    alias = resources[f"{name}FunctionAliaslive"]
    assert alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["DeploymentGroupName"] == {
        "Ref": f"{name}FunctionDeploymentGroup"
    }
    assert group.get("Condition") == resources[f"{name}Function"].get("Condition")
