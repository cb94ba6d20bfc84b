"""With a key of one's own, all that is stored is under it, and whoever reads or writes there may use it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]

from tests.template.evaluation import FRANKFURT, Evaluation

KEY = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"

STORES = {
    "AWS::DynamoDB::Table": "SSESpecification.KMSMasterKeyId",
    "AWS::Logs::LogGroup": "KmsKeyId",
    "AWS::SNS::Topic": "KmsMasterKeyId",
    "AWS::SQS::Queue": "KmsMasterKeyId",
    "AWS::SecretsManager::Secret": "KmsKeyId",
}
NOT_UNDER_THE_KEY = {
    "AlarmTopic": "a key whose policy forgets CloudWatch would swallow every alarm; it holds no number, text or secret",
}
# Settings that take a key as well, and why they have none. AWS encrypts them with keys of its own.
NOT_STORES = {
    "AWS::Lambda::EventSourceMapping KmsKeyArn": "is for the filter, which is in this template for all to read",
    "AWS::Lambda::Function Code.SourceKMSKeyArn": "is for the package, which is public; China does not have it",
    "AWS::Lambda::Function DurableConfig.KMSKeyArn": "no function is a durable one",
    "AWS::Lambda::Function KmsKeyArn": "is for the environment, which holds names, addresses and numbers, no secret",
    "AWS::SQS::Queue KmsDataKeyReusePeriodSeconds": "is no key",
    "AWS::SecretsManager::Secret ReplicaRegions.KmsKeyId": "no secret is replicated",
}

WITH_DATA = ("dynamodb:", "secretsmanager:", "sns:", "sqs:")


@pytest.fixture(scope="module")
def with_key() -> Evaluation:
    return Evaluation(FRANKFURT, KmsKeyArn=KEY)


@pytest.fixture(scope="module")
def without_key() -> Evaluation:
    return Evaluation(FRANKFURT)


def at(node: Any, path: str) -> Any:
    for name in path.split("."):
        node = node.get(name, {}) if isinstance(node, dict) else {}
    return node


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def actions(role: dict[str, Any]) -> set[str]:
    return {
        action
        for policy in role["Properties"].get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
        for action in listed(statement["Action"])
    }


def settings_for_keys(kind: str) -> Iterator[str]:
    """Every setting of a resource type that names a key, by CloudFormation's own schema."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-central-1", kind).schema

    def walk(node: dict[str, Any], path: str, within: tuple[str, ...]) -> Iterator[str]:
        if "$ref" in node:
            name = node["$ref"].rsplit("/", 1)[-1]
            if name not in within:
                yield from walk(schema["definitions"][name], path, (*within, name))
        for name, each in node.get("properties", {}).items():
            below = f"{path}.{name}" if path else name
            if re.search(r"kms|^key(id|arn)$|encryption.*key", name, re.IGNORECASE):
                yield below
            yield from walk(each, below, within)
        if isinstance(node.get("items"), dict):
            yield from walk(node["items"], path, within)

    yield from walk(schema, "", ())


def test_everything_stored_is_under_the_key(with_key: Evaluation) -> None:
    without = {
        name
        for kind, path in STORES.items()
        for name, each in with_key.of_type(kind).items()
        if at(each.get("Properties", {}), path) != KEY
    }
    assert without == set(NOT_UNDER_THE_KEY)
    assert all(with_key.of_type(kind) for kind in STORES)


def test_no_kind_of_resource_is_forgotten(with_key: Evaluation) -> None:
    """What can be put under a key is a store, or there is a reason why it is not under it."""
    settings = {
        f"{kind} {setting}"
        for kind in {each["Type"] for each in with_key.resources.values()}
        for setting in settings_for_keys(kind)
    }
    known = {f"{kind} {path}" for kind, path in STORES.items()} | set(NOT_STORES)
    assert settings == known


def test_without_a_key_of_ones_own_it_is_under_those_of_aws(without_key: Evaluation) -> None:
    assert not any("KmsKeyArn" in text for text in without_key.texts())
    for queue in without_key.of_type("AWS::SQS::Queue").values():
        assert queue["Properties"]["SqsManagedSseEnabled"] is True
    for topic in ("NotifyTopic", "ResultsTopic"):
        assert without_key.resources[topic]["Properties"]["KmsMasterKeyId"] == "alias/aws/sns"
    assert without_key.resources["CallsTable"]["Properties"]["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
    }


def test_every_role_that_touches_data_may_use_the_key_and_that_key_only(with_key: Evaluation) -> None:
    roles = with_key.of_type("AWS::IAM::Role")
    needing = {name for name, role in roles.items() if any(each.startswith(WITH_DATA) for each in actions(role))}
    assert needing == {name.replace("Function", "Role") for name in with_key.of_type("AWS::Lambda::Function")}
    for name, role in roles.items():
        statements = [
            each for policy in role["Properties"].get("Policies", []) for each in policy["PolicyDocument"]["Statement"]
        ]
        granted = [each for each in statements if any(action.startswith("kms:") for action in listed(each["Action"]))]
        if name not in needing:
            assert not granted, name
            continue
        (grant,) = granted
        assert grant["Effect"] == "Allow"
        assert {"kms:Decrypt", "kms:GenerateDataKey"} <= set(grant["Action"]), name
        assert grant["Resource"] == KEY


def test_without_it_no_role_may_use_any_key(without_key: Evaluation) -> None:
    for name, role in without_key.of_type("AWS::IAM::Role").items():
        assert not [action for action in actions(role) if action.startswith("kms:")], name


def test_no_environment_holds_a_secret(with_key: Evaluation) -> None:
    """Which is why it is not under the key: names, addresses and numbers only; what is secret is read by its ARN."""
    for name, function in with_key.of_type("AWS::Lambda::Function").items():
        for variable, value in function["Properties"]["Environment"]["Variables"].items():
            assert "{{resolve:" not in str(value), f"{name} {variable}"
            if "SECRET" in variable:
                assert value["Fn::GetAtt"][1] == "Id", f"{name} {variable}"
