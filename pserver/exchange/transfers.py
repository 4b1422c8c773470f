"""The transfers of this peer as they are kept on disk: they survive a restart. What moves right now is in progress.py.

A bitfield is recorded here only after its bytes were synced: what is recorded is on the disk.
"""

# ruff: noqa: S608 - only constants of this file become part of a statement

import json
import logging
import secrets
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files as package_files
from pathlib import Path

from pserver.database import Database
from pserver.exchange import item_rows, placed_rows
from pserver.exchange.item_rows import COLUMNS as _ITEM
from pserver.exchange.item_rows import Written, item_of
from pserver.exchange.transfer import ENDED, Item, Recorded, Target, Transfer, Wanted, check_move
from pserver.model import NotFound, Peer, SharedFile

KEPT_ENDED = 100
_SQL = package_files("pserver.exchange")
_VERSIONS = ("transfers.sql", "transfers_2.sql", "transfers_3.sql")  # each later one takes the schema one version on
SCHEMA_VERSION = len(_VERSIONS)
_ID_BYTES = 4
_log = logging.getLogger(__name__)
_TRANSFER = (
    "id, kind, label, state, created, ended, error_code, error_detail, tree, asker, hints, files_total, bytes_total,"
    " files_done, bytes_done"
)
_ONE = "transfer_id = ? AND number = ?"
_OPEN = "state IN ('queued', 'running', 'placing')"


class Transfers:
    """Transfers in the SQLite file at `path`. Thread-safe. All methods raise Unavailable, those that write NoRoom."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, [_SQL.joinpath(name).read_text() for name in _VERSIONS])

    @property
    def database(self) -> Database:
        """Where it all is, for other records that change together with it."""
        return self._database

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def create(
        self,
        kind: str,
        label: str,
        wanted: Sequence[Wanted],
        now: float,
        *,
        tree: bool = False,
        asker: str | None = None,
        user: str | None = None,
        hints: Sequence[Peer] = (),
        targets: Sequence[Peer] = (),
        transfer_id: str | None = None,
    ) -> Transfer:
        """A new transfer, queued. `now` is Unix time; `transfer_id`: of `new_id`, if it must be known before.

        `user`: who places what it will bring, which is noted in the same instant.
        """
        transfer_id = transfer_id or new_id()
        known = json.dumps([[peer.peer_id, peer.name, peer.url] for peer in hints])
        size = sum(one.size for one in wanted)
        row = (transfer_id, kind, label, "queued", now, None, None, None, tree, asker, known, len(wanted), size)
        with self._database.writing() as db:
            db.execute(f"INSERT INTO transfers ({_TRANSFER}) VALUES ({'?, ' * len(row)} 0, 0)", row)
            item_rows.add(db, transfer_id, wanted)
            if user is not None:
                for one in wanted:
                    placed_rows.coming(db, one.file_id, user, one.name, transfer_id)
            db.executemany(
                "INSERT INTO targets VALUES (?, ?, ?, ?, 'queued', 0, NULL, NULL)",
                ((transfer_id, peer.peer_id, peer.name, peer.url) for peer in targets),
            )
        _tell(transfer_id, f"{kind} of {label!r} made")
        return self.get(transfer_id)

    def get(self, transfer_id: str) -> Transfer:
        """One transfer. NotFound."""
        with self._database.reading() as db:
            return _get(db, transfer_id)

    def all(self) -> list[Transfer]:
        """All that live and those that ended and are kept, newest first."""
        with self._database.reading() as db:
            rows = db.execute(f"SELECT {_TRANSFER} FROM transfers ORDER BY created DESC, id").fetchall()
        return [_transfer(row) for row in rows]

    def find_single(self, kind: str, wanted: Wanted, asker: str | None, states: Sequence[str]) -> Transfer | None:
        """The newest transfer of that kind that wants just this one file under this name, in one of these states."""
        with self._database.reading() as db:
            row = db.execute(
                "SELECT id FROM transfers JOIN items ON transfer_id = id AND number = 0 WHERE kind = ? AND asker IS ?"
                " AND files_total = 1 AND file_id = ? AND name = ? AND sha256 IS ?"
                f" AND transfers.state IN ({', '.join('?' * len(states))}) ORDER BY created DESC LIMIT 1",
                (kind, asker, wanted.file_id, wanted.name, wanted.sha256, *states),
            ).fetchone()
            return None if row is None else _get(db, row[0])

    def in_states(self, states: Iterable[str]) -> list[Transfer]:
        """Those in one of the states, oldest first."""
        wanted = tuple(states)
        with self._database.reading() as db:
            where = f"state IN ({', '.join('?' * len(wanted))}) ORDER BY created, id DESC"
            rows = db.execute(f"SELECT {_TRANSFER} FROM transfers WHERE {where}", wanted).fetchall()
        return [_transfer(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many are in each state that any is in."""
        with self._database.reading() as db:
            return dict(db.execute("SELECT state, count(*) FROM transfers GROUP BY state").fetchall())

    def census(self) -> dict[tuple[str, str], int]:
        """How many there are of each (kind, state) that any is of."""
        with self._database.reading() as db:
            rows = db.execute("SELECT kind, state, count(*) FROM transfers GROUP BY kind, state").fetchall()
        return {(kind, state): count for kind, state, count in rows}

    def move(self, transfer_id: str, state: str, now: float, error: tuple[str, str] | None = None) -> Transfer:
        """Take it into another state. NotFound; Conflict if it cannot go there from the one it is in.

        Resumed (queued) after a failure, its failed items are tried again. Of those that ended the last 100 are kept.
        """
        code, detail = error or (None, None)
        with self._database.writing() as db:
            before = _get(db, transfer_id).state
            check_move(before, state)
            if state == "cancelled":
                item_rows.check_not_landing(db, transfer_id)
            db.execute(
                "UPDATE transfers SET state = ?, ended = ?, error_code = ?, error_detail = ? WHERE id = ?",
                (state, now if state in ENDED else None, code, detail, transfer_id),
            )
            if before == "failed" and state == "queued":
                again = "UPDATE items SET state = 'queued', error = NULL WHERE transfer_id = ? AND state = 'failed'"
                db.execute(again, (transfer_id,))
            if state == "cancelled":
                placed_rows.cancelled(db, transfer_id)
            _drop_old(db)
            moved = _get(db, transfer_id)
        _tell(transfer_id, f"{before} -> {state}" + (f": {detail}" if detail else ""))
        return moved

    def forget(self, transfer_id: str) -> None:
        """Remove all that is known of it; if it is not known, nothing happens."""
        with self._database.writing() as db:
            _forget(db, transfer_id)

    # --- its files ----------------------------------------------------------------------------------------------

    def items(self, transfer_id: str, after: int, limit: int) -> list[Item]:
        """At most `limit` items from the first whose number is above `after` (-1: from the beginning)."""
        return self._items("transfer_id = ? AND number > ? ORDER BY number LIMIT ?", (transfer_id, after, limit))

    def open_items(self, transfer_id: str, after: int, limit: int) -> list[Item]:
        """As `items`, but only those that have not ended."""
        where = f"transfer_id = ? AND number > ? AND {_OPEN} ORDER BY number LIMIT ?"
        return self._items(where, (transfer_id, after, limit))

    def failed_items(self, transfer_id: str) -> tuple[int, str]:
        """How many items failed, and the error of the first of them."""
        with self._database.reading() as db:
            where = "FROM items WHERE transfer_id = ? AND state = 'failed'"
            count = db.execute(f"SELECT count(*) {where}", (transfer_id,)).fetchone()[0]
            first = db.execute(f"SELECT error {where} ORDER BY number LIMIT 1", (transfer_id,)).fetchone()
        return count, (first[0] or "") if first else ""

    def recorded(self, transfer_id: str, number: int) -> Recorded | None:
        """What is known of the item's partial file."""
        with self._database.reading() as db:
            row = db.execute(
                f"SELECT manifest, bitfield, inode FROM recorded WHERE {_ONE}", (transfer_id, number)
            ).fetchone()
        return None if row is None else Recorded(*row)

    def begin_item(self, transfer_id: str, number: int, file_id: bytes, size: int, recorded: Recorded) -> None:
        """The item's manifest is known (so its true size), and its partial file is about to be made."""
        with self._database.writing() as db:
            db.execute(
                "UPDATE transfers SET bytes_total = bytes_total + ? - (SELECT size FROM items WHERE transfer_id = ?"
                " AND number = ?) WHERE id = ?",
                (size, transfer_id, number, transfer_id),
            )
            db.execute(
                f"UPDATE items SET state = 'running', file_id = ?, size = ? WHERE {_ONE}",
                (file_id, size, transfer_id, number),
            )
            values = (transfer_id, number, recorded.manifest, recorded.bitfield, recorded.inode)
            db.execute("INSERT OR REPLACE INTO recorded VALUES (?, ?, ?, ?, ?)", values)
            _set_done(db, transfer_id, number, 0)

    def save_progress(self, transfer_id: str, number: int, bitfield: bytes, bytes_done: int) -> None:
        """These pieces are safe on the disk."""
        with self._database.writing() as db:
            db.execute(f"UPDATE recorded SET bitfield = ? WHERE {_ONE}", (bitfield, transfer_id, number))
            _set_done(db, transfer_id, number, bytes_done)

    def begin_placing(self, transfer_id: str, number: int, file_id: bytes, size: int, whole: Recorded) -> None:
        """All pieces are safe on the disk, and the partial file is about to get its final name. Conflict: cancelled."""
        with self._database.writing() as db:
            item_rows.check_not_cancelled(db, transfer_id)
            values = (transfer_id, number, whole.manifest, whole.bitfield, whole.inode)
            db.execute("INSERT OR REPLACE INTO recorded VALUES (?, ?, ?, ?, ?)", values)
            placing = f"UPDATE items SET state = 'placing', file_id = ? WHERE {_ONE}"
            db.execute(placing, (file_id, transfer_id, number))
            _set_done(db, transfer_id, number, size)

    def end_item(self, transfer_id: str, number: int, final_name: str | None, error: str | None = None) -> None:
        """The item is done, under that name; or, with an error, it failed (what is recorded of it stays)."""
        with self._database.writing() as db:
            _end_item(db, transfer_id, number, final_name, error)

    def end_held(self, transfer_id: str, number: int, held: SharedFile) -> None:
        """The item is done: the share has it already, and not by this transfer."""
        with self._database.writing() as db:
            if placed_rows.of_file(db, held.file_id):
                placed_rows.held(db, held.file_id, held.name, held.inode)
            _end_item(db, transfer_id, number, held.name, None)

    def begin_placing_group(self, transfer_id: str, written: Sequence[Written]) -> None:
        """As `begin_placing` for many, each of the size that its item says."""
        with self._database.writing() as db:
            item_rows.begin_placing(db, transfer_id, written)

    def end_group(self, transfer_id: str, numbers: Iterable[int], renamed: Mapping[int, str]) -> None:
        """As `end_item` for many that are done, with their own names but for the `renamed`: number to final name."""
        ended = list(numbers)
        with self._database.writing() as db:
            item_rows.end(db, transfer_id, ended, renamed)
            placed_rows.ended(db, transfer_id, ended)

    def partials(self) -> set[tuple[str, int]]:
        """The (transfer id, item number) of every partial file that is still of use."""
        with self._database.reading() as db:
            return set(
                db.execute(
                    "SELECT transfer_id, number FROM recorded JOIN transfers ON id = transfer_id"
                    " WHERE state NOT IN ('done', 'cancelled')"
                ).fetchall()
            )

    def promised_bytes(self) -> int:
        """How many bytes the files have that downloads which live are still to bring."""
        live = "SELECT id FROM transfers WHERE state IN ('queued', 'running', 'paused') AND kind != 'upload'"
        query = f"SELECT total(size) FROM items WHERE {_OPEN} AND transfer_id IN ({live})"
        with self._database.reading() as db:
            return int(db.execute(query).fetchone()[0])

    # --- what came from whom ------------------------------------------------------------------------------------

    def sources(self, transfer_id: str) -> str:
        """The text that was saved last; that of an empty list if there is none."""
        with self._database.reading() as db:
            row = db.execute("SELECT given FROM sources WHERE transfer_id = ?", (transfer_id,)).fetchone()
        return str(row[0]) if row else "[]"

    def save_sources(self, transfer_id: str, given: str) -> None:
        """Keep what its sources gave, as text (given.py), for as long as the transfer is known."""
        known = "INSERT OR REPLACE INTO sources SELECT id, ? FROM transfers WHERE id = ?"
        with self._database.writing() as db:
            db.execute(known, (given, transfer_id))

    # --- the peers an upload goes to ----------------------------------------------------------------------------

    def targets(self, transfer_id: str) -> list[Target]:
        """The peers that an upload wants to hold the file."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT peer_id, name, url, state, bytes_done, error, offer_id FROM targets WHERE transfer_id = ?"
                " ORDER BY name, peer_id",
                (transfer_id,),
            ).fetchall()
        return [Target(Peer(*row[:3]), *row[3:]) for row in rows]

    def set_target(self, transfer_id: str, target: Target) -> None:
        """How far that peer is. A peer that was no target yet becomes one."""
        peer = target.peer
        row = (transfer_id, peer.peer_id, peer.name, peer.url, target.state, target.bytes_done, target.error)
        with self._database.writing() as db:
            db.execute("INSERT OR REPLACE INTO targets VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, target.offer_id))

    def _items(self, where: str, parameters: Sequence[object]) -> list[Item]:
        with self._database.reading() as db:
            rows = db.execute(f"SELECT {_ITEM} FROM items WHERE {where}", parameters).fetchall()
        return [item_of(*row) for row in rows]


def _tell(transfer_id: str, what: str) -> None:
    """In the log, for whoever follows a transfer from peer to peer."""
    _log.info("transfer %s: %s", transfer_id, what, extra={"transfer_id": transfer_id})


def new_id() -> str:
    """An id for a transfer."""
    return secrets.token_hex(_ID_BYTES)


def _get(db: sqlite3.Connection, transfer_id: str) -> Transfer:
    row = db.execute(f"SELECT {_TRANSFER} FROM transfers WHERE id = ?", (transfer_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no transfer {transfer_id}")
    return _transfer(row)


def _transfer(row: Sequence[object]) -> Transfer:
    transfer_id, kind, label, state, created, ended, code, detail, tree, asker, hints, *totals = row
    peers = tuple(Peer(*peer) for peer in json.loads(str(hints)))
    error = None if code is None else (code, detail)
    values = (transfer_id, kind, label, state, created, ended, error, bool(tree), asker, peers, *totals)
    return Transfer(*values)  # type: ignore[arg-type]  # the columns are of these types


def _set_done(db: sqlite3.Connection, transfer_id: str, number: int, bytes_done: int) -> None:
    before = db.execute(f"SELECT bytes_done FROM items WHERE {_ONE}", (transfer_id, number)).fetchone()
    if before is not None:
        db.execute(f"UPDATE items SET bytes_done = ? WHERE {_ONE}", (bytes_done, transfer_id, number))
        more = bytes_done - before[0]
        db.execute("UPDATE transfers SET bytes_done = bytes_done + ? WHERE id = ?", (more, transfer_id))


def _end_item(db: sqlite3.Connection, transfer_id: str, number: int, final_name: str | None, error: str | None) -> None:
    state = "failed" if error else "done"
    db.execute(
        f"UPDATE items SET state = ?, final_name = ?, error = ? WHERE {_ONE} AND state != 'done'",
        (state, final_name, error, transfer_id, number),
    )
    if db.execute("SELECT changes()").fetchone()[0] and not error:
        size = db.execute(f"SELECT size FROM items WHERE {_ONE}", (transfer_id, number)).fetchone()[0]
        _set_done(db, transfer_id, number, size)
        db.execute(f"DELETE FROM recorded WHERE {_ONE}", (transfer_id, number))
        db.execute("UPDATE transfers SET files_done = files_done + 1 WHERE id = ?", (transfer_id,))
        placed_rows.ended(db, transfer_id, [number])


def _drop_old(db: sqlite3.Connection) -> None:
    ended = ", ".join(f"'{state}'" for state in ENDED)
    rows = db.execute(
        f"SELECT id FROM transfers WHERE state IN ({ended}) ORDER BY ended DESC, id LIMIT -1 OFFSET {KEPT_ENDED}"
    ).fetchall()
    for (transfer_id,) in rows:
        _forget(db, transfer_id)


def _forget(db: sqlite3.Connection, transfer_id: str) -> None:
    placed_rows.cancelled(db, transfer_id)
    for table in ("items", "recorded", "targets", "sources"):
        db.execute(f"DELETE FROM {table} WHERE transfer_id = ?", (transfer_id,))
    db.execute("DELETE FROM transfers WHERE id = ?", (transfer_id,))
