"""What only the accounts in SQLite promise: durable, theirs alone, never thrown away, shared with other processes."""

import re
import sqlite3
from pathlib import Path

import pytest

from central_server.accounts_sqlite import SQLiteAccounts, file
from central_server.model import StoreUnavailable
from central_server.people import User
from central_server.store_sqlite import CannotOpen
from tests.central_server.samples import NOW, digest, peer_id

ANN = User("ann", "hash", "member", disabled=False, created=NOW)


async def filled(path: Path) -> SQLiteAccounts:
    store = SQLiteAccounts(path)
    await store.add_user(ANN, 10)
    await store.begin_session(ANN, digest("one"), now=NOW, expires=NOW + 10, most=64)
    await store.place("ann", digest("file"), [peer_id("x")], now=NOW, most=10)
    await store.order_drops("ann", digest("file"), as_admin=False)
    return store


async def test_what_was_answered_is_on_the_disk(tmp_path: Path) -> None:
    """The files as they are while the store is open, which is what a crash leaves."""
    path = tmp_path / "accounts.sqlite"
    store = await filled(path)
    for suffix in ("", "-wal"):
        (tmp_path / f"copy{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    copy = SQLiteAccounts(tmp_path / "copy")
    assert await copy.user("ann") == ANN
    assert await copy.session(digest("one"), NOW) is not None
    assert len(await copy.orders(peer_id("x"), 10)) == 1
    await copy.close()
    await store.close()


async def test_commits_wait_for_the_disk(tmp_path: Path) -> None:
    """A test cannot cut the power: it looks at what SQLite was told (FULL is 2: each commit in WAL mode is synced)."""
    store = SQLiteAccounts(tmp_path / "x")
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    await store.close()


async def test_only_the_owner_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "state" / "accounts.sqlite"
    store = await filled(path)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}
    await store.close()
    path.chmod(0o644)
    await SQLiteAccounts(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_session_is_nowhere_in_the_files(tmp_path: Path) -> None:
    from central_server.accounts import Accounts
    from central_server.people import AccountTerms
    from tests.central_server.fake_hashing import FakeHashing

    path = tmp_path / "accounts.sqlite"
    store = SQLiteAccounts(path)
    accounts = Accounts(store, FakeHashing(), AccountTerms(open_signup=True, session_seconds=100), "decoy")
    token = (await accounts.signup("ann", "long enough", "127.0.0.1", NOW)).token
    held = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert token.encode() not in held and token.removeprefix("p2ps_").encode() not in held
    await store.close()


@pytest.mark.parametrize("damage", ["garbage", "cut", "page"])
async def test_damaged_accounts_stop_the_start_and_stay_where_they_are(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "accounts.sqlite"
    await (await filled(path)).close()
    whole = path.read_bytes()
    broken = {
        "garbage": b"not a database at all" * 500,
        "cut": whole[: len(whole) // 2],
        "page": whole[: 2 * 4096] + bytes(range(256)) * 16 + whole[3 * 4096 :],
    }
    path.write_bytes(broken[damage])
    with pytest.raises(CannotOpen, match="damaged") as caught:
        SQLiteAccounts(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert path.read_bytes() == broken[damage]


async def test_a_newer_schema_is_refused_and_an_older_one_brought_up(tmp_path: Path) -> None:
    path = tmp_path / "accounts.sqlite"
    await (await filled(path)).close()
    upgrades = {1: "CREATE TABLE more (x); -- with a remark; here\nINSERT INTO more VALUES ('a;b');"}
    connection = file.open_accounts(path, 2, upgrades)
    assert connection.execute("SELECT x FROM more").fetchall() == [("a;b",)]
    assert connection.execute("SELECT name FROM users").fetchall() == [("ann",)]
    connection.close()
    with pytest.raises(CannotOpen, match="newer"):
        SQLiteAccounts(path)


async def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "accounts.sqlite"
    await (await filled(path)).close()
    with pytest.raises(CannotOpen):
        file.open_accounts(path, 2, {1: "CREATE TABLE more (x); NONSENSE;"})
    store = SQLiteAccounts(path)
    assert await store.user("ann") == ANN
    await store.close()


async def test_two_processes_use_the_same_accounts(tmp_path: Path) -> None:
    one, other = SQLiteAccounts(tmp_path / "x"), SQLiteAccounts(tmp_path / "x")
    await one.add_user(ANN, 10)
    await one.begin_session(ANN, digest("one"), now=NOW, expires=NOW + 10, most=64)
    assert await other.set_disabled("ann", disabled=True)
    assert await one.session(digest("one"), NOW) is None
    await one.close()
    await other.close()


@pytest.mark.logs_errors
async def test_what_fails_is_told_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "accounts.sqlite"
    store = await filled(path)
    store._connection.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        await store.set_disabled("ann", disabled=True)
    other.execute("ROLLBACK")
    other.close()
    assert await store.user("ann") == ANN
    await store.close()


def test_a_script_is_run_statement_by_statement_and_a_trigger_is_one() -> None:
    schema = (Path(file.__file__).parent / "schema.sql").read_text()
    assert len(file._statements(schema)) == len(re.findall(r"^CREATE", schema, re.MULTILINE))
