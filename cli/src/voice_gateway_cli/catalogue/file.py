"""The file of text templates, as people write it; ``-`` is standard input, or output."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from voice_gateway.sending.catalogue import check_template

from voice_gateway_cli.errors import CommandError, UsageError

STANDARD = "-"


class Checked(NamedTuple):
    """The templates of a file, with what is wrong and what is doubtful of each, by name."""

    templates: dict[str, Any]
    faults: Mapping[str, str]
    warnings: Mapping[str, list[str]]


def checked(file: str) -> Checked:
    """Reads and checks all of it; nothing is asked of AWS. Raises CommandError where it is no such file at all."""
    templates = _read(file)
    faults, warnings = {}, {}
    for name, value in templates.items():
        try:
            warnings[name] = check_template(name, value)
        except ValueError as error:
            faults[name] = str(error)
    return Checked(templates, faults, warnings)


def text_of(templates: Mapping[str, Any]) -> str:
    """The file that holds these templates."""
    return json.dumps(templates, ensure_ascii=False, indent=2) + "\n"


def holds_another(file: str, text: str) -> bool:
    """Whether writing would lose something."""
    path = Path(file)
    return path.exists() and path.read_text(encoding="utf-8-sig", errors="replace") != text


def write(file: str, text: str) -> None:
    """Writes the file whole, or leaves it as it was. Raises OSError."""
    path = Path(file)
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _read(file: str) -> dict[str, Any]:
    if not file:
        raise UsageError("say which file: FILE=templates.json")
    try:
        content = sys.stdin.buffer.read() if file == STANDARD else Path(file).read_bytes()
        templates = json.loads(content.decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise CommandError(f"{file}: {error}") from None
    if not isinstance(templates, dict) or not templates:
        raise CommandError(f"{file}: must be an object of name -> template")
    return templates
