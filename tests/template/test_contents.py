"""docs/README.md lists every page once, with the question that it answers; the site's navigation is made of it."""

import re
from pathlib import Path

import yaml

from tests.template.translation import ROOT

DOCS = ROOT / "docs"


def linked(page: Path) -> list[Path]:
    return [(page.parent / each).resolve() for each in re.findall(r"\]\(([^)#\s]+\.md)\)", page.read_text())]


def test_every_page_is_in_the_contents_once() -> None:
    contents = linked(DOCS / "README.md")
    assert len(contents) == len(set(contents))
    for path in set(DOCS.rglob("*.md")) - {DOCS / "README.md"}:
        # A folder's README lists what is beside it.
        assert path in contents or path in linked(path.parent / "README.md"), path.name


def test_each_line_of_the_contents_is_a_page_and_its_question() -> None:
    lines = (DOCS / "README.md").read_text().partition("\n## ")[2].splitlines()[1:]
    for line in filter(None, lines):
        assert re.fullmatch(r"## .+|- \[[^\]]+\]\(\S+\.md\)[:：]? ?.+[?？]", line), line


def test_the_site_takes_its_navigation_from_the_contents_and_excuses_no_other_page() -> None:
    text = re.sub(r"!!python\S+", "", (ROOT / "mkdocs.yml").read_text())
    site = yaml.safe_load(text)
    assert "nav" not in site
    assert site["strict"]
    assert "not_in_nav" not in site


def test_rolling_back_names_every_function() -> None:
    loop = re.search(r"^ +for f in (.+); do$", (DOCS / "upgrading.md").read_text(), re.MULTILINE)
    assert loop
    assert set(loop[1].split()) == {path.parent.name.replace("_", "-") for path in ROOT.glob("functions/*/app.py")}
