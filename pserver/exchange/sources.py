"""What a plan knows of each peer that it may read from: which pieces it has, how fast it is, how it failed.

Pure: no sockets, no clocks. There are these ways for a request to fail (`Failure`), and what each means:

  dead, stalled         wait (longer each time in a row), then try again; after a few in a row the source is gone
  busy, lacks           the same with shorter waits, and oftener: nothing is wrong with it
  gone, refused, changed   it does not serve the file (any more): gone, and nothing is held against it
  lied                  it sent what no honest peer sends: banned for this file
"""

from dataclasses import dataclass, field
from typing import Literal

from pserver.exchange.meter import Meter

Failure = Literal["dead", "stalled", "busy", "lacks", "gone", "refused", "changed", "lied"]
_RETRIED = ("dead", "stalled")
_LACKS_DOUBLINGS = 3  # of the wait for one that lacks what is wanted: soon it has more
_BUSY_DOUBLINGS = 6  # of the wait for one that is busy: others may come first, and it may be busy with something else
SLOW_SECONDS = 3.0  # a source that is asked and sends nothing for this long is shown as slow


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """`connections` at once to one source; `failures` or `refusals` in a row until it is gone; waits in seconds."""

    connections: int = 2
    failures: int = 6
    refusals: int = 20
    first_wait: float = 0.5
    lacks_wait: float = 0.1
    busy_wait: float = 0.05
    longest_wait: float = 30.0


@dataclass(slots=True)
class Source:
    """One peer as a source of one file. `has`: the mask of its pieces, None for all."""

    key: str
    label: str
    has: int | None
    connections: int = 0  # in use
    pieces: int = 0  # that it sent and that verified
    errors: int = 0
    failures: int = 0  # in a row
    refusals: int = 0  # in a row: it was busy, or lacked the piece
    not_before: float = 0.0
    banned: bool = False
    gone: bool = False
    lacked: bool = False  # it waits because it lacked what was wanted
    why: str | None = None
    meter: Meter = field(default_factory=Meter)

    def has_piece(self, piece: int) -> bool:
        """Whether it has that piece, as far as is known."""
        return self.has is None or bool(self.has >> piece & 1)

    @property
    def usable(self) -> bool:
        """Whether it may be asked, now or after a wait."""
        return not (self.banned or self.gone)

    def connections_allowed(self, limits: SourceLimits) -> int:
        """One until it has proved good, and again after a failure: what a liar wastes is bounded by this."""
        return limits.connections if self.pieces and not self.failures else 1

    def ready(self, now: float, limits: SourceLimits) -> bool:
        """Whether one more request may go to it now."""
        return self.usable and self.not_before <= now and self.connections < self.connections_allowed(limits)

    def delivered(self) -> None:
        """A piece from it verified."""
        self.pieces += 1
        self.failures = self.refusals = 0
        self.why = None

    def failed(self, failure: Failure, why: str, now: float, limits: SourceLimits) -> None:
        """A request to it failed."""
        if failure in {"lacks", "busy"}:
            self.lacked = failure == "lacks"
            wait, most = (limits.lacks_wait, _LACKS_DOUBLINGS) if self.lacked else (limits.busy_wait, _BUSY_DOUBLINGS)
            self.not_before = now + min(wait * 2 ** min(self.refusals, most), limits.longest_wait)
            self.refusals += 1
            self.gone = self.refusals >= limits.refusals
            self.why = why
            return
        self.errors += 1
        self.why = why
        if failure == "lied":
            self.banned = True
        elif failure in _RETRIED:
            self.failures += 1
            wait = limits.first_wait * 2 ** min(self.failures - 1, 16)
            self.not_before = now + min(wait, limits.longest_wait)
            self.gone = self.failures >= limits.failures
        else:
            self.gone = True

    def wait_no_more(self) -> None:
        """It has what it lacked."""
        self.lacked, self.refusals, self.not_before = False, 0, 0.0

    def return_(self, now: float, limits: SourceLimits) -> None:
        """It was found again: it gets one more chance, after a wait if it failed until now."""
        if self.gone and not self.banned:
            self.gone = False
            self.failures = min(self.failures, limits.failures - 1)
            self.refusals = min(self.refusals, limits.refusals - 1)
            self.not_before = max(self.not_before, now + limits.first_wait)

    def state(self, now: float) -> str:
        """For people: ok, slow, banned or gone."""
        if self.banned:
            return "banned"
        if self.gone:
            return "gone"
        silent = self.connections > 0 and now - (self.meter.last or now) > SLOW_SECONDS
        return "slow" if silent or self.failures else "ok"
