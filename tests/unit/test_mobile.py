"""Numbers as people paste them: what is taken off, what is named as being in the way, what is masked."""

import pytest
from voice_gateway.model import mobile
from voice_gateway.sending import reading
from voice_gateway.sending.reading import InvalidRequest

pytestmark = pytest.mark.disable_socket

NOW = 1800000000.0

PASTED = {
    "isolates around it": ("\u206813800138003\u2069", "13800138003"),
    "embedding around it": ("\u202a13800138002\u202c", "13800138002"),
    "a direction mark": ("\u200e13800138001", "13800138001"),
    "a byte order mark": ("\ufeff13800138004", "13800138004"),
    "no-break blanks": ("138\u00a00013\u00a08006", "13800138006"),
    "narrow and ideographic blanks": ("138\u202f0013\u30008006", "13800138006"),
    "non-breaking hyphens": ("138\u20110013\u20118000", "13800138000"),
    "en dashes": ("138\u20130013\u20138000", "13800138000"),
    "em dashes and a minus": ("138\u20140013\u22128000", "13800138000"),
    "a full-width hyphen": ("138－0013－8000", "13800138000"),
    "a soft hyphen": ("138\u00ad0013\u00ad8000", "13800138000"),
    "a zero-width blank": ("138\u200b0013\u200b8000", "13800138000"),
    "a variation selector": ("138\ufe0d00138005", "13800138005"),
    "a variation selector of the supplement": ("138\U000e010000138005", "13800138005"),
    "full-width digits": ("１３８００１３８０００", "13800138000"),
    "full-width all of it": ("＋８６（１３８）００１３８０００", "13800138000"),
    "a country code in brackets": ("(+86)13800138000", "13800138000"),
    "the area in brackets": ("(138)00138000", "13800138000"),
    "other brackets": ("【138】0013「8000」", "13800138000"),
    "a link": ("tel:+8613800138000", "13800138000"),
    "a link in capitals": ("TEL:+86-138-0013-8000", "13800138000"),
    "a newline after it": ("13800138000\n", "13800138000"),
    "tabs and line separators": ("\t13800138000\u2028", "13800138000"),
    "full stops": ("138.0013.8013", "13800138013"),
    "full-width full stops": ("138．0013。8013", "13800138013"),
    "a country code with blanks": ("00 86 138 0013 8000", "13800138000"),
}
ODD = {
    "13800138\u066000": "U+0660 (ARABIC-INDIC DIGIT ZERO)",
    "1380013800\u0966": "U+0966 (DEVANAGARI DIGIT ZERO)",
    "1380013800O": "U+004F (LATIN CAPITAL LETTER O)",
    "13800138000\x00": "U+0000",
    "13800138000,13800138001": "U+002C (COMMA)",
    "138/0013/8000": "U+002F (SOLIDUS)",
    "138+00138000": "U+002B (PLUS SIGN)",
    "1380013800\U0001d7ce": "U+1D7CE (MATHEMATICAL BOLD DIGIT ZERO)",
    "1380013800①": "U+2460 (CIRCLED DIGIT ONE)",
    "tel:13800138000;ext=1": "U+003B (SEMICOLON)",
    "\ud83d13800138000": "U+D83D",
}


def test_the_categories_are_what_counts_not_a_list() -> None:
    for around in "\u2003\u2028\u058a\u2e3a\u301c\u2045\u2046\u2062\u061c\U000e0001\u180b":
        assert mobile.normalise(f"138{around}00138000{around}") == "13800138000", ascii(around)


@pytest.mark.parametrize(("pasted", "number"), PASTED.values(), ids=PASTED)
def test_a_number_is_read_as_people_paste_it(pasted: str, number: str) -> None:
    request = reading.read({"mobile": pasted, "content": "x"}, "m1", NOW)
    plain = reading.read({"mobile": number, "content": "x"}, "m1", NOW)
    assert request.mobile == number
    assert request.fingerprint == plain.fingerprint


@pytest.mark.parametrize(("pasted", "number"), PASTED.values(), ids=PASTED)
def test_a_number_is_masked_as_it_is_read(pasted: str, number: str) -> None:
    shown = mobile.masked(f"no {pasted} here")
    assert number[-4:] in shown
    digits = "".join(char for char in shown if char.isdigit())
    assert digits == number[-4:]


@pytest.mark.parametrize(("given", "named"), ODD.items())
def test_the_error_names_what_is_in_the_way_and_shows_no_number(given: str, named: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        reading.read({"mobile": given, "content": "x"}, "m1", NOW)
    assert caught.value.fault.code == "invalid_mobile"
    assert caught.value.fault.message.endswith(f"; {named} is in the way")
    assert "1380013" not in caught.value.fault.message


@pytest.mark.parametrize("number", [13800138008, 8613800138008])
def test_a_number_may_be_an_integer(number: int) -> None:
    assert reading.read({"mobile": number, "content": "x"}, "m1", NOW).mobile == "13800138008"


@pytest.mark.parametrize("number", [-13800138008, 13800138008.0, 1380013800, True, 10**400])
def test_any_other_number_is_none(number: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        reading.read({"mobile": number, "content": "x"}, "m1", NOW)
    assert caught.value.fault.code == "invalid_mobile"


@pytest.mark.parametrize(
    "name", ["138\u20110013\u20118000", "x" * 58 + "13800138000", "x" * 62 + "138 0013 8000", "\u206813800138000\u2069"]
)
def test_a_number_in_a_name_is_masked_before_the_name_is_cut(name: str) -> None:
    for raw in ({name: 1}, {"template": "t", "params": {name: 1.5}}):
        with pytest.raises(InvalidRequest) as caught:
            reading.read({"mobile": "13800138001", **raw}, "m1", NOW)
        assert "138" not in caught.value.fault.message


def test_what_is_no_number_is_not_masked() -> None:
    for text in ("20261122110402", "2026-11-22 11:04:02", "9633", "12800138000", "138001380000", "call 60495654"):
        assert mobile.masked(text) == text
    assert mobile.masked("order 15 13800138000, 86 138 0013 8001.") == "order 15 *8000, *8001."


@pytest.mark.parametrize("char", ["\uffe3", "⒈", "🄀"], ids=["macron", "one and full stop", "zero and full stop"])
def test_what_is_more_than_one_character_is_in_the_way_and_nothing_worse(char: str) -> None:
    """A full-width macron is two characters when it is made plain; a number with its full stop is a number."""
    assert mobile.normalise(f"{char}13800138000") is None
    assert str(mobile.in_the_way(f"13800{char}138000")).startswith(f"U+{ord(char):04X}")
    assert mobile.masked(f"錯誤{char} 13800138000") == f"錯誤{char} *8000"
