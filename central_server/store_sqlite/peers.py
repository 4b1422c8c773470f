"""The peers: their rows in the database, and the mirror of them in memory that every read goes through.

Leases live in the mirror only: a heartbeat writes nothing. The mirror belongs to the event loop; the functions that
take a connection run in the writer's thread.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from central_server.model import Hidden, Index, Lease, Member, Peer, Registration

_READ = """
    SELECT
    peer_no, peer_id, name, url, version, free_bytes, accepts_uploads, reachable, lease_id, ended, epoch, sequence,
    generation, newest_generation, files, size, hidden_generation, hidden_epoch, hidden_sequence, hidden_parts,
    hidden_files, hidden_size
    FROM peers {where}
"""
_MOST = 2**62  # sizes of liars may add up to more than SQLite can count


@dataclass(slots=True)
class PeerRow:
    """A row of `peers`, as its columns; `newest_generation` is the highest ever used."""

    peer_no: int
    peer_id: bytes
    name: str
    url: str
    version: str
    free_bytes: int
    accepts_uploads: int
    reachable: int
    lease_id: bytes | None
    ended: float | None
    epoch: bytes
    sequence: int
    generation: int
    newest_generation: int
    files: int
    size: int
    hidden_generation: int | None
    hidden_epoch: bytes | None
    hidden_sequence: int | None
    hidden_parts: int | None
    hidden_files: int
    hidden_size: int

    def index(self) -> Index:
        """The model's view of it."""
        hidden = None
        if self.hidden_epoch is not None and self.hidden_sequence is not None and self.hidden_parts is not None:
            hidden = Hidden(self.hidden_epoch, self.hidden_sequence, self.hidden_parts)
        return Index(self.epoch, self.sequence, self.files, self.size, hidden)

    def member(self, lease: Lease | None) -> Member:
        """The model's view of it, with the lease that only the mirror knows."""
        peer = Peer(self.peer_id, self.name, self.url)
        return Member(
            peer, self.version, self.free_bytes, bool(self.accepts_uploads), bool(self.reachable), lease, self.index()
        )


class Mirrored:
    """A peer in memory. `shown_until`: it is in answers before that; `generation`: what of it is visible."""

    __slots__ = ("ended", "generation", "member", "peer_no", "shown_until")

    def __init__(self, row: PeerRow, lease: Lease | None) -> None:
        self.peer_no = row.peer_no
        self.generation = row.generation
        self.ended = row.ended
        self.member = row.member(lease)
        self.shown_until = 0.0
        self.set_member(self.member)

    def set_member(self, member: Member) -> None:
        """Replace what is known of it."""
        self.member = member
        shown = member.reachable and member.lease is not None
        self.shown_until = member.lease.expires if shown and member.lease is not None else 0.0

    def set_index(self, row: PeerRow) -> None:
        """Only its index changed; the lease may have been renewed meanwhile."""
        self.generation = row.generation
        self.member = replace(self.member, index=row.index())


class Mirror:
    """All peers of the database. `revived_until`: when leases found there end."""

    def __init__(self, rows: Iterable[PeerRow], revived_until: float) -> None:
        self.by_no: dict[int, Mirrored] = {}
        self.by_id: dict[bytes, Mirrored] = {}
        for row in rows:
            found = row.lease_id
            self.put(row, None if found is None else Lease(found, renewed=revived_until, expires=revived_until))

    def put(self, row: PeerRow, lease: Lease | None) -> Mirrored:
        """Add or replace a peer."""
        mirrored = self.by_no[row.peer_no] = self.by_id[row.peer_id] = Mirrored(row, lease)
        return mirrored

    def drop(self, peer_no: int) -> None:
        """Forget a peer."""
        gone = self.by_no.pop(peer_no, None)
        if gone is not None and self.by_id.get(gone.member.peer.peer_id) is gone:
            del self.by_id[gone.member.peer.peer_id]

    def shown(self, now: float) -> Iterator[Mirrored]:
        """Those in answers."""
        return (each for each in self.by_no.values() if each.shown_until > now)


def read_all(connection: sqlite3.Connection) -> list[PeerRow]:
    """Every row."""
    return [_row(found) for found in connection.execute(_READ.format(where=""))]


def read(connection: sqlite3.Connection, peer_id: bytes) -> PeerRow:
    """The row of a peer that is there."""
    return _row(connection.execute(_READ.format(where="WHERE peer_id = ?"), (peer_id,)).fetchone())


def save_registration(
    connection: sqlite3.Connection, peer_id: bytes, said: Registration, lease_id: bytes, reachable: bool
) -> PeerRow:
    """Insert or update a peer and its lease."""
    connection.execute(
        """
        INSERT INTO peers (peer_id, name, url, version, free_bytes, accepts_uploads, reachable, lease_id)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (peer_id) DO UPDATE SET
            name = excluded.name, url = excluded.url, version = excluded.version, free_bytes = excluded.free_bytes,
            accepts_uploads = excluded.accepts_uploads, reachable = excluded.reachable,
            lease_id = excluded.lease_id, ended = NULL
        """,
        (peer_id, said.name, said.url, said.version, said.free_bytes, said.accepts_uploads, reachable, lease_id),
    )
    # The peer went back within an epoch (its state was restored from a copy): nothing it sends would ever fit.
    connection.execute(
        "UPDATE peers SET epoch = x'', sequence = 0 WHERE peer_id = ? AND epoch = ? AND sequence > ?",
        (peer_id, said.epoch, said.sequence),
    )
    return read(connection, peer_id)


def save_index(connection: sqlite3.Connection, row: PeerRow, *, has_garbage: bool) -> None:
    """Write the columns about the index. `has_garbage`: the sweeper has to look at it (again)."""
    row.size, row.hidden_size = min(row.size, _MOST), min(row.hidden_size, _MOST)
    connection.execute(
        """
        UPDATE peers SET
            epoch = ?, sequence = ?, generation = ?, newest_generation = ?, files = ?, size = ?,
            hidden_generation = ?, hidden_epoch = ?, hidden_sequence = ?, hidden_parts = ?, hidden_files = ?,
            hidden_size = ?, swept_to = CASE WHEN ? THEN 0 ELSE swept_to END
        WHERE peer_no = ?
        """,
        (
            *(row.epoch, row.sequence, row.generation, row.newest_generation, row.files, row.size),
            *(row.hidden_generation, row.hidden_epoch, row.hidden_sequence, row.hidden_parts, row.hidden_files),
            *(row.hidden_size, has_garbage, row.peer_no),
        ),
    )


def save_end(connection: sqlite3.Connection, peer_no: int, lease_id: bytes, now: float) -> None:
    """Note that the lease ended, if it is still this one."""
    connection.execute(
        "UPDATE peers SET lease_id = NULL, ended = ? WHERE peer_no = ? AND lease_id = ?", (now, peer_no, lease_id)
    )


def forget_index(connection: sqlite3.Connection, peer_no: int) -> PeerRow | None:
    """Show a new, empty generation of a peer without a lease; the sweeper drops the rest. None: it has one again."""
    changed = connection.execute(
        """
        UPDATE peers SET
            epoch = x'', sequence = 0, files = 0, size = 0, hidden_generation = NULL, hidden_epoch = NULL,
            hidden_sequence = NULL, hidden_parts = NULL, swept_to = 0,
            generation = newest_generation + 1, newest_generation = newest_generation + 1
        WHERE peer_no = ? AND lease_id IS NULL
        """,
        (peer_no,),
    ).rowcount
    if not changed:
        return None
    return _row(connection.execute(_READ.format(where="WHERE peer_no = ?"), (peer_no,)).fetchone())


def _row(columns: tuple[Any, ...]) -> PeerRow:  # Any: what SQLite returns; schema.sql has the types
    row = PeerRow(*columns)
    row.hidden_files, row.hidden_size = row.hidden_files or 0, row.hidden_size or 0
    return row
