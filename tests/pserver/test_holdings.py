"""What a peer says from its own share; on the share in memory and on the real one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pserver.disk.folder import Folder
from pserver.disk.share import Share
from pserver.model import LookupRequest, Peer, PeerInfo, Query
from pserver.network.holdings import Holdings
from tests.pserver.fake_share import FakeShare, manifest_of

ANN = Peer("ab" * 32, "ann", "http://ann:1")
ASKED = LookupRequest("locate", "0" * 32, 0, 1000)


@pytest.fixture(params=["fake", "real"])
def share(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeShare | Share]:
    if request.param == "fake":
        yield FakeShare()
        return
    (tmp_path / "share").mkdir()
    folder = Folder(tmp_path / "share")
    real = Share(tmp_path / "index.sqlite", folder)
    yield real
    real.close()
    folder.close()


@pytest.fixture
def holdings(share: FakeShare | Share) -> Holdings:
    for name, content, checked in (
        ("docs/a report.txt", "one", True),
        ("docs/b report.txt", "two", False),
        ("copy of one", "one", True),
        ("docs2/Report", "three", True),
    ):
        share.put(name, name.encode(), (10, 1, 1, 1), manifest_of(content), checked)

    def info() -> PeerInfo:
        files, size = share.totals()
        return PeerInfo(Peer("", "", ""), files, size, 7, True, "0.1.0", 3.0)

    return Holdings(lambda: ANN, share, info)


def test_locate(holdings: Holdings) -> None:
    one, two = manifest_of("one"), manifest_of("two")
    queries = (
        Query(name="docs/a report.txt"),
        Query(name="docs/A report.txt"),
        Query(file_id=one.file_id),
        Query(file_id=bytes(32)),
        Query(sha256=one.sha256),
        Query(sha256=two.sha256),
        Query(file_id=two.file_id),
    )
    answer = holdings.answer(replace(ASKED, queries=queries))
    assert not answer.complete
    assert [[group.names for group in groups] for groups in answer.results] == [
        [["docs/a report.txt"]],
        [],
        [["copy of one", "docs/a report.txt"]],
        [],
        [["copy of one", "docs/a report.txt"]],
        [],  # nobody here computed it
        [["docs/b report.txt"]],
    ]
    [group] = answer.results[2]
    assert (group.file_id, group.size, group.sha256, group.holder_count) == (one.file_id, 10, one.sha256, 1)
    [holder] = group.holders
    assert (holder.peer, holder.sha256_checked, holder.partial) == (ANN, True, False)
    assert not answer.results[6][0].holders[0].sha256_checked


def test_search(holdings: Holdings) -> None:
    def found(words: str, page_size: int = 0) -> list[list[str]]:
        answer = holdings.answer(replace(ASKED, kind="search", words=words, page_size=page_size))
        return [group.names for group in answer.groups]

    assert found("report") == [["docs/a report.txt"], ["docs/b report.txt"], ["docs2/Report"]]
    assert found("rep docs") == [["docs/a report.txt"], ["docs/b report.txt"], ["docs2/Report"]]
    assert found("eport") == []
    assert found("one report") == []
    assert found("report", 1) == [["docs/a report.txt"]]


def test_peers(holdings: Holdings) -> None:
    def listed(match: str = "", folder: str = "") -> list[tuple[Peer, int, int, float | None]]:
        answer = holdings.answer(replace(ASKED, kind="peers", match=match, folder=folder))
        return [(info.peer, info.files, info.bytes, info.heartbeat_age) for info in answer.peers]

    assert listed() == listed("ann") == listed("ab" * 4) == listed("AB" * 32) == [(ANN, 4, 40, None)]
    assert listed("an") == listed("Ann") == listed("ab" * 3) == []
    assert listed(folder="docs/") == [(ANN, 2, 20, None)]
    assert listed(folder="music/") == []


def test_files_of_this_peer_are_all_there_is_to_say(holdings: Holdings) -> None:
    request = replace(ASKED, kind="files", peer_id=ANN.peer_id, prefix="docs/", page_size=1)
    first = holdings.answer(request)
    assert (first.complete, [each.name for each in first.files]) == (True, ["docs/a report.txt"])
    second = holdings.answer(replace(request, page_token=first.next_page_token))
    assert [each.name for each in second.files] == ["docs/b report.txt"]
    third = holdings.answer(replace(request, page_token=second.next_page_token))
    assert (third.files, third.next_page_token) == ([], "")
    elsewhere = holdings.answer(replace(request, page_token="WzAsImEgbmFtZSJd"))
    assert (elsewhere.complete, elsewhere.files) == (False, []), "another list's page is not the first of this one"
    whole = holdings.answer(replace(request, prefix="", page_size=0))
    assert (len(whole.files), whole.next_page_token) == (4, "")


def test_files_of_another_peer_are_not_known_here(holdings: Holdings) -> None:
    answer = holdings.answer(replace(ASKED, kind="files", peer_id="f" * 64))
    assert (answer.complete, answer.files) == (False, [])


def test_a_large_folder_is_counted_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pserver.network.holdings._MAX_FILES_PAGE", 3)
    share = FakeShare()
    for number in range(10):
        share.put(f"docs/{number}", b"", (10, 1, 1, 1), manifest_of(str(number)), True)
    holdings = Holdings(lambda: ANN, share, lambda: PeerInfo(ANN, 10, 100, 0, True, ""))
    [info] = holdings.answer(replace(ASKED, kind="peers", folder="docs/")).peers
    assert (info.files, info.bytes) == (10, 100)
