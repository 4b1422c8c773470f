"""What a person sees of how fast it goes and why not faster, and that the rates asked for hold. Real processes."""

import time
from typing import Any

import pytest

from demo.processes import Peer, wait_for
from tests.end_to_end.conftest import Person, World
from tests.end_to_end.test_main_job import MIB, make_file, same


def _sharing(world: World, name: str, size: int, **settings: str) -> Peer:
    peer = world.peer(name, start=False, **settings)
    make_file(peer.share / "big.bin", size)
    peer.start()
    return peer


def _held_up_by(person: Person, transfer: str, words: str) -> Any:
    """Wait until the transfer is held up by that; the transfer then."""

    def so() -> Any:
        found = person.transfer(transfer)
        assert found["state"] in {"queued", "running"}, found
        return found if found["bottleneck"] == words else None

    return wait_for(f"it is held up by: {words}", so)


def _gave(transfer: Any) -> dict[str, int]:
    return {source["peer"]["name"]: source["bytes"] for source in transfer["sources"]}


def test_the_download_rate_holds_over_all_downloads_and_is_said(world: World) -> None:
    a = _sharing(world, "a", 8 * MIB)
    make_file(a.share / "other.bin", 8 * MIB, b"other")
    c = world.peer("c", PSERVER_DOWNLOAD_RATE="4M")
    world.found(c, "big.bin", "a")
    world.found(c, "other.bin", "a")
    person, began = Person(c), time.monotonic()
    transfers = [person.start_download(name) for name in ("big.bin", "other.bin")]
    for transfer in transfers:
        _held_up_by(person, transfer, "rate limit")
    assert "rate limit" in c.client("transfers", transfers[0]).stdout
    ends = [person.ended(transfer) for transfer in transfers]
    assert [end["state"] for end in ends] == ["done", "done"]
    assert 3.5 < time.monotonic() - began < 20, "16 MiB at 4 MiB/s"
    assert same(a.share / "big.bin", c.share / "big.bin")


def test_a_slow_source_is_named_and_what_each_gave_is_kept(world: World) -> None:
    a = _sharing(world, "a", 8 * MIB, PSERVER_UPLOAD_RATE="3M")
    c = world.peer("c")
    world.found(c, "big.bin", "a")
    person = Person(c)
    transfer = person.start_download("big.bin")
    _held_up_by(person, transfer, "peer a is slow")
    wait_for("its rate is told", lambda: person.transfer(transfer)["sources"][0]["rate"] > 0)
    ended = person.ended(transfer)
    assert (ended["state"], ended["bottleneck"], _gave(ended)) == ("done", None, {"a": 8 * MIB})
    c.stop()
    c.start()
    assert _gave(person.transfer(transfer)) == {"a": 8 * MIB}, "it is kept over a restart"
    assert "8388608" in c.client("--json", "transfers", transfer).stdout
    assert same(a.share / "big.bin", c.share / "big.bin")


def test_without_a_source_that_is_said(world: World) -> None:
    a = _sharing(world, "a", 16 * MIB, PSERVER_UPLOAD_RATE="3M")
    c = world.peer("c")
    world.found(c, "big.bin", "a")
    person = Person(c)
    transfer = person.start_download("big.bin")
    wait_for("it moves", lambda: person.transfer(transfer)["bytes_done"] >= MIB)
    before = _gave(person.transfer(transfer))["a"]
    c.kill()
    a.kill()
    c.start()
    waiting = _held_up_by(person, transfer, "no source")
    assert waiting["standstill"]
    a.start()
    ended = person.ended(transfer)
    assert ended["state"] == "done"
    assert _gave(ended)["a"] >= before - 8 * MIB, "what came before the kill was recorded every two seconds"


@pytest.mark.long
def test_a_source_that_appears_in_mid_download_is_used(world: World) -> None:
    _sharing(world, "a", 48 * MIB, PSERVER_UPLOAD_RATE="1M")
    c = world.peer("c")
    world.found(c, "big.bin", "a")
    person = Person(c)
    transfer = person.start_download("big.bin")
    wait_for("it moves", lambda: person.transfer(transfer)["bytes_done"] >= MIB)
    b = _sharing(world, "b", 48 * MIB)
    world.found(c, "big.bin", "a", "b", "c")  # itself too: it has a part already
    ended = person.ended(transfer, 40)
    assert ended["state"] == "done"
    assert _gave(ended)["b"] > 16 * MIB
    assert same(b.share / "big.bin", c.share / "big.bin")
