"""Where things lie in the repository, and in its `.local`, which holds all that the local stack writes."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"
"""What outlives a stack: the server's environment and the build. Stacks keep their own folders in it."""

ALIAS = "live"
"""What triggers call of each function: template.yaml's."""

TOOLS = Path(sys.executable).parent
"""sam and uv stand beside the Python that runs this."""


def tool(name: str) -> str:
    """The path of one of the development tools. Raises FileNotFoundError with what to do."""
    path = TOOLS / name
    if not path.exists():
        raise FileNotFoundError(f"{name} is not installed: run `make setup`")
    return str(path)


def environment(**additions: str) -> dict[str, str]:
    """This process's environment for a tool, less what belongs to another AWS account or another make."""
    unwanted = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VIRTUAL_ENV"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in unwanted and not name.startswith(("AWS_", "SAM_CLI_"))
    }
    return kept | {"PATH": f"{TOOLS}{os.pathsep}{os.environ.get('PATH', os.defpath)}"} | additions
