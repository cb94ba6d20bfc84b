"""Run one vendor simulator: `python -m local.simulators jumdata --port 8081`.

Which vendors there are is found (found.py), so that a new one changes nothing here.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
from dataclasses import fields
from pathlib import Path
from typing import Any

from .found import simulators
from .server import Simulator

OWN_ARGUMENTS = {"vendor", "port", "address_file"}


def arguments(found: dict[str, type[Simulator[Any]]]) -> argparse.ArgumentParser:
    """One subcommand a vendor, with an option for each of its settings."""
    parser = argparse.ArgumentParser(prog="python -m local.simulators", description=__doc__)
    subparsers = parser.add_subparsers(dest="vendor", required=True)
    for name, simulator in found.items():
        each = subparsers.add_parser(name, help=f"serve as {name}")
        each.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0, the default: a free one")
        each.add_argument("--address-file", type=Path, help="a file that the address is written to")
        for setting in fields(simulator.settings_type):
            each.add_argument(f"--{setting.name.replace('_', '-')}", help=setting.metadata["help"])
    return parser


def write_atomically(path: Path, line: str) -> None:
    """A reader sees the whole line or no file."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(line + "\n")
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def serve(simulator: Simulator[Any], address_file: Path | None) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with simulator:
        if address_file is not None:
            write_atomically(address_file, simulator.address)
        print(f"{simulator.vendor} simulator: {simulator.address}", flush=True)
        stop.wait()


def main() -> int:
    """Exit status: 0 after a signal, 2 where it could not start."""
    found = simulators()
    given = vars(arguments(found).parse_args())
    settings = {name: value for name, value in given.items() if name not in OWN_ARGUMENTS and value is not None}
    try:
        simulator = found[given["vendor"]](port=given["port"], **settings)
        serve(simulator, given["address_file"])
    except (OSError, OverflowError, ValueError) as error:
        print(f"cannot start the {given['vendor']} simulator on port {given['port']}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
