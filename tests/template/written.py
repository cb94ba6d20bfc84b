"""What the functions really write: they are run through their handlers, until each metric has turned up."""

import datetime
import io
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from functools import cache
from typing import Any

import time_machine
from moto import mock_aws
from voice_gateway.model.errors import AwsUnavailable
from voice_gateway.platform.observability import log

from local.metrics import emf
from local.simulators.dxtong import DxtongSimulator
from local.simulators.jumdata import JumdataSimulator
from tests.functions.test_callbacks import dxtong_receipt, event, own_token, push_dxtong, push_jumdata
from tests.functions.test_send import SHIPPED, Wire, _in, number
from tests.gateway import STACK, Gateway, deployed
from tests.template.dashboard import Metric
from tests.template.evaluation import FRANKFURT

TOO_LARGE = b"x" * 65537
NOTHING_KEEPS = {"UpdateItem", "SendMessage"}
Line = dict[str, Any]


@cache
def lines() -> list[Line]:
    """Every line of every function, over scenarios that show each metric once."""
    printed = io.StringIO()
    # The logger writes to what stdout was when it was made, which may have been another test.
    logger = logging.StreamHandler(printed)
    logger.setFormatter(log.registered_formatter)
    logging.getLogger(log.name).addHandler(logger)
    with redirect_stdout(printed):
        for scenario in (_calls, _callbacks, _left_over, _credit):
            with _gateway() as used:
                scenario(*used)
    logging.getLogger(log.name).removeHandler(logger)
    return [json.loads(line) for line in printed.getvalue().splitlines()]


def metrics() -> set[Metric]:
    """Every metric with its dimensions; the stack has the name of the one that is deployed in these tests."""
    return {
        Metric(
            namespace,
            each["MetricName"],
            frozenset((one["Name"], one["Value"].replace(STACK, FRANKFURT.pseudo["AWS::StackName"])) for one in given),
        )
        for line in lines()
        for namespace, data in emf(json.dumps(line))
        for each in data
        if (given := each["Dimensions"])
    }


@contextmanager
def _gateway() -> Iterator[tuple["_Published", DxtongSimulator, JumdataSimulator]]:
    with (
        DxtongSimulator(balance=100000) as dxtong,
        JumdataSimulator(balance=100000) as jumdata,
        mock_aws(),
        deployed({"dxtong": dxtong.address, "jumdata": jumdata.address}) as gateway,
    ):
        yield _Published(gateway), dxtong, jumdata


class _Published:
    """A gateway whose table's stream is read: ``catch_up`` hands to ``publish`` what has changed since."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.seen: dict[str, Any] = {}

    def send(self, message_id: str, ending: int, vendor: str = "dxtong", **more: Any) -> Any:
        request = {"message_id": message_id, "mobile": number(ending), "vendor": vendor, **SHIPPED, **more}
        told = self.gateway.send(**request)
        self.catch_up()
        return told

    def catch_up(self) -> None:
        items = self.gateway.client("dynamodb").scan(TableName=os.environ["CALLS_TABLE"])["Items"]
        now = {item["pk"]["S"]: item for item in items if item["pk"]["S"].startswith("MSG#")}
        changed = [(self.seen.get(pk), item) for pk, item in now.items() if item != self.seen.get(pk)]
        self.seen = now
        records = [
            {"dynamodb": {"SequenceNumber": str(at), "NewImage": new, **({"OldImage": old} if old else {})}}
            for at, (old, new) in enumerate(changed)
        ]
        if records:
            self.gateway.invoke("publish", {"Records": records})


def _calls(published: _Published, dxtong: DxtongSimulator, jumdata: JumdataSimulator) -> None:
    """What becomes of calls, and of messages for which nobody was called."""
    gateway = published.gateway
    for ending, code in ((0, "2"), (1, "-6")):
        call_id = published.send(f"dxtong-{ending}", ending)["call_id"]
        push_dxtong(gateway, dxtong_receipt(call_id, code, number(ending)))
        published.send(f"jumdata-{ending}", ending, "jumdata")
        push_jumdata(gateway, own_token(jumdata), callStatus=ending, callDesc="487")
        published.catch_up()
    for vendor, refused in (("dxtong", 14), ("jumdata", 60)):
        published.send(f"{vendor}-refused", refused, vendor)
        published.send(f"{vendor}-unknown", 92, vendor)
    published.send("bad", 0, mobile="1")
    published.send("late", 10, expires_at=_rfc3339(30))  # 10: dxtong cannot take it for now
    published.send("called-off", 0, not_before=_rfc3339(3600))
    gateway.invoke("cancel", {"message_id": "called-off"})
    gateway.status("called-off")
    with time_machine.travel(_in(60)):
        gateway.sweep()
        published.catch_up()


def _callbacks(published: _Published, dxtong: DxtongSimulator, jumdata: JumdataSimulator) -> None:
    """Callbacks that are refused, that cannot be kept, and that speak of another number."""
    gateway = published.gateway
    call_id = published.send("m1", 0)["call_id"]
    push_dxtong(gateway, dxtong_receipt(call_id, "2", number(7)))
    published.send("m2", 0, "jumdata")
    push_dxtong(gateway, b"", token="wrong")
    push_jumdata(gateway, "wrong")
    own = own_token(jumdata)
    push_dxtong(gateway, TOO_LARGE)
    gateway.invoke("callback_jumdata", event("jumdata", own, TOO_LARGE, "application/json"))
    wire = Wire(gateway)
    wire.failing = NOTHING_KEEPS
    push_dxtong(gateway, dxtong_receipt(call_id))
    push_jumdata(gateway, own)
    wire.failing |= {"Publish"}
    published.seen = {}
    with suppress(AwsUnavailable):
        published.catch_up()


def _left_over(published: _Published, dxtong: DxtongSimulator, jumdata: JumdataSimulator) -> None:
    """What only the sweep sees."""
    gateway = published.gateway
    for at in range(2):
        published.send(f"m{at}", 92)
    push_dxtong(gateway, dxtong_receipt("77777777", "-6", number(92)))
    published.send("unanswered", 88)
    for seconds in (130, 3700):
        with time_machine.travel(_in(seconds)):
            gateway.sweep()
            published.catch_up()
    wire = Wire(gateway)
    wire.failing = {"Query"}
    gateway.sweep()


def _credit(published: _Published, dxtong: DxtongSimulator, jumdata: JumdataSimulator) -> None:
    """Readings of some days, as a forecast wants them."""
    for hours in range(0, 49, 4):
        for vendor in (dxtong, jumdata):
            vendor.configure(balance=100000 - 10 * hours)
        with time_machine.travel(_in(3600 * hours)):
            published.gateway.invoke("balance_check", {})


def _rfc3339(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(_in(seconds), datetime.UTC).isoformat(timespec="seconds")
