"""Whether a message would be sent, and whether the vendors know us."""

from typing import Any

from voice_gateway_cli.deployed.stack import Stack
from voice_gateway_cli.smoke.finding import Findings, fail, ok, warn

MOBILE = "13800138000"
"""Named in requests that never reach a vendor."""
FORMS: tuple[dict[str, Any], ...] = ({"content": "测试"}, {"template_id": "smoke", "params": []})
"""A text, and a template of a vendor: between them every vendor can carry one."""


def dry_runs(stack: Stack) -> Findings:
    """Reads templates' place, quotas and credentials, as a send would; nothing is stored or rung."""
    could = []
    for form in FORMS:
        result = stack.invoke("send", {"mobile": MOBILE, "dry_run": True, **form})
        error = result["error"] or {}
        how = next(iter(form))
        if result["status"] == "accepted":
            could.append(f"by {how} would go to {result['vendor']}")
        elif result["status"] == "deferred":
            could.append(f"by {how} would wait until {result['deferred_until']}")
        else:
            yield warn(f"a message by {how} would be {result['status']}: {error.get('message')}")
    if could:
        yield ok(f"send: a message {', '.join(could)}")
    else:
        yield fail("send: no dry run would be sent; are the vendors' secrets filled in?")


def credit(stack: Stack) -> Findings:
    """Asks each vendor for the credit left: credentials, the way out and the vendor's own checks, for nothing."""
    found = stack.invoke("balance_check", {})
    if not found:
        yield fail("no vendor has credentials: put them into the secrets that the stack's outputs name")
    for vendor, told in found.items():
        if told["error"]:
            yield fail(f"{vendor} does not tell its credit: {told['error']}")
        else:
            verdict = ok if told["state"] == "ok" else warn
            yield verdict(f"{vendor}: {told['remaining']} {told['unit']} left, {told['state']}")
