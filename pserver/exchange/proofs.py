"""Whether a peer answers at the address that somebody told for it: itself in a swarm, or another that heard of it.

An address in the news of a swarm is a claim, and whoever hears it would connect there. So it is believed only once a
ping there was answered with a proof by the key of that peer, and told to others only then. However many addresses are
claimed for a peer, one is tried in ASK_SECONDS: a member cannot send this peer through a network by naming addresses.
Who claims wrong ones for another can at most keep the news of it from going round; lookups find it all the same.

Nobody waits for a ping: who wants to know says what to do then. Of many claims at once some are left for the next time
that they are told.

Addresses that a lookup gave are not asked here: the locator has asked there itself.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pserver.model import Peer, PServerError

PROVED_SECONDS = 600.0
ASK_SECONDS = 30.0
PING_SECONDS = 1.0
MOST_AT_ONCE = 8
MOST_WAITING = 64
_MOST_KNOWN = 4096
_V = TypeVar("_V")


@dataclass
class _Claim:
    """An address that is being looked into, or soon will be; and what is to be done once it is proved."""

    peer: Peer
    then: list[Callable[[], None]]


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
        self._claims: dict[str, _Claim] = {}  # by peer id
        self._queue: deque[_Claim] = deque()
        self._asking = 0

    def proved(self, peer: Peer) -> bool:
        """Whether it was, lately. Asks nobody."""
        with self._lock:
            url, until = self._right.get(peer.peer_id, ("", 0.0))
        return url == peer.url and until > self._clock()

    def look_into(self, peer: Peer, then: Callable[[], None]) -> bool:
        """Have it proved, and `then` done, in another thread, if it is. False: not now, so `then` will not be done."""
        with self._lock:
            claim = self._claims.get(peer.peer_id) or self._new_claim(peer)
            if claim is None or claim.peer.url != peer.url or len(claim.then) >= MOST_WAITING:
                return False
            claim.then.append(then)
            if self._asking >= min(MOST_AT_ONCE, len(self._claims)):
                return True
            self._asking += 1
        self._submit(self._work)
        return True

    def _new_claim(self, peer: Peer) -> _Claim | None:
        now = self._clock()
        if len(self._claims) >= MOST_WAITING or self._asked.get(peer.peer_id, 0.0) > now:
            return None
        _keep(self._asked, peer.peer_id, now + ASK_SECONDS)
        claim = self._claims[peer.peer_id] = _Claim(peer, [])
        self._queue.append(claim)
        return claim

    def _work(self) -> None:
        """Look into what waits, until nothing does."""
        try:
            while (claim := self._next()) is not None:
                self._settle(claim)
        except BaseException:
            with self._lock:
                self._asking -= 1
            raise

    def _settle(self, claim: _Claim) -> None:
        right = False
        try:
            right = self._answers(claim.peer)
        finally:
            with self._lock:
                del self._claims[claim.peer.peer_id]
                if right:
                    _keep(self._right, claim.peer.peer_id, (claim.peer.url, self._clock() + PROVED_SECONDS))
        for then in claim.then if right else ():
            then()

    def _next(self) -> _Claim | None:
        with self._lock:
            if self._queue:
                return self._queue.popleft()
            self._asking -= 1
            return None

    def _answers(self, peer: Peer) -> bool:
        try:
            self._ping(peer, PING_SECONDS)
        except PServerError:
            return False
        return True


def _keep(known: OrderedDict[str, _V], peer_id: str, value: _V) -> None:
    known[peer_id] = value
    known.move_to_end(peer_id)
    while len(known) > _MOST_KNOWN:
        known.popitem(last=False)
