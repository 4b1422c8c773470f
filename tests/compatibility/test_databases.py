"""A database of each older schema version is taken over as it is; one of a newer program is refused and left alone."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

import central_server.accounts_sqlite.file as accounts_file
import central_server.store_sqlite.file as store_file
from central_server.accounts_sqlite import SQLiteAccounts
from central_server.model import Query as LocatorQuery
from central_server.store_sqlite import CannotOpen, SQLiteStore
from pserver.disk.index import SCHEMA_VERSION as SHARE_VERSION
from pserver.disk.index import Index
from pserver.exchange.transfer import Recorded
from pserver.exchange.transfers import SCHEMA_VERSION as TRANSFERS_VERSION
from pserver.exchange.transfers import Transfers
from pserver.model import Peer, Unavailable
from tests.central_server.samples import NOW, digest, peer_id
from tests.compatibility.databases import old_database, schema, versions

BOB = Peer("ab" * 32, "bob", "http://192.0.2.1:8001")


def _open_store(path: Path) -> None:
    asyncio.run(_store(path))


async def _store(path: Path) -> None:
    store = SQLiteStore(path, NOW + 5000)
    ann = await store.member(peer_id("ann"))
    names = [file.name for file in await store.files_of(peer_id("ann"), "", "", 10, NOW)]
    searched = await store.search("cafe", (0, 0), 10, NOW, 5.0)
    [located] = await store.holders_of([LocatorQuery("name", "docs/a")], 16, NOW)
    await store.close()
    assert ann is not None
    assert (names, ann.index.sequence, ann.index.files) == (["café", "docs/a"], 2, 2)
    assert [group.names for group in searched.groups] == [("café",)]
    assert [holder.peer.name for holder in located[0].holders] == ["ann"]


def _open_accounts(path: Path) -> None:
    asyncio.run(_accounts(path))


async def _accounts(path: Path) -> None:
    store = SQLiteAccounts(path)
    ann, session = await store.user("ann"), await store.session(digest("one"), NOW)
    orders = await store.orders(peer_id("x"), 10)
    await store.close()
    assert ann is not None and session is not None
    assert (ann.name, ann.password, ann.role, ann.disabled) == ("ann", "hash", "member", False)
    assert [order.file_id for order in orders] == [digest("file")]


def _open_share(path: Path) -> None:
    with closing(sqlite3.connect(path)) as opened:
        [epoch] = opened.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
    index = Index(path)
    assert [file.name for file in index.snapshot("", 10)] == ["Café.txt", "docs/report.txt", "empty"]
    assert index.epoch == epoch
    assert [file.name for file in index.search("cafe", 10)] == ["Café.txt"]
    changes, report = index.changes_since(4, 10), index.by_name("docs/report.txt")
    assert changes is not None and changes.removed == ["gone.txt"]
    assert report is not None and index.manifest(report.file_id) is not None
    index.close()


def _open_transfers(path: Path) -> None:
    transfers = Transfers(path)
    by_kind = {one.kind: one for one in transfers.all()}
    download, upload, incoming = (by_kind[kind] for kind in ("download", "upload", "incoming"))
    assert (download.state, download.bytes_done, download.hints) == ("paused", 60, (BOB,))
    assert transfers.recorded(download.id, 0) == Recorded(b"manifest", b"\xc0", 7)
    assert [item.name for item in transfers.open_items(download.id, -1, 9)] == ["docs/a", "docs/b"]
    [target] = transfers.targets(upload.id)
    assert (target.peer, target.state, target.bytes_done, target.offer_id) == (BOB, "running", 4, "offer-1")
    assert (incoming.state, incoming.error) == ("failed", ("unavailable", "no source"))
    transfers.close()


async def _make_store(path: Path) -> None:
    await SQLiteStore(path, NOW).close()


async def _make_accounts(path: Path) -> None:
    await SQLiteAccounts(path).close()


@dataclass(frozen=True)
class Kept:
    """One of the databases. `opened` opens it as the program does, looks at what is in it, and closes it; `made`
    makes an empty one."""

    name: str
    version: int
    opened: Callable[[Path], None]
    made: Callable[[Path], None]
    refusal: type[Exception]


KEPT = [
    Kept("store", store_file.SCHEMA_VERSION, _open_store, lambda path: asyncio.run(_make_store(path)), CannotOpen),
    Kept(
        "accounts",
        accounts_file.SCHEMA_VERSION,
        _open_accounts,
        lambda path: asyncio.run(_make_accounts(path)),
        CannotOpen,
    ),
    Kept("share", SHARE_VERSION, _open_share, lambda path: Index(path).close(), Unavailable),
    Kept("transfers", TRANSFERS_VERSION, _open_transfers, lambda path: Transfers(path).close(), Unavailable),
]
EACH = [pytest.param(kept, version, id=f"{kept.name}-{version}") for kept in KEPT for version in versions(kept.name)]


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.name)
def test_each_version_has_its_database(kept: Kept) -> None:
    assert versions(kept.name) == list(range(1, kept.version + 1)), "add one, made by the program that has this schema"


@pytest.mark.parametrize(("kept", "version"), EACH)
def test_an_older_database_is_taken_over(kept: Kept, version: int, tmp_path: Path) -> None:
    old = old_database(kept.name, version, tmp_path / "old.sqlite")
    kept.opened(old)
    kept.made(tmp_path / "new.sqlite")
    assert schema(old) == schema(tmp_path / "new.sqlite"), "upgraded and made anew must be the same"
    assert schema(old)[0] == kept.version
    kept.opened(old)
    assert not list(tmp_path.glob("*broken*"))


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.name)
def test_a_newer_database_is_refused_and_left_alone(kept: Kept, tmp_path: Path) -> None:
    path = old_database(kept.name, kept.version, tmp_path / "newer.sqlite")
    with closing(sqlite3.connect(path)) as changed:
        changed.execute("PRAGMA journal_mode = WAL")
        changed.execute(f"PRAGMA user_version = {kept.version + 1}")
        changed.execute("CREATE TABLE of_the_future (x)")
        changed.commit()
    before = path.read_bytes()
    with pytest.raises(kept.refusal, match="newer") as caught:
        kept.opened(path)
    assert str(path) in str(caught.value) and str(kept.version + 1) in str(caught.value)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*broken*"))
