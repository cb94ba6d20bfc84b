"""What follows where a ring ends: the next ring, or the message's end (docs/protocol.md, Sequences).

Pure: each function takes a message as it was seen and gives it as it is to be written. The write's condition, in
``storage.messages``, is that the message still is as it was seen.
"""

from typing import Any

from voice_gateway.model.faults import Code, Fault
from voice_gateway.model.message import FINAL, TOLD_BY_RECEIPT, UNDER_WAY, Message, State
from voice_gateway.model.receipt import Receipt
from voice_gateway.model.retrying import retry_after
from voice_gateway.model.sequence import Ring

_FOR_THE_NUMBERS_SAKE = frozenset({Code.INVALID_MOBILE, Code.BLOCKLISTED, Code.DAILY_LIMIT})
"""Refusals after which another number may fare better."""
_NO_RESULT = frozenset({"submitting", "accepted", "unknown"})


def after_ring(ended: Message, now: float) -> Message:
    """``ended`` is the message as its ring leaves it: its state, reason and error are that ring's.

    If nobody is left to ring, or no time, the message ends so; otherwise it is due for the next ring.
    """
    following = _following(ended, now)
    if following is None:
        return at_rest(ended) if ended.state in FINAL else ended
    place, again, at = following
    return ended.but(
        state=State.DUE,
        past=with_current_ring(ended),
        place=place,
        again=again,
        deferred_until=at,
        look_at=at,
        retries=0,
        lease=None,
        asked=0,
        updated_at=now,
    )


def after_outcome(ended: Message, now: float) -> Message:
    """After a call's outcome: a refusal may move the sequence on; what nobody took is tried again."""
    if ended.state is State.REJECTED:
        return after_ring(ended, now)
    if ended.state is State.RELEASED:
        return cancelled(ended, now) if ended.no_more else released(ended, now)
    return ended.but(look_at=looks_at_unknown(ended)) if ended.state is State.UNKNOWN else ended


def after_receipt(seen: Message, receipt: Receipt, attempt: str | None, linked_by: str, now: float) -> Message | None:
    """After a receipt for the call of ``attempt``; None if it changes nothing, and is only kept.

    ``delivered``, of any ring, ends the message. A failure moves on only the ring whose attempt it bears.
    """
    at = next((at for at, ring in enumerate(seen.past) if attempt in ring.attempts), None)
    if at is not None:
        return _after_a_late_one(seen, at, receipt, linked_by, now)
    mine = attempt is None or attempt in seen.attempts
    if not (receipt.delivered or (mine and seen.state in {*UNDER_WAY, State.RELEASED})):
        return None
    earlier = _other_vendor(seen.vendor, seen.earlier_vendor, receipt)
    # A vendor that rang although it had refused: the ring did begin.
    told = seen.but(vendor=receipt.vendor, earlier_vendor=earlier, linked_by=linked_by, ring=len(seen.past) + 1)
    ended = _told(told, receipt, receipt.call_id or seen.call_id, now)
    return at_rest(ended) if receipt.delivered else after_ring(ended, now)


def _after_a_late_one(seen: Message, at: int, receipt: Receipt, linked_by: str, now: float) -> Message | None:
    """After a receipt for a ring that is over, or that was left behind: it is kept with that ring."""
    ring = seen.past[at]
    if not receipt.delivered and ring.status in TOLD_BY_RECEIPT:
        return None
    call_id = receipt.call_id or ring.call_id
    heard = ring.but(
        status=str(receipt.state),
        vendor=receipt.vendor,
        call_id=call_id,
        linked_by=linked_by,
        reason=receipt.reason,
        receipt=receipt.as_dict(),
        error=None,
        earlier_vendor=_other_vendor(ring.vendor, ring.earlier_vendor, receipt),
    )
    past = with_current_ring(seen) if receipt.delivered else seen.past
    past = (*past[:at], heard, *past[at + 1 :])
    if not receipt.delivered:
        return seen.but(past=past, updated_at=now)
    told = seen.but(vendor=receipt.vendor, earlier_vendor=None, linked_by=linked_by, past=past)
    return at_rest(_told(told, receipt, call_id, now))


def _told(message: Message, receipt: Receipt, call_id: str | None, now: float) -> Message:
    """The message as its receipt has it: ended."""
    return message.but(
        state=receipt.state,
        call_id=call_id,
        reason=receipt.reason,
        receipt=receipt.as_dict(),
        error=None,
        lease=None,
        look_at=None,
        deferred_until=None,
        updated_at=now,
    )


def _other_vendor(vendor: str | None, earlier: str | None, receipt: Receipt) -> str | None:
    """After a redial the receipt is of one of two vendors; the other's may still come."""
    return vendor if receipt.vendor == earlier else earlier


def escalates_at(message: Message) -> float | None:
    """When the next number is rung if the ring under way has no final result by then; None if nobody is."""
    if message.state not in UNDER_WAY or message.no_more or message.sequence is None:
        return None
    at = (message.called_at or 0.0) + message.sequence.escalate_after
    following = message.place + 1 < len(message.callees)
    return at if following and (message.expires_at is None or at < message.expires_at) else None


def looks_at_unknown(message: Message) -> float | None:
    """When a message whose call is unknown is to be looked at: for the next number, or a redial; None for neither."""
    times = [escalates_at(message)]
    if message.on_unknown == "redial_once" and message.redials == 0 and not message.no_more:
        times.append(message.updated_at)
    return min((at for at in times if at is not None), default=None)


def released(message: Message, now: float) -> Message:
    """Nothing rang, for the reason in ``error``: the ring has not begun, and is tried again."""
    at = now + retry_after(message.message_id, message.retries)
    if message.expires_at is not None:
        at = min(at, message.expires_at)
    return message.but(
        state=State.RELEASED,
        retries=message.retries + 1,
        deferred_until=at,
        look_at=at,
        lease=None,
        updated_at=now,
        **_the_last_rings(message),
    )


def cancelled(seen: Message, now: float) -> Message:
    """Called off: no ring is under way, and none follows."""
    return _ended_between_rings(seen, State.CANCELLED, seen.past[-1].error if seen.past else None, now)


def out_of_time(seen: Message, why: Fault, now: float) -> Message:
    """Its time ran out before its next ring began."""
    return _ended_between_rings(seen, State.EXPIRED, why.as_dict(), now)


def _ended_between_rings(seen: Message, state: State, error: dict[str, Any] | None, now: float) -> Message:
    """What will not be sent again keeps no number and no text."""
    ended = seen.but(
        state=state,
        error=error,
        deferred_until=None,
        lease=None,
        request="",
        updated_at=now,
        **_the_last_rings(seen),
    )
    return at_rest(ended)


def _the_last_rings(message: Message) -> dict[str, Any]:
    """What a message shows of its last ring, where the one that was to follow did not begin."""
    if not message.past:
        return {"ring": 0}
    last = message.past[-1]
    shown = ("ring", "vendor", "call_id", "linked_by", "reason", "receipt")
    return {name: getattr(last, name) for name in shown}


def at_rest(message: Message) -> Message:
    """A message that ended. Receipts that may be its own count only while one may come that its number alone tells."""
    open_ones = any(is_open(ring) for ring in with_current_ring(message))
    return message.but(look_at=None, unlinked=message.unlinked if open_ones else 0)


def is_open(ring: Ring) -> bool:
    """Whether a receipt may come that only its number can tell: of a call whose id is not known."""
    return ring.redials > 0 or (ring.call_id is None and ring.status in _NO_RESULT)


def with_current_ring(message: Message) -> tuple[Ring, ...]:
    """The rings that were begun, the one under way or just over as it stands among them."""
    current = current_ring(message)
    return message.past if current is None else (*message.past, current)


def current_ring(message: Message) -> Ring | None:
    """The ring that is under way, or that was the last one; None if all that were begun are among the past ones."""
    if message.ring <= len(message.past):
        return None
    return Ring(
        ring=message.ring,
        callee=message.callee,
        status=message.status,
        at=message.called_at or message.updated_at,
        vendor=message.vendor,
        call_id=message.call_id,
        linked_by=message.linked_by,
        reason=message.reason,
        receipt=message.receipt,
        error=message.error,
        attempts=message.attempts,
        number_hash=message.number_hash,
        redials=message.redials,
        redialled_at=message.redialled_at,
        earlier_vendor=message.earlier_vendor,
    )


def at_ring(message: Message, ring: Ring) -> Message:
    """The message as that earlier ring left it: for comparing a receipt with it."""
    return message.but(
        state=State.UNKNOWN,
        vendor=ring.vendor,
        call_id=ring.call_id,
        attempt=ring.attempts[-1] if ring.attempts else message.attempt,
        number_hash=ring.number_hash,
        called_at=ring.at,
        redials=ring.redials,
        redialled_at=ring.redialled_at,
        earlier_vendor=ring.earlier_vendor,
        past=message.past[: ring.ring - 1],
        ring=ring.ring,
    )


def _following(ended: Message, now: float) -> tuple[int, int, float] | None:
    """Place, how often that number was rung again, and time of the next ring."""
    sequence = ended.sequence
    if sequence is None or ended.no_more:
        return None
    again = ended.again
    options = []
    if ended.state is State.FAILED and ended.reason in sequence.reasons and again < len(sequence.redial_after):
        options.append((ended.place, again + 1, now + sequence.redial_after[again]))
    refused = ended.state is State.REJECTED
    if ended.place + 1 < len(ended.callees) and not (refused and not _for_the_numbers_sake(ended)):
        options.append((ended.place + 1, 0, now))
    return next((one for one in options if ended.expires_at is None or one[2] < ended.expires_at), None)


def _for_the_numbers_sake(refused: Message) -> bool:
    return (refused.error or {}).get("code") in _FOR_THE_NUMBERS_SAKE
