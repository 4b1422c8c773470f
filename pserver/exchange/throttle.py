"""A download rate that all downloads of a peer share: who reads from the network asks here first, and waits.

Not reading is all that it takes: the buffers of the connection fill, and TCP makes the other side wait.

Who asks gets a hundredth of a second's worth at a time. Downloads get their turns one after another, and of each its
connections one after another: so one with few connections gets as much as one with many.
"""

import math
import threading
from collections import deque
from collections.abc import Callable

from pserver.bucket import Bucket

_LOOK_SECONDS = 0.5  # how often somebody who waits says so
# Connections that get less than this look stalled, to both sides.
LEAST_CONNECTION_RATE = 16 << 10


class Throttle:
    """`rate` in bytes a second; None: nobody waits. `clock`: seconds that never go back. Thread-safe."""

    def __init__(self, rate: int | None, clock: Callable[[], float]) -> None:
        self.rate = rate
        self._bucket = None if rate is None else Bucket(rate)
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: dict[object, deque[threading.Event]] = {}  # of downloads, in the order of their turns

    def connections(self, most: int) -> int:
        """How many connections, of at most `most`, this rate is enough for; at least 1."""
        return most if self.rate is None else max(1, min(most, self.rate // LEAST_CONNECTION_RATE))

    def take(self, download: object, most: int, on_wait: Callable[[float], None]) -> int:
        """Wait until some of `most` ≥ 1 bytes may be read for `download`; how many.

        `on_wait` is told, in parts, how many seconds that took, each time within half a second; what it raises ends
        the wait.
        """
        if self._bucket is None:
            return most
        ticket, wanted = threading.Event(), min(most, self._bucket.turn_bytes)
        with self._lock:
            self._rows.setdefault(download, deque()).append(ticket)
        try:
            self._wait(self._bucket, download, ticket, wanted, on_wait)
        finally:
            self._leave(download, ticket)
        return wanted

    def _wait(
        self, bucket: Bucket, download: object, ticket: threading.Event, wanted: int, on_wait: Callable[[float], None]
    ) -> None:
        """Until it is this one's turn, and there is enough: it is taken then."""
        while True:
            with self._lock:
                now = self._clock()
                seconds = bucket.seconds_until(wanted, now) if self._first() is ticket else math.inf
                if not seconds:
                    bucket.take(wanted, now)
                    self._rows[download] = self._rows.pop(download)  # the others are before it now
                    return
            ticket.wait(min(seconds, _LOOK_SECONDS))  # set as its turn comes; then it waits for the bucket
            ticket.clear()
            on_wait(self._clock() - now)

    def _first(self) -> threading.Event | None:
        return next((row[0] for row in self._rows.values()), None)

    def _leave(self, download: object, ticket: threading.Event) -> None:
        with self._lock:
            row = self._rows[download]
            row.remove(ticket)
            if not row:
                del self._rows[download]
            first = self._first()
            if first is not None:
                first.set()
