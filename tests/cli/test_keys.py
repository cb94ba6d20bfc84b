"""`voice-gateway keys`: every step, what is checked before it, and what is told."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from voice_gateway.platform.callback_tokens import Keyring
from voice_gateway_cli.keys import rotation as notes
from voice_gateway_cli.keys.rotation import Rotation, Step
from voice_gateway_cli.keys.standing import next_id

from tests.cli.operated import DAY, NUMBER_KEY, SHORT, STEPS, World, world


@pytest.fixture
def gateway() -> Iterator[World]:
    with world() as made:
        yield made


# One step after the other.


def test_the_steps_are_those_of_the_documentation(gateway: World) -> None:
    (old,) = gateway.keys
    assert gateway.rotate()["did"] == ["added"]
    assert list(gateway.keys) == ["k2", old]
    assert len(gateway.keys["k2"]) >= 40
    assert gateway.keys["k2"].isalnum()
    added = gateway.keys
    gateway.clock.shift(SHORT)
    assert gateway.rotate()["did"] == ["signing"]
    assert list(gateway.keys) == [old, "k2"]
    assert gateway.keys == added
    told = gateway.rotate("--registered")
    assert (told["did"], told["next"]["action"]) == (["registered"], "remove")
    gateway.clock.shift(30 * DAY - 1)
    assert gateway.rotate()["did"] == []
    assert list(gateway.keys) == [old, "k2"]
    gateway.clock.shift(SHORT + 1)
    assert gateway.rotate()["did"] == ["done"]
    assert gateway.keys == {"k2": added["k2"]}
    assert gateway.content["number_key"] == NUMBER_KEY


@pytest.mark.parametrize("step", list(STEPS))
def test_a_step_that_is_not_due_is_not_done_and_says_how_long(gateway: World, step: str) -> None:
    options = gateway.due(step)
    gateway.rotate(*options)
    version = gateway.content
    for _ in range(2):
        done = gateway.operate("keys", "rotate")
        assert done.exit_code == 0
        assert gateway.content == version
    words = {"added": "in 6 min", "signing": "register", "registered": "in 30 days", "done": "in 6 min"}
    assert words[step] in done.stdout


def test_whatever_send_signs_meanwhile_is_good_at_every_instance(gateway: World) -> None:
    """An instance keeps the secret for five minutes, whenever it read it: so does the one that signs."""
    signed = [(0.0, gateway.keyring)]
    steps = iter([(), (), ("--registered",)])
    for minute in range(25):
        if minute % 8 == 2 and (options := next(steps, None)) is not None:
            assert gateway.rotate(*options)["did"]
        signed.append((60.0 * minute, gateway.keyring))
        for at, keyring in signed:
            if 60 * minute - at <= 300 or keyring is signed[0][1]:
                assert gateway.taken(keyring), f"signed at {at:.0f} s, minute {minute}"
        gateway.clock.shift(60)


def test_the_waits_can_be_waited_for_and_old_addresses_are_refused_at_the_end(gateway: World) -> None:
    old = gateway.keyring
    told = gateway.rotate("--wait")
    assert (told["did"], told["next"]["action"]) == (["added", "signing"], "register")
    done = gateway.operate("keys", "rotate", "--wait", "--registered", "--without-waiting", "--yes")
    assert done.exit_code == 0
    assert "callback of jumdata: an address signed with k1 is refused" in done.stdout
    assert not gateway.taken(old)
    assert gateway.taken(gateway.keyring)
    assert list(gateway.keys) == ["k2"]


def test_a_key_that_became_known_is_out_without_the_long_wait_and_that_is_remembered(gateway: World) -> None:
    assert gateway.rotate("--compromised", "--wait")["did"] == ["added", "signing"]
    told = gateway.rotate("--registered")
    assert (told["did"], told["next"]["seconds"] <= SHORT) == (["registered"], True)
    gateway.clock.shift(SHORT)
    refused = gateway.operate("keys", "rotate")
    assert refused.exit_code == 2
    assert "Take k1 out" in refused.output
    assert gateway.rotate("--yes")["did"] == ["done"]


def test_old_keys_go_out_early_only_when_somebody_says_so(gateway: World) -> None:
    gateway.to("registered")
    asked = gateway.operate("keys", "rotate", "--without-waiting")
    assert asked.exit_code == 2
    assert list(gateway.keys) == ["k1", "k2"]
    gateway.clock.shift(30 * DAY)
    assert gateway.rotate("--without-waiting")["did"] == ["done"], "no question when it is due anyway"


def test_not_even_an_emergency_takes_a_key_out_that_may_still_sign(gateway: World) -> None:
    gateway.rotate("--compromised")
    gateway.clock.shift(SHORT)
    gateway.rotate("--compromised")
    told = gateway.rotate("--compromised", "--registered", "--yes")
    assert told["did"] == ["registered"]
    assert told["next"]["seconds"] > 300


def test_a_shorter_retention_does_not_shorten_what_was_promised(gateway: World) -> None:
    gateway.to("registered")
    gateway.parameters["RetentionDays"] = "1"
    gateway.clock.shift(29 * DAY)
    assert gateway.rotate()["did"] == []
    gateway.clock.shift(DAY)
    assert gateway.rotate()["did"] == ["done"]


def test_a_further_rotation_begins_where_the_last_one_ended(gateway: World) -> None:
    for key in ("k2", "k3"):
        for options in STEPS.values():
            gateway.rotate(*options)
            gateway.clock.shift(SHORT)
        assert list(gateway.keys) == [key]


def test_without_callbacks_nothing_is_asked_or_registered(gateway: World) -> None:
    gateway.push = False
    done = gateway.operate("keys", "rotate")
    assert "no callbacks (CallbackMode is poll)" in done.stdout
    gateway.clock.shift(SHORT)
    told = gateway.rotate()
    assert (told["did"], told["next"]["action"]) == (["signing"], "remove")
    gateway.clock.shift(30 * DAY + SHORT)
    assert gateway.rotate()["did"] == ["done"]
    assert gateway.asked == []


# What else is in the secret.


def test_other_fields_stay_and_a_binary_secret_is_read(gateway: World) -> None:
    content = {"x": [1, 2.5, None], "number_key": NUMBER_KEY, "keys": {"k1": ""}, "note": "数"}
    gateway.client.put_secret_value(SecretId=gateway.arn, SecretBinary=b"\xef\xbb\xbf" + json.dumps(content).encode())
    assert gateway.rotate()["did"] == ["added"]
    assert {name: gateway.content[name] for name in ("x", "number_key", "note")} == {
        name: content[name] for name in ("x", "number_key", "note")
    }


@pytest.mark.parametrize("text", ['{"keys": {}, "number_key": "' + "n" * 64 + '"}', "{", "[]", '{"keys": {"k1": ""}}'])
def test_a_secret_that_is_none_is_told_and_left_alone(gateway: World, text: str) -> None:
    good = json.dumps(gateway.content)
    gateway.client.put_secret_value(SecretId=gateway.arn, SecretString=text)
    read: Any = gateway.client.get_secret_value
    try:
        with pytest.MonkeyPatch.context() as patch:  # World looks for secrets in what is printed
            patch.setattr(World, "keyring", Keyring.from_secret(good))
            patch.setattr(World, "keys", {})
            done = gateway.operate("keys", "rotate")
        assert (done.exit_code, done.output.count("callback secret")) == (1, 1)
        assert read(SecretId=gateway.arn)["SecretString"] == text
    finally:
        gateway.client.put_secret_value(SecretId=gateway.arn, SecretString=good)


# Checked before each step.


@pytest.mark.parametrize("step", list(STEPS))
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (404, "3 of 3 requests refuse an address signed with"),
        (403, "is this machine's address in CallbackCidrs? To go on without asking: --without-asking"),
        (500, "is answered 500, not 413"),
        (429, "throttles every request"),
    ],
)
def test_no_step_is_done_that_the_callbacks_are_not_ready_for(
    gateway: World, step: str, answer: int, words: str
) -> None:
    options = gateway.due(step)
    content = gateway.content
    gateway.answers = lambda _: answer
    done = gateway.operate("keys", "rotate", *options)
    assert (done.exit_code, done.output.count(words)) == (1, 1)
    assert gateway.content == content
    told = gateway.rotate("--without-asking", *options)
    assert told["did"] == [step]


def test_callbacks_that_cannot_be_reached_are_told(gateway: World) -> None:
    def unreachable(_: str) -> int:
        raise OSError("no route")

    gateway.answers = unreachable
    done = gateway.operate("keys", "rotate")
    assert done.exit_code == 1
    assert "cannot be reached: no route. To go on without asking" in done.output


def test_several_instances_are_asked_with_old_and_new(gateway: World) -> None:
    gateway.to("added")
    gateway.asked.clear()
    gateway.rotate()
    asked = [address.split("/")[-2] + " " + address.split(".")[-2] for address in gateway.asked]
    assert {each: asked.count(each) for each in asked} == {
        "dxtong k1": 3,
        "dxtong k2": 3,
        "jumdata k1": 3,
        "jumdata k2": 3,
    }


# What is told.


def test_status_says_where_it_stands_and_changes_nothing(gateway: World) -> None:
    gateway.to("signing")
    content = gateway.content
    said = gateway.operate("keys", "status")
    assert said.exit_code == 0
    assert said.stdout == gateway.operate("keys", "rotate", "--status").stdout
    for words in ("k1, k2; k2 signs", "k2 was added", "k2 began to sign", "next  register the new address with dxtong"):
        assert words in said.stdout
    assert gateway.content == content
    assert gateway.status() == {
        "stack": "voice-gateway-test",
        "keys": ["k1", "k2"],
        "signing": "k2",
        "rotation": {
            "key": "k2",
            "old": ["k1"],
            "step": "signing",
            "at": {"added": "2027-01-15T08:00:00Z", "signing": "2027-01-15T08:06:00Z"},
            "compromised": False,
        },
        "changed_by_hand_at": None,
        "puzzle": None,
        "next": {"action": "register", "at": None, "seconds": 0},
    }


def test_a_stack_without_retention_is_no_gateway(gateway: World) -> None:
    gateway.parameters.clear()
    assert "has no parameter RetentionDays" in gateway.operate("keys", "status").output


@pytest.mark.parametrize(
    ("used", "expected"), [(["k1"], "k2"), (["k9", "k10"], "k11"), (["mine"], "k1"), (["k2", "k5", "x"], "k6")]
)
def test_ids_of_keys_are_counted_on(used: list[str], expected: str) -> None:
    assert next_id(used) == expected


def test_the_id_of_a_key_that_was_given_up_is_not_taken_again(gateway: World) -> None:
    gateway.to("added")
    gateway.by_hand({"k1": ""})
    assert gateway.rotate()["rotation"]["key"] == "k3"


GOOD = Rotation("k2", ("k1",), Step.ADDED, {"added": 5.0}, 30, version="v").written()


def test_a_note_is_read_as_it_was_written() -> None:
    assert notes.read(json.loads(json.dumps(GOOD))) == Rotation(
        "k2", ("k1",), Step.ADDED, {"added": 5.0}, 30, version="v"
    )


@pytest.mark.parametrize(
    "value",
    [
        None,
        "added",
        [],
        {},
        GOOD | {"step": "gone"},
        GOOD | {"at": {"added": 5}},
        GOOD | {"at": {"added": "soon"}},
        GOOD | {"old": 5},
        GOOD | {"key": 5},
        GOOD | {"days": "many"},
    ],
)
def test_a_note_that_cannot_be_read_is_none(value: Any) -> None:
    assert notes.read(value) is None
