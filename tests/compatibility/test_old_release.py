"""The program of the release before accounts, as it was, in one network with this one.

It is taken out of the repository's history; without that (a shallow clone) these tests are skipped.
"""

import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import pytest

from demo.processes import Locator, Peer, Server, wait_for

ROOT = Path(__file__).parents[2]
BEFORE_ACCOUNTS = "13dc76399a97be3605a9f4e32f7e8ac845680b78"
SIZE = 3_000_000


@pytest.fixture(scope="session")
def old_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sources of that release."""
    folder = tmp_path_factory.mktemp("old-release")
    packed = subprocess.run(["git", "archive", BEFORE_ACCOUNTS], cwd=ROOT, capture_output=True, timeout=60)
    if packed.returncode:
        pytest.skip(f"the history does not have {BEFORE_ACCOUNTS[:7]}")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True, timeout=60)
    return folder


class Mixed:
    """A locator and three peers, each of the release whose sources it is started in."""

    def __init__(self, folder: Path, locator: Path, peers: tuple[Path, Path, Path]) -> None:
        self.sources: dict[str, Path] = {"locator": locator, **dict(zip("abc", peers, strict=True))}
        self.locator = Locator(folder / "locator", LOCATOR_LEASE_SECONDS="3")
        self.start(self.locator)
        self.peers = [Peer(folder / name, name, self.locator.address, PSERVER_KEEP_FREE="0") for name in "abc"]
        for peer in self.peers:
            (peer.share / f"{peer.name}.bin").write_bytes(random.Random(peer.name).randbytes(SIZE))
            self.start(peer)

    def start(self, server: Server) -> None:
        """Python takes the packages of the folder that it is started in."""
        with chdir(self.sources[server.folder.name]):
            server.start()

    def upgrade(self, server: Server) -> None:
        """Restart it with the sources of today."""
        assert server.stop() == 0, server.log
        self.sources[server.folder.name] = ROOT
        self.start(server)

    def found(self, name: str) -> None:
        for peer in self.peers:
            wait_for(f"{peer.name} finds {name}", lambda peer=peer: not self.said(peer, "info", name))  # type: ignore[misc]

    def said(self, peer: Peer, *words: str) -> str:
        """What today's client says of a failure; "": it worked."""
        ended = peer.client(*words)
        return f"{words} at {peer.name}: {ended.returncode} {ended.stderr}" if ended.returncode else ""

    def stop(self) -> None:
        for server in (*self.peers, self.locator):
            server.stop()
            assert "Traceback" not in server.log, server.log


@pytest.fixture
def mixed(tmp_path: Path) -> Iterator[Callable[..., Mixed]]:
    made: list[Mixed] = []

    def make(locator: Path, *peers: Path) -> Mixed:
        made.append(Mixed(tmp_path, locator, peers))  # type: ignore[arg-type]  # there are three
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("releases", ["old: old new old", "new: old new old", "old: new new new"])
def test_releases_work_together_and_are_upgraded_in_place(
    releases: str, mixed: Callable[..., Mixed], old_sources: Path
) -> None:
    """Locator: peers. Each finds and fetches the others' files, makes another hold one; then all become new."""
    sources = {"old": old_sources, "new": ROOT}
    world = mixed(*(sources[word] for word in releases.replace(":", "").split()))
    for name in ("a.bin", "b.bin", "c.bin"):
        world.found(name)
    _each_fetches_from_each(world)
    for giver, taker in (("a", "b"), ("b", "c"), ("c", "a")):
        _upload(world, giver, taker)
    world.upgrade(world.locator)
    for peer in world.peers:
        world.upgrade(peer)
        world.found("from-b.bin")
        assert not world.said(peer, "transfers")
    _upload(world, "b", "a", "again")


def _each_fetches_from_each(world: Mixed) -> None:
    for reader in world.peers:
        for source in world.peers:
            if reader is not source:
                assert not (wrong := world.said(reader, "download", f"{source.name}.bin")), wrong
                assert (reader.share / f"{source.name}.bin").read_bytes() == random.Random(source.name).randbytes(SIZE)


def _upload(world: Mixed, giver: str, taker: str, word: str = "from") -> None:
    by_name = {peer.name: peer for peer in world.peers}
    path = by_name[giver].folder / f"{word}-{giver}.bin"
    path.write_bytes(random.Random(word + giver).randbytes(SIZE))
    assert not (wrong := world.said(by_name[giver], "upload", str(path), "--to", taker)), wrong
    assert (by_name[taker].share / path.name).read_bytes() == path.read_bytes()
