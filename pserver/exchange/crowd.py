"""The rules of a plan in a crowd, where sources are downloading the file themselves. Pure; for plan.py.

A source is offered pieces of which it chooses some. What it is offered is reserved until it has named them, so it is
only a part, at random: the other sources have a choice too.
"""

import random
from collections.abc import Iterable

from pserver.exchange.asks import PlanLimits
from pserver.exchange.bitfield import first_of, pieces_of, run_mask
from pserver.exchange.board import Board
from pserver.exchange.flights import Flight
from pserver.exchange.sources import Source

_MOST_CHOICES = 4096  # how far apart the first and the last of the choices may be
_PARTS_OF_FILE, _PARTS_OF_REST = 64, 32  # no request is for more than such a part
_LEAST_RUN = 2  # pieces, if these parts allow it
_WORTH_TWICE_SECONDS = 1.0


def pieces_to_ask(source: Source, board: Board, piece_bytes: int, limits: PlanLimits, now: float) -> int:
    """How many pieces in a row to ask for: few, so that all go round quickly, but not so few that requests cost more.

    The first of them can be passed on while the others are still coming.
    """
    pieces = max(int(source.meter.rate(now) * limits.crowd_seconds) // piece_bytes, _LEAST_RUN)
    at_first = 1 + (board.count - board.left) // _PARTS_OF_REST  # while there is little to pass on
    return max(1, min(pieces, at_first, board.count // _PARTS_OF_FILE, board.left // _PARTS_OF_REST))


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


def not_yet_the_end(victim: Flight, board: Board, piece_bytes: int, now: float) -> bool:
    """In a crowd a source often has nothing new: what is asked for twice then is lost for others."""
    return board.wanted != 0 or victim.seconds_left(piece_bytes, now) < _WORTH_TWICE_SECONDS


def _unnamed(thief: Source, board: Board, flights: Iterable[Flight], chance: random.Random) -> int:
    """Nothing is free: of what a request is offered as choices and has not been answered, what the thief has."""
    for flight in flights:
        spare = flight.choices & chance.getrandbits(board.count)
        spare = spare if thief.has is None else spare & thief.has
        if flight.source is not thief and spare and spare != flight.choices:
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
