"""``python -S child.py APP EVENT WARM``: one handler in a process of its own, as Lambda has it.

Tells, as one line of JSON, when the first reply was there (the clock is the same in all processes) and what CPU a warm
invocation took. It imports little, for that would count as the handler's start.
"""

import importlib.util
import json
import os
import sys
import time
from typing import Any

WARM_UPS = 30


class Context:
    """What Lambda hands a function beside the event."""

    function_name = "bench"
    function_version = "1"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:bench"
    log_group_name = log_stream_name = "bench"

    def __init__(self, at: int) -> None:
        self.aws_request_id = f"request-{at}"

    def get_remaining_time_in_millis(self) -> int:
        return 44_000


def load(path: str) -> Any:
    sys.path[0] = os.path.dirname(path)  # noqa: PTH120 - pathlib would be imported at the handler's cost
    spec = importlib.util.spec_from_file_location("app", path)
    assert spec
    assert spec.loader
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    return app.handler


def invoke(handler: Any, event: dict[str, Any], at: int) -> None:
    """Each message of send is a new one. Ends the process where the reply is not a success: that measures nothing."""
    if "message_id" in event:
        reply = handler({**event, "message_id": f"m{at}"}, Context(at))
        good = reply["status"] == "accepted"
    else:
        reply = handler(event, Context(at))
        good = not event or 200 <= reply["statusCode"] < 300
    if not good:
        sys.exit(f"no success: {reply}")


def main(path: str, event_file: str, warm: int) -> None:
    told = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a function logs is nobody's here
    with open(event_file, encoding="utf-8") as file:  # noqa: PTH123 - as above
        event = json.load(file)
    handler = load(path)
    invoke(handler, event, 0)
    first = time.monotonic()
    cpu = 0.0
    if warm:
        for at in range(1, 1 + WARM_UPS):
            invoke(handler, event, at)
        before = time.process_time()
        for at in range(1 + WARM_UPS, 1 + WARM_UPS + warm):
            invoke(handler, event, at)
        cpu = (time.process_time() - before) / warm
    os.write(told, json.dumps({"first": first, "cpu": cpu}).encode())
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
