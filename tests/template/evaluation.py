"""What is deployed with given parameters: conditions decided, branches chosen, parameters and pseudo parameters put in.

CloudFormation does the same when it makes a change set. Only the functions that the template uses are known here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.template import translation

ACCOUNT = "123456789012"


@dataclass(frozen=True)
class Place:
    """A region, and what the pseudo parameters hold there."""

    region: str
    partition: str
    suffix: str

    @property
    def pseudo(self) -> dict[str, str]:
        return {
            "AWS::Region": self.region,
            "AWS::Partition": self.partition,
            "AWS::URLSuffix": self.suffix,
            "AWS::AccountId": ACCOUNT,
            "AWS::StackName": "gateway",
        }


PLACES = (
    Place("eu-central-1", "aws", "amazonaws.com"),
    Place("cn-north-1", "aws-cn", "amazonaws.com.cn"),
    Place("cn-northwest-1", "aws-cn", "amazonaws.com.cn"),
    Place("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
)
FRANKFURT = PLACES[0]

_NOTHING = object()
_PLACEHOLDER = re.compile(r"\$\{([^}!]+)\}")


class Evaluation:
    def __init__(self, place: Place = FRANKFURT, **parameters: str) -> None:
        template = translation.translate(translation.written(), place.region, **parameters)
        unknown = set(parameters) - set(template["Parameters"])
        if unknown:
            raise ValueError(f"no such parameters: {sorted(unknown)}")
        self._conditions = template["Conditions"]
        self._values: dict[str, Any] = dict(place.pseudo)
        for name, parameter in template["Parameters"].items():
            value = str(parameters.get(name, parameter["Default"]))
            self._values[name] = value.split(",") if parameter["Type"] == "CommaDelimitedList" else value
        self.resources: dict[str, dict[str, Any]] = self._kept(template["Resources"])
        self.outputs: dict[str, dict[str, Any]] = self._kept(template["Outputs"])

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        return {name: each for name, each in self.resources.items() if each["Type"] == kind}

    def texts(self) -> Iterator[str]:
        """Every text in it, keys included."""
        yield from texts([self.resources, self.outputs])

    def references(self) -> Iterator[tuple[str, str]]:
        """Who refers → to what, of all that is not a parameter."""
        for name, each in (self.resources | self.outputs).items():
            for referred in _referred(each):
                yield name, referred

    def _kept(self, section: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: self._value({key: value for key, value in each.items() if key != "Condition"})
            for name, each in section.items()
            if "Condition" not in each or self._holds(each["Condition"])
        }

    def _holds(self, condition: Any) -> bool:
        if isinstance(condition, str):
            return self._holds(self._conditions[condition])
        ((function, argument),) = condition.items()
        match function:
            case "Condition":
                return self._holds(argument)
            case "Fn::Equals":
                left, right = (str(self._value(each)) for each in argument)
                return left == right
            case "Fn::Not":
                return not self._holds(argument[0])
            case "Fn::And":
                return all(map(self._holds, argument))
            case "Fn::Or":
                return any(map(self._holds, argument))
        raise ValueError(f"a condition that is not known here: {function}")

    def _value(self, node: Any) -> Any:
        if isinstance(node, list):
            return [each for each in map(self._value, node) if each is not _NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self._called(function, argument)
        values = {name: self._value(each) for name, each in node.items()}
        return {name: each for name, each in values.items() if each is not _NOTHING}

    def _called(self, function: str, argument: Any) -> Any:
        match function:
            case "Ref" if argument == "AWS::NoValue":
                return _NOTHING
            case "Ref":
                return self._values.get(argument, {"Ref": argument})
            case "Fn::If":
                condition, met, unmet = argument
                return self._value(met if self._holds(condition) else unmet)
            case "Fn::Sub":
                return self._substituted(*(argument if isinstance(argument, list) else [argument, {}]))
            case "Fn::Join":
                delimiter, parts = argument[0], self._value(argument[1])
                if all(isinstance(each, str) for each in parts):
                    return delimiter.join(parts)
                return {function: [delimiter, parts]}
            case "Fn::Split":
                delimiter, text = argument[0], self._value(argument[1])
                return text.split(delimiter)
            case "Fn::GetAtt":
                return {function: argument}
        raise ValueError(f"a function that is not known here: {function}")

    def _substituted(self, text: str, variables: Mapping[str, Any]) -> Any:
        known = self._values | self._value(variables)
        others = {name: each for name, each in known.items() if not isinstance(each, str)}
        text = _PLACEHOLDER.sub(lambda found: found[0] if found[1] in others else known.get(found[1], found[0]), text)
        left = {name: others[name] for name in _PLACEHOLDER.findall(text) if name in others}
        if not _PLACEHOLDER.search(text):
            return text
        return {"Fn::Sub": [text, left] if left else text}


def texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for name, each in node.items():
            yield name
            yield from texts(each)
    elif isinstance(node, list):
        for each in node:
            yield from texts(each)


def _referred(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for each in node:
            yield from _referred(each)
    elif isinstance(node, dict):
        for name, each in node.items():
            if name == "Ref":
                yield each
            elif name == "Fn::GetAtt":
                yield each[0] if isinstance(each, list) else each.split(".")[0]
            elif name == "Fn::Sub":
                text, variables = each if isinstance(each, list) else (each, {})
                yield from (name.split(".")[0] for name in _PLACEHOLDER.findall(text) if name not in variables)
                yield from _referred(variables)
            elif name == "DependsOn":
                yield from [each] if isinstance(each, str) else each
            else:
                yield from _referred(each)
