"""What a deployment replaces, how gradually, and what leads it back."""

import json
import re
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

from tests.found import CALLBACKS, FUNCTIONS, TITLES
from tests.template.test_translated_template import Resources, of_type
from tests.template.translation import ROOT, TEMPLATE, translate

REGION = "eu-central-1"
ROLL_BACK = {
    "Send": {"SendErrorsAlarm"},
    **{f"Callback{title}": {f"Callback{title}ErrorsAlarm", f"{title}NotKeptAlarm"} for title in TITLES.values()},
    "Status": {"StatusErrorsAlarm"},
    "Cancel": {"CancelErrorsAlarm"},
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
    lanes = [{"Fn::GetAtt": [queue, "Arn"]} for queue in ("UrgentQueue", "BulkQueue")]
    called = [each for each in called if each not in ({"Ref": "AlarmEmail"}, *lanes)]
    assert {each["Ref"] for each in called} == {
        f"{name}FunctionAliaslive" for name in ("Send", "Publish", "Sweep", "BalanceCheck")
    }
    integrations = json.dumps(resources["CallbackApi"]["Properties"]["Body"]["paths"])
    assert set(re.findall(r"functions/\$\{(\w+)\}/invocations", integrations)) == {
        f"{name}FunctionAliaslive" for name in CALLBACKS
    }


def test_a_change_of_code_of_a_layer_or_of_a_release_makes_a_new_version_of_each_function(
    written: dict[str, Any], translated: dict[str, Any]
) -> None:
    """Else the aliases, and all that calls them, would stay with the old code, and nobody would be told."""
    before = versions(translated)
    assert len(before) == len(FUNCTIONS)
    assert versions(translate(written, REGION)) == before
    changed = deepcopy(written)
    variables = changed["Globals"]["Function"]["Environment"]["Variables"]
    assert "RELEASE" in variables
    variables["RELEASE"] = "another"
    assert not versions(translate(changed, REGION)) & before
    for layer in ("DependenciesLayer", "GatewayLayer"):
        changed = deepcopy(written)
        changed["Resources"][layer]["Properties"]["Description"] += ", changed"
        assert not versions(translate(changed, REGION)) & before, layer


def test_make_deploy_names_each_release(tmp_path: Path) -> None:
    """A changed parameter alone is not seen by SAM: the name is what makes the new versions."""
    steps = subprocess.run(["make", "-n", "deploy"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    naming, deploying = (steps.index(word) for word in ("RELEASE", "sam deploy"))
    assert steps.index("sam build") < naming < deploying
    (command,) = (line for line in steps.splitlines() if "RELEASE" in line)
    built = tmp_path / ".aws-sam" / "build" / "template.yaml"
    built.parent.mkdir(parents=True)
    built.write_text(TEMPLATE.read_text())
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    before, after = (yaml_parse(path.read_text()) for path in (TEMPLATE, built))
    release = after["Globals"]["Function"]["Environment"]["Variables"].pop("RELEASE")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", release)
    del before["Globals"]["Function"]["Environment"]["Variables"]["RELEASE"]
    assert after == before


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
