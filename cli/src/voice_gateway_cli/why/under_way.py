"""A ring was begun, and its end is not known."""

from voice_gateway.model.message import State

from voice_gateway_cli.why.cause import Cause, said, status
from voice_gateway_cli.why.evidence import Evidence

_open = status("accepted", "unknown")
_UNREADABLE = "unreadable callback"
_OVERDUE = 120
"""Seconds after a lease's end by which ``sweep`` should have seen it, which runs each minute."""
_ASK_THE_CONSOLE = (
    "Wait ten minutes for a receipt, then look in the vendor's console. "
    "Do not send it again, unless a second ring does no harm."
)


def _stale(evidence: Evidence) -> bool:
    message = evidence.message
    return bool(message and message.state is State.CALLING and (message.lease or 0) < evidence.now - _OVERDUE)


def _mismatched(evidence: Evidence) -> bool:
    call = evidence.call or {}
    return evidence.status == "accepted" and bool(call.get("rhash") and call.get("rhash") != call.get("nhash"))


def _whose_is_not_known(evidence: Evidence) -> bool:
    marked = bool(evidence.message and evidence.message.unlinked)
    return evidence.status == "unknown" and (marked or bool(evidence.waiting and evidence.rivals))


def _old_key(evidence: Evidence) -> bool:
    return _open(evidence) and bool(evidence.refused)


def _unreadable(evidence: Evidence) -> bool:
    """By the dead letter; or by the log, for a letter that somebody else looks at just now is hidden."""
    texts = [letter.body for letter in evidence.letters] + [str(line.content.get("why")) for line in evidence.lines]
    return _open(evidence) and any(_UNREADABLE in text for text in texts)


def _redial_comes(evidence: Evidence) -> bool:
    message = evidence.message
    wanted = bool(message and message.on_unknown == "redial_once" and not message.redials and not message.no_more)
    in_time = bool(message and (message.expires_at or 1e11) > evidence.now)
    return evidence.status == "unknown" and wanted and in_time


CAUSES = (
    Cause(
        "sweep_is_not_running",
        _stale,
        "A function began to call and never finished, and `sweep`, which should say so, has not run since.",
        "Is the schedule of `sweep` on, and does it fail? See its alarms.",
        "sweep-errors",
    ),
    Cause(
        "receipt_unreadable",
        _unreadable,
        "{vendor} reported what became of the call, in a form that cannot be read: it lies in the dead letters.",
        "`voice-gateway dead-letters list --message {id}` shows it: read the result out of it, and tell the caller.",
        "dead-letters",
    ),
    Cause(
        "number_mismatch",
        _mismatched,
        "{vendor} reported this call with another number than the one that was rung, so its receipt was not believed.",
        "Compare call {call_id} with the vendor's console; somebody may be forging receipts.",
        "{vendor}-mismatch",
    ),
    Cause(
        "two_open_messages",
        _whose_is_not_known,
        "A receipt came for this number, and more than one message could be its own ({rivals}): "
        "the gateway does not guess.",
        "The vendor's console shows by time which call is whose; tell the callers.",
        "unlinked-receipts",
    ),
    Cause(
        "old_key",
        _old_key,
        "Turned away since the call, for the key is gone: {refusals}. Its receipt was most likely among them.",
        "`voice-gateway keys status` says which keys are live; put the old one back, "
        "or register what `voice-gateway address` prints.",
        "{vendor}-bad-token",
    ),
    Cause(
        "no_receipt",
        lambda e: e.status == "accepted" and bool(e.message and e.message.asked),
        "{vendor} took the call {when}, and never reported its end. *{callee} most likely rang.",
        "Look up call {call_id} in the vendor's console; is the address registered there "
        "that `voice-gateway address` prints?",
        "unanswered",
    ),
    Cause(
        "escalates",
        lambda e: _open(e) and bool((e.result or {}).get("next")),
        "Ring {ring}, of *{callee}, is {status}; without a final result, *{next_callee} is rung at {next_at}.",
        "Nothing; to stop it, `voice-gateway cancel {id}`.",
        "until-somebody-knows",
    ),
    Cause(
        "waiting_for_receipt",
        status("accepted"),
        "{vendor} took the call {when}, and rings *{callee}; its report has not come yet.",
        "Wait some minutes; what does not come is asked for, where the vendor can be asked, and alarmed.",
        "unanswered",
    ),
    Cause(
        "redial_comes",
        _redial_comes,
        "Nobody can say whether *{callee} was rung, and its caller asked for one more ring then: "
        "it comes within minutes, unless a receipt does.",
        "Nothing; to stop it, `voice-gateway cancel {id}`.",
        "outcome-unknown",
    ),
    Cause(
        "cut_off",
        lambda e: e.status == "unknown" and said(e, "the function ended while it was calling"),
        "The function was cut off while it called {vendor}: nobody can say whether *{callee} was rung.",
        _ASK_THE_CONSOLE,
        "outcome-unknown",
    ),
    Cause(
        "answer_lost",
        status("unknown"),
        "{vendor} was called, and its answer was lost: nobody can say whether *{callee} was rung. {vendor_said}",
        _ASK_THE_CONSOLE,
        "outcome-unknown",
    ),
    Cause(
        "being_handed_over",
        lambda _: True,
        "It is being handed to {vendor} right now.",
        "Ask again in a minute.",
        "outcome-unknown",
    ),
)
