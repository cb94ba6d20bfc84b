"""Prunes the dependencies layer to what is used. Run by the Makefile beside it, after pip.

python prune.py SITE TEMPLATE SOURCE…

SITE is the folder into which pip installed. What is used is read and not listed: AWS's services and operations are
those that TEMPLATE's roles allow, Powertools' modules those that the Python files below the SOURCEs import. Every cold
start reads through what is left, which is a twentieth of what botocore describes.
"""

import ast
import gzip
import json
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_ACTION = re.compile(r"\b([a-z0-9-]+):([A-Z]\w+|\*)(?=[\s,\]\"']|$)")
_POWERTOOLS = "aws_lambda_powertools"
# What no request of the gateway's comes by. What is imported only where it is there, or when it is called.
_LEFT_OUT = (
    "bin",
    "boto3/data",  # of boto3's resources
    "boto3/examples",
    "*/__main__.py",
    "*/cli",
    "*/cli.py",
    "certifi/tests",
    # Compiled for one architecture: there are the same modules in Python, and no reply's charset is guessed at.
    "charset_normalizer/*.so",
    "*__mypyc*.so",
    # Calendars, and the time zones of machines that have none: the gateway's moments are in UTC.
    "dateutil/easter.py",
    "dateutil/rrule.py",
    "dateutil/tz/win.py",
    "dateutil/tzwin.py",
    "dateutil/utils.py",
    "dateutil/zoneinfo",
    *(
        f"defusedxml/{name}.py"
        for name in ("cElementTree", "expatbuilder", "expatreader", "lxml", "minidom", "pulldom", "sax", "xmlrpc")
    ),
    # A codec, an interface of old, and names of hosts beyond ASCII: settings take none.
    "idna/codec.py",
    "idna/compat.py",
    "idna/uts46data.py",
    "requests/help.py",  # says for a report of an error what is installed
    # Browsers, proxies, TLS other than Python's own, and HTTP/2, which needs a package that is not pinned.
    "urllib3/contrib/emscripten",
    "urllib3/contrib/pyopenssl.py",
    "urllib3/contrib/socks.py",
    "urllib3/http2/connection.py",
)
_KEPT_OF_METADATA = re.compile(r"METADATA|(LICEN[CS]E|NOTICE|COPYING|AUTHORS).*", re.IGNORECASE)


def main(site: Path, template: Path, sources: list[Path]) -> None:
    for pattern in _LEFT_OUT:
        for found in list(site.glob(pattern)):
            shutil.rmtree(found) if found.is_dir() else found.unlink()
    prune_metadata(site)
    prune_models(site / "botocore" / "data", actions(template.read_text(encoding="utf-8")))
    prune_package(site, _POWERTOOLS, sources)


def actions(template: str) -> dict[str, set[str]]:
    """What a template's roles allow, as IAM has it: service → actions. Raises ValueError for a wildcard."""
    found: dict[str, set[str]] = {}
    for service, action in _ACTION.findall(template):
        if action == "*":
            raise ValueError(f"{service}:*: name the actions, for the layer holds only what is named")
        found.setdefault(service, set()).add(action)
    return found


# botocore's description of AWS.


def prune_models(data: Path, allowed: dict[str, set[str]]) -> None:
    """Keeps of each service what is allowed. An action of IAM allows the operation for one and that for a batch."""
    kept: dict[str, str] = {}
    for folder in [each for each in data.iterdir() if each.is_dir()]:
        latest = max(folder.iterdir())
        model = _read(latest, "service-2")
        service = model["metadata"].get("signingName", model["metadata"]["endpointPrefix"])
        named = allowed.get(service, set())
        operations = named | {f"{name}Batch" for name in named}
        if not operations & set(model["operations"]):
            shutil.rmtree(folder)
            continue
        rules = _read(latest, "endpoint-rule-set-1")
        kept[folder.name] = model["metadata"]["endpointPrefix"]
        shutil.rmtree(folder)
        latest.mkdir(parents=True)
        _write(latest / "service-2.json", prune_model(model, operations))
        _write(latest / "endpoint-rule-set-1.json", rules)
    prune_endpoints(data / "endpoints.json", set(kept.values()))


def prune_model(model: dict[str, Any], operations: set[str]) -> dict[str, Any]:
    """A service's model with these operations only, what they are made of, and no documentation."""
    kept = {name: operation for name, operation in model["operations"].items() if name in operations}
    shapes: dict[str, Any] = {}
    waiting = list(_shapes_in(kept))
    while waiting:
        name = waiting.pop()
        if name not in shapes:
            shapes[name] = model["shapes"][name]
            waiting += _shapes_in(shapes[name])
    pruned: dict[str, Any] = _undocumented({**model, "operations": kept, "shapes": shapes})
    return pruned


def prune_endpoints(path: Path, prefixes: set[str]) -> None:
    """Keeps every partition, with its regions, and of its services these."""
    endpoints = json.loads(path.read_text(encoding="utf-8"))
    for partition in endpoints["partitions"]:
        partition["services"] = {name: each for name, each in partition["services"].items() if name in prefixes}
    _write(path, endpoints)


def _shapes_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("shape"), str):
            yield value["shape"]
        for inner in value.values():
            yield from _shapes_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _shapes_in(inner)


def _undocumented(value: Any, *, names: bool = False) -> Any:
    """``names``: the keys are names that the service gave, and not the model's own words."""
    if isinstance(value, dict):
        return {
            key: _undocumented(inner, names=not names and key in {"shapes", "operations", "members"})
            for key, inner in value.items()
            if names or key not in {"documentation", "documentationUrl", "examples"}
        }
    return [_undocumented(inner) for inner in value] if isinstance(value, list) else value


def _read(folder: Path, name: str) -> dict[str, Any]:
    packed = folder / f"{name}.json.gz"
    content = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / f"{name}.json").read_bytes()
    read: dict[str, Any] = json.loads(content)
    return read


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, separators=(",", ":"), ensure_ascii=False), encoding="utf-8")


# Packages.


def prune_metadata(site: Path) -> None:
    """Keeps of each package's metadata the licence, and what names it."""
    for folder in site.glob("*.dist-info"):
        for path in [each for each in folder.rglob("*") if each.is_file()]:
            if path.parent.name != "licenses" and not _KEPT_OF_METADATA.fullmatch(path.name):
                path.unlink()
        head, _, _ = (folder / "METADATA").read_text(encoding="utf-8").partition("\n\n")
        (folder / "METADATA").write_text(f"{head}\n\n", encoding="utf-8")


def prune_package(site: Path, package: str, sources: Iterable[Path]) -> None:
    """Keeps the modules of a package that the sources import, and those that these import as they are imported.

    What they import when called is for whom gives them objects of other packages, of Pydantic's for one.
    """
    kept: set[Path] = set()
    waiting = [name for source in sources for path in source.rglob("*.py") for name in _imports(path, "", called=True)]
    while waiting:
        name = waiting.pop()
        if name.split(".")[0] != package:
            continue
        parent = name.rpartition(".")[0]
        path = _module(site, name)
        if path is None or path in kept:
            continue
        kept.add(path)
        waiting += [*_imports(path, name if path.name == "__init__.py" else parent), *([parent] if parent else [])]
    for path in [each for each in (site / package).rglob("*") if each.is_file()]:
        if path not in kept:
            path.unlink()
    for path in sorted((site / package).rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _module(site: Path, name: str) -> Path | None:
    path = site.joinpath(*name.split("."))
    return next((each for each in (path / "__init__.py", path.with_suffix(".py")) if each.is_file()), None)


def _imports(path: Path, package: str, *, called: bool = False) -> Iterator[str]:
    """The modules that a file imports, but for types; those inside of functions only if they count as ``called``."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not called:
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            upwards = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*upwards, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(each) for each in sys.argv[3:]])
