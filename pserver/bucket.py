"""A token bucket: how many bytes may go now so that a rate holds. Pure: the time is an argument.

Over any time, at most the rate times that time goes, and the bucket's size on top (a tenth of a second's worth, and a
byte: what a pause or a late thread leaves over). Whoever always wants more gets the rate, as long as it asks at least
every tenth of a second.
"""

BURST_SECONDS = 0.1
_TURN_SECONDS = 0.01  # what is worth waiting for: less would cost more turns than it smooths
_LEAST_TURN_BYTES = 4096


class Bucket:
    """`rate` ≥ 1 in bytes a second; `now` is seconds of any clock that never goes back. Empty at first."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._size = rate * BURST_SECONDS + 1.0  # the part of a byte that is always left over must fit too
        self._level = 0.0
        self._at: float | None = None

    @property
    def turn_bytes(self) -> int:
        """How much to wait for before going on: at least 1, and no more than half of what the bucket holds."""
        return max(1, int(min(max(self.rate * _TURN_SECONDS, _LEAST_TURN_BYTES), self._size / 2)))

    def level(self, now: float) -> int:
        """How many bytes may go; below 0 after more went than might."""
        if self._at is not None and now > self._at:
            self._level = min(self._level + (now - self._at) * self.rate, self._size)
        self._at = now if self._at is None else max(self._at, now)
        return int(self._level // 1)

    def take(self, count: int, now: float) -> None:
        """So many bytes go, or went. What the bucket does not have it owes."""
        self.level(now)
        self._level -= count

    def seconds_until(self, count: int, now: float) -> float:
        """When it will have so many bytes, if nobody takes any: 0.0 if it has. For a `count` that fits into it."""
        return max(0.0, (min(count, self._size) - self._level) / self.rate) if self.level(now) < count else 0.0
