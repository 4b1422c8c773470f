"""Who is whose neighbour: the next live peers in a ring of all peer ids.

A peer id is a hash, so the ring is in random order; each peer has as many neighbours as it is a neighbour of, and a
peer that comes or goes changes the neighbours of its few predecessors only.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator

NEIGHBOURS = 3


class Ring:
    """Peer ids in their order, around."""

    def __init__(self, peer_ids: Iterable[bytes] = ()) -> None:
        self._ids = sorted(set(peer_ids))

    def add(self, peer_id: bytes) -> None:
        """Add an id; once is enough."""
        at = bisect_left(self._ids, peer_id)
        if self._ids[at : at + 1] != [peer_id]:
            insort(self._ids, peer_id)

    def discard(self, peer_id: bytes) -> None:
        """Remove an id if it is there."""
        at = bisect_left(self._ids, peer_id)
        if self._ids[at : at + 1] == [peer_id]:
            del self._ids[at]

    def after(self, peer_id: bytes) -> Iterator[bytes]:
        """All other ids, in the order of the ring, beginning behind `peer_id`."""
        ids = self._ids.copy()  # the caller may discard while it walks
        at = bisect_right(ids, peer_id)
        yield from ids[at:]
        yield from (other for other in ids[:at] if other != peer_id)
