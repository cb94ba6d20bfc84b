"""A number's latest calls at one vendor's line, ``QUOTA#<vendor>#<line>#<number hash>``: a rolling 24 hours.

The item holds the last N message ids and times, ``m1`` and ``t1`` the latest. Each method raises AwsUnavailable if
DynamoDB does not answer.
"""

from enum import Enum, auto
from typing import NamedTuple

from voice_gateway.model.errors import AwsUnavailable
from voice_gateway.model.message import LEASE_SECONDS
from voice_gateway.storage.table import DAY, SCHEMA, Change, ConditionFailed, Item, Table


class Counted(Enum):
    """What became of counting a call in a number's quota."""

    NEW = auto()
    AGAIN = auto()
    """This message was counted a moment ago: the same attempt."""
    STALE = auto()
    """This message was counted at an earlier attempt: its time must be renewed before it rings."""
    FULL = auto()


class Quota(NamedTuple):
    """One number's quota at one vendor's line. ``key`` names the message, with ``#2`` for a redial. ``cap`` 0: none."""

    vendor: str
    line: str
    number_hash: str
    key: str
    cap: int

    @property
    def pk(self) -> str:
        return f"QUOTA#{self.vendor}#{self.line}#{self.number_hash}"


class Quotas:
    """The quotas in the calls table. A line without a cap has room for every call, and costs no request."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def count(self, quota: Quota, now: float) -> Counted:
        """Counts one call in a rolling 24 hours, once a message; over the cap nothing is written."""
        last = quota.cap
        if last == 0:
            return Counted.NEW
        order = range(last, 1, -1)
        shifted = [f"#{name}{at} = if_not_exists(#{name}{at - 1}, :no{name})" for at in order for name in ("m", "t")]
        others = " AND ".join(f"#m{at} <> :m" for at in range(1, last + 1))
        try:
            self._table.update(
                quota.pk,
                Change({"m1": quota.key, "t1": now, "ttl": _forgotten(now), "v": SCHEMA}, shifts=tuple(shifted)),
                f"attribute_not_exists(#m1) OR ((attribute_not_exists(#t{last}) OR #t{last} <= :cut) AND {others})",
                m=quota.key,
                cut=now - DAY,
                **({"nom": "-", "not": 0} if last > 1 else {}),
            )
        except ConditionFailed as failed:
            for key, at in _counted(failed.old or {}, last):
                if key == quota.key:
                    return Counted.AGAIN if now - at < LEASE_SECONDS else Counted.STALE
            return Counted.FULL
        return Counted.NEW

    def renew(self, quota: Quota, now: float) -> None:
        """Sets a counted message's time to that of the attempt about to ring, by compare and swap.

        Raises AwsUnavailable also if others took its place meanwhile: then the call would be one too many.
        """
        for _ in range(4):
            seen = _counted(self._table.get(quota.pk) or {}, quota.cap)
            rest = [pair for pair in seen if pair[0] != quota.key]
            if len(rest) >= quota.cap and min(at for _, at in rest) > now - DAY:
                raise AwsUnavailable("the quota filled up meanwhile")
            if self._swap(quota, seen, [(quota.key, now), *rest][: quota.cap], now):
                return
        raise AwsUnavailable("dynamodb: the quota is being written by too many")

    def has_room(self, quota: Quota, now: float) -> bool:
        """Whether a call would be counted; counts nothing."""
        if quota.cap == 0:
            return True
        counted = _counted(self._table.get(quota.pk) or {}, quota.cap)
        return len(counted) < quota.cap or min(at for _, at in counted) <= now - DAY

    def _swap(self, quota: Quota, seen: list[tuple[str, float]], pairs: list[tuple[str, float]], now: float) -> bool:
        """Replaces the pairs that were seen; False if they changed meanwhile."""
        new, old = _attributes(pairs), {f"s{name}": value for name, value in _attributes(seen).items()}
        same = [f"#m{at} = :sm{at} AND #t{at} = :st{at}" for at in range(1, len(seen) + 1)]
        try:
            self._table.update(
                quota.pk,
                Change(new | {"ttl": _forgotten(now)}),
                " AND ".join(same) or "attribute_not_exists(#m1)",
                **old,
            )
        except ConditionFailed:
            return False
        return True


def _forgotten(now: float) -> int:
    """The item's TTL: after it, nothing in it counts any more."""
    return int(now) + DAY + 3600


def _attributes(pairs: list[tuple[str, float]]) -> dict[str, str | float]:
    found: dict[str, str | float] = {}
    for place, (key, at) in enumerate(pairs, 1):
        found |= {f"m{place}": key, f"t{place}": at}
    return found


def _counted(item: Item, cap: int) -> list[tuple[str, float]]:
    """The message ids and times of a quota, the latest first."""
    pairs = [(item.get(f"m{at}"), item.get(f"t{at}")) for at in range(1, cap + 1)]
    return [(key, at) for key, at in pairs if key is not None and at is not None]
