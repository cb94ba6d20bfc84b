"""Every alarm of the template, and every answer of `why`, has its runbook; and every runbook one of them."""

import re
from pathlib import Path

import pytest
from voice_gateway_cli.why.causes import CAUSES

from tests.found import VENDORS
from tests.template.test_translated_template import Resources, of_type
from tests.template.translation import ROOT

RUNBOOKS = ROOT / "docs" / "runbooks"
PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.name != "README.md")
HEADINGS = ["What you see", "What it means", "What to do"]
DOCS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/*/*.md")]
DOCS += [ROOT / part / "README.md" for part in ("client", "examples", "schemas")]


def page(alarm: str) -> str:
    """The page of an alarm: its logical id without its last word, in lower case."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", alarm.removesuffix("Alarm")).lower()


def named_by_why() -> set[str]:
    """The pages that `why` can name. One of a vendor's is there for each vendor that can have it."""
    plain = {cause.runbook for cause in CAUSES if "{" not in cause.runbook}
    formed = {cause.runbook.format(vendor=vendor) for cause in CAUSES if "{" in cause.runbook for vendor in VENDORS}
    return plain | {name for name in formed if (RUNBOOKS / f"{name}.md").exists()}


def test_every_alarm_and_every_answer_has_its_page_and_every_page_one_of_them(resources: Resources) -> None:
    alarms = {page(name) for name in of_type(resources, "AWS::CloudWatch::Alarm")}
    assert {path.stem for path in PAGES} == alarms | named_by_why()
    for cause in CAUSES:
        assert any((RUNBOOKS / f"{cause.runbook.format(vendor=vendor)}.md").exists() for vendor in VENDORS), cause.key


def test_an_alarm_says_where_its_runbook_is(resources: Resources) -> None:
    for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm").items():
        assert f"(docs/runbooks/{page(name)}.md)" in alarm["Properties"]["AlarmDescription"], name
        assert name in (RUNBOOKS / f"{page(name)}.md").read_text(), f"{page(name)} does not name {name}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_says_what_is_seen_what_it_means_and_what_to_do(path: Path) -> None:
    text = path.read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    assert re.search(r"^\*\*How soon:\*\* (now|today|some day|no hurry)", text, re.MULTILINE)
    assert all(part.strip() for part in re.split(r"^## .+$", text, flags=re.MULTILINE))
    assert f"]({path.name})" in (RUNBOOKS / "README.md").read_text(), "the index does not have it"


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_between_pages_leads_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), target


def anchors(path: Path) -> set[str]:
    """As GitHub names a page's headings."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-") for heading in headings}
