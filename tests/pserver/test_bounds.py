"""What a peer lets others take of it: offers, the quota of the share, and the settings that say how much."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from protos.tokens import peer_id_of
from pserver.api.tus import TusUploads
from pserver.exchange.incoming import Incoming
from pserver.exchange.offers import Offers
from pserver.exchange.quota import Quota
from pserver.exchange.transfer import Wanted
from pserver.model import NoRoom, Offer, TooMany, Unavailable
from pserver.settings import WrongSetting, read_settings
from tests.pserver.download_lab import Lab
from tests.pserver.fake_source import FakeSource, manifest_of
from tests.pserver.web_lab import NOW, FakeShareFolder, PeerLab, problem_of

ANN, BOB = peer_id_of(b"ann"), peer_id_of(b"bob")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """Downloads that never begin: what is taken stays queued."""
    made = Lab(tmp_path)
    yield made
    made.close()


def offers_of(lab: Lab, most: int = 256, most_of_one: int = 32) -> Offers:
    incoming = Incoming(lab.downloads, lab.transfers)
    return Offers(lab.share, lab.transfers, incoming, True, most=most, most_of_one=most_of_one)


def offer(number: int, size: int = 5) -> Offer:
    return Offer(number.to_bytes(32), size, f"file-{number}", bytes(32), "http://127.0.0.1:9")


def test_one_peer_has_so_many_offers_in_work_and_the_others_have_theirs(lab: Lab) -> None:
    offers = offers_of(lab, most=5, most_of_one=3)
    first = [offers.take(offer(number), ANN) for number in range(3)]
    with pytest.raises(TooMany):
        offers.take(offer(3), ANN)
    assert offers.take(offer(0), ANN).offer_id == first[0].offer_id, "a doubled one is not one more"
    offers.take(offer(4), BOB)
    offers.withdraw(first[0].offer_id, ANN)
    offers.take(offer(5), ANN)


def test_of_all_peers_together_so_many_offers_are_in_work(lab: Lab) -> None:
    offers = offers_of(lab, most=2, most_of_one=2)
    offers.take(offer(0), ANN)
    offers.take(offer(1), BOB)
    with pytest.raises(Unavailable) as caught:
        offers.take(offer(2), BOB[::-1])
    assert not isinstance(caught.value, TooMany)


def test_too_many_is_429_and_load_is_503_and_both_say_when_to_try_again() -> None:
    lab = PeerLab()
    body = {"file_id": "ab" * 32, "size": 1, "name": "a", "sha256": "cd" * 32, "url": "http://10.0.0.1:1"}
    for error, status, code in ((TooMany("yours"), 429, "too-many"), (Unavailable("load"), 503, "unavailable")):
        lab.node.error = error
        answer = lab.http.post("/peer/v1/offers", json=body, headers=lab.auth("offer"))
        problem_of(answer, status, code)
        assert int(answer.headers["Retry-After"]) > 0


def test_the_quota_counts_files_downloads_and_uploads(lab: Lab) -> None:
    quota = Quota(100, lab.share, lab.transfers)
    assert quota.left() == 100
    lab.transfers.create("download", "x", [Wanted("x", b"x" * 32, 30)], NOW)
    quota.uploads = lambda: 20
    assert (quota.left(), quota.beside_uploads()) == (50, 70)
    quota.check(50)
    with pytest.raises(NoRoom, match="quota"):
        quota.check(51)
    quota.uploads = lambda: 200
    assert quota.left() == 0 and Quota(None, lab.share, lab.transfers).left() is None


def with_quota(lab: Lab, most: int) -> Lab:
    lab.downloads._engine.quota._most = most
    return lab


def test_offers_and_downloads_beyond_the_quota_are_refused(lab: Lab) -> None:
    offers = offers_of(with_quota(lab, 8))
    offers.take(offer(0), ANN)
    with pytest.raises(NoRoom):
        offers.take(offer(1), ANN)
    with pytest.raises(NoRoom):
        lab.downloads.start("big", [Wanted("big", b"b" * 32, 4)])
    lab.downloads.start("small", [Wanted("small", b"s" * 32, 3)])


def test_a_file_larger_than_was_told_does_not_slip_in(tmp_path: Path) -> None:
    content = bytes(300_000)
    with FakeSource("liar", content) as liar, with_quota(Lab(tmp_path), 200_000) as lab:
        file_id = manifest_of(content).file_id
        taken = lab.downloads.start("f", [Wanted("f", file_id, 5)], hints=[liar.peer])
        ended = lab.wait(taken.id, "failed", "done")
        assert (ended.state, ended.error and ended.error[0]) == ("failed", "no-room")
        assert lab.partials() == [] and not liar.asked.requests


def test_a_failed_download_that_goes_on_needs_its_room_again(lab: Lab) -> None:
    taken = with_quota(lab, 8).downloads.start("f", [Wanted("f", b"f" * 32, 5)])
    lab.transfers.move(taken.id, "running", NOW)
    lab.transfers.move(taken.id, "failed", NOW, ("unavailable", "gone"))
    lab.downloads.start("g", [Wanted("g", b"g" * 32, 5)])
    with pytest.raises(NoRoom):
        lab.downloads.resume(taken.id)


def test_open_uploads_share_the_quota(tmp_path: Path) -> None:
    left: Callable[[], int | None] = lambda: 10  # noqa: E731 - typed
    uploads = TusUploads(FakeShareFolder(tmp_path), lambda _: None, quota=left)
    first = uploads.create("a", 6, NOW)
    assert uploads.open_bytes() == 6
    with pytest.raises(NoRoom, match="quota"):
        uploads.create("b", 5, NOW)
    uploads.terminate(first.id, NOW)
    uploads.create("b", 10, NOW)


def test_the_defaults_are_bounded_and_wrong_values_are_told() -> None:
    bounds = read_settings({}).bounds
    assert (bounds.connections, bounds.connections_per_address, bounds.requests) == (512, 384, 256)
    assert (bounds.header_bytes, bounds.body_bytes, bounds.quota) == (32 << 10, 512 << 10, None)
    assert read_settings({"PSERVER_QUOTA": "3G"}).bounds.quota == 3 << 30
    for name, value in (("MAX_CONNECTIONS", "0"), ("MAX_BODY", "1M"), ("MAX_HEADER", "1K"), ("QUOTA", "much")):
        with pytest.raises(WrongSetting, match=f"PSERVER_{name}"):
            read_settings({f"PSERVER_{name}": value})
