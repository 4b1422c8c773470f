"""What only the store in SQLite promises: it is durable, survives damage, and one bad write harms no other."""

import asyncio
import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from central_server.model import Query, SearchTooBroad, StoreUnavailable, TooManyFiles
from central_server.store_sqlite import CannotOpen, SQLiteStore, file
from tests.central_server.samples import NOW, delta, entry, epoch, holders, lease, part, peer_id, said, snapshot

MANY = 1_000_000
LATER = NOW + 5000


async def filled(path: Path) -> SQLiteStore:
    store = SQLiteStore(path, LATER)
    await store.register(peer_id("ann"), said("ann", (epoch("1"), 1)), lease("ann", until=LATER), True)
    await store.announce(peer_id("ann"), snapshot(1, [entry("a"), entry("b")]), MANY)
    return store


async def names(store: SQLiteStore, word: str = "ann") -> list[str]:
    return [each.name for each in await store.files_of(peer_id(word), "", "", 1000, NOW)]


def raw(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


async def test_leases_and_indexes_survive_a_restart(tmp_path: Path) -> None:
    store = await filled(tmp_path / "x")
    await store.announce(peer_id("ann"), part(0, 8, [entry("a"), entry("new")]), MANY)
    await store.register(peer_id("ben"), said("ben"), lease("ben", until=NOW + 1), True)
    await store.sweep(NOW + 2, NOW)
    await store.close()
    store = SQLiteStore(tmp_path / "x", LATER + 7)
    ann = await store.member(peer_id("ann"))
    assert ann is not None and ann.lease is not None
    assert (ann.lease.lease_id, ann.lease.expires) == (lease("ann").lease_id, LATER + 7)
    assert (ann.index.sequence, ann.index.files) == (1, 2)
    ben = await store.member(peer_id("ben"))
    assert ben is not None and ben.lease is None  # it had ended; a restart does not revive it
    await store.announce(peer_id("ann"), part(1, 8, [entry("last")], end=True), MANY)
    assert await names(store) == ["a", "last", "new"]
    await store.close()


async def test_a_store_that_was_not_closed_is_whole(tmp_path: Path) -> None:
    store = await filled(tmp_path / "x")
    for suffix in ("", "-wal"):
        (tmp_path / f"copy{suffix}").write_bytes((tmp_path / f"x{suffix}").read_bytes())
    copy = SQLiteStore(tmp_path / "copy", LATER)
    assert await names(copy) == ["a", "b"]
    await copy.close()
    await store.close()


@pytest.mark.parametrize("damage", ["garbage", "cut", "page", "empty"])
async def test_a_broken_file_is_moved_aside(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x"
    await (await filled(path)).close()
    whole = path.read_bytes()
    page = 3 * 4096
    broken = {
        "garbage": b"not a database at all" * 500,
        "cut": whole[: len(whole) // 2],
        "page": whole[:page] + bytes(range(256)) * 16 + whole[page + 4096 :],
        "empty": b"",
    }
    path.write_bytes(broken[damage])
    store = SQLiteStore(path, LATER)
    assert await store.members(NOW) == []
    await store.register(peer_id("ben"), said("ben"), lease("ben", until=LATER), True)
    await store.announce(peer_id("ben"), snapshot(1, [entry("x")]), MANY)
    assert await names(store, "ben") == ["x"]
    await store.close()
    if damage != "empty":  # an empty file is an empty database
        assert (tmp_path / "x.broken-1").read_bytes() == broken[damage]
        assert "moved to" in caplog.text and "announce their files anew" in caplog.text


@pytest.mark.logs_errors
async def test_damage_found_in_use_is_said_and_mended_by_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "x"
    store = await filled(path)
    await store.close()
    store = SQLiteStore(path, LATER)
    with path.open("r+b") as damaged:
        damaged.seek(4096)
        damaged.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(StoreUnavailable):
        for number in range(9):
            await store.holders_of([Query("name", "a")], 16, NOW)
            await store.announce(peer_id("ann"), delta(1 + number, 2 + number, [entry(f"c{number}")]), MANY)
    await store.close()
    assert file.suspicion(path).exists()
    store = SQLiteStore(path, LATER)
    assert await store.members(NOW) == []
    assert not file.suspicion(path).exists()
    await store.close()


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x"
    await (await filled(path)).close()
    raw(path, f"PRAGMA user_version = {file.SCHEMA_VERSION + 1}")
    with pytest.raises(CannotOpen, match="newer central server"):
        SQLiteStore(path, LATER)
    assert not (tmp_path / "x.broken-1").exists()
    raw(path, f"PRAGMA user_version = {file.SCHEMA_VERSION}")
    await (SQLiteStore(path, LATER)).close()


async def test_an_older_schema_is_upgraded_step_by_step(tmp_path: Path) -> None:
    path = tmp_path / "x"
    await (await filled(path)).close()
    first = file.SCHEMA_VERSION
    steps = {first: "CREATE TABLE extra (a); INSERT INTO extra VALUES (1)", first + 1: "UPDATE extra SET a = a + 1"}
    file.open_checked(path, first + 2, steps).close()
    file.open_checked(path, first + 2, steps).close()
    assert raw(path, "SELECT a FROM extra") == [(2,)]
    assert raw(path, "PRAGMA user_version") == [(first + 2,)]
    assert raw(path, "SELECT count(*) FROM names") == [(2,)]


async def test_one_store_belongs_to_one_process(tmp_path: Path) -> None:
    store = await filled(tmp_path / "x")
    with pytest.raises(CannotOpen, match="another central server"):
        SQLiteStore(tmp_path / "x", LATER)
    await store.close()


async def test_a_place_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "file" / "x", tmp_path / "folder"):
        with pytest.raises(CannotOpen, match="cannot use the store"):
            SQLiteStore(place, LATER)


async def test_a_write_that_fails_does_not_harm_those_it_waited_with(tmp_path: Path) -> None:
    store = await filled(tmp_path / "x")
    words = [f"p{number}" for number in range(20)]
    for word in words:
        await store.register(peer_id(word), said(word), lease(word, until=LATER), True)
    batches = [snapshot(1, [entry(f"{word} {n}") for n in range(9 if word == "p7" else 3)]) for word in words]
    done = await asyncio.gather(
        *(store.announce(peer_id(word), batch, 5) for word, batch in zip(words, batches, strict=True)),
        return_exceptions=True,
    )
    assert [isinstance(each, TooManyFiles) for each in done] == [word == "p7" for word in words]
    assert [len(await names(store, word)) for word in words] == [0 if word == "p7" else 3 for word in words]
    await store.close()


async def test_a_full_disk_is_said_and_passes(tmp_path: Path) -> None:
    store = await filled(tmp_path / "x")
    writing = store._writer._connection
    [[pages]] = writing.execute("PRAGMA page_count").fetchall()
    writing.execute(f"PRAGMA max_page_count = {pages + 5}")
    many = [entry(f"file {number}") for number in range(2000)]
    with pytest.raises(StoreUnavailable, match="disk is full"):
        await store.announce(peer_id("ann"), delta(1, 2, many), MANY)
    assert await names(store) == ["a", "b"]
    writing.execute("PRAGMA max_page_count = 1000000")
    await store.announce(peer_id("ann"), delta(1, 2, many), MANY)
    member = await store.member(peer_id("ann"))
    assert member is not None and member.index.files == 2002
    await store.close()


class _BadDisk:
    """A connection whose commits fail while `broken`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.broken = True

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:  # Any: what SQLite takes
        if self.broken and sql == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")
        return self._connection.execute(sql, *arguments)

    def __getattr__(self, name: str) -> Any:  # the connection's own attributes
        return getattr(self._connection, name)


async def test_nothing_was_written_if_the_commit_fails(tmp_path: Path) -> None:
    store = await filled(tmp_path / "x")
    disk = _BadDisk(store._writer._connection)
    store._writer._connection = disk  # type: ignore[assignment]  # stands in for it
    with pytest.raises(StoreUnavailable, match="disk I/O error"):
        await store.register(peer_id("ben"), said("ben"), lease("ben", until=LATER), True)
    assert await store.member(peer_id("ben")) is None
    disk.broken = False
    await store.announce(peer_id("ann"), delta(1, 2, [entry("c")]), MANY)
    await store.close()
    assert raw(tmp_path / "x", "SELECT name FROM peers") == [("ann",)]


async def test_a_caller_that_goes_away_does_not_leave_memory_and_disk_apart(tmp_path: Path) -> None:
    store = await filled(tmp_path / "x")
    task = asyncio.create_task(store.announce(peer_id("ann"), delta(1, 2, [entry("c")]), MANY))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    member = await store.announce(peer_id("ann"), delta(2, 3, [entry("d")]), MANY)
    assert (member.index.sequence, member.index.files) == (3, 4)
    await store.close()


async def test_sweeping_leaves_nothing_of_what_nobody_holds(tmp_path: Path) -> None:
    path = tmp_path / "x"
    store = await filled(path)
    await store.announce(peer_id("ann"), part(0, 3, [entry("aborted")]), MANY)
    await store.announce(
        peer_id("ann"), snapshot(4, [entry("b", "other"), *(entry(f"n{n}") for n in range(2500))]), MANY
    )
    await store.announce(peer_id("ann"), delta(4, 5, [], [f"n{n}" for n in range(2500)]), MANY)
    await store.register(peer_id("gone"), said("gone"), lease("gone"), True)
    await store.announce(peer_id("gone"), snapshot(1, [entry("b"), entry("zebra")]), MANY)
    await store.leave(peer_id("gone"))
    while await store.sweep(NOW, NOW):
        pass
    assert (await store.search("zebra", (0, 0), 9, NOW, 5)).groups == []
    await store.close()
    assert raw(path, "SELECT name FROM names") == [("b",)]
    assert raw(path, "SELECT count(*) FROM holdings") == [(1,)]
    assert raw(path, "SELECT count(*) FROM files") == [(1,)]
    assert raw(path, "SELECT count(*) FROM peers") == [(1,)]
    assert raw(path, "SELECT count(*) FROM loose") == [(0,)]
    assert raw(path, "SELECT count(*) FROM words WHERE words MATCH 'zebra OR n7'") == [(0,)]
    raw(path, "INSERT INTO words (words) VALUES ('integrity-check')")


async def test_an_aborted_snapshot_is_swept_too(tmp_path: Path) -> None:
    path = tmp_path / "x"
    store = await filled(path)
    await store.announce(peer_id("ann"), part(0, 3, [entry("aborted"), entry("a")]), MANY)
    await store.announce(peer_id("ann"), part(0, 4, [entry("kept hidden"), entry("b")]), MANY)
    while await store.sweep(NOW, NOW):
        pass
    await store.announce(peer_id("ann"), part(1, 4, [], end=True), MANY)
    assert await names(store) == ["b", "kept hidden"]
    while await store.sweep(NOW, NOW):
        pass
    await store.close()
    assert raw(path, "SELECT name FROM names ORDER BY name") == [("b",), ("kept hidden",)]


async def test_a_search_out_of_time_ends_and_the_next_one_works(tmp_path: Path) -> None:
    store = await filled(tmp_path / "x")
    with pytest.raises(SearchTooBroad):
        await store.search("a", (0, 0), 9, NOW, 0.0)
    page = await store.search("a", (0, 0), 9, NOW, 5.0)
    assert holders(page.groups) == [("a", {"ann"})]
    await store.close()


async def test_a_search_is_interrupted_in_the_middle(tmp_path: Path) -> None:
    store = await filled(tmp_path / "x")
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(SearchTooBroad):
        await store._searches._in_thread(lambda _ends: store._searches._connection.execute(endless), 0.05)
    waiting = asyncio.create_task(
        store._searches._in_thread(lambda _ends: store._searches._connection.execute(endless), 60)
    )
    while store._searches._running is None:
        await asyncio.sleep(0)
    waiting.cancel()
    page = await store.search("b", (0, 0), 9, NOW, 5.0)
    assert holders(page.groups) == [("b", {"ann"})]
    await store.close()


def test_nothing_is_logged_when_a_store_is_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def make() -> None:
        await SQLiteStore(tmp_path / "new folder" / "x", LATER).close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(make())
    assert caplog.text == ""


async def test_others_on_this_machine_cannot_read_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    store = SQLiteStore(tmp_path / "locator.sqlite", revived_until=NOW)
    await store.register(peer_id("ann"), said("ann"), lease(), reachable=True)
    modes = {path.name: path.stat().st_mode & 0o077 for path in tmp_path.iterdir()}
    await store.close()
    assert len(modes) > 1 and set(modes.values()) == {0}
