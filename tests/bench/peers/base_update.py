"""The unit of a warm callback: one UpdateItem that returns its item."""

from typing import Any

import boto3

dynamodb = boto3.client("dynamodb")


def handler(event: Any, context: Any) -> dict[str, Any]:
    dynamodb.update_item(
        TableName="calls",
        Key={"pk": {"S": "RECEIPT#1"}},
        UpdateExpression="SET #code = :code, talktime = :seconds, said = :said",
        ExpressionAttributeNames={"#code": "code"},
        ExpressionAttributeValues={":code": {"S": "2"}, ":seconds": {"S": "12"}, ":said": {"S": "成功"}},
        ReturnValues="ALL_NEW",
    )
    return {}
