"""`address`: the address to register in the vendor's console, of each vendor that has one for all calls."""

from voice_gateway_cli.deployed.callbacks import addresses
from voice_gateway_cli.session import Session


def address(session: Session) -> int:
    """Print the address to register in the vendor's console. It holds a token: whoever has it can report receipts."""
    found = addresses(session.stack)
    if session.out.as_json:
        session.out.data(dict(found))
        return 0
    session.out.aside(f"{session.stack.name}, {session.stack.where}:")
    for name, each in found.items():
        # The address alone, for a pipe, as long as nobody needs to be told whose it is.
        session.out.raw(each if len(found) == 1 else f"{name} {each}")
    return 0
