"""The real rules, on SQLite or on the memory fake, with the words of the membership model. No tests here."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from central_server.answers import IndexState
from central_server.locator import Locator, Terms
from central_server.model import Announcement, Entry, Lease, LocatorError, Query, Registration, Vitals
from central_server.store import Store
from central_server.store_sqlite import SQLiteStore
from tests.abuse.membership_model import GRACE, LEASE, NOWHERE, Files, Message, Place, Reply
from tests.central_server.memory_store import MemoryStore
from tests.central_server.samples import digest, entry, epoch, peer_id


class RestartableMemory(MemoryStore):
    """Keeps what it has over a restart, as a store on a disk does."""

    def reopen(self, revived_until: float) -> None:
        """Leases that it knows last until then."""
        for kept in self._kept.values():
            if kept.member.lease is not None:
                lease = Lease(kept.member.lease.lease_id, revived_until, revived_until)
                kept.member = replace(kept.member, lease=lease)


async def dial_back(peer_id: bytes, url: str) -> str | None:
    """Everybody can be reached but those whose URL says not."""
    return "nobody answers" if "dark" in url else None


class Real:
    """One locator. `path`: of its SQLite store; None: the memory fake."""

    def __init__(self, runner: asyncio.Runner, path: Path | None, now: float) -> None:
        self._runner, self._path = runner, path
        self._leases: dict[bytes, int] = {}
        self._ids: dict[int, bytes] = {}
        self._places: dict[bytes, str] = {b"": ""}
        self._entries: dict[Entry, tuple[str, str]] = {}
        self._store: Store = RestartableMemory()
        self.start(now)

    def start(self, now: float) -> None:
        """Start, or start again, with its store."""
        self._runner.run(self._start(now))

    def close(self) -> None:
        """Close its store."""
        self._runner.run(self._store.close())

    def lose_store(self, now: float) -> None:
        """Start again with nothing."""
        self.close()
        if self._path is None:
            self._store = RestartableMemory()
        else:
            for path in self._path.parent.glob(f"{self._path.name}*"):
                path.unlink()
        self._runner.run(self._start(now, closed=True))

    def tick(self, now: float) -> None:
        """One round of the sweeper."""
        self._runner.run(self._locator.tick(now))

    def hear(self, message: Message, now: float, lease: int | None) -> Reply:
        """Take in a message. `lease`: the number of the lease that a register should get."""
        return self._runner.run(self._hear(message, now, lease))

    def in_answers(self, now: float, names: list[str]) -> dict[str, Files]:
        """Who is in answers, and with what; checks that Locate says the same as ListFiles."""
        return self._runner.run(self._in_answers(now, names))

    async def _start(self, now: float, closed: bool = False) -> None:
        if isinstance(self._store, RestartableMemory) and self._path is None:
            self._store.reopen(now + GRACE)
        elif self._path is not None:
            if not closed:
                await self._store.close()
            self._store = SQLiteStore(self._path, revived_until=now + GRACE)
        self._locator = Locator(self._store, dial_back, Terms(LEASE, GRACE, 1000), now)

    async def _hear(self, message: Message, now: float, lease: int | None) -> Reply:
        peer, lease_id = peer_id(message.peer), self._ids.get(message.lease, digest("no lease")[:16])
        at = self._at(message.at)
        try:
            if message.kind == "register":
                said = Registration(message.peer, message.url, "1", 0, False, *at)
                done = await self._locator.register(peer, said, now)
                return self._reply(done.state, self._numbered(done.lease_id, lease))
            if message.kind == "leave":
                await self._locator.leave(peer, lease_id, now)
                return Reply()
            if message.kind == "beat":
                alive = await self._locator.heartbeat(peer, lease_id, Vitals(0, False, *at), now)
                return self._reply(alive.state, message.lease)
            state = await self._locator.announce(peer, lease_id, self._batch(message, at), now)
            return self._reply(state, message.lease)
        except LocatorError as error:
            return Reply(error=error.code)

    async def _in_answers(self, now: float, names: list[str]) -> dict[str, Files]:
        page = await self._locator.list_peers("", "", ("", b""), 100, now)
        found: dict[str, Files] = {}
        for member, files, _ in page.members:
            listed = await self._locator.list_files(member.peer.peer_id, "", "", 100, now)
            found[member.peer.name] = dict(self._entries[each] for each in listed.entries)
            assert files == len(listed.entries)
        located = await self._locator.locate([Query("name", name) for name in names], 16, now)
        holders = {
            (name, holder.peer.name)
            for name, groups in zip(names, located, strict=True)
            for group in groups
            for holder in group.holders
            if holder.name == name
        }
        assert holders == {(name, peer) for peer, files in found.items() for name in files}
        return found

    def _batch(self, message: Message, at: tuple[bytes, int]) -> Announcement:
        added = [self._entry(name, content) for name, content in message.added]
        if message.kind == "part":
            return Announcement(*(at[0], 0, at[1]), added, [], message.part, message.last)
        return Announcement(at[0], message.previous, at[1], added, list(message.removed))

    def _entry(self, name: str, content: str) -> Entry:
        made = entry(name, content)
        self._entries[made] = (name, content)
        return made

    def _at(self, place: Place) -> tuple[bytes, int]:
        raw = epoch(place[0])
        self._places[raw] = place[0]
        return raw, place[1]

    def _reply(self, state: IndexState, lease: int | None) -> Reply:
        place = (self._places[state.epoch], state.sequence) if state.epoch else NOWHERE
        return Reply(place, lease, state.wanted_in is not None)

    def _numbered(self, lease_id: bytes, expected: int | None) -> int | None:
        """The number of a lease: a new id gets the number that was expected for it."""
        if lease_id not in self._leases and expected is not None and expected not in self._ids:
            self._leases[lease_id], self._ids[expected] = expected, lease_id
        with suppress(KeyError):
            return self._leases[lease_id]
        return None
