"""A function of the tests' own on the gateway's triggers, and how what it gets differs from the samples in events/."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

from local.stack import Stack
from tests.e2e.use import client

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
