"""A tag is released if all that names a version names its version; what it is made of is the same each time."""

import hashlib
import shutil
import zipfile
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

from local import release
from local.places import ROOT
from local.release import ReleaseError

TOLD = "- Rings.\n\n  **Migration:** none."
CHANGELOG = "# Changelog\n\n## {first}\n\n" + TOLD + "\n\n## 0.0.9, 2026-01-31\n\n- Older.\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What names a version, of a release that can be cut: 0.1.0."""
    members = [path.parent for path in ROOT.glob("*/pyproject.toml")] + [ROOT / "layers" / "gateway"]
    for path in ["pyproject.toml", "template.yaml", *(f"{each.relative_to(ROOT)}/pyproject.toml" for each in members)]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG.format(first=f"{VERSION}, 2026-11-30"))
    monkeypatch.setattr(release, "ROOT", tmp_path)
    return tmp_path


VERSION = release.check(None)
"""Of this checkout; that this line raises nothing says that all its places agree."""


def test_a_tag_of_the_version_is_released(checkout: Path) -> None:
    assert release.check(f"v{VERSION}") == VERSION
    assert {"pyproject.toml", "voice-gateway", "voice-gateway-cli", "template.yaml", "CHANGELOG.md"} <= set(
        release.versions()
    )


@pytest.mark.parametrize("tag", [VERSION, f"v{VERSION}.0", f"v{VERSION}-rc1", "v9.9.9", "", "v"])
def test_another_tag_is_not(checkout: Path, tag: str) -> None:
    with pytest.raises(ReleaseError, match="the tag is"):
        release.check(tag)


@pytest.mark.parametrize(
    "path", ["pyproject.toml", "cli/pyproject.toml", "layers/gateway/pyproject.toml", "template.yaml", "CHANGELOG.md"]
)
def test_one_place_that_names_another_version_is_told(checkout: Path, path: str) -> None:
    text = (checkout / path).read_text()
    (checkout / path).write_text(text.replace(VERSION, "9.9.9", 1))
    with pytest.raises(ReleaseError, match=r"not one version: .*9\.9\.9"):
        release.check(f"v{VERSION}")


@pytest.mark.parametrize("when", ["unreleased", "2026-13-01"])
def test_what_has_no_date_is_not_released(checkout: Path, when: str) -> None:
    (checkout / "CHANGELOG.md").write_text(CHANGELOG.format(first=f"{VERSION}, {when}"))
    with pytest.raises(ReleaseError, match="no date"):
        release.check(f"v{VERSION}")
    assert release.check(None) == VERSION


@pytest.mark.parametrize("first", [VERSION, f"v{VERSION}, unreleased soon", "Unreleased"])
def test_another_heading_is_told(checkout: Path, first: str) -> None:
    (checkout / "CHANGELOG.md").write_text(CHANGELOG.format(first=first))
    with pytest.raises(ReleaseError):
        release.check(f"v{VERSION}")


def test_the_notes_are_the_first_section(checkout: Path) -> None:
    assert release.notes() == TOLD + "\n"


def test_the_notes_of_this_checkout_are_not_empty() -> None:
    assert len(release.notes()) > 200


def test_what_is_built_is_packed_with_all_that_a_deployment_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes each time; the template names nothing outside of its folder."""
    built = tmp_path / "project" / ".aws-sam" / "build"
    (built / "SendFunction").mkdir(parents=True)
    (built / "SendFunction" / "app.py").write_text("handler = None\n")
    (built / "bom.json").write_text("{}")
    template = (ROOT / "template.yaml").read_text()
    for name in ("LICENSE", "README.md"):
        template = template.replace(f"Url: {name}\n", f"Url: ../../{name}\n")
    (built / "template.yaml").write_text(template)
    monkeypatch.setattr(release, "BUILT", built)
    monkeypatch.setattr(release, "DIST", tmp_path / "dist")
    monkeypatch.setattr(release, "_wheel", lambda package: (tmp_path / "dist" / f"{package}.whl").write_text(package))
    files = release.dist()
    first = {path.name: path.read_bytes() for path in files}
    (built / "SendFunction" / "app.py").touch()
    assert {path.name: path.read_bytes() for path in release.dist()} == first
    sums = {line[66:]: line[:64] for line in first["SHA256SUMS"].decode().splitlines()}
    assert sums == {name: hashlib.sha256(held).hexdigest() for name, held in first.items() if name != "SHA256SUMS"}
    assert set(sums) == {f"{name}.whl" for name in release.packages()} | {
        f"voice-gateway-{VERSION}.bom.json",
        f"voice-gateway-{VERSION}.zip",
    }
    with zipfile.ZipFile(tmp_path / "dist" / f"voice-gateway-{VERSION}.zip") as archive:
        archive.extractall(tmp_path)
    unpacked = tmp_path / f"voice-gateway-{VERSION}"
    assert {each.name for each in unpacked.iterdir()} == {
        "LICENSE",
        "README.md",
        "SendFunction",
        "bom.json",
        "template.yaml",
    }
    packed = yaml_parse((unpacked / "template.yaml").read_text())
    sar = packed["Metadata"]["AWS::ServerlessRepo::Application"]
    assert (sar["LicenseUrl"], sar["ReadmeUrl"]) == ("LICENSE", "README.md")
    assert packed["Globals"]["Function"]["Environment"]["Variables"]["RELEASE"] == VERSION


def test_the_repository_of_applications_gets_what_it_asks_for() -> None:
    sar = yaml_parse((ROOT / "template.yaml").read_text())["Metadata"]["AWS::ServerlessRepo::Application"]
    assert sar["SpdxLicenseId"] == "MIT"
    assert all((ROOT / sar[key]).is_file() for key in ("LicenseUrl", "ReadmeUrl"))
    assert len(sar["Description"]) <= 256
    assert len(sar["Labels"]) <= 10


def test_the_workflow_releases_only_what_was_checked_and_tested() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    steps = ['local.release check "$GITHUB_REF_NAME"', "make check", "make test", "make dist", "gh release create"]
    assert [text.index(step) for step in steps] == sorted(text.index(step) for step in steps)
