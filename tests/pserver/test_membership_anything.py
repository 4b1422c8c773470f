"""What a member does next, whatever happens."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pserver.model import InvalidRequest, NotFound, Refused
from pserver.network.membership_actions import Beat, Register, SendChanges, SendPart, Wait
from pserver.network.membership_state import MembershipState
from pserver.remote.locator_messages import IndexState
from tests.pserver.member_play import AWAY, EPOCH, NEW_EPOCH, Play, lease, registration


class Anything(RuleBasedStateMachine):
    """Any answers and failures in any order: it never spins, and never lets a lease end by its own doing."""

    def __init__(self) -> None:
        super().__init__()
        self.play = Play(MembershipState(["a:1", "b:2"], lambda: 0.0))
        self.at_once = 0

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 5.0, 20.0]))
    def pass_time(self, seconds: float) -> None:
        action = self.play.next()
        if isinstance(action, Wait):
            self.play.now = min(self.play.now + seconds, max(action.until, self.play.now))
            self.at_once = 0

    @rule(by=st.integers(1, 5))
    def change(self, by: int) -> None:
        self.play.change(by)

    @rule(
        outcome=st.sampled_from(["well", "away", "forgotten", "refused", "invalid"]),
        sequence=st.integers(0, 12),
        same=st.booleans(),
        wanted=st.booleans(),
        reachable=st.booleans(),
    )
    def act(self, outcome: str, sequence: int, same: bool, wanted: bool, reachable: bool) -> None:
        play, action = self.play, self.play.next()
        errors = {"away": AWAY, "forgotten": NotFound("?"), "refused": Refused("?"), "invalid": InvalidRequest("?")}
        self.at_once += not isinstance(action, Wait)
        if isinstance(action, Wait):
            return
        if outcome != "well":
            play.state.failed(play.now, action, errors[outcome])
            return
        epoch = play.epoch if same else b""
        index = IndexState(epoch, sequence, wanted)
        if isinstance(action, Register):
            play.state.registered(play.now, registration(sequence, epoch=epoch, wanted=wanted, reachable=reachable))
        elif isinstance(action, Beat):
            play.state.beaten(play.now, lease(sequence, epoch=epoch, wanted=wanted))
        elif isinstance(action, SendChanges):
            play.state.announced(play.now, action, play.sequence, index)
        elif isinstance(action, SendPart):
            # A snapshot has an end, in life: the third part is the last.
            if action.part < 2:
                play.state.part_answered(play.now, action, "m", index)
            else:
                play.state.announced(play.now, action, action.sequence, index)
        else:
            play.epoch = NEW_EPOCH if play.epoch == EPOCH else EPOCH
            play.state.epoch_began(play.now)

    @invariant()
    def does_not_spin(self) -> None:
        assert self.at_once <= 12

    @invariant()
    def a_due_heartbeat_is_next(self) -> None:
        action = self.play.next()
        if isinstance(action, Wait) and self.play.state.held is not None:
            assert action.until <= self.play.now + 10.0


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=100, stateful_step_count=60, deadline=None, derandomize=True)
