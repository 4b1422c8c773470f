"""What a plan is asked to keep to, and what it decides: values only."""

from dataclasses import dataclass, field

from pserver.exchange.sources import SourceLimits


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """`sources`: how many at once. A request: at most `request_bytes`, about `request_seconds` long, and at most
    `crowd_seconds` in a crowd.

    `stall_seconds`: without a byte for so long a request is given up; so is one that after three times that has
    had less than `least_rate` bytes a second.
    """

    sources: int = 12
    request_bytes: int = 64 << 20
    request_seconds: float = 1.0
    crowd_seconds: float = 0.8
    stall_seconds: float = 10.0
    least_rate: float = 1024.0
    each: SourceLimits = field(default_factory=SourceLimits)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to make: `count` pieces from `first`, of the source with that key.

    `choices`: if it is not 0, a mask: the source may as well choose of these (`first` is one) up to `most` in a row.
    """

    number: int
    source: str
    first: int
    count: int
    choices: int = 0
    most: int = 1


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now: requests to make, and numbers of requests to cut off (nothing more is expected of them)."""

    asks: tuple[Ask, ...]
    aborts: tuple[int, ...]
