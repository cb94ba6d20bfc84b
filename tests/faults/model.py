"""A state machine over send, callback, sweep, fault and clock, in any order, against a plain model of what may be.

The model knows no item and no expression: only which calls may have rung, and which receipts were answered ``success``.
"""

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from voice_gateway.model.message import FINAL, State

from tests.faults import sequences
from tests.faults.figures import Figure, say
from tests.faults.kinds import ALL, Kind
from tests.faults.world import HOUR, Behaviour, Call, World, findings

_REPLIES = ("ok", "ok", "lost", "lost, not rung", "5xx", "garbage", "F", "N", "T", "C", "not sent")
_STEPS = 25


@dataclass
class Expected:
    """What the plain model knows of a message."""

    behaviour: Behaviour
    final: State | None = None


class Gateway(RuleBasedStateMachine):
    """Three messages to one number at the most, so that receipts can be mistaken for each other's."""

    runs: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.world = World(Behaviour("model", push="hour")).__enter__()
        self.expected: dict[str, Expected] = {}

    def teardown(self) -> None:
        """Faults end, the vendors push what is left, sweeps run; then nothing may be lost, and all is settled."""
        try:
            self.world.faults.chosen.clear()
            for seconds in (0, 0, 0, 200, 3700, 3700, 90000):
                self.world.now += seconds
                self._look()
            for _ in range(3):
                self.world.now += 200
                self._look()
            self.each_message_is_as_expected()
            self.every_result_is_one_that_came()
            # How often a message may ring is its own here: rings are counted by the invariant.
            found = [finding for finding in findings(self.world) if not finding.startswith("DOUBLE")]
            assert not found, found
            type(self).runs["ended"] += 1
        finally:
            self.world.__exit__()

    def _look(self) -> None:
        self._asked_for_all()
        for call in self._pushing():
            self.world.vendors.push(call)
        self.world.stream()
        self.world.sweep()

    def _pushing(self) -> list[Call]:
        """The calls whose receipts may come: within the hour, or at any time where it is known whose they are.

        Of a later one whose call id was never learnt, nobody can tell (docs/guarantees.md).
        """
        world = self.world
        return [call for call in world.vendors.calls if call.rang and (world.now - call.at < HOUR or world.knows(call))]

    @rule(
        name=st.sampled_from(["m1", "m2", "m3"]),
        first=st.sampled_from(["dxtong", "jumdata"]),
        once=st.booleans(),
        more=st.sampled_from([{}, {}, sequences.BOTH, sequences.OTHERS, sequences.AGAIN]),
        replies=st.tuples(st.sampled_from(_REPLIES), st.sampled_from(_REPLIES)),
        early=st.booleans(),
    )
    def send(
        self, name: str, first: str, once: bool, more: dict[str, Any], replies: tuple[str, str], early: bool
    ) -> None:
        """A message, or the same one again; the vendors answer as they like each time."""
        over: dict[str, Any] = {**more, **({"on_unknown": "redial_once"} if once else {})}
        behaviour = Behaviour("model", first, over=over)
        behaviour = self.expected.setdefault(name, Expected(behaviour)).behaviour
        self.world.behaviour = behaviour
        self._asked_for_all()
        answers = {"dxtong": (replies[0],), "jumdata": (replies[1],)}
        self.world.vendors.behaviour = replace(behaviour, replies=answers, push="early" if early else "hour")
        self.world.send(name)

    @rule(outcome=st.sampled_from(["delivered", "failed"]), at=st.integers(0, 5))
    def callback(self, outcome: str, at: int) -> None:
        """A vendor tells what became of a call, or tells it otherwise."""
        rang = self._pushing()
        if rang:
            call = rang[at % len(rang)]
            if call.receipts[0].pushes == 0:
                call.receipts[0].code = outcome
            self.world.vendors.push(call)
            self.world.stream()

    @rule()
    def sweep(self) -> None:
        self._asked_for_all()
        self.world.sweep()

    @rule(name=st.sampled_from(["m1", "m2", "m3"]))
    def cancel(self, name: str) -> None:
        self.world.cancel(name)

    def _asked_for_all(self) -> None:
        """Each message's own request decides what a sweep hands over."""
        self.world.over = {name: expected.behaviour.over for name, expected in self.expected.items()}

    @rule(ahead=st.integers(0, 12), kind=st.sampled_from(ALL), distance=st.integers(1, 9))
    def fault(self, ahead: int, kind: Kind, distance: int) -> None:
        """Something fails soon."""
        self.world.faults.chosen[self.world.faults.count + ahead] = kind
        self.world.faults.distance = distance

    @rule(seconds=st.sampled_from([1, 20, 61, 130, 310, 3700]))
    def clock(self, seconds: int) -> None:
        self.world.now += seconds

    @invariant()
    def each_message_is_as_expected(self) -> None:
        """It rang no more often than its caller allowed, and a final result is the last word."""
        for name, expected in self.expected.items():
            perhaps = Counter(a.ring for a in self.world.attempts if a.message_id == name and not a.safe)
            most = max(perhaps.values(), default=0)
            assert most <= expected.behaviour.allowed, f"{name}: {most} calls of a ring that may have rung"
            assert max(perhaps, default=1) <= expected.behaviour.rings, f"{name}: {max(perhaps)} rings"
            message = self.world.message(name)
            state = message.state if message else None
            if expected.final is not None:
                assert state == expected.final, f"{name}: {expected.final} became {state}"
            elif state in FINAL:
                expected.final = state

    def every_result_is_one_that_came(self) -> None:
        """``delivered`` and ``failed`` were said by the vendor; where nobody can have been rung, none of them is."""
        for name in self.expected:
            message = self.world.message(name)
            if message is None:
                continue
            said = {
                receipt.code
                for call in self.world.vendors.calls
                for receipt in call.receipts
                if call.message_id == name and receipt.pushes
            }
            may_have_rung = any(a.message_id == name and not a.safe for a in self.world.attempts)
            if message.state in {State.DELIVERED, State.FAILED}:
                assert message.state.value in said, f"{name}: {message.state}, and the vendor said {said}"
            if not may_have_rung:
                assert message.state not in {State.ACCEPTED, State.DELIVERED, State.FAILED}, f"{name}: {message.state}"


def machine(number: int, examples: int) -> None:
    """Runs the state machine; raises what Hypothesis found, as small as it can be."""
    run_state_machine_as_test(
        seed(number)(Gateway),
        settings=settings(
            max_examples=examples,
            stateful_step_count=_STEPS,
            deadline=None,
            database=None,
            print_blob=False,
            report_multiple_bugs=False,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )


def run(seed: int, seconds: float) -> list[Figure]:
    """The machine with one seed after the other, until the time is over."""
    Gateway.runs.clear()
    until, number = time.monotonic() + seconds, seed
    failed = ""
    while time.monotonic() < until and not failed:
        try:
            machine(number, 100)
        except AssertionError as error:
            failed = f"seed {number}: {error}"[:100]
            say("\n".join([str(error), *getattr(error, "__notes__", ())]))
        number += 1
    value = failed or f"{Gateway.runs['ended']:,} runs of up to {_STEPS} steps, 0 findings"
    return [Figure("a state machine against a plain model", value, "0 findings", reached=not failed)]
