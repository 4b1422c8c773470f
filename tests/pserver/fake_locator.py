"""A share's index and a locator in memory, with as much of the rules as a member notices.

test_membership.py plays the same story with the real ones, so that these cannot drift away from them.
"""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from pserver.model import Changes, FileEntry, NotFound, Peer, PServerError, Replaced
from pserver.remote.locator_messages import Batch, IndexState, Introduction, Lease, Pulse, Registration


def entry(name: str, content: int = 0) -> FileEntry:
    """A file of that name; another content is another file."""
    return FileEntry(name, content.to_bytes(32, "big"), 7, bytes(32), True)


class FakeIndex:
    """A share's index: put and drop files, and it tells what changed."""

    def __init__(self, *names: str) -> None:
        self.epoch = secrets.token_bytes(16)
        self.sequence = 0
        self.forgotten = 0  # changes up to here cannot be told any more
        self._entries: dict[str, tuple[int, FileEntry | None]] = {}  # None: removed
        self._told: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        for name in names:
            self.put(entry(name))

    def put(self, *entries: FileEntry) -> None:
        """Share these."""
        self._change({each.name: each for each in entries})

    def drop(self, *names: str) -> None:
        """Share these no more."""
        self._change(dict.fromkeys(names))

    def _change(self, changed: dict[str, FileEntry] | dict[str, None]) -> None:
        with self._lock:
            for name, one in changed.items():
                self.sequence += 1
                self._entries[name] = (self.sequence, one)
        for tell in self._told:
            tell()

    def changes_since(self, sequence: int, limit: int) -> Changes | None:
        """As the share."""
        with self._lock:
            if not self.forgotten <= sequence <= self.sequence:
                return None
            later = sorted((at, name, one) for name, (at, one) in self._entries.items() if at > sequence)[:limit]
            last = later[-1][0] if len(later) == limit else self.sequence
            return Changes(
                last,
                [one for _at, _name, one in later if one is not None],
                [name for _at, name, one in later if one is None],
            )

    def snapshot(self, after_name: str, limit: int) -> list[FileEntry]:
        """As the share."""
        with self._lock:
            there = [one for name, (_at, one) in sorted(self._entries.items()) if one is not None and name > after_name]
            return there[:limit]

    def new_epoch(self) -> None:
        """As the share."""
        self.epoch = secrets.token_bytes(16)

    def on_change(self, callback: Callable[[], None]) -> None:
        """As the share."""
        self._told.append(callback)


@dataclass
class FakeLocator:
    """A locator that knows one peer. `fails`: raised by the next calls, until it is None again."""

    address: str = "fake:1"
    lease_seconds: float = 30.0
    heartbeat_seconds: float = 10.0
    delay: float = 0.0
    reachable: bool = True
    why: str = ""  # it is not reachable; "": that nobody answers
    neighbours: tuple[Peer, ...] = ()
    fails: PServerError | None = None
    closed: bool = False
    lease_id: bytes = b""
    introduced: Introduction | None = None
    pulse: Pulse | None = None
    index: IndexState = field(default=IndexState(b"", 0))
    files: dict[str, FileEntry] = field(default_factory=dict)
    hidden: dict[str, FileEntry] | None = None
    batches: list[Batch] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    hangs: threading.Event | None = None  # a call waits for it, or for `close`
    accounts: bool = False
    orders_waiting: bool = False
    locator_id: bytes = b"\x10" * 32

    def register(self, introduction: Introduction, timeout: float) -> Registration:
        self._called("register")
        self.introduced, self.lease_id, self.hidden = introduction, secrets.token_bytes(16), None
        why = "" if self.reachable else self.why or f"nobody answers at {introduction.url}"
        lease = self._lease(introduction.epoch)
        return Registration(self.lease_id, lease, self.reachable, why, locator_id=self.locator_id)

    def heartbeat(self, pulse: Pulse, timeout: float) -> Lease:
        self._called("heartbeat")
        self._check(pulse.lease_id)
        self.pulse = pulse
        return self._lease(pulse.epoch)

    def announce(self, lease_id: bytes, batch: Batch, timeout: float) -> IndexState:
        self._called("announce")
        self._check(lease_id)
        self.batches.append(batch)
        if batch.part is not None:
            return self._take_part(batch)
        if batch.epoch != self.index.epoch or batch.previous_sequence > self.index.sequence:
            return self._wanted()
        if batch.previous_sequence == self.index.sequence:
            self.files |= {each.name: each for each in batch.added}
            self.files = {name: each for name, each in self.files.items() if name not in batch.removed}
            self.index = IndexState(batch.epoch, batch.sequence)
        return self.index

    def leave(self, lease_id: bytes, timeout: float) -> None:
        self._called("leave")
        self._check(lease_id)
        self.forget()

    def close(self) -> None:
        self.closed = True
        if self.hangs is not None:
            self.hangs.set()

    def forget(self) -> None:
        """Lose everything, like a locator whose store was lost."""
        self.lease_id, self.index, self.files, self.hidden = b"", IndexState(b"", 0), {}, None

    def _called(self, verb: str) -> None:
        self.calls.append(verb)
        if self.hangs is not None:
            self.hangs.wait(20)
        if self.fails is not None:
            raise self.fails

    def _check(self, lease_id: bytes) -> None:
        if not self.lease_id:
            raise NotFound("no such lease")
        if lease_id != self.lease_id:
            raise Replaced("another process took its place")

    def _lease(self, epoch: bytes) -> Lease:
        known = epoch == self.index.epoch or self.hidden is not None
        return Lease(
            self.lease_seconds,
            self.heartbeat_seconds,
            self.index if known else self._wanted(),
            self.neighbours,
            self.accounts,
            self.orders_waiting,
        )

    def _wanted(self) -> IndexState:
        return IndexState(self.index.epoch, self.index.sequence, True, self.delay)

    def _take_part(self, batch: Batch) -> IndexState:
        if batch.part == 0:
            self.hidden = {}
        if self.hidden is None:
            return self._wanted()
        self.hidden |= {each.name: each for each in batch.added}
        if batch.last:
            self.files, self.hidden = self.hidden, None
            self.index = IndexState(batch.epoch, batch.sequence)
        return self.index
