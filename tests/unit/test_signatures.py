"""Tokens in callback addresses: nobody without a key can make one, or make another of one."""

import base64
import hashlib
import hmac
import json
import string

import pytest
from voice_gateway.model.errors import BadToken, SettingsError
from voice_gateway.platform import callback_tokens
from voice_gateway.platform.callback_tokens import CallToken, Keyring, UnknownKey

pytestmark = pytest.mark.disable_socket

NOW = 1_795_392_000.0
NUMBER_KEY = "n" * 32
OLD, NEW = "o" * 40, "w" * 40
ALPHABET = string.ascii_letters + string.digits + "-_."
CALL = CallToken("order-9633", "a1b2c3", int(NOW) + 3600)


def keyring(**keys: str) -> Keyring:
    return Keyring.from_secret(json.dumps({"keys": keys or {"k1": OLD}, "number_key": NUMBER_KEY}))


def forged(token: str, now: float = NOW, ring: Keyring | None = None) -> bool:
    try:
        (ring or keyring()).read_call_token("jumdata", token, now)
    except BadToken:
        return True
    return False


# -- round trip


@pytest.mark.parametrize("message_id", ["a", "order-9633", "A-Z.a_z:0-9", "x" * 128, "....", "a.b.c"])
def test_a_token_says_what_went_into_it(message_id: str) -> None:
    call = CallToken(message_id, "a1b2c3", CALL.expires)
    token = keyring().call_token("jumdata", call)
    assert keyring().read_call_token("jumdata", token, NOW) == call


def test_a_token_fits_in_an_address() -> None:
    token = keyring().call_token("jumdata", CallToken("x" * 128, "a" * 32, CALL.expires))
    assert set(token) <= set(ALPHABET)
    assert len(token) <= 512
    assert set(keyring().static_token("dxtong")) <= set(ALPHABET)


def test_a_token_is_signed_with_hmac_sha256() -> None:
    text, _, mac = keyring().call_token("jumdata", CALL).rpartition(".")
    digest = hmac.new(OLD.encode(), f"jumdata/{text}".encode(), hashlib.sha256).digest()
    assert mac == base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_a_token_is_good_until_it_expires() -> None:
    token = keyring().call_token("jumdata", CALL)
    assert not forged(token, CALL.expires - 0.001)
    assert forged(token, CALL.expires)
    assert forged(token, CALL.expires + 1e9)


# -- forgery


def test_every_mutation_of_a_single_character_is_refused() -> None:
    ring = keyring(k1=OLD, k2=NEW)
    token = ring.call_token("jumdata", CALL)
    for at, there in enumerate(token):
        for other in ALPHABET.replace(there, ""):
            assert forged(token[:at] + other + token[at + 1 :], ring=ring), (at, other)


def test_every_character_that_is_left_out_or_doubled_is_refused() -> None:
    token = keyring().call_token("jumdata", CALL)
    for at, there in enumerate(token):
        assert forged(token[:at] + token[at + 1 :])
        assert forged(token[:at] + there + token[at:])


def test_every_mutation_of_a_static_token_is_refused() -> None:
    ring = keyring(k1=OLD, k2=NEW)
    token = ring.static_token("dxtong")
    for at, there in enumerate(token):
        for other in ALPHABET.replace(there, ""):
            with pytest.raises(BadToken):
                ring.check_static_token("dxtong", token[:at] + other + token[at + 1 :])


def test_another_spelling_of_the_same_bytes_is_a_forgery() -> None:
    """43 characters of base64url hold 258 bits for a MAC of 256: three aliases decode to the same bytes."""
    token = keyring().call_token("jumdata", CALL)
    mac = token.rpartition(".")[2]
    same = [
        token[:-1] + last
        for last in ALPHABET.replace(".", "")
        if last != token[-1] and base64.urlsafe_b64decode(mac[:-1] + last + "=") == base64.urlsafe_b64decode(mac + "=")
    ]
    assert len(same) == 3
    assert all(forged(each) for each in same)
    assert forged(token + "=")


@pytest.mark.parametrize(
    "token",
    ["", "a", "a" * 19, "a" * 513, "a" * 5000, "a" * 30 + "\n", "a" * 30 + "%2e", "é" * 30, "六" * 30, "a/b" * 10,
     "....................", "a.b.c.k1." + "d" * 43, "a.b.k1." + "d" * 43, "static.k1." + "A" * 43],
)  # fmt: skip
def test_what_is_no_token_is_refused(token: str) -> None:
    assert forged(token)
    with pytest.raises(BadToken):
        keyring().check_static_token("dxtong", token)


def test_length_and_alphabet_are_looked_at_without_a_key() -> None:
    token = keyring().call_token("jumdata", CALL)
    assert callback_tokens.well_formed(token) == token
    for malformed in (token + "\n", " " + token, token.replace(".", "/"), token[:19], token * 10, ""):
        with pytest.raises(BadToken):
            callback_tokens.well_formed(malformed)


def test_a_token_of_another_vendor_is_refused() -> None:
    token = keyring().call_token("dxtong", CALL)
    assert forged(token)
    with pytest.raises(BadToken):
        keyring().check_static_token("dxtong", keyring().static_token("jumdata"))


def test_a_static_token_and_a_call_s_do_not_stand_in_for_each_other() -> None:
    assert forged(keyring().static_token("jumdata"))
    with pytest.raises(BadToken):
        keyring().check_static_token("jumdata", keyring().call_token("jumdata", CALL))
    named_static = CallToken("static", "static", CALL.expires)
    with pytest.raises(BadToken):
        keyring().check_static_token("jumdata", keyring().call_token("jumdata", named_static))


def test_fields_of_two_tokens_do_not_mix() -> None:
    first = keyring().call_token("jumdata", CALL).split(".")
    second = keyring().call_token("jumdata", CallToken("order-9634", "d4e5f6", CALL.expires + 1)).split(".")
    for at in range(len(first)):
        mixed = [*first[:at], second[at], *first[at + 1 :]]
        assert mixed == first or forged(".".join(mixed))


def test_a_refusal_shows_no_token() -> None:
    token = keyring().call_token("jumdata", CALL)[:-1] + "."
    with pytest.raises(BadToken) as caught:
        keyring().read_call_token("jumdata", token, NOW)
    assert token[:20] not in str(caught.value)


# -- rotation


def test_the_newest_key_signs_and_every_live_one_is_taken() -> None:
    before, during, after = keyring(k1=OLD), keyring(k1=OLD, k2=NEW), keyring(k2=NEW)
    old, new = before.call_token("jumdata", CALL), during.call_token("jumdata", CALL)
    assert old != new == after.call_token("jumdata", CALL)
    for ring, token in ((during, old), (during, new), (after, new)):
        assert ring.read_call_token("jumdata", token, NOW) == CALL


def test_a_key_that_is_not_there_is_told_from_a_forgery() -> None:
    """It may have been added a moment ago: the secret is worth another look, at most once a minute."""
    with pytest.raises(UnknownKey):
        keyring(k2=NEW).read_call_token("jumdata", keyring(k1=OLD).call_token("jumdata", CALL), NOW)
    with pytest.raises(UnknownKey):
        keyring(k2=NEW).check_static_token("dxtong", keyring(k1=OLD).static_token("dxtong"))
    assert issubclass(UnknownKey, BadToken)


def test_the_same_id_with_another_key_is_a_forgery() -> None:
    with pytest.raises(BadToken) as caught:
        keyring(k1=NEW).read_call_token("jumdata", keyring(k1=OLD).call_token("jumdata", CALL), NOW)
    assert type(caught.value) is BadToken


def test_a_static_token_outlives_the_addition_of_a_key() -> None:
    """The address stands in a vendor's console: a rotation must leave time to change it there."""
    token = keyring(k1=OLD).static_token("dxtong")
    keyring(k1=OLD, k2=NEW).check_static_token("dxtong", token)
    assert keyring(k1=OLD, k2=NEW).static_token("dxtong") != token
    assert keyring(k1=OLD).static_token("dxtong") == token


# -- the secret


def test_an_empty_key_is_derived_from_the_number_key_and_its_own_id() -> None:
    keys = keyring(k1="", k2="").keys
    assert len({NUMBER_KEY.encode(), *keys.values()}) == 3
    assert all(len(key) >= 32 for key in keys.values())
    other = Keyring.from_secret(json.dumps({"keys": {"k1": ""}, "number_key": "m" * 32}))
    with pytest.raises(BadToken):
        other.check_static_token("dxtong", keyring(k1="").static_token("dxtong"))


def test_the_address_printed_for_dxtong_is_the_one_that_is_taken() -> None:
    secret = json.dumps({"keys": {"k1": OLD, "k2": NEW}, "number_key": NUMBER_KEY})
    Keyring.from_secret(secret).check_static_token("dxtong", Keyring.from_secret(secret).static_token("dxtong"))


@pytest.mark.parametrize(
    "secret",
    [
        "", "secret", "null", "[]", "1", '"text"', "{}", '{"keys": {}}',
        json.dumps({"keys": {"k1": ""}}),
        json.dumps({"number_key": NUMBER_KEY}),
        json.dumps({"keys": {}, "number_key": NUMBER_KEY}),
        json.dumps({"keys": [OLD], "number_key": NUMBER_KEY}),
        json.dumps({"keys": OLD, "number_key": NUMBER_KEY}),
        json.dumps({"keys": {"k1": ""}, "number_key": "short"}),
        json.dumps({"keys": {"k1": ""}, "number_key": 1}),
        json.dumps({"keys": {"k.1": ""}, "number_key": NUMBER_KEY}),
        json.dumps({"keys": {"": ""}, "number_key": NUMBER_KEY}),
        json.dumps({"keys": {"k" * 33: ""}, "number_key": NUMBER_KEY}),
        json.dumps({"keys": {"k1": "z" * 31}, "number_key": NUMBER_KEY}),
        json.dumps({"keys": {"k1": None}, "number_key": NUMBER_KEY}),
        json.dumps({"keys": {"k1": 1}, "number_key": NUMBER_KEY}),
        json.dumps({"keys": {"k1": OLD, "k2": "short"}, "number_key": NUMBER_KEY}),
    ],
)  # fmt: skip
def test_a_secret_that_is_set_up_wrongly_fails_closed_and_shows_nothing(secret: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Keyring.from_secret(secret)
    assert not any(private in str(caught.value) for private in (OLD, NUMBER_KEY, "z" * 31))
