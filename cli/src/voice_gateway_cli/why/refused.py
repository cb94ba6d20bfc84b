"""It was refused: by the gateway, or by every vendor that could have carried it."""

from voice_gateway_cli.why.cause import RESEND, Cause, When, said, status


def _code(code: str) -> When:
    return lambda evidence: evidence.status == "rejected" and evidence.code == code


def _vendors(code: str) -> When:
    """Refused by the vendor itself, which gave a code of its own."""
    return lambda evidence: _code(code)(evidence) and bool(evidence.error.get("vendor_code"))


_MEND = "Have the caller correct it; it may come again under the same id, as nothing was rung under it."
_PAGE = "refused"

_THE_REQUEST = (
    Cause(
        "bad_request",
        _code("invalid_request"),
        "The request was not one that can be sent: {error}. {nobody}",
        _MEND,
        _PAGE,
    ),
    Cause(
        "number_refused",
        _vendors("invalid_mobile"),
        "{vendor} says that *{callee} is no number that it can ring. {vendor_said}{nobody}",
        "Check the number with whoever gave it.",
        _PAGE,
    ),
    Cause(
        "bad_number",
        _code("invalid_mobile"),
        "The number is no mainland mobile: {error}. {nobody}",
        _MEND,
        _PAGE,
    ),
    Cause(
        "blocklisted",
        _code("blocklisted"),
        "*{callee} is on {vendor}'s blocklist. {vendor_said}{nobody}",
        "Reach them another way; only {vendor}'s support can take a number off its list.",
        _PAGE,
    ),
    Cause(
        "content_refused",
        _code("content_refused"),
        "{vendor} does not read this text out. {vendor_said}{nobody}",
        "Take out what it bars, and send it again under a new id.",
        _PAGE,
    ),
    Cause(
        "unknown_template",
        _code("unknown_template"),
        "There is no such template: {error}. {nobody}",
        "Push it (`voice-gateway templates push FILE`), and send the message again under a new id.",
        _PAGE,
    ),
    Cause(
        "text_not_registered",
        _vendors("template_mismatch"),
        "The text is none that is registered with {vendor}. {vendor_said}{nobody}",
        "Compare it with the vendor's console, sign by sign; then " + RESEND + ".",
        _PAGE,
    ),
    Cause(
        "params_do_not_fit",
        _code("template_mismatch"),
        "The values do not fit the template: {error}. {nobody}",
        "Have the caller give each value that the template names, and no other; it may come again under the same id.",
        _PAGE,
    ),
    Cause(
        "too_long",
        _code("content_too_long"),
        "The text, or one of its values, is too long: {error}. {vendor_said}{nobody}",
        "Shorten it, and send it again under a new id.",
        _PAGE,
    ),
)

_THE_DAY = (
    Cause(
        "vendor_cap",
        _vendors("daily_limit"),
        "{vendor} has called *{callee} as often today as it will. {vendor_said}{nobody}",
        "Wait until tomorrow, or give the template another vendor; then " + RESEND + ".",
        "refused",
    ),
    Cause(
        "cap",
        _code("daily_limit"),
        "*{callee} has had all the calls that it may get in 24 hours: {error}. {nobody}",
        "Wait until the oldest of them is a day old, or give the template another vendor; then " + RESEND + ".",
        "refused",
    ),
    Cause(
        "outside_hours",
        _code("outside_hours"),
        "Its time runs out before the hours in which it may ring: {error}. {nobody}",
        "Send it under a new id with a later `expires_at`, wider `hours`, or a vendor that calls at that time.",
        "refused",
    ),
)

_THE_ACCOUNT = (
    Cause(
        "no_credit",
        _code("insufficient_credit"),
        "The account at {vendor} is used up. {vendor_said}{nobody}",
        "Top it up in the vendor's console (`voice-gateway credit` says how much is left), then " + RESEND + ".",
        "low-credit",
    ),
    Cause(
        "credentials",
        _code("credentials_refused"),
        "{vendor} did not take the credentials in its secret. {vendor_said}{nobody}",
        "Put the right ones into the secret (it is read anew at the next refusal), then " + RESEND + ".",
        _PAGE,
    ),
    Cause(
        "ip_not_allowed",
        _code("ip_not_allowed"),
        "{vendor} takes calls from registered addresses only, and this was none. {vendor_said}{nobody}",
        "Give the gateway a fixed address (docs/fixed-address.md), register it, then " + RESEND + ".",
        _PAGE,
    ),
    Cause(
        "account_suspended",
        _code("account_suspended"),
        "The account at {vendor} is suspended. {vendor_said}{nobody}",
        "Ask the vendor's support why; put the other vendor first meanwhile (VendorOrder), then " + RESEND + ".",
        _PAGE,
    ),
    Cause(
        "secret_empty",
        lambda e: _code("not_configured")(e) and said(e, "not filled in"),
        "No vendor that could carry it has its credentials: {error}. {nobody}",
        "Put them into the secret that the stack's outputs name (`voice-gateway smoke` checks it), then "
        + RESEND
        + ".",
        _PAGE,
    ),
    Cause(
        "not_configured",
        _code("not_configured"),
        "No vendor is set up that could carry it: {error}. {vendor_said}{nobody}",
        "Mend what it names (`voice-gateway smoke` checks it), then " + RESEND + ".",
        _PAGE,
    ),
    Cause(
        "rejected",
        status("rejected"),
        "It was refused: {error}. {vendor_said}{nobody}",
        "Mend what it names, then send it again under a new id.",
        _PAGE,
    ),
)

CAUSES = _THE_REQUEST + _THE_DAY + _THE_ACCOUNT
