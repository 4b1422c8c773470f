"""Plays events to the state machine of a member."""

import math
from dataclasses import dataclass, field

from pserver.model import Peer, PServerError, Unavailable
from pserver.network.membership_actions import Action, Beat, Register, Wait
from pserver.network.membership_state import MembershipState
from pserver.remote.locator_messages import IndexState, Lease, Registration

EPOCH, NEW_EPOCH = b"e" * 16, b"n" * 16
LEASE = b"l" * 16
BOB = Peer("b" * 64, "bob", "http://10.0.0.2:1")
AWAY = Unavailable("away")


def lease(sequence: int = 0, *, epoch: bytes = EPOCH, wanted: bool = False, delay: float = 0.0) -> Lease:
    """A lease of 30 s with a heartbeat each 10 s."""
    return Lease(30.0, 10.0, IndexState(epoch, sequence, wanted, delay), (BOB,))


def registration(
    sequence: int = 0, *, reachable: bool = True, lease_id: bytes = LEASE, **index: object
) -> Registration:
    made = lease(sequence, **index)  # type: ignore[arg-type]  # passed through
    return Registration(lease_id, made, reachable, "" if reachable else "nobody answers at http://10.0.0.1:1")


@dataclass
class Play:
    """A state machine with its share and its time."""

    state: MembershipState = field(default_factory=lambda: MembershipState(["a:1", "b:2"], lambda: 0.0))
    now: float = 1000.0
    epoch: bytes = EPOCH
    sequence: int = 0

    def next(self) -> Action:
        return self.state.next(self.now, self.epoch, self.sequence)

    def wait(self) -> Action:
        """Let the time pass until something is to be done."""
        action = self.next()
        assert isinstance(action, Wait), action
        assert self.now < action.until < math.inf
        self.now = action.until
        return self.next()

    def wait_and_beat(self, index: Lease) -> Action:
        """Let the time pass, with heartbeats answered by `index`, until something else is to be done."""
        while isinstance(action := self.next(), Wait | Beat):
            if isinstance(action, Wait):
                self.now = action.until
            else:
                self.state.beaten(self.now, index)
        return action

    def register(self, **said: object) -> None:
        assert isinstance(self.next(), Register)
        self.state.registered(self.now, registration(**said))  # type: ignore[arg-type]  # passed through

    def fail(self, error: PServerError) -> Action:
        action = self.next()
        self.state.failed(self.now, action, error)
        return action

    def change(self, by: int = 1) -> None:
        self.sequence += by
        self.state.share_changed(self.now)
