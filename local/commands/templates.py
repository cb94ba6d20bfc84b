"""`make templates FILE=…`: checks a file of text templates, and pushes it to the catalogue.

All or none: one that no vendor could carry keeps the others back too.

The file is a JSON object of name → {"text": …, "vendors": {…}}.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from voice_gateway.sending.catalogue import check_template, stored_form

from local.commands.command import Asked, CommandError, run
from local.commands.target import Target

RESERVED = re.compile("aws|ssm", re.IGNORECASE)
"""What the name of a parameter, and so a stack's, may not begin with, in any case (AWS, Parameter names)."""


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
        templates = json.loads(Path(file).read_text(encoding="utf-8-sig"))
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
    """Pushes all or none: where one cannot be written, those before it are put back. Raises CommandError."""
    if RESERVED.match(to.stack_name):
        raise CommandError(
            f"nothing was pushed: SSM takes no parameter whose name begins with aws or ssm, and those of "
            f"{to.stack_name} would. Deploy under another stack name to use templates"
        )
    ssm = to.client("ssm")
    values = {f"/{to.stack_name}/templates/{name}": stored_form(value) for name, value in templates.items()}
    before = _stored(ssm, list(values))
    for at, (name, value) in enumerate(values.items()):
        try:
            _put(ssm, name, value)
        except (BotoCoreError, ClientError) as error:
            # This one too: a request that failed may have been carried out.
            left = [each for each in list(values)[: at + 1] if not _put_back(ssm, each, before.get(each))]
            what = f"could not put back {', '.join(left)}" if left else "nothing was pushed"
            raise CommandError(f"{what}: {name}: {error}") from None


def _stored(ssm: Any, names: list[str]) -> dict[str, str]:
    pages = [ssm.get_parameters(Names=names[at : at + 10])["Parameters"] for at in range(0, len(names), 10)]
    return {each["Name"]: each["Value"] for page in pages for each in page}


def _put(ssm: Any, name: str, value: str) -> None:
    ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)


def _put_back(ssm: Any, name: str, value: str | None) -> bool:
    """Whether the parameter is as it was before."""
    try:
        if value is None:
            ssm.delete_parameters(Names=[name])
        elif _stored(ssm, [name]).get(name) != value:
            _put(ssm, name, value)
    except (BotoCoreError, ClientError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(run("local.commands.templates", __doc__, push_file, file="JSON file of templates"))
