"""What is shipped is what was pinned, is known by its licence, and is listed for people and for machines."""

import json
import os
import re
import shutil
import subprocess
import tomllib
import zipfile
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from local import dependencies
from local.dependencies import DependencyError, Package
from local.places import ROOT, environment

PINNED = [
    "layers/dependencies/requirements.txt",
    "local/bootstrap.txt",
    "local/requirements.txt",
    "tests/scanners/requirements.txt",
]
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")


def requirements(text: str) -> dict[Package, int]:
    """What is required → how many hashes it has."""
    found = {}
    for entry in text.replace("\\\n", " ").splitlines():
        requirement = entry.split("#")[0].strip()
        if requirement:
            name, version = requirement.split()[0].split("==")
            found[Package(name, version)] = len(HASH.findall(requirement))
    return found


# Pinned, with hashes, from PyPI.


@pytest.mark.parametrize("path", PINNED)
def test_every_requirement_is_pinned_with_a_hash(path: str) -> None:
    found = requirements((ROOT / path).read_text())
    assert found
    assert [package for package, hashes in found.items() if not hashes] == []


def test_every_file_that_pins_is_looked_at() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*requirements*.txt", "*bootstrap*.txt"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(listed.stdout.split()) == PINNED


def test_the_lock_has_a_hash_for_every_file_and_only_files_of_pypi() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    for package in lock["package"]:
        if "registry" not in package["source"]:
            assert package["name"].startswith("voice-gateway"), package["name"]
            continue
        assert package["source"]["registry"] == "https://pypi.org/simple"
        files = [*package.get("wheels", []), *filter(None, [package.get("sdist")])]
        assert files, package["name"]
        for file in files:
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", file["hash"]), package["name"]
            assert file["url"].startswith("https://files.pythonhosted.org/"), package["name"]


@pytest.mark.parametrize("path", PINNED)
def test_no_file_that_pins_names_another_index(path: str) -> None:
    assert not re.search(r"index-url|find-links|trusted-host|://", (ROOT / path).read_text())


def test_the_layer_is_made_of_what_is_locked() -> None:
    found = requirements((ROOT / "layers/dependencies/requirements.txt").read_text())
    assert set(found) == dependencies.packages(dependencies.locked())


@pytest.mark.parametrize(
    ("pin", "said"),
    [("small==1.0", "Hashes are required"), (f"small==1.0 --hash=sha256:{'0' * 64}", "DO NOT MATCH THE HASHES")],
    ids=["no hash", "another hash"],
)
def test_a_layer_is_not_built_of_what_has_not_its_hash(tmp_path: Path, pin: str, said: str) -> None:
    shelf, folder = tmp_path / "shelf", tmp_path / "dependencies"
    shelf.mkdir()
    with zipfile.ZipFile(shelf / "small-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("small.py", "")
        wheel.writestr("small-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: small\nVersion: 1.0\n")
        wheel.writestr("small-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("small-1.0.dist-info/RECORD", "")
    shutil.copytree(ROOT / "layers" / "dependencies", folder)
    (folder / "requirements.txt").write_text(f"{pin}\n")
    done = subprocess.run(
        ["make", "-C", str(folder), "build-DependenciesLayer", f"ARTIFACTS_DIR={tmp_path / 'out'}"],
        env=environment(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(shelf)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert said in done.stderr, done.stderr


def test_nothing_is_installed_without_hashes() -> None:
    """`uv sync` takes them from the lock; whatever else installs says that it wants them, or is a caller's trial."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    installing = re.compile(r'\bpip"?,? "?(?:install|sync)\b')
    for name in listed:
        path = ROOT / name
        trial = name.startswith(("tests/packaging/", "tests/e2e/test_client.py"))
        if path.suffix in {".py", ".yml", ".toml", ""} and not trial and path.is_file():
            text = path.read_text(errors="ignore").replace("\\\n", " ")
            for line in filter(installing.search, text.splitlines()):
                assert "--require-hashes" in line, f"{name}: {line.strip()}"


def test_setup_installs_the_uv_that_the_project_requires() -> None:
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["required-version"]
    assert set(requirements((ROOT / "local/bootstrap.txt").read_text())) == {Package("uv", required.removeprefix("=="))}


# Licences.


def test_the_list_of_licences_is_that_of_the_lock() -> None:
    assert dependencies.LIST.read_text() == dependencies.listing(), "run `make deps`"


def test_a_licence_that_nobody_looked_at_is_not_listed() -> None:
    read = Message()
    read["License-Expression"] = "AGPL-3.0-only"
    with pytest.raises(DependencyError, match="AGPL"):
        dependencies.licence("new", read)
    with pytest.raises(DependencyError, match="none"):
        dependencies.licence("new", Message())


def test_each_package_is_shipped_with_the_text_of_its_licence(built: Path) -> None:
    folders = list((built / dependencies.LAYER).glob("*.dist-info"))
    assert folders
    for folder in folders:
        names = {each.name.upper() for each in folder.rglob("*") if each.is_file()}
        assert any(name.startswith(("LICENSE", "COPYING")) for name in names), folder.name


# The bill of materials.


def test_the_bill_lists_what_the_built_layer_holds(built: Path) -> None:
    bom: dict[str, Any] = json.loads(dependencies.write_bom(built).read_text())
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.5")
    assert dependencies.packages(bom) == set(dependencies.built(built))
    assert bom["metadata"]["component"]["name"] == "voice-gateway"
    for component in bom["components"]:
        assert component["purl"] == f"pkg:pypi/{component['name']}@{component['version']}"
        assert component["licenses"]
        assert all(each["hashes"] for each in component["externalReferences"])
        assert "prune.py" in component["properties"][0]["value"]  # its files are not those of the wheel
    known = {each["bom-ref"] for each in [bom["metadata"]["component"], *bom["components"]]}
    assert {each["ref"] for each in bom["dependencies"]} == known


def test_the_same_build_has_the_same_bill(built: Path) -> None:
    first = dependencies.write_bom(built).read_bytes()
    assert dependencies.write_bom(built).read_bytes() == first


@pytest.mark.parametrize("change", ["missing", "more", "other"])
def test_no_bill_is_written_for_another_layer(built: Path, tmp_path: Path, change: str) -> None:
    layer = tmp_path / dependencies.LAYER
    layer.mkdir(parents=True)
    for folder in (built / dependencies.LAYER).glob("*.dist-info"):
        shutil.copytree(folder, layer / folder.name)
    six = next(layer.glob("six-*.dist-info"))
    if change == "missing":
        shutil.rmtree(six)
    elif change == "more":
        (layer / "extra-1.0.dist-info").mkdir()
        (layer / "extra-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n")
    else:
        metadata = six / "METADATA"
        metadata.write_text(re.sub(r"^Version: .*$", "Version: 1.0", metadata.read_text(), flags=re.MULTILINE))
    with pytest.raises(DependencyError, match=r"six|extra"):
        dependencies.write_bom(tmp_path)
    assert not (tmp_path / dependencies.BOM).exists()


def test_make_build_writes_the_bill() -> None:
    planned = subprocess.run(
        ["make", "--dry-run", "--always-make", "build"],
        cwd=ROOT,
        env={**os.environ, "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    sam, bom = planned.index("sam build"), planned.index("local.dependencies bom .aws-sam/build")
    assert sam < bom
