"""The database file: opened by one process only, at this version's schema, or moved aside if it is broken.

The index is soft state: peers announce again what was lost. So a broken file never stops the locator; a file that
belongs to somebody else (another instance, a newer version) does.
"""

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

SCHEMA_VERSION = 1
# Version n -> the SQL that makes n + 1 of it.
UPGRADES: Mapping[int, str] = {}
_CHECK_SECONDS = 2.0  # how long a start may be held up by looking for damage
_OLDEST_SQLITE = (3, 38, 0)
_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_log = logging.getLogger(__name__)


class CannotOpen(Exception):
    """The store cannot be used: the message says which file, and why."""


def lock(path: Path) -> int:
    """Hold the store for this process until the returned descriptor is closed. CannotOpen: another one has it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotOpen(f"cannot use the store {path}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise CannotOpen(f"another central server uses the store {path}") from None
    return descriptor


def open_checked(
    path: Path, version: int = SCHEMA_VERSION, upgrades: Mapping[int, str] = UPGRADES
) -> sqlite3.Connection:
    """A connection to a sound database with the current schema; a broken one is moved aside first.

    CannotOpen: it cannot be read or written, or was made by a newer version. The caller holds the lock.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise CannotOpen(f"SQLite {sqlite3.sqlite_version} is too old: 3.38 or newer is needed")
    try:
        if suspicion(path).exists():
            _move_aside(path, "it was found damaged while it was used")
        try:
            return _open(path, version, upgrades)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            _move_aside(path, str(error))
            return _open(path, version, upgrades)
    except (sqlite3.Error, OSError) as error:
        raise CannotOpen(f"cannot use the store {path}: {error}") from None


def connect(path: Path) -> sqlite3.Connection:
    """A plain connection in autocommit mode. Each is used by one thread at a time."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=10.0, cached_statements=256
    )
    # Soft state: after a power loss the last moments may be missing, never half there (WAL). Peers notice by the
    # sequence and announce again, which is cheaper than an fsync for each group of writes.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute("PRAGMA temp_store = MEMORY")
    # Reads go through the page cache of the kernel: SQLite's own is emptied by every commit of another connection.
    connection.execute(f"PRAGMA mmap_size = {2**36}")
    return connection


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file itself is broken."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN


def suspicion(path: Path) -> Path:
    """Where it is noted that the database was found broken while in use."""
    return Path(f"{path}.suspect")


def _open(path: Path, version: int, upgrades: Mapping[int, str]) -> sqlite3.Connection:
    # What a network shares is not for everybody on this machine; SQLite's other files take this mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = connect(path)
    try:
        _prepare(connection, path, version, upgrades)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, version: int, upgrades: Mapping[int, str]) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA journal_size_limit = {64 * 2**20}")
    [[found]] = connection.execute("PRAGMA user_version")
    if found > version:
        raise CannotOpen(
            f"the store {path} was made by a newer central server (schema {found}, this one knows {version}): "
            "update this one, or give it another LOCATOR_STORE"
        )
    look_for_damage(connection)
    if found == 0:
        schema = files("central_server.store_sqlite").joinpath("schema.sql").read_text("utf-8")
        _run(connection, schema, version)
        return
    for step in range(found, version):
        _run(connection, upgrades[step], step + 1)
        _log.info("upgraded the store %s to schema %d", path, step + 1)


def _run(connection: sqlite3.Connection, script: str, version: int) -> None:
    """One schema step: all of it, with its version number, or nothing."""
    connection.executescript(f"BEGIN IMMEDIATE; {script}\n; PRAGMA user_version = {version}; COMMIT;")


def look_for_damage(connection: sqlite3.Connection) -> None:
    """Raise what SQLite raises for a broken file. A large file is only looked at for a while."""
    ends = time.monotonic() + _CHECK_SECONDS
    connection.set_progress_handler(lambda: int(time.monotonic() > ends), 100_000)
    try:
        [[found]] = connection.execute("PRAGMA quick_check(1)")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return
    finally:
        connection.set_progress_handler(None, 0)
    if found != "ok":
        damage = sqlite3.DatabaseError(found)
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage


def _move_aside(path: Path, why: str) -> None:
    number = 1
    while (aside := Path(f"{path}.broken-{number}")).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        part = Path(f"{path}{suffix}")
        if part.exists():
            part.rename(f"{aside}{suffix}")
    suspicion(path).unlink(missing_ok=True)
    _log.warning("the store %s is broken (%s): moved to %s; peers will announce their files anew", path, why, aside)
