"""`make address`: prints the address to register in the vendor's console, of each vendor that has one for all calls.

It holds a token: whoever has it can report receipts.
"""

import sys

from voice_gateway import vendors
from voice_gateway.platform.callback_tokens import Keyring
from voice_gateway.platform.secrets import stored_text

from local.commands.command import Asked, CommandError, run
from local.commands.target import Target


def show(asked: Asked) -> int:
    found = addresses(asked.of)
    print(f"{asked.of.stack_name}, {asked.of.where}:", file=sys.stderr)
    for name, address in found.items():
        # The address alone, for a pipe, as long as nobody needs to be told whose it is.
        print(address if len(found) == 1 else f"{name} {address}")
    return 0


def addresses(of: Target) -> dict[str, str]:
    """The addresses with their tokens, by vendor. Raises CommandError in poll mode, where there are none."""
    outputs = of.outputs()
    if "CallbackBaseUrl" not in outputs:
        raise CommandError(f"{of.stack_name} has no callbacks (CallbackMode is poll)")
    secret = of.client("secretsmanager").get_secret_value(SecretId=outputs["CallbackSecretArn"])
    keyring = Keyring.from_secret(stored_text(secret))
    return {name: keyring.static_address(outputs["CallbackBaseUrl"], name) for name in vendors.with_one_address()}


if __name__ == "__main__":
    sys.exit(run("local.commands.address", __doc__, show))
