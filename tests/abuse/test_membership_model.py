"""Registers, heartbeats, announces, leaves and restarts, with messages lost, doubled and out of order, against a model.

The real rules run on SQLite and on the memory fake side by side; after each step both must say what the model says.
MODEL_STEPS (10,000) and MODEL_SEED (none: the same run each time) can be set.
"""

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.abuse.membership_model import Message, Model, Sender
from tests.abuse.real_locators import Real
from tests.central_server.samples import NOW

pytestmark = [pytest.mark.abuse, pytest.mark.timeout(900)]

STEPS = int(os.environ.get("MODEL_STEPS", "10000"))
SEED = os.environ.get("MODEL_SEED")
STEPS_A_RUN = 50
PEERS = ("ann", "bob", "cho")
NAMES = ["a", "b", "docs/c"]
peers = st.sampled_from(PEERS)
seldom = st.integers(0, 7).map(lambda number: number == 7)
back_to = st.sampled_from([0, 0, 0, 1, 2, 3])
changes = st.tuples(st.sampled_from(NAMES), st.sampled_from(["x", "y", None]))


class Membership(RuleBasedStateMachine):
    """Three peers, a network that loses, doubles and reorders, and two locators that must agree with the model."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.model = Model(NOW)
        self.reals = [
            Real(self.runner, self.folder / "locator.sqlite", NOW),
            Real(self.runner, None, NOW),
        ]
        self.senders = {name: Sender(name, f"http://{name}.example:1") for name in PEERS}
        self.flying: list[Message] = []
        for sender in self.senders.values():  # so that there is something to lose from the first step on
            self.say([Message("register", sender.name, 0, sender.at, sender.url)], arrives=True)
            sender.change("a", "x")
            self.say(sender.snapshot(1), arrives=True)

    def teardown(self) -> None:
        for real in self.reals:
            real.close()
        self.runner.close()
        shutil.rmtree(self.folder)

    @rule(peer=peers, name=st.sampled_from(NAMES), content=st.sampled_from(["x", "y", None]))
    def share_changes(self, peer: str, name: str, content: str | None) -> None:
        self.senders[peer].change(name, content)

    @rule(peer=peers, sure=seldom)
    def peer_loses_its_index(self, peer: str, sure: bool) -> None:
        if sure:
            self.senders[peer].lose_index()

    @rule(peer=peers, host=st.sampled_from(["", "", "", "2", "-dark"]))
    def peer_moves(self, peer: str, host: str) -> None:
        self.senders[peer].url = f"http://{peer}{host}.example:1"

    @rule(peer=peers, arrives=st.booleans())
    def register(self, peer: str, arrives: bool) -> None:
        sender = self.senders[peer]
        self.say([Message("register", peer, 0, sender.at, sender.url)], arrives)

    @rule(peer=peers, arrives=st.booleans(), kind=st.sampled_from(["beat"] * 9 + ["leave"]))
    def say_a_word(self, peer: str, arrives: bool, kind: str) -> None:
        sender = self.senders[peer]
        self.say([Message(kind, peer, sender.lease, sender.at)], arrives)

    @rule(peer=peers, arrives=st.booleans(), back=back_to)
    def announce_changes(self, peer: str, arrives: bool, back: int) -> None:
        """From where the locator said that it is, or from some steps back."""
        sender = self.senders[peer]
        known = sender.told[1] if sender.told[0] == sender.at[0] and not back else sender.sequence - back
        if 1 <= known < sender.sequence:
            self.say([sender.delta(known)], arrives)

    @rule(peer=peers, arrives=st.booleans(), parts=st.integers(1, 3))
    def announce_all(self, peer: str, arrives: bool, parts: int) -> None:
        self.say(self.senders[peer].snapshot(parts), arrives)

    @rule(peer=peers, steps=st.lists(st.tuples(changes, st.booleans(), back_to), min_size=1, max_size=5))
    def changes_are_announced(self, peer: str, steps: list[tuple[tuple[str, str | None], bool, int]]) -> None:
        for (name, content), arrives, back in steps:
            self.share_changes(peer, name, content)
            self.announce_changes(peer, arrives, back)

    @rule(peer=peers, order=st.lists(st.integers(0, 2), min_size=1, max_size=6))
    def parts_arrive_in_any_order(self, peer: str, order: list[int]) -> None:
        parts = self.senders[peer].snapshot(3)
        for number in order:
            self.say([parts[number]], arrives=True)

    @precondition(lambda self: self.flying)
    @rule(which=st.integers(0, 1000), again=st.booleans())
    def something_late_arrives(self, which: int, again: bool) -> None:
        message = self.flying[which % len(self.flying)]
        if not again:
            self.flying.remove(message)
        self.arrive(message)

    @precondition(lambda self: self.flying)
    @rule(which=st.integers(0, 1000))
    def something_is_lost(self, which: int) -> None:
        self.flying.pop(which % len(self.flying))

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.0, 11.0]), sure=seldom)
    def time_passes(self, seconds: float, sure: bool) -> None:
        self.now += 70 * seconds if sure else seconds

    @rule()
    def sweep(self) -> None:
        self.model.tick(self.now)
        for real in self.reals:
            real.tick(self.now)

    @rule()
    def locator_restarts(self) -> None:
        self.model.restart(self.now)
        for real in self.reals:
            real.start(self.now)

    @rule(sure=seldom)
    def locator_loses_its_store(self, sure: bool) -> None:
        if not sure:  # what came before is lost for the test too
            return
        leases, self.model = self.model.leases, Model(self.now)
        self.model.leases = leases
        for real in self.reals:
            real.lose_store(self.now)

    @invariant()
    def all_agree(self) -> None:
        expected = self.model.in_answers(self.now)
        for real in self.reals:
            assert real.in_answers(self.now, NAMES) == expected

    @invariant()
    def nothing_is_garbled(self) -> None:
        """What is known of a peer is what its share was at some place of its history: just the one that is named."""
        for name, known in self.model.known.items():
            if known.place[0]:
                assert known.files == self.senders[name].history[known.place]

    def say(self, messages: list[Message], arrives: bool) -> None:
        """Send them; what arrives may come again later."""
        self.flying += messages
        if arrives:
            for message in messages:
                self.arrive(message)

    def arrive(self, message: Message) -> None:
        """All locators hear it and must answer as the model does."""
        expected = self.model.hear(message, self.now)
        for real in self.reals:
            reply = real.hear(message, self.now, expected.lease)
            assert (reply.place, reply.error) == (expected.place, expected.error)
            assert expected.lease is None or reply.lease == expected.lease
            assert expected.asked is None or reply.asked == expected.asked
        if expected.error is None:
            self.senders[message.peer].told = expected.place
        if message.kind == "register" and expected.lease is not None:
            self.senders[message.peer].lease = expected.lease


def test_no_difference_from_the_model() -> None:
    machine = Membership if SEED is None else seed(int(SEED))(Membership)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=-(-STEPS // STEPS_A_RUN),
            stateful_step_count=STEPS_A_RUN,
            deadline=None,
            derandomize=SEED is None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
