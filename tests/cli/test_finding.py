"""Pages of `find`: nothing is left out between two, and nothing comes twice, also of what changed at one moment."""

import datetime
from typing import Any

import pytest
from voice_gateway.model.message import Message, State
from voice_gateway.storage.message_item import item_of
from voice_gateway_cli.deployed.finding import Wanted, find

NOW = 1_795_800_000.0


class Table:
    """A stack whose table is read whole."""

    def __init__(self, messages: list[Message]) -> None:
        self._items = [item_of(message) for message in messages]

    def messages(self) -> Any:
        return iter(self._items)


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_hold_each_message_once(limit: int) -> None:
    moments = [0.0, 0.001, 0.001, 0.001, 0.457, 0.457, 1.0, 2.0, 2.0]
    stored = [Message(f"m{at}", State.REJECTED, NOW + moment) for at, moment in enumerate(moments)]
    stack: Any = Table(stored)
    seen: list[str] = []
    before: float | None = None
    for _ in stored:
        page = find(stack, Wanted("rejected", before=before), limit, scan=True)
        seen += [message.message_id for message in page.messages]
        if not page.more:
            break
        last = datetime.datetime.fromtimestamp(page.messages[-1].updated_at, datetime.UTC)
        before = datetime.datetime.fromisoformat(last.isoformat(timespec="milliseconds")).timestamp()
    assert sorted(seen) == [message.message_id for message in stored]
    assert seen[0] in {"m7", "m8"}


def test_only_what_fits_is_found() -> None:
    stack: Any = Table(
        [
            Message("a", State.REJECTED, NOW, vendor="dxtong", template="t"),
            Message("b", State.FAILED, NOW + 1, vendor="jumdata"),
        ]
    )
    for wanted, ids in (
        (Wanted(vendor="dxtong"), ["a"]),
        (Wanted(template="t"), ["a"]),
        (Wanted("failed"), ["b"]),
        (Wanted(since=NOW + 0.5), ["b"]),
        (Wanted(), ["b", "a"]),
    ):
        assert [message.message_id for message in find(stack, wanted, 10, scan=True).messages] == ids
