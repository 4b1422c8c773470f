"""The contract of a store: what the locator remembers, in the verbs of its domain.

Every store keeps these promises (tests/central_server/test_store.py runs on each of them):

* What a verb returned has happened: a read begun afterwards sees it, from whichever caller.
* A peer is _in answers_ at `now` if its lease has not expired at `now` and it is reachable. The store checks that on
  every read, so an expired peer is in no answer even before `sweep` has run.
* Of one peer, register, announce and leave are called one after the other; everything else may be called at once.
* An index is soft state: a store may lose it (then peers have no lease and announce anew), never garble it.
* Any verb may raise StoreUnavailable (a full or broken disk); it has then changed nothing.
"""

from collections.abc import Sequence
from typing import Protocol

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
    Vitals,
)


class Store(Protocol):
    """Members, and the index of what they hold."""

    async def register(self, peer_id: bytes, said: Registration, lease: Lease, reachable: bool) -> Member:
        """Give the peer this lease, in place of any that it has, and remember what it says of itself.

        Durable. An index it announced before is kept, and is in answers again at once, unless `said` is behind it in
        the same epoch: then the index stays in answers, but its position is forgotten (epoch b"").
        """

    async def renew(self, peer_id: bytes, lease: Lease, vitals: Vitals) -> None:
        """Lengthen the peer's lease, if `lease` has its current lease id; else nothing happens.

        Need not be durable: a store that is opened again gives every lease it knows a new length.
        """

    async def leave(self, peer_id: bytes) -> None:
        """End the peer's lease and forget its index: both out of answers at once. An unknown peer: nothing to do."""

    async def announce(self, peer_id: bytes, batch: Announcement, max_files: int) -> Member:
        """Apply a batch that fits (announces.decide said APPLY), all of it or nothing; durable.

        A delta: each of `added` replaces what the peer had under that name; ends a snapshot in the making. Part 0 of
        a snapshot: drops an older snapshot in the making. A snapshot stays hidden until its end, which replaces the
        index in one step, however long it is. TooManyFiles: the peer would have more than `max_files`.
        """

    async def member(self, peer_id: bytes) -> Member | None:
        """The peer as last registered, renewed and announced; None: never heard of, or forgotten. Cheap."""

    async def members(self, now: float) -> list[Member]:
        """All that are in answers, in no order."""

    async def holders_of(self, queries: Sequence[Query], max_holders: int, now: float) -> list[list[FileGroup]]:
        """For each query the files it means, those with most holders first, at most 32.

        A name means each file that some peer shares under it; its group names all holders, under whatever name. A
        sha256 means files of which some peer checked it, and only those peers are holders. More holders than
        `max_holders`: a random choice. At most 8 names a group, most used first.
        """

    async def search(self, words: str, after: tuple[int, int], limit: int, now: float, seconds: float) -> SearchPage:
        """Files some name of which has, for each word, a word that begins with it; accents and case do not matter.

        Ordered by the first such name, in the order in which names were first seen; begins behind `after` ((0, 0):
        from the first). A file is on one page only, as long as the index does not change. At most 4 holders a group.
        Words without a letter or digit: InvalidRequest. Nothing found within `seconds`: SearchTooBroad; a shorter
        page may come back when time runs out.
        """

    async def files_of(self, peer_id: bytes, prefix: str, after: str, limit: int, now: float) -> list[Entry]:
        """The peer's files whose names begin with `prefix` and sort behind `after`, by name (code points).

        UnknownPeer: it is not in answers.
        """

    async def counts_below(self, folder: str, now: float) -> dict[bytes, FolderCount]:
        """For each peer in answers that has files below `folder` ("docs/"): how many, and their size."""

    async def sweep(self, now: float, forget_before: float) -> bool:
        """Free space in small bites: end expired leases, forget peers whose lease ended before `forget_before`, drop
        what no peer holds any more. Changes no answer. True: there is more to free, call again."""

    async def close(self) -> None:
        """Finish what was begun, and let go of everything. Nothing may be called afterwards."""
