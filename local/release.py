"""What a release is made of: one version everywhere, notes from the CHANGELOG, and files that anybody can build again.

python -m local.release check [TAG]   fails unless all that name a version name one, and the tag too, on a day
python -m local.release notes         prints what the CHANGELOG says of it
python -m local.release dist          fills dist/ from what `make build` left
"""

import datetime
import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

from local.deployment import carry_along
from local.places import ROOT, environment, tool

BUILT = ROOT / ".aws-sam" / "build"
DIST = ROOT / "dist"
HEADING = re.compile(r"^## (?P<version>\S+), (?P<when>unreleased|\d{4}-\d\d-\d\d)$", re.MULTILINE)
SUMS = "SHA256SUMS"


class ReleaseError(Exception):
    """There is nothing to release; the text says why."""


def packages() -> dict[str, str]:
    """The packages of the workspace → their versions."""
    workspace = _project("pyproject.toml")["tool"]["uv"]["workspace"]["members"]
    projects = [_project(f"{member}/pyproject.toml")["project"] for member in workspace]
    return {project["name"]: project["version"] for project in projects}


def versions() -> dict[str, str]:
    """Every place that names the version → what it names."""
    workspace = {"pyproject.toml": _project("pyproject.toml")["project"]["version"]}
    (template,) = re.findall(r"^    SemanticVersion: (\S+)$", (ROOT / "template.yaml").read_text(), re.MULTILINE)
    return workspace | packages() | {"template.yaml": template, "CHANGELOG.md": _latest()["version"]}


def check(tag: str | None) -> str:
    """The version that is released. Raises ReleaseError."""
    found = versions()
    if len(set(found.values())) > 1:
        raise ReleaseError("not one version: " + ", ".join(f"{place} {version}" for place, version in found.items()))
    (version,) = set(found.values())
    if tag is None:
        return version
    if tag != f"v{version}":
        raise ReleaseError(f"the tag is {tag}, and the version {version}")
    try:
        datetime.date.fromisoformat(_latest()["when"])
    except ValueError:
        raise ReleaseError(f"CHANGELOG.md gives no date of {version}: {_latest()['when']}") from None
    return version


def notes() -> str:
    """What the CHANGELOG says of its first version."""
    text = (ROOT / "CHANGELOG.md").read_text()
    first, *others = HEADING.finditer(text)
    return text[first.end() : others[0].start() if others else None].strip() + "\n"


def dist() -> list[Path]:
    """The files of a release: the same checkout gives the same bytes."""
    version = check(None)
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    for package in packages():
        _wheel(package)
    (DIST / ".gitignore").unlink(missing_ok=True)  # uv's
    shutil.copy(BUILT / "bom.json", DIST / f"voice-gateway-{version}.bom.json")
    _zip(DIST / f"voice-gateway-{version}.zip", f"voice-gateway-{version}", version)
    files = sorted(DIST.iterdir())
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (DIST / SUMS).write_text("".join(sums))
    return [*files, DIST / SUMS]


def _zip(path: Path, folder: str, version: str) -> None:
    """What `sam build` left, so that `sam deploy` in the unpacked folder needs no Python and no build."""
    staged = DIST / folder
    shutil.copytree(BUILT, staged)
    template = carry_along(staged / "template.yaml")
    template.write_text(re.sub(r"^( *RELEASE:).*", rf"\1 '{version}'", template.read_text(), flags=re.MULTILINE))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(each for each in staged.rglob("*") if each.is_file()):
            entry = zipfile.ZipInfo(f"{folder}/{file.relative_to(staged)}")  # of 1980, whenever it was built
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
    shutil.rmtree(staged)


def _wheel(package: str) -> None:
    """By the hatchling of uv.lock, which is checked by its hash: nothing is fetched for it."""
    command = [tool("uv"), "build", "--quiet", "--wheel", "--no-build-isolation", "--package", package]
    subprocess.run([*command, "--out-dir", str(DIST)], cwd=ROOT, env=environment(), check=True)


def _latest() -> dict[str, str]:
    found = HEADING.search((ROOT / "CHANGELOG.md").read_text())
    if found is None:
        raise ReleaseError("CHANGELOG.md has no heading like `## 1.2.3, unreleased` or `## 1.2.3, 2026-11-27`")
    return found.groupdict()


def _project(path: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / path).read_text())


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["check", *tag] if len(tag) < 2:
                print(f"version {check(tag[0] if tag else None)}")
            case ["notes"]:
                print(notes(), end="")
            case ["dist"]:
                for path in dist():
                    print(f"{path.stat().st_size:>9,}  {path.relative_to(ROOT)}")
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except ReleaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
