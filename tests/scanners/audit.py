"""pip-audit over everything that is pinned.

A package that the database did not answer for is no finding to pip-audit: where it reached nothing at all, it says "no
known vulnerabilities" and ends with 0. Here that is a failure of its own.
"""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from local.places import ROOT, environment, tool
from tests.scanners.environment import scanner

SHIPPED = "layers/dependencies/requirements.txt"
TOOLS = ("local/requirements.txt", "tests/scanners/requirements.txt")
DEVELOPMENT = "uv.lock"

UNREACHED = 2

Report = list[dict[str, Any]]


def development(folder: Path) -> Path:
    """What uv.lock pins, as requirements."""
    path = folder / "development.txt"
    command = [tool("uv"), "--quiet", "export", "--frozen", "--all-groups", "--no-emit-workspace"]
    subprocess.run(
        [*command, "--output-file", str(path)], cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, check=True
    )
    return path


def audited(path: Path) -> tuple[Report | None, str]:
    """What pip-audit reports, and what it says; no report where it could not."""
    command = [scanner("pip-audit"), "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
    done = subprocess.run(
        [*command, "--format", "json", "--requirement", str(path)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        report: Report = json.loads(done.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        last = done.stderr.strip().splitlines()[-1:] or [f"pip-audit ended with {done.returncode}"]
        return None, last[0]
    return report, ""


def judged(name: str, report: Report | None, said: str, *, ships: bool) -> tuple[int, list[str]]:
    """The exit status, and what to print."""
    if not report:
        return UNREACHED, [f"{name}: NOT AUDITED, the vulnerability database could not be reached: {said}"]
    skipped = [each for each in report if "skip_reason" in each]
    if skipped:
        missed = f"the vulnerability database did not answer for {len(skipped)} of {len(report)} packages"
        return UNREACHED, [f"{name}: NOT AUDITED, {missed} ({skipped[0]['skip_reason']})"]
    lines = [
        f"{name}: {each['name']} {each['version']}: {known['id']}, mended in {', '.join(known['fix_versions'])}"
        for each in report
        for known in each["vulns"]
    ]
    summary = f"{name}: {len(report)} packages audited, {len(lines)} known vulnerabilities"
    # A tool that never leaves the developer's machine is told, and does not hold up what is shipped.
    return int(bool(lines) and ships), [*lines, summary]


def audit() -> int:
    """Prints what is known; 1 for a vulnerability in what is shipped, 2 where nobody could say."""
    worst = 0
    with tempfile.TemporaryDirectory() as folder:
        files = {SHIPPED: ROOT / SHIPPED, DEVELOPMENT: development(Path(folder))}
        for name, path in (files | {name: ROOT / name for name in TOOLS}).items():
            status, lines = judged(name, *audited(path), ships=name == SHIPPED)
            print("\n".join(lines))
            worst = max(worst, status)
    return worst
