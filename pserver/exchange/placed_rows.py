"""Notes of who placed which file here, in the record of the transfers. Work inside a transaction of their caller.

A note is made together with the transfer that brings the file, and says `landed` once the file is in the share under
the note's name.
HOST is no user: this peer's own people have a claim to the file too, since it was here before anybody placed it or
they downloaded it later.
"""

import json
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

HOST = ""
_ENDED = (
    "SELECT items.file_id, transfers.kind, items.final_name FROM items JOIN transfers ON transfers.id = transfer_id"
    " WHERE transfer_id = ? AND number IN (SELECT value FROM json_each(?)) AND items.state = 'done'"
    " AND items.file_id IN (SELECT file_id FROM placed)"
)


class Placed(NamedTuple):
    """A note."""

    user: str
    name: str
    transfer_id: str
    landed: bool


def of_file(db: sqlite3.Connection, file_id: bytes) -> list[Placed]:
    """All notes of that file."""
    rows = db.execute("SELECT user, name, transfer_id, landed FROM placed WHERE file_id = ?", (file_id,)).fetchall()
    return [Placed(user, name, transfer_id, bool(landed)) for user, name, transfer_id, landed in rows]


def note(db: sqlite3.Connection, file_id: bytes, placed: Placed) -> None:
    """Note it; what the same user had placed under that id is this from now on."""
    db.execute("INSERT OR REPLACE INTO placed VALUES (?, ?, ?, ?, ?)", (file_id, *placed))


def coming(db: sqlite3.Connection, file_id: bytes, user: str, name: str, transfer_id: str) -> None:
    """That transfer will bring it for this user, unless it was cancelled or is not known."""
    still = "SELECT ?, ?, ?, id, 0 FROM transfers WHERE id = ? AND state != 'cancelled'"
    db.execute(f"INSERT OR REPLACE INTO placed {still}", (file_id, user, name, transfer_id))


def held(db: sqlite3.Connection, file_id: bytes, name: str, inode: int) -> None:
    """Somebody places a file that is here already, under that name.

    It is the host's, unless it was placed, or has just been brought by an incoming transfer that has not ended yet.
    """
    if not any(one.landed and one.name == name for one in of_file(db, file_id)) and not _is_landing(db, file_id, inode):
        note(db, file_id, Placed(HOST, name, "", True))


def drop(db: sqlite3.Connection, file_id: bytes, user: str) -> None:
    """This user's note goes."""
    db.execute("DELETE FROM placed WHERE file_id = ? AND user = ?", (file_id, user))


def forget_file(db: sqlite3.Connection, file_id: bytes, name: str) -> None:
    """The file of that name was removed: whatever has it later was not placed by them."""
    db.execute("DELETE FROM placed WHERE file_id = ? AND name = ?", (file_id, name))


def cancelled(db: sqlite3.Connection, transfer_id: str) -> None:
    """What has not landed by that transfer will not."""
    db.execute("DELETE FROM placed WHERE transfer_id = ? AND NOT landed", (transfer_id,))


def ended(db: sqlite3.Connection, transfer_id: str, numbers: Iterable[int]) -> None:
    """Those items of a transfer are in the share, under their final names, if they are done.

    Those of an incoming one landed; what this peer's own people downloaded is theirs too, whoever placed it.
    """
    for file_id, kind, name in db.execute(_ENDED, (transfer_id, json.dumps(list(numbers)))).fetchall():
        if kind == "incoming":
            # Of all who wait for it: what the transfers of the others bring is this same file.
            db.execute("UPDATE placed SET name = ?, landed = 1 WHERE file_id = ? AND NOT landed", (name, file_id))
        elif kind == "download":
            db.execute("INSERT OR IGNORE INTO placed VALUES (?, ?, ?, '', 1)", (file_id, HOST, name))


def _is_landing(db: sqlite3.Connection, file_id: bytes, inode: int) -> bool:
    landing = (
        "SELECT 1 FROM items JOIN recorded USING (transfer_id, number) JOIN transfers ON transfers.id = transfer_id"
        " WHERE items.file_id = ? AND inode = ? AND items.state = 'placing' AND kind = 'incoming'"
    )
    return db.execute(landing, (file_id, inode)).fetchone() is not None
