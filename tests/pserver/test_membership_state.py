"""What a member does next, told by events: its lease."""

import math

import pytest

from pserver.model import NotFound, Refused, Replaced
from pserver.network.membership_actions import Beat, Register, SendChanges, Wait
from pserver.network.membership_state import DEBOUNCE_SECONDS, MembershipState
from pserver.remote.locator_messages import IndexState, Lease
from tests.pserver.member_play import AWAY, BOB, EPOCH, LEASE, Play, lease, registration


@pytest.fixture
def play() -> Play:
    return Play()


@pytest.fixture
def member(play: Play) -> Play:
    """Registered, in step."""
    play.register()
    return play


def test_a_peer_that_moved_registers_again_at_once_and_keeps_its_lease(member: Play) -> None:
    assert isinstance(member.next(), Wait)
    member.state.moved(member.now)
    assert member.next() == Register(0)
    member.state.registered(member.now, registration())
    assert isinstance(member.next(), Wait) and member.state.held is not None


# --- registering


def test_without_locators_there_is_nothing_to_do() -> None:
    state = MembershipState([], lambda: 0.0)
    assert state.next(0.0, EPOCH, 7) == Wait(math.inf)
    assert state.statuses == []


def test_the_first_locator_comes_first(play: Play) -> None:
    assert play.next() == Register(0)
    assert [(each.address, each.state) for each in play.state.statuses] == [("a:1", "trying"), ("b:2", "trying")]
    assert play.state.reachable.ok is None


def test_the_next_one_is_tried_at_once_and_all_again_after_a_wait(play: Play) -> None:
    assert play.fail(AWAY) == Register(0)
    assert play.fail(Refused("no key")) == Register(1)
    assert [(each.state, each.why) for each in play.state.statuses] == [("unreachable", "away"), ("refused", "no key")]
    assert play.next() == Wait(play.now + 1.0)
    assert play.wait() == Register(0)


def test_the_waits_grow_to_five_seconds_and_no_more(play: Play) -> None:
    waits = []
    for _round in range(6):
        play.fail(AWAY)
        play.fail(AWAY)
        before = play.now
        play.wait()
        waits.append(play.now - before)
    assert waits == [1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


def test_waits_differ_between_peers() -> None:
    state = MembershipState(["a:1"], lambda: 0.5)
    state.failed(0.0, Register(0), AWAY)
    assert state.next(0.0, EPOCH, 0) == Wait(0.75)


def test_registered(member: Play) -> None:
    assert member.state.held == (0, LEASE)
    assert member.state.statuses[0].state == "registered"
    assert member.state.neighbours == (BOB,)
    assert member.state.reachable.ok is True
    assert member.next() == Wait(member.now + 10.0)


# --- heartbeats


def test_a_heartbeat_each_interval(member: Play) -> None:
    for _beat in range(3):
        assert member.wait() == Beat(0, LEASE)
        member.state.beaten(member.now, lease())
    assert member.now == 1030.0


def test_heartbeats_come_a_little_earlier_by_chance() -> None:
    state = MembershipState(["a:1"], lambda: 0.5)
    state.registered(0.0, registration())
    assert state.next(0.0, EPOCH, 0) == Wait(9.0)


def test_the_interval_is_the_locators(member: Play) -> None:
    member.wait()
    member.state.beaten(member.now, Lease(9.0, 3.0, IndexState(EPOCH, 0)))
    assert member.next() == Wait(member.now + 3.0)


def test_an_unknown_lease_is_taken_anew_at_once(member: Play) -> None:
    member.wait()
    member.fail(NotFound("no such lease"))
    assert member.state.held is None
    assert member.next() == Register(0)


def test_a_locator_that_forgets_at_once_is_not_asked_in_a_circle(member: Play) -> None:
    member.change()
    member.now += DEBOUNCE_SECONDS
    assert isinstance(member.fail(NotFound("no such lease")), SendChanges)
    assert member.next() == Wait(1001.0)


def test_a_lost_heartbeat_is_repeated_soon(member: Play) -> None:
    member.wait()
    member.fail(AWAY)
    assert member.state.statuses[0].state == "unreachable"
    assert member.state.held is not None
    assert member.wait() == Beat(0, LEASE)
    assert member.now == 1010.5
    member.state.beaten(member.now, lease())
    assert member.state.statuses[0].state == "registered"
    assert member.next() == Wait(1020.5)


def test_a_silent_locator_is_given_up_for_the_next_after_half_a_lease(member: Play) -> None:
    member.wait()
    while isinstance(member.next(), Beat):
        member.fail(AWAY)
        if member.state.held is not None:
            member.wait()
    assert 15.0 < member.now - 1000.0 < 20.0
    assert member.fail(AWAY) == Register(0)
    assert member.next() == Register(1)
    member.state.registered(member.now, registration())
    assert member.state.held == (1, LEASE)
    assert [each.state for each in member.state.statuses] == ["unreachable", "registered"]


def test_the_neighbours_stay_while_the_locator_is_away(member: Play) -> None:
    member.wait()
    member.fail(AWAY)
    member.fail(NotFound("no such lease"))
    assert member.state.neighbours == (BOB,)


def test_the_only_locator_is_asked_on_for_it_may_know_the_lease_yet() -> None:
    play = Play(MembershipState(["a:1"], lambda: 0.0))
    play.register()
    play.wait()
    while play.now < 1100.0:
        assert isinstance(play.fail(AWAY), Beat)
        before = play.now
        play.wait()
        assert play.now - before <= 2.0, "a locator that comes back is found soon"
    play.state.beaten(play.now, lease())
    assert play.state.statuses[0].state == "registered"


# --- replaced


def test_the_older_of_two_processes_does_not_come_back_to_be_reachable(play: Play) -> None:
    play.register(reachable=False)
    play.change()
    play.wait()
    play.fail(Replaced("another process runs at http://10.0.0.9:1"))
    assert play.next() == Wait(math.inf)


@pytest.mark.parametrize("during", ["beat", "announce"])
def test_the_older_of_two_processes_ends(member: Play, during: str) -> None:
    if during == "announce":
        member.change()
    member.wait()
    member.fail(Replaced("another process runs at http://10.0.0.9:1"))
    assert member.next() == Wait(math.inf)
    assert member.state.held is None
    member.change()
    member.now += 1e6
    assert member.next() == Wait(math.inf)
    assert "10.0.0.9" in str(member.state.statuses[0].why)


# --- reachable


def test_an_unreachable_peer_stays_a_member_and_registers_again(play: Play) -> None:
    play.register(reachable=False)
    assert play.state.reachable.ok is False
    assert "nobody answers" in play.state.reachable.why
    waits = []
    for _time in range(7):
        before = play.now
        assert play.wait_and_beat(lease()) == Register(0)
        waits.append(play.now - before)
        play.state.registered(play.now, registration(reachable=False))
    assert waits == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0]
    play.wait_and_beat(lease())
    play.state.registered(play.now, registration())
    assert play.state.reachable.ok is True
    assert play.next() == Wait(play.now + 10.0)


def test_a_register_that_fails_does_not_cost_the_lease(play: Play) -> None:
    play.register(reachable=False)
    assert play.wait() == Register(0)
    play.fail(AWAY)
    assert play.state.held == (0, LEASE)
    assert play.wait() == Beat(0, LEASE)
