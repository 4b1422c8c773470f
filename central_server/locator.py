"""The rules: who is a member, when a batch of an index fits, what an answer holds.

No transport, no database, no clock: `now` is an argument, in seconds, and must not go back. What the rules remember
beyond the store (the ring, the spread of resyncs) can be lost at any time.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from weakref import WeakValueDictionary

from central_server import limits
from central_server.announces import decide
from central_server.answers import Alive, FilePage, IndexState, MemberPage, Registered, Tally
from central_server.model import (
    Announcement,
    FileGroup,
    Index,
    InvalidRequest,
    Lease,
    LeaseTaken,
    Member,
    Peer,
    Query,
    Registration,
    SearchPage,
    UnknownLease,
    Verdict,
    Vitals,
)
from central_server.resyncs import Resyncs
from central_server.ring import NEIGHBOURS, Ring
from central_server.store import Store

DEFAULT_HOLDERS = 16
KEEP_SECONDS = 600.0  # a machine that slept this long comes back without announcing anew
# Says why nobody can reach that peer at that URL, or None; raises InvalidRequest (no URL) and AddressNotAllowed.
Dialback = Callable[[bytes, str], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Terms:
    """How long things last, in seconds, and how much a peer may have."""

    lease: float
    grace: float
    max_files: int

    @property
    def heartbeat(self) -> float:
        """Three in a lease, so that two may get lost."""
        return self.lease / 3


class Locator:
    """The rules of one locator that started at `started`."""

    def __init__(self, store: Store, dialback: Dialback, terms: Terms, started: float) -> None:
        self.terms = terms
        self._store = store
        self._dialback = dialback
        self._grace_ends = started + terms.grace
        self._resyncs = Resyncs(started, terms.heartbeat)
        self._ring = Ring()
        self.tally = Tally()
        self._locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def register(self, peer_id: bytes, said: Registration, now: float) -> Registered:
        """Make the peer a member. From another address than before, it takes the lease over."""
        limits.check_registration(said)
        why = await self._dialback(peer_id, said.url)
        self.tally.registrations += 1
        self.tally.unreachable += why is not None
        async with self._lock(peer_id):
            known = await self._store.member(peer_id)
            lease = self._lease(_kept_lease_id(known, said.url, now), now)
            member = await self._store.register(peer_id, said, lease, why is None)
        (self._ring.add if why is None else self._ring.discard)(peer_id)
        state = self._state(peer_id, member.index, said.epoch, now)
        return Registered(lease.lease_id, state, await self._neighbours(peer_id, now), why)

    async def heartbeat(self, peer_id: bytes, lease_id: bytes, vitals: Vitals, now: float) -> Alive:
        """Renew the lease. UnknownLease, LeaseTaken."""
        limits.check_epoch(vitals.epoch, may_be_empty=True)
        limits.check_number(vitals.free_bytes, limits.MAX_NUMBER, "the free space")
        member = await self._holding(peer_id, lease_id, now)
        await self._store.renew(peer_id, self._lease(lease_id, now), vitals)
        state = self._state(peer_id, member.index, vitals.epoch, now)
        return Alive(state, await self._neighbours(peer_id, now))

    async def announce(self, peer_id: bytes, lease_id: bytes, batch: Announcement, now: float) -> IndexState:
        """Apply the batch if it fits. UnknownLease, LeaseTaken, TooManyFiles."""
        await limits.check_announcement(batch)
        # A caller that goes away must not leave a batch half way between the decision and the store.
        return await asyncio.shield(self._announce(peer_id, lease_id, _without_doubles(batch), now))

    async def leave(self, peer_id: bytes, lease_id: bytes, now: float) -> None:
        """End the lease at once, forget the index. UnknownLease, LeaseTaken."""
        async with self._lock(peer_id):
            await self._holding(peer_id, lease_id, now)
            await self._store.leave(peer_id)
        self._ring.discard(peer_id)
        self._resyncs.forget(peer_id)

    async def locate(self, queries: Sequence[Query], max_holders: int, now: float) -> list[list[FileGroup]]:
        """Who holds these, one answer a query."""
        limits.check_queries(queries)
        wanted = min(max_holders, limits.MAX_HOLDERS) or DEFAULT_HOLDERS
        return await self._store.holders_of(queries, wanted, now)

    async def search(self, words: str, after: tuple[int, int], size: int, now: float, seconds: float) -> SearchPage:
        """Files whose names match all words, within `seconds`. SearchTooBroad."""
        if not words or len(words) > limits.MAX_WORDS_CHARACTERS:
            raise InvalidRequest(why=f"a search has 1 to {limits.MAX_WORDS_CHARACTERS} characters")
        return await self._store.search(words, after, limits.page_size(size, 25, 100), now, seconds)

    async def list_peers(self, match: str, folder: str, after: tuple[str, bytes], size: int, now: float) -> MemberPage:
        """The peers in answers, by name and id, behind `after`."""
        members = [member for member in await self._store.members(now) if _matches(member.peer, match)]
        counted = await self._counted(members, folder, now)
        counted = sorted((each for each in counted if _place(each[0]) > after), key=lambda each: _place(each[0]))
        limit = limits.page_size(size, 100, 500)
        more = len(counted) > limit
        return MemberPage(counted[:limit], _place(counted[limit - 1][0]) if more else None)

    async def list_files(self, peer_id: bytes, prefix: str, after: str, size: int, now: float) -> FilePage:
        """The peer's files by name, behind `after`. UnknownPeer."""
        limits.check_id(peer_id, "the peer id")
        limits.check_beginning(prefix)
        limit = limits.page_size(size, 500, 2000)
        entries = await self._store.files_of(peer_id, prefix, after, limit + 1, now)
        return FilePage(entries[:limit], entries[limit - 1].name if len(entries) > limit else None)

    async def place_upload(
        self, asker: bytes, file_id: bytes, size: int, count: int, *, exclude: Sequence[bytes], now: float
    ) -> list[Peer]:
        """Up to `count` peers to hold the file, those with most room first; never the asker."""
        limits.check_count(exclude, limits.MAX_EXCLUDED, "excluded peers")
        if not 1 <= count <= limits.MAX_TARGETS:
            raise InvalidRequest(why=f"a file can be placed on 1 to {limits.MAX_TARGETS} peers at a time")
        unwanted = {asker, *(limits.check_id(each, "a peer id") for each in exclude)}
        query = Query("file_id", limits.check_id(file_id, "the file id"))
        [groups] = await self._store.holders_of([query], max_holders=limits.MAX_NUMBER, now=now)
        unwanted.update(holder.peer.peer_id for group in groups for holder in group.holders)
        willing = [
            member
            for member in await self._store.members(now)
            if member.accepts_uploads and member.free_bytes >= size and member.peer.peer_id not in unwanted
        ]
        willing.sort(key=lambda member: (-member.free_bytes, secrets.token_bytes(4)))
        return [member.peer for member in willing[:count]]

    async def tick(self, now: float) -> bool:
        """Free space, and follow who is a member. Changes no answer. True: call again soon."""
        self._resyncs.drop_old(now)
        more = await self._store.sweep(now, now - KEEP_SECONDS)
        members = await self._store.members(now)
        self._ring = Ring(member.peer.peer_id for member in members)
        self._count(members)
        return more

    def _count(self, members: Sequence[Member]) -> None:
        self.tally.members = len(members)
        self.tally.files = sum(member.index.files for member in members)
        self.tally.share_bytes = sum(member.index.size for member in members)
        self.tally.resyncs = self._resyncs.asked

    async def _announce(self, peer_id: bytes, lease_id: bytes, batch: Announcement, now: float) -> IndexState:
        async with self._lock(peer_id):
            member = await self._holding(peer_id, lease_id, now)
            verdict = decide(member.index, batch)
            if verdict is Verdict.APPLY:
                member = await self._store.announce(peer_id, batch, self.terms.max_files)
        index = member.index
        if verdict is Verdict.ASK:
            return IndexState(index.epoch, index.sequence, self._resyncs.ask(peer_id, now))
        if index.hidden is None:
            self._resyncs.forget(peer_id)
        else:
            self._resyncs.came(peer_id, now)
        return IndexState(index.epoch, index.sequence, None)

    async def _holding(self, peer_id: bytes, lease_id: bytes, now: float) -> Member:
        """The member, if that is its lease and alive."""
        limits.check_id(lease_id, "the lease id", limits.SHORT_ID_BYTES)
        member = await self._store.member(peer_id)
        if member is None or member.lease is None or not member.alive(now):
            raise UnknownLease
        if member.lease.lease_id != lease_id:
            raise LeaseTaken(address=member.peer.url)
        return member

    async def _neighbours(self, peer_id: bytes, now: float) -> list[Peer]:
        found: list[Peer] = []
        for other in self._ring.after(peer_id):
            member = await self._store.member(other)
            if member is not None and member.reachable and member.alive(now):
                found.append(member.peer)
            else:
                self._ring.discard(other)
            if len(found) == NEIGHBOURS:
                break
        return found

    async def _counted(self, members: list[Member], folder: str, now: float) -> list[tuple[Member, int, int]]:
        if not folder:
            return [(member, member.index.files, member.index.size) for member in members]
        counts = await self._store.counts_below(limits.check_folder(folder), now)
        return [(each, *counts[each.peer.peer_id]) for each in members if each.peer.peer_id in counts]

    def _state(self, peer_id: bytes, index: Index, epoch: bytes, now: float) -> IndexState:
        """Where the locator is, for a peer whose index is in `epoch` (b"": it has none yet)."""
        wanted = bool(epoch) and epoch != index.epoch and not self._resyncs.underway(peer_id, now)
        return IndexState(index.epoch, index.sequence, self._resyncs.ask(peer_id, now) if wanted else None)

    def _lease(self, lease_id: bytes, now: float) -> Lease:
        return Lease(lease_id, renewed=now, expires=max(now + self.terms.lease, self._grace_ends))

    def _lock(self, peer_id: bytes) -> asyncio.Lock:
        return self._locks.setdefault(peer_id, asyncio.Lock())


def _kept_lease_id(known: Member | None, url: str, now: float) -> bytes:
    """The id of the lease of a peer that registers from `url`.

    A peer that registers again from the same address (its reply was lost, it was unreachable, it restarted) keeps
    its lease: two processes cannot listen at one address, so nobody is displaced.
    """
    if known is not None and known.lease is not None and known.alive(now) and known.peer.url == url:
        return known.lease.lease_id
    return secrets.token_bytes(limits.SHORT_ID_BYTES)


def _without_doubles(batch: Announcement) -> Announcement:
    """Each name once: the last of `added` counts, and what is added is not removed."""
    added = {entry.name: entry for entry in batch.added}
    removed = [name for name in dict.fromkeys(batch.removed) if name not in added]
    if len(added) == len(batch.added) and len(removed) == len(batch.removed):
        return batch
    return replace(batch, added=list(added.values()), removed=removed)


def _matches(peer: Peer, match: str) -> bool:
    """Whether `match` is "", the peer's name, or at least 8 hex digits of the beginning of its id."""
    return not match or match == peer.name or (len(match) >= 8 and peer.peer_id.hex().startswith(match.lower()))


def _place(member: Member) -> tuple[str, bytes]:
    return member.peer.name, member.peer.peer_id
