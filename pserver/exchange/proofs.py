"""Whether a peer answers at the address that somebody told for it: itself in a swarm, or another that heard of it.

An address in the news of a swarm is a claim, and whoever hears it would connect there. So it is believed only once a
ping there was answered with a proof by the key of that peer, and told to others only then. However many addresses are
claimed for a peer, one is tried in ASK_SECONDS: a member cannot send this peer through a network by naming addresses.
Who claims wrong ones for another can at most keep the news of it from going round; lookups find it all the same.

Addresses that a lookup gave are not asked here: the locator has asked there itself.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from pserver.model import Peer, PServerError

PROVED_SECONDS = 600.0
ASK_SECONDS = 30.0
PING_SECONDS = 1.0
_MOST_KNOWN = 4096
_MOST_AT_ONCE = 4
_V = TypeVar("_V")


class Proofs:
    """Thread-safe. `ping(peer, seconds)` raises a PServerError if it is not proved. `clock` never goes back.

    `submit` runs something in another thread.
    """

    def __init__(
        self,
        ping: Callable[[Peer, float], object],
        clock: Callable[[], float],
        submit: Callable[[Callable[[], None]], object],
    ) -> None:
        self._ping = ping
        self._clock = clock
        self._submit = submit
        self._lock = threading.Lock()
        self._right: OrderedDict[str, tuple[str, float]] = OrderedDict()  # by peer id: its address, proved until when
        self._asked: OrderedDict[str, float] = OrderedDict()  # by peer id: until when nothing claimed for it is tried
        self._asking = 0

    def proved(self, peer: Peer) -> bool:
        """Whether it was, lately. Asks nobody."""
        with self._lock:
            url, until = self._right.get(peer.peer_id, ("", 0.0))
        return url == peer.url and until > self._clock()

    def prove(self, peer: Peer) -> bool:
        """Whether it is: asks there, unless that was done lately. Takes PING_SECONDS or so at most."""
        if self.proved(peer) or not self._may_ask(peer):
            return self.proved(peer)
        try:
            self._ping(peer, PING_SECONDS)
        except PServerError:
            return False
        finally:
            with self._lock:
                self._asking -= 1
        with self._lock:
            _keep(self._right, peer.peer_id, (peer.url, self._clock() + PROVED_SECONDS))
        return True

    def look_into(self, peer: Peer) -> None:
        """Have it proved by and by. Of many at once some are left for the next time that they are told."""

        def ask() -> None:
            self.prove(peer)

        if not self.proved(peer) and self._worth_asking(peer):
            self._submit(ask)

    def _worth_asking(self, peer: Peer) -> bool:
        with self._lock:
            return self._asking < _MOST_AT_ONCE and self._asked.get(peer.peer_id, 0.0) <= self._clock()

    def _may_ask(self, peer: Peer) -> bool:
        """Whether to ask now; then nobody else does."""
        now = self._clock()
        with self._lock:
            if self._asking >= _MOST_AT_ONCE or self._asked.get(peer.peer_id, 0.0) > now:
                return False
            self._asking += 1
            _keep(self._asked, peer.peer_id, now + ASK_SECONDS)
        return True


def _keep(known: OrderedDict[str, _V], peer_id: str, value: _V) -> None:
    known[peer_id] = value
    known.move_to_end(peer_id)
    while len(known) > _MOST_KNOWN:
        known.popitem(last=False)
