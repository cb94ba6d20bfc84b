"""A number's pattern and the parser, character by character: all of Unicode, at every place of a number."""

import json
import re
import unicodedata

import pytest
from voice_gateway.model import mobile

from tests.schemas.held import schema
from tests.schemas.making import EVERY_CHARACTER

pytestmark = pytest.mark.disable_socket

CHARACTERS, ORDER = (re.compile(each["pattern"]) for each in schema("request")["$defs"]["mobile"]["anyOf"][0]["allOf"])
COUNTED = "0-9０-９+＋:：TtＴｔEeＥｅLlＬｌ"
"""What is not taken off, as the first pattern begins."""
NUMBERS = ["13800138000", "tel:+8613800138000", "008613800138000", "ＴＥＬ：＋８６１３８００１３８０００"]
EVERY = pytest.mark.parametrize("number", NUMBERS, ids=["plain", "tel", "zeros", "full-width"])
EMPTY_PLANES = {*range(4, 14), 15, 16}
"""Planes without a character, or for private use; of these every 97th code point is looked at."""
CHECKED = [char for point, char in enumerate(EVERY_CHARACTER) if point >> 16 not in EMPTY_PLANES or point % 97 == 0]


def pattern_takes(text: str) -> bool:
    return bool(CHARACTERS.search(text) and ORDER.search(text))


def parser_takes(text: str) -> bool:
    return mobile.normalise(text) is not None


def test_what_is_taken_off_is_the_same_for_every_code_point() -> None:
    off = [ord(char) for char in CHECKED if parser_takes(f"138{char}00138000")]
    assert [ord(char) for char in CHECKED if pattern_takes(f"138{char}00138000")] == off, f"it is to be {_pattern(off)}"
    assert CHARACTERS.pattern == json.loads(_pattern(off)), f"it is to be {_pattern(off)}"


@EVERY
def test_every_character_that_looks_like_one_of_a_number_agrees_at_every_place(number: str) -> None:
    alike = [char for char in CHECKED if unicodedata.normalize("NFKC", char) in set("tel:+0123456789TELkK")]
    assert len(alike) > 250
    for at in range(len(number) + 1):
        for char in alike:
            for text in (number[:at] + char + number[at:], number[:at] + char + number[at + 1 :]):
                assert pattern_takes(text) == parser_takes(text), ascii(text)


@EVERY
def test_what_is_taken_off_may_stand_anywhere(number: str) -> None:
    off = [char for char in CHECKED if char not in "+" and pattern_takes(f"138{char}00138000")]
    assert len(off) > 600
    for char in off[::7]:
        text = char + char.join(number) + char
        assert pattern_takes(text), ascii(text)
        assert parser_takes(text), ascii(text)


def _pattern(points: list[int]) -> str:
    """The first pattern, as the file has it."""
    runs: list[list[int]] = []
    for point in points:
        if runs and runs[-1][1] == point - 1:
            runs[-1][1] = point
        else:
            runs.append([point, point])
    written = "".join(
        _one(first) + ("-" if last > first + 1 else "") + _one(last) * (last > first) for first, last in runs
    )
    return json.dumps(f"^[{COUNTED}{written}]+$")


def _one(point: int) -> str:
    return ("\\" if chr(point) in "[]\\^-" else "") + chr(point)
