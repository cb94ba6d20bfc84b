"""Which addresses the template's parameters take: CloudFormation compares AllowedPattern with the whole value."""

import re
from typing import Any

import pytest
from voice_gateway.platform.settings import WEB_ADDRESS

from tests.addresses import GOOD, HOSTILE
from tests.found import ENDPOINTS

ADDRESSES = (*ENDPOINTS, "CallbackBaseUrl")


def takes(written: dict[str, Any], name: str, value: str) -> bool:
    return re.fullmatch(written["Parameters"][name]["AllowedPattern"], value) is not None


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_address_that_leads_elsewhere_is_no_value_of_a_parameter(written: dict[str, Any], name: str) -> None:
    assert len(HOSTILE) >= 200
    assert [value for value in HOSTILE if takes(written, name, value)] == []


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_vendors_address_a_proxys_and_the_local_stacks_are(written: dict[str, Any], name: str) -> None:
    assert [value for value in GOOD if not takes(written, name, value)] == []
    assert takes(written, name, "") is (name == "CallbackBaseUrl")


def test_template_and_code_take_the_same(written: dict[str, Any]) -> None:
    """What only one of them refused would be found out by a failing `send`, not by the deployment."""
    patterns = {name: written["Parameters"][name]["AllowedPattern"] for name in ADDRESSES}
    whole = f"^{WEB_ADDRESS}$"
    assert patterns == dict.fromkeys(ENDPOINTS, whole) | {"CallbackBaseUrl": f"^(?:{WEB_ADDRESS})?$"}
