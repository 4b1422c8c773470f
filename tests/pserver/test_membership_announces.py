"""What a member does next, told by events: what it announces."""

import pytest

from pserver.model import InvalidRequest, NotFound, Refused, Unavailable
from pserver.network.membership_actions import Beat, BeginEpoch, SendChanges, SendPart, Wait
from pserver.network.membership_state import DEBOUNCE_SECONDS, REFUSED_SECONDS
from pserver.remote.locator_messages import IndexState
from tests.pserver.member_play import AWAY, EPOCH, LEASE, NEW_EPOCH, Play, lease


@pytest.fixture
def play() -> Play:
    return Play()


@pytest.fixture
def member(play: Play) -> Play:
    """Registered, in step."""
    play.register()
    return play


# --- changes


def test_a_change_goes_out_after_a_moment_with_what_came_meanwhile(member: Play) -> None:
    member.change()
    assert member.next() == Wait(member.now + DEBOUNCE_SECONDS)
    member.now += DEBOUNCE_SECONDS / 2
    member.change()
    assert member.wait() == SendChanges(0, LEASE, EPOCH, 0)
    assert member.now == pytest.approx(1000.0 + DEBOUNCE_SECONDS)


def test_changes_continue_where_the_locator_is(play: Play) -> None:
    play.sequence = 9
    play.register(sequence=4)
    action = play.next()
    assert action == SendChanges(0, LEASE, EPOCH, 4)
    play.state.announced(play.now, action, 7, IndexState(EPOCH, 7))
    assert play.next() == SendChanges(0, LEASE, EPOCH, 7), "there is more: at once"
    play.state.announced(play.now, action, 9, IndexState(EPOCH, 9))
    assert isinstance(play.next(), Wait)


def test_a_locator_that_stands_elsewhere_is_followed_but_not_in_a_circle(play: Play) -> None:
    play.sequence = 9
    play.register(sequence=4)
    waits = []
    for _time in range(7):
        action = play.next()
        assert action == SendChanges(0, LEASE, EPOCH, 4)
        play.state.announced(play.now, action, 9, IndexState(EPOCH, 4))
        before = play.now
        play.wait_and_beat(lease(4))
        waits.append(play.now - before)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_failed_announce_is_repeated_after_a_wait(member: Play) -> None:
    member.change()
    member.wait()
    assert isinstance(member.fail(AWAY), SendChanges)
    assert member.next() == Wait(member.now + 1.0)
    assert isinstance(member.wait(), SendChanges)


def test_too_many_files_is_told_and_tried_again_after_a_minute(member: Play) -> None:
    member.change()
    member.wait()
    before = member.now
    member.fail(Refused("more than 100 files"))
    assert (member.state.statuses[0].state, member.state.statuses[0].why) == ("registered", "more than 100 files")
    action = member.wait_and_beat(lease())
    assert isinstance(action, SendChanges)
    assert member.now == before + REFUSED_SECONDS
    member.state.announced(member.now, action, 1, IndexState(EPOCH, 1))
    assert member.state.statuses[0].why is None


def test_the_heartbeat_comes_before_any_announce(member: Play) -> None:
    member.change()
    member.now += 10.0
    assert isinstance(member.next(), Beat)


# --- snapshots


def test_a_snapshot_when_it_is_wanted(play: Play) -> None:
    play.sequence = 5
    play.register(epoch=b"", wanted=True, delay=3.0)
    assert play.next() == Wait(play.now + 3.0)
    first = play.wait()
    assert first == SendPart(0, LEASE, EPOCH, 5, 0, "")
    play.state.part_answered(play.now, first, "m", IndexState(b"", 0))
    second = play.next()
    assert second == SendPart(0, LEASE, EPOCH, 5, 1, "m")
    play.state.announced(play.now, second, 5, IndexState(EPOCH, 5))
    assert isinstance(play.next(), Wait)


def test_an_empty_share_sends_an_empty_snapshot(play: Play) -> None:
    play.register(epoch=b"", wanted=True)
    assert play.next() == SendPart(0, LEASE, EPOCH, 0, 0, "")


def test_changes_during_a_snapshot_follow_it(play: Play) -> None:
    play.sequence = 5
    play.register(epoch=b"", wanted=True)
    part = play.next()
    assert isinstance(part, SendPart)
    play.sequence = 8
    play.state.announced(play.now, part, 5, IndexState(EPOCH, 5))
    assert play.next() == SendChanges(0, LEASE, EPOCH, 5)


def test_a_delay_is_never_longer_than_a_heartbeat(play: Play) -> None:
    play.register(epoch=b"", wanted=True, delay=1e6)
    assert play.wait() == Beat(0, LEASE)
    play.state.beaten(play.now, lease(epoch=b"", wanted=True, delay=1e6))
    assert isinstance(play.next(), SendPart), "asked again is not put off again"


def test_a_heartbeat_in_the_middle_of_a_snapshot(play: Play) -> None:
    play.sequence = 5
    play.register(epoch=b"", wanted=True)
    part = play.next()
    assert isinstance(part, SendPart)
    play.state.part_answered(play.now, part, "m", IndexState(b"", 0))
    play.now += 10.0
    assert isinstance(play.next(), Beat)
    play.state.beaten(play.now, lease(epoch=b"", wanted=True, delay=9.0))
    assert play.next() == SendPart(0, LEASE, EPOCH, 5, 1, "m")


def test_parts_that_the_locator_lost_are_all_sent_again(play: Play) -> None:
    play.sequence = 5
    play.register(epoch=b"", wanted=True)
    first = play.next()
    assert isinstance(first, SendPart)
    play.state.part_answered(play.now, first, "m", IndexState(b"", 0))
    second = play.next()
    assert isinstance(second, SendPart)
    play.state.part_answered(play.now, second, "z", IndexState(b"", 0, True, 2.0))
    before = play.now
    assert play.wait() == SendPart(0, LEASE, EPOCH, 5, 0, "")
    assert play.now == before + 2.0


def test_a_refused_part_begins_the_snapshot_again_after_a_wait(play: Play) -> None:
    play.sequence = 5
    play.register(epoch=b"", wanted=True)
    first = play.next()
    assert isinstance(first, SendPart)
    play.state.part_answered(play.now, first, "m", IndexState(b"", 0))
    play.fail(InvalidRequest("part 1 without a part 0"))
    before = play.now
    assert play.wait() == SendPart(0, LEASE, EPOCH, 5, 0, "")
    assert play.now == before + 1.0


def test_a_lost_part_is_repeated(play: Play) -> None:
    play.sequence = 5
    play.register(epoch=b"", wanted=True)
    first = play.next()
    assert isinstance(first, SendPart)
    play.state.part_answered(play.now, first, "m", IndexState(b"", 0))
    second = play.fail(AWAY)
    assert play.wait() == second


def test_a_snapshot_that_is_wanted_again_and_again_does_not_spin(play: Play) -> None:
    play.register(epoch=b"", wanted=True)
    for wait in (1.0, 2.0, 4.0):
        part = play.next()
        assert isinstance(part, SendPart)
        play.state.announced(play.now, part, 0, IndexState(b"", 0, True, 0.0))
        before = play.now
        play.wait()
        assert play.now == before + wait


def test_changes_that_the_share_no_longer_knows_make_a_snapshot(member: Play) -> None:
    member.change(7)
    assert isinstance(member.wait(), SendChanges)
    member.state.too_long_ago(member.now)
    assert member.next() == SendPart(0, LEASE, EPOCH, 7, 0, "")


def test_a_new_registration_forgets_the_snapshot_of_the_old(play: Play) -> None:
    play.sequence = 5
    play.register(epoch=b"", wanted=True)
    part = play.next()
    assert isinstance(part, SendPart)
    play.state.part_answered(play.now, part, "m", IndexState(b"", 0))
    play.fail(NotFound("no such lease"))
    play.now += 1.0
    play.register(epoch=b"", wanted=True, lease_id=b"2" * 16)
    assert play.next() == SendPart(0, b"2" * 16, EPOCH, 5, 0, "")


def test_a_long_snapshot_is_not_broken_off_to_be_reachable(play: Play) -> None:
    play.sequence = 5
    play.register(epoch=b"", wanted=True, reachable=False)
    part = play.next()
    assert isinstance(part, SendPart)
    play.now += 6.0
    play.state.part_answered(play.now, part, "m", IndexState(b"", 0))
    assert isinstance(play.next(), SendPart)


# --- epochs


def test_a_locator_that_is_ahead_of_us_makes_us_begin_anew(play: Play) -> None:
    play.sequence = 5
    play.register(sequence=8)
    assert play.next() == BeginEpoch()
    play.epoch = NEW_EPOCH
    play.state.epoch_began(play.now)
    assert isinstance(play.next(), Beat)
    play.state.beaten(play.now, lease(8, wanted=True, delay=0.5))
    assert play.wait_and_beat(lease(8, wanted=True)) == SendPart(0, LEASE, NEW_EPOCH, 5, 0, "")


def test_an_epoch_that_cannot_begin_is_tried_again_after_a_wait(play: Play) -> None:
    play.sequence = 5
    play.register(sequence=8)
    assert play.fail(Unavailable("the disk is full")) == BeginEpoch()
    assert play.next() == Wait(play.now + 1.0)
    assert play.wait() == BeginEpoch()


def test_no_changes_are_sent_to_a_locator_in_another_epoch(member: Play) -> None:
    member.epoch = NEW_EPOCH
    member.change(3)
    assert member.wait() == Beat(0, LEASE)


def test_a_share_that_begins_anew_in_a_snapshot_begins_the_snapshot_anew(play: Play) -> None:
    play.sequence = 5
    play.register(epoch=b"", wanted=True)
    part = play.next()
    assert isinstance(part, SendPart)
    play.state.part_answered(play.now, part, "m", IndexState(b"", 0))
    play.epoch, play.sequence = NEW_EPOCH, 2
    assert play.next() == SendPart(0, LEASE, NEW_EPOCH, 2, 0, "")


def test_a_locator_that_is_always_ahead_makes_no_circle(play: Play) -> None:
    play.sequence = 5
    play.register(sequence=8)
    epochs = 0
    start = play.now
    while play.now < start + 60.0:
        action = play.wait_and_beat(lease(8, epoch=play.epoch))
        assert action == BeginEpoch()
        epochs += 1
        play.epoch = bytes([epochs]) * 16
        play.state.epoch_began(play.now)
    assert epochs <= 8
