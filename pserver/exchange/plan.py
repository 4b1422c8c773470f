"""Decides which piece to ask of which source. Pure: events in, requests out; no sockets, threads, clocks.

The rules
  * A request (an Ask) is a run of consecutive pieces from one source. A source has a bounded number of requests in
    flight, and a bounded number of sources has any.
  * A piece that verified is never asked for again. The first answer that verifies wins.
  * A source's first request is for one piece; later ones grow with its rate, and shrink towards the end of the file
    so that all sources end together.
  * In a crowd (some source is still downloading the file itself), and of a source that has sent nothing yet, few pieces
    are asked for, and which is for the source to choose: only it knows what is rare among its askers (see crowd.py).
  * Until it has been heard whether there is a crowd, it is taken for one: long runs would bring the same first pieces
    to all that begin together. Long runs that are under way when it turns out to be one are shortened.
  * When nothing is left to ask for, an idle source takes work from the request that will take longest: pieces
    that it has not begun are moved, the one that it is at is asked for twice.
  * A source that sent a wrong piece is not asked again. One that failed waits, longer each time in a row, and is
    gone after a few. A request without a byte for some seconds is given up.
  * In a crowd one that has fallen behind has more requests in flight, one that is ahead has fewer.
  * In a crowd a source that is busy is asked again soon, and another at once: that evens out what each has to send. One
    that lacked what is wanted is asked again as soon as it is heard to have it.
  * `stuck` says why nothing moves. To give up, and when, is for whoever asks.

`now` is seconds of a clock that never goes back. Not thread-safe.
"""

import random
from collections.abc import Iterable

from pserver.exchange.asks import Ask, Decision, PlanLimits
from pserver.exchange.bitfield import first_of, run_mask
from pserver.exchange.board import Board
from pserver.exchange.crowd import (
    Standing,
    choices_for,
    next_offer,
    not_yet_the_end,
    pieces_to_ask,
    ready_in_crowd,
    shorten_runs,
    take_run,
)
from pserver.exchange.flights import Flight, slowest, tail_to_move, worth_asking_twice
from pserver.exchange.sources import Failure, Source
from pserver.exchange.standstill import standstill

_FIRST_RUN_BYTES = 4 << 20  # of a source whose rate is not known yet


class Plan:
    """The plan for one file. `verified`: flags of the pieces that are there already.

    `expects_news`: it will be told by `heard_news` when it is known who else fetches the file.
    """

    def __init__(
        self,
        piece_bytes: int,
        verified: bytes | bytearray,
        limits: PlanLimits,
        chance: random.Random | None = None,
        *,
        expects_news: bool = False,
    ) -> None:
        self._piece_bytes = piece_bytes
        self._limits = limits
        self._board = Board(verified)
        self._chance = chance or random.Random()  # noqa: S311 - of no secret
        self._sources: dict[str, Source] = {}
        self._flights: dict[int, Flight] = {}
        self._aborts: list[int] = []
        self._asked = 0
        self._expects_news = expects_news
        self._shortened = False
        self._standing = Standing()

    @property
    def finished(self) -> bool:
        """Every piece has verified."""
        return self._board.left == 0

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return len(self._flights)

    @property
    def full(self) -> bool:
        """In a crowd: as many requests are in flight as there may be."""
        return len(self._flights) >= self._standing.most_at_once(self._limits.sources)

    @property
    def hungry(self) -> bool:
        """Fewer than half of the requests that there may be are in flight: more should be known of the others."""
        return len(self._flights) * 2 < self._limits.sources

    def sources(self) -> Iterable[Source]:
        """All that were ever added; to be read only."""
        return self._sources.values()

    # --- events -------------------------------------------------------------------------------------------------

    def add_source(self, key: str, label: str, has: int | None, now: float) -> None:
        """A source was found, again perhaps: `has` (a mask; None: all pieces) replaces what was known."""
        source = self._sources.setdefault(key, Source(key, label, has))
        source.has = has
        source.return_(now, self._limits.each)

    def lose_source(self, key: str, failure: Failure, why: str, now: float) -> None:
        """What was learnt of a source elsewhere than from a request."""
        source = self._sources.get(key)
        if source is not None:
            source.failed(failure, why, now, self._limits.each)
            self._drop_if_unusable(source)

    def arrived(self, number: int, count: int, now: float, held_back: float = 0.0) -> None:
        """Bytes came for that request, which for `held_back` seconds was not read from, by our own will."""
        flight = self._flights.get(number)
        if flight is not None:
            flight.arrived(count, now, held_back)

    def next_piece(self, number: int) -> int | None:
        """The piece that the request is to read next; None: stop reading, the rest is not wanted from it."""
        flight = self._flights.get(number)
        if flight is None or flight.at >= flight.end or self._board.is_there(flight.at):
            return None
        return flight.at

    def chosen(self, number: int, run: range) -> bool:
        """The source sends those pieces, of the choices it had; False: they are not wanted (any more), stop reading."""
        flight = self._flights.get(number)
        return flight is not None and take_run(run, flight, self._board, self._flights.values())

    def verified(self, number: int, piece: int) -> bool:
        """The piece came through that request and is right. True for the first time: then it is to be written."""
        flight = self._flights.get(number)
        if flight is not None:
            self._board.release(run_mask(flight.at, piece + 1))
            flight.verified(piece)
        return self._board.add(piece)

    def failed(self, number: int, failure: Failure, why: str, now: float) -> None:
        """The request ended with that failure ("lied" for a wrong piece)."""
        flight = self._end(number)
        if flight is not None:
            flight.source.failed(failure, why, now, self._limits.each)
            self._drop_if_unusable(flight.source)

    def learnt(self, key: str, has: int | None) -> None:
        """A source told, itself and just now, which pieces it has.

        If it lacked what was wanted and has it now, it need not wait.
        """
        source = self._sources.get(key)
        if source is not None:
            if source.has is not None:  # one that had all from the start is no other download
                theirs = self._board.count if has is None else has.bit_count()
                self._standing.heard(theirs, self._board.count - self._board.left)
            source.has = has
            if source.lacked and self._board.wanted_of(has):
                source.wait_no_more()

    def knows(self, key: str) -> bool:
        """Whether that source was ever added."""
        return key in self._sources

    def heard_news(self) -> None:
        """The sources that fetch the file themselves were added, if there are any."""
        self._expects_news = False

    def ended(self, number: int) -> None:
        """The request is over, without a failure; what it did not bring is free again."""
        self._end(number)

    # --- decisions ----------------------------------------------------------------------------------------------

    def decide(self, now: float, room: int) -> Decision:
        """What to do now; at most `room` new requests."""
        self._give_up_stalled(now)
        self._end_overtaken()
        if self.crowded and not self._shortened:
            self._shortened = True
            shorten_runs(self._flights.values(), self._board)
        asks: list[Ask] = []
        while len(asks) < room and (ask := self._next_ask(now)) is not None:
            asks.append(ask)
        aborts, self._aborts = tuple(self._aborts), []
        return Decision(tuple(asks), aborts)

    def stuck(self, now: float) -> str | None:
        """In words, why nothing moves; None while something does, or nothing has to."""
        if self.finished:
            return None
        return standstill(self._sources.values(), self._flights.values(), self._board, self._limits.stall_seconds, now)

    def all_lied(self) -> bool:
        """There were sources, and every one of them sent something wrong."""
        return bool(self._sources) and all(source.banned for source in self._sources.values())

    # --- the rules ----------------------------------------------------------------------------------------------

    @property
    def crowded(self) -> bool:
        """Whether a source is still downloading the file itself."""
        return any(source.has is not None and source.usable for source in self._sources.values())

    def _next_ask(self, now: float) -> Ask | None:
        if self.crowded or self._expects_news:
            return self._next_in_crowd(now)
        return next((ask for source in self._ready(now) if (ask := self._ask_of(source, now)) is not None), None)

    def _next_in_crowd(self, now: float) -> Ask | None:
        if self.full:
            return None
        ready = ready_in_crowd(self._sources.values(), self._limits, self._chance, now)

        def pieces(source: Source) -> int:
            return pieces_to_ask(source, self._board, self._piece_bytes, self._limits, now)

        offer = next_offer(ready, self._board, self._flights.values(), self._chance, pieces)
        if offer is not None:
            return self._ask_to_choose(*offer, now)
        if self._board.wanted:
            return None
        runs = ((source, self._take_from_slowest(source, now, crowded=True)) for source in ready)
        return next((self._ask(source, run, now) for source, run in runs if run is not None), None)

    def _ready(self, now: float) -> list[Source]:
        """Those with fewest requests first, so that work is spread; of these the fastest."""
        busy = sum(source.connections > 0 for source in self._sources.values())
        ready = [
            source
            for source in self._sources.values()
            if source.ready(now, self._limits.each) and (source.connections or busy < self._limits.sources)
        ]
        ready.sort(key=lambda source: (source.connections, source.failures, -source.meter.rate(now)))
        return ready

    def _ask_of(self, source: Source, now: float) -> Ask | None:
        if not source.pieces:
            choices = choices_for(source, self._board, self._flights.values(), 1, self._chance)
            if choices:
                return self._ask_to_choose(source, choices, 1, now)
        run = self._choose(source, now) or self._take_from_slowest(source, now)
        return None if run is None else self._ask(source, run, now)

    def _choose(self, source: Source, now: float) -> range | None:
        """The run of pieces to ask of this source next: the first that nobody was asked for and that it has."""
        first = first_of(self._board.wanted_of(source.has))
        return None if first is None else self._board.run(first, self._run_pieces(source, now), source.has)

    def _run_pieces(self, source: Source, now: float) -> int:
        if not source.pieces:
            return 1
        rate = source.meter.rate(now) / max(source.connections, 1)
        run_bytes = rate * self._limits.request_seconds if rate else _FIRST_RUN_BYTES
        fair = -(-self._board.wanted.bit_count() // self._connections_usable())
        return max(1, min(int(min(run_bytes, self._limits.request_bytes)) // self._piece_bytes, fair))

    def _connections_usable(self) -> int:
        usable = sum(source.usable for source in self._sources.values())
        return max(1, min(usable, self._limits.sources) * self._limits.each.connections)

    def _take_from_slowest(self, thief: Source, now: float, *, crowded: bool = False) -> range | None:
        """Nothing is unassigned: work of the request that will take longest, if the thief would have it sooner."""
        victim = slowest(self._flights.values(), thief, self._piece_bytes, now)
        if victim is None or (crowded and not_yet_the_end(victim, self._piece_bytes, now)):
            return None
        most = -(-self._board.left // self._connections_usable())  # what is left, spread over all
        tail = tail_to_move(victim, thief, most, self._piece_bytes, now)
        if tail is not None:
            self._board.release(run_mask(tail.start, tail.stop))
            victim.end = tail.start
            return tail
        alone = not self._board.reserved_twice(victim.at)
        if alone and worth_asking_twice(victim, thief, self._piece_bytes, now):
            return range(victim.at, victim.at + 1)
        return None

    # --- bookkeeping --------------------------------------------------------------------------------------------

    def _ask(self, source: Source, run: range, now: float) -> Ask:
        flight = self._begin(source, now)
        flight.at, flight.end = run.start, run.stop
        self._board.reserve(flight.reserved)
        return Ask(flight.number, source.key, run.start, len(run))

    def _ask_to_choose(self, source: Source, choices: int, most: int, now: float) -> Ask | None:
        first = first_of(choices)
        assert first is not None
        flight = self._begin(source, now)
        flight.choices = choices
        self._board.reserve(choices)
        return Ask(flight.number, source.key, first, 1, choices, most)

    def _begin(self, source: Source, now: float) -> Flight:
        self._asked += 1
        if not source.connections:
            source.meter.began(now)
        source.connections += 1
        flight = self._flights[self._asked] = Flight(self._asked, source, 0, 0, now, now)
        return flight

    def _end(self, number: int) -> Flight | None:
        flight = self._flights.pop(number, None)
        if flight is not None:
            flight.source.connections -= 1
            self._board.release(flight.reserved)
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
        """Cut off requests that are at a piece, or can only bring pieces, which other requests brought first."""
        for flight in list(self._flights.values()):
            at_it = flight.at < flight.end and self._board.is_there(flight.at)
            if at_it or (flight.choices and not flight.choices & ~self._board.there):
                self._abort(flight.number)
