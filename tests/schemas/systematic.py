"""Every place of a value with every other kind of value in it, with nothing in it, and with one thing more."""

import copy
from collections.abc import Iterator
from typing import Any

WRONG: list[Any] = [
    *(None, True, False, 1.5, 1.0, -1, 0, 1, 2, 3, 4, 5, 6, 29, 30, 59, 60, 3600, 3601, 86400, 86401, 10**30),
    *("", " ", "a", "a\n", "A b", "1", "\x00", "13800138009", 13800138009, "dxtong", "no_answer", "09:00-10:00\n"),
    *([], {}, [None], ["a"], ["no_answer"], ["order"], ["order\n"], ["13800138009"], [1], [60] * 2, [60] * 3, [59, 60]),
    [f"138001380{ending}" for ending in range(10, 16)],
    *(
        {"a": 1},
        {"a": None},
        {"times": 1},
        {"times": 0},
        {"template_id": "T1001"},
        {"template_id": "T1001", "params": 1},
    ),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a value but its own."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield (*path, key)
        yield from places(each, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def put(value: Any, path: tuple[Any, ...], wrong: Any) -> Any:
    """The value with another one at a place."""
    changed = copy.deepcopy(value)
    at(changed, path[:-1])[path[-1]] = wrong
    return changed


def without(value: Any, path: tuple[Any, ...]) -> Any:
    """The value with nothing at a place."""
    changed = copy.deepcopy(value)
    del at(changed, path[:-1])[path[-1]]
    return changed


def changed(value: Any) -> Iterator[Any]:
    """All of these, for a value."""
    yield from WRONG
    for path in places(value):
        yield without(value, path)
        for wrong in WRONG:
            yield put(value, path, wrong)
        if isinstance(at(value, path), dict):
            yield put(value, (*path, "more"), 1)
