"""What all downloads of a peer have in common: its parts, its limits, and who is served how much of them."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pserver.disk.folder import Folder
from pserver.disk.share import Share
from pserver.exchange.asks import PlanLimits
from pserver.exchange.landing import Landing
from pserver.exchange.landing_group import GroupLanding
from pserver.exchange.proofs import Proofs
from pserver.exchange.quota import Quota
from pserver.exchange.serving import Serving
from pserver.exchange.tally import PieceTally
from pserver.exchange.throttle import Throttle
from pserver.exchange.transfers import Transfers
from pserver.exchange.workers import Buffers, Workers
from pserver.model import FileGroup, Peer
from pserver.remote.peers import PeerClient

FindHolders = Callable[[list[bytes]], dict[bytes, FileGroup]]
_LOOK_SECONDS = 0.2  # how soon somebody who waits notices that he is to stop


class Stopped(Exception):
    """The work was told to stop (paused, cancelled, or the peer is stopping)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`transfers` of the own person at once and `incoming` ones of others, `files` of one, `connections` of all.

    Bytes and seconds. Those that stand still do not count, up to `standing` times as many.

    `bundles`: how many of one transfer at once; one that takes longer than `bundle_seconds` is cut off, and what of it
    has come is kept. If it takes `slow_bundle_seconds`, others that have the files are looked for.

    `patience_seconds`: a file of which no piece came for so long fails (of an incoming one, so that strangers cannot
    take the slots for long, after `incoming_patience_seconds`); `lies_patience_seconds`: if all its sources
    lied. `look_again_seconds`: how soon sources are looked up again while nothing moves (doubled each time, up to
    `look_for_more_seconds`, which is also how often more sources are looked for while it does).
    `announce_seconds`: a file that takes longer is announced while it is being downloaded.
    `buffer_bytes` bounds what all downloads read into. `reserve_bytes` stay free on the disk. `rate`: bytes/s that all
    downloads together read pieces with; None for no bound.
    """

    transfers: int = 3
    incoming: int = 2
    standing: int = 8
    files: int = 8
    connections: int = 32
    bundles: int = 3
    bundle_seconds: float = 30.0
    slow_bundle_seconds: float = 1.0
    buffer_bytes: int = 96 << 20
    reserve_bytes: int = 256 << 20
    patience_seconds: float = 600.0
    incoming_patience_seconds: float = 120.0
    lies_patience_seconds: float = 10.0
    look_again_seconds: float = 5.0
    look_for_more_seconds: float = 15.0
    ban_seconds: float = 600.0
    silent_seconds: float = 30.0
    tick_seconds: float = 0.2
    announce_seconds: float = 1.0
    rate: int | None = None
    plan: PlanLimits = field(default_factory=PlanLimits)


class Bans:
    """Peers that something is held against, each for a while. Thread-safe."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def add(self, peer_id: str, now: float) -> None:
        """It is held against that peer from now on."""
        with self._lock:
            self._until = {one: until for one, until in self._until.items() if until > now}
            self._until[peer_id] = now + self._seconds

    def banned(self, peer_id: str, now: float) -> bool:
        """Whether it still is."""
        return self._until.get(peer_id, now) > now


class Claims:
    """One at a time for each file id: the same file is not fetched twice at once. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: set[bytes] = set()

    def held(self, file_id: bytes) -> bool:
        """Whether somebody has the claim now."""
        return file_id in self._held

    @contextmanager
    def hold(self, file_id: bytes, stopped: threading.Event) -> Iterator[None]:
        """Wait until nobody has the claim, then have it. Raises Stopped."""
        with self._changed:
            while file_id in self._held:
                if stopped.is_set():
                    raise Stopped
                self._changed.wait(_LOOK_SECONDS)
            self._held.add(file_id)
        try:
            yield
        finally:
            with self._changed:
                self._held.discard(file_id)
                self._changed.notify_all()

    @contextmanager
    def hold_free(self, file_ids: Iterable[bytes]) -> Iterator[set[bytes]]:
        """Have the claims of those that nobody has, without waiting: gives these."""
        with self._changed:
            taken = set(file_ids) - self._held
            self._held |= taken
        try:
            yield taken
        finally:
            with self._changed:
                self._held -= taken
                self._changed.notify_all()


class Shares:
    """How many connections each file that is being fetched may have, of all that there are. Thread-safe."""

    def __init__(self, connections: int, buffer_bytes: int) -> None:
        self._connections = connections
        self._buffer_bytes = buffer_bytes
        self._lock = threading.Lock()
        self._files = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """One more file is being fetched."""
        with self._lock:
            self._files += 1
        try:
            yield
        finally:
            with self._lock:
                self._files -= 1

    def fair(self, piece_bytes: int) -> int:
        """How many connections one file with such pieces may have now; at least 1."""
        all_of_them = min(self._connections, self._buffer_bytes // piece_bytes)
        return max(1, all_of_them // max(self._files, 1))


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts that all downloads use. `clock`: seconds that never go back. `wall`: Unix seconds.

    `bans`: peers that lied, which are not asked for any file. `silent`: peers that could not be reached, which are
    asked after the others: else each of many small files would wait for the same dead peer. `own`: where others reach
    this peer, which it tells those that fetch the same file; None: it keeps that to itself.
    """

    folder: Folder
    share: Share
    transfers: Transfers
    landing: Landing
    group_landing: GroupLanding
    peers: PeerClient
    find_holders: FindHolders
    limits: Limits
    workers: Workers
    buffers: Buffers
    bans: Bans
    silent: Bans
    claims: Claims
    shares: Shares
    throttle: Throttle
    clock: Callable[[], float]
    wall: Callable[[], float]
    own: Callable[[], Peer] | None
    quota: Quota
    proofs: Proofs
    serving: Serving
    tally: PieceTally
