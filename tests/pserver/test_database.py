"""The database's file: kept, upgraded, rebuilt when broken, refused when newer."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from pserver.database import Database
from pserver.disk.folder import Folder
from pserver.disk.rows import Indexed
from pserver.disk.share import Share
from pserver.model import NoRoom, Unavailable
from tests.pserver.share_lab import add, open_share, row_only, share_fixture  # noqa: F401


def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    first = open_share(tmp_path)
    file, epoch = add(first, "a"), first.epoch
    first.indexed_folder = "some folder"
    first.close()
    second = open_share(tmp_path)
    assert (second.by_name("a"), second.epoch, second.sequence) == (file, epoch, 1)
    assert second.indexed_folder == "some folder"
    second.new_epoch()
    assert second.epoch != epoch
    assert len(epoch) == len(second.epoch) == 16
    second.close()


@pytest.mark.parametrize("damage", ["cut", "garbage", "page", "text"])
def test_a_broken_index_is_moved_aside_and_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    first = open_share(tmp_path)
    first.put_many([row_only(f"name {number}" * 10) for number in range(500)])
    epoch = first.epoch
    first.close()
    path = tmp_path / "share.sqlite"
    content = path.read_bytes()
    page = bytearray(content)
    page[8192:16384] = os.urandom(8192)
    damaged = {
        "cut": content[: len(content) // 2],
        "garbage": os.urandom(len(content)),
        "page": bytes(page),
        "text": b"hi",
    }
    path.write_bytes(damaged[damage])
    second = open_share(tmp_path)
    assert (second.totals(), second.sequence) == ((0, 0), 0)
    assert second.epoch != epoch
    assert (tmp_path / "share.sqlite.broken-1").read_bytes() == damaged[damage]
    assert "moved to" in caplog.text
    second.put_many([row_only("a")])
    second.close()


def test_an_empty_file_is_a_new_index(tmp_path: Path) -> None:
    (tmp_path / "share.sqlite").touch()
    share = open_share(tmp_path)
    assert share.sequence == 0
    share.close()
    assert not list(tmp_path.glob("*.broken*"))


def test_the_index_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    open_share(tmp_path).close()
    with sqlite3.connect(tmp_path / "share.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(Unavailable, match="newer version"):
        open_share(tmp_path)
    assert not list(tmp_path.glob("*.broken*"))


def test_a_place_where_no_database_can_be_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be used"):
        Share(tmp_path / "missing" / "share.sqlite", Folder(tmp_path))


def test_others_on_this_machine_cannot_read_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    share = open_share(tmp_path)
    add(share, "a")
    modes = {path.name: path.stat().st_mode & 0o077 for path in tmp_path.glob("*.sqlite*")}
    share.close()
    assert modes and set(modes.values()) == {0}


def test_an_older_schema_is_upgraded_once(tmp_path: Path) -> None:
    first, second = "CREATE TABLE t (a)", "ALTER TABLE t ADD b DEFAULT 7"
    made = Database(tmp_path / "db", [first])
    with made.writing() as db:
        db.execute("INSERT INTO t VALUES (1)")
    made.close()
    for _ in range(2):
        upgraded = Database(tmp_path / "db", [first, second])
        with upgraded.reading() as db:
            assert db.execute("SELECT * FROM t").fetchall() == [(1, 7)]
        upgraded.close()


def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path) -> None:
    Database(tmp_path / "db", ["CREATE TABLE t (a)"]).close()
    with pytest.raises(Unavailable):
        Database(tmp_path / "db", ["", "ALTER TABLE t ADD b; ALTER TABLE missing ADD c"])
    again = Database(tmp_path / "db", ["", "ALTER TABLE t ADD b"])
    again.close()


def test_a_failed_write_leaves_nothing_behind(share: Share) -> None:
    def broken() -> Iterator[Indexed]:
        yield row_only("a")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        share.put_many(broken())
    assert (share.sequence, share.totals()) == (0, (0, 0))


def test_a_full_disk_under_the_index(share: Share) -> None:
    share._database._writer.execute("PRAGMA max_page_count = 30")
    with pytest.raises(NoRoom):
        share.put_many([row_only(f"name {number}" * 20) for number in range(2000)])
    assert (share.sequence, share.totals()) == (0, (0, 0))
    assert share.put_many([row_only("a")]) == []
