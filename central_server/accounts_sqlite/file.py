"""The accounts' database file: readable by its owner only, at this version's schema, and never moved aside.

The index may be lost, accounts not: a broken file stops the start with a word on what to do. Other processes may use
it at the same time (`central-server user` does).
"""

import os
import sqlite3
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from central_server.store_sqlite.file import CannotOpen, is_damage, look_for_damage

SCHEMA_VERSION = 1
# Version n -> the SQL that makes n + 1 of it.
UPGRADES: Mapping[int, str] = {}
_BUSY_SECONDS = 10.0


def open_accounts(
    path: Path, version: int = SCHEMA_VERSION, upgrades: Mapping[int, str] = UPGRADES
) -> sqlite3.Connection:
    """A connection to the accounts, made there if there are none. Used by one thread at a time. CannotOpen."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        path.chmod(0o600)  # whoever copied it here may have left it open; SQLite's other files take this mode
        return _opened(path, version, upgrades)
    except OSError as error:
        raise CannotOpen(f"cannot use the accounts {path}: {error.strerror}") from None
    except sqlite3.Error as error:
        raise CannotOpen(_said(path, error)) from None


def _opened(path: Path, version: int, upgrades: Mapping[int, str]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_SECONDS)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # what was answered outlives the loss of power
        connection.execute("PRAGMA secure_delete = ON")
        look_for_damage(connection)
        _bring_up(connection, path, version, upgrades)
    except BaseException:
        connection.close()
        raise
    return connection


def _bring_up(connection: sqlite3.Connection, path: Path, version: int, upgrades: Mapping[int, str]) -> None:
    """Bring the schema to `version`; two processes that do so at once take turns."""
    connection.execute("BEGIN IMMEDIATE")
    [[found]] = connection.execute("PRAGMA user_version")
    if found > version:
        raise CannotOpen(
            f"the accounts {path} were made by a newer central server (schema {found}, this one knows {version}): "
            "update this one"
        )
    schema = files("central_server.accounts_sqlite").joinpath("schema.sql").read_text("utf-8")
    scripts = [schema] if found == 0 else [upgrades[step] for step in range(found, version)]
    for statement in (each for script in scripts for each in _statements(script)):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("COMMIT")


def _statements(script: str) -> list[str]:
    """One by one, for `executescript` would commit what has begun."""
    found, rest = [], ""
    for line in script.splitlines(keepends=True):
        rest += line
        if sqlite3.complete_statement(rest):
            found.append(rest)
            rest = ""
    return found


def _said(path: Path, error: sqlite3.Error) -> str:
    said = " ".join(str(error).split())  # of damage SQLite tells in several lines
    if is_damage(error):
        return (
            f"the accounts {path} are damaged ({said}): put a copy of them there, or move the file away to begin "
            "without accounts (and with it those that end in -wal and -shm)"
        )
    return f"cannot use the accounts {path}: {said}"
