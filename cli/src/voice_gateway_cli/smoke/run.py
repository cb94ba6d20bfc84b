"""All checks of a stack, in the order in which one failing explains the next."""

from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError
from voice_gateway.model.errors import GatewayError

from voice_gateway_cli.deployed.stack import Stack
from voice_gateway_cli.errors import CommandError
from voice_gateway_cli.smoke.callbacks import callbacks
from voice_gateway_cli.smoke.deployed import leftovers, stack_status, subscribers, versions
from voice_gateway_cli.smoke.finding import Findings, fail
from voice_gateway_cli.smoke.sending import credit, dry_runs

CHECKS: dict[str, Callable[[Stack], Findings]] = {
    "stack": stack_status,
    "versions": versions,
    "dry_runs": dry_runs,
    "credit": credit,
    "callbacks": callbacks,
    "subscribers": subscribers,
    "leftovers": leftovers,
}


def findings(stack: Stack) -> Findings:
    """What the checks find, as they find it. It leaves one message behind, ``smoke-…``, which had expired."""
    for name, check in CHECKS.items():
        try:
            yield from check(stack)
        except CommandError as error:
            yield fail(f"{name}: {error}")
        except (BotoCoreError, ClientError, OSError, KeyError, ValueError, GatewayError) as error:
            yield fail(f"{name}: {type(error).__name__}: {error}")
            if check is stack_status:
                return  # nothing else can be found either
