"""What tutorials show: a resource, a tracer, a router, a model, a secret by one line."""

import os
from typing import Any
from urllib.parse import parse_qsl

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.utilities import parameters
from pydantic import BaseModel

logger, metrics, tracer = Logger(), Metrics(), Tracer()
app = APIGatewayRestResolver()
table = boto3.resource("dynamodb").Table(os.environ["CALLS_TABLE"])


class Receipt(BaseModel):
    code: int
    msg: str
    voiceid: str
    mobilephone: str
    talktime: int


@app.post("/callbacks/dxtong/<token>")
@tracer.capture_method
def keep(token: str) -> Response[str]:
    parameters.get_secret(os.environ["CALLBACK_SECRET_ARN"])
    fields: dict[str, Any] = dict(parse_qsl(app.current_event.decoded_body))
    receipt = Receipt(**fields)
    table.update_item(
        Key={"pk": f"RECEIPT#{receipt.voiceid}"},
        UpdateExpression="SET #code = :code, talktime = :seconds, said = :said",
        ExpressionAttributeNames={"#code": "code"},
        ExpressionAttributeValues={":code": receipt.code, ":seconds": receipt.talktime, ":said": receipt.msg},
        ReturnValues="ALL_NEW",
    )
    metrics.add_metric(name="Receipt", unit="Count", value=1)
    return Response(200, content_type="text/plain", body="success")


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
