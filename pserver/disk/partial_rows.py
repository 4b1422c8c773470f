"""The rows of the index that tell of files still being downloaded; each function works inside a caller's transaction.

They are announced like files, in the same order of sequences, so that a locator never has to be told of them in
another way. They are of one process only: the next one begins by dropping them.
"""

import sqlite3

from pserver.model import FileEntry

# As the columns of a file's entry: the sha256 is that of the manifest, nobody here has computed it.
ANNOUNCED = """
    SELECT name, file_id, size, sha256, sha256_checked, 0 AS partial, sequence FROM files
    UNION ALL SELECT name, file_id, size, sha256, 0, 1, sequence FROM partials
"""


def add_partial(db: sqlite3.Connection, entry: FileEntry, sequence: int) -> int:
    """Announce that entry; how many sequences it took: 0 if its name is that of something else that is announced."""
    taken = "SELECT 1 FROM files WHERE name = ?1 UNION ALL SELECT 1 FROM partials WHERE name = ?1 OR file_id = ?2"
    if db.execute(taken, (entry.name, entry.file_id)).fetchone() is not None:
        return 0
    row = (entry.name, entry.file_id, entry.size, entry.sha256, sequence)
    db.execute("INSERT INTO partials VALUES (?, ?, ?, ?, ?)", row)
    db.execute("DELETE FROM removed WHERE name = ?", (entry.name,))
    return 1


def drop_partials(db: sqlite3.Connection, file_id: bytes | None, sequence: int) -> int:
    """Announce no longer that file (None: all of them), leaving tombstones from after `sequence` on; how many."""
    dropped = db.execute("DELETE FROM partials WHERE ?1 IS NULL OR file_id = ?1 RETURNING name", (file_id,)).fetchall()
    tombstones = [(name, sequence + number) for number, (name,) in enumerate(dropped, 1)]
    db.executemany("INSERT OR REPLACE INTO removed VALUES (?, ?)", tombstones)
    return len(dropped)
