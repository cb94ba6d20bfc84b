"""How a message looks once it is claimed: its ring begins, or waits, or ends before it was made. Pure."""

from voice_gateway.model.faults import Code
from voice_gateway.model.message import LEASE_SECONDS, Message, State
from voice_gateway.model.moving_on import after_ring
from voice_gateway.sending.planning import Plan


def as_planned(plan: Plan, message: Message, now: float) -> Message:
    """The message, new or stored, as the plan says: its next ring begins, or waits, or ends before it was made."""
    message = message.but(number_at=now)
    if plan.rings:
        begun = _begun(message, plan.carriers[0].vendor.name, now)
        # As it would be at hand-over, in a dry run.
        return begun.but(state=State.ACCEPTED) if message.dry_run else begun.but(state=State.CALLING)
    last = message.past[-1] if message.past else None
    if plan.state is State.DUE:
        at = plan.deferred_until
        error, vendor = (last.error, message.vendor) if last else (None, None)
        return message.but(state=State.DUE, vendor=vendor, error=error, deferred_until=at, look_at=at, updated_at=now)
    vendor = plan.error.vendor if plan.error else None
    if plan.state is State.REJECTED and (last or (plan.error and plan.error.code is Code.DAILY_LIMIT)):
        # It was this ring's turn, and it shows among the rings why nobody was rung.
        message = _begun(message, vendor, now).but(called_at=None, lease=None)
    elif not last:
        message = message.but(vendor=vendor)
    error = plan.error.as_dict() if plan.error else None
    ended = message.but(state=plan.state, error=error, look_at=None, deferred_until=None, updated_at=now)
    if message.dry_run:
        return ended.but(state=State.REJECTED)
    moved = after_ring(ended, now)
    # A message that will not be sent again keeps no number and no text.
    return moved if moved.state is State.DUE else moved.but(request="")


def _begun(message: Message, vendor: str | None, now: float) -> Message:
    """The message with its next ring begun; nothing is known of it yet."""
    return message.but(
        ring=len(message.past) + 1,
        vendor=vendor,
        called_at=now,
        lease=now + LEASE_SECONDS,
        look_at=now + LEASE_SECONDS,
        call_id=None,
        linked_by=None,
        reason=None,
        receipt=None,
        error=None,
        deferred_until=None,
        redials=0,
        redialled_at=None,
        earlier_vendor=None,
        first_attempt=None,
        asked=0,
        updated_at=now,
    )


def redialled(seen: Message, moved: Message, now: float) -> Message:
    """The same ring, called once more. A receipt of the first call is recognised by that call's vendor and time."""
    return moved.but(
        redials=1,
        called_at=seen.called_at,
        earlier_vendor=seen.vendor,
        redialled_at=now,
        first_attempt=seen.first_attempt or seen.attempt,
    )
