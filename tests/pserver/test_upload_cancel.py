"""Cancelling uploads: what targets have taken is withdrawn from them, but not from another upload of that file."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.processes import wait_for
from pserver.exchange.transfers import Transfers
from pserver.exchange.upload import Uploads
from pserver.model import NotFound, Offer, OfferView, Peer, SharedFile

FILE = SharedFile("a.txt", b"a.txt", 5, 1, 1, 1, b"f" * 32, b"s" * 32, True, 1)
BOB = Peer("b" * 64, "bob", "http://127.0.0.1:9")


class FakeTarget:
    """A peer that takes one offer of a file, as the real one does. `on_offer` is called while it is being asked."""

    def __init__(self) -> None:
        self.on_offer: Callable[[], object] = bool
        self.taken: dict[str, str] = {}  # offer id: state

    def offer(self, peer: Peer, offer: Offer) -> OfferView:
        self.on_offer()
        self.taken[offer.file_id.hex()[:8]] = "running"
        return self.offer_state(peer, offer.file_id.hex()[:8])

    def offer_state(self, peer: Peer, offer_id: str) -> OfferView:
        if offer_id not in self.taken:
            raise NotFound("there is no such offer")
        return OfferView(offer_id, self.taken[offer_id], 1, "a.txt")

    def withdraw_offer(self, peer: Peer, offer_id: str) -> None:
        self.taken[offer_id] = "cancelled"

    @property
    def states(self) -> list[str]:
        return list(self.taken.values())


@pytest.fixture
def target() -> FakeTarget:
    return FakeTarget()


@pytest.fixture
def uploads(tmp_path: Path, target: FakeTarget) -> Iterator[tuple[Uploads, Transfers]]:
    """Looked after by hand: `tick`."""
    transfers = Transfers(tmp_path / "transfers.sqlite")
    made = Uploads(transfers, target, lambda *_: [], lambda: "http://x")
    yield made, transfers
    made.stop()
    transfers.close()


def test_what_a_target_has_taken_is_withdrawn(uploads: tuple[Uploads, Transfers], target: FakeTarget) -> None:
    made, _ = uploads
    one = made.start(FILE, [BOB], 1)
    made.tick()
    made.cancel(one)
    wait_for("it is withdrawn", lambda: target.states == ["cancelled"])


def test_one_that_has_ended_in_this_instant_is_not_cancelled(
    uploads: tuple[Uploads, Transfers], target: FakeTarget
) -> None:
    made, transfers = uploads
    one = made.start(FILE, [BOB], 1)
    made.tick()
    target.taken = dict.fromkeys(target.taken, "done")
    made.tick()
    made.cancel(one)
    assert transfers.get(one.id).state == "done" and target.states == ["done"]


def test_of_two_uploads_of_one_file_each_is_cancelled_for_itself(
    uploads: tuple[Uploads, Transfers], target: FakeTarget
) -> None:
    made, transfers = uploads
    anns, bobs = made.start(FILE, [BOB], 1), made.start(FILE, [BOB], 1)
    made.tick()
    made.cancel(anns)
    made.tick()
    assert [transfers.get(one.id).state for one in (anns, bobs)] == ["cancelled", "running"]
    assert target.states == ["running"], "the other goes on"
    made.cancel(bobs)
    wait_for("it is withdrawn with the last", lambda: target.states == ["cancelled"])


def test_what_is_taken_in_the_instant_of_the_cancelling_is_withdrawn_too(
    uploads: tuple[Uploads, Transfers], target: FakeTarget
) -> None:
    made, transfers = uploads
    one = made.start(FILE, [BOB], 1)
    target.on_offer = lambda: made.cancel(transfers.get(one.id))
    made.tick()
    wait_for("it is withdrawn", lambda: target.states == ["cancelled"])
    assert [each.state for each in transfers.targets(one.id)] == ["cancelled"]
