"""schemas/README.md lists each file and each difference, and no other."""

import re

from tests.schemas import differences, test_templates
from tests.schemas.held import SCHEMAS

PAGE = (SCHEMAS / "README.md").read_text(encoding="utf-8")
TAKEN_BY_THE_GATEWAY_ALONE = [
    "a colon after a name in a text",  # test_templates.py
]
BY_SETTING = ["a blank for the `T` of a moment"]  # test_schemas.py


def rows(heading: str) -> list[str]:
    """The first cells of the table under a heading."""
    table = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)[1:]


def test_every_file_is_listed() -> None:
    files = {path.name for path in SCHEMAS.iterdir()} - {"README.md"}
    assert {re.sub(r"\[(.+)\]\(\1\)", r"\1", row) for row in rows("What is here")} == files


def test_every_difference_is_listed() -> None:
    listed = rows("What a schema cannot say")
    assert listed == [
        *differences.REFUSED,
        *test_templates.REFUSED,
        *TAKEN_BY_THE_GATEWAY_ALONE,
        *BY_SETTING,
    ]
