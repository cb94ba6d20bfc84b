"""Ten thousand tokens that are not ours, at the warm callback functions: each costs nothing, and says nothing."""

import base64
import hashlib
import hmac
import itertools
import json
import random
import string
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

import pytest
import time_machine
from voice_gateway.platform.callback_tokens import CallToken, Keyring

from local.simulators.jumdata import JumdataSimulator
from tests.functions.test_callbacks import dxtong_receipt, event, own_token, push_dxtong, push_jumdata, succeeded
from tests.functions.test_send import SHIPPED, Wire, number
from tests.gateway import SECRETS, STACK, Gateway

SEED = 20261122
MANY = 5000  # for each vendor
NUMBER_KEY = SECRETS["callback"]["number_key"]
SECRET = {"keys": {"k1": "", "k2": "2" * 40}, "number_key": NUMBER_KEY}
KEYRING = Keyring.from_secret(json.dumps(SECRET))
BEFORE = Keyring.from_secret(json.dumps({**SECRET, "keys": {"k1": ""}}))
ALPHABET = string.ascii_letters + string.digits + "-_."
BASE64URL = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
BLANKS = [" ", "\t", "\n", "\r\n", "\x0b", "\x0c", "\x00", "\x1f", "\x85", "\u00a0", "\u2028", "\u3000", "\ufeff"]
STRANGE = ["数", "é", "\u200b", "\u202e", "\u0301", "\u2024", "．", "😀", "\udc80", "\ud800", "\uffff", "ı", "ſ", "K"]


def encoded(data: bytes | str) -> str:
    data = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Forger:
    """Somebody who has seen many addresses, and knows all of the format and none of the keys."""

    def __init__(self, vendor: str, good: list[str], now: float, seed: int) -> None:
        self.vendor, self.good, self.now = vendor, good, int(now)
        self.other = "jumdata" if vendor == "dxtong" else "dxtong"
        self.random = random.Random(seed)
        self.kinds = {
            name: kind for name in dir(self) if not name.startswith("_") and callable(kind := getattr(self, name))
        }

    def _one(self) -> str:
        return self.random.choice(self.good)

    def _fields(self) -> list[str]:
        return self._one().split(".")

    def _at(self, token: str) -> int:
        return self.random.randrange(len(token))

    def _with(self, place: int, field: str) -> str:
        fields = self._fields()
        fields[place % len(fields)] = field
        return ".".join(fields)

    def _body(self) -> list[str]:
        """What a token of the vendor's says, newly made up, and good for long."""
        if self.vendor == "dxtong":
            return ["static"]
        return [self._word(16), str(self.now + self.random.randint(1, 10**7)), encoded(f"m{self.random.randint(0, 9)}")]

    def _word(self, length: int, alphabet: str = BASE64URL) -> str:
        return "".join(self.random.choices(alphabet, k=length))

    def _signed(self, key: bytes, key_id: str, body: list[str] | None = None, by: str = "sha256") -> str:
        text = ".".join([*(body or self._body()), key_id])
        return f"{text}.{encoded(hmac.new(key, f'{self.vendor}/{text}'.encode(), by).digest())}"

    # A good token, changed.

    def bit_flipped(self) -> str:
        token = self._one()
        at = self._at(token)
        return token[:at] + chr(ord(token[at]) ^ (1 << self.random.randrange(8))) + token[at + 1 :]

    def bit_of_the_mac_flipped(self) -> str:
        *body, mac = self._fields()
        data = bytearray(base64.urlsafe_b64decode(mac + "="))
        data[self.random.randrange(32)] ^= 1 << self.random.randrange(8)
        return ".".join([*body, encoded(bytes(data))])

    def characters_swapped(self) -> str:
        characters = list(self._one())
        one, other = self.random.sample(range(len(characters)), 2)
        characters[one], characters[other] = characters[other], characters[one]
        return "".join(characters)

    def character_replaced(self) -> str:
        token = self._one()
        at = self._at(token)
        return token[:at] + self.random.choice(ALPHABET) + token[at + 1 :]

    def character_left_out(self) -> str:
        token = self._one()
        at = self._at(token)
        return token[:at] + token[at + 1 :]

    def alias_of_the_last_character(self) -> str:
        """The same 256 bits in another spelling: 43 characters hold two bits more."""
        token = self._one()
        return token[:-1] + BASE64URL[BASE64URL.index(token[-1]) ^ self.random.randint(1, 3)]

    def truncated(self) -> str:
        token = self._one()
        return token[: self._at(token)]

    def beginning_cut(self) -> str:
        token = self._one()
        return token[self._at(token) + 1 :]

    def extended(self) -> str:
        more = self._word(self.random.randint(1, 40), ALPHABET)
        return self._one() + more if self.random.random() < 0.5 else more + self._one()

    def doubled(self) -> str:
        return self.random.choice(["", ".", "/", ","]).join([self._one(), self._one()])

    def backwards(self) -> str:
        return ".".join(reversed(self._fields())) if self.random.random() < 0.5 else self._one()[::-1]

    def other_case(self) -> str:
        token = self._one()
        at = self.random.choice([at for at, each in enumerate(token) if each.isalpha()])
        one = token[:at] + token[at].swapcase() + token[at + 1 :]
        return self.random.choice([token.upper(), token.lower(), token.swapcase(), one])

    def other_key_id(self) -> str:
        return self._with(
            -2, self.random.choice(["k1", "k2", "K1", "k3", "k01", "", "0", "none", "keys", "number_key"])
        )

    def unknown_key_id(self) -> str:
        return self._with(-2, f"k{self.random.randint(3, 10**6)}")

    def other_mac(self) -> str:
        return self._with(-1, self._word(43))

    def empty_field(self) -> str:
        return self._with(self.random.randrange(5), "")

    def other_message_id(self) -> str:
        return self._with(-3, encoded(f"m{self.random.randint(0, 99)}"))

    def other_attempt(self) -> str:
        return self._with(-5 if self.vendor == "jumdata" else 0, self._word(16, "0123456789abcdef"))

    def other_expiry(self) -> str:
        return self._with(-4 if self.vendor == "jumdata" else 0, str(self.now + self.random.randint(1, 10**8)))

    def number_hash_for_a_field(self) -> str:
        """The keyed hash of a number is signed with a key of the same secret, and stands in for no signature."""
        hashed = Keyring({}, NUMBER_KEY).number_hash(number(self.random.randrange(100)))
        return self._with(self.random.choice([-1, -3]), self.random.choice([hashed, encoded(hashed)]))

    def fields_of_two(self) -> str:
        return ".".join(self.random.choice(pair) for pair in zip(self._fields(), self._fields(), strict=True))

    def padded(self) -> str:
        token, at = self._one(), self.random.choice([-1, 0, 1, 2])
        padding = "=" * self.random.randint(1, 3)
        if at < 0:
            return token + padding
        fields = token.split(".")
        fields[at] += padding
        return ".".join(fields)

    def other_base64(self) -> str:
        return self._one().replace("-", "+").replace("_", "/") + self.random.choice(["", "=", "+", "/"])

    def strange_letters(self) -> str:
        token = self._one()
        at = self._at(token)
        wide = chr(ord(token[at]) + 0xFEE0)  # NFKC makes the right letter of it
        return token[:at] + self.random.choice([wide, *STRANGE]) + token[at + self.random.randint(0, 1) :]

    def blanks(self) -> str:
        token, blank = self._one(), self.random.choice(BLANKS)
        return self.random.choice([token + blank, blank + token, token.replace(".", f".{blank}", 1)])

    def percent_encoded(self) -> str:
        token = self._one()
        at = self._at(token)
        return token[:at] + f"%{ord(token[at]):02x}" + token[at + 1 :]

    def parts_of_an_address(self) -> str:
        return self._one() + self.random.choice(["/", "/..", "?", "?a=b", "#", ";a=b", "%00", "\\", "//", "/../x"])

    # Signed, by somebody else or for something else.

    def signed_with_an_unknown_key(self) -> str:
        return self._signed(self.random.randbytes(32), self.random.choice(["k1", "k2"]))

    def signed_with_an_unknown_key_of_its_own(self) -> str:
        return self._signed(self.random.randbytes(32), f"k{self.random.randint(3, 10**6)}")

    def signed_with_what_is_no_signing_key(self) -> str:
        return self._signed(self.random.choice([b"", b"k1", b"\0", NUMBER_KEY.encode(), b"None"]), "k1")

    def signed_by_another_hash(self) -> str:
        key_id = self.random.choice(["k1", "k2"])
        return self._signed(KEYRING.keys[key_id], key_id, by=self.random.choice(["md5", "sha1", "sha384", "sha512"]))

    def hashed_without_a_key(self) -> str:
        text = ".".join([*self._body(), "k2"])
        return f"{text}.{encoded(hashlib.sha256(f'{self.vendor}/{text}'.encode()).digest())}"

    def signed_for_the_other_vendor(self) -> str:
        call = CallToken(f"m{self.random.randint(0, 9)}", self._word(16), self.now + 3600)
        made = [KEYRING.static_token(self.other), KEYRING.call_token(self.other, call)]
        return self.random.choice(made)

    def signed_for_the_other_kind_of_address(self) -> str:
        call = CallToken(f"m{self.random.randint(0, 9)}", "static", self.now + 3600)
        return KEYRING.static_token("jumdata") if self.vendor == "jumdata" else KEYRING.call_token("dxtong", call)

    def expired(self) -> str:
        """Ours in every way, and over: by a second or by years. dxtong's address has no end."""
        call = CallToken(f"m{self.random.randint(0, 9)}", self._word(16), self.now - self.random.randint(0, 10**8))
        return self.random.choice([BEFORE, KEYRING]).call_token(self.vendor, call)

    # Nothing of the kind.

    def nothing(self) -> str:
        return self.random.choice(
            ["", ".", "." * 20, "....", "static", "static.k1.", "null", "undefined", "-", "{token}"]
        )

    def noise(self) -> str:
        return self._word(self.random.randint(1, 600), ALPHABET)

    def very_long(self) -> str:
        return self._one() + self._word(1, ALPHABET) * self.random.choice([500, 10_000, 200_000])


def genuine(gateway: Gateway, jumdata: JumdataSimulator) -> dict[str, list[str]]:
    """Good tokens of each vendor: of calls that were really placed, under both of two live keys."""
    tokens = []
    for at in range(4):
        gateway.send(message_id=f"m{at}", mobile=number(at), vendor="jumdata", **SHIPPED)
        tokens.append(own_token(jumdata))
        if at == 1:
            put = gateway.client("secretsmanager").put_secret_value
            put(SecretId=f"{STACK}/callback", SecretString=json.dumps(SECRET))
            gateway.start_anew("send")
    return {"jumdata": tokens, "dxtong": [BEFORE.static_token("dxtong"), KEYRING.static_token("dxtong")]}


def receipt(vendor: str, call_id: str, token: str) -> dict[str, Any]:
    """A receipt that would settle a message, were its token good."""
    if vendor == "dxtong":
        return event(vendor, token, dxtong_receipt(call_id), "application/x-www-form-urlencoded")
    return event(vendor, token, json.dumps({"callId": "1", "callStatus": 0}).encode(), "application/json")


def everything_kept(gateway: Gateway) -> Any:
    items = gateway.client("dynamodb").scan(TableName=gateway.environ["CALLS_TABLE"])["Items"]
    letters = {queue: gateway.taken(queue) for queue in ("outbox", "dead-letters")}
    return sorted(json.dumps(item, sort_keys=True) for item in items), letters


@pytest.fixture
def now() -> Iterator[float]:
    """The clock stands still: a cache that ran out would be read again, and rightly."""
    now = time.time()
    with time_machine.travel(now, tick=False):
        yield now


def forge(kinds: Collection[Callable[[], str]], good: list[str], count: int) -> list[str]:
    """So many different tokens, of each kind as many; a swap of two equal letters is no forgery."""
    forged: dict[str, None] = {}
    for kind in itertools.cycle(kinds):
        token = kind()
        if token not in good:
            forged[token] = None
        if len(forged) == count:
            break
    return list(forged)


@pytest.mark.parametrize("vendor", ["dxtong", "jumdata"])
def test_ten_thousand_forged_tokens_are_404_store_nothing_and_ask_aws_for_nothing(
    gateway: Gateway, jumdata: JumdataSimulator, now: float, vendor: str
) -> None:
    good = genuine(gateway, jumdata)
    sent = gateway.send(message_id="d1", mobile=number(5), vendor="dxtong", **SHIPPED)
    forger = Forger(vendor, good[vendor], now, SEED)
    tokens = forge(forger.kinds.values(), good[vendor], MANY)
    push = partial(gateway.invoke, f"callback_{vendor}")
    # Warm: the secret is in memory, and the one look that unknown key ids are worth a minute has been taken.
    warm = [push(receipt(vendor, "1", token)) for token in ("a" * 60, forger.unknown_key_id(), forger.other_mac())]
    assert {answer["statusCode"] for answer in warm} == {404}
    before = everything_kept(gateway)
    wire = Wire(gateway)

    answers = Counter[tuple[int, str]]()
    for token in tokens:
        answer = push(receipt(vendor, sent["call_id"], token))
        answers[answer["statusCode"], answer["body"]] += 1

    assert answers == {(404, ""): MANY}
    assert wire.operations == []
    assert everything_kept(gateway) == before
    # And all that time the door was open to those who hold a token of ours.
    for token in good[vendor]:
        assert succeeded(push(receipt(vendor, sent["call_id"], token)))


@pytest.mark.parametrize("vendor", ["dxtong", "jumdata"])
def test_unknown_key_ids_have_the_secret_read_once_a_minute_and_no_oftener(
    gateway: Gateway, jumdata: JumdataSimulator, now: float, vendor: str
) -> None:
    good = genuine(gateway, jumdata)
    forger = Forger(vendor, good[vendor], now, SEED)
    kinds = [forger.unknown_key_id, forger.signed_with_an_unknown_key_of_its_own]
    gateway.invoke(f"callback_{vendor}", receipt(vendor, "1", forger.other_mac()))
    wire = Wire(gateway)
    for minute in range(10):
        for second, token in enumerate(forge(kinds, good[vendor], 59)):
            with time_machine.travel(now + 60 * minute + second, tick=False):
                answer = gateway.invoke(f"callback_{vendor}", receipt(vendor, "1", token))
            assert (answer["statusCode"], answer["body"]) == (404, "")
    assert wire.operations == ["GetSecretValue"] * 10


def test_a_key_that_is_added_before_it_signs_loses_nothing_while_somebody_guesses(
    gateway: Gateway, jumdata: JumdataSimulator, now: float
) -> None:
    """Guessed key ids use up the one look a minute: so a key is added first, and signs when all know it (docs)."""

    def put(keys: dict[str, str]) -> None:
        content = json.dumps({"keys": keys, "number_key": NUMBER_KEY})
        gateway.client("secretsmanager").put_secret_value(SecretId=f"{STACK}/callback", SecretString=content)

    def guess() -> None:
        for vendor, body in (("dxtong", "static"), ("jumdata", f"a.{int(now) + 9999}.bTE")):
            made = receipt(vendor, "1", f"{body}.k9.{'A' * 43}")
            assert [gateway.invoke(f"callback_{vendor}", made)["statusCode"] for _ in range(3)] == [404] * 3

    def call(message_id: str, second: int) -> None:
        """A call is placed, while somebody guesses; its receipt and one of dxtong's come in."""
        with time_machine.travel(now + second, tick=False):
            guess()
            gateway.send(message_id=message_id, mobile=number(len(signed_by) % 10), vendor="jumdata", **SHIPPED)
            signing = own_token(jumdata).split(".")[-2]
            keys = signing_keyring(gateway)
            assert succeeded(push_jumdata(gateway, own_token(jumdata)))
            assert succeeded(push_dxtong(gateway, dxtong_receipt(str(1000 + second)), keys.static_token("dxtong")))
            assert gateway.status(message_id)["status"] == "delivered"
            signed_by[message_id] = signing

    signed_by: dict[str, str] = {}
    call("m1", 0)
    put({"k2": "2" * 40, "k1": ""})
    for second in (1, 30, 120, 299):
        call(f"m-added-{second}", second)
    put({"k1": "", "k2": "2" * 40})
    for second in (301, 302, 330, 599, 601, 602):
        call(f"m-signs-{second}", second)
    assert set(signed_by.values()) == {"k1", "k2"}
    assert signed_by["m-signs-602"] == "k2"


def signing_keyring(gateway: Gateway) -> Keyring:
    """As `make address` reads it."""
    return Keyring.from_secret(
        gateway.client("secretsmanager").get_secret_value(SecretId=f"{STACK}/callback")["SecretString"]
    )
