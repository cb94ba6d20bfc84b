"""What a careful user writes: a claim by a conditional write, the call, its outcome."""

import hashlib
import json
import os
import time
from typing import Any

import boto3
import requests
from aws_lambda_powertools import Logger, Metrics

logger, metrics = Logger(), Metrics()
dynamodb, secrets = boto3.client("dynamodb"), boto3.client("secretsmanager")
ACCOUNT = json.loads(secrets.get_secret_value(SecretId=os.environ["DXTONG_SECRET_ARN"])["SecretString"])
TEXT = "您的订单号是:{order}。已由{carrier}发出,请注意查收。"
ADDRESS = os.environ["DXTONG_ENDPOINT"] + "/webservice/voice.php?method=Submit"
session = requests.Session()


def form(mobile: str, content: str) -> dict[str, str]:
    now = str(int(time.time()))
    signed = ACCOUNT["account"] + ACCOUNT["apiKey"] + mobile + content + now
    password = hashlib.md5(signed.encode()).hexdigest()
    return {
        "account": ACCOUNT["account"],
        "password": password,
        "mobile": mobile,
        "content": content,
        "time": now,
        "format": "json",
    }


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    table, pk = os.environ["CALLS_TABLE"], f"SENT#{event['message_id']}"
    dynamodb.put_item(
        TableName=table,
        Item={"pk": {"S": pk}, "st": {"S": "calling"}, "mobile": {"S": event["mobile"]}},
        ConditionExpression="attribute_not_exists(pk)",
    )
    data = form(event["mobile"], TEXT.format(**event["params"]))
    call_id = session.post(ADDRESS, data=data, timeout=8).json()["voiceid"]
    dynamodb.update_item(
        TableName=table,
        Key={"pk": {"S": pk}},
        UpdateExpression="SET st = :st, call_id = :id",
        ExpressionAttributeValues={":st": {"S": "accepted"}, ":id": {"S": call_id}},
    )
    metrics.add_metric(name="Accepted", unit="Count", value=1)
    logger.info("accepted", extra={"call_id": call_id})
    return {"status": "accepted", "call_id": call_id}
