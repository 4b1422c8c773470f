"""A SQLite file as this peer keeps it: opened, upgraded, rebuilt when broken; one writer, several readers at once.

Every commit is synced: what others were told of must not be forgotten in a power loss. Errors of SQLite become
ours here. Knows nothing of what is stored.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from pserver.model import NoRoom, Unavailable

_log = logging.getLogger(__name__)
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_CACHE_KIB = 1024
_SYNCHRONOUS = "FULL"  # in WAL mode anything less can lose the last commits in a power loss
_BUSY_SECONDS = 5.0


class Database:
    """The database file at `path`. Thread-safe.

    `versions`: SQL scripts; the first makes the schema of version 1 in an empty file, each later one takes the
    schema one version on. A file that is broken is moved aside, with a line in the log, and made anew. Raises
    Unavailable if the file was made by a newer version, or cannot be opened for a reason that is not its contents.
    """

    def __init__(self, path: Path, versions: Sequence[str]) -> None:
        self._path = path
        self._writing = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        with self._told():
            try:
                self._writer = self._open_checked(versions)
            except sqlite3.DatabaseError as error:
                if not _is_broken(error):
                    raise
                _log.error("%s is broken (%s): moved to %s and made anew", path, error, _move_aside(path))
                self._writer = self._open_checked(versions)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state of the database until the block ends. Raises Unavailable."""
        with self._told():
            connection = self._take_reader()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                connection.rollback()
                self._give_back(connection)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection that writes: committed when the block ends well, else undone. Raises NoRoom, Unavailable."""
        with self._writing, self._told():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.commit()
            except BaseException:
                self._writer.rollback()
                raise

    def close(self) -> None:
        """Close it. Readers still at work close theirs when they end."""
        with self._writing:
            self._closed = True
            self._writer.close()
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
                raise  # ours: a mistake in the program
            if _code(error) == sqlite3.SQLITE_FULL:
                raise NoRoom(f"there is no room left for {self._path}") from error
            hint = ": it is broken, and is rebuilt at the next start" if _is_broken(error) else ""
            raise Unavailable(f"{self._path} cannot be used{hint} ({error})") from error

    def _take_reader(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, _BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        return connection

    def _open_checked(self, versions: Sequence[str]) -> sqlite3.Connection:
        try:
            self._path.touch(mode=0o600)  # for its owner only, whatever the folder says; its other files follow
        except OSError as error:
            raise Unavailable(f"{self._path} cannot be used ({error.strerror})") from error
        connection = self._connect()
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS}")
            self._upgrade(connection, versions)
            _check(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _upgrade(self, connection: sqlite3.Connection, versions: Sequence[str]) -> None:
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found > len(versions):
            raise Unavailable(
                f"{self._path} was made by a newer version of this program (its schema is {found}, this one knows "
                f"{len(versions)}): use that version, or another state folder"
            )
        for version in range(found, len(versions)):
            # A script and its number are one transaction: a start cut short leaves the version before.
            connection.executescript(
                f"BEGIN IMMEDIATE; {versions[version]}; PRAGMA user_version = {version + 1}; COMMIT;"
            )


class _Broken(sqlite3.DatabaseError):
    """The check of the file found it broken, where SQLite itself raised nothing."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def _check(connection: sqlite3.Connection) -> None:
    with closing(connection.execute("PRAGMA quick_check(1)")) as checked:
        found = str(checked.fetchone()[0])
    if found != "ok":
        raise _Broken(found)


def _code(error: sqlite3.DatabaseError) -> int:
    # Extended codes have the plain one in their low byte. Errors of the module itself have none.
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _is_broken(error: sqlite3.DatabaseError) -> bool:
    return _code(error) in _BROKEN


def _move_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    for ending in ("-wal", "-shm", ""):
        part = path.with_name(path.name + ending)
        if part.exists():
            part.replace(aside.with_name(aside.name + ending))
    return aside
