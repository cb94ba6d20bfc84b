"""The scanners' own environment, in `.local`: made on first use, and anew when what is pinned changes."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from local.places import LOCAL, environment, tool
from local.server import locked

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
ENVIRONMENT = LOCAL / "scanners"


def scanner(name: str) -> str:
    """The path of a scanner, installed if need be. Raises CalledProcessError."""
    with locked("scanners"):
        stamp = ENVIRONMENT / "installed"
        wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
        if not stamp.exists() or stamp.read_text() != wanted:
            print("installing the scanners, the first time only")
            shutil.rmtree(ENVIRONMENT, ignore_errors=True)
            _uv("venv", "--python", sys.executable, str(ENVIRONMENT))
            python = str(ENVIRONMENT / "bin" / "python")
            _uv("pip", "sync", "--require-hashes", "--python", python, str(REQUIREMENTS))
            stamp.write_text(wanted)
    return str(ENVIRONMENT / "bin" / name)


def _uv(*arguments: str) -> None:
    subprocess.run([tool("uv"), "--quiet", *arguments], env=environment(), check=True)
