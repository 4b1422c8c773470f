"""Which neighbours there are, who they are, and how they are."""

import threading
import time
from dataclasses import dataclass, field, replace

import pytest

from demo.processes import wait_for
from pserver.model import Peer, PServerError, Refused, Unavailable
from pserver.network.neighbours import Neighbours

BOB = Peer("b" * 64, "bob", "http://bob:1")
CAT = Peer("c" * 64, "cat", "http://cat:1")
OWN = "a" * 64


@dataclass
class FakeClient:
    """Peers that answer pings, or do not."""

    there: dict[str, Peer] = field(default_factory=lambda: {BOB.url: BOB, CAT.url: CAT})
    fails: dict[str, PServerError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def identify(self, url: str, seconds: float) -> str:
        return self._asked("identify", url).peer_id

    def ping(self, peer: Peer, seconds: float) -> Peer:
        there = self._asked("ping", peer.url)
        if there.peer_id != peer.peer_id:
            raise Refused(f"{peer.url} is another peer")
        return there

    def _asked(self, verb: str, url: str) -> Peer:
        self.asked.append(f"{verb} {url}")
        if url in self.fails:
            raise self.fails[url]
        return self.there[url]


class World:
    """Neighbours in a time of their own."""

    def __init__(self, *configured: str) -> None:
        self.now = 1000.0
        self.client = FakeClient()
        self.assigned: list[Peer] = []
        self.neighbours = Neighbours(
            configured, lambda: self.assigned, self.client, OWN, clock=lambda: self.now, chance=lambda: 0.0
        )

    def states(self) -> list[str]:
        return [state for _peer, state in self.neighbours.statuses()]


def test_a_bare_url_has_no_id_until_it_is_needed_and_then_keeps_it() -> None:
    world = World(BOB.url)
    assert world.neighbours.statuses() == [(Peer("", BOB.url, BOB.url), "unknown")]
    assert world.neighbours.in_order() == ([BOB.url], [])
    assert world.client.asked == []
    for _time in range(2):
        found = world.neighbours.resolve(BOB.url, 1.0)
        assert found is not None
        assert found.peer_id == BOB.peer_id
    assert world.client.asked == [f"identify {BOB.url}"]


def test_an_id_that_was_given_is_not_asked_for() -> None:
    world = World(f"{BOB.peer_id}@{BOB.url}")
    found = world.neighbours.resolve(BOB.url, 1.0)
    assert found is not None
    assert found.peer_id == BOB.peer_id
    assert world.client.asked == []


def test_a_ping_proves_who_it_is_and_tells_its_name() -> None:
    world = World(BOB.url, f"{'d' * 64}@{CAT.url}")
    world.neighbours.tick(world.now)
    assert world.neighbours.statuses() == [(BOB, "ok"), (Peer("d" * 64, CAT.url, CAT.url), "dead")]


def test_the_settings_come_before_what_the_locator_assigns() -> None:
    world = World(BOB.url)
    world.assigned = [CAT]
    assert world.neighbours.in_order() == ([BOB.url], [])


def test_the_assigned_ones_are_followed_and_known_ones_keep_their_state() -> None:
    world = World()
    world.assigned = [BOB, Peer(OWN, "ann", "http://ann:1")]
    world.neighbours.tick(world.now)
    assert world.neighbours.statuses() == [(BOB, "ok")]
    world.assigned = [CAT, BOB]
    assert world.neighbours.statuses() == [(CAT, "unknown"), (BOB, "ok")]
    world.assigned = [replace(BOB, peer_id="e" * 64)]
    assert world.states() == ["unknown"], "another peer at that address"
    world.assigned = []
    assert world.neighbours.in_order() == ([], [])
    assert world.neighbours.resolve(BOB.url, 1.0) is None


def test_oneself_is_no_neighbour() -> None:
    world = World("http://ann:1")
    world.client.there["http://ann:1"] = Peer(OWN, "ann", "http://ann:1")
    assert world.neighbours.resolve("http://ann:1", 1.0) is None
    assert world.neighbours.in_order() == ([], [])
    assert world.neighbours.statuses() == []


def test_at_most_eight() -> None:
    world = World()
    world.assigned = [Peer(f"{number:064}", "x", f"http://x{number}:1") for number in range(20)]
    assert len(world.neighbours.in_order()[0]) == 8


def test_a_dead_one_rests_longer_each_time_and_is_probed_in_the_background() -> None:
    world = World(BOB.url, CAT.url)
    world.neighbours.tick(world.now)
    world.client.fails[BOB.url] = Unavailable("away")
    world.neighbours.failed(BOB.url, Unavailable("away"))
    assert world.neighbours.in_order() == ([CAT.url], [BOB.url])
    for rest in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        world.now += rest - 0.1
        world.client.asked.clear()
        world.neighbours.tick(world.now)
        assert f"ping {BOB.url}" not in world.client.asked
        world.now += 0.1
        world.neighbours.tick(world.now)
        assert f"ping {BOB.url}" in world.client.asked
    world.client.fails.clear()
    world.now += 31
    world.neighbours.tick(world.now)
    assert world.states() == ["ok", "ok"]
    world.neighbours.failed(BOB.url, Unavailable("away"))
    world.now += 1.0
    world.neighbours.tick(world.now)
    assert world.states() == ["ok", "ok"], "the first rest is a short one again"


def test_one_that_was_heard_of_lately_is_not_probed() -> None:
    world = World(BOB.url)
    world.neighbours.tick(world.now)
    for _second in range(50):
        world.now += 1
        world.neighbours.answered(BOB.url)
        world.neighbours.tick(world.now)
    assert world.client.asked.count(f"ping {BOB.url}") == 1
    world.now += 30
    world.neighbours.tick(world.now)
    assert world.client.asked.count(f"ping {BOB.url}") == 2


def test_a_peer_that_refuses_is_asked_anew_who_it_is() -> None:
    world = World(BOB.url)
    world.neighbours.tick(world.now)
    newborn = Peer("f" * 64, "bob", BOB.url)
    world.client.there[BOB.url] = newborn
    world.neighbours.failed(BOB.url, Refused("the token is for another peer"))
    world.now += 1.0
    world.neighbours.tick(world.now)
    assert world.neighbours.statuses() == [(newborn, "ok")]


def test_the_next_look_is_soon_for_others_may_be_assigned() -> None:
    world = World()
    assert world.neighbours.tick(world.now) == world.now + 2.0


def test_the_thread_probes_and_survives_what_nobody_foresaw(caplog: pytest.LogCaptureFixture) -> None:
    client = FakeClient()
    pinged = threading.Event()
    ping = client.ping

    def broken_once(peer: Peer, seconds: float) -> Peer:
        if not pinged.is_set():
            pinged.set()
            raise ZeroDivisionError
        return ping(peer, seconds)

    client.ping = broken_once  # type: ignore[method-assign]  # broken on purpose
    neighbours = Neighbours([BOB.url], list, client, OWN)
    neighbours.start()
    wait_for("it is ok", lambda: [state for _peer, state in neighbours.statuses()] == ["ok"])
    before = time.monotonic()
    neighbours.stop()
    assert time.monotonic() - before < 1.0
    assert "unexpected failure" in caplog.text
