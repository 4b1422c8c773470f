"""Neighbours come from a ring, resyncs are spread."""

from collections import Counter
from itertools import islice

from central_server.resyncs import RESYNCS_PER_SECOND, Resyncs
from central_server.ring import NEIGHBOURS, Ring
from tests.central_server.samples import peer_id

PEERS = sorted(peer_id(str(number)) for number in range(50))


def test_neighbours_are_the_next_ones_around_and_never_oneself() -> None:
    ring = Ring(PEERS)
    ring.add(PEERS[0])
    assert list(islice(ring.after(PEERS[0]), 3)) == PEERS[1:4]
    assert list(ring.after(PEERS[-1])) == PEERS[:-1]
    assert list(Ring([PEERS[0]]).after(PEERS[0])) == []
    assert list(Ring(PEERS[:3]).after(peer_id("stranger"))) in [
        PEERS[:3],
        [*PEERS[1:3], PEERS[0]],
        [PEERS[2], *PEERS[:2]],
    ]


def test_neighbours_are_spread_evenly_and_change_little() -> None:
    ring = Ring(PEERS)
    before = {each: list(islice(ring.after(each), NEIGHBOURS)) for each in PEERS}
    assert set(Counter(other for others in before.values() for other in others).values()) == {NEIGHBOURS}
    ring.discard(PEERS[7])
    ring.discard(PEERS[7])
    after = {each: list(islice(ring.after(each), NEIGHBOURS)) for each in PEERS}
    assert sum(before[each] != after[each] for each in PEERS) == NEIGHBOURS


def test_resyncs_are_spread_by_a_rate() -> None:
    resyncs = Resyncs(started=0.0, heartbeat=10.0)
    delays = [resyncs.ask(each, 100.0) for each in PEERS]
    assert delays[0] == 0.0
    assert delays == sorted(delays)
    assert abs(delays[-1] - (len(PEERS) - 1) / RESYNCS_PER_SECOND) < 0.01


def test_asking_again_gives_the_same_start() -> None:
    resyncs = Resyncs(started=0.0, heartbeat=10.0)
    for each in PEERS:
        resyncs.ask(each, 100.0)
    first = resyncs.ask(PEERS[40], 100.0)
    assert abs(resyncs.ask(PEERS[40], 101.0) - (first - 1.0)) < 1e-9
    assert resyncs.ask(PEERS[40], 100.0 + first + 1.0) == 0.0


def test_no_resync_waits_longer_than_a_heartbeat_however_many() -> None:
    resyncs = Resyncs(started=0.0, heartbeat=10.0)
    for number in range(2000):
        assert resyncs.ask(peer_id(str(number)), 100.0) <= 10.0


def test_after_a_lost_store_every_resync_starts_within_the_first_heartbeat() -> None:
    resyncs = Resyncs(started=0.0, heartbeat=10.0)
    for number in range(2000):
        now = number * 10.0 / 2000
        assert now + resyncs.ask(peer_id(str(number)), now) <= 10.0


def test_a_snapshot_on_its_way_is_not_asked_for_again() -> None:
    resyncs = Resyncs(started=0.0, heartbeat=10.0)
    resyncs.ask(PEERS[0], 100.0)
    assert not resyncs.underway(PEERS[0], 100.0)
    resyncs.came(PEERS[0], 101.0)
    assert resyncs.underway(PEERS[0], 110.9)
    assert not resyncs.underway(PEERS[0], 111.0)
    resyncs.came(PEERS[0], 101.0)
    resyncs.drop_old(200.0)
    assert not resyncs.underway(PEERS[0], 102.0)
