"""The unit of a warm send: two writes and one post."""

import os
from typing import Any

import boto3
import requests

dynamodb = boto3.client("dynamodb")
session = requests.Session()
FORM = {
    "account": "bench",
    "password": "0" * 32,
    "mobile": "13800138000",
    "content": "您的订单号是:9633。已由顺丰发出,请注意查收。",
    "time": "1790000000",
    "format": "json",
}


def handler(event: Any, context: Any) -> dict[str, Any]:
    dynamodb.put_item(
        TableName="calls",
        Item={"pk": {"S": "SENT#1"}, "st": {"S": "calling"}, "mobile": {"S": "13800138000"}},
        ConditionExpression="attribute_not_exists(pk)",
    )
    address = os.environ["DXTONG_ENDPOINT"] + "/webservice/voice.php?method=Submit"
    reply = session.post(address, data=FORM, timeout=8).json()
    dynamodb.update_item(
        TableName="calls",
        Key={"pk": {"S": "SENT#1"}},
        UpdateExpression="SET st = :st, call_id = :id",
        ExpressionAttributeValues={":st": {"S": "accepted"}, ":id": {"S": reply["voiceid"]}},
    )
    return {}
