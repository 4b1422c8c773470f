"""Reads that may take long: they have a thread and a connection of their own, and end when their time is up."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from time import monotonic
from typing import TypeVar

from central_server.model import Entry, FileGroup, FolderCount, InvalidRequest, SearchPage, SearchTooBroad
from central_server.store_sqlite.batches import CHECKED, PARTIAL
from central_server.store_sqlite.file import connect
from central_server.store_sqlite.lookups import File, Lookups
from central_server.store_sqlite.peers import Mirror, Mirrored
from central_server.store_sqlite.writer import unavailable

_T = TypeVar("_T")
LISTING_SECONDS = 5.0
_HOLDERS = 4
_FEW_NAMES = 32
# A token of the tokenizer is quoted, so that nothing in it means anything to FTS5.
_MATCHES = """
    SELECT w.rowid, h.file_no, h.peer_no, h.since, h.seen
    FROM words w CROSS JOIN holdings h ON h.name_no = w.rowid
    WHERE w.words MATCH ? AND w.rowid >= ?
    ORDER BY w.rowid
"""
_LISTED = """
    SELECT n.name, f.file_id, f.size, f.sha256, h.flags
    FROM {tables} CROSS JOIN files f ON f.file_no = h.file_no
    WHERE h.peer_no = :peer_no AND h.since <= :shown AND h.seen >= :shown
      AND n.name > :after AND n.name >= :prefix AND n.name < :end
    ORDER BY n.name LIMIT :limit
"""
# All files of a peer, or the few that may begin with a prefix: from the side on which there are fewer to look at.
_BY_PEER = "holdings h INDEXED BY holdings_by_peer CROSS JOIN names n ON n.name_no = h.name_no"
_BY_NAME = "names n CROSS JOIN holdings h ON h.name_no = n.name_no"
_FILE = "SELECT file_no, file_id, size, sha256 FROM files WHERE file_no = ?"
_BELOW = """
    SELECT h.peer_no, count(*), CAST(total(f.size) AS INTEGER)
    FROM names n
    CROSS JOIN holdings h ON h.name_no = n.name_no
    CROSS JOIN peers p ON p.peer_no = h.peer_no
    CROSS JOIN files f ON f.file_no = h.file_no
    WHERE n.name >= ? AND n.name < ? AND h.since <= p.generation AND h.seen >= p.generation
    GROUP BY h.peer_no
"""


class Searches:
    """Made and called on the event loop; everything else happens in the thread."""

    def __init__(self, path: Path, mirror: Mirror) -> None:
        self._path = path
        self._mirror = mirror
        self._connection = connect(path)
        self._lookups = Lookups(self._connection, mirror)
        self._tokenizer = _Tokenizer()
        self._thread = ThreadPoolExecutor(1, "store-search")
        self._lock = threading.Lock()
        self._running: object = None

    async def search(self, words: str, after: tuple[int, int], limit: int, now: float, seconds: float) -> SearchPage:
        """As the contract says."""
        return await self._in_thread(lambda ends: self._search(words, after, limit, now, ends), seconds)

    async def files_of(self, peer: Mirrored, prefix: str, after: str, limit: int) -> list[Entry]:
        """As the contract says, of a peer in answers."""
        return await self._in_thread(lambda _ends: self._files_of(peer, prefix, after, limit), LISTING_SECONDS)

    async def counts_below(self, folder: str, now: float) -> dict[bytes, FolderCount]:
        """As the contract says."""
        return await self._in_thread(lambda _ends: self._counts_below(folder, now), LISTING_SECONDS)

    async def close(self) -> None:
        """Cut short what runs, end the thread, close the connection."""
        self._connection.interrupt()
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
        self._connection.close()

    async def _in_thread(self, work: Callable[[float], _T], seconds: float) -> _T:
        """Run `work` with the (monotonic) time at which it has to end; SQLite is interrupted then."""
        loop = asyncio.get_running_loop()
        mark = object()
        timer = loop.call_later(seconds, self._interrupt, mark)
        try:
            return await loop.run_in_executor(self._thread, self._marked, mark, work, monotonic() + seconds)
        finally:
            timer.cancel()
            self._interrupt(mark)  # the caller may have gone before its time was up

    def _interrupt(self, mark: object) -> None:
        with self._lock:  # never somebody else's work
            if self._running is mark:
                self._connection.interrupt()

    def _marked(self, mark: object, work: Callable[[float], _T], ends: float) -> _T:
        if monotonic() >= ends:  # it waited too long for its turn
            raise SearchTooBroad
        with self._lock:
            self._running = mark
        try:
            return work(ends)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
                raise SearchTooBroad from None
            raise unavailable(error, self._path) from error
        finally:
            with self._lock:
                self._running = None

    def _search(self, words: str, after: tuple[int, int], limit: int, now: float, ends: float) -> SearchPage:
        match = self._tokenizer.match(words)
        groups: list[FileGroup] = []
        place, seen = after, set[int]()
        cursor = self._connection.execute(_MATCHES, (match, after[0]))
        try:
            for place, file_no in self._candidates(cursor, after, now):
                if file_no not in seen:
                    seen.add(file_no)
                    group = self._first_group(file_no, place[0], match, now)
                    groups += [group] if group is not None else []
                if len(groups) == limit or (groups and monotonic() >= ends):
                    return SearchPage(groups, place)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT or not groups:
                raise
            return SearchPage(groups, place)
        finally:
            cursor.close()  # else it would hold back the write-ahead log
        return SearchPage(groups, None)

    def _candidates(
        self, rows: Iterator[tuple[int, int, int, int, int]], after: tuple[int, int], now: float
    ) -> Iterator[tuple[tuple[int, int], int]]:
        """((name_no, file_no), file_no) behind `after` of what is visible, in order."""
        for name_no, held in groupby(rows, key=itemgetter(0)):
            for file_no in sorted(self._lookups.visible_files((row[1:] for row in held), now)):
                if (name_no, file_no) > after:
                    yield (name_no, file_no), file_no

    def _first_group(self, file_no: int, name_no: int, match: str, now: float) -> FileGroup | None:
        """The file's group, unless an earlier name of it matches too: then an earlier page has it."""
        rows = self._connection.execute(
            "SELECT name_no, peer_no, since, seen FROM holdings WHERE file_no = ? AND name_no < ?", (file_no, name_no)
        ).fetchall()
        if rows and self._any_matches(self._lookups.visible_files(rows, now), name_no, match):
            return None
        [row] = self._connection.execute(
            "SELECT file_no, file_id, size, sha256 FROM files WHERE file_no = ?", (file_no,)
        )
        return self._lookups.group(File(*row), _HOLDERS, now)

    def _any_matches(self, name_nos: dict[int, int], before: int, match: str) -> bool:
        # 1. Few names: look each up among the matches.
        # 2. Many (the empty file): walk the matches instead, one is soon met.
        if len(name_nos) <= _FEW_NAMES:
            one = "SELECT 1 FROM words WHERE words MATCH ? AND rowid = ?"
            return any(self._connection.execute(one, (match, name_no)).fetchone() for name_no in name_nos)
        walk = self._connection.execute("SELECT rowid FROM words WHERE words MATCH ? AND rowid < ?", (match, before))
        try:
            return any(name_no in name_nos for (name_no,) in walk)
        finally:
            walk.close()

    def _files_of(self, peer: Mirrored, prefix: str, after: str, limit: int) -> list[Entry]:
        sql = _LISTED.format(tables=_BY_NAME if prefix else _BY_PEER)
        place = {"peer_no": peer.peer_no, "shown": peer.generation, "after": after, "limit": limit}
        rows = self._connection.execute(sql, {**place, "prefix": prefix, "end": _end(prefix)}).fetchall()
        return [
            Entry(name, file_id, size, sha256, flags & CHECKED != 0, flags & PARTIAL != 0)
            for name, file_id, size, sha256, flags in rows
        ]

    def _counts_below(self, folder: str, now: float) -> dict[bytes, FolderCount]:
        counted = {}
        for peer_no, files, size in self._connection.execute(_BELOW, (folder, _end(folder))).fetchall():
            peer = self._mirror.by_no.get(peer_no)
            if peer is not None and peer.shown_until > now:
                counted[peer.member.peer.peer_id] = FolderCount(files, size)
        return counted


class _Tokenizer:
    """Splits words exactly as the index does, by asking the same tokenizer."""

    def __init__(self) -> None:
        self._memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._memory.executescript(
            """
            CREATE VIRTUAL TABLE said USING fts5 (words, tokenize = 'unicode61 remove_diacritics 2');
            CREATE VIRTUAL TABLE tokens USING fts5vocab (said, row);
            """
        )

    def match(self, words: str) -> str:
        """The FTS5 query for names that have, for each word, a word that begins with it. InvalidRequest: no word."""
        self._memory.execute("INSERT INTO said VALUES (?)", (words.replace("\0", " "),))
        tokens = [token for (token,) in self._memory.execute("SELECT term FROM tokens").fetchall()]
        self._memory.execute("DELETE FROM said")
        if not tokens:
            raise InvalidRequest(why="a search needs at least one letter or digit")
        return " AND ".join(f'"{token}"*' for token in tokens)


def _end(prefix: str) -> str:
    """Sorts behind every name that begins with `prefix`."""
    return prefix + chr(0x10FFFF)
