"""Requests in flight, and which work an idle source takes from them. Pure; for plan.py."""

from collections.abc import Iterable
from dataclasses import dataclass

from pserver.exchange.bitfield import run_mask
from pserver.exchange.sources import Source

_YOUNG_SECONDS = 0.5  # a request younger than this is judged by what its source did before
_RATE_SECONDS = 1.0
_WORTH_SECONDS = 0.2  # work is not taken from a request that will be over in this time


@dataclass(slots=True)
class Flight:
    """A request for the pieces `at`..`end`-1 of a source; `begun` and `last` (when a byte last came) in seconds.

    `choices`: the mask of pieces of which the source is to choose one and has not yet; there is no run until then.
    """

    number: int
    source: Source
    at: int
    end: int
    begun: float
    last: float
    got: int = 0  # bytes of all its pieces
    got_of_piece: int = 0
    choices: int = 0
    # (when, got) at two moments a second or more apart: the rate is that since the older, so it soon tells of a change
    older: tuple[float, int] | None = None
    newer: tuple[float, int] | None = None

    def arrived(self, count: int, now: float, held_back: float = 0.0) -> None:
        """Bytes came. For `held_back` seconds it was not read from, by our own will: that is not held against it."""
        self.begun = min(self.begun + held_back, now)
        if self.newer is None:
            self.newer = (self.begun, 0)
        elif now - self.newer[0] >= _RATE_SECONDS:
            self.older, self.newer = self.newer, (now, self.got)
        self.got += count
        self.got_of_piece += count
        self.last = now
        self.source.meter.add(count, now)

    def verified(self, piece: int) -> None:
        """That piece came whole and is right."""
        self.at, self.got_of_piece = piece + 1, 0
        self.source.delivered()

    @property
    def reserved(self) -> int:
        """The mask of the pieces that it may bring."""
        return self.choices | run_mask(self.at, self.end)

    def chose(self, run: range) -> None:
        """The source sends those pieces."""
        self.choices, self.at, self.end = 0, run.start, run.stop

    def rate(self, now: float) -> float:
        """Bytes a second in the last one or two; of a young one, what its source did before (0.0: unknown)."""
        if now - self.begun < _YOUNG_SECONDS:
            return self.source.meter.rate(now) / max(self.source.connections, 1)
        since, before = self.older or (self.begun, 0)
        return (self.got - before) / (now - since)

    def seconds_left(self, piece_bytes: int, now: float) -> float:
        """How long it will take at its rate; 0.0 if it is too young to tell."""
        rate = self.rate(now)
        if not rate and now - self.begun < _YOUNG_SECONDS:
            return 0.0
        left = (self.end - self.at) * piece_bytes - self.got_of_piece
        return max(left, 0) / max(rate, 1.0)

    def stalled(self, stall_seconds: float, least_rate: float, now: float) -> bool:
        """No byte for so long; or after three times that, less than `least_rate` bytes a second in all."""
        age = now - self.begun
        crawls = age > 3 * stall_seconds and self.got < least_rate * age
        return crawls or now - self.last > stall_seconds


def slowest(flights: Iterable[Flight], thief: Source, piece_bytes: int, now: float) -> Flight | None:
    """The request to take work from: of other sources the one that will take longest, if it is worth it."""
    found, longest = None, _WORTH_SECONDS
    for flight in flights:
        seconds = flight.seconds_left(piece_bytes, now)
        if flight.source is not thief and seconds > longest:
            found, longest = flight, seconds
    return found


def tail_to_move(victim: Flight, thief: Source, most: int, piece_bytes: int, now: float) -> range | None:
    """Up to `most` pieces that the victim has not begun and that the thief would have sooner.

    Of these a share as large as the thief's rate is of both of theirs.
    """
    unbegun = victim.end - victim.at - 1
    ours = thief.meter.rate(now) / (thief.connections + 1)
    share = ours / (ours + victim.rate(now)) if ours else 0.5
    count = max(1, min(round(unbegun * share), most)) if thief.pieces else 1
    if ours and count * piece_bytes / ours > victim.seconds_left(piece_bytes, now):
        return None
    first = victim.end
    while first > victim.end - min(count, unbegun) and thief.has_piece(first - 1):
        first -= 1
    return range(first, victim.end) if first < victim.end else None


def worth_asking_twice(victim: Flight, thief: Source, piece_bytes: int, now: float) -> bool:
    """Whether the thief would bring the piece that the victim is at in less than half the time."""
    if victim.at >= victim.end or not thief.has_piece(victim.at):
        return False
    ours = thief.meter.rate(now)
    seconds = piece_bytes / ours if ours else 1.0
    return seconds * 2 < victim.seconds_left(piece_bytes, now)
