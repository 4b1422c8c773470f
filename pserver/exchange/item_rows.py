"""Rows of items: one read as a value, and many moved on together in a few statements, as `Transfers` does with one.

The functions that write work inside a transaction of their caller.
"""

# ruff: noqa: S608 - only constants of this file become part of a statement

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from pserver.exchange.transfer import Item, Recorded, Wanted
from pserver.model import Conflict

COLUMNS = "number, name, final_name, file_id, size, sha256, alternatives, state, bytes_done, error"
_AT_ONCE = 500  # rows a statement: SQLite allows 32,766 values
_GROUP = "transfer_id = ? AND number IN (SELECT value FROM json_each(?)) AND state != 'done'"


class Written(NamedTuple):
    """An item whose one piece is in its partial file, on the disk."""

    number: int
    recorded: Recorded


def item_of(  # noqa: PLR0917 - the columns, in their order
    number: int,
    name: str,
    final_name: str | None,
    file_id: bytes,
    size: int,
    sha256: bytes | None,
    alternatives: bytes,
    state: str,
    bytes_done: int,
    error: str | None,
) -> Item:
    """The item of a row of COLUMNS."""
    return Item(number, name, final_name, file_id, size, sha256, _ids(alternatives), state, bytes_done, error)


def _ids(joined: bytes) -> tuple[bytes, ...]:
    return tuple(joined[start : start + 32] for start in range(0, len(joined), 32))


def add(db: sqlite3.Connection, transfer_id: str, wanted: Sequence[Wanted]) -> None:
    """The items of a new transfer, queued, numbered from 0."""
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        rows = (
            (transfer_id, number, one.name, one.file_id, one.size, one.sha256, b"".join(one.alternatives))
            for number, one in enumerate(some, start)
        )
        marks = ", ".join(["(?, ?, ?, NULL, ?, ?, ?, ?, 'queued', 0, NULL)"] * len(some))
        db.execute(f"INSERT INTO items (transfer_id, {COLUMNS}) VALUES {marks}", [*chain.from_iterable(rows)])


def check_not_cancelled(db: sqlite3.Connection, transfer_id: str) -> None:
    """Conflict if the transfer was cancelled: nothing of it may get a final name any more."""
    if db.execute("SELECT 1 FROM transfers WHERE id = ? AND state = 'cancelled'", (transfer_id,)).fetchone():
        raise Conflict("it was cancelled")


def check_not_landing(db: sqlite3.Connection, transfer_id: str) -> None:
    """Conflict if what others placed here is getting its final name: cancelled then, it would belong to nobody."""
    landing = (
        "SELECT 1 FROM transfers JOIN items ON transfer_id = id WHERE id = ? AND kind = 'incoming'"
        " AND transfers.state IN ('queued', 'running') AND items.state = 'placing'"
    )
    if db.execute(landing, (transfer_id,)).fetchone():
        raise Conflict("it is getting its final name in this instant")


def begin_placing(db: sqlite3.Connection, transfer_id: str, written: Sequence[Written]) -> None:
    """Their partials, of the size that the items say, are about to get their final names."""
    for start in range(0, len(written), _AT_ONCE):
        some = written[start : start + _AT_ONCE]
        rows = (
            (transfer_id, one.number, one.recorded.manifest, one.recorded.bitfield, one.recorded.inode) for one in some
        )
        marks = ", ".join(["(?, ?, ?, ?, ?)"] * len(some))
        db.execute(f"INSERT OR REPLACE INTO recorded VALUES {marks}", [*chain.from_iterable(rows)])
    group = (transfer_id, json.dumps([one.number for one in written]))
    _count_bytes(db, group)
    db.execute(f"UPDATE items SET state = 'placing', bytes_done = size WHERE {_GROUP}", group)


def end(db: sqlite3.Connection, transfer_id: str, numbers: Iterable[int], renamed: Mapping[int, str]) -> None:
    """They are done, under the names that were wanted but for the `renamed`: number to final name."""
    group = (transfer_id, json.dumps(list(numbers)))
    _count_bytes(db, group)
    done = db.execute(
        f"UPDATE items SET state = 'done', bytes_done = size, error = NULL, final_name = name WHERE {_GROUP}", group
    ).rowcount
    db.execute("UPDATE transfers SET files_done = files_done + ? WHERE id = ?", (done, transfer_id))
    db.executemany(
        "UPDATE items SET final_name = ? WHERE transfer_id = ? AND number = ?",
        ((name, transfer_id, number) for number, name in renamed.items()),
    )
    db.execute("DELETE FROM recorded WHERE transfer_id = ? AND number IN (SELECT value FROM json_each(?))", group)


def _count_bytes(db: sqlite3.Connection, group: tuple[str, str]) -> None:
    """What these items lack until they are whole counts as done from now on."""
    more = f"(SELECT coalesce(sum(size - bytes_done), 0) FROM items WHERE {_GROUP})"
    db.execute(f"UPDATE transfers SET bytes_done = bytes_done + {more} WHERE id = ?", (*group, group[0]))
