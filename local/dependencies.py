"""What is shipped in the dependencies layer: a list with licences for readers, a bill of materials for machines.

python -m local.dependencies list           writes docs/dependencies.md, from the lock
python -m local.dependencies bom FOLDER     writes bom.json into a folder that `sam build` made; fails if it differs
"""

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

from local.places import ROOT, environment, tool

LIST = ROOT / "docs" / "dependencies.md"
BOM = "bom.json"
LAYER = Path("DependenciesLayer") / "python"

# Of packages whose metadata has no SPDX expression, or one that their licence file contradicts.
SPDX = {
    "aws-lambda-powertools": "MIT-0",  # the file says so, the metadata MIT
    "defusedxml": "PSF-2.0",  # PSFL
    "python-dateutil": "BSD-3-Clause",  # for all of it; what was added since 2017 is under Apache-2.0 as well
    "s3transfer": "Apache-2.0",  # Apache License 2.0
}
KNOWN = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}
"""None asks for more than that its text is passed on, which the layer does, and (MPL) that changes are published."""


HEAD = """\
# What is shipped

The dependencies layer holds these packages, pinned with hashes in `layers/dependencies/requirements.txt`, each with its
licence text beside it. The gateway itself is under MIT. `make deps` writes this page; `make build` writes the same with
hashes as a CycloneDX bill of materials, `.aws-sam/build/bom.json`.

The layer is pruned (`layers/dependencies/prune.py`), and the bill says so of each package: of botocore's services only
the operations that the template's roles allow, of Powertools what is imported, of the others no command lines and
nothing for other platforms; of all of them bytecode, without sources and docstrings. A scanner finds them by their
metadata.

| package | version | licence |
|---|---|---|
"""


PRUNED = {
    "name": "voice-gateway:pruned",
    "value": "bytecode of what the gateway uses, and licence and metadata: layers/dependencies/prune.py",
}
"""What the bill of materials says of each package: its files are not those of the wheel, whose hash it gives."""


class DependencyError(Exception):
    """What is shipped cannot be described; the text says why."""


@dataclass(frozen=True, order=True)
class Package:
    name: str
    version: str


def locked() -> dict[str, Any]:
    """What uv.lock holds for the layer, as CycloneDX."""
    command = [tool("uv"), "--quiet", "export", "--frozen", "--package", "voice-gateway", "--no-dev"]
    done = subprocess.run(
        [*command, "--no-emit-workspace", "--format", "cyclonedx1.5"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    exported: dict[str, Any] = json.loads(done.stdout)
    return exported


def packages(bom: Mapping[str, Any]) -> set[Package]:
    return {Package(_canonical(each["name"]), each["version"]) for each in bom["components"]}


def built(folder: Path) -> dict[Package, Message]:
    """What the built layer holds, with its metadata."""
    found = {}
    for path in (folder / LAYER).glob("*.dist-info/METADATA"):
        read = HeaderParser().parsestr(path.read_text())
        found[Package(_canonical(read["Name"]), read["Version"])] = read
    return found


def licence(name: str, read: Message) -> str:
    """As an SPDX expression. Raises DependencyError for one that nobody has looked at."""
    spdx = SPDX.get(name) or read.get("License-Expression") or read.get("License") or "none"
    if spdx not in KNOWN:
        raise DependencyError(f"{name} is under {spdx!r}: look at it, and add it to {Path(__file__).name}")
    return spdx


def listing() -> str:
    """docs/dependencies.md as it should be."""
    rows = []
    for package in sorted(packages(locked())):
        try:
            read = HeaderParser().parsestr(distribution(package.name).read_text("METADATA") or "")
        except PackageNotFoundError:
            raise DependencyError(f"{package.name} is not installed: run `make setup`") from None
        if read["Version"] != package.version:
            raise DependencyError(f"{package.name} {read['Version']} is installed: run `make setup`")
        spdx = licence(package.name, read)
        link = f"[{package.name}](https://pypi.org/project/{package.name}/{package.version}/)"
        rows.append(f"| {link} | {package.version} | {spdx} |")
    return HEAD + "\n".join(rows) + "\n"


def write_bom(folder: Path) -> Path:
    """Raises DependencyError if the layer holds anything else than what is locked."""
    bom, held = locked(), built(folder)
    if packages(bom) != set(held):
        raise DependencyError(f"the layer is not what is locked: {_names(packages(bom) ^ set(held))}")
    root = f"voice-gateway@{version('voice-gateway')}"
    for component in bom["components"]:
        package = Package(_canonical(component["name"]), component["version"])
        component["licenses"] = [{"license": {"id": licence(package.name, held[package])}}]
        component["properties"] = [PRUNED]  # and not uv's own, of the lock
    bom["metadata"]["component"] = {
        "type": "application",
        "bom-ref": root,
        "name": "voice-gateway",
        "version": version("voice-gateway"),
        "licenses": [{"license": {"id": "MIT"}}],
    }
    components = {each["bom-ref"] for each in bom["components"]}
    below = [each for each in bom["dependencies"] if each["ref"] in components]
    reached = {ref for each in below for ref in each.get("dependsOn", [])}
    bom["dependencies"] = [{"ref": root, "dependsOn": sorted(components - reached)}, *below]
    # The same build gives the same bill.
    del bom["metadata"]["timestamp"]
    del bom["serialNumber"]
    bom["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bom, sort_keys=True)).urn
    path = folder / BOM
    path.write_text(json.dumps(bom, indent=2, ensure_ascii=False) + "\n")
    return path


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _names(found: Iterable[Package]) -> str:
    return ", ".join(f"{each.name} {each.version}" for each in sorted(found))


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["list"]:
                LIST.write_text(listing())
            case ["bom", folder]:
                print(f"bill of materials: {write_bom(Path(folder))}")
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except DependencyError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
