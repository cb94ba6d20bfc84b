"""Every alarm of the template has its runbook, and every runbook an alarm."""

import re

from tests.found import TITLES
from tests.template.test_translated_template import Resources, of_type
from tests.template.translation import ROOT

NO_ALARM_OF_CLOUDWATCH = {"Before you begin", "Low credit"}


def page(alarm: str) -> str:
    """Where an alarm's runbook is: a vendor's callbacks have a page of their own."""
    vendor = next((name for name, title in TITLES.items() if title in alarm), None)
    return f"docs/runbooks/{vendor}.md" if vendor else "docs/runbooks.md"


def sections() -> dict[tuple[str, str], str]:
    """Page and heading → text."""
    found: dict[tuple[str, str], str] = {}
    for path in [ROOT / "docs" / "runbooks.md", *sorted((ROOT / "docs" / "runbooks").glob("*.md"))]:
        parts = re.split(r"^## (.+)$", path.read_text(), flags=re.MULTILINE)
        headings = zip(parts[1::2], parts[2::2], strict=True)
        found |= {(str(path.relative_to(ROOT)), heading): text for heading, text in headings}
    return found


def test_every_alarm_has_a_runbook(resources: Resources) -> None:
    found = {(where, name) for where, name in sections() if name not in NO_ALARM_OF_CLOUDWATCH}
    assert found == {(page(name), name) for name in of_type(resources, "AWS::CloudWatch::Alarm")}


def test_a_runbook_says_what_it_means_what_callers_see_and_where_to_look(resources: Resources) -> None:
    for name in of_type(resources, "AWS::CloudWatch::Alarm"):
        text = sections()[page(name), name]
        assert "**It says:**" in text, name
        assert "**Callers see:**" in text or "the same" in text, name
        assert re.search(r"\*\*Look|\*\*Do", text), name


def test_an_alarm_says_where_its_runbook_is(resources: Resources) -> None:
    for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm").items():
        assert f"{page(name)}#{name.lower()})" in alarm["Properties"]["AlarmDescription"], name
