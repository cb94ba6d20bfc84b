"""`make bench`: cold and warm invokes on the local stack.

Shown as ratios to what importing boto3 takes: seconds would say more of the machine than of the gateway.
"""

import statistics
import subprocess
import sys
import time

from local.places import environment
from local.stack import Stack, temporary_folder

BASELINE = 'import boto3; boto3.client("dynamodb", region_name="us-east-1")'
COLD_ROUNDS = 5
WARM_ROUNDS = 50
REQUESTS: dict[str, dict[str, object]] = {
    "status": {"message_id": "bench"},
    "send": {
        "mobile": "13800138000",
        "template": "order_shipped",
        "params": {"order": "1", "carrier": "顺丰"},
        "dry_run": True,
    },
}


def run() -> int:
    unit = statistics.median(_baseline() for _ in range(COLD_ROUNDS))
    print(f"import boto3 and make a client: {unit * 1000:.0f} ms = 1.0")
    with temporary_folder("bench") as folder, Stack(folder) as stack:
        for function, request in REQUESTS.items():
            cold = statistics.median(_cold(stack, function, request) for _ in range(COLD_ROUNDS))
            warm = statistics.median(_timed(stack, function, request) for _ in range(WARM_ROUNDS))
            print(f"{function:<8} cold {cold / unit:5.2f}   warm {warm / unit:5.2f}")
    return 0


def _baseline() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", BASELINE], env=environment(), check=True)
    return time.perf_counter() - started


def _cold(stack: Stack, function: str, request: dict[str, object]) -> float:
    stack.start_anew(function)
    return _timed(stack, function, request)


def _timed(stack: Stack, function: str, request: dict[str, object]) -> float:
    started = time.perf_counter()
    stack.invoke(function, request)
    return time.perf_counter() - started
