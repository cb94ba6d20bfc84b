"""An audit that audited nothing is not a good one."""

from typing import Any

import pytest

from tests.scanners.audit import UNREACHED, judged

GOOD: dict[str, Any] = {"name": "requests", "version": "2.0", "vulns": []}
BAD = GOOD | {"vulns": [{"id": "PYSEC-0000-1", "fix_versions": ["2.1"]}]}
SKIPPED: dict[str, Any] = {"name": "requests", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.mark.parametrize(
    ("report", "status", "text"),
    [
        ([GOOD], 0, "1 packages audited, 0 known"),
        ([GOOD, BAD], 1, "requests 2.0: PYSEC-0000-1, mended in 2.1"),
        ([SKIPPED], UNREACHED, "did not answer for 1 of 1 packages"),
        ([GOOD, SKIPPED], UNREACHED, "did not answer for 1 of 2 packages"),
        ([BAD, SKIPPED], UNREACHED, "NOT AUDITED"),
        ([], UNREACHED, "could not be reached: no route"),
        (None, UNREACHED, "could not be reached: no route"),
    ],
)
def test_an_audit_is_good_only_if_every_package_was_answered_for(
    report: list[dict[str, Any]] | None, status: int, text: str
) -> None:
    found, lines = judged("what is shipped", report, "no route", ships=True)
    assert found == status
    assert text in "\n".join(lines)


def test_a_vulnerability_in_a_tool_is_told_and_holds_nothing_up() -> None:
    status, lines = judged("tools", [BAD], "", ships=False)
    assert status == 0
    assert "PYSEC-0000-1" in lines[0]
