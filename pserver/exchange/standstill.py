"""Why nothing moves, in words. Pure; for plan.py."""

from collections.abc import Collection, Iterable

from pserver.exchange.board import Board
from pserver.exchange.bottleneck import WAITING_FOR
from pserver.exchange.flights import Flight
from pserver.exchange.sources import Source

_MOST_NAMED = 3


def standstill(
    sources: Collection[Source], flights: Collection[Flight], board: Board, stall_seconds: float, now: float
) -> str | None:
    """What the missing pieces wait for; None while something moves, or is about to. `now` is in seconds."""
    if any(now - flight.last < stall_seconds / 2 for flight in flights):
        return None
    if flights:
        return WAITING_FOR + ", ".join(dict.fromkeys(flight.source.label for flight in flights))
    usable = [source for source in sources if source.usable]
    if not usable:
        return f"no source left: {_reasons(sources)}" if sources else "no source has the file now"
    having = [source for source in usable if board.wanted_of(source.has)]
    if not having:
        return f"no source has the {board.left} pieces that are missing"
    wait = min(source.not_before for source in having) - now
    return f"{_reasons(having)}: trying again in {wait:.0f} s" if wait > 0 else None


def _reasons(sources: Iterable[Source]) -> str:
    return "; ".join(source.why or source.label for source in list(sources)[:_MOST_NAMED])
