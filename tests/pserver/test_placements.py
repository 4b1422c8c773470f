"""Uploads in a person's name, at the peer that takes them: whose grant counts, who placed what, what a drop removes."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from demo.processes import wait_for
from protos.grants import GrantVerifier, Verb, make_grant
from protos.tokens import InvalidToken, Issuer
from pserver.exchange.grants import OfferGrants
from pserver.exchange.incoming import Incoming
from pserver.exchange.offers import Offers
from pserver.exchange.placements import Placements, PlacingPeople
from pserver.exchange.transfer import Wanted
from pserver.model import Conflict, Offer, OfferView, Refused, Unavailable
from tests.pserver.download_lab import Lab
from tests.pserver.fake_source import Behaviour, FakeSource, manifest_of

NOW = 1_800_000_000.0
OWN, UPLOADER = "0a" * 32, "0b" * 32
CONTENT = b"a file that somebody places" * 100
MANIFEST = manifest_of(CONTENT)
FILE_ID = MANIFEST.file_id


class Host:
    """A peer that takes uploads, under accounts, in the folder `root`."""

    def __init__(self, root: Path) -> None:
        self.lab = Lab(root)
        self.locator = Issuer(Ed25519PrivateKey.generate(), None)
        self.on = True
        self.registered_with = {self.locator.peer_id}
        self.grants = OfferGrants(
            GrantVerifier(OWN, None), lambda: self.on, lambda: self.registered_with, lambda: NOW
        )  # fmt: skip
        lab = self.lab
        self.placements = Placements(
            lab.transfers.database, lab.share, lab.share.remove_indexed, lab.downloads.cancel
        )  # fmt: skip
        people = PlacingPeople(self.grants, self.placements)
        self.offers = Offers(lab.share, lab.transfers, Incoming(lab.downloads, lab.transfers), True, people=people)

    def grant(
        self,
        user: str = "ann",
        verb: Verb = "hold",
        file_id: bytes = FILE_ID,
        target: str = OWN,
        by: str | None = UPLOADER,
        *,
        admin: bool = False,
        now: float = NOW,
        issuer: Issuer | None = None,
    ) -> str:
        """What the locator signs."""
        signed_by = issuer or self.locator
        hexed = file_id.hex()
        return make_grant(signed_by, user=user, admin=admin, verb=verb, file_id=hexed, target=target, by=by, now=now)

    def take(self, source: FakeSource, grant: str | None, asker: str = UPLOADER) -> OfferView:
        """Offer CONTENT as docs/a.txt."""
        url = source.peer.url
        return self.offers.take(Offer(FILE_ID, len(CONTENT), "docs/a.txt", MANIFEST.sha256, url, grant), asker)

    def place(self, source: FakeSource, user: str, asker: str = UPLOADER) -> None:
        """`user` uploads CONTENT here; it has landed when this returns."""
        self.lab.knows(CONTENT, source)
        taken = self.take(source, self.grant(user, by=asker), asker)
        if taken.state != "done":
            self.lab.wait(taken.offer_id, "done")

    def drop(self, user: str, *, admin: bool = False, now: float = NOW) -> None:
        """The locator orders what `user` placed to be dropped."""
        self.placements.drop(self.grants.order(self.grant(user, "drop", by=None, admin=admin, now=now)))

    def share_by_hand(self, name: str) -> None:
        """The host's own people have CONTENT in the share."""
        path = self.lab.root / "share" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT)
        self.lab.share.adopt(name, MANIFEST, sha256_checked=True)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    with made.lab:
        yield made


@pytest.fixture
def source() -> Iterator[FakeSource]:
    with FakeSource("ann's peer", CONTENT) as made:
        yield made


# --- whose grant counts


@pytest.mark.parametrize(
    "wrong",
    [
        {"verb": "drop"},
        {"file_id": bytes(32)},
        {"target": UPLOADER},
        {"by": None},
        {"by": "0c" * 32},
        {"now": NOW - 181},
        {"now": NOW + 61},
        {"issuer": Issuer(Ed25519PrivateKey.generate(), None)},
    ],
    ids="-".join,
)
def test_an_offer_needs_a_grant_for_just_that(host: Host, source: FakeSource, wrong: dict[str, object]) -> None:
    with pytest.raises(Refused) as raised:
        host.take(source, host.grant(**wrong))  # type: ignore[arg-type]  # of these types
    assert raised.value.code == "grant_needed"
    assert not host.lab.transfers.all()


def test_an_offer_without_a_grant_or_with_nonsense_is_refused(host: Host, source: FakeSource) -> None:
    for shown in (None, "", "a.b.c", host.grant()[:-2]):
        with pytest.raises(Refused) as raised:
            host.take(source, shown)
        assert raised.value.code == "grant_needed"
    assert not host.lab.transfers.all()


def test_a_peer_that_has_just_started_asks_for_patience(host: Host, source: FakeSource) -> None:
    host.registered_with.clear()
    with pytest.raises(Unavailable):
        host.take(source, host.grant())
    with pytest.raises(Refused):
        host.take(source, None)
    assert not host.lab.transfers.all()


def test_a_file_that_is_here_already_needs_a_grant_too(host: Host, source: FakeSource) -> None:
    host.share_by_hand("mine.txt")
    with pytest.raises(Refused):
        host.take(source, None)
    assert host.take(source, host.grant()).state == "done"


def test_where_accounts_are_off_no_grant_is_needed_and_nothing_is_noted(host: Host, source: FakeSource) -> None:
    host.on = False
    host.lab.knows(CONTENT, source)
    host.lab.wait(host.take(source, None).offer_id, "done")
    host.on = True
    host.drop("ann")
    assert host.lab.names() == ["docs/a.txt"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"verb": "hold", "by": None},
        {"by": UPLOADER},
        {"target": UPLOADER, "by": None},
        {"by": None, "now": NOW - 181},
        {"by": None, "issuer": Issuer(Ed25519PrivateKey.generate(), None)},
    ],
    ids="-".join,
)
def test_only_the_locator_orders_to_drop(host: Host, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidToken):
        host.grants.order(host.grant(**{"verb": "drop", **wrong}))  # type: ignore[arg-type]  # of these types


# --- what a drop removes


def test_what_one_person_placed_goes_when_that_person_wants_it_gone(host: Host, source: FakeSource) -> None:
    host.place(source, "ann")
    host.drop("bob")
    assert host.lab.names() == ["docs/a.txt"]
    host.drop("ann")
    assert host.lab.names() == [] and host.lab.share.by_file_id(FILE_ID) is None
    host.drop("ann")


def test_what_two_placed_stays_until_both_want_it_gone(host: Host, source: FakeSource) -> None:
    host.place(source, "ann")
    host.place(source, "bob", "0c" * 32)
    host.drop("ann")
    assert host.lab.names() == ["docs/a.txt"]
    host.drop("bob")
    assert host.lab.names() == []


def test_an_admin_has_it_gone_whoever_placed_it(host: Host, source: FakeSource) -> None:
    host.place(source, "ann")
    host.place(source, "bob")
    host.drop("root", admin=True)
    assert host.lab.names() == []


def test_what_the_host_shared_before_stays(host: Host, source: FakeSource) -> None:
    host.share_by_hand("mine.txt")
    host.place(source, "ann")
    host.drop("ann")
    host.drop("root", admin=True)
    assert host.lab.names() == ["mine.txt"]


def test_what_the_host_downloads_later_stays(host: Host, source: FakeSource) -> None:
    host.place(source, "ann")
    host.lab.downloads.start("mine", [Wanted("mine.txt", FILE_ID, len(CONTENT))])
    host.drop("ann")
    assert host.lab.names() == ["docs/a.txt"]


def test_what_the_host_downloads_with_a_folder_stays(host: Host, source: FakeSource) -> None:
    other = b"another file of that folder"
    source.offer(other)
    host.place(source, "ann")
    wanted = [Wanted("docs/a.txt", FILE_ID, len(CONTENT)), Wanted("docs/b.txt", host.lab.knows(other, source), 27)]
    host.lab.wait(host.lab.downloads.start("docs/", wanted, tree=True).id, "done")
    host.drop("ann")
    assert host.lab.names() == ["docs/a.txt", "docs/b.txt"]


def test_what_was_renamed_changed_or_removed_by_the_host_is_left_alone(host: Host, source: FakeSource) -> None:
    host.place(source, "ann")
    path = host.lab.root / "share" / "docs/a.txt"
    path.write_bytes(b"changed, and not looked at again yet")
    host.drop("ann")
    assert path.exists()
    host.lab.share.forget(["docs/a.txt"])
    path.unlink()
    host.place(source, "bob")
    path.rename(path.with_name("renamed.txt"))
    host.lab.share.forget(["docs/a.txt"])
    host.lab.share.adopt("docs/renamed.txt", MANIFEST, sha256_checked=True)
    host.drop("bob")
    assert host.lab.names() == ["docs/renamed.txt"]


def test_what_the_host_removed_and_shares_again_is_its_own(host: Host, source: FakeSource) -> None:
    host.place(source, "ann")
    held = host.lab.share.by_name("docs/a.txt")
    assert held is not None
    host.lab.share.remove_indexed(held)
    host.placements.forget(FILE_ID, "docs/a.txt")
    host.share_by_hand("docs/a.txt")
    host.drop("ann")
    assert host.lab.names() == ["docs/a.txt"]


def test_what_is_still_coming_does_not_come_any_more(host: Host) -> None:
    hold = threading.Event()
    with FakeSource("ann's peer", CONTENT, behaviour=Behaviour(hold=hold)) as source:
        host.lab.knows(CONTENT, source)
        taken = host.take(source, host.grant())
        host.drop("ann")
        hold.set()
        host.lab.wait(taken.offer_id, "cancelled")
    assert host.lab.names() == []


def test_what_is_still_coming_for_another_comes(host: Host) -> None:
    hold = threading.Event()
    with FakeSource("ann's peer", CONTENT, behaviour=Behaviour(hold=hold)) as source:
        host.lab.knows(CONTENT, source)
        taken = host.take(source, host.grant("ann"))
        assert host.take(source, host.grant("bob")).offer_id == taken.offer_id
        host.drop("ann")
        hold.set()
        host.lab.wait(taken.offer_id, "done")
    assert host.lab.names() == ["docs/a.txt"]
    host.drop("bob")
    assert host.lab.names() == []


@pytest.mark.parametrize("admin", [False, True])
@pytest.mark.parametrize("here", [False, True])
def test_a_grant_from_before_the_order_to_drop_counts_no_more(
    host: Host, source: FakeSource, *, admin: bool, here: bool
) -> None:
    if here:
        host.share_by_hand("mine.txt")
    host.drop("root" if admin else "ann", admin=admin, now=NOW + 0.002)
    with pytest.raises(Refused, match="from before"):
        host.take(source, host.grant("ann", now=NOW + 0.001))
    assert all(one.state == "cancelled" for one in host.lab.transfers.all()), "nothing of it is coming"
    host.lab.knows(CONTENT, source)
    taken = host.take(source, host.grant("ann", now=NOW + 0.003))
    assert taken.state == "done" or host.lab.wait(taken.offer_id, "done")


def test_an_order_from_before_it_was_placed_again_drops_nothing(host: Host, source: FakeSource) -> None:
    host.place(source, "ann")
    host.drop("ann", now=NOW - 0.001)
    host.drop("root", admin=True, now=NOW - 0.001)
    assert host.lab.names() == ["docs/a.txt"]


def test_what_lands_in_the_instant_of_the_order_goes_with_the_next(host: Host, source: FakeSource) -> None:
    place, tried = host.lab.folder.place, []

    def placing(base: str, name: str) -> str:
        with pytest.raises(Conflict):
            host.drop("ann")
        host.offers.withdraw(host.lab.transfers.all()[0].id, UPLOADER)
        tried.append(name)
        return place(base, name)

    host.lab.folder.place = placing  # type: ignore[assignment,method-assign]  # to be there between two of its steps
    host.place(source, "ann")
    assert tried and host.lab.names() == ["docs/a.txt"], "still ann's, and not the host's"
    host.drop("ann")
    assert host.lab.names() == []


def test_what_another_places_in_the_instant_in_which_it_lands_is_not_the_hosts(host: Host, source: FakeSource) -> None:
    end, taken = host.lab.transfers.end_item, []

    def ending(*rest: Any) -> None:
        taken.append(host.take(source, host.grant("bob", by="0c" * 32), "0c" * 32).state)
        end(*rest)

    host.lab.transfers.end_item = ending  # type: ignore[assignment,method-assign]  # as above
    host.place(source, "ann")
    assert taken == ["done"]
    host.drop("ann")
    assert host.lab.names() == ["docs/a.txt"]
    host.drop("bob")
    assert host.lab.names() == []


def test_what_has_landed_before_its_transfer_could_be_ended_goes(host: Host) -> None:
    hold, cancel = threading.Event(), host.lab.downloads.cancel

    def cancel_too_late(transfer_id: str) -> None:
        hold.set()
        host.lab.wait(transfer_id, "done")
        cancel(transfer_id)

    host.placements = Placements(
        host.lab.transfers.database, host.lab.share, host.lab.share.remove_indexed, cancel_too_late
    )  # fmt: skip
    with FakeSource("ann's peer", CONTENT, behaviour=Behaviour(hold=hold)) as source:
        host.lab.knows(CONTENT, source)
        host.take(source, host.grant())
        host.drop("ann")
    assert host.lab.names() == []


def test_what_was_cancelled_gets_no_name(host: Host, source: FakeSource) -> None:
    begin = host.lab.transfers.begin_placing

    def cancelled_before(transfer_id: str, *rest: Any) -> None:
        host.drop("ann")
        begin(transfer_id, *rest)

    host.lab.transfers.begin_placing = cancelled_before  # type: ignore[assignment,method-assign]  # as above
    host.lab.knows(CONTENT, source)
    host.lab.wait(host.take(source, host.grant()).offer_id, "cancelled")
    wait_for("its partial is removed", lambda: not host.lab.partials())
    assert host.lab.names() == []


def test_what_was_withdrawn_before_it_landed_is_not_placed(host: Host) -> None:
    hold = threading.Event()
    with FakeSource("ann's peer", CONTENT, behaviour=Behaviour(hold=hold)) as source:
        host.lab.knows(CONTENT, source)
        taken = host.take(source, host.grant())
        host.offers.withdraw(taken.offer_id, UPLOADER)
        hold.set()
        host.place(source, "bob", "0c" * 32)
    host.drop("bob")
    assert host.lab.names() == [], "ann's note does not keep it"


def test_what_the_host_shares_while_it_is_coming_is_the_hosts(host: Host) -> None:
    hold = threading.Event()
    with FakeSource("ann's peer", CONTENT, behaviour=Behaviour(hold=hold)) as source:
        host.lab.knows(CONTENT, source)
        host.take(source, host.grant())
        host.share_by_hand("docs/a.txt")
        host.drop("ann")
        hold.set()
    assert host.lab.names() == ["docs/a.txt"]


def begin(lab: Lab, user: str) -> str:
    """An offer of CONTENT as docs/a.txt was taken, and then the peer died: nobody heard of it."""
    wanted = Wanted("docs/a.txt", FILE_ID, len(CONTENT))
    return lab.transfers.create("incoming", "docs/a.txt", [wanted], NOW, asker=UPLOADER, user=user).id


def test_what_was_begun_when_the_peer_died_is_its_users(tmp_path: Path, source: FakeSource) -> None:
    host = Host(tmp_path)
    begun = begin(host.lab, "ann")
    host.lab.knows(CONTENT, source)
    with host.lab:
        host.lab.wait(begun, "done")
        assert host.take(source, host.grant()).state == "done", "it landed before it was offered again"
        host.drop("ann")
        assert host.lab.names() == []


def test_what_the_host_shares_while_it_waits_is_the_hosts(tmp_path: Path) -> None:
    host = Host(tmp_path)
    begun = begin(host.lab, "ann")
    host.share_by_hand("docs/a.txt")
    with host.lab:
        host.lab.wait(begun, "done")
        host.drop("ann")
        assert host.lab.names() == ["docs/a.txt"]


def test_the_notes_survive_a_restart_and_a_taken_name(tmp_path: Path, source: FakeSource) -> None:
    (tmp_path / "share" / "docs").mkdir(parents=True)
    (tmp_path / "share" / "docs" / "a.txt").write_bytes(b"another file of that name")
    host = Host(tmp_path)
    with host.lab:
        host.place(source, "ann")
        assert host.lab.names() == ["docs/a (2).txt", "docs/a.txt"]
    again = Host(tmp_path)
    with again.lab:
        again.drop("ann")
        assert again.lab.names() == ["docs/a.txt"]
