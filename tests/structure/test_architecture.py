"""docs/architecture.md says where things are, and which states follow which: it must stay true."""

import re

from tests.found import VENDORS
from tests.structure.figures import PACKAGE, ROOT

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


def test_every_module_is_named_beside_its_room() -> None:
    rows = dict(re.findall(r"^\| `(\w+)/` (\|.*)$", ARCHITECTURE, re.MULTILINE))
    assert set(rows) == {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    for module in PACKAGE.rglob("*.py"):
        room, *inside = module.relative_to(PACKAGE).parts
        if inside in ([f"{name}.py"] for name in VENDORS):
            continue  # found, and not listed
        if inside and module.stem != "__init__":
            assert f"`{'/'.join(inside)}`" in rows[room], f"{room}: {'/'.join(inside)}"


def test_every_module_that_is_named_is_there() -> None:
    for room, row in re.findall(r"^\| `(\w+)/` (\|.*)$", ARCHITECTURE, re.MULTILINE):
        for name in re.findall(r"`([\w/]+\.py)`", row):
            assert (PACKAGE / room / name).is_file(), f"{room}/{name}"


def test_the_diagram_of_the_states_is_the_protocols_table() -> None:
    diagram = ARCHITECTURE.partition("stateDiagram-v2")[2].partition("```")[0]
    drawn = set(re.findall(r"^    (\S+) --> (\S+?)(?::|$)", diagram, re.MULTILINE))
    table = (ROOT / "docs" / "protocol.md").read_text().partition("## The states")[2].partition("##")[0]
    told = set()
    for before, after in re.findall(r"^\| (.+?) \| (.+) \|$", table, re.MULTILINE)[1:]:
        for state in re.findall(r"`(\w+)`", before) or ["[*]"]:
            told |= {(state, following) for following in re.findall(r"`(\w+)`", after) or ["[*]"]}
    assert drawn == told
