"""What each source gave, added up over files, and kept."""

from dataclasses import replace

from pserver.exchange.given import from_text, merged, over, to_text
from pserver.exchange.progress import FileProgress, Live
from pserver.exchange.transfers import Transfers
from pserver.model import Peer
from pserver.views import SourceView
from tests.pserver.test_transfers import WANTED, transfers  # noqa: F401 - a fixture

B = SourceView(Peer("b" * 64, "b", "http://b"), "ok", 5.0, 3, 0, None, 300)
C = SourceView(Peer("c" * 64, "c", "http://c"), "banned", 0.0, 0, 1, "c sent a wrong piece", 0)


def test_each_peer_once_with_sums_and_the_worst_of_it() -> None:
    worse = replace(B, state="gone", errors=2, why="it left", pieces=1, bytes=7, rate=1.0)
    assert merged([C, B, worse]) == (SourceView(B.peer, "gone", 6.0, 4, 2, "it left", 307), C)


def test_it_is_kept_as_text() -> None:
    assert from_text(to_text([over(B), C])) == (over(B), C)
    assert over(replace(B, state="slow")) == replace(B, rate=0.0)
    assert from_text(to_text([])) == ()


def test_it_goes_with_its_transfer(transfers: Transfers) -> None:  # noqa: F811 - a fixture
    made = transfers.create("download", "a", WANTED, 1.0)
    assert transfers.sources(made.id) == "[]"
    transfers.save_sources(made.id, to_text([B]))
    assert from_text(transfers.sources(made.id)) == (over(B),)
    transfers.forget(made.id)
    assert transfers.sources(made.id) == "[]"
    transfers.save_sources(made.id, to_text([B]))
    assert transfers.sources(made.id) == "[]", "nothing is kept of what is forgotten"


def test_files_that_ended_count_beside_those_that_are_being_fetched() -> None:
    live = Live()
    live.gave([B, C])
    live.file_began(1, lambda _: FileProgress(1, 0, None, (replace(C, state="ok", why=None, bytes=50),)))
    assert live.sources(0.0) == (over(B), SourceView(C.peer, "ok", 0.0, 0, 2, None, 50))


def test_the_bottleneck_of_a_transfer() -> None:
    live, moves = Live(), FileProgress(1, 0, None, (B,))
    assert live.bottleneck([], 1.0) is None
    live.worked("rate limit", 1.0, 1.0)
    assert live.bottleneck([moves], 1.0) == "rate limit"
    landing = FileProgress(2, 0, None, (), on_disk=True)
    assert live.bottleneck([landing], 1.0) == "disk"
    assert live.bottleneck([landing, moves], 1.0) == "rate limit"
    waits = FileProgress(3, 0, "waiting for b", (replace(B, state="slow"),))
    assert live.bottleneck([waits], 1.0) == "peer b is slow"
    assert live.bottleneck([FileProgress(3, 0, "b is dead: trying again in 3 s", (B,))], 1.0) == "no source"
