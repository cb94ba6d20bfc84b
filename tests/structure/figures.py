"""How the package is built, in figures: what keeps it a house that somebody new can find their way in."""

import ast
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers" / "gateway" / "src" / "voice_gateway"

COMMAND = ROOT / "cli" / "src" / "voice_gateway_cli"

MOST_FLAT = 3
"""Modules beside the rooms, ``__init__.py`` not counted."""
LEAST_ROOMS = 6
LONGEST_MODULE = 320
LONGEST_FUNCTION = 40
LONGEST_NINE_TENTHS = 20
"""Lines of the function that nine of ten are no longer than."""


@dataclass(frozen=True)
class Figure:
    """One measure, and whether it is within its bound."""

    what: str
    value: str
    bound: str
    within: bool


def figures(package: Path = PACKAGE) -> Iterator[Figure]:
    """All of them, for a package."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(package.rglob("*.py"))}
    flat = [path.stem for path in package.glob("*.py") if path.stem != "__init__"]
    yield Figure("modules beside the rooms", _named(len(flat), flat), f"≤ {MOST_FLAT}", len(flat) <= MOST_FLAT)
    rooms = [path.parent.name for path in package.glob("*/__init__.py")]
    yield Figure("rooms", _named(len(rooms), rooms), f"≥ {LEAST_ROOMS}", len(rooms) >= LEAST_ROOMS)
    lines, module = max((len(path.read_text(encoding="utf-8").splitlines()), path) for path in trees)
    name = str(module.relative_to(package))
    yield Figure("lines of the longest module", _named(lines, [name]), f"≤ {LONGEST_MODULE}", lines <= LONGEST_MODULE)
    yield from _functions(trees)
    ring = circle({_dotted(path, package): _imported(tree) for path, tree in trees.items()})
    yield Figure("circle of imports", " → ".join(ring) or "none", "none", not ring)


def _functions(trees: dict[Path, ast.Module]) -> Iterator[Figure]:
    found = sorted((_lines(node), node.name) for tree in trees.values() for node in _definitions(tree))
    lengths = [length for length, _ in found]
    tenth = lengths[int(len(lengths) * 0.9)]
    yield Figure(
        "functions, and their median of lines", f"{len(found)}, {statistics.median(lengths):g}", "", within=True
    )
    yield Figure("lines that nine of ten keep", str(tenth), f"≤ {LONGEST_NINE_TENTHS}", tenth <= LONGEST_NINE_TENTHS)
    length, name = found[-1]
    bound = f"≤ {LONGEST_FUNCTION}"
    yield Figure("lines of the longest function", _named(length, [name]), bound, length <= LONGEST_FUNCTION)
    untyped = [node.name for tree in trees.values() for node in _definitions(tree) if not typed(node)]
    share = 100 - 100 * len(untyped) / len(found)
    yield Figure("functions typed throughout", _named(f"{share:.1f} %", untyped), "100 %", not untyped)


def _definitions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def typed(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether every parameter but ``self`` and ``cls``, and the result, has a type."""
    given = node.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    named = [each for each in every if each and each.arg not in {"self", "cls"}]
    return node.returns is not None and all(each.annotation for each in named)


def _dotted(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(tree: ast.Module) -> list[str]:
    """What a module imports: of ``from a import b`` both a and a.b, for either may be the module."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{each.name}" for each in node.names]
            names += [*inner, node.module]
    return names


def circle(imports: dict[str, list[str]]) -> list[str]:
    """Modules that import each other in a circle; empty where none do."""
    done: set[str] = set()

    def follow(module: str, way: list[str]) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return []
        for name in imports[module]:
            if name in imports and name != module and (found := follow(name, [*way, module])):
                return found
        done.add(module)
        return []

    return next((found for module in imports if (found := follow(module, []))), [])


def _named(value: object, names: list[str]) -> str:
    return f"{value} ({', '.join(names[:12])})" if names else str(value)
