"""The links of a simulated swarm: what is on its way over them, and what arrives by when.

Each member's link is as fast up as down. What a member sends at a time is shared evenly by those it sends to; no one
receives faster than its link; what a member cannot send to one whose link is full goes to the others that it sends to.
Time goes in steps, but no part of a link is lost at their ends. All is kept in arrays: ten thousand sendings at once
are nothing special.
"""

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Amounts = npt.NDArray[np.float64]
_ROUNDS = 3  # of sharing: what is left over after these is a few in a hundred
_LITTLE = 1e-9
_FIRST_PLACES = 64


class Links:
    """Of `members` (numbered from 0) with `rate` bytes a second each."""

    def __init__(self, members: int, rate: float) -> None:
        self._members, self._rate = members, rate
        self._server = np.zeros(_FIRST_PLACES, dtype=np.int64)
        self._asker = np.zeros(_FIRST_PLACES, dtype=np.int64)
        self._left = np.zeros(_FIRST_PLACES)  # bytes
        self._begins = np.full(_FIRST_PLACES, np.inf)  # seconds; inf: the place is free
        self._free = list(range(_FIRST_PLACES))
        self._up, self._down = np.zeros(members), np.zeros(members)  # bytes not used in the step before

    def begin(self, server: int, asker: int, size: int, when: float) -> int:
        """The number of a new sending of `size` bytes, which begins at that time."""
        if not self._free:
            self._grow()
        number = self._free.pop()
        self._server[number], self._asker[number] = server, asker
        self.go_on(number, size, when)
        return number

    def go_on(self, number: int, size: int, when: float) -> None:
        """After what it sent it sends so many bytes more."""
        self._left[number], self._begins[number] = size, when

    def end(self, number: int) -> None:
        """It is over."""
        self._begins[number] = np.inf
        self._free.append(number)

    def move(self, now: float, step: float) -> list[tuple[int, float]]:
        """The sendings that arrived in the step that ends now, and how many seconds before its end each did."""
        moving = np.flatnonzero(self._begins < now)
        servers, askers = self._server[moving], self._asker[moving]
        parts = np.minimum(1.0, (now - self._begins[moving]) / step)
        moved = self._shared(servers, askers, parts, self._rate * step)
        left = self._left[moving] = self._left[moving] - moved
        over = np.maximum(-left, 0.0)
        self._up = np.minimum(np.bincount(servers, over, self._members), self._rate * step)
        self._down = np.minimum(np.bincount(askers, over, self._members), self._rate * step)
        here = np.flatnonzero(left <= 0)
        ago = over[here] / moved[here] * step
        return list(zip(moving[here].tolist(), ago.tolist(), strict=True))

    def _shared(self, servers: Numbers, askers: Numbers, shares: Amounts, most: float) -> Amounts:
        """Bytes that each sending gets of a step in which a link takes `most`; `shares` is what each would take."""
        for _ in range(_ROUNDS):
            up = (self._up + most) / np.maximum(np.bincount(servers, shares, self._members), _LITTLE)
            shares = shares * up[servers]
            down = (self._down + most) / np.maximum(np.bincount(askers, shares, self._members), _LITTLE)
            shares = shares * np.minimum(1.0, down)[askers]
        return shares

    def _grow(self) -> None:
        count = len(self._left)
        self._free.extend(range(count, count * 2))
        self._server, self._asker = np.tile(self._server, 2), np.tile(self._asker, 2)
        self._left = np.tile(self._left, 2)
        self._begins = np.concatenate([self._begins, np.full(count, np.inf)])
