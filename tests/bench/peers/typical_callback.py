"""What a careful user writes: clients, Powertools' Logger and Metrics, one UpdateItem."""

import base64
import hmac
import json
import os
from typing import Any
from urllib.parse import parse_qsl

import boto3
from aws_lambda_powertools import Logger, Metrics

logger, metrics = Logger(), Metrics()
dynamodb, secrets = boto3.client("dynamodb"), boto3.client("secretsmanager")
KEYS = json.loads(secrets.get_secret_value(SecretId=os.environ["CALLBACK_SECRET_ARN"])["SecretString"])["keys"]


def genuine(token: str) -> bool:
    text, _, signature = token.rpartition(".")
    digest = hmac.digest(KEYS["k1"].encode(), f"dxtong/{text}".encode(), "sha256")
    return hmac.compare_digest(base64.urlsafe_b64encode(digest).decode().rstrip("="), signature)


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    if not genuine(event["pathParameters"]["token"]):
        return {"statusCode": 404, "body": ""}
    receipt = dict(parse_qsl(base64.b64decode(event["body"]).decode()))
    dynamodb.update_item(
        TableName=os.environ["CALLS_TABLE"],
        Key={"pk": {"S": f"RECEIPT#{receipt['voiceid']}"}},
        UpdateExpression="SET #code = :code, talktime = :seconds, said = :said",
        ExpressionAttributeNames={"#code": "code"},
        ExpressionAttributeValues={
            ":code": {"S": receipt["code"]},
            ":seconds": {"S": receipt["talktime"]},
            ":said": {"S": receipt["msg"]},
        },
        ReturnValues="ALL_NEW",
    )
    metrics.add_metric(name="Receipt", unit="Count", value=1)
    logger.info("receipt", extra={"call_id": receipt["voiceid"]})
    return {"statusCode": 200, "body": "success"}
