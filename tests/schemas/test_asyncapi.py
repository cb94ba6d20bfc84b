"""The AsyncAPI document: its parts hang together, and headers are the message attributes that the gateway really sets.

AsyncAPI's own parser and schema, which need Node, found nothing wrong when it was written.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from voice_gateway.credit import alarm
from voice_gateway.model.message import Message, State
from voice_gateway.model.result import attributes, published

from tests.gateway import ROOT
from tests.schemas.held import NAMES, NOW, SCHEMAS, schema

DOCUMENT: dict[str, Any] = yaml.safe_load((SCHEMAS / "asyncapi.yaml").read_text(encoding="utf-8"))
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]
PAYLOADS = {"request": "request", "result": "result", "creditAlarm": "credit-alarm"}


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            assert list(node) == ["$ref"]
            yield node["$ref"]
        node = list(node.values())
    for each in node if isinstance(node, list) else ():
        yield from references(each)


def resolved(reference: str) -> Any:
    if not reference.startswith("#/"):
        return json.loads((SCHEMAS / reference).read_text(encoding="utf-8"))
    found: Any = DOCUMENT
    for key in reference.removeprefix("#/").split("/"):
        found = found[key]
    return resolved(found["$ref"]) if set(found) == {"$ref"} else found


def test_it_is_of_the_version_that_it_says() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(DOCUMENT["info"])
    assert set(DOCUMENT) == {"asyncapi", "id", "info", "defaultContentType", "channels", "operations", "components"}


def test_every_reference_resolves() -> None:
    found = set(references(DOCUMENT))
    assert all(isinstance(resolved(each), dict) for each in found)
    assert {each for each in found if not each.startswith("#")} == {
        f"./{name}.schema.json" for name in NAMES if name != "templates"
    }


def test_every_operation_has_its_channel_and_that_channels_messages() -> None:
    assert {name: each["action"] for name, each in DOCUMENT["operations"].items()} == {
        "requestCall": "send",
        "receiveResult": "receive",
        "receiveAlarm": "receive",
    }
    used = set()
    for operation in DOCUMENT["operations"].values():
        place = operation["channel"]["$ref"]
        channel = resolved(place)
        assert [each["$ref"] for each in operation["messages"]] == [
            f"{place}/messages/{name}" for name in channel["messages"]
        ]
        used.add(place.rpartition("/")[2])
    assert used == set(DOCUMENT["channels"])


def test_every_message_is_some_channels() -> None:
    carried = [each["$ref"] for channel in DOCUMENT["channels"].values() for each in channel["messages"].values()]
    assert sorted(carried) == sorted(f"#/components/messages/{name}" for name in MESSAGES)


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_is_its_schema(name: str) -> None:
    payload = MESSAGES[name]["payload"]
    assert payload["schemaFormat"] == "application/schema+json;version=draft-2020-12"
    assert resolved(payload["schema"]["$ref"]) == schema(PAYLOADS[name])


@pytest.mark.parametrize("name", PAYLOADS)
def test_headers_are_a_sound_schema_and_described(name: str) -> None:
    Draft202012Validator.check_schema(MESSAGES[name]["headers"])
    for header in MESSAGES[name]["headers"]["properties"].values():
        assert re.search(r"[a-z]\. |[a-z;] a (String|Number)", header["description"])


def test_a_channels_arn_is_an_output_of_the_stack() -> None:
    outputs = (ROOT / "template.yaml").read_text(encoding="utf-8").partition("\nOutputs:\n")[2]
    for channel in DOCUMENT["channels"].values():
        assert channel["address"] is None
        (output,) = re.findall(r"`(\w+)`", channel["description"])
        assert f"\n  {output}:\n" in outputs


@pytest.mark.parametrize("bulk", [True, False])
@pytest.mark.parametrize("template", [None, "order_shipped", "No Name"])
@pytest.mark.parametrize("vendor", [None, "dxtong"])
def test_a_results_attributes_are_its_headers(vendor: str | None, template: str | None, bulk: bool) -> None:
    message = Message("m1", State.REJECTED, NOW, vendor=vendor, template=template, bulk=bulk)
    _held("result", attributes(published(message), bulk=bulk))


def test_an_alarms_attributes_are_its_headers() -> None:
    _held("creditAlarm", alarm.attributes(schema("credit-alarm")["examples"][0]))


def test_the_notify_topics_attribute_is_the_one_that_its_subscription_filters_by() -> None:
    template = (ROOT / "template.yaml").read_text(encoding="utf-8")
    (name, value) = re.findall(r"FilterPolicy:\n +(\w+): \[(\w+)\]", template)[0]
    (header,) = MESSAGES["request"]["headers"]["properties"].items()
    assert (header[0], value in header[1]["enum"]) == (name, True)


def _held(message: str, found: dict[str, dict[str, str]]) -> None:
    headers = MESSAGES[message]["headers"]
    told = {name: each["StringValue"] for name, each in found.items()}
    Draft202012Validator(headers).validate(told)
    assert set(headers["required"]) <= set(told) <= set(headers["properties"])
    for name, each in found.items():
        assert f"a {each['DataType']}" in headers["properties"][name]["description"]
