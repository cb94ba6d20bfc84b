"""`make templates FILE=…`: checks a file of text templates, and pushes it to the catalogue.

All or none: one that no vendor could carry keeps the others back too.

The file is a JSON object of name → {"text": …, "vendors": {…}}.
"""

import json
import sys
from pathlib import Path
from typing import Any

from voice_gateway.sending.catalogue import check_template

from local.commands.command import Asked, CommandError, run
from local.commands.target import Target


def push_file(asked: Asked) -> int:
    templates = read(asked.file)
    push(templates, asked.of)
    print(f"{len(templates)} pushed to /{asked.of.stack_name}/templates ({asked.of.where})")
    return 0


def read(file: str) -> dict[str, Any]:
    """The checked templates; warnings are printed. Raises CommandError with the faults of all of them."""
    if not file:
        raise CommandError("say which file: FILE=templates.json")
    try:
        templates = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(f"{file}: {error}") from None
    if not isinstance(templates, dict) or not templates:
        raise CommandError(f"{file}: must be an object of name -> template")
    faults = []
    for name, value in templates.items():
        try:
            for warning in check_template(name, value):
                print(f"warning: {name}: {warning}", file=sys.stderr)
        except ValueError as error:
            faults.append(f"{name}: {error}")
    if faults:
        raise CommandError("nothing was pushed\n  " + "\n  ".join(faults))
    return templates


def push(templates: dict[str, Any], to: Target) -> None:
    ssm = to.client("ssm")
    for name, value in templates.items():
        ssm.put_parameter(
            Name=f"/{to.stack_name}/templates/{name}",
            Value=json.dumps(value, ensure_ascii=False),
            Type="String",
            Overwrite=True,
        )


if __name__ == "__main__":
    sys.exit(run("local.commands.templates", __doc__, push_file, file="JSON file of templates"))
