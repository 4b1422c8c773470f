"""A folder of many small files, with real processes: in bundles, hashed once, whatever is killed meanwhile."""

import os
import random
from functools import partial
from pathlib import Path

import pytest

from demo.processes import Peer, wait_for
from tests.end_to_end.conftest import Person, World

FILES = 3000


@pytest.fixture
def tree(world: World) -> tuple[Peer, Peer, dict[str, bytes]]:
    """Two peers, of which a has a tree of small files: some empty, some alike, some in accents, one larger."""
    a, b = (world.peer(name, start=False) for name in "ab")
    chance = random.Random(3)
    contents = {f"tree/{number % 40}/Übung {number}.txt": chance.randbytes(number % 900) for number in range(FILES)}
    contents |= {f"tree/same/{number}": b"all the same" for number in range(200)}
    contents |= {f"tree/empty/{number}": b"" for number in range(20)} | {"tree/large": chance.randbytes(3 << 20)}
    for name, content in contents.items():
        path = a.share / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for peer in (a, b):
        peer.start()
    wait_for("the tree is found", lambda: _counted(b) == len(contents), 60)
    return a, b, contents


def _counted(asker: Peer) -> int:
    answer = Person(asker).ask("GET", "/peers", params={"folder": "tree/"})
    return max((peer["files"] for peer in answer["peers"] if peer["peer"]["name"] == "a"), default=0)


def _found(folder: Path) -> dict[str, bytes]:
    every = (Path(above) / name for above, _, names in os.walk(folder / "tree") for name in names)
    return {str(path.relative_to(folder)): path.read_bytes() for path in every}


def _has_come(reader: Peer, transfer: str, least: int) -> bool:
    done: int = Person(reader).transfer(transfer)["files_done"]
    return done >= least


def test_a_tree_of_small_files_comes_and_is_known_at_once(tree: tuple[Peer, Peer, dict[str, bytes]]) -> None:
    _, b, contents = tree
    person = Person(b)
    done = person.download("tree/")
    assert (done["files_done"], done["bytes_done"]) == (len(contents), sum(map(len, contents.values())))
    assert _found(b.share) == contents
    assert list((b.share / ".p2p-partial").iterdir()) == []
    status = person.ask("GET", "/status")["share"]
    assert status["files"] == len(contents)
    assert person.ask("GET", "/files/tree/0/Übung 40.txt")["sha256_checked"], "while it was in memory"
    wait_for("the other peer finds them here too", lambda: person.holders("tree/same/0") == {"a", "b"}, 30)


def test_a_reader_and_a_source_that_are_killed_lose_nothing(
    world: World, tree: tuple[Peer, Peer, dict[str, bytes]]
) -> None:
    a, b, contents = tree
    transfer = Person(b).start_download("tree/")
    for least in (1, 800, 1600):
        wait_for("some more have come", partial(_has_come, b, transfer, least), 30)
        b.kill()
        b.start()
    a.kill()
    a.start()
    ended = Person(b).ended(transfer, 90)
    assert ended["state"] == "done", ended
    assert _found(b.share) == contents
    assert list((b.share / ".p2p-partial").iterdir()) == []
