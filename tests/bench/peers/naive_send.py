"""What tutorials show: a resource, a tracer, a model, idempotency by a decorator."""

import hashlib
import os
import time
from typing import Any

import boto3
import requests
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent
from pydantic import BaseModel

logger, metrics, tracer = Logger(), Metrics(), Tracer()
table = boto3.resource("dynamodb").Table(os.environ["CALLS_TABLE"])
once = DynamoDBPersistenceLayer(table_name="idempotency")
by_id = IdempotencyConfig(event_key_jmespath="message_id")
TEXT = "您的订单号是:{order}。已由{carrier}发出,请注意查收。"


class Request(BaseModel):
    message_id: str
    mobile: str
    template: str
    params: dict[str, str]


@tracer.capture_method
def call(mobile: str, content: str) -> str:
    account: Any = parameters.get_secret(os.environ["DXTONG_SECRET_ARN"], transform="json")
    now = str(int(time.time()))
    signed = account["account"] + account["apiKey"] + mobile + content + now
    data = {
        "account": account["account"],
        "password": hashlib.md5(signed.encode()).hexdigest(),
        "mobile": mobile,
        "content": content,
        "time": now,
        "format": "json",
    }
    address = os.environ["DXTONG_ENDPOINT"] + "/webservice/voice.php?method=Submit"
    return str(requests.post(address, data=data, timeout=8).json()["voiceid"])


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
@idempotent(persistence_store=once, config=by_id)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    request = Request(**event)
    key = {"pk": f"SENT#{request.message_id}"}
    table.put_item(Item={**key, "st": "calling", "mobile": request.mobile})
    call_id = call(request.mobile, TEXT.format(**request.params))
    table.update_item(
        Key=key,
        UpdateExpression="SET st = :st, call_id = :id",
        ExpressionAttributeValues={":st": "accepted", ":id": call_id},
    )
    metrics.add_metric(name="Accepted", unit="Count", value=1)
    return {"status": "accepted", "call_id": call_id}
