"""template.yaml, as written and as translated."""

from typing import Any

import pytest

from tests.template import translation
from tests.template.translation import translate


@pytest.fixture(scope="session")
def source() -> str:
    return translation.TEMPLATE.read_text()


@pytest.fixture(scope="session")
def written() -> dict[str, Any]:
    return translation.written()


@pytest.fixture(scope="session")
def translated(written: dict[str, Any]) -> dict[str, Any]:
    return translate(written, "eu-central-1")


@pytest.fixture
def resources(translated: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = translated["Resources"]
    return found
