"""``python -m tests.faults [names…] [--seed N] [--seconds-for NAME=S]``: attacks the gateway and prints the figures.

Each name is a module of this package with a ``run(seed, seconds)``; without names all of them run, one after the other,
for each uses both cores where it pays. Ends with 1 where a figure was not reached, or a module could not run.
"""

import argparse
import importlib
import random
import sys
import time
import traceback

from tests.faults.figures import Figure, say, table

SECONDS = {
    "boundaries": 540.0,
    "sequences": 500.0,
    "lanes": 150.0,
    "model": 60.0,
    "ablations": 330.0,
    "processes": 170.0,
    "races": 150.0,
    "wire": 90.0,
    "parsers": 60.0,
}
"""Every module, and how long it may take: under 30 minutes in all, on 2 cores."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"one of {', '.join(SECONDS)}; all where none is given"
    )
    parser.add_argument("--seed", type=int, default=None, help="what the samples are drawn by; printed at the end")
    parser.add_argument(
        "--seconds-for", action="append", default=[], metavar="NAME=S", help="another time for a module"
    )
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in SECONDS]:
        parser.error(f"no such module: {', '.join(unknown)}")
    arguments.seconds = dict(SECONDS)
    for pair in arguments.seconds_for:
        name, _, seconds = pair.partition("=")
        if name not in SECONDS or not seconds.replace(".", "", 1).isdigit():
            parser.error(f"--seconds-for {pair}: NAME=S, with a module's name")
        arguments.seconds[name] = float(seconds)
    return arguments


def _run(name: str, seed: int, seconds: float) -> list[Figure]:
    """A module that fails is a figure that was not reached: the others still run."""
    try:
        figures: list[Figure] = importlib.import_module(f"tests.faults.{name}").run(seed, seconds)
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is told, and the run fails
        traceback.print_exc()
        return [Figure(f"{name}: ran", f"{type(error).__name__}: {error}"[:120], "ran", reached=False)]
    return figures


def main() -> int:
    arguments = _arguments()
    seed = random.randrange(2**31) if arguments.seed is None else arguments.seed
    figures: list[Figure] = []
    began = time.monotonic()
    for name in arguments.names or SECONDS:
        say(f"{name}: seed {seed}, {arguments.seconds[name]:.0f} s at the most")
        started = time.monotonic()
        figures += _run(name, seed, arguments.seconds[name])
        say(f"{name}: {time.monotonic() - started:.0f} s")
    say(f"\n{table(figures)}\n\nseed {seed}, {time.monotonic() - began:.0f} s")
    return 0 if all(figure.reached for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
