"""The metrics that the template names, in alarms and on its dashboard, as they are deployed."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.template.evaluation import Evaluation


class Metric(NamedTuple):
    """One metric. What is another resource's is in its dimensions as ``${Resource}`` or ``${Resource.Attribute}``."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]


def body(template: Evaluation) -> dict[str, Any]:
    """The dashboard's body."""
    (dashboard,) = template.of_type("AWS::CloudWatch::Dashboard").values()
    found: dict[str, Any] = json.loads(text(dashboard["Properties"]["DashboardBody"]))
    return found


def text(node: Any) -> str:
    """A text of the template, with what is another resource's left as a placeholder."""
    if isinstance(node, str):
        return node
    ((function, argument),) = node.items()
    match function:
        case "Ref":
            return f"${{{argument}}}"
        case "Fn::GetAtt":
            return f"${{{'.'.join(argument)}}}"
        case "Fn::Sub":
            pattern, variables = argument if isinstance(argument, list) else (argument, {})
            return re.sub(r"\$\{(\w+)\}", lambda it: text(variables[it[1]]) if it[1] in variables else it[0], pattern)
    raise ValueError(f"a function that makes no text: {function}")


def widgets(template: Evaluation, kind: str) -> list[dict[str, Any]]:
    """The properties of the widgets of a kind."""
    return [each["properties"] for each in body(template)["widgets"] if each["type"] == kind]


def of_widgets(properties: list[dict[str, Any]]) -> Iterator[Metric]:
    for each in properties:
        for row in each["metrics"]:
            if isinstance(row[0], str):  # else it is reckoned from others
                namespace, name, *pairs = (part for part in row if isinstance(part, str))
                yield Metric(namespace, name, frozenset(zip(pairs[::2], pairs[1::2], strict=True)))


def of_alarms(template: Evaluation) -> Iterator[Metric]:
    for alarm in template.of_type("AWS::CloudWatch::Alarm").values():
        properties = alarm["Properties"]
        dimensions = frozenset((each["Name"], text(each["Value"])) for each in properties["Dimensions"])
        yield Metric(properties["Namespace"], properties["MetricName"], dimensions)
