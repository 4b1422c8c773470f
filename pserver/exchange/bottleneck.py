"""What a download waits for, in words: found by where the time of its workers went in the last seconds. Pure.

A worker waits for a source to send, or for the download rate, or hashes, or writes. What most of the time went to is
what holds the download up: were that faster, it would be too.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from pserver.exchange.meter import Meter

WAITING_FOR = "waiting for "  # how a standstill begins in which somebody was asked, and sends nothing
NO_SOURCE = "no source"
DISK = "disk"
Work = Literal["rate limit", "processor", "disk"]  # what is not waiting for a source
_UNITS = 1_000_000  # a Meter counts whole things: microseconds
_PART_OF_PEERS = 0.1  # a peer that less of the time went to is not named
_NAMED = 3


class Effort:
    """Where the time of all workers of one download went. `now` as of a Meter. Not thread-safe."""

    def __init__(self) -> None:
        self._work: dict[Work, Meter] = {}
        self._peers: dict[str, Meter] = {}

    def worked(self, work: Work, seconds: float, now: float) -> None:
        """A worker did this for so long."""
        self._work.setdefault(work, Meter()).add(int(seconds * _UNITS), now)

    def waited(self, peer: str, seconds: float, now: float) -> None:
        """A worker waited for the peer of that name to send."""
        self._peers.setdefault(peer, Meter()).add(int(seconds * _UNITS), now)

    def bottleneck(self, now: float) -> str | None:
        """What holds the download up; None if nothing was done lately."""
        peers = {name: meter.rate(now) for name, meter in self._peers.items()}
        waited = sum(peers.values())
        work, worked = max(((one, m.rate(now)) for one, m in self._work.items()), key=_second, default=(None, 0.0))
        if not waited and not worked:
            return None
        if worked > waited:
            return work
        slow = sorted(peers, key=lambda name: -peers[name])
        return peers_are_slow([name for name in slow if peers[name] >= waited * _PART_OF_PEERS] or slow)


def peers_are_slow(names: Sequence[str]) -> str:
    """ "peer b is slow", "peers b and c are slow", "5 peers are slow". At least one name."""
    if len(names) == 1:
        return f"peer {names[0]} is slow"
    if len(names) > _NAMED:
        return f"{len(names)} peers are slow"
    return f"peers {', '.join(names[:-1])} and {names[-1]} are slow"


def of_standstill(standstill: str, slow_peers: Iterable[str]) -> str:
    """The bottleneck of a download that stands still for that reason.

    A peer that is dead or busy, and will be tried again, is no source now; one that was asked and is silent is slow.
    """
    names = list(dict.fromkeys(slow_peers))
    return peers_are_slow(names) if names and standstill.startswith(WAITING_FOR) else NO_SOURCE


def _second(pair: tuple[object, float]) -> float:
    return pair[1]
