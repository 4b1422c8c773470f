"""What a serving peer knows of those that fetch one file from it, and which piece it gives each. Pure.

Of what the asker would take it gives what fewest of those that asked lately have, and of that what it gave out least.
So the first copies of all pieces leave a seed one after another, and a piece that is new to the swarm is passed on
again and again, until it no longer is. Choosing here, and not at the asker, needs no knowledge that is fresh.
"""

import heapq
import random
from collections import deque
from dataclasses import dataclass

from pserver.exchange.bitfield import first_of, run_mask
from pserver.model import Peer

_MEMORY_SECONDS = 15.0  # who has not asked for so long is told of no more
_MOST_ASKERS = 4096
_PLACED_SECONDS = 3.0  # by then the address of one that asks is known, or it tells none
_FEW_ASKERS = 16
_LATELY = 32  # what so many askers had tells well enough what is rare
_MOST_AT_ONCE = 32  # pieces of the file; more would all arrive too slowly to be passed on
_MOST_IN_CROWD = 12  # as many as each asker has requests in flight: that evens out what each peer has to send


@dataclass(slots=True)
class Asker:
    """One that fetches the file: its address if it is known, its pieces (a mask) as of `seen` (seconds)."""

    peer: Peer | None
    has: int
    seen: float
    since: float  # when it was first seen


class Swarm:
    """Of one file. `now` is seconds of a clock that never goes back."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._given: list[int] = []  # [n]: the pieces given out more than n times
        self._askers: dict[str, Asker] = {}
        self._lately: deque[int] = deque(maxlen=_LATELY)  # what the latest askers had
        self.last = 0.0

    def give(self, choices: int, here: int | None, most: int = 1) -> range | None:
        """The pieces to give of `choices`, where `here` (None: all) are here; None: none of them is.

        It is one, and up to `most` in all if those that follow it were given out as little.
        """
        left = choices if here is None else choices & here
        if not left:
            return None
        rare = self._rarest(left)
        least = next((rare & ~given for given in self._given if rare & ~given), rare)
        run = self._pick(least, most)
        for piece in run:
            self._note(1 << piece)
        return run

    def _rarest(self, pieces: int) -> int:
        """Without what one asker after another had, as long as something is left."""
        for had in reversed(self._lately):
            pieces = pieces & ~had or pieces
        return pieces

    def _pick(self, candidates: int, most: int) -> range:
        alone = len(self._askers) < 2  # then in order: what follows can be asked for in long runs
        skipped = 0 if alone else self._chance.randrange(candidates.bit_length())
        # From where the run of candidates at that place begins, but no further back than the answer is long.
        skipped = max(skipped - most, (~candidates & run_mask(0, skipped)).bit_length())
        later = first_of(candidates >> skipped)
        first = first_of(candidates) if later is None else later + skipped
        assert first is not None
        return range(first, first + min(most, first_of(~(candidates >> first)) or most))

    def _note(self, bit: int) -> None:
        for number, given in enumerate(self._given):
            if not given & bit:
                self._given[number] |= bit
                return
        self._given.append(bit)

    @property
    def most_at_once(self) -> int:
        """How many pieces to send at once. Of many askers whoever is refused finds a peer that has less to do."""
        return _MOST_AT_ONCE if len(self._askers) <= _FEW_ASKERS else _MOST_IN_CROWD

    def met(self, peer_id: str, peer: Peer | None, has: int | None, now: float) -> None:
        """That peer asked, and told where it is and which pieces it has (None: it did not say)."""
        self.last = now
        if has is not None:
            self._lately.append(has)
        known = self._askers.get(peer_id)
        if known is None:
            if len(self._askers) >= _MOST_ASKERS:
                self._drop_old(now)
            if len(self._askers) < _MOST_ASKERS:
                self._askers[peer_id] = Asker(peer, has or 0, now, now)
            return
        known.peer, known.seen = peer or known.peer, now
        known.has = known.has if has is None else has

    def others(self, peer_id: str, most: int, now: float) -> list[tuple[Peer, int]]:
        """At most so many others, and the pieces that each has: those that asked last, of which that is freshest."""
        self._drop_old(now)
        found = (asker for one, asker in self._askers.items() if one != peer_id and asker.peer is not None)
        latest = heapq.nlargest(most, found, key=lambda asker: asker.seen)
        return [(asker.peer, asker.has) for asker in latest if asker.peer is not None]

    def more(self, peer_id: str, now: float) -> bool:
        """Whether there are others whose addresses may soon be known."""
        unplaced = (asker for one, asker in self._askers.items() if asker.peer is None and one != peer_id)
        return any(now - asker.since < _PLACED_SECONDS for asker in unplaced)

    def _drop_old(self, now: float) -> None:
        oldest = now - _MEMORY_SECONDS
        self._askers = {one: asker for one, asker in self._askers.items() if asker.seen >= oldest}
