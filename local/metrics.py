"""What CloudWatch does by itself on AWS: makes metrics of EMF log lines, and of how full the queues are.

Runs beside the stack: `python -m local.metrics STACK_JSON`.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from local.aws import Clients

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

EVERY_SECONDS = 3.0
OVERLAP_MS = 10_000
"""A line may be stored a moment after a later one."""


class Metrics:
    """One round at a time; remembers which lines it has seen."""

    def __init__(self, aws: Clients, stack_name: str) -> None:
        self._aws = aws
        self._log_prefix = f"/aws/lambda/{stack_name}-"
        self._queue_prefix = f"{stack_name}-"
        self._since = 0
        self._seen: set[str] = set()

    def round(self) -> None:
        now = int(time.time() * 1000)
        for namespace, data in self._from_logs():
            self._aws.cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
        depths = list(self._depths())
        if depths:
            self._aws.cloudwatch.put_metric_data(Namespace="AWS/SQS", MetricData=depths)
        self._since = now - OVERLAP_MS

    def _from_logs(self) -> "Iterator[tuple[str, list[MetricDatumTypeDef]]]":
        groups = self._aws.logs.describe_log_groups(logGroupNamePrefix=self._log_prefix)["logGroups"]
        for group in groups:
            events = self._aws.logs.filter_log_events(logGroupName=group["logGroupName"], startTime=self._since)[
                "events"
            ]
            for number, event in enumerate(events):
                identity = event.get("eventId") or f"{event['logStreamName']}/{event['timestamp']}/{number}"
                if identity not in self._seen and '"_aws"' in event["message"]:
                    self._seen.add(identity)
                    yield from emf(event["message"])

    def _depths(self) -> "Iterator[MetricDatumTypeDef]":
        for url in self._aws.sqs.list_queues(QueueNamePrefix=self._queue_prefix).get("QueueUrls", []):
            attributes = self._aws.sqs.get_queue_attributes(
                QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
            )["Attributes"]
            yield {
                "MetricName": "ApproximateNumberOfMessagesVisible",
                "Dimensions": [{"Name": "QueueName", "Value": url.rpartition("/")[2]}],
                "Value": float(attributes["ApproximateNumberOfMessages"]),
            }


def emf(line: str) -> "Iterator[tuple[str, list[MetricDatumTypeDef]]]":
    """The metrics that one log line holds, by namespace; none where it is no EMF line.

    A line may have several directives, and a directive several sets of dimensions. As on AWS, a set or a metric that
    the line has no value for is left out.
    """
    try:
        content: dict[str, Any] = json.loads(line)
        directives = content["_aws"]["CloudWatchMetrics"]
    except (ValueError, KeyError, TypeError):
        return
    for directive in directives:
        data: list[MetricDatumTypeDef] = [
            {
                "MetricName": metric["Name"],
                "Dimensions": [{"Name": name, "Value": str(content[name])} for name in names],
                "Value": float(value),
            }
            for names in directive["Dimensions"]
            if all(name in content for name in names)
            for metric in directive["Metrics"]
            if metric["Name"] in content
            for value in _values(content[metric["Name"]])
        ]
        if data:
            yield directive["Namespace"], data


def _values(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def main() -> None:
    stack = json.loads(Path(sys.argv[1]).read_text())
    metrics = Metrics(Clients(stack["endpoint_url"]), stack["stack_name"])
    while True:
        try:
            metrics.round()
        except (BotoCoreError, ClientError) as error:
            # The server may be busy or on its way out; this process is ended with it.
            print(f"metrics: {error}", flush=True)
        time.sleep(EVERY_SECONDS)


if __name__ == "__main__":
    main()
