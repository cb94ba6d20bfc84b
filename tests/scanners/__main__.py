"""python -m tests.scanners template: what `make check` runs."""

import sys

from tests.scanners import template

COMMANDS = {"template": template.scan}

if __name__ == "__main__":
    sys.exit(COMMANDS[sys.argv[1]]())
