"""The gateway's and the vendors' words in plain ones."""

REASONS = {
    "no_answer": "nobody answered",
    "busy": "the phone was in another call",
    "declined": "the call was declined",
    "powered_off": "the phone was switched off",
    "unreachable": "the phone could not be reached",
    "line_busy": "the line was busy",
    "network_busy": "the network was busy",
    "timed_out": "the call timed out",
    "number_invalid": "the number does not exist",
    "number_suspended": "the number is suspended",
    "incoming_barred": "the phone takes no incoming calls",
    "outgoing_barred": "the vendor's line may not make this call",
    "forwarded": "the call was forwarded",
    "call_reminder": "a missed-call reminder answered",
    "answered_by_machine": "an answering machine answered",
    "answered_by_fax": "a fax answered",
    "answered_by_person": "a person answered, and the text was not heard to its end",
    "answered_silence": "somebody answered and said nothing",
    "vendor_failure": "the vendor failed to make the call",
    "unknown": "the vendor gave no reason",
}
"""Why a call failed, by a receipt's ``reason`` (docs/using.md)."""

SETTLED = {
    "settled": "it settled the message",
    "duplicate": "the same as before",
    "later": "kept beside the one that stands",
    "waiting": "no message known for this call id yet: it waits",
    "mismatch": "its number is not the message's: kept, not applied",
    "gone": "the message was deleted by then: a dead letter",
    "outbox": "the table did not answer: kept in the outbox",
}
"""What became of a receipt, by the callback's ``receipt``."""

LINKED = {
    "call_id": "by its call id",
    "token": "by the call's own address",
    "query": "when it was asked",
    "number": "matched by the number",
}
"""How a receipt was found to be the message's, by ``linked_by``."""

SWEPT = {
    "a call was cut off": "sweep: the function that was calling ended in the middle; the outcome is unknown",
    "escalated": "sweep: nothing was heard for too long; the next number's turn",
    "no receipt came": "sweep: no receipt came in time",
    "it cannot be looked at": "sweep: the item could not be looked at",
    "kept in the outbox": "a write that AWS did not take was kept in the outbox",
    "kept as a dead letter": "kept as a dead letter",
    "the next ring waits for the sweep": "the next ring could not be handed over at once; sweep does it",
    "no room for another receipt": "a further receipt came, and there was no room for it",
    "a receipt's number is not its message's": "a receipt for another number came for this call; it was not applied",
    "a call id is another message's already": "the vendor gave a call id that it had given before",
    "neither table nor outbox": "neither the table nor the outbox took the outcome of the call",
    "comes again when the queue lets it": "it waits in its lane for the vendor's pace",
}
"""Lines about something that happened beside the usual, by their ``message``."""


def reason(word: str | None) -> str:
    return REASONS.get(word or "", word or "no reason was given")
