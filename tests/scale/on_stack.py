"""The one figure that is measured in real time: bulk at a pace, and an urgent message behind it, on the local stack."""

import json
import time
from typing import Any

from local.stack import Stack, temporary_folder
from tests.faults.figures import Figure, say

PACE, BULK = 5, 120


def run() -> list[Figure]:
    with temporary_folder("scale") as folder:
        parameters = {"DxtongPerSecond": str(PACE), "VendorOrder": "dxtong"}
        with Stack(folder, parameters=parameters, say=say) as stack:
            for at in range(BULK):
                publish(stack, f"b{at:03}", at, {"priority": "bulk"})
            published = time.time()
            publish(stack, "urgent", 0, {})
            until = time.monotonic() + 120
            times = begun(stack)
            while len(times) < BULK + 1 and time.monotonic() < until:
                time.sleep(0.5)
                times = begun(stack)
    twice = {message_id: len(moments) for message_id, moments in times.items() if len(moments) > 1}
    waited = times.get("urgent", [float("inf")])[0] - published
    every = sorted(moments[0] for moments in times.values())
    pace = (len(every) - 1) / (every[-1] - every[0]) if len(every) > 1 else 0.0
    once = f"{len(times)} of {BULK + 1} rung, {len(twice)} twice; {pace:.2f} a second"
    return [
        Figure(
            f"local stack: {BULK} bulk messages at DxtongPerSecond={PACE}",
            once,
            "once each, 3.5 to 5.5 a second",
            reached=len(times) == BULK + 1 and not twice and 3.5 <= pace <= 5.5,
        ),
        Figure("  an urgent one published behind them rung after", f"{waited:.1f} s", "8 s", reached=waited <= 8),
    ]


def publish(stack: Stack, message_id: str, at: int, attributes: dict[str, str]) -> None:
    """To the notify topic; the text names the message."""
    params = {"order": message_id, "carrier": "顺丰"}
    request = {
        "message_id": message_id,
        "mobile": f"138001380{at % 10:02}",
        "template": "order_shipped",
        "params": params,
    }
    stack.aws.sns.publish(
        TopicArn=stack.description["notify_topic_arn"],
        Message=json.dumps(request, ensure_ascii=False),
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    )


def begun(stack: Stack) -> dict[str, list[float]]:
    """When each message reached dxtong, by its id."""
    times: dict[str, list[float]] = {}
    requests: list[dict[str, Any]] = stack.simulator("dxtong")["requests"]
    for request in requests:
        text = str((request["fields"] or {}).get("content", ""))
        order = text.partition("订单号是:")[2].partition("。")[0]
        if order:
            times.setdefault(order, []).append(request["at"])
    return times
