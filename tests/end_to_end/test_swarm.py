"""Peers that download the same file at the same time help each other; real processes."""

import os
from pathlib import Path
from typing import Any

from demo.processes import wait_for
from tests.end_to_end.conftest import Person, World

SIZE = 24 << 20


def test_two_that_download_the_same_file_read_from_each_other(world: World, tmp_path: Path) -> None:
    seed = world.peer("seed", PSERVER_UPLOAD_RATE="4M")
    (seed.share / "big.bin").write_bytes(os.urandom(SIZE))
    people = [Person(world.peer(name)) for name in ("ann", "bob")]
    for person in people:
        world.found(person.peer, "big.bin", "seed")
    begun = [person.start_download("big.bin") for person in people]
    wait_for("both are holders while they download", lambda: people[0].holders("big.bin") >= {"seed", "ann", "bob"})
    assert not all(person.transfer(one)["state"] == "done" for person, one in zip(people, begun, strict=True))
    for person, other, transfer in zip(people, ("bob", "ann"), begun, strict=True):
        ended = person.ended(transfer)
        assert ended["state"] == "done", ended
        assert pieces_from(ended, other) > 10, ended["sources"]
        assert (person.peer.share / "big.bin").read_bytes() == (seed.share / "big.bin").read_bytes()


def pieces_from(transfer: Any, name: str) -> int:
    """How many pieces the peer of that name gave; Any: JSON."""
    return sum(int(source["pieces"]) for source in transfer["sources"] if source["peer"]["name"] == name)
