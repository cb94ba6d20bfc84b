"""Mainland mobile numbers: personal data, so never a key nor a log line as they are."""

import re

_SEPARATORS = re.compile(r"[ \-]")
_MOBILE = re.compile(r"(?:\+86|0086|86)?(1[3-9][0-9]{9})")
_BETWEEN = r"[ .()（）\-–－]{0,2}"
_WITHIN = re.compile(
    rf"(?<![0-9])(?:(?:\+86|0086|86){_BETWEEN})?1[3-9][0-9]{_BETWEEN}[0-9]{{4}}{_BETWEEN}([0-9]{{4}})(?![0-9])"
)


def normalise(text: str) -> str | None:
    """The 11 digits of a mainland mobile, without country code, blanks and hyphens; None where it is none."""
    match = _MOBILE.fullmatch(_SEPARATORS.sub("", text))
    return match[1] if match else None


def masked(text: str) -> str:
    """A text of somebody else's, with the last four digits left of each number in it."""
    return _WITHIN.sub(lambda match: f"*{match[1]}", text)
