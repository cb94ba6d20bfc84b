"""Callbacks on a stack of their own: keys are rotated under traffic, and a flood is throttled at the stage."""

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from local.stack import Stack, temporary_folder
from tests.e2e.use import SHIPPED, final, new_id, number, operate, push, send, until

RATE, BURST, CONCURRENCY = 10, 10, 2
PARAMETERS = {
    "CallbackRatePerSecond": str(RATE),
    "CallbackBurst": str(BURST),
    "SendConcurrency": str(CONCURRENCY),
    "VendorRestSeconds": "0",
}
JUMDATA_CALLS = 30
"""jumdata takes three calls a day to each of ten numbers."""


@pytest.fixture(scope="module")
def gateway() -> Iterator[Stack]:
    with temporary_folder("callbacks") as folder, Stack(folder, parameters=PARAMETERS) as stack:
        yield stack


def key_id(url: str) -> str:
    """The key that an address is signed with."""
    return url.split(".")[-2]


def jumdata_addresses(stack: Stack) -> list[str]:
    """The addresses that jumdata was given so far."""
    return [each["fields"]["notifyUrl"] for each in stack.simulator("jumdata")["requests"]]


def answer(url: str, body: bytes, content_type: str = "application/x-www-form-urlencoded") -> tuple[int, str]:
    """What a callback is answered at last, pushed again where the stage throttled it."""
    while (found := push(url, body, content_type))[0] == 429:
        time.sleep(1 / RATE)
    return found


class Traffic:
    """Calls at both vendors, one after the other, for as long as the context lasts."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._going, self._sending = threading.Event(), threading.Lock()
        self._errors: list[BaseException] = []
        self.sent: list[str] = []

    @contextmanager
    def going(self) -> Iterator[None]:
        self._going.set()
        caller = threading.Thread(target=self._call)
        caller.start()
        try:
            yield
        finally:
            self._going.clear()
            caller.join()
        assert self._errors == []

    @contextmanager
    def no_call(self) -> Iterator[None]:
        """No call is being placed meanwhile; callbacks go on coming in."""
        with self._sending:
            yield

    def _call(self) -> None:
        try:
            for turn in itertools.count():
                if not self._going.is_set():
                    return
                with self._sending:
                    # jumdata takes few calls a day, so it gets every third.
                    jumdata = turn % 3 == 0 and turn // 3 < JUMDATA_CALLS
                    message_id = new_id("rotated")
                    vendor, mobile = ("jumdata", turn // 3 % 10) if jumdata else ("dxtong", turn % 10)
                    made = send(self._stack, message_id=message_id, mobile=number(mobile), vendor=vendor, **SHIPPED)
                    assert made["status"] in {"accepted", "delivered"}, made
                    self.sent.append(message_id)
                time.sleep(0.25)  # below the stage's rate
        except BaseException as error:  # noqa: BLE001 - it belongs to the test, which joins this thread
            self._errors.append(error)


class Operator:
    """Rotates the key with `voice-gateway keys rotate`; the wait for functions to read it is a second here.

    In earnest it is five minutes, after which each function has read the secret anew by itself. Here the function that
    signs starts anew, and the callbacks learn of a key as they do of any that they meet.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def rotate(self, *options: str) -> Any:
        """What the step tells, as data."""
        time.sleep(1)
        done = operate(self._stack, "keys", "rotate", "--json", "--cache-seconds", "1", *options)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def address(self) -> str:
        """Where dxtong is to push to."""
        done = operate(self._stack, "address")
        assert done.exit_code == 0, done.output
        return done.stdout.strip()


def test_keys_are_rotated_by_the_command_while_callbacks_come_in_and_none_is_lost(gateway: Stack) -> None:
    before, operator, traffic = gateway.description["dxtong_callback_url"], Operator(gateway), Traffic(gateway)

    def signed_with(key: str, calls: int) -> bool:
        return Counter(map(key_id, jumdata_addresses(gateway)))[key] >= calls

    def pushed(url: str, count: int) -> bool:
        return [each["url"] for each in gateway.simulator("dxtong")["callbacks"]].count(url) >= count

    for vendor in ("dxtong", "jumdata"):
        # Later than a step, so that a call's receipt comes in when its key is not the newest any more; and again where
        # a busy machine was too slow to answer.
        gateway.configure_simulator(vendor, callback_delay=1.5, retry_interval=4)
    # Two calls that last longer than all of it.
    long = {vendor: send(gateway, mobile=number(88), vendor=vendor, **SHIPPED) for vendor in ("dxtong", "jumdata")}
    long_address = jumdata_addresses(gateway)[-1]
    with traffic.going():
        until(lambda: signed_with("k1", 3) and pushed(before, 3), what="callbacks under the old key")
        # 1. The new key is added, first.
        assert operator.rotate()["did"] == ["added"]
        assert operator.address() == before, "the address stays until the new key signs"
        # 2. It signs, for it is last now. dxtong has the old address for a while yet.
        assert operator.rotate()["did"] == ["signing"]
        with traffic.no_call():
            gateway.start_anew("send")
        until(lambda: signed_with("k2", 3), what="calls under the new key")
        so_far = len(gateway.simulator("dxtong")["callbacks"])
        until(lambda: pushed(before, so_far + 2), what="receipts at the old address")
        # 3. The new address is registered.
        after = operator.address()
        assert (key_id(before), key_id(after)) == ("k1", "k2")
        gateway.configure_simulator("dxtong", callback_url=after)
        told = operator.rotate("--registered")
        assert (told["did"], told["next"]["action"]) == (["registered"], "remove")
        assert told["next"]["seconds"] > 29 * 86400
        until(lambda: signed_with("k2", 5) and pushed(after, 3), what="callbacks under the new key")
        # The old one is good all the while, also where the new one is known.
        ended = f"code=2&voiceid={long['dxtong']['call_id']}".encode()
        assert answer(before, ended) == (200, "success")
        ended = json.dumps({"callId": long["jumdata"]["call_id"], "callStatus": 0}).encode()
        assert answer(long_address, ended, "application/json") == (200, "success")
    traffic.sent.extend(each["message_id"] for each in long.values())
    results = {message_id: final(gateway, message_id) for message_id in traffic.sent}
    assert {result["status"] for result in results.values()} == {"delivered"}
    for vendor in ("dxtong", "jumdata"):
        calls = [each["call_id"] for each in results.values() if each["vendor"] == vendor]
        placed = [each for each in gateway.simulator(vendor)["requests"] if each["mobile"] is not None]
        assert len(placed) == len(set(calls)) == len(calls), "each message rang once"
        answered = Counter(each["status"] for each in gateway.simulator(vendor)["callbacks"])
        assert answered[200] > 5, f"{vendor}: {answered}"
        assert answered[404] == 0, f"{vendor}: {answered}"

    # 4. The old key is taken out.
    new_address = next(url for url in jumdata_addresses(gateway) if key_id(url) == "k2")
    assert operator.rotate("--without-waiting", "--yes")["did"] == ["done"]
    for function in ("callback_dxtong", "callback_jumdata"):
        gateway.start_anew(function)
    receipt = json.dumps({"callId": "1", "callStatus": 0}).encode()
    assert answer(before, b"code=2&voiceid=1") == (404, "")
    assert answer(long_address, receipt, "application/json") == (404, "")
    assert answer(after, b"code=2&voiceid=1") == (200, "success")
    assert answer(new_address, receipt, "application/json") == (200, "success")


class Flood:
    """Callbacks by the hundred, from somebody who has no token, at both routes at once."""

    def __init__(self, base: str) -> None:
        self._urls = [f"{base}/callbacks/{vendor}/{'a' * 60}" for vendor in ("dxtong", "jumdata")]
        self._stopping = threading.Event()
        self.seconds = 0.0
        self.answers: dict[str, Counter[int]] = {url: Counter() for url in self._urls}

    @contextmanager
    def pouring(self) -> Iterator[None]:
        began = time.monotonic()
        with ThreadPoolExecutor(8) as threads:
            poured = [threads.submit(self._pour, self._urls[at % 2]) for at in range(8)]
            try:
                yield
            finally:
                self._stopping.set()
                counted = [each.result() for each in poured]
        self.seconds = time.monotonic() - began
        for at, statuses in enumerate(counted):
            self.answers[self._urls[at % 2]] += statuses

    def _pour(self, url: str) -> Counter[int]:
        statuses: Counter[int] = Counter()
        while not self._stopping.wait(0.002):
            statuses[push(url, b"code=2&voiceid=1")[0]] += 1
        return statuses


def test_a_flood_is_throttled_while_send_works_and_what_was_throttled_is_pushed_again(gateway: Stack) -> None:
    for vendor in ("dxtong", "jumdata"):
        gateway.configure_simulator(vendor, callback_delay=0.2, retry_interval=4)
    send(gateway, mobile=number(9), vendor="dxtong", **SHIPPED)  # warm
    messages: list[str] = []

    def call(vendor: str, mobile: str) -> str:
        messages.append(new_id("flooded"))
        made = send(gateway, message_id=messages[-1], mobile=mobile, vendor=vendor, **SHIPPED)
        return str(made["status"])

    def turned_away() -> bool:
        """A receipt of a vendor's own was throttled; a further call brings a further one, where none was yet."""
        found = any(each["status"] == 429 for each in gateway.simulator("dxtong")["callbacks"])
        return found or call("dxtong", number(6)) not in {"accepted", "delivered"}

    flood = Flood(gateway.description["callback_base_url"])
    with flood.pouring():
        time.sleep(1)  # the burst is used up
        # As many at once as send has of its own: the flood takes nothing of that.
        with ThreadPoolExecutor(CONCURRENCY) as threads:
            placed = threads.map(call, ("dxtong", "jumdata"), (number(7), number(79)))
            assert set(placed) <= {"accepted", "delivered"}
        until(turned_away, what="a receipt that is throttled")

    for url, answers in flood.answers.items():
        assert set(answers) <= {404, 429}, url
        assert answers[404] <= BURST + RATE * (flood.seconds + 1), f"{answers} in {flood.seconds:.1f} s"
    # How much reaches one address in a second is the machine's to say; that much is turned away in all is not.
    assert sum(answers[429] for answers in flood.answers.values()) > 0
    assert {final(gateway, message_id)["status"] for message_id in messages} == {"delivered"}
    assert any(each["status"] == 429 for each in gateway.simulator("dxtong")["callbacks"])
