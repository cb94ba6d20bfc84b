"""The least that can be done: the standard library alone."""

import hashlib
import json
import os
import time
from functools import cache
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from signing import secret, write  # type: ignore[import-not-found]  # beside it, as in a function's folder

TEXT = "您的订单号是:{order}。已由{carrier}发出,请注意查收。"
vendor = HTTPConnection(urlsplit(os.environ["DXTONG_ENDPOINT"]).netloc)


@cache
def account() -> Any:
    return secret("DXTONG_SECRET_ARN")


def call(mobile: str, content: str) -> str:
    name, now = account()["account"], str(int(time.time()))
    password = hashlib.md5((name + account()["apiKey"] + mobile + content + now).encode()).hexdigest()
    form = {
        "account": name,
        "password": password,
        "mobile": mobile,
        "content": content,
        "time": now,
        "format": "json",
    }
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    vendor.request("POST", "/webservice/voice.php?method=Submit", urlencode(form), kind)
    return str(json.loads(vendor.getresponse().read())["voiceid"])


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    key = {"pk": {"S": f"SENT#{event['message_id']}"}}
    write("PutItem", Item={**key, "st": {"S": "calling"}}, ConditionExpression="attribute_not_exists(pk)")
    call_id = call(event["mobile"], TEXT.format(**event["params"]))
    write(
        "UpdateItem",
        Key=key,
        UpdateExpression="SET st = :st, call_id = :id",
        ExpressionAttributeValues={":st": {"S": "accepted"}, ":id": {"S": call_id}},
    )
    print(json.dumps({"call_id": call_id}))  # noqa: T201 - as users log
    return {"status": "accepted", "call_id": call_id}
