"""Whether a vendor's receipts come in."""

import json
import uuid
from typing import Any

from voice_gateway import vendors
from voice_gateway.platform.callback_tokens import Keyring, callback_address
from voice_gateway.vendors.common.base import Vendor

from voice_gateway_cli.deployed.callbacks import (
    CLOSED,
    GOOD,
    REFUSED,
    asked,
    base_url,
    never_placed,
    post,
    trial_address,
)
from voice_gateway_cli.deployed.stack import Stack
from voice_gateway_cli.smoke.finding import Finding, Findings, fail, ok
from voice_gateway_cli.smoke.sending import FORMS, MOBILE


def callbacks(stack: Stack) -> Findings:
    base = base_url(stack)
    if base is None:
        yield ok("no callbacks: CallbackMode is poll")
        return
    keyring = stack.keyring()
    for name in vendors.names():
        try:
            status, _ = post(callback_address(base, name, "no-token-of-this-gateway"), b"{}")
        except OSError as error:
            yield fail(f"callback of {name}: {base} cannot be reached: {error}")
            continue
        if status == REFUSED:
            yield ok(f"callback of {name}: a bad token is answered 404")
        elif status == CLOSED:
            yield fail(f"callback of {name}: 403; is this machine's address in CallbackCidrs?")
            continue
        else:
            yield fail(f"callback of {name}: a bad token is answered {status}, not 404")
        yield _callback(stack, vendors.vendor(name), base, keyring)


def _callback(stack: Stack, vendor: Vendor, base: str, keyring: Keyring) -> Finding:
    receipts = vendor.example_callbacks() if vendor.callback_per_call else None
    if receipts is not None:
        return _receipt(stack, vendor, base, keyring, receipts)
    status = asked(trial_address(base, vendor.name, keyring))
    if status == GOOD:
        return ok(f"callback of {vendor.name}: the token of the registered address is good")
    return fail(f"callback of {vendor.name}: the registered address is answered {status}, not 413")


def _receipt(stack: Stack, vendor: Vendor, base: str, keyring: Keyring, receipts: tuple[Any, Any]) -> Finding:
    """Receipts for a message that is over: they are kept beside its result, and change nothing."""
    message_id = f"smoke-{uuid.uuid4().hex[:12]}"
    over = {"message_id": message_id, "mobile": MOBILE, "expires_at": "2020-01-01T00:00:00Z", **FORMS[0]}
    status = stack.invoke("send", over)["status"]
    if status != "expired":
        return fail(f"send: a message that had expired is {status}")
    address = callback_address(base, vendor.name, keyring.call_token(vendor.name, never_placed(message_id)))
    # The first of two receipts is not counted as a later one.
    answers = [post(address, json.dumps(receipt).encode()) for receipt in receipts]
    kept = stack.invoke("status", {"message_id": message_id})["later_receipts"]
    if answers == [(200, vendor.acknowledgement)] * 2 and kept == 1:
        return ok(f"callback of {vendor.name}: a signed receipt reaches the calls table")
    return fail(f"callback of {vendor.name}: signed receipts are answered {answers}, and {kept} is kept")
