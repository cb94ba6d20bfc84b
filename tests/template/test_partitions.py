"""One template for AWS, for China and for GovCloud: nothing in it names a place, and China has all that it needs.

What China lacks is listed service by service below https://docs.amazonaws.cn/en_us/aws/latest/userguide/ ("Feature
Availability and Implementation Differences"); which resource types its CloudFormation knows comes with cfn-lint.
"""

import json
import re
from functools import cache
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]
from voice_gateway import vendors

from tests.found import CALLBACKS, TITLES
from tests.template import translation
from tests.template.evaluation import FRANKFURT, PLACES, Evaluation, Place, texts

CHINA = [each for each in PLACES if each.partition == "aws-cn"]

REGION = re.compile(r"\b(?:us|eu|ap|cn|sa|ca|me|af|il|mx)-(?:gov-|iso[a-z]?-)?[a-z]+-\d\b")

# Each is the same in every partition (`.com.cn` is refused for Lambda); none has a region in it.
SERVICE_PRINCIPALS = {
    "apigateway.amazonaws.com": "invokes the callback functions, writes the access log",
    "cloudwatch.amazonaws.com": "publishes alarms",
    "codedeploy.amazonaws.com": "shifts an alias",
    "events.amazonaws.com": "the schedules of sweep and balance_check",
    "lambda.amazonaws.com": "takes the functions' roles",
    "sns.amazonaws.com": "invokes send, writes what it could not hand over to the dead letters",
}

# Whatever the template comes to need is looked up before it gets its line here.
AVAILABLE_IN_CHINA = {
    "AWS::ApiGateway::Account": "the role for access logs, as elsewhere",
    "AWS::ApiGateway::Deployment": "as elsewhere",
    "AWS::ApiGateway::RestApi": "regional and private only; one without authorization answers only with an ICP licence",
    "AWS::ApiGateway::Stage": "without tracing",
    "AWS::CloudWatch::Alarm": "but no metrics of asynchronous invokes or event source mappings",
    "AWS::CloudWatch::Dashboard": "as elsewhere; of the whole account, not of a region",
    "AWS::CodeDeploy::Application": "no difference that touches Lambda",
    "AWS::CodeDeploy::DeploymentGroup": "no difference that touches Lambda",
    "AWS::DynamoDB::Table": "no difference but strongly consistent global tables",
    "AWS::Events::Rule": "schedules, as elsewhere; it is EventBridge's newer parts that vary by region",
    "AWS::IAM::Role": "in the partition aws-cn",
    "AWS::Lambda::Alias": "as elsewhere",
    "AWS::Lambda::EventInvokeConfig": "queues as destinations; S3 as one is not there",
    "AWS::Lambda::EventSourceMapping": "without provisioned mode, metrics, tags, or S3 as a destination",
    "AWS::Lambda::Function": "without X-Ray, function URL, SnapStart for Python or a key of one's own for the package",
    "AWS::Lambda::LayerVersion": "as elsewhere",
    "AWS::Lambda::Permission": "as elsewhere",
    "AWS::Lambda::Version": "as elsewhere",
    "AWS::Logs::LogGroup": "as elsewhere; for a key of one's own the service principal ends in .com.cn",
    "AWS::Logs::QueryDefinition": "as elsewhere",
    "AWS::SNS::Subscription": "Lambda and e-mail; no SMS, no mobile push",
    "AWS::SNS::Topic": "without data protection policies",
    "AWS::SNS::TopicPolicy": "as elsewhere",
    "AWS::SQS::Queue": "with encryption and redrive policies; moving dead letters back is not there",
    "AWS::SQS::QueuePolicy": "as elsewhere",
    "AWS::SecretsManager::Secret": "without managed external secrets",
}

DEAD_LETTERS = {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}

# What is a property rather than a type. (type, property, what it may hold in China; nothing: it must be absent)
LIMITED_IN_CHINA: list[tuple[str, str, tuple[Any, ...]]] = [
    ("AWS::Lambda::Function", "TracingConfig.Mode", ("PassThrough",)),  # the default: X-Ray is not asked for
    ("AWS::Lambda::Function", "SnapStart", ()),
    ("AWS::Lambda::Function", "RecursiveLoop", ()),
    ("AWS::Lambda::Function", "Code.SourceKMSKeyArn", ()),
    ("AWS::Lambda::Function", "Runtime", ("python3.13",)),
    ("AWS::Lambda::Function", "Architectures", (["x86_64"],)),
    ("AWS::Lambda::EventSourceMapping", "ProvisionedPollerConfig", ()),
    ("AWS::Lambda::EventSourceMapping", "MetricsConfig", ()),
    ("AWS::Lambda::EventSourceMapping", "Tags", ()),
    ("AWS::Lambda::EventSourceMapping", "DestinationConfig.OnFailure.Destination", (DEAD_LETTERS,)),
    ("AWS::Lambda::EventInvokeConfig", "DestinationConfig.OnFailure.Destination", (DEAD_LETTERS,)),
    ("AWS::ApiGateway::RestApi", "EndpointConfiguration.Types", (["REGIONAL"],)),
    ("AWS::ApiGateway::Stage", "TracingEnabled", (False,)),
    ("AWS::SNS::Subscription", "Protocol", ("lambda", "email", "sqs")),
    ("AWS::SNS::Topic", "DataProtectionPolicy", ()),
    ("AWS::SecretsManager::Secret", "Type", ()),
]  # fmt: skip
METRICS_CHINA_LACKS = {"AsyncEventsReceived", "AsyncEventAge", "AsyncEventsDropped"}


# All that a parameter adds.
EVERYTHING = {
    "AlarmEmail": "ops@example.com",
    "GradualDeployment": "true",
    "Tracing": "on",
    "VpcSecurityGroupIds": "sg-0a",
    "VpcSubnetIds": "subnet-0a",
}


@cache
def deployed(place: Place, **parameters: str) -> Evaluation:
    return Evaluation(place, **parameters)


def placed(place: Place) -> str:
    return place.region


each_place = pytest.mark.parametrize("place", PLACES, ids=placed)
each_of_china = pytest.mark.parametrize("place", CHINA, ids=placed)
each_mode = pytest.mark.parametrize("mode", ["push", "poll"])


def found_at(node: Any, path: str) -> Any:
    for name in path.split("."):
        node = node.get(name, {}) if isinstance(node, dict) else {}
    return node


# Nothing names a place.


@each_place
def test_no_partition_suffix_or_region_is_hard_coded(place: Place) -> None:
    """Before pseudo parameters are put in. SAM itself writes the partition of where it runs into some addresses."""
    template = translation.translate(translation.written(), place.region)
    defaults = [str(each["Default"]) for each in template["Parameters"].values()]
    for text in [*texts(template["Resources"]), *texts(template["Outputs"]), *defaults]:
        assert not REGION.search(text), text
        assert text in SERVICE_PRINCIPALS or not re.search(r"amazonaws|aws\.amazon|\.aws\b", text), text
        for partition in re.findall(r"\barn:(\$\{[^}]*\}|[^:]*):", text):
            assert partition in {"${AWS::Partition}", place.partition}, text


@each_place
@each_mode
def test_every_address_is_one_of_its_own_partition(place: Place, mode: str) -> None:
    for text in deployed(place, CallbackMode=mode, **EVERYTHING).texts():
        assert set(re.findall(r"\barn:([^:]*):", text)) <= {place.partition}, text
        assert set(REGION.findall(text)) <= {place.region}, text
        for suffix in re.findall(r"execute-api\.[a-z0-9-]+\.([a-z.]+)", text):
            assert suffix == place.suffix, text


@each_place
def test_service_principals_are_right_everywhere(place: Place) -> None:
    template = deployed(place, **EVERYTHING)
    found = {each["Properties"]["Principal"] for each in template.of_type("AWS::Lambda::Permission").values()} | {
        text for text in template.texts() if text.endswith((".amazonaws.com", ".amazonaws.com.cn")) and "/" not in text
    }
    assert found <= set(SERVICE_PRINCIPALS)
    assert {"lambda.amazonaws.com", "events.amazonaws.com", "sns.amazonaws.com"} <= found


# China has it.


@each_of_china
def test_no_resource_type_is_missing_in_china(place: Place) -> None:
    used = {each["Type"] for each in deployed(place, **EVERYTHING).resources.values()}
    assert used <= set(AVAILABLE_IN_CHINA), "look it up, and give it a line above"
    assert used <= set(PROVIDER_SCHEMA_MANAGER.get_resource_types(place.region))


@each_of_china
@pytest.mark.parametrize(
    ("kind", "path", "allowed"), LIMITED_IN_CHINA, ids=lambda each: each if isinstance(each, str) else ""
)
def test_no_feature_is_used_that_china_lacks(place: Place, kind: str, path: str, allowed: tuple[Any, ...]) -> None:
    for name, resource in deployed(place, GradualDeployment="true", AlarmEmail="ops@example.com").of_type(kind).items():
        value = found_at(resource.get("Properties", {}), path)
        assert value == {} or value in allowed, f"{name}: {path} is {json.dumps(value)}"


@each_of_china
def test_no_alarm_waits_for_a_metric_that_china_lacks(place: Place) -> None:
    watched = {each["Properties"]["MetricName"] for each in deployed(place).of_type("AWS::CloudWatch::Alarm").values()}
    assert not watched & METRICS_CHINA_LACKS


# Modes.


@each_place
@each_mode
@pytest.mark.parametrize(
    "more", [{}, {"ApiGatewayLogRole": "existing"}, EVERYTHING], ids=["default", "existing role", "everything"]
)
def test_nothing_refers_to_what_is_not_deployed(place: Place, mode: str, more: dict[str, str]) -> None:
    template = deployed(place, CallbackMode=mode, **more)
    dangling = [(who, what) for who, what in template.references() if what not in template.resources | {"__ApiId__": 0}]
    assert not dangling


@each_place
def test_poll_mode_deploys_nothing_for_callbacks(place: Place) -> None:
    push, poll = (deployed(place, CallbackMode=mode) for mode in ("push", "poll"))
    gone = set(push.resources) - set(poll.resources)
    kept = {
        name
        for name in poll.resources
        if re.match(rf"Callback|ApiGateway|({'|'.join(TITLES.values())})(?!Secret)", name)
    }
    assert kept == {"CallbackSecret"}  # it hashes numbers too
    assert not {each["Type"] for each in poll.resources.values()} & {
        "AWS::ApiGateway::Account", "AWS::ApiGateway::Deployment", "AWS::ApiGateway::RestApi", "AWS::ApiGateway::Stage",
    }  # fmt: skip
    of_each = ("Callback{}LogGroup", "Callback{}ErrorsAlarm", "{}BadTokenAlarm", "{}NotKeptAlarm")
    assert {"CallbackApiLogGroup", *(name.format(title) for name in of_each for title in TITLES.values())} <= gone
    registered = {f"{TITLES[name]}CallbackAddress" for name in vendors.with_one_address()}
    named = {f"{name}FunctionName" for name in CALLBACKS}
    assert set(push.outputs) - set(poll.outputs) == {"CallbackBaseUrl", *named, *registered}


@each_place
def test_with_tracing_off_nothing_may_speak_to_x_ray(place: Place) -> None:
    def speaks(template: Evaluation) -> set[str]:
        return {
            name
            for name, role in template.of_type("AWS::IAM::Role").items()
            if any(text.startswith("xray:") for text in texts(role))
        }

    assert not speaks(deployed(place))
    on = deployed(place, Tracing="on")
    assert len(speaks(on)) == len(on.of_type("AWS::Lambda::Function"))


# What the tests above stand on.


def test_the_evaluation_decides_as_cloudformation_does() -> None:
    with pytest.raises(ValueError, match="no such parameters"):
        Evaluation(FRANKFURT, Nonsense="1")
    limited = deployed(FRANKFURT, SendConcurrency="5").resources["SendFunction"]["Properties"]
    assert limited["ReservedConcurrentExecutions"] == "5"
    assert "ReservedConcurrentExecutions" not in deployed(FRANKFURT).resources["SendFunction"]["Properties"]
    api = deployed(FRANKFURT, CallbackCidrs="192.0.2.0/24,198.51.100.7/32").resources["CallbackApi"]["Properties"]
    (statement,) = api["Body"]["x-amazon-apigateway-policy"]["Statement"]
    assert statement["Condition"]["IpAddress"]["aws:SourceIp"] == ["192.0.2.0/24", "198.51.100.7/32"]
