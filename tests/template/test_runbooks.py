"""Every alarm of the template has its runbook, and every runbook an alarm."""

import re

from tests.template.test_translated_template import Resources, of_type
from tests.template.translation import ROOT

RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()
NO_ALARM_OF_CLOUDWATCH = {"Before you begin", "Low credit"}


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", RUNBOOKS, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_alarm_has_a_runbook(resources: Resources) -> None:
    assert set(sections()) - NO_ALARM_OF_CLOUDWATCH == set(of_type(resources, "AWS::CloudWatch::Alarm"))


def test_a_runbook_says_what_it_means_what_callers_see_and_where_to_look(resources: Resources) -> None:
    for name in of_type(resources, "AWS::CloudWatch::Alarm"):
        text = sections()[name]
        assert "**It says:**" in text, name
        assert "**Callers see:**" in text or "the same" in text, name
        assert re.search(r"\*\*Look|\*\*Do", text), name


def test_an_alarm_says_where_its_runbook_is(resources: Resources) -> None:
    for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm").items():
        assert f"docs/runbooks.md#{name.lower()})" in alarm["Properties"]["AlarmDescription"], name
