"""The index in memory tells its changes as the real one does."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pserver.disk.folder import Folder
from pserver.disk.share import Share
from pserver.network.membership import Index
from pserver.pieces import Manifest
from tests.pserver.fake_locator import FakeIndex, entry

Change = Callable[[str], None]


@pytest.fixture(params=["fake", "real"])
def index_and_change(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Index, Change, Change]]:
    """An index, how to add a file to it, and how to remove one."""
    if request.param == "fake":
        fake = FakeIndex()
        yield fake, lambda name: fake.put(entry(name)), fake.drop
        return
    (tmp_path / "share").mkdir()
    folder = Folder(tmp_path / "share")
    share = Share(tmp_path / "index.sqlite", folder)
    manifest = Manifest(0, 256 * 1024, bytes(32), b"")

    def add(name: str) -> None:
        share.put(name, name.encode(), (0, 1, 1, 1), manifest, True)

    yield share, add, lambda name: share.forget([name])
    share.close()
    folder.close()


def test_an_index_tells_its_changes(
    index_and_change: tuple[Index, Change, Change],
) -> None:
    index, add, remove = index_and_change
    told: list[int] = []
    index.on_change(lambda: told.append(index.sequence))
    for name in "abcd":
        add(name)
    remove("b")
    assert told == [1, 2, 3, 4, 5]
    assert len(index.epoch) == 16
    first = index.changes_since(0, 2)
    assert first is not None
    assert ([each.name for each in first.added], first.removed) == (["a", "c"], [])
    rest = index.changes_since(first.sequence, 2)
    assert rest is not None
    assert ([each.name for each in rest.added], rest.removed, rest.sequence) == (["d"], ["b"], 5)
    assert index.changes_since(6, 2) is None
    assert [each.name for each in index.snapshot("", 2)] == ["a", "c"]
    assert [each.name for each in index.snapshot("c", 2)] == ["d"]
    before = index.epoch
    index.new_epoch()
    assert index.epoch != before
    assert index.sequence == 5
