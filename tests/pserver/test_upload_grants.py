"""Uploads in a person's name, at the peer that makes them: grants are asked for, and nobody logged in is waited for."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pserver.exchange.grants import AT_ONCE, LOG_IN, REUSED_SECONDS, UploadGrants
from pserver.exchange.progress import transfer_view
from pserver.exchange.transfer import Transfer
from pserver.exchange.transfers import Transfers
from pserver.exchange.upload import Uploads
from pserver.model import LoginNeeded, NotFound, Offer, OfferView, Peer, PServerError, SharedFile, Unavailable

FILE = SharedFile("a.txt", b"a.txt", 5, 1, 1, 1, b"f" * 32, b"s" * 32, True, 1)
BOB, CARL = (Peer(letter * 64, name, "http://127.0.0.1:9") for letter, name in (("b", "bob"), ("c", "carl")))


@dataclass
class FakeAccounts:
    """Grants of the sessions in `live`."""

    live: set[str] = field(default_factory=lambda: {"session"})
    fails: PServerError | None = None
    asked: list[tuple[str, list[str]]] = field(default_factory=list)

    def grant_hold(self, session: str, file_id: bytes, targets: Sequence[str]) -> list[str]:
        self.asked.append((session, list(targets)))
        if self.fails is not None:
            raise self.fails
        if session not in self.live:
            raise LoginNeeded("the session has ended: log in again")
        return [f"grant for {target[:1]}" for target in targets]


class FakeTargets:
    """Peers that take what they are offered; `says` is how they answer when asked how far they are."""

    def __init__(self) -> None:
        self.offered: list[tuple[str, str | None]] = []
        self.says: dict[str, OfferView | PServerError] = {}

    def offer(self, peer: Peer, offer: Offer) -> OfferView:
        self.offered.append((peer.name, offer.grant))
        return self._said(peer)

    def offer_state(self, peer: Peer, offer_id: str) -> OfferView:
        return self._said(peer)

    def withdraw_offer(self, peer: Peer, offer_id: str) -> None:
        pass

    def _said(self, peer: Peer) -> OfferView:
        said = self.says.get(peer.name, OfferView("0" * 8, "running", 1, "a.txt"))
        if isinstance(said, PServerError):
            raise said
        return said


class Uploader:
    """Uploads that are looked after by hand, in their own time."""

    def __init__(self, path: Path) -> None:
        self.on = True
        self.now = 1000.0
        self.accounts, self.targets = FakeAccounts(), FakeTargets()
        self.transfers = Transfers(path)
        self.grants = UploadGrants(self.accounts, lambda: self.on, lambda: self.now)
        self.uploads = Uploads(
            self.transfers, self.targets, lambda *_: [], lambda: "http://x", grants=self.grants, clock=lambda: self.now
        )  # fmt: skip

    def close(self) -> None:
        self.uploads.stop()
        self.transfers.close()

    def state(self, transfer: Transfer) -> tuple[str, str | None]:
        """Its state, and why it stands still."""
        found = self.transfers.get(transfer.id)
        view = transfer_view(found, (), self.transfers.targets(transfer.id), self.uploads.live(transfer.id), self.now)
        return view.state, view.standstill


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[], Uploader]]:
    made: list[Uploader] = []

    def start() -> Uploader:
        for before in made:
            before.close()
        made.append(Uploader(tmp_path / "transfers.sqlite"))
        return made[-1]

    yield start
    made[-1].close()


def test_each_target_is_shown_its_grant(make: Callable[[], Uploader]) -> None:
    one = make()
    one.uploads.start(FILE, [BOB, CARL], 1, "session")
    one.uploads.tick()
    assert one.accounts.asked == [("session", [BOB.peer_id, CARL.peer_id])]
    assert sorted(one.targets.offered) == [("bob", "grant for b"), ("carl", "grant for c")]
    one.uploads.tick()
    assert len(one.accounts.asked) == 1 and len(one.targets.offered) == 2, "those that took it are only asked how far"


def test_where_accounts_are_off_nothing_is_shown(make: Callable[[], Uploader]) -> None:
    one = make()
    one.on = False
    one.uploads.start(FILE, [BOB], 1)
    one.uploads.tick()
    assert one.targets.offered == [("bob", None)] and not one.accounts.asked


def test_a_grant_is_used_again_for_a_minute_and_then_made_anew(make: Callable[[], Uploader]) -> None:
    one = make()
    one.targets.says["bob"] = Unavailable("does not answer")
    one.uploads.start(FILE, [BOB], 1, "session")
    for _ in range(3):
        one.uploads.tick()
    assert len(one.targets.offered) == 3 and len(one.accounts.asked) == 1
    one.now += REUSED_SECONDS
    one.uploads.tick()
    assert len(one.accounts.asked) == 2


def test_after_a_restart_it_stands_still_until_somebody_who_is_logged_in_resumes_it(
    make: Callable[[], Uploader],
) -> None:
    first = make()
    first.targets.says["bob"] = Unavailable("does not answer")
    begun = first.uploads.start(FILE, [BOB], 1, "session")
    first.uploads.tick()
    again = make()
    again.uploads.tick()
    assert again.state(begun) == ("paused", LOG_IN) and not again.targets.offered
    assert again.transfers.get(begun.id).error == ("login_required", LOG_IN)
    again.uploads.resume(again.transfers.get(begun.id), "session")
    again.uploads.tick()
    assert again.state(begun) == ("running", None) and again.targets.offered == [("bob", "grant for b")]


def test_a_session_that_ended_is_not_used_again(make: Callable[[], Uploader]) -> None:
    one = make()
    one.accounts.live = set()
    begun = one.uploads.start(FILE, [BOB], 1, "session")
    one.uploads.tick()
    assert one.state(begun) == ("paused", LOG_IN)
    one.uploads.resume(one.transfers.get(begun.id))
    one.uploads.tick()
    assert one.state(begun) == ("paused", LOG_IN) and len(one.accounts.asked) == 1


def test_targets_that_took_it_go_on_while_others_wait_for_a_login(make: Callable[[], Uploader]) -> None:
    one = make()
    one.targets.says["bob"] = Unavailable("does not answer")
    begun = one.uploads.start(FILE, [BOB, CARL], 1, "session")
    one.uploads.tick()
    one.now += REUSED_SECONDS
    one.accounts.live = set()
    one.uploads.tick()
    assert one.state(begun)[0] == "running", "carl is taking it"
    one.accounts.live = {"other"}
    one.uploads.resume(one.transfers.get(begun.id), "other")
    one.targets.says = {}
    one.uploads.tick()
    assert one.targets.offered[-1] == ("bob", "grant for b")
    one.targets.says = {name: OfferView("0" * 8, "done", 5, "a.txt") for name in ("bob", "carl")}
    one.uploads.tick()
    assert one.state(begun) == ("done", None)
    with pytest.raises(LoginNeeded):
        one.grants.for_targets(begun.id, FILE.file_id, [BOB.peer_id])  # an ended upload keeps no session


def test_a_target_that_forgot_the_offer_is_shown_a_grant_again(make: Callable[[], Uploader]) -> None:
    one = make()
    one.uploads.start(FILE, [BOB], 1, "session")
    one.uploads.tick()
    one.targets.says["bob"] = NotFound("what offer?")
    one.uploads.tick()
    one.targets.says = {}
    one.uploads.tick()
    assert one.targets.offered == [("bob", "grant for b")] * 2


def test_a_locator_that_is_away_is_waited_for_as_a_target_is(make: Callable[[], Uploader]) -> None:
    one = make()
    one.accounts.fails = Unavailable("away")
    begun = one.uploads.start(FILE, [BOB], 1, "session")
    one.uploads.tick()
    one.now += 119
    one.uploads.tick()
    assert one.state(begun)[0] == "running" and not one.targets.offered
    one.now += 2
    one.uploads.tick()
    assert one.transfers.get(begun.id).error == ("not-placed", "0 of 1 peers hold it now. bob: away")


def test_grants_for_many_are_asked_in_parts() -> None:
    accounts = FakeAccounts()
    grants = UploadGrants(accounts, lambda: True, lambda: 0.0)
    grants.hold("t", "session")
    targets = [f"{number:064x}" for number in range(AT_ONCE + 1)]
    assert set(grants.for_targets("t", FILE.file_id, targets)) == set(targets)
    assert [len(asked) for _session, asked in accounts.asked] == [AT_ONCE, 1]
