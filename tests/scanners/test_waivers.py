"""A finding without a reason fails, and so does a reason without a finding. The scan itself is part of `make check`."""

from pathlib import Path

import pytest

from tests.scanners import template, waivers
from tests.scanners.waivers import Finding, Waiver

FINDING = Finding("CKV_1", "AlarmTopic", "default", "not encrypted")
WAIVER = Waiver("CKV_1", "*Topic", "default", "because")


def test_a_finding_needs_a_waiver_of_its_rule_its_resource_and_its_variant() -> None:
    assert waivers.unexplained([FINDING], [WAIVER]) == []
    for other in (
        Waiver("CKV_2", "*", "default", "because"),
        Waiver("CKV_1", "*Queue", "default", "because"),
        Waiver("CKV_1", "*", "hardened", "because"),
    ):
        assert waivers.unexplained([FINDING], [other]) == [FINDING]


def test_a_waiver_that_nothing_needs_is_told() -> None:
    assert waivers.idle([FINDING], [WAIVER]) == []
    assert waivers.idle([], [WAIVER]) == [WAIVER]


@pytest.mark.parametrize(
    "text",
    [
        "- {rule: CKV_1, resources: [A]}",
        "- {rule: CKV_1, resources: [A], reason: ' '}",
        "- {rule: CKV_1, resources: [A], reason: because, variant: default}",
        "- {rule: CKV_1, resources: [A], reason: because, variants: [nowhere]}",
    ],
)
def test_a_waiver_has_a_reason_and_no_slip_of_the_pen(tmp_path: Path, text: str) -> None:
    (tmp_path / "waivers.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"CKV_1|variant"):
        waivers.read(tmp_path / "waivers.yaml")


def test_every_waiver_in_use_has_a_reason() -> None:
    assert all(len(each.reason.split()) > 4 for each in waivers.read())


def test_the_scanners_see_both_variants_whole(tmp_path: Path) -> None:
    """A variant that lost its parameters would make every waiver of the other look right."""
    default, hardened = (path.read_text() for path in template.write(tmp_path))
    assert "arn:aws:kms" not in default
    assert "subnet-" not in default
    assert all(
        value.split(",")[0] in hardened
        for value in template.PARAMETERS["hardened"].values()
        if value not in {"on", "true"}
    )
