"""Databases as each release left them: databases/NAME_VERSION.sql, its schema then and rows that it wrote.

A new schema version needs a new file here, made by the program that has it; the files of older ones never change.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

_FOLDER = Path(__file__).parent / "databases"


def versions(name: str) -> list[int]:
    """Those that there are of the database `name`."""
    return sorted(int(path.stem.rpartition("_")[2]) for path in _FOLDER.glob(f"{name}_*.sql"))


def old_database(name: str, version: int, path: Path) -> Path:
    """Make it at `path`."""
    with closing(sqlite3.connect(path)) as made:
        made.executescript((_FOLDER / f"{name}_{version}.sql").read_text("utf-8"))
    return path


def schema(path: Path) -> tuple[int, list[tuple[str, str, str]]]:
    """The schema's version, and all that it is made of but blanks and remarks."""
    with closing(sqlite3.connect(path)) as opened:
        [[version]] = opened.execute("PRAGMA user_version")
        found = opened.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master ORDER BY type, name").fetchall()
    return version, [(kind, name, " ".join(_code(sql))) for kind, name, sql in found]


def _code(sql: str) -> Sequence[str]:
    return "\n".join(line.partition("--")[0] for line in sql.splitlines()).split()
