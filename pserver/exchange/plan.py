"""Decides which piece to ask of which source. Pure: events in, requests out; no sockets, threads, clocks.

The rules
  * A request (an Ask) is a run of consecutive pieces from one source. A source has a bounded number of requests in
    flight, and a bounded number of sources has any.
  * A piece that verified is never asked for again. The first answer that verifies wins.
  * A source's first request is for one piece; later ones grow with its rate, and shrink towards the end of the file
    so that all sources end together.
  * When nothing is left to ask for, an idle source takes work from the request that will take longest: pieces
    that it has not begun are moved, the one that it is at is asked for twice.
  * A source that sent a wrong piece is not asked again. One that failed waits, longer each time in a row, and is
    gone after a few. A request without a byte for some seconds is given up.
  * `stuck` says why nothing moves. To give up, and when, is for whoever asks.

`now` is seconds of a clock that never goes back. Not thread-safe.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pserver.exchange.flights import Flight, slowest, tail_to_move, worth_asking_twice
from pserver.exchange.sources import Failure, Source, SourceLimits

_WANTED, _ASKED, _VERIFIED = 0, 1, 2
_FIRST_RUN_BYTES = 4 << 20  # of a source whose rate is not known yet


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """`sources`: how many at once. A request: at most `request_bytes`, about `request_seconds` long.

    `stall_seconds`: without a byte for so long a request is given up; so is one that after three times that has
    had less than `least_rate` bytes a second.
    """

    sources: int = 8
    request_bytes: int = 16 << 20
    request_seconds: float = 1.0
    stall_seconds: float = 10.0
    least_rate: float = 1024.0
    each: SourceLimits = field(default_factory=SourceLimits)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to make: `count` pieces from `first`, of the source with that key."""

    number: int
    source: str
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now: requests to make, and numbers of requests to cut off (nothing more is expected of them)."""

    asks: tuple[Ask, ...]
    aborts: tuple[int, ...]


class Plan:
    """The plan for one file. `verified`: flags of the pieces that are there already."""

    def __init__(self, piece_bytes: int, verified: bytes | bytearray, limits: PlanLimits) -> None:
        self._piece_bytes = piece_bytes
        self._limits = limits
        self._state = bytearray(_VERIFIED if there else _WANTED for there in verified)
        self._left = self._state.count(_WANTED)
        self._wanted = self._left
        self._sources: dict[str, Source] = {}
        self._flights: dict[int, Flight] = {}
        self._aborts: list[int] = []
        self._asked = 0

    @property
    def finished(self) -> bool:
        """Every piece has verified."""
        return self._left == 0

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return len(self._flights)

    def sources(self) -> Iterable[Source]:
        """All that were ever added; to be read only."""
        return self._sources.values()

    # --- events -------------------------------------------------------------------------------------------------

    def add_source(self, key: str, label: str, has: bytearray | None, now: float) -> None:
        """A source was found, again perhaps: `has` (flags; None: all pieces) replaces what was known."""
        source = self._sources.setdefault(key, Source(key, label, has))
        source.has = has
        source.return_(now, self._limits.each)

    def lose_source(self, key: str, failure: Failure, why: str, now: float) -> None:
        """What was learnt of a source elsewhere than from a request."""
        source = self._sources.get(key)
        if source is not None:
            source.failed(failure, why, now, self._limits.each)
            self._drop_if_unusable(source)

    def arrived(self, number: int, count: int, now: float) -> None:
        """Bytes came for that request."""
        flight = self._flights.get(number)
        if flight is not None:
            flight.arrived(count, now)

    def next_piece(self, number: int) -> int | None:
        """The piece that the request is to read next; None: stop reading, the rest is not wanted from it."""
        flight = self._flights.get(number)
        if flight is None or flight.at >= flight.end or self._state[flight.at] == _VERIFIED:
            return None
        return flight.at

    def verified(self, number: int, piece: int) -> bool:
        """The piece came through that request and is right. True for the first time: then it is to be written."""
        flight = self._flights.get(number)
        if flight is not None:
            flight.verified(piece)
        if self._state[piece] == _VERIFIED:
            return False
        self._mark(piece, _VERIFIED)
        return True

    def failed(self, number: int, failure: Failure, why: str, now: float) -> None:
        """The request ended with that failure ("lied" for a wrong piece)."""
        flight = self._end(number)
        if flight is not None:
            flight.source.failed(failure, why, now, self._limits.each)
            self._drop_if_unusable(flight.source)

    def learnt(self, key: str, has: bytearray) -> None:
        """A source told which pieces it has."""
        if key in self._sources:
            self._sources[key].has = has

    def ended(self, number: int) -> None:
        """The request is over, without a failure; what it did not bring is free again."""
        self._end(number)

    # --- decisions ----------------------------------------------------------------------------------------------

    def decide(self, now: float, room: int) -> Decision:
        """What to do now; at most `room` new requests."""
        self._give_up_stalled(now)
        self._end_overtaken()
        asks: list[Ask] = []
        while len(asks) < room and (ask := self._next_ask(now)) is not None:
            asks.append(ask)
        aborts, self._aborts = tuple(self._aborts), []
        return Decision(tuple(asks), aborts)

    def stuck(self, now: float) -> str | None:
        """In words, why nothing moves; None while something does, or nothing has to."""
        quiet = self._limits.stall_seconds / 2
        if self.finished or any(now - flight.last < quiet for flight in self._flights.values()):
            return None
        usable = [source for source in self._sources.values() if source.usable]
        if self._flights:
            return "waiting for " + _names(flight.source for flight in self._flights.values())
        if not usable:
            return self._nobody_left()
        having = [source for source in usable if self._first_wanted(source) is not None]
        if not having:
            return f"no source has the {self._left} pieces that are missing"
        wait = min(source.not_before for source in having) - now
        if wait <= 0:
            return None
        reasons = "; ".join(source.why or source.label for source in having[:3])
        return f"{reasons}: trying again in {wait:.0f} s"

    def all_lied(self) -> bool:
        """There were sources, and every one of them sent something wrong."""
        return bool(self._sources) and all(source.banned for source in self._sources.values())

    # --- the rules ----------------------------------------------------------------------------------------------

    def _next_ask(self, now: float) -> Ask | None:
        busy = sum(source.connections > 0 for source in self._sources.values())
        ready = [
            source
            for source in self._sources.values()
            if source.ready(now, self._limits.each) and (source.connections or busy < self._limits.sources)
        ]
        # Those with fewest requests first, so that work is spread; of these the fastest.
        ready.sort(key=lambda source: (source.connections, source.failures, -source.meter.rate(now)))
        for source in ready:
            run = self._choose(source, now) or self._take_from_slowest(source, now)
            if run is not None:
                return self._ask(source, run, now)
        return None

    def _choose(self, source: Source, now: float) -> range | None:
        """The run of pieces to ask of this source next: the first that nobody was asked for and that it has."""
        first = self._first_wanted(source)
        if first is None:
            return None
        end, most = first + 1, first + self._run_pieces(source, now)
        while end < min(most, len(self._state)) and self._state[end] == _WANTED and source.has_piece(end):
            end += 1
        return range(first, end)

    def _first_wanted(self, source: Source) -> int | None:
        piece = self._state.find(_WANTED)
        while piece >= 0 and source.has is not None and not source.has[piece]:
            piece = source.has.find(1, piece)
            piece = self._state.find(_WANTED, piece) if piece >= 0 else -1
        return piece if piece >= 0 else None

    def _run_pieces(self, source: Source, now: float) -> int:
        if not source.pieces:
            return 1
        rate = source.meter.rate(now) / max(source.connections, 1)
        run_bytes = rate * self._limits.request_seconds if rate else _FIRST_RUN_BYTES
        fair = -(-self._wanted // self._connections_usable())
        return max(1, min(int(min(run_bytes, self._limits.request_bytes)) // self._piece_bytes, fair))

    def _connections_usable(self) -> int:
        usable = sum(source.usable for source in self._sources.values())
        return max(1, min(usable, self._limits.sources) * self._limits.each.connections)

    def _take_from_slowest(self, thief: Source, now: float) -> range | None:
        """Nothing is unassigned: work of the request that will take longest, if the thief would have it sooner."""
        victim = slowest(self._flights.values(), thief, self._piece_bytes, now)
        if victim is None:
            return None
        most = -(-self._left // self._connections_usable())  # what is left, spread over all
        tail = tail_to_move(victim, thief, most, self._piece_bytes, now)
        if tail is not None:
            victim.end = tail.start
            return tail
        alone = sum(flight.covers(victim.at) for flight in self._flights.values()) == 1
        if alone and worth_asking_twice(victim, thief, self._piece_bytes, now):
            return range(victim.at, victim.at + 1)
        return None

    # --- bookkeeping --------------------------------------------------------------------------------------------

    def _ask(self, source: Source, run: range, now: float) -> Ask:
        self._asked += 1
        for piece in run:
            self._mark(piece, _ASKED)
        if not source.connections:
            source.meter.began(now)
        source.connections += 1
        self._flights[self._asked] = Flight(self._asked, source, run.start, run.stop, now, now)
        return Ask(self._asked, source.key, run.start, len(run))

    def _mark(self, piece: int, state: int) -> None:
        before = self._state[piece]
        self._state[piece] = state
        self._wanted += (state == _WANTED) - (before == _WANTED)
        self._left -= state == _VERIFIED and before != _VERIFIED

    def _end(self, number: int) -> Flight | None:
        flight = self._flights.pop(number, None)
        if flight is None:
            return None
        flight.source.connections -= 1
        for piece in range(flight.at, flight.end):
            if self._state[piece] == _ASKED and not any(other.covers(piece) for other in self._flights.values()):
                self._mark(piece, _WANTED)
        return flight

    def _drop_if_unusable(self, source: Source) -> None:
        if source.banned:
            for number in [flight.number for flight in self._flights.values() if flight.source is source]:
                self._abort(number)

    def _abort(self, number: int) -> None:
        self._end(number)
        self._aborts.append(number)

    def _give_up_stalled(self, now: float) -> None:
        for flight in list(self._flights.values()):
            if flight.stalled(self._limits.stall_seconds, self._limits.least_rate, now):
                self._aborts.append(flight.number)
                self.failed(flight.number, "stalled", f"{flight.source.label} sends nothing", now)

    def _end_overtaken(self) -> None:
        """Cut off requests that are at a piece which another request brought first."""
        for flight in list(self._flights.values()):
            if flight.at < flight.end and self._state[flight.at] == _VERIFIED:
                self._abort(flight.number)

    def _nobody_left(self) -> str:
        if not self._sources:
            return "no source has the file now"
        return "no source left: " + "; ".join(source.why or source.label for source in list(self._sources.values())[:3])


def _names(sources: Iterable[Source]) -> str:
    return ", ".join(dict.fromkeys(source.label for source in sources))
