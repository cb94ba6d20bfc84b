"""python -m tests.scanners template, a part of `make check`; and audit, which is `make audit`."""

import sys

from tests.scanners import audit, template

COMMANDS = {"template": template.scan, "audit": audit.audit}

if __name__ == "__main__":
    sys.exit(COMMANDS[sys.argv[1]]())
