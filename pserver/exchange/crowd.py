"""The rules of a plan in a crowd, where sources are downloading the file themselves. Pure; for plan.py.

A source is offered pieces of which it chooses some. What it is offered is reserved until it has named them, so it is
only a part, at random: the other sources have a choice too.
"""

import itertools
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pserver.exchange.asks import PlanLimits
from pserver.exchange.bitfield import first_of, pieces_of, run_mask
from pserver.exchange.board import Board
from pserver.exchange.flights import Flight
from pserver.exchange.sources import Source

_MOST_CHOICES = 4096  # how far apart the first and the last of the choices may be
_PARTS_OF_FILE, _PARTS_OF_REST = 64, 32  # no request is for more than such a part
_RUN_IN_CROWD = 2  # pieces that a request keeps which was made before there was a crowd
_LEAST_RUN = 2  # pieces, if these parts allow it
_WORTH_TWICE_SECONDS = 1.0
_SMOOTHED = 0.1  # the part that one answer has in what is believed of the others
_PIECES_A_REQUEST = 2  # so many pieces behind: one request more
_MOST_FEWER, _MOST_MORE = 2, 10


@dataclass(slots=True)
class Standing:
    """How far this download is behind others that fetch the same file, by what these say as they ask or answer.

    Connections get unequal parts of a link, and whoever has the smaller ones falls behind second by second; the swarm
    is as late as its last. So who is behind has more requests in flight than who is ahead.
    """

    behind: float = 0.0  # pieces, smoothed; negative: it is ahead

    def heard(self, theirs: int, ours: int) -> None:
        """Another has so many pieces now, and this download has so many."""
        self.behind += (theirs - ours - self.behind) * _SMOOTHED

    def most_at_once(self, usual: int) -> int:
        """How many requests may be in flight, where `usual` are for one that goes with the others."""
        return usual + int(max(-_MOST_FEWER, min(self.behind / _PIECES_A_REQUEST, _MOST_MORE)))


def ready_in_crowd(sources: Iterable[Source], limits: PlanLimits, chance: random.Random, now: float) -> list[Source]:
    """Who may be asked. Whole ones first: what only they have must not wait. Others at random, so that all are used.

    A second request only to one that is downloading itself, if there are few of them: its link is to be full too.
    """
    ready = [
        (source.connections, source.failures, source.has is not None, chance.random(), source)
        for source in sources
        if source.not_before <= now
        and (not source.connections or source.has is not None)
        and source.ready(now, limits.each)
    ]
    ready.sort()
    return [source for *_, source in ready]


def next_offer(
    ready: list[Source],
    board: Board,
    flights: Iterable[Flight],
    chance: random.Random,
    pieces_of_source: Callable[[Source], int],
) -> tuple[Source, int, int] | None:
    """Whom to ask next, of what it is to choose (a mask), and up to how many; None: nobody has what is free.

    `pieces_of_source`: how many to ask of one. First of what is free; if nobody has that, of what others were offered
    as choices.
    """
    having = (source for source in ready if board.wanted_of(source.has))
    for source in itertools.chain(having, ready):
        most = pieces_of_source(source)
        choices = choices_for(source, board, flights, most, chance)
        if choices:
            return source, choices, most
    return None


def pieces_to_ask(source: Source, board: Board, piece_bytes: int, limits: PlanLimits, now: float) -> int:
    """How many pieces in a row to ask for: few, so that all go round quickly, but not so few that requests cost more.

    The first of them can be passed on while the others are still coming.
    """
    at_first = 1 + (board.count - board.left) // _PARTS_OF_REST  # while there is little to pass on
    most = min(at_first, board.count // _PARTS_OF_FILE, board.left // _PARTS_OF_REST)
    if most < 2:
        return 1
    return min(most, max(int(source.meter.rate(now) * limits.crowd_seconds) // piece_bytes, _LEAST_RUN))


def choices_for(source: Source, board: Board, flights: Iterable[Flight], most: int, chance: random.Random) -> int:
    """The pieces of which the source is to choose up to `most`; 0: it has none that is wanted."""
    wanted = board.wanted_of(source.has) or _unnamed(source, board, flights, chance)
    first, last = first_of(wanted), wanted.bit_length()
    if first is None:
        return 0
    if last - first > _MOST_CHOICES:
        first = chance.randrange(first, last - _MOST_CHOICES)
        wanted &= run_mask(first, first + _MOST_CHOICES)
    # At random in stretches, so that what is chosen can be a run.
    half = chance.getrandbits(last)
    for _ in range(most - 1):
        half |= half << 1
    return wanted & half or wanted


def take_run(run: range, mine: Flight, board: Board, flights: Iterable[Flight]) -> bool:
    """The source of `mine` has chosen that run: it is mine from now on. False: too little of it is wanted (still)."""
    if not mine.choices or board.is_there(run.start):
        return False
    lost = pieces_of(run_mask(run.start, run.stop) & ~(mine.choices | board.there))
    won = sum(_win_back(piece, board, flights) for piece in lost)
    if won < len(lost) and won * 2 < len(run):
        return False
    board.release(mine.choices)
    mine.chose(run)
    board.reserve(mine.reserved)
    return True


def shorten_runs(flights: Iterable[Flight], board: Board) -> None:
    """There is a crowd: leave to it what long requests have not begun."""
    for flight in flights:
        first = flight.at + _RUN_IN_CROWD
        if flight.end > first:
            board.release(run_mask(first, flight.end))
            flight.end = first


def not_yet_the_end(victim: Flight, piece_bytes: int, now: float) -> bool:
    """In a crowd a source often has nothing new: what is asked for twice then is lost for others."""
    return victim.seconds_left(piece_bytes, now) < _WORTH_TWICE_SECONDS


def _unnamed(thief: Source, board: Board, flights: Iterable[Flight], chance: random.Random) -> int:
    """Nothing is free: of what a request is offered as choices and has not been answered, what the thief has."""
    for flight in flights:
        spare = flight.choices if thief.has is None else flight.choices & thief.has
        if not spare or flight.source is thief:
            continue
        spare &= chance.getrandbits(board.count)
        if spare and spare != flight.choices:
            flight.choices &= ~spare
            board.release(spare)
            return spare
    return 0


def _win_back(piece: int, board: Board, flights: Iterable[Flight]) -> bool:
    """The piece was taken from the choices of a request whose source has named it: from another's choices again."""
    for flight in flights:
        if flight.choices >> piece & 1 and flight.choices != 1 << piece:
            flight.choices &= ~(1 << piece)
            board.release(1 << piece)
            return True
    return bool(board.wanted >> piece & 1)
