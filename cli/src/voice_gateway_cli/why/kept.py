"""It is kept for later: for an opening, a retry, or the next ring."""

import datetime

from voice_gateway.model.message import State

from voice_gateway_cli.why.cause import Cause, said, status
from voice_gateway_cli.why.evidence import Evidence

_deferred = status("deferred")


def _put_off(evidence: Evidence) -> bool:
    """Whether its ring was to be, and could not: what waits for its next ring carries the error of the last one."""
    return _deferred(evidence) and bool(evidence.message and evidence.message.state is State.RELEASED)


def _not_before(evidence: Evidence) -> bool:
    """Whether it waits for the very moment that its caller named."""
    wanted = evidence.request.get("not_before")
    until = evidence.message.deferred_until if evidence.message else None
    if wanted is None or until is None or not _deferred(evidence):
        return False
    return abs(datetime.datetime.fromisoformat(wanted).timestamp() - until) < 2


CAUSES = (
    Cause(
        "sequence_goes_on",
        lambda e: _deferred(e) and bool(e.message and e.message.past) and not _put_off(e),
        "After {rings} without success it goes on: ring {next_ring}, of *{next_callee}, at {next_at}.",
        "Nothing; to stop it, `voice-gateway cancel {id}`.",
        "until-somebody-knows",
    ),
    Cause(
        "paced",
        lambda e: _deferred(e) and said(e, "pace allows"),
        "More calls were asked for at once than the vendor's pace allows; it is tried again at {until}.",
        "Nothing. If it happens often, publish to the topic in place of invoking, or raise the pace.",
        "deferred",
    ),
    Cause(
        "vendor_down",
        lambda e: _deferred(e) and e.code == "vendor_unavailable",
        "Nobody could take it: {error}. Nothing rang; it is tried again at {until}, and so on until {expires}.",
        "Nothing need be sent again. Is the vendor down? If it lasts, put the other one first (VendorOrder).",
        "deferred",
    ),
    Cause(
        "deferred_by_error",
        lambda e: _deferred(e) and bool(e.code),
        "It could not be handed over: {error}. Nothing rang; it is tried again at {until}, and so on until {expires}.",
        "Mend what it names; nothing need be sent again.",
        "deferred",
    ),
    Cause(
        "not_before",
        _not_before,
        "Its caller asked that it should not ring before {until}.",
        "Nothing; to stop it, `voice-gateway cancel {id}`.",
        "deferred",
    ),
    Cause(
        "callee_hours",
        lambda e: _deferred(e) and "hours" in e.request,
        "It came outside the hours that its caller gave for *{callee}, or outside the vendor's; it rings at {until}.",
        "Nothing; what cannot wait is to be sent without `hours`.",
        "deferred",
    ),
    Cause(
        "vendor_hours",
        _deferred,
        "It came outside the hours in which the vendor that can carry it places calls; it rings at {until}.",
        "Nothing; what cannot wait needs a vendor that calls at any hour.",
        "deferred",
    ),
)
