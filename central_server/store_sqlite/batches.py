"""Announced batches, written set by set: a handful of statements a batch, however many files it has.

Python lets go of its lock during a statement, so the event loop answers lookups while thousands of rows are written.
A row at a time would make the two threads fight for the lock ten thousand times a second.
Everything here runs in the writer's thread, inside a savepoint.
"""

import json
import sqlite3

from central_server.model import Announcement, Entry, TooManyFiles
from central_server.store_sqlite import peers
from central_server.store_sqlite.peers import PeerRow

CHECKED, PARTIAL = 1, 2
_PER_FILL = 250  # files in one JSON text: while it is made, no other thread has its turn
# Where a batch waits, with the numbers of its names and files once they are known. `gone` are the names whose
# holding ends: those removed and those replaced.
_TEMPORARY = """
    CREATE TEMP TABLE IF NOT EXISTS stage (
        name TEXT, file_id BLOB, size INTEGER, sha256 BLOB, flags INTEGER, name_no INTEGER, file_no INTEGER
    );
    CREATE TEMP TABLE IF NOT EXISTS gone (name_no INTEGER PRIMARY KEY);
"""
# The ids travel beside the JSON, in one string of bytes: 64 for each file.
_FILL = """
    INSERT INTO stage (name, file_id, size, sha256, flags)
    SELECT value ->> 0, substr(?2, 64 * key + 1, 32), value ->> 1, substr(?2, 64 * key + 33, 32), value ->> 2
    FROM json_each(?1)
"""
_FIND_FILES = """
    UPDATE stage SET file_no = (
        SELECT f.file_no FROM files f
        WHERE substr(f.file_id, 1, 8) = substr(stage.file_id, 1, 8)
          AND f.file_id = stage.file_id AND f.size = stage.size AND f.sha256 = stage.sha256
    ) WHERE file_no IS NULL
"""
_NEW_FILES = """
    INSERT INTO files (file_id, size, sha256)
    SELECT DISTINCT file_id, size, sha256 FROM stage WHERE file_no IS NULL
"""
_FIND_NAMES = """
    UPDATE stage SET name_no = (SELECT n.name_no FROM names n WHERE n.name = stage.name) WHERE name_no IS NULL
"""
_NEW_NAMES = "INSERT INTO names (name) SELECT name FROM stage WHERE name_no IS NULL"
_TALLY = """
    SELECT count(*), coalesce(sum(f.size), 0)
    FROM {names} s
    CROSS JOIN holdings h ON h.name_no = s.name_no AND h.peer_no = :peer_no AND h.since <= :shown AND h.seen >= :shown
    CROSS JOIN files f ON f.file_no = h.file_no
"""
# An upsert of rows that are there, because it takes the order of its joins as written; UPDATE ... FROM does not, and
# then looks through the stage for each row.
_CONFIRM = """
    INSERT INTO holdings (name_no, peer_no, since, seen, file_no, flags)
    SELECT h.name_no, h.peer_no, h.since,
        CASE WHEN h.file_no = s.file_no AND h.flags = s.flags THEN :hidden ELSE min(h.seen, :hidden - 1) END,
        h.file_no, h.flags
    FROM stage s
    CROSS JOIN holdings h ON h.name_no = s.name_no AND h.peer_no = :peer_no AND h.since <= :shown AND h.seen >= :shown
    WHERE true
    ON CONFLICT (name_no, peer_no, since) DO UPDATE SET seen = excluded.seen
"""
_HIDE_NEW = """
    INSERT INTO holdings (name_no, peer_no, since, seen, file_no, flags)
    SELECT s.name_no, :peer_no, :hidden, :hidden, s.file_no, s.flags FROM stage s
    WHERE NOT EXISTS (
        SELECT 1 FROM holdings h
        WHERE h.name_no = s.name_no AND h.peer_no = :peer_no AND h.since <= :shown AND h.seen = :hidden
    )
"""


def apply(connection: sqlite3.Connection, peer_id: bytes, batch: Announcement, max_files: int) -> PeerRow:
    """Write a batch that fits; the peer's row as it is then. TooManyFiles: undo everything."""
    row = peers.read(connection, peer_id)
    if batch.snapshot_part is None:
        had_hidden = row.hidden_generation is not None
        _apply_delta(connection, row, batch)
        garbage = had_hidden
    else:
        garbage = _apply_part(connection, row, batch)
    if max(row.files, row.hidden_files) > max_files:
        raise TooManyFiles(limit=max_files)
    peers.save_index(connection, row, has_garbage=garbage)
    return row


def _apply_delta(connection: sqlite3.Connection, row: PeerRow, batch: Announcement) -> None:
    """Write into the generation shown."""
    _stage(connection, batch.added)
    connection.execute("DELETE FROM gone")
    connection.execute("INSERT OR IGNORE INTO gone SELECT name_no FROM stage")
    connection.execute(
        "INSERT OR IGNORE INTO gone SELECT n.name_no FROM json_each(?) CROSS JOIN names n ON n.name = value",
        (json.dumps(batch.removed, ensure_ascii=False),),
    )
    place = {"peer_no": row.peer_no, "shown": row.generation}
    [[files, size]] = connection.execute(_TALLY.format(names="gone"), place)
    connection.execute(
        """
        DELETE FROM holdings WHERE (name_no, peer_no, since) IN (
            SELECT h.name_no, h.peer_no, h.since FROM gone s
            CROSS JOIN holdings h ON h.name_no = s.name_no AND h.peer_no = :peer_no
            WHERE h.since <= :shown AND h.seen >= :shown
        )
        """,
        place,
    )
    connection.execute(
        "INSERT INTO holdings SELECT name_no, :peer_no, :shown, :shown, file_no, flags FROM stage", place
    )
    row.files += len(batch.added) - files
    row.size += sum(entry.size for entry in batch.added) - size
    row.epoch, row.sequence = batch.epoch, batch.sequence
    _drop_hidden(row)


def _apply_part(connection: sqlite3.Connection, row: PeerRow, batch: Announcement) -> bool:
    """Write into the hidden generation; whether that left garbage."""
    garbage = batch.snapshot_end
    if batch.snapshot_part == 0:
        garbage = garbage or row.hidden_generation is not None
        _drop_hidden(row)
        row.newest_generation += 1
        row.hidden_generation = row.newest_generation
        row.hidden_epoch, row.hidden_sequence, row.hidden_parts = batch.epoch, batch.sequence, 0
    _stage(connection, batch.added)
    _hide(connection, row)
    row.hidden_parts = (row.hidden_parts or 0) + 1
    if batch.snapshot_end:
        row.generation = row.hidden_generation or row.generation
        row.files, row.size = row.hidden_files, row.hidden_size
        row.epoch, row.sequence = batch.epoch, batch.sequence
        _drop_hidden(row)
    return garbage


def _hide(connection: sqlite3.Connection, row: PeerRow) -> None:
    place = {"peer_no": row.peer_no, "shown": row.generation, "hidden": row.hidden_generation}
    [[count, total]] = connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM stage")
    [[doubled, doubled_size]] = connection.execute(
        _TALLY.format(names="stage"), {"peer_no": row.peer_no, "shown": row.hidden_generation}
    )
    if doubled:  # the name was in an earlier part too: the later one counts
        connection.execute(
            """
            DELETE FROM holdings WHERE (name_no, peer_no, since) IN (SELECT name_no, :peer_no, :hidden FROM stage)
            """,
            {"peer_no": row.peer_no, "hidden": row.hidden_generation},
        )
    connection.execute(_CONFIRM, place)
    connection.execute(_HIDE_NEW, place)
    row.hidden_files += count - doubled
    row.hidden_size += total - doubled_size


def _drop_hidden(row: PeerRow) -> None:
    """No snapshot is in the making any more."""
    row.hidden_generation = row.hidden_epoch = row.hidden_sequence = row.hidden_parts = None
    row.hidden_files = row.hidden_size = 0


def _stage(connection: sqlite3.Connection, added: list[Entry]) -> None:
    """Lay the batch out in `stage`, with the numbers of its names and files; new ones get theirs now."""
    if not connection.execute("SELECT 1 FROM temp.sqlite_schema WHERE name = 'gone'").fetchone():
        for statement in _TEMPORARY.split(";"):
            connection.execute(statement)
    connection.execute("DELETE FROM stage")
    for start in range(0, len(added), _PER_FILL):
        _fill(connection, added[start : start + _PER_FILL])
    connection.execute(_FIND_FILES)
    if connection.execute(_NEW_FILES).rowcount:
        connection.execute(_FIND_FILES)
    connection.execute(_FIND_NAMES)
    if connection.execute(_NEW_NAMES).rowcount:
        connection.execute(_FIND_NAMES)


def _fill(connection: sqlite3.Connection, added: list[Entry]) -> None:
    flagged = [(e.name, e.size, CHECKED * e.sha256_checked + PARTIAL * e.partial) for e in added]
    ids = b"".join([e.file_id + e.sha256 for e in added])
    connection.execute(_FILL, (json.dumps(flagged, ensure_ascii=False), ids))
