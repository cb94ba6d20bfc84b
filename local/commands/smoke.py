"""`make smoke STACK=…`: checks a deployed stack from end to end, and rings no phone.

It leaves one message behind, `smoke-…`, which had expired before it came: the results topic is told of it.
"""

import json
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from voice_gateway import vendors
from voice_gateway.model.errors import SettingsError
from voice_gateway.platform.callback_tokens import CallToken, Keyring
from voice_gateway.platform.secrets import stored_text
from voice_gateway.vendors.common.base import Vendor

from local.commands.command import Asked, run
from local.commands.target import Target
from local.commands.templates import RESERVED
from local.places import ALIAS

MOBILE = "13800138000"
"""Named in requests that never reach a vendor."""
FORMS: tuple[dict[str, Any], ...] = ({"content": "测试"}, {"template_id": "smoke", "params": []})
"""A text, and a template of a vendor: between them every vendor can carry one."""
TOO_LARGE = b"x" * (64 * 1024 + 1)
CONFIGURED_BY = (
    *("Runtime", "Handler", "CodeSha256", "Timeout", "MemorySize", "Environment", "Layers", "Role"),
    *("VpcConfig", "TracingConfig", "LoggingConfig"),
)


@dataclass(frozen=True)
class Finding:
    """One line of the account. Only ``FAIL`` fails the check; ``warn`` is for the operator to judge."""

    verdict: str
    text: str


Findings = Iterator[Finding]


def ok(text: str) -> Finding:
    return Finding("ok", text)


def warn(text: str) -> Finding:
    return Finding("warn", text)


def fail(text: str) -> Finding:
    return Finding("FAIL", text)


class Smoke:
    """The checks, in the order in which one failing explains the next."""

    def __init__(self, of: Target) -> None:
        self._of = of

    def run(self) -> Findings:
        checks: tuple[Callable[[], Findings], ...] = (
            self._stack,
            self._versions,
            self._dry_runs,
            self._credit,
            self._callbacks,
            self._subscribers,
            self._leftovers,
        )
        for check in checks:
            try:
                yield from check()
            except (BotoCoreError, ClientError, OSError, KeyError, ValueError, SettingsError) as error:
                yield fail(f"{check.__name__.strip('_')}: {type(error).__name__}: {error}")
                if check == self._stack:
                    return  # nothing else can be found either

    # What is deployed.

    def _stack(self) -> Findings:
        status = self._of.described()["StackStatus"]
        settled = status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
        yield (ok if settled else fail)(f"stack {self._of.stack_name} is {status}")
        if RESERVED.match(self._of.stack_name):
            yield warn(
                f"no templates: SSM takes no parameter under /{self._of.stack_name}, for it begins with aws or ssm"
            )

    def _versions(self) -> Findings:
        """Triggers call the alias: it must be at what was deployed last."""
        behind, shifting, back = [], [], []
        for name in self._functions.values():
            alias = self._of.client("lambda").get_alias(FunctionName=name, Name=ALIAS)
            newest, used = (self._configuration(f"{name}{qualifier}") for qualifier in ("", f":{ALIAS}"))
            if (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights"):
                shifting.append(name)
            elif newest == used:
                continue
            elif newest == self._configuration(f"{name}:{self._last_version(name)}"):
                back.append(f"{name} (version {alias['FunctionVersion']})")
            else:
                behind.append(name)
        if shifting:
            yield warn(f"a deployment is under way: {', '.join(shifting)}")
        if back:
            yield warn(f"rolled back: triggers call an older version of {', '.join(back)} than was deployed last")
        if behind:
            yield fail(f"what was deployed last was never published, of {', '.join(behind)}: deploy with `make deploy`")
        if not behind and not shifting and not back:
            yield ok(f"the triggers of all {len(self._functions)} functions call what was deployed last")

    # Sending.

    def _dry_runs(self) -> Findings:
        """Reads templates' place, quotas and credentials, as a send would; nothing is stored or rung."""
        could = []
        for form in FORMS:
            result = self._invoke("send", {"mobile": MOBILE, "dry_run": True, **form})
            error = result["error"] or {}
            how = next(iter(form))
            if result["status"] == "accepted":
                could.append(f"by {how} would go to {result['vendor']}")
            elif result["status"] == "deferred":
                could.append(f"by {how} would wait until {result['deferred_until']}")
            else:
                yield warn(f"a message by {how} would be {result['status']}: {error.get('message')}")
        if could:
            yield ok(f"send: a message {', '.join(could)}")
        else:
            yield fail("send: no dry run would be sent; are the vendors' secrets filled in?")

    def _credit(self) -> Findings:
        """Asks each vendor for the credit left: credentials, the way out and the vendor's own checks, for nothing."""
        credit = self._invoke("balance_check", {})
        if not credit:
            yield fail("no vendor has credentials: put them into the secrets that the stack's outputs name")
        for vendor, found in credit.items():
            if found["error"]:
                yield fail(f"{vendor} does not tell its credit: {found['error']}")
            else:
                verdict = ok if found["state"] == "ok" else warn
                yield verdict(f"{vendor}: {found['remaining']} {found['unit']} left, {found['state']}")

    # Callbacks.

    def _callbacks(self) -> Findings:
        base = self._outputs.get("CallbackBaseUrl")
        if base is None:
            yield ok("no callbacks: CallbackMode is poll")
            return
        secret = self._of.client("secretsmanager").get_secret_value(SecretId=self._outputs["CallbackSecretArn"])
        keyring = Keyring.from_secret(stored_text(secret))
        for name in vendors.names():
            address = f"{base.rstrip('/')}/callbacks/{name}/"
            try:
                status, _ = _post(address + "no-token-of-this-gateway", b"{}")
            except OSError as error:
                yield fail(f"callback of {name}: {base} cannot be reached: {error}")
                continue
            if status == 404:
                yield ok(f"callback of {name}: a bad token is answered 404")
            elif status == 403:
                yield fail(f"callback of {name}: 403; is this machine's address in CallbackCidrs?")
                continue
            else:
                yield fail(f"callback of {name}: a bad token is answered {status}, not 404")
            yield self._callback(vendors.vendor(name), address, keyring)

    def _callback(self, vendor: Vendor, address: str, keyring: Keyring) -> Finding:
        if not vendor.callback_per_call:
            return self._token(vendor.name, address + keyring.static_token(vendor.name))
        receipts = vendor.example_callbacks()
        if receipts is None:
            token = CallToken("smoke", "smoke", int(time.time()) + 300)
            return self._token(vendor.name, address + keyring.call_token(vendor.name, token))
        return self._receipt(vendor.name, address, keyring, receipts)

    def _receipt(self, name: str, address: str, keyring: Keyring, receipts: tuple[Any, Any]) -> Finding:
        """Receipts for a message that is over: they are kept beside its result, and change nothing."""
        message_id = f"smoke-{uuid.uuid4().hex[:12]}"
        over = {"message_id": message_id, "mobile": MOBILE, "expires_at": "2020-01-01T00:00:00Z", **FORMS[0]}
        status = self._invoke("send", over)["status"]
        if status != "expired":
            return fail(f"send: a message that had expired is {status}")
        token = keyring.call_token(name, CallToken(message_id, "smoke", int(time.time()) + 300))
        # The first of two receipts is not counted as a later one.
        answers = [_post(address + token, json.dumps(receipt).encode()) for receipt in receipts]
        kept = self._invoke("status", {"message_id": message_id})["later_receipts"]
        if answers == [(200, vendors.vendor(name).acknowledgement)] * 2 and kept == 1:
            return ok(f"callback of {name}: a signed receipt reaches the calls table")
        return fail(f"callback of {name}: signed receipts are answered {answers}, and {kept} is kept")

    def _token(self, name: str, address: str) -> Finding:
        """A good token with a body that is too large: it is looked at, and not kept."""
        status, _ = _post(address, TOO_LARGE)
        if status == 413:
            return ok(f"callback of {name}: the token of the registered address is good")
        return fail(f"callback of {name}: the registered address is answered {status}, not 413")

    # What an operator should know.

    def _subscribers(self) -> Findings:
        for topic in ("AlarmTopicArn", "ResultsTopicArn"):
            found = self._of.client("sns").list_subscriptions_by_topic(TopicArn=self._outputs[topic])["Subscriptions"]
            confirmed = [each for each in found if each["SubscriptionArn"].startswith("arn:")]
            who = topic.removesuffix("TopicArn").lower()
            if confirmed:
                yield ok(f"{who} topic: {len(confirmed)} confirmed subscriptions")
            else:
                yield warn(f"{who} topic: nobody is subscribed")

    def _leftovers(self) -> Findings:
        for queue in ("DeadLetterQueueUrl", "OutboxQueueUrl"):
            found = self._of.client("sqs").get_queue_attributes(
                QueueUrl=self._outputs[queue], AttributeNames=["ApproximateNumberOfMessages"]
            )
            count = int(found["Attributes"]["ApproximateNumberOfMessages"])
            yield (warn if count else ok)(f"{queue.removesuffix('QueueUrl')} queue holds {count}")
        alarms = (
            self._of.client("cloudwatch")
            .get_paginator("describe_alarms")
            .paginate(AlarmNamePrefix=f"{self._of.stack_name}-", StateValue="ALARM")
        )
        raised = [alarm["AlarmName"] for page in alarms for alarm in page["MetricAlarms"]]
        yield warn(f"raised: {', '.join(raised)}") if raised else ok("no alarm is raised")

    # Reaching it.

    @cached_property
    def _outputs(self) -> dict[str, str]:
        return self._of.outputs()

    @cached_property
    def _functions(self) -> dict[str, str]:
        return {key: value for key, value in self._outputs.items() if key.endswith("FunctionName")}

    def _configuration(self, function: str) -> dict[str, Any]:
        found: dict[str, Any] = self._of.client("lambda").get_function_configuration(FunctionName=function)
        layers = [layer["Arn"] for layer in found.get("Layers", [])]
        return {**{key: found.get(key) for key in CONFIGURED_BY}, "Layers": layers}

    def _last_version(self, function: str) -> str:
        pages = self._of.client("lambda").get_paginator("list_versions_by_function").paginate(FunctionName=function)
        numbers = [each["Version"] for page in pages for each in page["Versions"] if each["Version"] != "$LATEST"]
        return str(max(numbers, key=int))

    def _invoke(self, function: str, payload: Any) -> Any:
        """Raises ValueError with what the function raised."""
        name = self._functions["".join(word.title() for word in function.split("_")) + "FunctionName"]
        reply = self._of.client("lambda").invoke(
            FunctionName=f"{name}:{ALIAS}", Payload=json.dumps(payload, ensure_ascii=False).encode()
        )
        result = json.loads(reply["Payload"].read())
        if reply.get("FunctionError"):
            raise ValueError(f"{function} raised {result.get('errorMessage', result)}")
        return result


def _post(address: str, body: bytes) -> tuple[int, str]:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(address, data=body, headers=headers)  # noqa: S310 - the stack's own
    proxies: dict[str, str] | None = {} if request.host.startswith("127.0.0.1") else None
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler(proxies)).open(request, timeout=35) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def check(asked: Asked) -> int:
    print(f"{asked.of.stack_name}, {asked.of.where}")
    failed = False
    for finding in Smoke(asked.of).run():
        print(f"  {finding.verdict:<4}  {finding.text}", flush=True)
        failed = failed or finding.verdict == "FAIL"
    print("something is wrong" if failed else "all is well; no phone was rung")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run("local.commands.smoke", __doc__, check))
