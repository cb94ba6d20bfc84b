"""`make address`: prints the address to register in dxtong's console.

It holds a token: whoever has it can report receipts.
"""

import argparse
import sys

from botocore.exceptions import BotoCoreError, ClientError
from voice_gateway.model.errors import SettingsError
from voice_gateway.platform.callback_tokens import Keyring

from local.target import NoStackError, Target, target


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.address", description=__doc__)
    parser.add_argument("--stack", help="name of the stack")
    arguments = parser.parse_args()
    try:
        of = target(arguments.stack)
        found = address(of)
    except (NoStackError, SettingsError, BotoCoreError, ClientError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{of.stack_name}, {of.where}:", file=sys.stderr)
    print(found)
    return 0


def address(of: Target) -> str:
    """The address, with its token. Raises NoStackError in poll mode, where there is none."""
    found = of.outputs()
    if "CallbackBaseUrl" not in found:
        raise NoStackError(f"{of.stack_name} has no callbacks (CallbackMode is poll)")
    secret = of.client("secretsmanager").get_secret_value(SecretId=found["CallbackSecretArn"])["SecretString"]
    return (
        f"{found['CallbackBaseUrl'].rstrip('/')}/callbacks/dxtong/{Keyring.from_secret(secret).static_token('dxtong')}"
    )


if __name__ == "__main__":
    sys.exit(main())
