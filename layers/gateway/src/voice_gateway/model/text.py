"""What text of people and of other programs carries beside its letters: a byte order mark, controls, line breaks."""

import re
import unicodedata

_MARK = "\ufeff"
_LINE_BREAK = re.compile("\r\n|[\t\n\r\u2028\u2029]")


def without_mark(text: str) -> str:
    """The text without the byte order mark that some editors and shells write at its beginning."""
    return text.removeprefix(_MARK)


def spoken(text: str) -> str:
    """A text as it is read out: line breaks and tabs are blanks. Raises ValueError if it holds a control character."""
    text = _LINE_BREAK.sub(" ", text)
    control = next((char for char in text if unicodedata.category(char) == "Cc"), None)
    if control is not None:
        raise ValueError(f"must hold no control character, and holds {code_point(control)}")
    return text


def code_point(char: str) -> str:
    """A character by its code point, and its name if it has one: ``U+2011 (NON-BREAKING HYPHEN)``."""
    name = unicodedata.name(char, "")
    return f"U+{ord(char):04X}{name and f' ({name})'}"
