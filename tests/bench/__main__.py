"""``python -m tests.bench``: docs/performance.md's figures. Ends with 1 if one is missed.

All are ratios within one run: seconds would say more of the machine than of the gateway.
"""

import argparse
import statistics
import sys

from local import deployment
from local.server import StackError
from local.stack import temporary_folder
from tests.bench import fake
from tests.bench.cases import A, cases, ours
from tests.bench.measuring import BenchError, Measured, Runner
from tests.bench.table import Row, markdown, rows
from tests.faults.figures import say


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=_positive, default=9, help="of cold starts")
    parser.add_argument("--warm", type=_positive, default=300, help="invocations that are measured in a process")
    options = parser.parse_args()
    say("Two runs differ by up to 0.1; other work on this machine makes that more.")
    try:
        measured, found = _measured(options.rounds, options.warm)
    except (BenchError, StackError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    say(f"\n{markdown(found)}\n")
    say(f"A, import boto3 and make a client: {statistics.median(measured.cold[A]) * 1000:.0f} ms")
    whole = measured.warm_by(ours("callback", "dxtong"), "base_update")
    say(f"warm CPU of a dxtong callback, which writes twice: {whole:.2f} bare UpdateItems in all")
    missed = [row for row in found if not row.reached]
    for row in missed:
        say(f"missed: {row.what}: {row.ours:.2f}, to reach {row.most:.2f}")
    return 1 if missed else 0


def _measured(rounds: int, warm: int) -> tuple[Measured, list[Row]]:
    with temporary_folder("bench") as folder, fake.running() as address:
        say("building functions and layers")
        built = deployment.build(folder / "build").parent
        measured = Runner(cases(built, folder), address, folder).measure(rounds, warm, say)
        return measured, list(rows(measured, built, folder))


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError("must be a whole number of at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
