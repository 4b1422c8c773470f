"""A store in dictionaries, as plain as can be: what the rules' tests use, and what the contract means."""

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from central_server.model import (
    Announcement,
    Entry,
    FileGroup,
    FolderCount,
    Hidden,
    Holder,
    Index,
    InvalidRequest,
    Lease,
    Member,
    Peer,
    Query,
    Registration,
    SearchPage,
    TooManyFiles,
    UnknownPeer,
    Vitals,
)

Files = dict[str, Entry]


@dataclass
class _Kept:
    member: Member
    files: Files = field(default_factory=dict)
    hidden: Files = field(default_factory=dict)
    ended: float | None = None


class MemoryStore:
    """Keeps the promises of central_server.store.Store but durability."""

    def __init__(self) -> None:
        self._kept: dict[bytes, _Kept] = {}
        self._numbers: dict[str, int] = {}  # names in the order in which they were first seen

    async def register(self, peer_id: bytes, said: Registration, lease: Lease, reachable: bool) -> Member:
        peer = Peer(peer_id, said.name, said.url)
        kept = self._kept.get(peer_id)
        index = Index() if kept is None else kept.member.index
        if index.epoch == said.epoch and said.sequence < index.sequence:
            index = replace(index, epoch=b"", sequence=0)
        member = Member(peer, said.version, said.free_bytes, said.accepts_uploads, reachable, lease, index)
        if kept is None:
            self._kept[peer_id] = _Kept(member)
        else:
            kept.member, kept.ended = member, None
        return member

    async def renew(self, peer_id: bytes, lease: Lease, vitals: Vitals) -> None:
        kept = self._kept.get(peer_id)
        if kept is not None and kept.member.lease is not None and kept.member.lease.lease_id == lease.lease_id:
            free, accepts = vitals.free_bytes, vitals.accepts_uploads
            kept.member = replace(kept.member, lease=lease, free_bytes=free, accepts_uploads=accepts)

    async def leave(self, peer_id: bytes) -> None:
        self._kept.pop(peer_id, None)

    async def announce(self, peer_id: bytes, batch: Announcement, max_files: int) -> Member:
        kept = self._kept[peer_id]
        added = {entry.name: entry for entry in batch.added}
        if batch.snapshot_part is None:
            files = {name: entry for name, entry in kept.files.items() if name not in batch.removed} | added
            index = Index(batch.epoch, batch.sequence)
            hidden: Files = {}
        else:
            hidden = ({} if batch.snapshot_part == 0 else kept.hidden) | added
            files, index = kept.files, kept.member.index
            parts = Hidden(batch.epoch, batch.sequence, batch.snapshot_part + 1)
            index = replace(index, hidden=parts)
            if batch.snapshot_end:
                files, hidden, index = hidden, {}, Index(batch.epoch, batch.sequence)
        if max(len(files), len(hidden)) > max_files:
            raise TooManyFiles(limit=max_files)
        for name in added:
            self._numbers.setdefault(name, len(self._numbers) + 1)
        kept.files, kept.hidden = files, hidden
        index = replace(index, files=len(files), size=sum(entry.size for entry in files.values()))
        kept.member = replace(kept.member, index=index)
        return kept.member

    async def member(self, peer_id: bytes) -> Member | None:
        kept = self._kept.get(peer_id)
        return None if kept is None else kept.member

    async def members(self, now: float) -> list[Member]:
        return [kept.member for kept in self._shown(now)]

    async def holders_of(self, queries: Sequence[Query], max_holders: int, now: float) -> list[list[FileGroup]]:
        return [self._answer(query, max_holders, now) for query in queries]

    async def search(self, words: str, after: tuple[int, int], limit: int, now: float, seconds: float) -> SearchPage:
        asked = _words(words)
        if not asked:
            raise InvalidRequest(why="no words")
        first: dict[tuple[bytes, int, bytes], int] = {}
        for kept in self._shown(now):
            for entry in kept.files.values():
                if all(any(word.startswith(each) for word in _words(entry.name)) for each in asked):
                    number = self._numbers[entry.name]
                    first[entry[1:4]] = min(number, first.get(entry[1:4], number))
        found = sorted((number, file) for file, number in first.items())
        groups = [self._group(file, 4, now) for _, file in found[after[0] :]]
        end = after[0] + limit
        return SearchPage(groups[:limit], (end, 0) if len(found) > end else None)

    async def files_of(self, peer_id: bytes, prefix: str, after: str, limit: int, now: float) -> list[Entry]:
        kept = self._kept.get(peer_id)
        if kept is None or kept not in list(self._shown(now)):
            raise UnknownPeer
        names = sorted(name for name in kept.files if name.startswith(prefix) and name > after)
        return [kept.files[name] for name in names[:limit]]

    async def counts_below(self, folder: str, now: float) -> dict[bytes, FolderCount]:
        counted = {}
        for kept in self._shown(now):
            sizes = [entry.size for entry in kept.files.values() if entry.name.startswith(folder)]
            if sizes:
                counted[kept.member.peer.peer_id] = FolderCount(len(sizes), sum(sizes))
        return counted

    async def sweep(self, now: float, forget_before: float) -> bool:
        for peer_id, kept in list(self._kept.items()):
            if kept.member.lease is not None and not kept.member.alive(now):
                kept.member, kept.ended = replace(kept.member, lease=None), now
            if kept.ended is not None and kept.ended < forget_before:
                del self._kept[peer_id]
        return False

    async def close(self) -> None:
        self._kept.clear()

    def _shown(self, now: float) -> Iterator[_Kept]:
        return (kept for kept in self._kept.values() if kept.member.reachable and kept.member.alive(now))

    def _answer(self, query: Query, max_holders: int, now: float) -> list[FileGroup]:
        files = dict.fromkeys(
            entry[1:4]
            for kept in self._shown(now)
            for entry in kept.files.values()
            if getattr(entry, query.by) == query.value and (query.by != "sha256" or entry.sha256_checked)
        )
        groups = [self._group(file, max_holders, now, query) for file in files]
        return sorted(groups, key=lambda group: -group.holder_count)[:32]

    def _group(self, file: tuple[bytes, int, bytes], most: int, now: float, query: Query | None = None) -> FileGroup:
        names: Counter[str] = Counter()
        holders: dict[bytes, Holder] = {}
        for kept in self._shown(now):
            peer = kept.member.peer
            for entry in kept.files.values():
                if entry[1:4] != file or (query and query.by == "sha256" and not entry.sha256_checked):
                    continue
                names[entry.name] += 1
                if peer.peer_id not in holders or (query and entry.name == query.value):
                    holders[peer.peer_id] = Holder(peer, entry.name, entry.sha256_checked, entry.partial)
        chosen = list(holders.values())
        random.shuffle(chosen)
        common = tuple(name for name, _ in names.most_common(8))
        return FileGroup(*file, common, tuple(chosen[:most]), len(holders))


def _words(text: str) -> list[str]:
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return [word for word in re.split(r"[\W_]+", plain.casefold()) if word]
