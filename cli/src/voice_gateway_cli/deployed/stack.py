"""A deployed gateway as the commands reach it: its outputs, functions, table, queues, secret and logs."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any, NamedTuple

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from voice_gateway.model.message import Message
from voice_gateway.platform.callback_tokens import Keyring
from voice_gateway.platform.secrets import stored_text
from voice_gateway.storage.message_item import message_of
from voice_gateway.storage.table import plain

from voice_gateway_cli.errors import CommandError

ALIAS = "live"
"""What triggers call of each function: template.yaml's."""

_FRUITLESS = 3
"""Looks at a queue that showed nothing new: one may find nothing where there is something."""
_LOOKED_AT = 10
"""Seconds for which a queue hides what is being looked at, at the most."""

Item = dict[str, Any]


class LogLine(NamedTuple):
    """One line of a function's log. ``at``: epoch seconds; ``content`` is the line's JSON, or empty if it has none."""

    at: float
    function: str
    text: str
    content: Mapping[str, Any]


class Letter(NamedTuple):
    """One message of a queue, as it was received. ``handle`` takes it out; ``sent_at``: epoch seconds."""

    letter_id: str
    body: str
    handle: str
    sent_at: float
    attributes: Mapping[str, str]


class Stack:
    """One stack. Every method raises what boto3 raises, which ``errors.in_words`` says in words."""

    def __init__(self, name: str, where: str, session: boto3.Session, client_options: Mapping[str, Any]) -> None:
        self.name = name
        self.where = where
        self._session = session
        self._options = client_options
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._session.client(service, **self._options)  # type: ignore[call-overload]
        return self._clients[service]

    # What is deployed.

    @cached_property
    def described(self) -> Mapping[str, Any]:
        """What CloudFormation says of it."""
        (stack,) = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        found: Mapping[str, Any] = stack
        return found

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        return {each["OutputKey"]: each["OutputValue"] for each in self.described.get("Outputs", [])}

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        return {each["ParameterKey"]: each["ParameterValue"] for each in self.described.get("Parameters", [])}

    def output(self, name: str) -> str:
        """Raises CommandError if the stack has no such output."""
        if name not in self.outputs:
            raise CommandError(f"{self.name} has no output {name}: is it a stack of this gateway, and of this release?")
        return self.outputs[name]

    @cached_property
    def functions(self) -> Mapping[str, str]:
        """The deployed name of each function, by its folder's name in ``functions/``."""
        named = {
            key.removesuffix("FunctionName"): value
            for key, value in self.outputs.items()
            if key.endswith("FunctionName")
        }
        return {_folder(key): value for key, value in named.items()}

    def invoke(self, function: str, payload: Any) -> Any:
        """What the function returns, called as its triggers do. Raises CommandError with what it raised."""
        if function not in self.functions:
            raise CommandError(f"{self.name} has no function {function}")
        reply = self.client("lambda").invoke(
            FunctionName=f"{self.functions[function]}:{ALIAS}",
            Payload=json.dumps(payload, ensure_ascii=False).encode(),
        )
        returned = json.loads(reply["Payload"].read())
        if reply.get("FunctionError"):
            raise CommandError(f"{function} raised {_raised(returned)}")
        return returned

    # The calls table.

    def item(self, pk: str) -> Item | None:
        """An item of the calls table, read consistently."""
        found = self.client("dynamodb").get_item(
            TableName=self.output("CallsTableName"), Key={"pk": {"S": pk}}, ConsistentRead=True
        )
        return plain(found["Item"]) if found.get("Item") else None

    def message(self, message_id: str) -> Message | None:
        found = self.client("dynamodb").get_item(
            TableName=self.output("CallsTableName"), Key={"pk": {"S": f"MSG#{message_id}"}}, ConsistentRead=True
        )
        return message_of(found["Item"]) if found.get("Item") else None

    @property
    def has_number_index(self) -> bool:
        """Not while a stack of before is on its way to it (docs/upgrading.md)."""
        return self.parameters.get("NumberIndex", "on") == "on"

    def by_number(self, number_hash: str) -> Iterator[Item]:
        """What the index by number has of a number, newest first, as far as the index shows it."""
        request = {
            "TableName": self.output("CallsTableName"),
            "IndexName": "number",
            "KeyConditionExpression": "#number = :number",
            "ExpressionAttributeNames": {"#number": "number"},
            "ExpressionAttributeValues": {":number": {"S": number_hash}},
            "ScanIndexForward": False,
        }
        return self._pages("query", request)

    def in_work(self, key: str) -> Iterator[Item]:
        """What the index ``work`` has under a key, what ``sweep`` looks at last first."""
        request = {
            "TableName": self.output("CallsTableName"),
            "IndexName": "work",
            "KeyConditionExpression": "#work = :work",
            "ExpressionAttributeNames": {"#work": "work"},
            "ExpressionAttributeValues": {":work": {"S": key}},
            "ScanIndexForward": False,
        }
        return self._pages("query", request)

    def messages(self) -> Iterator[Item]:
        """Every message. It reads the whole table, which takes long and is charged."""
        request = {
            "TableName": self.output("CallsTableName"),
            "FilterExpression": "begins_with(#pk, :kind)",
            "ExpressionAttributeNames": {"#pk": "pk"},
            "ExpressionAttributeValues": {":kind": {"S": "MSG#"}},
        }
        return self._pages("scan", request)

    def _pages(self, operation: str, request: dict[str, Any]) -> Iterator[Item]:
        while True:
            page = getattr(self.client("dynamodb"), operation)(**request)
            yield from map(plain, page["Items"])
            if not page.get("LastEvaluatedKey"):
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    # Keys.

    def keyring(self) -> Keyring:
        """The keys of the callback secret, as they are now. Raises SettingsError."""
        return Keyring.from_secret(self.callback_secret())

    def callback_secret(self) -> str:
        found = self.client("secretsmanager").get_secret_value(SecretId=self.output("CallbackSecretArn"))
        return stored_text(found)

    # Queues.

    def letters(self, queue: str, most: int = 500) -> list[Letter]:
        """What lies in a queue (an output's name), as far as it shows it, each once. All of it is shown again."""
        sqs, url = self.client("sqs"), self.output(queue)
        found: dict[str, Mapping[str, Any]] = {}
        fruitless, end = 0, time.monotonic() + _LOOKED_AT - 2
        try:
            while len(found) < most and fruitless < _FRUITLESS and time.monotonic() < end:
                received = sqs.receive_message(
                    QueueUrl=url,
                    MaxNumberOfMessages=10,
                    VisibilityTimeout=_LOOKED_AT,
                    MessageSystemAttributeNames=["SentTimestamp"],
                    MessageAttributeNames=["All"],
                ).get("Messages", [])
                new = {each["MessageId"]: each for each in received}
                fruitless = 0 if new.keys() - found.keys() else fruitless + 1
                found |= new
        finally:
            for each in found.values():
                with suppress(BotoCoreError, ClientError):  # it is shown again by itself, a moment later
                    sqs.change_message_visibility(
                        QueueUrl=url, ReceiptHandle=each["ReceiptHandle"], VisibilityTimeout=0
                    )
        return [_letter(each) for each in found.values()]

    def depth(self, queue: str) -> int:
        """How many messages lie in a queue, about; those being worked on are counted."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client("sqs").get_queue_attributes(QueueUrl=self.output(queue), AttributeNames=names)
        return sum(int(found["Attributes"].get(name, 0)) for name in names)

    # Topics.

    def subscriptions(self, topic: str) -> list[Mapping[str, str]]:
        """The confirmed subscriptions of a topic (an output's name)."""
        pages = self.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=self.output(topic))
        found = [each for page in pages for each in page["Subscriptions"]]
        return [each for each in found if each["SubscriptionArn"].startswith("arn:")]

    # Logs.

    def log_lines(self, function: str, words: str, since: float, until: float | None = None) -> list[LogLine]:
        """A function's lines between two moments that hold the words, oldest first; none if it never ran."""
        if function not in self.functions:
            raise CommandError(f"{self.name} has no function {function}")
        logs = self.client("logs")
        request = {
            "logGroupName": f"/aws/lambda/{self.functions[function]}",
            "startTime": int(since * 1000),
            "endTime": int((until or time.time() + 60) * 1000),
            "filterPattern": json.dumps(words),
        }
        try:
            pages = logs.get_paginator("filter_log_events").paginate(**request)
            events = [event for page in pages for event in page["events"]]
        except logs.exceptions.ResourceNotFoundException:
            return []
        lines = (_line(function, event) for event in events if words in event["message"])
        return sorted(lines, key=lambda line: line.at)


def _raised(returned: Any) -> str:
    """What a function raised, in words. ``send`` raises a result, as JSON: its error is what counts."""
    text = str(returned.get("errorMessage", "")) if isinstance(returned, dict) else ""
    kind = str(returned.get("errorType", "an error")) if isinstance(returned, dict) else "an error"
    try:
        told = json.loads(text)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return text or kind
    return f"{kind}: {told}"


def _folder(name: str) -> str:
    """``CallbackDxtong`` → ``callback_dxtong``."""
    return "".join(f"_{char.lower()}" if char.isupper() and at else char.lower() for at, char in enumerate(name))


def _letter(found: Mapping[str, Any]) -> Letter:
    attributes = {name: each.get("StringValue", "") for name, each in found.get("MessageAttributes", {}).items()}
    sent = int(found.get("Attributes", {}).get("SentTimestamp", 0)) / 1000
    return Letter(found["MessageId"], found["Body"], found["ReceiptHandle"], sent, attributes)


def _line(function: str, event: Mapping[str, Any]) -> LogLine:
    text = event["message"].strip()
    try:
        content = json.loads(text)
    except ValueError:
        content = {}
    return LogLine(event["timestamp"] / 1000, function, text, content if isinstance(content, dict) else {})
