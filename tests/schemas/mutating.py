"""Requests close to the boundary: good ones, with one or two things changed."""

import datetime
from typing import Any

from hypothesis import strategies as st

from tests.schemas.held import NOW, schema

HALF = "\ud83d"
ODD = [
    *(
        "\n",
        "\r",
        "\t",
        "\x00",
        "\x1b",
        "\x85",
        "\x7f",
        " ",
        "\u3000",
        "\u2028",
        "\u200b",
        "\ufeff",
        "\u0660",
        "\uff11",
    ),
    *(
        "\u2212",
        "\u2488",
        "①",
        "．",
        "＋",
        "+",
        "-",
        ":",
        "：",
        "e\u0301",
        "\U000e0101",
        "\U0001f100",
        "😀",
        "x",
        "８",
        HALF,
    ),
]
OTHER = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 6),
    st.sampled_from([59, 60, 86400, 86401, 29, 30, 3600, 3601, 1.0, 1.5, 60.0, -0.0, 1e2, 2**53 + 1, 10**30]),
    st.sampled_from([13800138000, 8613800138000, 12800138000, 13800138000.0, 20000000000, 12999999999, 8612999999999]),
    st.sampled_from(["", " ", "stop", "redial_once", "bulk", "urgent", "dxtong", "jumdata", "no_answer", "a" * 129]),
    st.text(st.characters(), max_size=8),
    st.sampled_from([[], {}, [1], ["a"], {"a": 1}, {"a": None}, [None], [[]], {"times": 1}, {"times": 6}]),
)
MOBILES = st.one_of(
    st.integers(0, 99).map("138001380{:02}".format),
    st.sampled_from(
        ["+86 138-0013-8000", "tel:+8613800138001", "0086 (138) 0013 8002", "８６ １３８００１３８００３", 13800138004]
    ),
)
WORDS = st.text(st.characters(), min_size=1, max_size=6)
VALUES = st.one_of(st.integers(), WORDS)
FORMS = st.one_of(
    st.fixed_dictionaries({"template": WORDS}, optional={"params": st.dictionaries(WORDS, VALUES, max_size=3)}),
    st.fixed_dictionaries({"content": WORDS}),
    st.fixed_dictionaries({"template_id": WORDS}, optional={"params": st.lists(VALUES, max_size=3)}),
)
MOMENTS = st.builds(
    lambda seconds, offset: datetime.datetime.fromtimestamp(
        NOW + seconds, datetime.timezone(datetime.timedelta(minutes=offset))
    ).isoformat(),
    st.one_of(st.integers(-86400, 86400), st.integers(30 * 86400 - 2, 30 * 86400 + 2)),
    st.sampled_from([0, 480, -330, 1439]),
)
REASONS = st.lists(st.sampled_from(["no_answer", "busy", "unknown"]), min_size=1, max_size=3)
AFTER = st.sampled_from([60, 300, 86400])
REDIALS = st.integers(1, 3).flatmap(
    lambda times: st.fixed_dictionaries(
        {"times": st.just(times)},
        optional={
            "after_seconds": st.one_of(AFTER, st.lists(AFTER, min_size=times, max_size=times)),
            "reasons": REASONS,
        },
    )
)
MORE = {
    "message_id": st.sampled_from(["a", "order-9633", "A_b.c:d-0", "x" * 128]),
    "vendor": st.sampled_from(["dxtong", "jumdata"]),
    "play_times": st.integers(1, 3),
    "notify_data": st.sampled_from(["", "{}", "a" * 1024, "字" * 341, "😀" * 256, "a" * 1025]),
    "on_unknown": st.sampled_from(["stop", "redial_once"]),
    "redial": REDIALS,
    "escalate_to": st.lists(MOBILES, min_size=1, max_size=5),
    "escalate_after_seconds": st.sampled_from([30, 180, 3600]),
    "not_before": MOMENTS,
    "hours": st.sampled_from(["09:00-21:30", "22:00-06:00", "00:00-24:00", "23:59-00:00", "24:00-09:00"]),
    "priority": st.sampled_from(["urgent", "bulk"]),
    "expires_at": MOMENTS,
    "dry_run": st.booleans(),
}
FIELDS = [*schema("request")["properties"], "phone", "Mobile", "", "sign"]


@st.composite
def near(draw: st.DrawFn) -> dict[str, Any]:
    """A request with a few fields, good ones most often."""
    chosen = draw(st.lists(st.sampled_from(sorted(MORE)), max_size=4, unique=True))
    return {
        "mobile": draw(MOBILES),
        **draw(FORMS),
        **{name: draw(MORE[name]) for name in chosen},
    }


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    raw: Any = draw(near())
    for _ in range(draw(st.integers(0, 2))):
        raw = _changed(draw, raw)
    return raw


def _changed(draw: st.DrawFn, value: Any) -> Any:
    """The value with one thing changed: here, or somewhere inside."""
    if isinstance(value, dict) and value:
        name = draw(st.sampled_from(sorted(value)))
        match draw(st.sampled_from(["drop", "add", "replace", "inside", "inside"])):
            case "drop":
                return {key: each for key, each in value.items() if key != name}
            case "add":
                return {**value, draw(st.sampled_from(FIELDS)): draw(OTHER)}
            case "replace":
                return {**value, name: draw(OTHER)}
        return {**value, name: _changed(draw, value[name])}
    if isinstance(value, list) and value:
        at = draw(st.integers(0, len(value)))
        inside = [_changed(draw, value[at])] if at < len(value) else [draw(OTHER)]
        return value[:at] + inside + value[at + draw(st.integers(0, 1)) :]
    if isinstance(value, str):
        at = draw(st.integers(0, len(value)))
        return value[:at] + draw(st.sampled_from(ODD)) + value[at + draw(st.integers(0, 1)) :]
    if isinstance(value, int) and draw(st.booleans()):
        return draw(st.sampled_from([value - 1, value + 1, float(value), str(value), -value]))
    return draw(OTHER)
