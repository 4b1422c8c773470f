"""The index of a share: which files it has, their stamps, ids and manifests, and the order in which they changed.

Every change that others are told of takes the next sequence: a row has that of its last change, a tombstone that of
its removal, so "what changed since" is a look at two indexes. Knows nothing of the disk.
"""

# ruff: noqa: S608 -- what is put into statements here are this file's own lists of columns and conditions

import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pserver.database import Database
from pserver.disk.folder import Stamp
from pserver.disk.partial_rows import ANNOUNCED, add_partial, drop_partials
from pserver.disk.rows import (
    COLUMNS,
    Indexed,
    drop_unused_manifest,
    entry,
    new_ones,
    put,
    put_new,
    rows_by_name,
    rows_with_hashes,
    shared,
    stamps_by_raw_name,
)
from pserver.disk.words import words_of
from pserver.model import Changes, FileEntry, SharedFile
from pserver.pieces import Manifest, piece_size_for

_SCHEMAS = [Path(__file__).with_name(name) for name in ("share.sql", "share_2.sql")]
SCHEMA_VERSION = len(_SCHEMAS)
_EPOCH_BYTES = 16
_ENTRY = "name, file_id, size, sha256, sha256_checked, partial"
# 0xFF is in no UTF-8 text: a name that begins with a prefix sorts before the prefix with that byte after it.
_BELOW = "name >= :prefix AND name < :prefix || CAST(x'ff' AS TEXT)"
TOMBSTONE_REACH = 200_000  # how many changes back a removal is remembered


class Index:
    """The index kept in the SQLite file at `path`. Thread-safe. Methods raise Unavailable, those that write NoRoom."""

    def __init__(self, path: Path, tombstone_reach: int = TOMBSTONE_REACH) -> None:
        self._database = Database(path, [schema.read_text() for schema in _SCHEMAS])
        self._reach = tombstone_reach
        self._totals: tuple[int, int, int] = (-1, 0, 0)  # of which sequence, files, bytes
        with self._database.writing() as db:
            if _meta(db, "epoch") is None:
                _set_meta(db, epoch=os.urandom(_EPOCH_BYTES), sequence=0, pruned=0)
            sequence = int(_meta(db, "sequence"))
            _set_meta(db, sequence=sequence + drop_partials(db, None, sequence))  # those of the process before

    @property
    def epoch(self) -> bytes:
        """16 random bytes, made with the index: sequences of another epoch mean nothing."""
        with self._database.reading() as db:
            return bytes(_meta(db, "epoch"))

    @property
    def sequence(self) -> int:
        """The sequence of the newest change."""
        with self._database.reading() as db:
            return int(_meta(db, "sequence"))

    def new_epoch(self) -> None:
        """Start a new epoch: someone knew a later sequence of this one than we do."""
        with self._database.writing() as db:
            _set_meta(db, epoch=os.urandom(_EPOCH_BYTES))

    def by_name(self, name: str) -> SharedFile | None:
        """The file of that name."""
        found = self._rows("WHERE name = ?", (name,))
        return found[0] if found else None

    def by_names(self, names: Iterable[str]) -> dict[str, SharedFile]:
        """The files of those names that there are, in one look."""
        with self._database.reading() as db:
            return {row.name: row for row in rows_by_name(db, names)}

    def stamps_of(self, raw_names: Sequence[bytes]) -> dict[bytes, Stamp]:
        """Raw name to stamp of those that are in the index."""
        with self._database.reading() as db:
            return dict(stamps_by_raw_name(db, raw_names))

    def rows_with_hashes(self, file_ids: Sequence[bytes]) -> dict[bytes, list[tuple[SharedFile, bytes]]]:
        """Of those files every row, by name, each with the piece hashes."""
        found: dict[bytes, list[tuple[SharedFile, bytes]]] = {}
        with self._database.reading() as db:
            for row, hashes in rows_with_hashes(db, file_ids):
                found.setdefault(row.file_id, []).append((row, hashes))
        return found

    def all_by_file_id(self, file_id: bytes) -> list[SharedFile]:
        """Every name under which that file is shared."""
        return self._rows("WHERE file_id = ? ORDER BY name", (file_id,))

    def all_by_sha256(self, sha256: bytes) -> list[SharedFile]:
        """Every file of which this peer itself saw that its sha256 is that."""
        return self._rows("WHERE sha256 = ? AND sha256_checked ORDER BY name", (sha256,))

    def unchecked(self, limit: int) -> list[SharedFile]:
        """Files whose sha256 this peer took from others and has not computed yet."""
        return self._rows("WHERE sha256_checked = 0 ORDER BY id LIMIT ?", (limit,))

    def files(self, prefix: str, after: str, limit: int) -> list[SharedFile]:
        """At most `limit` files whose names begin with `prefix`, from the first after `after`, by name."""
        where = f"WHERE {_BELOW} AND name > :after ORDER BY name LIMIT :limit"
        return self._rows(where, {"prefix": prefix, "after": after, "limit": limit})

    def search(self, words: str, limit: int) -> list[SharedFile]:
        """At most `limit` files whose names match all of the words, in the order in which they were first indexed.

        A word matches the beginnings of words of a name; accents and case do not matter.
        """
        wanted = words_of(words)
        if not wanted:
            return []
        match = " ".join(f'"{word}"*' for word in wanted)
        where = "WHERE id IN (SELECT rowid FROM words WHERE words MATCH ?) ORDER BY id LIMIT ?"
        return self._rows(where, (match, limit))

    def totals(self) -> tuple[int, int]:
        """How many files there are, and how many bytes they have."""
        with self._database.reading() as db:
            sequence = int(_meta(db, "sequence"))
            counted = self._totals
            if counted[0] != sequence:
                files, size = db.execute("SELECT count(*), total(size) FROM files").fetchone()
                self._totals = counted = (sequence, files, int(size))
        return counted[1:]

    def manifest(self, file_id: bytes) -> Manifest | None:
        """The manifest of that file, if it is shared here."""
        with self._database.reading() as db:
            found = db.execute(
                "SELECT size, sha256, piece_hashes FROM files JOIN manifests USING (file_id) WHERE file_id = ? LIMIT 1",
                (file_id,),
            ).fetchone()
        return None if found is None else Manifest(found[0], piece_size_for(found[0]), found[1], found[2])

    def known(self, below: bytes = b"") -> dict[bytes, Stamp]:
        """Raw name to stamp of every file, or of those below a folder (raw, without a slash at its end)."""
        columns = "SELECT raw_name, size, mtime_ns, ctime_ns, inode FROM files"
        with self._database.reading() as db:
            if below:  # "0" is the character after "/"
                rows = db.execute(f"{columns} WHERE raw_name > ? AND raw_name < ?", (below + b"/", below + b"0"))
            else:
                rows = db.execute(columns)
            return {raw: (size, mtime, ctime, inode) for raw, size, mtime, ctime, inode in rows}

    def changes_since(self, sequence: int, limit: int) -> Changes | None:
        """At most `limit` changes after `sequence`, oldest first.

        None if they cannot be told: the index has not come that far, or has forgotten removals since then.
        """
        with self._database.reading() as db:
            newest = int(_meta(db, "sequence"))
            if not int(_meta(db, "pruned")) <= sequence <= newest:
                return None
            since = "WHERE sequence > ? ORDER BY sequence LIMIT ?"
            added = db.execute(f"SELECT sequence, {_ENTRY} FROM ({ANNOUNCED}) {since}", (sequence, limit)).fetchall()
            removed = db.execute(f"SELECT sequence, name FROM removed {since}", (sequence, limit)).fetchall()
        told = sorted([row[0] for row in added] + [row[0] for row in removed])
        last = told[limit - 1] if len(told) >= limit else newest
        return Changes(
            last,
            [entry(row[1:]) for row in added if row[0] <= last],
            [row[1] for row in removed if row[0] <= last],
        )

    def snapshot(self, after_name: str, limit: int) -> list[FileEntry]:
        """At most `limit` files from the first after `after_name`, by name."""
        with self._database.reading() as db:
            rows = db.execute(
                f"SELECT {_ENTRY} FROM ({ANNOUNCED}) WHERE name > ? ORDER BY name LIMIT ?", (after_name, limit)
            ).fetchall()
        return [entry(row) for row in rows]

    @property
    def indexed_folder(self) -> str | None:
        """The identity of the folder whose files these are; None before the first scan."""
        with self._database.reading() as db:
            found = _meta(db, "folder")
        return None if found is None else str(found)

    @indexed_folder.setter
    def indexed_folder(self, identity: str) -> None:
        with self._database.writing() as db:
            _set_meta(db, folder=identity)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def write_rows(self, indexed: Iterable[Indexed], is_there: Callable[[bytes], bool]) -> tuple[list[Indexed], bool]:
        """Write those rows in one transaction; (those refused, whether the sequence grew).

        Refused is a file whose name (in NFC) is that of another file, whose raw name `is_there` finds on disk.
        """
        refused: list[Indexed] = []
        with self._database.writing() as db:
            before = sequence = int(_meta(db, "sequence"))
            new, others = new_ones(db, list(indexed))
            sequence += put_new(db, new, sequence)
            for one in others:
                held = db.execute("SELECT raw_name FROM files WHERE name = ?", (one.name,)).fetchone()
                if held is not None and held[0] != one.raw_name and is_there(held[0]):
                    refused.append(one)
                else:
                    sequence += put(db, one, sequence + 1)
            _set_meta(db, sequence=sequence)
        return refused, sequence > before

    def drop_rows(self, names: Iterable[str]) -> bool:
        """Drop those rows, leaving tombstones; whether there were any."""
        with self._database.writing() as db:
            before = sequence = int(_meta(db, "sequence"))
            for name in names:
                held = db.execute("DELETE FROM files WHERE name = ? RETURNING file_id", (name,)).fetchone()
                if held is not None:
                    sequence += 1
                    db.execute("INSERT OR REPLACE INTO removed VALUES (?, ?)", (name, sequence))
                    drop_unused_manifest(db, held[0])
            _set_meta(db, sequence=sequence)
            self._prune(db, sequence)
        return sequence > before

    def put_partial_row(self, entry: FileEntry) -> bool:
        """Announce that file as one that is still being downloaded; whether its name is free for that."""
        with self._database.writing() as db:
            sequence = int(_meta(db, "sequence"))
            taken = add_partial(db, entry, sequence + 1)
            _set_meta(db, sequence=sequence + taken)
        return taken > 0

    def drop_partial_row(self, file_id: bytes) -> bool:
        """Announce it as such no longer; whether it was."""
        with self._database.writing() as db:
            sequence = int(_meta(db, "sequence"))
            dropped = drop_partials(db, file_id, sequence)
            _set_meta(db, sequence=sequence + dropped)
        return dropped > 0

    def drop_vanished(self, known: Mapping[bytes, Stamp]) -> bool:
        """Drop the rows of those raw names that still have those stamps; whether there were any.

        A row written since `known` was read describes a file that came since: it stays.
        """
        where = "raw_name = ? AND size = ? AND mtime_ns = ? AND ctime_ns = ? AND inode = ?"
        with self._database.reading() as db:
            rows = [
                db.execute(f"SELECT name FROM files WHERE {where}", (raw, *stamp)).fetchone()
                for raw, stamp in known.items()
            ]
        return self.drop_rows(row[0] for row in rows if row is not None)

    def check_sha256(self, file_id: bytes) -> bool:
        """Note that this peer computed the sha256 of that file and found it right; whether a row changed."""
        with self._database.writing() as db:
            before = sequence = int(_meta(db, "sequence"))
            where = "WHERE file_id = ? AND NOT sha256_checked"
            for (row,) in db.execute(f"SELECT id FROM files {where}", (file_id,)).fetchall():
                sequence += 1
                db.execute("UPDATE files SET sha256_checked = 1, sequence = ? WHERE id = ?", (sequence, row))
            _set_meta(db, sequence=sequence)
        return sequence > before

    def _prune(self, db: sqlite3.Connection, sequence: int) -> None:
        oldest = sequence - self._reach
        if db.execute("DELETE FROM removed WHERE sequence <= ?", (oldest,)).rowcount > 0:
            _set_meta(db, pruned=oldest)

    def _rows(self, where: str, parameters: Sequence[object] | dict[str, object]) -> list[SharedFile]:
        with self._database.reading() as db:
            rows = db.execute(f"SELECT {COLUMNS} FROM files {where}", parameters).fetchall()
        return [shared(row) for row in rows]


def _meta(db: sqlite3.Connection, key: str) -> Any:  # Any: the column holds bytes, numbers and text
    found = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if found is None else found[0]


def _set_meta(db: sqlite3.Connection, **values: object) -> None:
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())
