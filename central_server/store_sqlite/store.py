"""The store's verbs, each put together from the parts: mirror and lookups here, writer and searches in threads."""

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from central_server.model import (
    Announcement,
    Entry,
    FileGroup,
    FolderCount,
    Lease,
    Member,
    Query,
    Registration,
    SearchPage,
    UnknownPeer,
    Vitals,
)
from central_server.store_sqlite import batches, file, peers, sweep
from central_server.store_sqlite.lookups import Lookups
from central_server.store_sqlite.peers import Mirror, PeerRow
from central_server.store_sqlite.searches import Searches
from central_server.store_sqlite.writer import Writer, Written, unavailable

_QUERIES_A_TURN = 16


class SQLiteStore:
    """Made, used and closed on one event loop."""

    def __init__(self, path: Path, revived_until: float) -> None:
        """Open or make the database at `path`; leases found there last until `revived_until`. CannotOpen."""
        self._path = path
        self._lock = file.lock(path)
        try:
            writing = file.open_checked(path)
            self._mirror = Mirror(peers.read_all(writing), revived_until)
            self._reading = file.connect(path)
            self._lookups = Lookups(self._reading, self._mirror)
            self._searches = Searches(path, self._mirror)
        except BaseException:
            os.close(self._lock)
            raise
        self._writer = Writer(writing, path)

    def writing(self) -> tuple[int, Written]:
        """How many writes wait, and what was written so far."""
        return self._writer.waiting, self._writer.written

    async def register(self, peer_id: bytes, said: Registration, lease: Lease, reachable: bool) -> Member:
        """See Store."""

        def mirror(row: PeerRow) -> None:
            self._mirror.put(row, lease)

        row = await self._writer.write(
            lambda connection: peers.save_registration(connection, peer_id, said, lease.lease_id, reachable), mirror
        )
        return self._mirror.by_id[row.peer_id].member

    async def renew(self, peer_id: bytes, lease: Lease, vitals: Vitals) -> None:
        """See Store."""
        peer = self._mirror.by_id.get(peer_id)
        if peer is not None and peer.member.lease is not None and peer.member.lease.lease_id == lease.lease_id:
            free, accepts = vitals.free_bytes, vitals.accepts_uploads
            peer.set_member(replace(peer.member, lease=lease, free_bytes=free, accepts_uploads=accepts))

    async def leave(self, peer_id: bytes) -> None:
        """See Store."""
        peer = self._mirror.by_id.get(peer_id)
        if peer is None:
            return

        def end(connection: sqlite3.Connection) -> PeerRow | None:
            connection.execute("UPDATE peers SET lease_id = NULL WHERE peer_no = ?", (peer.peer_no,))
            return peers.forget_index(connection, peer.peer_no)

        await self._writer.write(end, self._mirror_without_lease)

    async def announce(self, peer_id: bytes, batch: Announcement, max_files: int) -> Member:
        """See Store."""
        peer = self._mirror.by_id[peer_id]
        await self._writer.write(
            lambda connection: batches.apply(connection, peer_id, batch, max_files), peer.set_index
        )
        return peer.member

    async def member(self, peer_id: bytes) -> Member | None:
        """See Store."""
        peer = self._mirror.by_id.get(peer_id)
        return None if peer is None else peer.member

    async def members(self, now: float) -> list[Member]:
        """See Store."""
        return [peer.member for peer in self._mirror.shown(now)]

    async def holders_of(self, queries: Sequence[Query], max_holders: int, now: float) -> list[list[FileGroup]]:
        """See Store."""
        found = []
        try:
            for done, query in enumerate(queries):
                found.append(self._lookups.groups(query, max_holders, now))
                if done % _QUERIES_A_TURN == _QUERIES_A_TURN - 1:
                    await asyncio.sleep(0)  # others have their turn
        except sqlite3.Error as error:
            raise unavailable(error, self._path) from error
        return found

    async def search(self, words: str, after: tuple[int, int], limit: int, now: float, seconds: float) -> SearchPage:
        """See Store."""
        return await self._searches.search(words, after, limit, now, seconds)

    async def files_of(self, peer_id: bytes, prefix: str, after: str, limit: int, now: float) -> list[Entry]:
        """See Store."""
        peer = self._mirror.by_id.get(peer_id)
        if peer is None or peer.shown_until <= now:
            raise UnknownPeer
        return await self._searches.files_of(peer, prefix, after, limit)

    async def counts_below(self, folder: str, now: float) -> dict[bytes, FolderCount]:
        """See Store."""
        return await self._searches.counts_below(folder, now)

    async def sweep(self, now: float, forget_before: float) -> bool:
        """See Store."""
        await self._end_leases(now)
        await self._forget(forget_before)
        more = await self._writer.write(lambda connection: sweep.drop_garbage(connection, self._mirror.by_no), _nothing)
        more = await self._writer.write(sweep.drop_loose, _nothing) or more
        if not more:
            await self._writer.write(sweep.drop_empty_peers, self._drop)
        return more

    async def close(self) -> None:
        """See Store."""
        await self._searches.close()
        await self._writer.close()
        self._reading.close()
        os.close(self._lock)

    async def _end_leases(self, now: float) -> None:
        """Note in the database which leases ended, so that a restart does not revive them."""
        ended = [
            (peer.peer_no, peer.member.lease.lease_id)
            for peer in self._mirror.by_no.values()
            if peer.member.lease is not None and peer.member.lease.expires <= now
        ]
        if not ended:
            return

        def write(connection: sqlite3.Connection) -> None:
            for peer_no, lease_id in ended:
                peers.save_end(connection, peer_no, lease_id, now)

        def mirror(_none: None) -> None:
            for peer_no, lease_id in ended:
                peer = self._mirror.by_no.get(peer_no)
                if peer is not None and peer.member.lease is not None and peer.member.lease.lease_id == lease_id:
                    peer.ended = now
                    peer.set_member(replace(peer.member, lease=None))

        await self._writer.write(write, mirror)

    async def _forget(self, before: float) -> None:
        old = [
            peer.peer_no
            for peer in self._mirror.by_no.values()
            if peer.member.lease is None and peer.ended is not None and peer.ended < before
        ]
        for peer_no in old:
            await self._writer.write(partial(peers.forget_index, peer_no=peer_no), self._mirror_without_lease)

    def _mirror_without_lease(self, row: PeerRow | None) -> None:
        if row is not None:
            self._mirror.put(row, None).ended = None

    def _drop(self, peer_nos: list[int]) -> None:
        for peer_no in peer_nos:
            self._mirror.drop(peer_no)


def _nothing(_result: object) -> None:
    """The mirror has nothing to learn from it."""
