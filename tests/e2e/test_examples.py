"""The examples, deployed and run as a reader would: each rings a phone through the deployed gateway."""

import calendar
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from local import processes, server, shell
from local.places import ROOT, environment
from local.simulators.dxtong import PAGE_TEMPLATES, SANDBOX_TEMPLATE
from local.stack import Stack
from tests.e2e.use import SHIPPED, calls, client, final, in_seconds, new_id, number, records, send, status, until

EXAMPLES = ROOT / "examples"
MOMENT = "%Y-%m-%dT%H:%M:%SZ"


def deploy(stack: Stack, example: str, text: str | None = None, **parameters: str) -> dict[str, str]:
    """Deploys an example's template, and returns its outputs."""
    template = text or (EXAMPLES / example / "template.yaml").read_text(encoding="utf-8")
    cloudformation, name = stack.aws.cloudformation, f"e2e-{example.replace('_', '-')}"
    given: Any = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    cloudformation.create_stack(
        StackName=name, TemplateBody=template, Parameters=given, Capabilities=["CAPABILITY_IAM"]
    )

    def deployed() -> Any:
        (found,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        return None if found["StackStatus"].endswith("IN_PROGRESS") else found

    made = until(deployed, what=name)
    assert made["StackStatus"] == "CREATE_COMPLETE", made
    return {each["OutputKey"]: each["OutputValue"] for each in made["Outputs"]}


def register(stack: Stack, texts: Mapping[str, Any]) -> None:
    """Puts texts into the catalogue, and registers them with dxtong."""
    for name, template in texts.items():
        parameter = f"/{stack.description['stack_name']}/templates/{name}"
        value = json.dumps(template, ensure_ascii=False)
        stack.aws.ssm.put_parameter(Name=parameter, Type="String", Value=value)
    registered = [re.sub(r"\{\w+\}", "【變量】", template["text"]) for template in texts.values()]
    stack.configure_simulator("dxtong", templates=[*PAGE_TEMPLATES, SANDBOX_TEMPLATE, *registered])


def aws(stack: Stack) -> dict[str, str]:
    """The environment of a program whose AWS is the local stack."""
    return environment(**shell.variables(stack), NO_PROXY="127.0.0.1")


def needs(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def test_the_queue_of_results_gets_what_its_filter_lets_through(gateway: Stack) -> None:
    topic = gateway.description["results_topic_arn"]
    made = deploy(gateway, "results_queue", ResultsTopicArn=topic, Statuses="failed,rejected")
    ids = [new_id(), new_id()]
    for message_id, ending in zip(ids, (0, 36), strict=True):  # delivered, and never answered
        send(gateway, message_id=message_id, mobile=number(ending), **SHIPPED)
    assert [final(gateway, each)["status"] for each in ids] == ["delivered", "failed"]
    told: list[Any] = []

    def failed() -> Any:
        told.extend(gateway.messages(made["QueueUrl"]))
        return ids[1] in {each["message_id"] for each in told}

    until(failed)
    assert {each["status"] for each in told} <= {"failed", "rejected"}


ENDS: dict[str, tuple[Callable[[], dict[str, Any]], str | None]] = {
    "answered": (lambda: {"mobile": number(0)}, None),
    "answered later": (lambda: {"mobile": number(0), "not_before": in_seconds(4)}, None),
    "not answered": (lambda: {"mobile": number(36)}, "Call.failed"),
    "on the blocklist": (lambda: {"mobile": number(15)}, "Call.rejected"),
    "no receipt": (lambda: {"mobile": number(88)}, "Call.unknown"),
    "dry run": (lambda: {"mobile": number(0), "dry_run": True}, "Call.not_found"),
}
"""What is asked for, and the error with which the machine ends."""


def test_the_state_machine_rings_waits_and_ends_by_what_became_of_it(gateway: Stack) -> None:
    text = (EXAMPLES / "step_functions" / "template.yaml").read_text(encoding="utf-8")
    quick = text.replace("Seconds: 15", "Seconds: 1")
    assert quick.count("Seconds: 1\n") == 1
    hasty = quick.replace("NumericGreaterThanEquals: 60", "NumericGreaterThanEquals: 4")
    assert hasty != quick
    made = {text: deploy(gateway, f"step_functions_{at}", text) for at, text in enumerate((quick, hasty))}
    machines = client(gateway, "stepfunctions")
    started = {}
    for case, (asked, _) in ENDS.items():
        name = new_id("machine")
        given = json.dumps({**asked(), **SHIPPED, "vendor": "dxtong"})
        arn = made[hasty if case == "no receipt" else quick]["MachineArn"]
        execution = machines.start_execution(stateMachineArn=arn, name=name, input=given)
        started[case] = (name, execution["executionArn"])
    for case, (name, execution) in started.items():

        def ended(execution: str = execution) -> Any:
            gateway.invoke("sweep", {})  # it runs once a minute
            found = machines.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else found

        found = until(ended, what=case)
        error = ENDS[case][1]
        assert (found["status"], found.get("error")) == ("FAILED" if error else "SUCCEEDED", error), found
        if error != "Call.not_found":
            assert json.loads(found["cause"] if error else found["output"])["message_id"] == name


def test_an_alarm_rings_through_eventbridge_once_for_each_event(gateway: Stack) -> None:
    text = (EXAMPLES / "eventbridge" / "template.yaml").read_text(encoding="utf-8")
    ours = text.replace("source: [aws.cloudwatch]", "source: [tests.alarms]")  # nobody but AWS may put events as aws.*
    assert ours != text
    readme = (EXAMPLES / "eventbridge" / "README.md").read_text(encoding="utf-8")
    register(gateway, json.loads(re.findall(r"```json\n(.*?)```", readme, re.DOTALL)[0]))
    deploy(gateway, "eventbridge", ours, Mobile=number(0), NextMobile=number(1))
    events = client(gateway, "events")
    entries = [
        {
            "Source": "tests.alarms",
            "DetailType": "CloudWatch Alarm State Change",
            "Detail": json.dumps({"alarmName": name, "state": {"value": state}}),
        }
        for name, state in (("urgent磁盘", "ALARM"), ("urgent磁盘", "OK"), ("other", "ALARM"))
    ]
    ids = [each["EventId"] for each in events.put_events(Entries=entries)["Entries"]]
    assert final(gateway, ids[0])["status"] == "delivered"
    assert [status(gateway, each)["status"] for each in ids[1:]] == [None, None]


@pytest.fixture
def alertmanager(gateway: Stack, tmp_path: Path) -> Iterator[str]:
    """Alertmanager with the example's configuration, whose SNS is the local stack's: its address."""
    program = needs("prometheus-alertmanager")
    config = yaml.safe_load((EXAMPLES / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8"))
    shutil.copy(EXAMPLES / "alertmanager" / "voice_gateway.tmpl", tmp_path)
    (page,) = config["route"]["routes"]
    page |= {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1s"}  # in earnest four days
    (sns,) = config["receivers"][1]["sns_configs"]
    described = gateway.description
    sns |= {"topic_arn": described["notify_topic_arn"], "api_url": described["endpoint_url"]}
    sns["sigv4"]["region"] = described["region"]
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(config, allow_unicode=True))
    address = f"127.0.0.1:{server.free_port()}"
    options = [f"--web.listen-address={address}", "--cluster.listen-address=", "--storage.path=data"]
    command = [program, "--config.file=alertmanager.yml", *options]
    process = processes.start("alertmanager", command, log=tmp_path / "log", cwd=tmp_path, env=aws(gateway))
    try:
        yield f"http://{address}"
    finally:
        processes.stop([process])


def test_alertmanager_rings_for_an_alert_and_not_again_when_it_repeats_it(gateway: Stack, alertmanager: str) -> None:
    amtool = needs("amtool")
    register(gateway, json.loads((EXAMPLES / "alertmanager" / "templates.json").read_text(encoding="utf-8")))
    began = time.strftime(MOMENT, time.gmtime())
    labels = ["alertname=磁盘", f"oncall={number(2)}", f"escalate_to={number(3)}, {number(4)}"]
    add = [amtool, "alert", "add", f"--alertmanager.url={alertmanager}", f"--start={began}", *labels]
    add += ["--annotation=voice=将满"]

    def added() -> bool:
        return subprocess.run(add, capture_output=True, check=False).returncode == 0

    until(added, what="Alertmanager")
    query = [amtool, "alert", "query", f"--alertmanager.url={alertmanager}", "--output=json"]
    (alert,) = json.loads(subprocess.run(query, capture_output=True, check=True, text=True).stdout)
    message_id = f"{alert['fingerprint']}-{calendar.timegm(time.strptime(began, MOMENT))}"
    until(lambda: sum(each.get("message_id") == message_id for each in records(gateway, "send")) > 1)
    found = final(gateway, message_id)
    rung = [call for call in calls(gateway, "dxtong", number(2)) if "将满" in call["fields"]["content"]]
    assert len(rung) == 1
    assert (found["status"], found["template"], found["rings"][0]["callee"]) == ("delivered", "alert", number(2)[-4:])


def rings(gateway: Stack, order: str, *command: str | Path, cwd: Path) -> None:
    """Run twice, the caller rings once."""
    for _ in range(2):
        done = subprocess.run(
            [*command, order, number(5)], cwd=cwd, env=aws(gateway), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert re.match(rf"order-{order} (accepted|delivered)", done.stdout), done.stdout
    assert final(gateway, f"order-{order}")["ring"] == 1


def test_the_caller_in_node_rings_once(gateway: Stack, tmp_path: Path) -> None:
    node, npm = needs("node"), needs("npm")
    shutil.copytree(EXAMPLES / "node", tmp_path / "node", ignore=shutil.ignore_patterns("node_modules"))
    install = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(install, cwd=tmp_path / "node", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rings(gateway, new_id("node"), node, "ring.mjs", cwd=tmp_path / "node")


DEBIANS_SDK = Path("/usr/share/gocode")
"""golang-github-aws-aws-sdk-go-v2-dev; it is older than AWS_ENDPOINT_URL, and has to be told the address."""
TOLD = """config.WithRetryMaxAttempts(5),
		config.WithEndpointResolverWithOptions(aws.EndpointResolverWithOptionsFunc(
			func(string, string, ...interface{}) (aws.Endpoint, error) {
				return aws.Endpoint{URL: os.Getenv("AWS_ENDPOINT_URL")}, nil
			})),
"""


def test_the_caller_in_go_rings_once(gateway: Stack, tmp_path: Path) -> None:
    go = needs("go")
    if not (DEBIANS_SDK / "src/github.com/aws/aws-sdk-go-v2/service/lambda").exists():
        pytest.skip("no SDK for Go here")
    text = (EXAMPLES / "go" / "main.go").read_text(encoding="utf-8")
    (tmp_path / "main.go").write_text(text.replace("config.WithRetryMaxAttempts(5),\n", TOLD))
    env = environment(
        GO111MODULE="off", GOPATH=str(DEBIANS_SDK), GOCACHE=str(tmp_path / "cache"), HOME=os.environ["HOME"]
    )
    done = subprocess.run(
        [go, "build", "-o", "ring", "main.go"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rings(gateway, new_id("go"), tmp_path / "ring", cwd=tmp_path)
