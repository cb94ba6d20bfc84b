"""template.yaml as CloudFormation gets to see it: translated by SAM's own translator, which is what AWS runs."""

import os
from copy import deepcopy
from pathlib import Path
from typing import Any
from unittest.mock import patch

from samtranslator.translator.arn_generator import _get_region_from_session  # type: ignore[import-untyped]
from samtranslator.translator.transform import transform  # type: ignore[import-untyped]
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"

Template = dict[str, Any]


class NoManagedPolicies:
    """The translator asks for the managed policies by name; the template is to name none."""

    def load(self) -> dict[str, str]:
        return {}


def written() -> Template:
    """The template as it is written."""
    parsed: Template = yaml_parse(TEMPLATE.read_text())
    return parsed


def translate(written: Template, region: str, **parameters: str) -> Template:
    """The template as it is deployed in a region: SAM writes the partition of where it runs into some addresses.

    SAM puts parameters into some properties itself, so it is given the values as CloudFormation would.
    """
    template = deepcopy(written)
    for resource in template["Resources"].values():
        for location in ("CodeUri", "ContentUri"):
            if location in resource.get("Properties", {}):
                resource["Properties"][location] = "s3://bucket/key"
    _get_region_from_session.cache_clear()
    with patch.dict(os.environ, AWS_DEFAULT_REGION=region):
        translated: Template = transform(template, parameters, NoManagedPolicies())
    return translated
