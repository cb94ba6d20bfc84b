"""The quick part of the fault harness, for ``make test``: a sample of what ``make faults`` does whole."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.faults import ablations, boundaries, kinds, model, sequences
from tests.faults.ablations import RULES, Rule
from tests.faults.boundaries import Tally, attempt, few, mixed, run_one, trace
from tests.faults.figures import Figure, table
from tests.faults.sequences import MEETINGS, met_by, the_stream_again
from tests.faults.world import Behaviour, World, findings

SEED = 20261122
EVERY = boundaries.behaviours()
SEQUENCES = sequences.behaviours()
SAMPLE = [*random.Random(SEED).sample(EVERY, 24), *random.Random(SEED).sample(SEQUENCES, 12)]


def test_every_behaviour_ends_well_without_a_fault() -> None:
    found = {behaviour.name: findings(run_one(behaviour, {})) for behaviour in EVERY}
    assert not {name: what for name, what in found.items() if what}


def test_every_sequence_ends_well_also_when_the_stream_comes_again() -> None:
    found = {behaviour.name: the_stream_again(behaviour) for behaviour in SEQUENCES}
    assert not {name: what for name, what in found.items() if what}


@pytest.mark.parametrize("other", MEETINGS)
def test_what_must_not_go_together_does_not(other: str) -> None:
    tally = Tally()
    for behaviour in random.Random(f"{SEED} {other}").sample(SEQUENCES, 20):
        tally.merge(met_by(other, behaviour, SEED, 4))
    assert not tally.examples


def test_a_vendor_away_for_an_hour() -> None:
    figures = sequences.outage(60, messages=100)
    assert all(figure.reached for figure in figures), table(figures)


@pytest.mark.parametrize("behaviour", SAMPLE, ids=lambda behaviour: behaviour.name)
def test_a_fault_or_two_anywhere(behaviour: Behaviour) -> None:
    """A few single faults and pairs at boundaries drawn by the seed."""
    tally, labels, chance = Tally(), trace(behaviour), random.Random(f"{SEED} {behaviour.name}")
    for _ in range(16):
        at = chance.randrange(len(labels))
        attempt(tally, behaviour, {at: chance.choice(kinds.kinds_at(labels[at]))}, labels)
        two = chance.sample(range(len(labels) + 8), 2)
        attempt(tally, behaviour, {number: chance.choice(kinds.PAIRED) for number in two}, labels)
    tally.merge(mixed(behaviour, SEED, 6))
    assert not tally.examples


@pytest.mark.parametrize("used_up", [(), ("dxtong",), ("jumdata",), ("dxtong", "jumdata")], ids=str)
@pytest.mark.parametrize("more", [{}, {"on_unknown": "redial_once"}, {"redial": {"times": 1}}], ids=str)
def test_a_read_of_credit_that_fails_or_hangs_costs_neither_ring_nor_message(
    used_up: tuple[str, ...], more: dict[str, Any]
) -> None:
    """Each kind of fault at each read of it, whoever has no credit: nobody is rung twice, and nothing is lost."""
    behaviour = Behaviour("credit", over=more, used_up=used_up)
    tally, labels = Tally(), trace(behaviour)
    reads = [number for number, label in enumerate(labels) if label == "dynamodb.get_item"]
    for number in reads:
        for kind in kinds.kinds_at(labels[number]):
            attempt(tally, behaviour, {number: kind}, labels)
    assert len(reads) >= (2 if "dxtong" in used_up else 1)
    assert not tally.examples


def test_the_attacks_of_their_own() -> None:
    figures = few(SEED)
    assert all(figure.reached for figure in figures), table(figures)


def test_the_state_machine_briefly() -> None:
    model.machine(SEED, 12)


def test_a_receipt_of_a_message_that_is_gone_is_a_dead_letter() -> None:
    """Time to live took the message: what the vendor says is kept for a person to look at."""
    with World(Behaviour("gone", "jumdata", push="hour")) as world:
        world.send()
        world.table.delete_item(TableName="calls", Key={"pk": {"S": "MSG#m1"}})
        world.now += 3700
        world.pushes()
        (letter,) = world.queues.bodies("dead")
    assert world.vendors.calls[0].receipts[0].answered
    assert "no such message" in letter


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_can_be_taken_out(rule: Rule, tmp_path: Path) -> None:
    """The text to patch stands where the ablation looks for it, exactly once."""
    ablations.patched(rule, tmp_path)


def test_a_patch_that_does_not_fit_is_no_ablation(tmp_path: Path) -> None:
    rule = Rule("nothing", (("storage/messages.py", "no such text", ""),), "threads", ("CAP",))
    with pytest.raises(ValueError, match=r"0 times in storage/messages\.py"):
        ablations.patched(rule, tmp_path)


def test_a_figure_that_was_not_reached_stands_out() -> None:
    rows = table([Figure("rings", "2", "1", reached=False), Figure("losses", "0", "0", reached=True)]).splitlines()
    assert rows[2].endswith("NO")
    assert rows[3].endswith("yes")
