"""Who holds a name, a file id, a sha256: reads that are short enough for the event loop's own thread.

A lookup costs tens of microseconds; handing it to another thread and back would cost more.
"""

import random
import sqlite3
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from central_server.model import FileGroup, Holder, Query
from central_server.store_sqlite.batches import CHECKED, PARTIAL
from central_server.store_sqlite.peers import Mirror

MOST_GROUPS = 32
MOST_NAMES = 8
# Of a file with more holdings than this (the empty file has one for each empty name) one a peer is looked at.
_ALL_HOLDINGS = 256
_ALL_PEERS = 20_000

# `held` is how many holdings the file has, counted up to two.
_NAMED = """
    SELECT
        h.peer_no, h.since, h.seen, h.flags,
        (SELECT count(*) FROM (SELECT 1 FROM holdings k WHERE k.file_no = h.file_no LIMIT 2)) AS held,
        f.file_no, f.file_id, f.size, f.sha256
    FROM names n
    CROSS JOIN holdings h ON h.name_no = n.name_no
    CROSS JOIN files f ON f.file_no = h.file_no
    WHERE n.name = ?
"""
_HOLDINGS = """
    SELECT h.peer_no, h.since, h.seen, h.flags, n.name
    FROM holdings h CROSS JOIN names n ON n.name_no = h.name_no
    WHERE h.file_no = ?1 AND h.flags & ?2 = ?2
    LIMIT ?3
"""
# A walk from peer to peer along the index: one step a peer, however many names the file has there.
_ONE_A_PEER = """
    WITH RECURSIVE walk (peer_no) AS (
        SELECT min(peer_no) FROM holdings WHERE file_no = ?1
        UNION ALL
        SELECT (SELECT min(h.peer_no) FROM holdings h WHERE h.file_no = ?1 AND h.peer_no > walk.peer_no)
        FROM walk WHERE walk.peer_no IS NOT NULL
    )
    SELECT h.peer_no, h.since, h.seen, h.flags, n.name
    FROM walk
    CROSS JOIN holdings h ON (h.name_no, h.since) = (
        SELECT k.name_no, k.since FROM holdings k
        WHERE k.file_no = ?1 AND k.peer_no = walk.peer_no AND k.flags & ?2 = ?2 LIMIT 1
    ) AND h.peer_no = walk.peer_no
    CROSS JOIN names n ON n.name_no = h.name_no
    LIMIT ?3
"""
_FILES = """
    SELECT file_no, file_id, size, sha256 FROM files
    WHERE substr({column}, 1, 8) = substr(?1, 1, 8) AND {column} = ?1
"""


class File(NamedTuple):
    """A row of `files`."""

    file_no: int
    file_id: bytes
    size: int
    sha256: bytes


class Lookups:
    """Reads on one connection, by one thread at a time, of what is visible by the mirror."""

    def __init__(self, connection: sqlite3.Connection, mirror: Mirror) -> None:
        self._connection = connection
        self._mirror = mirror

    def groups(self, query: Query, most_holders: int, now: float) -> list[FileGroup]:
        """What `query` means, most holders first."""
        if query.by == "name":
            found = self._named(str(query.value), most_holders, now)
        else:
            needed = CHECKED if query.by == "sha256" else 0
            rows = self._connection.execute(_FILES.format(column=query.by), (query.value,)).fetchall()
            found = [self.group(File(*row), most_holders, now, needed=needed) for row in rows]
        groups = [group for group in found if group is not None]
        if len(groups) > 1:
            groups.sort(key=lambda group: -group.holder_count)
        return groups[:MOST_GROUPS]

    def group(
        self, file: File, most_holders: int, now: float, asked: str | None = None, needed: int = 0
    ) -> FileGroup | None:
        """The holders of one file, whose flags have `needed`; None if nobody has it now.

        A peer that has it under several names is listed under `asked`, if that is one.
        """
        rows = self._connection.execute(_HOLDINGS, (file.file_no, needed, _ALL_HOLDINGS + 1)).fetchall()
        if len(rows) > _ALL_HOLDINGS:
            rows = self._connection.execute(_ONE_A_PEER, (file.file_no, needed, _ALL_PEERS)).fetchall()
        held = self._visible(rows, now, asked)
        if not held:
            return None
        names = Counter(name for _, name in held)
        holders = self._holders(_one_a_peer(held, asked), most_holders)
        return FileGroup(*file[1:], tuple(name for name, _ in names.most_common(MOST_NAMES)), *holders)

    def visible_files(self, rows: Iterable[tuple[int, int, int, int]], now: float) -> Counter[int]:
        """Of rows (file_no, peer_no, since, seen): the files that somebody in answers holds, and how often."""
        return Counter(file_no for file_no, *row in rows if self._is_visible(row[0], row[1], row[2], now))

    def _named(self, name: str, most_holders: int, now: float) -> list[FileGroup | None]:
        """The files that peers in answers share under `name`; of very many those most shared under it."""
        rows = self._connection.execute(_NAMED, (name,)).fetchall()
        # 1. One holding of the name, and none else of its file: so it is with most names, and all is known.
        # 2. Files with more holdings: each is looked at, if anybody in answers has it under this name.
        if len(rows) == 1 and rows[0][4] == 1:
            peer_no, since, seen, flags, _held, _file_no, *file = rows[0]
            if not self._is_visible(peer_no, since, seen, now):
                return []
            file_id, size, sha256 = file
            return [FileGroup(file_id, size, sha256, (name,), (self._holder(peer_no, flags, name),), 1)]
        files = {row[5]: File(*row[5:]) for row in rows}
        counted = self.visible_files(((row[5], *row[:3]) for row in rows), now)
        return [self.group(files[number], most_holders, now, name) for number, _ in counted.most_common(MOST_GROUPS)]

    def _visible(
        self, rows: list[tuple[int, int, int, int, str]], now: float, asked: str | None
    ) -> list[tuple[tuple[int, int], str]]:
        """((peer_no, flags), name) of what is visible."""
        return [
            ((peer_no, flags), name)
            for peer_no, since, seen, flags, name in rows
            if self._is_visible(peer_no, since, seen, now)
        ]

    def _is_visible(self, peer_no: int, since: int, seen: int, now: float) -> bool:
        """Whether the peer is in answers and shows a generation that this holding is in."""
        peer = self._mirror.by_no.get(peer_no)
        return peer is not None and peer.shown_until > now and since <= peer.generation <= seen

    def _holder(self, peer_no: int, flags: int, name: str) -> Holder:
        peer = self._mirror.by_no[peer_no].member.peer
        return Holder(peer, name, flags & CHECKED != 0, flags & PARTIAL != 0)

    def _holders(self, held: dict[int, tuple[int, str]], most: int) -> tuple[tuple[Holder, ...], int]:
        """At most that many holders, chosen at random, and how many there are."""
        chosen = list(held.items()) if len(held) <= most else random.sample(list(held.items()), most)
        return tuple(self._holder(peer_no, flags, name) for peer_no, (flags, name) in chosen), len(held)


def _one_a_peer(held: list[tuple[tuple[int, int], str]], asked: str | None) -> dict[int, tuple[int, str]]:
    """For each peer its flags and name for the file: under the name asked for if it has that, else its first."""
    chosen: dict[int, tuple[int, str]] = {}
    for (peer_no, flags), name in held:
        if peer_no not in chosen or name == asked:
            chosen[peer_no] = (flags, name)
    return chosen
