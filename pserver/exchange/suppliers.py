"""Which peer to ask for the next bundle: what one transfer knows of those that give it small files. Pure.

Of the peers that may have the files the one with the fewest bundles on their way is asked, of these the one that has
the most. So a fast one is asked oftener than a slow one.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence

from pserver.model import Holder, Peer


class Suppliers:
    """The peers that a transfer can have bundles from. `hints`: those taken to have every file. Thread-safe."""

    def __init__(self, hints: Iterable[Peer], own_id: str) -> None:
        self._own_id = own_id
        self._hints = {peer.peer_id: peer for peer in hints}
        self._lock = threading.Lock()
        self._on_their_way: dict[str, int] = {}
        self._out: set[str] = set()
        self.slow = False  # the last bundle took long: others are worth looking for

    def choose(
        self, wanted: Sequence[bytes], holders: Mapping[bytes, Sequence[Holder]], without: set[str]
    ) -> tuple[Peer, list[bytes]] | None:
        """A peer and what to ask it for; it counts as asked until `ended`. None if there is nobody to ask."""
        having = self._having(wanted, holders)
        with self._lock:
            left_out = without | self._out | {self._own_id}
            able = [one for one in having.values() if one[0].peer_id not in left_out]
            if not able:
                return None
            chosen = min(able, key=lambda one: (self._on_their_way.get(one[0].peer_id, 0), -len(one[1])))
            self._on_their_way[chosen[0].peer_id] = self._on_their_way.get(chosen[0].peer_id, 0) + 1
        return chosen

    def known(self, holders: Mapping[bytes, Sequence[Holder]]) -> set[str]:
        """The ids of all peers that there may be to ask."""
        return set(self._hints) | {holder.peer.peer_id for some in holders.values() for holder in some}

    def ended(self, peer_id: str, slow: bool, leave_out: bool) -> None:
        """That bundle has ended. `slow`: it took long. `leave_out`: do not ask that peer for another."""
        with self._lock:
            self._on_their_way[peer_id] -= 1
            self.slow = slow
            if leave_out:
                self._out.add(peer_id)

    def _having(
        self, wanted: Sequence[bytes], holders: Mapping[bytes, Sequence[Holder]]
    ) -> dict[str, tuple[Peer, list[bytes]]]:
        """Every peer that may have some of them, by its id, with these."""
        having = {peer_id: (peer, list(wanted)) for peer_id, peer in self._hints.items()}
        for file_id in wanted:
            for holder in holders.get(file_id, ()):
                if not holder.partial and holder.peer.peer_id not in self._hints:
                    having.setdefault(holder.peer.peer_id, (holder.peer, []))[1].append(file_id)
        return having
