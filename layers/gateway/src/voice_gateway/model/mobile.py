"""Mainland mobile numbers. They are personal data: in keys they are hashed, in log lines masked."""

import re

_SEPARATORS = re.compile(r"[ \-]")
_MOBILE = re.compile(r"(?:\+86|0086|86)?(1[3-9][0-9]{9})")
_BETWEEN = r"[ .()（）\-–－]{0,2}"
_WITHIN = re.compile(
    rf"(?<![0-9])(?:(?:\+86|0086|86){_BETWEEN})?1[3-9][0-9]{_BETWEEN}[0-9]{{4}}{_BETWEEN}([0-9]{{4}})(?![0-9])"
)


def normalise(text: str) -> str | None:
    """The 11 digits of a mainland mobile, without country code, blanks and hyphens; None if it is none."""
    match = _MOBILE.fullmatch(_SEPARATORS.sub("", text))
    return match[1] if match else None


def masked(text: str) -> str:
    """The text with each mobile number in it reduced to its last four digits."""
    return _WITHIN.sub(lambda match: f"*{match[1]}", text)
