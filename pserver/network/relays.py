"""What keeps relaying from doing harm: a bounded pool, in which no peer gets more than its part, and query ids that
are remembered so that loops die. Thread-safe; no I/O."""

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from pserver.model import Unavailable

MAX_RELAYS = 8  # fewer than the threads of the peer API, so that files, manifests and pings are always answered
MAX_RELAYS_A_PEER = 4
REMEMBERED_QUERIES = 4096
REMEMBERED_SECONDS = 30.0  # longer than any lookup lives


class RelayPool:
    """At most `most` relays at a time, and `most_a_peer` of one peer; who comes beyond that is sent away at once."""

    def __init__(self, most: int = MAX_RELAYS, most_a_peer: int = MAX_RELAYS_A_PEER) -> None:
        self._most = most
        self._most_a_peer = most_a_peer
        self._running: Counter[str] = Counter()
        self._refused = 0
        self._lock = threading.Lock()

    @contextmanager
    def place(self, asker: str) -> Iterator[None]:
        """A place in the pool for the time of the block; Unavailable if there is none for this peer."""
        with self._lock:
            if self._running.total() >= self._most or self._running[asker] >= self._most_a_peer:
                self._refused += 1
                raise Unavailable("this peer relays too many lookups already; try again, or ask another one")
            self._running[asker] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[asker] -= 1
                if not self._running[asker]:
                    del self._running[asker]

    def counts(self) -> tuple[int, int]:
        """How many relays run, and how many were sent away so far."""
        with self._lock:
            return self._running.total(), self._refused


class QueryIds:
    """The lookups that came by lately, and with how many hops left.

    One that comes again has gone in a circle, unless it has more hops left than before: then it came by a shorter
    way, and may get further.
    """

    def __init__(self, most: int = REMEMBERED_QUERIES, seconds: float = REMEMBERED_SECONDS) -> None:
        self._most = most
        self._seconds = seconds
        self._seen: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def is_new(self, query_id: str, hops: int, now: float) -> bool:
        """Whether to answer this one; it is remembered from now on."""
        with self._lock:
            self._forget_old(now)
            before = self._seen.get(query_id)
            if before is not None and before[0] >= hops:
                return False
            self._seen[query_id] = (hops, now + self._seconds)
            self._seen.move_to_end(query_id)
            return True

    def _forget_old(self, now: float) -> None:
        while self._seen:
            oldest = next(iter(self._seen))
            if len(self._seen) < self._most and self._seen[oldest][1] > now:
                return
            del self._seen[oldest]
