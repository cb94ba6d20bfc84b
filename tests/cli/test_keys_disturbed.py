"""`voice-gateway keys` that is interrupted, has company, or finds a secret that somebody edited by hand."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.operated import NUMBER_KEY, SHORT, STEPS, World, lost, world

WRITES = ("PutSecretValue", "UpdateSecretVersionStage")


@pytest.fixture
def gateway() -> Iterator[World]:
    with world() as made:
        yield made


# Interrupted, and not alone.


@pytest.mark.parametrize("step", list(STEPS))
@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("moment", ["before-call", "after-call"])
def test_an_interrupted_step_does_no_harm_and_is_gone_on_with(
    gateway: World, step: str, write: str, moment: str
) -> None:
    options = gateway.due(step)
    content, keyring = gateway.content, gateway.keyring
    with gateway.hooked(f"{moment}.secretsmanager.{write}", lost):
        done = gateway.operate("keys", "rotate", *options)
    assert done.exit_code == 1
    assert done.output.count("error: AWS cannot be reached") == 1
    written = (write, moment) == ("UpdateSecretVersionStage", "after-call")
    assert (gateway.content != content) is written
    assert step == "done" or gateway.taken(keyring)
    told = gateway.rotate(*(() if written else options))
    assert told["did"] == ([] if written else [step])
    assert told["rotation"]["step"] == step
    assert gateway.content["number_key"] == NUMBER_KEY


@pytest.mark.parametrize("step", list(STEPS))
@pytest.mark.parametrize("write", WRITES)
def test_of_two_operators_at_the_same_time_one_is_told_and_nothing_is_lost(
    gateway: World, step: str, write: str
) -> None:
    options = gateway.due(step)
    others: list[Any] = []

    def other(**_: Any) -> None:
        if not others:
            others.append(None)
            gateway.hooks.clear()
            others.append(gateway.rotate(*options)["did"])

    with gateway.hooked(f"before-call.secretsmanager.{write}", other):
        mine = gateway.operate("keys", "rotate", *options)
    assert others[1] == [step]
    assert mine.exit_code == 1
    assert "somebody else changed the secret at the same time; nothing was written" in mine.output
    assert gateway.status()["rotation"]["step"] == step
    assert len(gateway.keys) == (1 if step == "done" else 2)


@pytest.mark.parametrize("write", WRITES)
def test_an_edit_by_hand_at_the_same_time_stays(gateway: World, write: str) -> None:
    edited = {"number_key": NUMBER_KEY, "keys": {"mine": "m" * 40, "k1": ""}}
    with gateway.hooked(f"before-call.secretsmanager.{write}", lambda **_: gateway.put(edited)):
        assert gateway.operate("keys", "rotate").exit_code == 1
    assert gateway.content == edited


def test_a_lost_answer_to_the_last_write_is_no_failure(gateway: World) -> None:
    """botocore asks again: the second attempt is refused, for the first one was carried out."""
    again: list[Any] = []

    def carried_out(params: Any, **_: Any) -> None:
        request = json.loads(params["body"])
        if request["VersionStage"] == "AWSCURRENT" and not again:
            again.append(gateway.client.update_secret_version_stage(**request))

    with gateway.hooked("before-call.secretsmanager.UpdateSecretVersionStage", carried_out):
        assert gateway.rotate()["did"] == ["added"]
    assert again


def test_what_overwrote_a_step_right_after_it_is_told(gateway: World) -> None:
    edited = {"number_key": NUMBER_KEY, "keys": {"k1": ""}}
    with gateway.hooked("after-call.secretsmanager.UpdateSecretVersionStage", lambda **_: gateway.put(edited)):
        done = gateway.operate("keys", "rotate")
    assert done.exit_code == 1
    assert "changed again right after it was written" in done.output
    assert gateway.content == edited


# Edited by hand.


def test_two_keys_and_no_note_have_to_be_told_apart(gateway: World) -> None:
    gateway.by_hand({"k2": "2" * 40, "k1": ""})
    done = gateway.operate("keys", "rotate")
    assert done.exit_code == 0
    assert "`voice-gateway keys rotate --new-key k2` (k2 does not sign yet)" in done.stdout
    assert "rotation" not in gateway.content
    told = gateway.rotate("--new-key", "k2")
    assert (told["next"]["action"], told["rotation"]["old"]) == ("sign", ["k1"])
    gateway.clock.shift(SHORT)
    assert gateway.rotate()["did"] == ["signing"]


def test_a_new_key_that_signs_already_is_to_be_registered_next(gateway: World) -> None:
    gateway.by_hand({"k1": "", "k2": "2" * 40})
    assert gateway.rotate("--new-key", "k2")["next"]["action"] == "register"
    assert gateway.keys == {"k1": "", "k2": "2" * 40}


@pytest.mark.parametrize(
    ("step", "edit", "action", "words"),
    [
        # The new key was taken out: the rotation was given up.
        ("added", ["k1"], "add", None),
        ("signing", ["k1"], "add", None),
        # The old one was taken out: it is over.
        ("registered", ["k2"], "settle", None),
        # The order was changed: its place counts, and the wait begins anew.
        ("added", ["k1", "k2"], "register", None),
        ("signing", ["k2", "k1"], "sign", None),
        ("registered", ["k2", "k1"], "sign", None),
        # A third one came, or the new one is gone from among several.
        ("signing", ["k3", "k1", "k2"], "name", "k3 was added by hand while k2 was rotated in"),
        ("signing", ["k3", "k1"], "name", "the new key, k2, is not there any more"),
    ],
)
def test_edits_in_the_midst_of_a_rotation_are_seen(
    gateway: World, step: str, edit: list[str], action: str, words: str | None
) -> None:
    gateway.to(step)
    known = {**gateway.keys, "k3": "3" * 40}
    gateway.by_hand({key: known[key] for key in edit})
    told = gateway.status()
    assert told["next"]["action"] == action
    assert told["changed_by_hand_at"]
    assert (words or "") in (told["puzzle"] or "")
    if action == "sign":
        assert told["next"]["seconds"] == SHORT


def test_a_key_that_was_replaced_by_hand_is_waited_for_again(gateway: World) -> None:
    gateway.to("added")
    gateway.by_hand({"k2": "r" * 40, "k1": ""})
    assert gateway.rotate()["did"] == []
    assert "changed by hand" in gateway.operate("keys", "status").stdout
    gateway.clock.shift(SHORT)
    assert gateway.rotate()["did"] == ["signing"]


@pytest.mark.parametrize(
    ("step", "options", "words"),
    [
        (None, ["--registered"], "the new key does not sign yet"),
        ("added", ["--registered"], "the new key does not sign yet"),
        ("added", ["--new-key", "k1"], "nothing is to be named"),
        ("hand", ["--new-key", "k9"], "the keys are k2, k1"),
    ],
)
def test_what_cannot_be_is_told(gateway: World, step: str | None, options: list[str], words: str) -> None:
    if step == "hand":
        gateway.by_hand({"k2": "2" * 40, "k1": ""})
    elif step:
        gateway.to(step)
    content = gateway.content
    done = gateway.operate("keys", "rotate", *options)
    assert (done.exit_code, done.output.count(words)) == (2, 1)
    assert gateway.content == content
