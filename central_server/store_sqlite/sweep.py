"""Freeing space, in bites small enough that writers behind one hardly notice. Runs in the writer's thread."""

import sqlite3
from collections.abc import Mapping

from central_server.store_sqlite.peers import Mirrored

_NAMES_LOOKED_AT = 1000
_LOOSE_LOOKED_AT = 500
_DROP_NAMES = """
    DELETE FROM names WHERE name_no IN (SELECT name_no FROM loose WHERE rowid <= ?)
    AND NOT EXISTS (SELECT 1 FROM holdings h WHERE h.name_no = names.name_no)
"""
_DROP_FILES = """
    DELETE FROM files WHERE file_no IN (SELECT file_no FROM loose WHERE rowid <= ?)
    AND NOT EXISTS (SELECT 1 FROM holdings h WHERE h.file_no = files.file_no)
"""


def drop_garbage(connection: sqlite3.Connection, mirrored: Mapping[int, Mirrored]) -> bool:
    """Drop holdings that no generation shows any more, of one peer; whether there may be more.

    `mirrored` is what readers go by. A generation that ended this moment may still be what they show: left for the
    next bite.
    """
    dirty = connection.execute(
        "SELECT peer_no, swept_to, generation FROM peers WHERE swept_to IS NOT NULL ORDER BY peer_no LIMIT 1"
    ).fetchone()
    if dirty is None:
        return False
    peer_no, swept_to, generation = dirty
    peer = mirrored.get(peer_no)
    if peer is not None and peer.generation == generation:
        _drop_peers_garbage(connection, peer_no, swept_to)
    return True


def _drop_peers_garbage(connection: sqlite3.Connection, peer_no: int, swept_to: int) -> None:
    looked_at = connection.execute(
        "SELECT name_no FROM holdings WHERE peer_no = ? AND name_no > ? ORDER BY name_no LIMIT 1 OFFSET ?",
        (peer_no, swept_to, _NAMES_LOOKED_AT),
    ).fetchone()
    until = looked_at[0] if looked_at is not None else 2**63 - 1
    connection.execute(
        """
        DELETE FROM holdings WHERE (name_no, peer_no, since) IN (
            SELECT h.name_no, h.peer_no, h.since
            FROM peers p CROSS JOIN holdings h INDEXED BY holdings_by_peer ON h.peer_no = p.peer_no
            WHERE p.peer_no = ? AND h.name_no > ? AND h.name_no <= ?
              AND (h.seen < p.generation OR h.since > p.generation AND h.since IS NOT p.hidden_generation)
        )
        """,
        (peer_no, swept_to, until),
    )
    connection.execute(
        "UPDATE peers SET swept_to = ? WHERE peer_no = ?", (None if looked_at is None else until, peer_no)
    )


def drop_loose(connection: sqlite3.Connection) -> bool:
    """Drop names and files that lost their last holding; whether there may be more."""
    [[last]] = connection.execute(
        "SELECT max(rowid) FROM (SELECT rowid FROM loose ORDER BY rowid LIMIT ?)", (_LOOSE_LOOKED_AT,)
    )
    if last is None:
        return False
    connection.execute(_DROP_NAMES, (last,))
    connection.execute(_DROP_FILES, (last,))
    connection.execute("DELETE FROM loose WHERE rowid <= ?", (last,))
    return True


def drop_empty_peers(connection: sqlite3.Connection) -> list[int]:
    """Drop peers of which nothing is left: no lease, no index, nothing to sweep. Returns their numbers."""
    gone = connection.execute(
        """
        DELETE FROM peers WHERE lease_id IS NULL AND epoch = x'' AND swept_to IS NULL AND hidden_generation IS NULL
        AND NOT EXISTS (SELECT 1 FROM holdings h WHERE h.peer_no = peers.peer_no)
        RETURNING peer_no
        """
    ).fetchall()
    return [peer_no for (peer_no,) in gone]
