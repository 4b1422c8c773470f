"""Being a member, of a locator in memory."""

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from demo.processes import wait_for
from pserver.model import Peer, Unavailable
from pserver.network.batches import MAX_BATCH_BYTES, MAX_BATCH_ENTRIES
from pserver.network.membership import Index, Locator, Membership, Self
from pserver.remote.locator_messages import Batch, Lease
from tests.pserver.fake_locator import FakeIndex, FakeLocator, entry
from tests.pserver.memberships import OWN, Start, running_memberships

BOB = Peer("b" * 64, "bob", "http://127.0.0.1:2")


@pytest.fixture
def started() -> Iterator[Start]:
    with running_memberships() as start:
        yield start


class Member:
    """A membership that is moved by hand, in its own time."""

    def __init__(self, index: Index, *locators: Locator, own: Peer = OWN) -> None:
        self.now = 1000.0
        self.replaced: list[str] = []
        self.heard: list[tuple[int, bool, bool, str | None]] = []
        self.own = own
        said = Self(lambda: self.own, "0.1.0", True, lambda: 12345)
        self.membership = Membership(
            said,
            index,
            locators,
            self.replaced.append,
            on_lease=self._on_lease,
            clock=lambda: self.now,
            chance=lambda: 0.0,
        )

    def _on_lease(self, position: int, lease: Lease, locator_id: str | None) -> None:
        self.heard.append((position, lease.accounts, lease.orders_waiting, locator_id))

    def settle(self, seconds: float = 0.0) -> None:
        """Do all that is due within so many seconds."""
        end = self.now + seconds
        while (until := self.membership.tick(self.now)) <= end:
            self.now = max(self.now, until)
        self.now = end


# --- by hand, with the locator in memory


def test_it_registers_announces_and_beats() -> None:
    index, locator = FakeIndex("a", "b"), FakeLocator(neighbours=(BOB, OWN))
    member = Member(index, locator)
    assert member.membership.reachable().ok is None
    member.settle()
    assert locator.introduced is not None
    assert (locator.introduced.name, locator.introduced.url, locator.introduced.version) == ("ann", OWN.url, "0.1.0")
    assert (locator.introduced.free_bytes, locator.introduced.accepts_uploads) == (12345, True)
    assert (locator.introduced.epoch, locator.introduced.sequence) == (index.epoch, 2)
    assert set(locator.files) == {"a", "b"}
    assert member.membership.neighbours() == (BOB,), "never itself"
    assert member.membership.reachable().ok is True
    assert [(each.address, each.state) for each in member.membership.locators()] == [("fake:1", "registered")]
    member.settle(25.0)
    assert locator.calls == ["register", "announce", "heartbeat", "heartbeat"]
    assert locator.pulse is not None
    assert (locator.pulse.free_bytes, locator.pulse.sequence) == (12345, 2)


def test_that_nobody_reaches_it_is_told_once_and_again_when_the_reason_changes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    locator = FakeLocator(reachable=False, why="it refused the connection")
    member = Member(FakeIndex("a"), locator)
    with caplog.at_level(logging.INFO):
        member.settle(100.0)
        assert locator.calls.count("register") > 2
        locator.why = "it timed out"
        member.settle(100.0)
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert ["refused" in line for line in told] == [True, False] and "timed out" in told[1]
    assert member.membership.reachable().why == "it timed out"


def test_a_peer_that_moved_tells_its_new_address() -> None:
    locator = FakeLocator()
    member = Member(FakeIndex("a"), locator)
    member.settle(5.0)
    member.own = replace(OWN, url="http://10.0.0.2:8001")
    member.membership.moved()
    member.settle()
    assert locator.introduced is not None and locator.introduced.url == "http://10.0.0.2:8001"


def test_a_change_is_announced_within_a_moment() -> None:
    index, locator = FakeIndex("a"), FakeLocator()
    member = Member(index, locator)
    member.settle()
    index.put(entry("b"), entry("c"))
    index.drop("a")
    member.settle(0.3)
    assert set(locator.files) == {"b", "c"}
    assert len(locator.batches) == 2, "one snapshot, one delta"
    assert locator.batches[1] == Batch(index.epoch, 1, 4, [entry("b"), entry("c")], ["a"])


def test_a_large_share_goes_in_parts_and_large_changes_too() -> None:
    index, locator = FakeIndex(), FakeLocator()
    index.put(*(entry(f"{number:05}") for number in range(2 * MAX_BATCH_ENTRIES)))
    member = Member(index, locator)
    member.settle()
    assert len(locator.files) == 2 * MAX_BATCH_ENTRIES
    assert [(each.part, len(each.added), each.last) for each in locator.batches] == [
        (0, MAX_BATCH_ENTRIES, False),
        (1, MAX_BATCH_ENTRIES, False),
        (2, 0, True),
    ]
    locator.batches.clear()
    index.drop(*(f"{number:05}" for number in range(2 * MAX_BATCH_ENTRIES)))
    member.settle(1.0)
    assert [len(each.removed) for each in locator.batches] == [MAX_BATCH_ENTRIES, MAX_BATCH_ENTRIES]
    assert locator.files == {}


@pytest.mark.parametrize("registered_first", [False, True], ids=["snapshot", "changes"])
def test_no_batch_is_larger_than_a_mebibyte(registered_first: bool) -> None:
    index, locator = FakeIndex(), FakeLocator()
    member = Member(index, locator)
    if registered_first:
        member.settle()
        locator.batches.clear()
    names = [f"{number:05}" + "/".join("é" * 100 for _part in range(5)) for number in range(3000)]
    index.put(*map(entry, names))
    member.settle(1.0)
    assert set(locator.files) == set(names)
    assert len(locator.batches) >= 3
    for batch in locator.batches:
        assert 0 < sum(len(each.name.encode()) for each in batch.added) <= MAX_BATCH_BYTES


def test_what_comes_with_a_lease_is_told_and_whether_a_locator_is_in_reach() -> None:
    away, locator = FakeLocator("fake:1", fails=Unavailable("away")), FakeLocator("fake:2", accounts=True)
    member = Member(FakeIndex("a"), away, locator)
    assert not member.membership.in_reach()
    member.settle()
    assert member.membership.in_reach() and member.heard == [(1, True, False, "10" * 32)]
    locator.orders_waiting = True
    member.settle(11.0)
    assert member.heard[1:] == [(1, True, True, None)]
    locator.fails = Unavailable("away")
    member.settle(11.0)
    assert not member.membership.in_reach() and len(member.heard) == 2


def test_a_locator_that_lost_everything_gets_everything() -> None:
    index, locator = FakeIndex("a", "b"), FakeLocator(delay=3.0)
    member = Member(index, locator)
    member.settle(3.0)
    locator.forget()
    member.settle(8.0)
    assert locator.calls[-2:] == ["heartbeat", "register"]
    assert locator.files == {}, "the locator says when"
    member.settle(3.0)
    assert set(locator.files) == {"a", "b"}


def test_a_locator_that_remembers_gets_nothing_again() -> None:
    index, locator = FakeIndex("a", "b"), FakeLocator()
    Member(index, locator).settle()
    locator.batches.clear()
    again = Member(index, locator)
    again.settle(20.0)
    assert locator.batches == []


def test_changes_while_the_locator_was_away() -> None:
    index, locator = FakeIndex("a"), FakeLocator()
    member = Member(index, locator)
    member.settle()
    locator.fails = Unavailable("away")
    index.put(entry("b"))
    member.settle(60.0)
    assert member.membership.locators()[0].state == "unreachable"
    locator.fails = None
    member.settle(31.0)
    assert set(locator.files) == {"a", "b"}
    assert member.membership.locators()[0].state == "registered"


def test_removals_that_were_forgotten_make_a_snapshot() -> None:
    index, locator = FakeIndex("a", "b"), FakeLocator()
    member = Member(index, locator)
    member.settle()
    index.drop("a")
    index.forgotten = index.sequence
    member.settle(1.0)
    assert set(locator.files) == {"b"}
    assert locator.batches[-1].part == 0


def test_a_restored_backup_begins_a_new_epoch() -> None:
    index, locator = FakeIndex("a", "b", "c"), FakeLocator()
    Member(index, locator).settle()
    restored = FakeIndex("a")
    restored.epoch = index.epoch
    member = Member(restored, locator)
    member.settle(3.0)
    assert restored.epoch != index.epoch
    assert set(locator.files) == {"a"}


def test_a_second_process_ends_the_first() -> None:
    index, locator = FakeIndex("a"), FakeLocator()
    first, second = Member(index, locator), Member(index, locator)
    first.settle()
    second.settle()
    first.settle(30.0)
    assert first.replaced == ["another process took its place"]
    assert second.replaced == []
    first.membership.stop()
    assert "leave" not in locator.calls, "the lease is not ours to end"


def test_the_next_locator_is_taken_when_the_first_is_away() -> None:
    away, there = FakeLocator("away:1", fails=Unavailable("away")), FakeLocator("there:2")
    member = Member(FakeIndex("a"), away, there)
    assert member.membership.order() == [0, 1]
    member.settle()
    assert set(there.files) == {"a"}
    assert member.membership.order() == [1, 0]
    assert [each.state for each in member.membership.locators()] == ["unreachable", "registered"]


def test_an_unreachable_peer_knows_why() -> None:
    member = Member(FakeIndex(), FakeLocator(reachable=False))
    member.settle()
    assert (member.membership.reachable().ok, member.membership.reachable().why) == (
        False,
        f"nobody answers at {OWN.url}",
    )


def test_a_share_that_cannot_tell_its_changes_is_not_asked_in_a_circle() -> None:
    class Mute(FakeIndex):
        def changes_since(self, sequence: int, limit: int) -> None:
            raise Unavailable("the disk is gone")

    index, locator = Mute("a"), FakeLocator()
    member = Member(index, locator)
    member.settle()
    index.put(entry("b"))
    member.settle(9.0)
    assert locator.calls.count("announce") == 1
    assert set(locator.files) == {"a"}


# --- the thread


def test_stop_leaves(started: Start) -> None:
    locator = FakeLocator()
    membership = started(FakeIndex("a"), locator)
    wait_for("registered", lambda: locator.files)
    membership.stop()
    assert locator.calls[-1] == "leave"
    assert locator.files == {}
    assert not locator.closed, "whoever made it closes it"


def test_a_change_wakes_the_thread(started: Start) -> None:
    index, locator = FakeIndex("a"), FakeLocator(heartbeat_seconds=1000.0)
    started(index, locator)
    wait_for("the share is announced", lambda: set(locator.files) == {"a"})
    index.put(entry("b"))
    wait_for("the change too", lambda: set(locator.files) == {"a", "b"}, 5.0)


def test_stop_before_start_and_without_locators_does_nothing(started: Start) -> None:
    Membership(Self(lambda: OWN, "0.1.0", True, lambda: 1), FakeIndex(), [FakeLocator()], print).stop()
    started(FakeIndex()).stop()


def test_a_hung_locator_does_not_keep_stop_for_long(started: Start) -> None:
    locator = FakeLocator(hangs=threading.Event())
    membership = started(FakeIndex("a"), locator)
    wait_for("it asks", lambda: locator.calls)
    before = time.monotonic()
    membership.stop()
    assert time.monotonic() - before < 2.0
    assert locator.closed


def test_the_thread_survives_what_nobody_foresaw(
    started: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pserver.network.membership._AFTER_A_BUG_SECONDS", 0.01)

    class Broken(FakeLocator):
        def register(self, introduction: object, timeout: float) -> object:  # type: ignore[override]  # it is broken
            if "bug" not in self.calls:
                self.calls.append("bug")
                raise ZeroDivisionError
            return super().register(introduction, timeout)  # type: ignore[arg-type]  # as the first one

    locator = Broken()
    started(FakeIndex("a"), locator)
    wait_for("registered in spite of it", lambda: locator.files)
    assert "unexpected failure" in caplog.text
