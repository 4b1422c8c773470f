"""Writing rows of the index, one or many at once; each function works inside a transaction of its caller.

Many new rows go in with a few statements: SQLite then works without Python between two rows, and other threads of
this peer meanwhile.
"""

# ruff: noqa: S608 -- what is put into statements here are this file's own columns and question marks

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from pserver.disk.folder import Stamp
from pserver.model import FileEntry, SharedFile
from pserver.pieces import Manifest

COLUMNS = "name, raw_name, size, mtime_ns, ctime_ns, inode, file_id, sha256, sha256_checked, sequence"
_STAMP = "raw_name, size, mtime_ns, ctime_ns, inode"
_AT_ONCE = 500  # rows a statement: SQLite allows 32,766 values
_UPSERT = f"""
    INSERT INTO files ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET
        raw_name = excluded.raw_name, size = excluded.size, mtime_ns = excluded.mtime_ns,
        ctime_ns = excluded.ctime_ns, inode = excluded.inode, file_id = excluded.file_id,
        sha256 = excluded.sha256, sha256_checked = excluded.sha256_checked, sequence = excluded.sequence
"""


@dataclass(frozen=True, slots=True)
class Indexed:
    """A file as it was indexed: its name, the name's bytes on disk, its stamp before and after, and what it holds."""

    name: str
    raw_name: bytes
    stamp: Stamp
    manifest: Manifest
    sha256_checked: bool


def shared(row: Sequence[Any]) -> SharedFile:  # Any: as sqlite3 gives rows
    """The values of COLUMNS as a SharedFile."""
    return SharedFile(*(*row[:8], bool(row[8]), row[9]))


def entry(row: tuple[Any, ...]) -> FileEntry:  # Any: as sqlite3 gives rows
    """A file as it is announced, of (name, file id, size, sha256, sha256 checked, partial)."""
    name, file_id, size, sha256, sha256_checked, partial = row
    return FileEntry(name, file_id, size, sha256, bool(sha256_checked), bool(partial))


def new_ones(db: sqlite3.Connection, indexed: Sequence[Indexed]) -> tuple[list[Indexed], list[Indexed]]:
    """Those whose name neither is in the index nor comes twice, and the others."""
    times = Counter(one.name for one in indexed)
    held = {row.name for row in rows_by_name(db, times)}
    new: list[Indexed] = []
    others: list[Indexed] = []
    for one in indexed:
        (others if one.name in held or times[one.name] > 1 else new).append(one)
    return new, others


def put_new(db: sqlite3.Connection, new: Sequence[Indexed], sequence: int) -> int:
    """Write the rows of files whose names the index does not have; their sequences begin after `sequence`."""
    for some in _cut(new):
        hashes = [(one.manifest.file_id, one.manifest.piece_hashes) for one in some]
        db.execute(f"INSERT OR IGNORE INTO manifests VALUES {marks(len(some), 2)}", [*chain.from_iterable(hashes)])
        rows = [_values(one, sequence + number) for number, one in enumerate(some, 1)]
        sequence += len(rows)
        db.execute(f"INSERT INTO files ({COLUMNS}) VALUES {marks(len(some), 10)}", [*chain.from_iterable(rows)])
        names = json.dumps([one.name for one in some])
        db.execute("DELETE FROM removed WHERE name IN (SELECT value FROM json_each(?))", (names,))
    return len(new)


def put(db: sqlite3.Connection, one: Indexed, sequence: int) -> int:
    """Write that row; how many sequences it took: 0 if nothing changed that others are told of."""
    held = db.execute("SELECT file_id, sha256_checked FROM files WHERE name = ?", (one.name,)).fetchone()
    file_id = one.manifest.file_id
    if held is not None and held[0] == file_id and bool(held[1]) == one.sha256_checked:
        stamp = "UPDATE files SET raw_name = ?, size = ?, mtime_ns = ?, ctime_ns = ?, inode = ? WHERE name = ?"
        db.execute(stamp, (one.raw_name, *one.stamp, one.name))
        return 0
    db.execute("INSERT OR IGNORE INTO manifests VALUES (?, ?)", (file_id, one.manifest.piece_hashes))
    db.execute(_UPSERT, _values(one, sequence))
    db.execute("DELETE FROM removed WHERE name = ?", (one.name,))
    if held is not None and held[0] != file_id:
        drop_unused_manifest(db, held[0])
    return 1


def drop_unused_manifest(db: sqlite3.Connection, file_id: bytes) -> None:
    """Drop the piece hashes of that file if no row has it any more."""
    unused = "DELETE FROM manifests WHERE file_id = ?1 AND NOT EXISTS (SELECT 1 FROM files WHERE file_id = ?1)"
    db.execute(unused, (file_id,))


def rows_with_hashes(db: sqlite3.Connection, file_ids: Sequence[bytes]) -> Iterator[tuple[SharedFile, bytes]]:
    """The rows of those files, each with its piece hashes."""
    for some in _cut(file_ids):
        columns = f"SELECT {COLUMNS}, piece_hashes FROM files JOIN manifests USING (file_id)"
        for row in db.execute(f"{columns} WHERE file_id IN ({marks(len(some))}) ORDER BY name", some):
            yield shared(row), row[10]


def rows_by_name(db: sqlite3.Connection, names: Iterable[str]) -> Iterator[SharedFile]:
    """The rows of those names."""
    where = "WHERE name IN (SELECT value FROM json_each(?))"
    return map(shared, db.execute(f"SELECT {COLUMNS} FROM files {where}", (json.dumps(list(names)),)))


def stamps_by_raw_name(db: sqlite3.Connection, raw_names: Sequence[bytes]) -> Iterator[tuple[bytes, Stamp]]:
    """Of those raw names that there are rows of: the name and its stamp."""
    for some in _cut(raw_names):
        rows = db.execute(f"SELECT {_STAMP} FROM files WHERE raw_name IN ({marks(len(some))})", some)
        yield from ((raw_name, (size, mtime, ctime, inode)) for raw_name, size, mtime, ctime, inode in rows)


def marks(count: int, columns: int = 0) -> str:
    """`?, ?` for a list of so many values; `(?, ?), (?, ?)` for so many rows."""
    one = f"({', '.join('?' * columns)})" if columns else "?"
    return ", ".join([one] * count)


def _values(one: Indexed, sequence: int) -> tuple[object, ...]:
    manifest = one.manifest
    return one.name, one.raw_name, *one.stamp, manifest.file_id, manifest.sha256, one.sha256_checked, sequence


def _cut(values: Sequence[Any]) -> Iterator[Sequence[Any]]:  # Any: values of SQL, or rows
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))
