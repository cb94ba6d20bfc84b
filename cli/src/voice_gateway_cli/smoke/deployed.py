"""What is deployed, who hears of it, and what was left lying."""

from typing import Any

from voice_gateway_cli.catalogue.store import RESERVED
from voice_gateway_cli.deployed.stack import ALIAS, Stack
from voice_gateway_cli.smoke.finding import Findings, fail, ok, warn

_CONFIGURED_BY = (
    *("Runtime", "Handler", "CodeSha256", "Timeout", "MemorySize", "Environment", "Layers", "Role"),
    *("VpcConfig", "TracingConfig", "LoggingConfig"),
)


def stack_status(stack: Stack) -> Findings:
    status = stack.described["StackStatus"]
    settled = status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
    yield (ok if settled else fail)(f"stack {stack.name} is {status}")
    if RESERVED.match(stack.name):
        yield warn(f"no templates: SSM takes no parameter under /{stack.name}, for it begins with aws or ssm")


def versions(stack: Stack) -> Findings:
    """Triggers call the alias: it must be at what was deployed last."""
    found: dict[str, list[str]] = {"shifting": [], "back": [], "behind": []}
    for name in stack.functions.values():
        alias = stack.client("lambda").get_alias(FunctionName=name, Name=ALIAS)
        newest, used = (_configuration(stack, f"{name}{qualifier}") for qualifier in ("", f":{ALIAS}"))
        if (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights"):
            found["shifting"].append(name)
        elif newest == used:
            continue
        elif newest == _configuration(stack, f"{name}:{_last_version(stack, name)}"):
            found["back"].append(f"{name} (version {alias['FunctionVersion']})")
        else:
            found["behind"].append(name)
    shifting, back, behind = (", ".join(names) for names in found.values())
    if shifting:
        yield warn(f"a deployment is under way: {shifting}")
    if back:
        yield warn(f"rolled back: triggers call an older version of {back} than was deployed last")
    if behind:
        yield fail(f"what was deployed last was never published, of {behind}: deploy with `make deploy`")
    if not any(found.values()):
        yield ok(f"the triggers of all {len(stack.functions)} functions call what was deployed last")


def subscribers(stack: Stack) -> Findings:
    for topic in ("AlarmTopicArn", "ResultsTopicArn"):
        confirmed = stack.subscriptions(topic)
        who = topic.removesuffix("TopicArn").lower()
        if confirmed:
            yield ok(f"{who} topic: {len(confirmed)} confirmed subscriptions")
        else:
            yield warn(f"{who} topic: nobody is subscribed")


def leftovers(stack: Stack) -> Findings:
    for queue in ("DeadLetterQueueUrl", "OutboxQueueUrl"):
        found = stack.client("sqs").get_queue_attributes(
            QueueUrl=stack.output(queue), AttributeNames=["ApproximateNumberOfMessages"]
        )
        count = int(found["Attributes"]["ApproximateNumberOfMessages"])
        yield (warn if count else ok)(f"{queue.removesuffix('QueueUrl')} queue holds {count}")
    alarms = stack.client("cloudwatch").get_paginator("describe_alarms")
    pages = alarms.paginate(AlarmNamePrefix=f"{stack.name}-", StateValue="ALARM")
    raised = [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]]
    yield warn(f"raised: {', '.join(raised)}") if raised else ok("no alarm is raised")


def _configuration(stack: Stack, function: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.client("lambda").get_function_configuration(FunctionName=function)
    layers = [layer["Arn"] for layer in found.get("Layers", [])]
    return {**{key: found.get(key) for key in _CONFIGURED_BY}, "Layers": layers}


def _last_version(stack: Stack, function: str) -> str:
    pages = stack.client("lambda").get_paginator("list_versions_by_function").paginate(FunctionName=function)
    numbers = [each["Version"] for page in pages for each in page["Versions"] if each["Version"] != "$LATEST"]
    return str(max(numbers, key=int))
