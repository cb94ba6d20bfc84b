"""Mainland mobile numbers, as people write and paste them. They are personal data: hashed in keys, masked in log lines.

What phones and documents put around digits is told by its Unicode category, not by a list: blanks, dashes, brackets,
full stops, and what cannot be seen (format characters and variation selectors, which a copied contact carries).
Full-width forms are read as the plain ones. A digit of another script is no digit.
"""

import re
import unicodedata
from functools import lru_cache

from voice_gateway.model.text import code_point

_MOBILE = re.compile(r"(?:tel:)?(?:\+86|0086|86)?(1[3-9][0-9]{9})", re.IGNORECASE)
_BEFORE = re.compile(r"(?:tel:)?\+?", re.IGNORECASE)
_WITHIN = re.compile(
    r"(?<![0-9])(?:(?:\+ *|0 *0 *)?8 *6 *)?1 *[3-9] *(?:[0-9] *){5}([0-9] *[0-9] *[0-9] *[0-9])(?![0-9])"
)
_DIGITS = 11
_TAKEN_OFF = {"Zs", "Zl", "Zp", "Pd", "Ps", "Pe", "Cf"}
"""Blanks and separators, dashes, brackets, format characters."""


def normalise(text: str) -> str | None:
    """The 11 digits of a mainland mobile, without country code and what stands around them; None if it is none."""
    match = _MOBILE.fullmatch("".join(map(_read, text)))
    return match[1] if match else None


def in_the_way(text: str) -> str | None:
    """The first character that cannot be in a number, by its code point; None if there is none."""
    left = [(char, _read(char)) for char in text if _read(char)]
    before = _BEFORE.match("".join(read for _, read in left))
    for char, read in left[before.end() if before else 0 :]:
        if read not in "0123456789":
            return code_point(char)
    return None


def masked(text: str) -> str:
    """The text with each mobile number in it, as :func:`normalise` reads one, reduced to its last four digits."""
    shape = "".join(_read(char) or " " for char in text)  # one character for each, so that places are the same
    if sum(char in "0123456789" for char in shape) < _DIGITS:
        return text
    parts, end = [], 0
    for match in _WITHIN.finditer(shape):
        parts += [text[end : match.start()], "*", match[1].replace(" ", "")]
        end = match.end()
    return "".join([*parts, text[end:]])


@lru_cache(maxsize=4096)
def _read(char: str) -> str:
    """The character as it counts in a number; empty if it is taken off."""
    if unicodedata.decomposition(char).startswith("<wide>"):
        plain = unicodedata.normalize("NFKC", char)
        char = plain if len(plain) == 1 else char  # a macron (U+FFE3) is two: a blank, and what stands over it
    name, category = unicodedata.name(char, ""), unicodedata.category(char)
    # A minus is what keyboards give for a dash; a variation selector has the category of an accent.
    around = char.isspace() or category in _TAKEN_OFF or name == "MINUS SIGN" or "VARIATION SELECTOR" in name
    full_stop = category == "Po" and name.endswith("FULL STOP")  # and no number with one, as ⒈ is
    return "" if around or full_stop else char
