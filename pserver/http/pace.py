"""An upload rate, kept by the server itself: a bucket that all connections draw from, in turns.

Rules:

- What is sent is counted, whatever it is. What waits for its turn is files and large answers: a small answer, and the
  headers of a large one, go at once, and the others wait the longer for it.
- The connections that wait stand in a row. Each time that there is enough for some, the first of them get equal parts
  and go to its end, so in the long run all get the same, whatever they ask for and however often.
- A part that a slow reader does not take stays in the bucket, for the others.

The kernel could pace each socket (SO_MAX_PACING_RATE), but not their sum: it leaves the beginning of each connection
unpaced (ten segments, 640 KB on loopback), and what one connection does not use it gives to no other. Counts the
bytes of HTTP, not what TCP and IP add.
"""

import math
import sys
import threading

from pserver.bucket import Bucket

# What goes at once, whatever the rate: headers, and answers as small as them.
UNPACED_BYTES = 16 * 1024
# To give one connection less than this at a time would cost more than it smooths.
LEAST_PART_BYTES = 4096
# How soon others get their turn while those whose turn it is do not take their parts.
_NEXT_TURN_SECONDS = 0.01


class Pace:
    """Who may send how much so that `rate` (bytes/s; None: no bound, and nothing is done) holds.

    `who` is a connection, by its identity. `now` is monotonic seconds. Thread-safe.
    """

    def __init__(self, rate: int | None) -> None:
        self._bucket = None if rate is None else Bucket(rate)
        self._row: dict[object, int] = {}  # in the order of their turns; what each may send of the part it got
        self._lock = threading.Lock()

    def part(self, who: object) -> int:
        """How many bytes `who` may send now; 0 means that its turn will come (see `deal`)."""
        if self._bucket is None:
            return sys.maxsize
        with self._lock:
            return self._row.setdefault(who, 0)

    def sent(self, who: object, count: int, now: float) -> None:
        """`who` sent so many bytes."""
        if self._bucket is not None:
            with self._lock:
                self._bucket.take(count, now)
                if who in self._row:
                    self._row[who] = max(0, self._row[who] - count)

    def leave(self, who: object) -> None:
        """`who` has nothing more to send."""
        if self._bucket is not None:
            with self._lock:
                self._row.pop(who, None)

    def deal(self, now: float) -> float:
        """Give out what there is; in how many seconds there will be more to give (inf: nobody waits for it)."""
        if self._bucket is None:
            return math.inf
        with self._lock:
            if not self._row:
                return math.inf
            wait = self._bucket.seconds_until(self._bucket.turn_bytes, now)
            return wait or self._give(self._bucket.level(now))

    def _give(self, count: int) -> float:
        turns = min(len(self._row), max(1, count // LEAST_PART_BYTES))
        first, others = list(self._row)[:turns], list(self._row)[turns:]
        self._row = dict.fromkeys(others, 0) | dict.fromkeys(first, max(1, count // turns))
        return _NEXT_TURN_SECONDS if others else math.inf
