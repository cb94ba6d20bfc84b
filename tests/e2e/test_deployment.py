"""What the deployment itself must give: every package of the layer, every trigger, and its events' shapes."""

import io
import json
import zipfile
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from local.simulators.server import LoopbackServer, Reply, Request
from local.stack import InvokeError, Stack
from tests.e2e.use import SHIPPED, client, free_number, new_id, number, push, records, send, sends, until
from tests.gateway import ROOT


@pytest.fixture(scope="module", autouse=True)
def catcher(gateway: Stack) -> "Catcher":
    """A function of the tests' own on the gateway's triggers; there from the start, for schedules take their minute."""
    catcher = Catcher(gateway)
    catcher.watch()
    return catcher


@pytest.mark.parametrize("package", ["botocore", "requests", "urllib3", "certifi", "dateutil"])
def test_a_package_taken_out_of_the_layer_is_missed(gateway: Stack, package: str) -> None:
    sends(gateway)
    with gateway.without_package("send", package), pytest.raises((InvokeError, AssertionError)):
        sends(gateway)


def test_xml_is_read_with_the_packages_of_the_layer(gateway: Stack) -> None:
    """A dxtong that answers in its default format, whatever it was asked for."""
    with AnsweringInXml() as vendor, gateway.with_setting("send", "DXTONG_ENDPOINT", vendor.address):
        request = {"mobile": number(79), "vendor": "dxtong", **SHIPPED}
        assert send(gateway, **request)["call_id"] == "60495654"
        with gateway.without_package("send", "defusedxml"), pytest.raises((InvokeError, AssertionError)):
            assert send(gateway, **request)["call_id"] == "60495654"


class AnsweringInXml(LoopbackServer):
    def handle(self, request: Request) -> Reply:
        answer = "<SubmitResult><code>2</code><msg>提交成功</msg><voiceid>60495654</voiceid></SubmitResult>\n"
        return Reply(f'<?xml version="1.0" encoding="utf-8"?>{answer}'.encode())


def test_the_dashboard_is_there_and_its_metrics_come_in(gateway: Stack) -> None:
    """What the template leaves to deployment in its text is filled in, and a call makes a metric of its vendor."""
    cloudwatch = gateway.aws.cloudwatch
    (name,) = [each["DashboardName"] for each in cloudwatch.list_dashboards()["DashboardEntries"]]
    body = json.loads(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])
    assert "${" not in json.dumps(body)
    (alarms,) = [each["properties"]["alarms"] for each in body["widgets"] if each["type"] == "alarm"]
    deployed = {each["AlarmArn"] for each in cloudwatch.describe_alarms(MaxRecords=100)["MetricAlarms"]}
    assert set(alarms) <= deployed
    sends(gateway)

    def counted() -> bool:
        found = cloudwatch.list_metrics(Namespace="VoiceGateway", MetricName="Accepted")["Metrics"]
        return any({one["Name"] for one in each["Dimensions"]} == {"stack", "vendor", "service"} for each in found)

    until(counted, what="a metric of the vendor")


# The events under events/ are what the triggers really deliver.


def test_the_events_are_what_the_triggers_deliver(gateway: Stack, catcher: "Catcher") -> None:
    gateway.aws.sns.publish(
        TopicArn=gateway.description["notify_topic_arn"],
        Message=json.dumps({"message_id": new_id(), "mobile": free_number(), **SHIPPED}),
    )
    for method, body in (("POST", b"code=2"), ("GET", None)):
        push(catcher.api(method) + "?callStatus=0", body)
    wanted: dict[str, Callable[[Any], bool]] = {
        "send_sns": lambda event: "Sns" in event.get("Records", [{}])[0],
        "send_sqs": lambda event: event.get("Records", [{}])[0].get("eventSource") == "aws:sqs",
        "publish": lambda event: event.get("Records", [{}])[0].get("eventName") == "MODIFY",
        "callback_dxtong": lambda event: event.get("httpMethod") == "POST",
        "callback_jumdata_post": lambda event: event.get("httpMethod") == "POST",
        "callback_jumdata_get": lambda event: event.get("httpMethod") == "GET",
        "sweep": lambda event: event.get("detail-type") == "Scheduled Event",
        "balance_check": lambda event: event.get("detail-type") == "Scheduled Event",
    }
    for name, looks in wanted.items():
        delivered = until(partial(catcher.caught, looks), within=120, what=f"the event of {name}")
        sample = json.loads((ROOT / "events" / f"{name}.json").read_text())
        differences = [each for each in unlike(delivered, sample, name) if each not in ONLY_HERE]
        assert not differences


def test_the_schedules_run_by_themselves(gateway: Stack) -> None:
    """One line an invocation: those that no test asked for were asked for by the rules."""

    def ran(function: str) -> bool:
        return any("DurationMs" in record for record in records(gateway, function))

    for function in ("sweep", "balance_check"):
        rule = gateway.aws.cloudformation.describe_stack_resources(StackName=gateway.description["stack_name"])
        assert any(r["ResourceType"] == "AWS::Events::Rule" for r in rule["StackResources"])
        until(partial(ran, function), within=120, what=f"a run of {function}")


CATCHER = """
import json

def handler(event, context):
    print("CAUGHT " + json.dumps(event))
    return {"statusCode": 200}
"""

# Values that change from one delivery to the next, and what depends on who sends the request.
_FREE = {"headers", "multiValueHeaders", "queryStringParameters", "multiValueQueryStringParameters", "NewImage"}
_FREE |= {"OldImage", "identity", "pathParameters", "detail", "MessageAttributes"}


# The local server's own: AWS gives a version in the events of HTTP APIs, not of REST APIs.
ONLY_HERE = {f"callback_{name}.version: not in the sample" for name in ("dxtong", "jumdata_post", "jumdata_get")}


def unlike(delivered: Any, sample: Any, where: str) -> Any:
    """What is delivered and not in the sample, or of another type; null fits anything.

    SNS spells SigningCertUrl for Lambda and SigningCertURL elsewhere, and the local server the latter: case is let be.
    """
    if isinstance(delivered, dict) and isinstance(sample, dict):
        delivered = {name.lower() if name.endswith("URL") else name: value for name, value in delivered.items()}
        sample = {name.lower() if name.endswith("Url") else name: value for name, value in sample.items()}
        for name, value in delivered.items():
            if name not in sample:
                yield f"{where}.{name}: not in the sample"
            elif name not in _FREE:
                yield from unlike(value, sample[name], f"{where}.{name}")
    elif isinstance(delivered, list) and isinstance(sample, list):
        for one, other in zip(delivered, sample, strict=False):
            yield from unlike(one, other, where)
    elif delivered is not None and sample is not None and type(delivered) is not type(sample):
        yield f"{where}: {type(delivered).__name__}, in the sample {type(sample).__name__}"


class Catcher:
    """A function beside the gateway's, on the same triggers."""

    NAME = "e2e-catcher"

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as package:
            package.writestr("app.py", CATCHER)
        name = stack.description["functions"]["status"]
        role = stack.aws.lambda_.get_function_configuration(FunctionName=name)["Role"]
        self._arn = stack.aws.lambda_.create_function(
            FunctionName=self.NAME,
            Runtime="python3.13",
            Handler="app.handler",
            Role=role,
            Code={"ZipFile": archive.getvalue()},
        )["FunctionArn"]

    def watch(self) -> None:
        """The topic, a queue behind it, the stream and a schedule."""
        topic = self._stack.description["notify_topic_arn"]
        self._stack.aws.lambda_.add_permission(
            FunctionName=self.NAME, StatementId="sns", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com"
        )
        self._stack.aws.sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=self._arn)
        queue = self._stack.queue_on(topic, self.NAME)
        found = self._stack.aws.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        arn = found["Attributes"]["QueueArn"]
        self._stack.aws.lambda_.create_event_source_mapping(EventSourceArn=arn, FunctionName=self.NAME, BatchSize=1)
        table = self._stack.aws.dynamodb.describe_table(TableName=self._stack.description["calls_table"])["Table"]
        self._stack.aws.lambda_.create_event_source_mapping(
            EventSourceArn=table["LatestStreamArn"], FunctionName=self.NAME, StartingPosition="TRIM_HORIZON"
        )
        events = client(self._stack, "events")
        events.put_rule(Name=self.NAME, ScheduleExpression="rate(1 minute)")
        events.put_targets(Rule=self.NAME, Targets=[{"Id": "catcher", "Arn": self._arn}])

    def api(self, method: str) -> str:
        """The address of an API with a route as the gateway's, in front of the catcher."""
        gateway = client(self._stack, "apigateway")
        api = gateway.create_rest_api(name=f"{self.NAME}-{method}", binaryMediaTypes=["*/*"])["id"]
        (root,) = gateway.get_resources(restApiId=api)["items"]
        parent = root["id"]
        for part in ("callbacks", "dxtong", "{token}"):
            parent = gateway.create_resource(restApiId=api, parentId=parent, pathPart=part)["id"]
        gateway.put_method(restApiId=api, resourceId=parent, httpMethod=method, authorizationType="NONE")
        uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{self._arn}/invocations"
        gateway.put_integration(
            restApiId=api,
            resourceId=parent,
            httpMethod=method,
            type="AWS_PROXY",
            integrationHttpMethod="POST",
            uri=uri,
        )
        gateway.create_deployment(restApiId=api, stageName="v1")
        return f"{self._stack.description['endpoint_url']}/restapis/{api}/v1/_user_request_/callbacks/dxtong/token"

    def caught(self, looks: Callable[[Any], bool]) -> Any:
        """The first event that looks as it is wanted."""
        pages = self._stack.aws.logs.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{self.NAME}"
        )
        lines = (event["message"] for page in pages for event in page["events"])
        events = (json.loads(line.removeprefix("CAUGHT ")) for line in lines if line.startswith("CAUGHT "))
        return next((event for event in events if looks(event)), None)
