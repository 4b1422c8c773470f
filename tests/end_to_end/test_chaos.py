"""Much goes wrong at once, and again and again: whoever is killed or lies, all of it arrives and it is right.

Real processes, real kills. Who is killed when is drawn with a fixed seed; how far everything is then differs each time.
"""

import contextlib
import random
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests

from demo.processes import Peer, wait_for
from tests.end_to_end.conftest import Person, World
from tests.end_to_end.proxy import Change, Proxy, flip_a_bit
from tests.end_to_end.test_main_job import MIB, same

SEED = 20251120
PIECE = 256 << 10  # of all files here
# Besides the pieces: manifests, lookups passed on, headers.
TALK = 128 << 10


def _make_file(path: Path, size: int, seed: int = SEED) -> None:
    """Random bytes, the same for the same seed: no two pieces are alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random.Random(seed).randbytes(size))


def _left_over(peer: Peer) -> list[str]:
    return sorted(path.name for path in (peer.share / ".p2p-partial").iterdir())


def _shared(peer: Peer) -> list[str]:
    return sorted(path.name for path in peer.share.iterdir() if not path.name.startswith("."))


@contextlib.contextmanager
def _proxies(count: int, change: Change) -> Iterator[list[Proxy]]:
    made = [Proxy(change) for _ in range(count)]
    try:
        yield made
    finally:
        for proxy in made:
            proxy.close()


def _behind(world: World, proxies: Sequence[Proxy], size: int) -> list[Peer]:
    """A peer behind each proxy, all with the same file `big.bin`."""
    peers = []
    for number, proxy in enumerate(proxies):
        peer = world.peer(f"behind-{number}", start=False, PSERVER_ADVERTISE_URL=proxy.url)
        _make_file(peer.share / "big.bin", size)
        peer.start()
        proxy.to(peer.addresses["peer"])
        peers.append(peer)
    return peers


class _Network:
    """Eight peers and ten files. The first peer has all of them and lives; each other file lies at one more peer."""

    PEERS, FILES = 8, 10

    def __init__(self, world: World, liar: Proxy) -> None:
        names = [f"p{number}" for number in range(self.PEERS)]
        self.peers = [world.peer(name, start=False, PSERVER_UPLOAD_RATE=str(2 * MIB)) for name in names]
        self.peers[-1].settings["PSERVER_ADVERTISE_URL"] = liar.url
        self.files = [f"file-{number}.bin" for number in range(self.FILES)]
        self.mortal = self.peers[1:]
        for number, name in enumerate(self.files):
            for peer in (self.peers[0], self.mortal[number % len(self.mortal)]):
                _make_file(peer.share / name, (2 + number % 4) * MIB, number)
        for peer in self.peers:
            peer.start()
        liar.to(self.peers[-1].addresses["peer"])
        wait_for("each file is found twice", self._all_found)

    def _all_found(self) -> bool:
        return all(len(Person(self.peers[0]).holders(name)) == 2 for name in self.files)

    def wanted(self) -> list[tuple[Peer, str]]:
        """Who lacks what."""
        return [(peer, name) for peer in self.mortal for name in self.files if name not in _shared(peer)]


class _Killer:
    """kill -9 of one of the peers after another, each started again soon. `killed`: how often."""

    def __init__(self, peers: Sequence[Peer], seed: int) -> None:
        self.killed = 0
        self._peers = peers
        self._random = random.Random(seed)
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "_Killer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._enough.wait(self._random.uniform(0.1, 0.8)):
            peer = self._random.choice(self._peers)
            peer.kill()
            self.killed += 1
            self._enough.wait(self._random.uniform(0.0, 1.0))
            peer.start()


def _in_spite_of_kills(person: Person, *arguments: Any, **more: Any) -> Any:
    """The answer of a peer that may just be dead: asked until it answers."""

    def ask() -> Any:
        try:
            return person.ask(*arguments, **more)
        except requests.RequestException:
            return None

    return wait_for(f"{person.peer.name} answers", ask, 60)


def _moved(person: Person, transfer_id: str, at_least: float) -> None:
    wait_for("the download moves", lambda: person.transfer(transfer_id)["bytes_done"] >= at_least, 30)


def _begin(peer: Peer, name: str) -> str:
    """Begin the download, unless that had been done when the peer died before it could say so; its id."""
    person = Person(peer)
    known = _in_spite_of_kills(person, "GET", "/transfers")["transfers"]
    found = [one["id"] for one in known if one["label"] == name]
    begun = found or [_in_spite_of_kills(person, "POST", "/downloads", None, json={"what": name})["id"]]
    return str(begun[0])


def _ended(peer: Peer, transfer_id: str) -> Any:
    def over() -> Any:
        found = _in_spite_of_kills(Person(peer), "GET", f"/transfers/{transfer_id}")
        return found if found["state"] in {"done", "failed", "cancelled"} else None

    return wait_for(f"{transfer_id} at {peer.name} ends", over, 180)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_sixty_downloads_while_peers_are_killed(world: World) -> None:
    with _proxies(1, flip_a_bit) as (liar,):
        network = _Network(world, liar)
        wanted = network.wanted()
        assert len(wanted) == 60
        random.Random(SEED).shuffle(wanted)
        with _Killer(network.mortal[:3], SEED) as first, _Killer(network.mortal[3:], SEED + 1) as second:
            begun = [(peer, _begin(peer, name)) for peer, name in wanted]
            ends = [_ended(peer, transfer_id) for peer, transfer_id in begun]
        assert [end["state"] for end in ends] == ["done"] * 60, [end["error"] for end in ends if end["error"]]
        assert first.killed + second.killed >= 10
        for peer in network.mortal:
            assert _shared(peer) == network.files
            assert all(same(network.peers[0].share / name, peer.share / name) for name in network.files)
            assert not _left_over(peer)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_kill_9_of_the_reader_thirty_times(world: World) -> None:
    """Fetched again is at most what was under way: one piece a connection, of which there are two for one source."""
    kills, connections, size, random_ = 30, 2, 64 * MIB, random.Random(SEED)
    with _proxies(1, bytes) as (proxy,):
        source = world.peer("a", start=False, PSERVER_ADVERTISE_URL=proxy.url, PSERVER_UPLOAD_RATE=str(8 * MIB))
        _make_file(source.share / "big.bin", size)
        source.start()
        proxy.to(source.addresses["peer"])
        reader = world.peer("c")
        world.found(reader, "big.bin", "a")
        person, before = Person(reader), proxy.passed
        transfer = person.start_download("big.bin")
        for kill in range(kills):
            _moved(person, transfer, (kill + random_.random()) * size / (kills + 1))
            reader.kill()
            reader.start()
        assert person.ended(transfer)["state"] == "done"
        assert proxy.passed - before <= size + kills * (connections * PIECE + TALK)
        assert same(source.share / "big.bin", reader.share / "big.bin")
        assert not _left_over(reader)


def test_all_sources_but_one_lie(world: World) -> None:
    with _proxies(4, flip_a_bit) as liars:
        _behind(world, liars, 16 * MIB)
        honest = world.peer("honest", start=False, PSERVER_UPLOAD_RATE=str(8 * MIB))
        _make_file(honest.share / "big.bin", 16 * MIB)
        honest.start()
        reader = world.peer("reader")
        world.found(reader, "big.bin", "honest", *(f"behind-{number}" for number in range(4)))
        before = [liar.passed for liar in liars]
        done = Person(reader).download("big.bin")
        assert same(honest.share / "big.bin", reader.share / "big.bin")
        assert not _left_over(reader)
        wasted = [liar.passed - then for liar, then in zip(liars, before, strict=True)]
        assert max(wasted) <= 2 * PIECE + TALK, wasted
        gave = {source["peer"]["name"]: source for source in done["sources"]}
        assert (gave["honest"]["bytes"], gave["honest"]["errors"]) == (16 * MIB, 0)
        assert all(gave[f"behind-{number}"]["bytes"] == 0 for number in range(4) if f"behind-{number}" in gave)


def test_every_piece_is_wrong_everywhere(world: World) -> None:
    with _proxies(3, flip_a_bit) as liars:
        _behind(world, liars, 4 * MIB)
        reader = world.peer("reader")
        world.found(reader, "big.bin", *(f"behind-{number}" for number in range(3)))
        before = [liar.passed for liar in liars]
        ended = Person(reader).ended(Person(reader).start_download("big.bin"), 90)
        assert ended["state"] == "failed"
        assert "wrong piece" in ended["error"]["detail"]
        wasted = [liar.passed - then for liar, then in zip(liars, before, strict=True)]
        assert max(wasted) <= 2 * PIECE + TALK, wasted
        assert _shared(reader) == []
