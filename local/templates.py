"""`make templates FILE=…`: checks a file of text templates, and pushes it to the catalogue.

All or none: one that no vendor could carry keeps the others back too.

The file is a JSON object of name → {"text": …, "vendors": {…}}.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from voice_gateway.sending.catalogue import check_template

from local.target import NoStackError, Target, target


class BadFileError(Exception):
    """The file cannot be read, or holds a template that no vendor could carry."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.templates", description=__doc__)
    parser.add_argument("--stack", help="name of the stack")
    parser.add_argument("file", help="JSON file of templates")
    arguments = parser.parse_args()
    try:
        templates = read(arguments.file)
        where = target(arguments.stack)
        push(templates, where)
    except (BadFileError, NoStackError, BotoCoreError, ClientError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(templates)} pushed to /{where.stack_name}/templates ({where.where})")
    return 0


def read(file: str) -> dict[str, Any]:
    """The checked templates; warnings are printed. Raises BadFileError with the faults of all of them."""
    if not file:
        raise BadFileError("say which file: FILE=templates.json")
    try:
        templates = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadFileError(f"{file}: {error}") from None
    if not isinstance(templates, dict) or not templates:
        raise BadFileError(f"{file}: must be an object of name -> template")
    faults = []
    for name, value in templates.items():
        try:
            for warning in check_template(name, value):
                print(f"warning: {name}: {warning}", file=sys.stderr)
        except ValueError as error:
            faults.append(f"{name}: {error}")
    if faults:
        raise BadFileError("nothing was pushed\n  " + "\n  ".join(faults))
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
    sys.exit(main())
