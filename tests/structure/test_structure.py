"""The walls that import-linter cannot see, and that the figures of the package's structure can fail."""

import ast
from pathlib import Path

import pytest

from tests.structure.figures import PACKAGE, ROOT, circle, figures, typed

STORIES = {"sending", "receipts", "sweeping", "credit", "results"}
"""The rooms that do something; the others are what they stand on."""
HANDLERS = sorted((ROOT / "functions").glob("*/app.py"))


def imported_rooms(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {module.split(".")[1] for module in modules if module.startswith("voice_gateway.")}


@pytest.mark.parametrize("handler", HANDLERS, ids=lambda path: path.parent.name)
def test_a_handler_has_one_rooms_story(handler: Path) -> None:
    assert len(imported_rooms(handler) & STORIES) == 1
    assert imported_rooms(handler) <= STORIES | {"platform", "storage", "vendors"}
    assert 10 <= len(handler.read_text().splitlines()) <= 30


def test_every_room_says_what_happens_there_and_where_to_begin() -> None:
    rooms = list(PACKAGE.glob("*/__init__.py"))
    assert {room.parent.name for room in rooms} == STORIES | {"model", "platform", "storage", "vendors"}
    for room in rooms:
        text = " ".join((ast.get_docstring(ast.parse(room.read_text())) or "").split())
        begin = text.partition("Begin with ``")[2].partition("``")[0]
        assert (room.parent / begin).is_file(), f"{room.parent.name}: where to begin"
        assert "mports" in text, f"{room.parent.name}: what it may import"


def test_a_package_that_is_no_house_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("from house.two import f\n" + "def g(a): pass\n" + "x = 1\n" * 320)
    (tmp_path / "two.py").write_text("from house.one import g\ndef f() -> None:\n" + "    x = 1\n" * 40)
    (tmp_path / "three.py").write_text("")
    (tmp_path / "four.py").write_text("")
    house = tmp_path.rename(tmp_path.parent / "house")
    out = {figure.what for figure in figures(house) if not figure.within}
    assert out == {figure.what for figure in figures(house) if figure.bound}


def test_a_circle_is_told_from_a_chain() -> None:
    assert circle({"a": ["b"], "b": ["c", "x"], "c": []}) == []
    assert circle({"a": ["b"], "b": ["c"], "c": ["b"]}) == ["b", "c", "b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f(self, a: int, *b: int, **c: int) -> None: ...", True),
        ("def f(a: int): ...", False),
        ("def f(a) -> None: ...", False),
        ("def f(*a) -> None: ...", False),
    ],
)
def test_what_counts_as_typed(text: str, expected: bool) -> None:
    (node,) = ast.parse(text).body
    assert isinstance(node, ast.FunctionDef)
    assert typed(node) is expected
