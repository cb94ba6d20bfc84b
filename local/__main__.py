"""`python -m local up|down|demo|upgrade`: what the make targets of the same names call."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable

from local import demo, shell, upgrade
from local.places import LOCAL
from local.server import StackError
from local.stack import VENDORS, Stack, stop, stop_abandoned


def main() -> int:
    # As Ctrl-C does, so that whatever was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.default_int_handler)
    arguments = _parser().parse_args()
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except (StackError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def up(arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    stop_abandoned()
    endpoints = {vendor: address for vendor in VENDORS if (address := getattr(arguments, f"{vendor}_endpoint"))}
    stack = Stack(
        LOCAL,
        port=arguments.port,
        parameters={"JumdataHours": arguments.jumdata_hours} | dict(arguments.parameters),
        endpoints=endpoints,
        say=_say,
    ).start()
    print(f"up in {time.monotonic() - started:.1f} s")
    print(f"  AWS         {stack.description['endpoint_url']} (key and secret: test)")
    for vendor, address in stack.description["simulators"].items():
        print(f"  {vendor:<11} {address}")
    for vendor, address in endpoints.items():
        print(f"  {vendor:<11} {address} (yours)")
    for vendor in endpoints:
        if url := dict(stack.description).get(f"{vendor}_callback_url"):
            print(f"  push {vendor}'s receipts to {url}")
    print(f"  described   {os.path.relpath(LOCAL / 'stack.json')}")
    print(f"`. {os.path.relpath(shell.write(stack))}` makes it the AWS of a shell; `make down` stops it.")
    return 0


def down(_: argparse.Namespace) -> int:
    stopped = [stop(LOCAL), stop_abandoned()]
    print("stopped" if any(stopped) else "nothing was running")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(required=True)
    starts = commands.add_parser("up", help="start the stack in the background")
    starts.add_argument("--port", type=_port, default=4566, help="of the AWS server")
    starts.add_argument("--jumdata-hours", default="00:00-24:00", help="when jumdata's line places calls")
    for vendor in VENDORS:
        starts.add_argument(f"--{vendor}-endpoint", help=f"a {vendor} that runs elsewhere, for the simulator")
    starts.add_argument(
        "parameters", nargs="*", type=_parameter, metavar="Name=Value", help="parameters of the template"
    )
    starts.set_defaults(command=up)
    commands.add_parser("down", help="stop it").set_defaults(command=down)
    commands.add_parser("demo", help="show the gateway at work").set_defaults(command=lambda _: demo.run())
    upgrades = commands.add_parser("upgrade", help="upgrade a stack under traffic, and roll it back")
    upgrades.add_argument("--from", dest="commit", default="HEAD~1", help="the version before, as git names it")
    upgrades.set_defaults(command=lambda arguments: upgrade.run(arguments.commit, _say))
    return parser


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= 65535):
        raise argparse.ArgumentTypeError("must be a port, 0 (any free one) to 65535")
    return int(text)


def _parameter(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise argparse.ArgumentTypeError("must be Name=Value")
    return name, value


def _say(text: str) -> None:
    print(f"  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
