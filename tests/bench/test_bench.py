"""What the figures of `make bench` rest on: the fake's items, and what counts as reached."""

from tests.bench.fake import updated
from tests.bench.table import Row, markdown


def test_an_item_is_what_its_write_set_and_added() -> None:
    asked = {
        "Key": {"pk": {"S": "CALL#dxtong#1"}},
        "UpdateExpression": "SET #v = :v, #first = if_not_exists(#first, :old), #n = #n + :one ADD #receipts :new",
        "ExpressionAttributeNames": {f"#{name}": name for name in ("v", "first", "n", "receipts")},
        "ExpressionAttributeValues": {":v": 1, ":old": 2, ":one": 3, ":new": 4, ":condition": 5},
        "ReturnValues": "ALL_NEW",
    }
    item = updated(asked)["Attributes"]
    assert item.pop("pk") == {"S": "CALL#dxtong#1"}
    assert item.pop("message") == {"S": "m1"}
    del item["attempt"]
    assert item == {"v": 1, "first": 2, "n": 3, "receipts": 4}
    assert updated({**asked, "ReturnValues": "NONE"}) == {}


def test_a_figure_is_judged_as_it_is_printed() -> None:
    assert Row("", 1.104, 1.10).reached
    assert not Row("", 1.106, 1.10).reached


def test_a_row_leaves_open_what_others_have_no_figure_for() -> None:
    assert markdown([Row("size", 1.0, 1.2, {"floor": 0.5})]).splitlines()[-1] == (
        "| size | 1.00 |  |  | 0.50 | 1.20 | yes |"
    )
