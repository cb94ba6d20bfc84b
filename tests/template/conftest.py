"""template.yaml as CloudFormation gets to see it: translated by SAM's own translator, which is what AWS runs."""

import os
from copy import deepcopy
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from samtranslator.translator.arn_generator import _get_region_from_session  # type: ignore[import-untyped]
from samtranslator.translator.transform import transform  # type: ignore[import-untyped]
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]


class NoManagedPolicies:
    """The translator asks for the managed policies by name; the template is to name none."""

    def load(self) -> dict[str, str]:
        return {}


@pytest.fixture(scope="session")
def source() -> str:
    return (ROOT / "template.yaml").read_text()


@pytest.fixture(scope="session")
def written(source: str) -> dict[str, Any]:
    """The template as it is written."""
    parsed: dict[str, Any] = yaml_parse(source)
    return parsed


def translate(written: dict[str, Any], region: str, **parameters: str) -> dict[str, Any]:
    template = deepcopy(written)
    for resource in template["Resources"].values():
        for location in ("CodeUri", "ContentUri"):
            if location in resource.get("Properties", {}):
                resource["Properties"][location] = "s3://bucket/key"
    _get_region_from_session.cache_clear()
    with patch.dict(os.environ, AWS_DEFAULT_REGION=region):
        translated: dict[str, Any] = transform(template, parameters, NoManagedPolicies())
    return translated


@pytest.fixture(scope="session")
def translated(written: dict[str, Any]) -> dict[str, Any]:
    return translate(written, "eu-central-1")


@pytest.fixture(scope="session")
def translated_for_china(written: dict[str, Any]) -> dict[str, Any]:
    return translate(written, "cn-north-1")


@pytest.fixture
def resources(translated: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = translated["Resources"]
    return found
