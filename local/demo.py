"""`make demo`: the whole gateway at work on this machine, told step by step, each step checked."""

import json
import re
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

from voice_gateway.model.message import FINAL
from voice_gateway_cli.deployed.target import LOCAL_STACK

from local.deployment import STACK_NAME
from local.places import ROOT, environment, tool
from local.stack import InvokeError, Stack, temporary_folder

WAIT_SECONDS = 30.0

SUCCESS = "13800138000"
OTHER_SUCCESS = "13800138001"
THIRD_SUCCESS = "13800138002"
BLOCKLISTED = "13800138015"
NOBODY_ANSWERS = "13800138036"
"""The simulators' magic numbers: what becomes of a call is chosen by whom it is for."""

NOTABLE_RESOURCES = {
    "AWS::Lambda::Function": "functions",
    "AWS::Lambda::LayerVersion": "layers",
    "AWS::IAM::Role": "roles",
    "AWS::ApiGateway::RestApi": "API",
    "AWS::DynamoDB::Table": "table",
    "AWS::SNS::Topic": "topics",
    "AWS::SQS::Queue": "queues",
    "AWS::SecretsManager::Secret": "secrets",
    "AWS::Events::Rule": "schedules",
    "AWS::CloudWatch::Alarm": "alarms",
}


class DemoError(Exception):
    """Something did not happen as it should."""


class Story:
    """Tells what happens, with the time since the beginning."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def chapter(self, title: str) -> None:
        print(f"\n{title}", flush=True)

    def line(self, text: str) -> None:
        print(f"  {self.seconds:5.1f} s  {text}", flush=True)


class Demo:
    """One run against a stack that has been started."""

    def __init__(self, stack: Stack, story: Story) -> None:
        self._stack = stack
        self._story = story
        self._results_queue = stack.queue_on(stack.description["results_topic_arn"], "demo-results")
        self._alarms_queue = stack.queue_on(stack.description["alarm_topic_arn"], "demo-alarms")
        self._results: dict[tuple[str, str], dict[str, Any]] = {}
        self._alarms: list[dict[str, Any]] = []

    def run(self) -> None:
        self._deployed()
        self._by_invoke("dxtong", "A Lambda function asks for a call: dxtong, a text from the catalogue", SUCCESS)
        self._by_invoke("jumdata", "The same text by jumdata, pinned by the caller", OTHER_SUCCESS)
        self._by_topic()
        self._refused()
        self._nobody_answers()
        self._credit()
        self._why("demo-no-answer", "nobody answered")

    # The steps.

    def _deployed(self) -> None:
        self._story.chapter("Deployed")
        listed = self._stack.aws.cloudformation.describe_stack_resources(StackName=STACK_NAME)["StackResources"]
        counted = Counter(each["ResourceType"] for each in listed)
        notable = (f"{counted[kind]} {name}" for kind, name in NOTABLE_RESOURCES.items() if counted[kind])
        self._story.line(f"template.yaml: {len(listed)} resources, among them {', '.join(notable)}")
        self._story.line("IAM policies are enforced; vendors push to the API, as they would on AWS")
        written = {folder.name for folder in (ROOT / "functions").iterdir() if (folder / "app.py").exists()}
        check(set(self._stack.description["functions"]) == written, "every function is deployed", sorted(written))

    def _by_invoke(self, vendor: str, title: str, mobile: str) -> None:
        self._story.chapter(title)
        request = {
            "message_id": f"demo-{vendor}",
            "mobile": mobile,
            "template": "order_shipped",
            "params": {"order": "9633", "carrier": "顺丰"},
            "vendor": vendor,
        }
        accepted = self._send(request)
        check(accepted["status"] == "accepted", "the vendor took the call", accepted)
        self._told_by_vendor(vendor, accepted["call_id"])
        final = self._final(f"demo-{vendor}", "delivered")
        check(final["vendor"] == vendor and final["call_id"] == accepted["call_id"], "it is that call", final)

    def _by_topic(self) -> None:
        self._story.chapter("Anybody publishes to the notify topic: dxtong's own form, the text itself")
        request = {"mobile": THIRD_SUCCESS, "content": "您的订单号是:9634。已由圆通发出,请注意查收。"}
        self._story.line(f"publish {shown(request)}")
        published = self._stack.aws.sns.publish(
            TopicArn=self._stack.description["notify_topic_arn"],
            Message=json.dumps(request, ensure_ascii=False),
        )
        message_id = published["MessageId"]
        self._story.line(f"no message_id was given, so SNS's own is taken: {message_id}")
        call_id = wait_for(lambda: self._status(message_id)["call_id"], "send takes it and hands it over")
        self._told_by_vendor("dxtong", call_id)
        final = self._final(message_id, "delivered")
        check(final["vendor"] == "dxtong", "dxtong carried it", final)

    def _refused(self) -> None:
        self._story.chapter("A number on dxtong's blocklist: nothing rings, no other vendor is tried")
        request = {"message_id": "demo-refused", "mobile": BLOCKLISTED, "template": "order_shipped"}
        refused = self._send(request | {"params": {"order": "9635", "carrier": "中通"}})
        error = refused["error"] or {}
        check(refused["status"] == "rejected" and error.get("code") == "blocklisted", "it is refused", refused)
        self._story.line(f"dxtong said {error['vendor_code']} {error['vendor_message']}")
        self._final("demo-refused", "rejected")

    def _nobody_answers(self) -> None:
        self._story.chapter("A phone that nobody answers")
        request = {"message_id": "demo-no-answer", "mobile": NOBODY_ANSWERS, "template": "order_shipped"}
        accepted = self._send(request | {"params": {"order": "9636", "carrier": "韵达"}})
        self._told_by_vendor("dxtong", accepted["call_id"])
        final = self._final("demo-no-answer", "failed")
        check(final["reason"] == "no_answer", "the reason is that nobody answered", final)

    def _credit(self) -> None:
        self._story.chapter("The credit at dxtong runs low, and is topped up")
        self._balance(1000, "ok")
        check(not self._new_alarms(), "credit that is there raises no alarm")
        self._balance(40, "low")
        self._alarm("low")
        self._balance(40, "low")
        check(not self._new_alarms(), "the same state is alarmed once")
        self._balance(5000, "ok")
        self._alarm("ok")

    def _why(self, message_id: str, meaning: str) -> None:
        self._story.chapter(f"The operator asks what became of a call: voice-gateway why {message_id}")
        described = {LOCAL_STACK: str(self._stack.folder / "stack.json"), "COLUMNS": "78"}
        done = subprocess.run(
            [tool("voice-gateway"), "why", message_id],
            env=environment(**described),
            capture_output=True,
            text=True,
            check=False,
        )
        check(done.returncode == 0 and meaning in " ".join(done.stdout.split()), f"it says that {meaning}", done.stderr)
        print(textwrap.indent(done.stdout.rstrip(), "  "), flush=True)

    # What the steps are made of.

    def _send(self, request: dict[str, Any]) -> dict[str, Any]:
        self._story.line(f"invoke send {shown(request)}")
        result: dict[str, Any] = self._stack.invoke("send", request)
        self._story.line(f"result: {summary(result)}")
        return result

    def _told_by_vendor(self, vendor: str, call_id: str) -> None:
        def pushed() -> dict[str, Any] | None:
            callbacks = self._stack.simulator(vendor)["callbacks"]
            return next((each for each in callbacks if carries(each, call_id)), None)

        callback = wait_for(pushed, f"{vendor} pushes the receipt of call {call_id}")
        told = callback["body"] or callback["url"].partition("?")[2]
        self._story.line(f"{vendor} pushed a receipt: {masked(unquote_plus(told))}")
        check(callback["status"] == 200 and callback["reply"] == "success", "it was taken", callback)
        self._story.line(f"the API answered {callback['status']} {callback['reply']}")

    def _final(self, message_id: str, status: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            result = self._status(message_id)
            return result if result["status"] in FINAL else None

        final = wait_for(ended, f"message {message_id} comes to an end")
        check(final["status"] == status, f"it ends {status}", final)
        self._story.line(f"status: {summary(final)}")
        published = wait_for(lambda: self._published().get((message_id, status)), f"{status} is on the results topic")
        check(published["call_id"] == final["call_id"], "the results topic says the same", published)
        self._story.line(f"the results topic had it too: {status}")
        return final

    def _status(self, message_id: str) -> dict[str, Any]:
        result: dict[str, Any] = self._stack.invoke("status", {"message_id": message_id})
        return result

    def _published(self) -> dict[tuple[str, str], dict[str, Any]]:
        for result in self._stack.messages(self._results_queue):
            self._results[result["message_id"], result["status"]] = result
        return self._results

    def _balance(self, calls_left: int, state: str) -> None:
        self._stack.configure_simulator("dxtong", balance=calls_left)
        found = self._stack.invoke("balance_check", {})
        self._story.line(
            "invoke balance_check: "
            + ", ".join(f"{name} {each['state']} ({each['remaining']} {each['unit']})" for name, each in found.items())
        )
        check(found["dxtong"]["state"] == state, f"dxtong's credit is {state}", found)

    def _alarm(self, state: str) -> None:
        alarm = wait_for(lambda: next(iter(self._new_alarms()), None), f"an alarm says {state}")
        check((alarm["vendor"], alarm["state"]) == ("dxtong", state), f"it says that dxtong is {state}", alarm)
        self._story.line(f"alarm topic: {alarm['text']}")

    def _new_alarms(self) -> list[dict[str, Any]]:
        return [each for each in self._stack.messages(self._alarms_queue) if each.get("kind") == "credit"]


def run() -> int:
    """Exit status: 0 only if everything happened."""
    story = Story()
    print("The gateway, its two vendors simulated, on this machine.\n\nSetting up", flush=True)
    try:
        with temporary_folder("demo") as folder, Stack(folder, say=story.line) as stack:
            Demo(stack, story).run()
            seconds = story.seconds
    except (DemoError, InvokeError) as error:
        print(f"\nFAILED: {error}", file=sys.stderr)
        return 1
    print(f"\nAll of it happened, in {seconds:.0f} s. Everything that was started has been stopped.")
    return 0


def check(truth: bool, claim: str, seen: Any = None) -> None:  # noqa: FBT001 - reads as a sentence
    """Raises DemoError where the claim does not hold."""
    if not truth:
        raise DemoError(f"expected that {claim}" + (f"; seen: {shown(seen)}" if seen is not None else ""))


def wait_for[T](look: Callable[[], T | None], what: str) -> T:
    """What ``look`` finds, once it finds something. Raises DemoError after a while."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        if (found := look()) is not None:
            return found
        if time.monotonic() > end:
            raise DemoError(f"waited {WAIT_SECONDS:.0f} s in vain: {what}")
        time.sleep(0.1)


def carries(callback: dict[str, Any], call_id: str) -> bool:
    return call_id in callback["body"] or call_id in callback["url"].partition("?")[2]


def shown(value: Any) -> str:
    return masked(json.dumps(value, ensure_ascii=False))


def masked(text: str) -> str:
    """Numbers as the gateway itself logs them: the last four digits."""
    return re.sub(r"\b1[3-9]\d{5}(\d{4})\b", r"*\1", text)


def summary(result: dict[str, Any]) -> str:
    """What a person wants to know of a result."""
    receipt, error = result["receipt"], result["error"]
    parts = (
        (result["status"], "{}"),
        (result["vendor"], "by {}"),
        (result["call_id"], "call {}"),
        (result["linked_by"], "linked by {}"),
        (result["reason"], "because {}"),
        (error and error["code"], "error {}"),
        (receipt and f"{receipt['code']} {receipt['message']}", "receipt {}"),
        (receipt and receipt["talk_seconds"], "{} s talked"),
    )
    return ", ".join(form.format(value) for value, form in parts if value)
