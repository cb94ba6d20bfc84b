"""AWS without boto3: Signature Version 4 by hand, over one connection that is kept."""

import datetime
import hmac
import json
import os
from functools import reduce
from hashlib import sha256
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

ENDPOINT = urlsplit(os.environ["AWS_ENDPOINT_URL"])
REGION = os.environ["AWS_REGION"]
aws = HTTPConnection(ENDPOINT.netloc)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def request(service: str, target: str, content: dict[str, Any]) -> Any:
    body = json.dumps(content).encode()
    moment = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {  # in the order in which they are signed
        "content-type": "application/x-amz-json-1.0",
        "host": ENDPOINT.netloc,
        "x-amz-date": moment,
        "x-amz-target": target,
    }
    signed = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"POST\n/\n\n{lines}\n{signed}\n{sha256(body).hexdigest()}"
    parts = (moment[:8], REGION, service, "aws4_request")
    scope = "/".join(parts)
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = reduce(_hmac, parts, f"AWS4{os.environ['AWS_SECRET_ACCESS_KEY']}".encode())
    credential = f"{os.environ['AWS_ACCESS_KEY_ID']}/{scope}"
    signature = _hmac(key, text).hex()
    authorization = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={signature}"
    aws.request("POST", "/", body, headers | {"authorization": authorization})
    return json.loads(aws.getresponse().read())


def secret(variable: str) -> Any:
    asked = {"SecretId": os.environ[variable]}
    return json.loads(request("secretsmanager", "secretsmanager.GetSecretValue", asked)["SecretString"])


def write(operation: str, **arguments: Any) -> Any:
    return request("dynamodb", f"DynamoDB_20120810.{operation}", {"TableName": os.environ["CALLS_TABLE"], **arguments})
