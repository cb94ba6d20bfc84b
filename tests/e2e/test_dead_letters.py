"""`dead-letters` on the deployed stack: what lies there is listed, shown, handed back, and gone."""

import base64
import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from voice_gateway_cli.deployed.target import LOCAL_STACK

from local import deployment
from local.stack import Stack
from tests.e2e.command import data, run
from tests.e2e.use import SHIPPED, calls, new_id, number, push, send, status, until

LETTERS = "dead-letters"


def put(stack: Stack, **content: Any) -> None:
    """A letter, as the gateway writes it."""
    url = deployment.outputs(stack.aws)["DeadLetterQueueUrl"]
    stack.aws.sqs.send_message(QueueUrl=url, MessageBody=json.dumps(content))


def about(stack: Stack, message_id: str) -> list[Any]:
    found: list[Any] = data(stack, LETTERS, "list", "--message", message_id)
    return found


def test_a_request_that_send_could_not_take_rings_once_however_often_it_is_redriven(gateway: Stack) -> None:
    message_id, mobile = new_id("dead"), number(88)
    asked = {"message_id": message_id, "mobile": mobile, "vendor": "dxtong", **SHIPPED}
    before = len(calls(gateway, "dxtong", mobile))
    with ExitStack() as broken:
        for action in ("dynamodb:PutItem", "dynamodb:UpdateItem", "sqs:SendMessage"):
            broken.enter_context(gateway.without_permission("send", action, cold=False))
        name = gateway.description["functions"]["send"]
        gateway.aws.lambda_.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(asked))
        (letter,) = until(lambda: about(gateway, message_id), what="the dead letter")
    assert (letter["kind"], letter["vendor"], letter["redrivable"]) == ("request", "dxtong", True)
    assert "dynamodb: AccessDeniedException" in letter["error"]
    shown = run(gateway, LETTERS, "show", letter["id"], columns=80)
    assert "not in the table" in shown
    assert mobile not in shown
    (taken,) = data(gateway, LETTERS, "redrive", letter["id"], "--yes")
    assert (taken["done"], taken["result"]["status"], taken["result"]["replayed"]) == (True, "accepted", False)
    put(gateway, requestPayload=asked, requestContext={"requestId": "r-1"})
    (again,) = data(gateway, LETTERS, "redrive", "--message", message_id, "--yes")
    assert (again["done"], again["result"]["replayed"]) == (True, True)
    assert len(calls(gateway, "dxtong", mobile)) - before == 1
    assert about(gateway, message_id) == []


def test_a_callback_is_settled_once_it_can_be_read(gateway: Stack) -> None:
    message_id = new_id("dead")
    call_id = send(gateway, message_id=message_id, mobile=number(88), vendor="jumdata", **SHIPPED)["call_id"]
    address = gateway.simulator("jumdata")["requests"][-1]["fields"]["notifyUrl"]
    assert push(address, b'{"callStatus": 9}', "application/json") == (200, "success")
    (unreadable,) = until(lambda: about(gateway, message_id), what="the dead letter")
    said = run(gateway, LETTERS, "redrive", unreadable["id"], "--yes", exits=1)
    assert "still cannot be read" in said
    (anew,) = about(gateway, message_id)
    assert anew["letter_id"] != unreadable["letter_id"]
    assert f"not solved: {anew['id']}" in said
    # Another, which an earlier release could not read: it kept no attempt.
    body = json.dumps({"callId": call_id, "callStatus": 1, "callDesc": "486"}).encode()
    kept = {"content_type": "application/json", "query": "", "body_base64": base64.b64encode(body).decode()}
    put(gateway, why="unreadable callback of jumdata: no callStatus", message_id=message_id, **kept)
    other = next(each for each in about(gateway, message_id) if each["letter_id"] != anew["letter_id"])
    assert f"{message_id} is failed" in run(gateway, LETTERS, "redrive", other["id"], "--yes")
    told = status(gateway, message_id)
    assert (told["status"], told["reason"]) == ("failed", "busy")
    assert "1 of 1 deleted" in run(gateway, LETTERS, "drop", "--message", message_id, "--kind", "callback", "--yes")
    assert about(gateway, message_id) == []


def test_an_entry_of_the_outbox_goes_back_and_is_applied(gateway: Stack) -> None:
    message_id = new_id("dead")
    sent = send(gateway, message_id=message_id, mobile=number(88), vendor="dxtong", **SHIPPED)
    receipt = {"vendor": "dxtong", "call_id": sent["call_id"], "delivered": False, "reason": "no_answer", "code": "-6"}
    entry = {"kind": "receipt", "receipt": json.dumps({**receipt, "message": ""}), "rhash": None, "ttl": 4e9}
    entry |= {"message_id": message_id, "attempt": None}
    put(gateway, why="an outbox entry that cannot be applied: KeyError", entry=json.dumps(entry))
    put(gateway, why="no such message", message_id=message_id, receipt=entry["receipt"])
    # The very command, with a Python of its own.
    command = [str(Path(sys.executable).parent / "voice-gateway"), LETTERS, "redrive", "--message", message_id, "--yes"]
    environment = {LOCAL_STACK: str(gateway.folder / "stack.json"), "COLUMNS": "80", "PATH": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 of 1 redriven" in done.stdout

    def applied() -> bool:
        gateway.invoke("sweep", {})
        return bool(status(gateway, message_id)["status"] == "failed")

    until(applied, what="the entry")
    (left,) = about(gateway, message_id)
    assert (left["kind"], left["redrivable"]) == ("receipt", False)
    run(gateway, LETTERS, "drop", "--kind", "receipt", "--message", message_id, "--yes")
    assert about(gateway, message_id) == []
