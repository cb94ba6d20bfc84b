"""AWS's JSON protocol and both vendors' submit addresses, canned and cheap: what is measured is the client.

A process of its own, which prints its port. It keeps counts and no items: every condition holds, and an item is what
the write sets, with what its key must have for the functions to go their usual way.
"""

import asyncio
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from local.places import ROOT

SECRETS = {
    "callback": {"keys": {"k1": "k" * 40}, "number_key": "n" * 40},
    "dxtong": {"account": "bench", "apiKey": "key"},
    "jumdata": {"appId": "bench", "appSecret": "secret"},
}
TEMPLATE = {
    "text": "您的订单号是:{order}。已由{carrier}发出,请注意查收。",
    "vendors": {"dxtong": {}, "jumdata": {"template_id": "T1001", "params": ["order", "carrier"]}},
}
ITEMS: Mapping[str, dict[str, Any]] = {
    "MSG": {"st": {"S": "accepted"}, "updated_at": {"N": "1"}},
    "CALL": {"message": {"S": "m1"}, "attempt": {"S": "0123456789abcdef"}},
}
"""What is in an item of that kind where the write does not set it: a call id knows its message."""
VENDOR = "vendor"
"""Under which their requests are counted."""

_SET = re.compile(r"([#\w]+)\s*=[^:=]*(:\w+)")
_ADD = re.compile(r"([#\w]+)\s+(:\w+)")


@contextmanager
def running() -> Iterator[str]:
    """Its address, for as long as the context lasts."""
    command = [sys.executable, "-m", "tests.bench.fake"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def _secret(asked: dict[str, Any]) -> dict[str, Any]:
    name = next(name for name in SECRETS if f":{name}-" in asked["SecretId"])
    return {"ARN": asked["SecretId"], "Name": name, "SecretString": json.dumps(SECRETS[name])}


def _parameter(asked: dict[str, Any]) -> dict[str, Any]:
    return {"Parameter": {"Name": asked["Name"], "Type": "String", "Value": json.dumps(TEMPLATE, ensure_ascii=False)}}


def updated(asked: dict[str, Any]) -> dict[str, Any]:
    """The item after an UpdateItem, if that asks for it."""
    if asked.get("ReturnValues") != "ALL_NEW":
        return {}
    text, names = asked["UpdateExpression"], asked.get("ExpressionAttributeNames", {})
    values = asked["ExpressionAttributeValues"]
    written = {names.get(name, name): values[value] for name, value in _SET.findall(text) + _ADD.findall(text)}
    canned = ITEMS.get(asked["Key"]["pk"]["S"].partition("#")[0], {})
    return {"Attributes": {**canned, **asked["Key"], **written}}


AWS: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "GetSecretValue": _secret,
    "GetParameter": _parameter,
    "UpdateItem": updated,
    "PutItem": lambda asked: {},
    "GetItem": lambda asked: {},
    "SendMessage": lambda asked: {"MessageId": "m"},
}


class Fake:
    """Answers requests, and counts them by operation."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._calls = 0

    def answer(self, path: str, target: str, body: bytes) -> dict[str, Any]:
        """Raises KeyError for what it does not know."""
        if target:
            operation = target.rpartition(".")[2]
            self._counts[operation] += 1
            return AWS[operation](json.loads(body))
        if path == "/_counts":
            counts, self._counts = dict(self._counts), Counter()
            return counts
        self._counts[VENDOR] += 1
        self._calls += 1
        return {
            "/webservice/voice.php": {"code": 2, "voiceid": str(60_000_000 + self._calls), "msg": "提交成功"},
            "/voice-notify/send": {"code": 200, "msg": "成功", "taskNo": "1", "data": {"callId": f"c{self._calls}"}},
        }[path]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until its client closes it, or says that it will."""
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has ended
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        path, target = urlsplit(request.split(" ")[1]).path, headers.get("x-amz-target", "")
        try:
            status, told = "200 OK", self.answer(path, target, body)
        except KeyError:
            status, told = "400 Bad Request", {"__type": "UnknownOperationException", "message": f"{path} {target}"}
        content = json.dumps(told, ensure_ascii=False).encode()
        kept = headers.get("connection", "").lower() != "close"
        kind = "application/x-amz-json-1.0" if target else "application/json"
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
        writer.write(f"{head}{'' if kept else 'Connection: close\r\n'}\r\n".encode() + content)
        await writer.drain()
        return kept


async def main() -> None:
    server = await asyncio.start_server(Fake().serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
