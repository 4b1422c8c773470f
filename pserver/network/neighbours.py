"""The peers through which lookups go: those of the settings, or else those that the locator assigned.

A neighbour that does not answer is dead for a while (1 s, doubling to 30 s) and not asked meanwhile; it is probed in
the background, so that no lookup has to wait to find out. One given as a bare URL has no id until it is asked for
it, the first time it is needed; the ping that follows proves it.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pserver.backoff import Backoff, Chance
from pserver.model import Peer, PServerError, Refused

MAX_NEIGHBOURS = 8
PROBE_SECONDS = 1.0
_FIRST_REST = 1.0
_LONGEST_REST = 30.0
_FRESH_SECONDS = 30.0  # one that was heard of so lately needs no probe
_LOOK_SECONDS = 2.0  # how often to see whether others were assigned
_log = logging.getLogger(__name__)


class NeighbourClient(Protocol):
    """What is asked of a PeerClient."""

    def identify(self, url: str, seconds: float) -> str: ...
    def ping(self, peer: Peer, seconds: float) -> Peer: ...


@dataclass(slots=True)
class _Neighbour:
    given: Peer  # as configured or assigned; peer_id "" if only its URL was
    peer: Peer | None  # None until its id is known
    backoff: Backoff
    state: str = "unknown"
    probe_at: float = 0.0


class Neighbours:
    """Knows them and how they are. Thread-safe. `start` and `stop` run the probes in a thread of its own.

    `configured`: URL or PEER_ID@URL; if there is none, `assigned()` says which. `own` is never its own neighbour.
    """

    def __init__(
        self,
        configured: Sequence[str],
        assigned: Callable[[], Sequence[Peer]],
        client: NeighbourClient,
        own_peer_id: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Chance = random.random,
    ) -> None:
        self._configured = [_given(text) for text in configured]
        self._assigned = assigned
        self._client = client
        self._own_peer_id = own_peer_id
        self._clock = clock
        self._chance = chance
        self._known: dict[str, _Neighbour] = {}
        self._lock = threading.Lock()  # never held while a neighbour is called
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="neighbours", daemon=True)

    def start(self) -> None:
        """Begin to probe."""
        self._thread.start()

    def stop(self) -> None:
        """End the probes, within the time that one takes."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(2 * PROBE_SECONDS)

    def in_order(self) -> tuple[list[str], list[str]]:
        """Their URLs: those to ask, in order, and those that are dead, for whoever has nobody else to ask."""
        with self._lock:
            known = self._current()
            alive = [each.given.url for each in known if each.state != "dead"]
            return alive, [each.given.url for each in known if each.state == "dead"]

    def statuses(self) -> list[tuple[Peer, str]]:
        """Each neighbour (its URL for a name, and no id, as long as these are unknown) and ok, dead or unknown."""
        with self._lock:
            return [(each.peer or each.given, each.state) for each in self._current()]

    def resolve(self, url: str, seconds: float) -> Peer | None:
        """The peer at that URL, asked for its id if need be; None if it is no neighbour (any more), or is oneself.

        Raises what the client raises.
        """
        with self._lock:
            self._current()
            found = self._known.get(url)
            known = found.peer if found is not None else None
        if found is None:
            return None
        if known is None:
            known = Peer(self._client.identify(url, seconds), url, url)
            with self._lock:
                found.peer = known
        return None if known.peer_id == self._own_peer_id else known

    def answered(self, url: str, peer: Peer | None = None) -> None:
        """It is alive; `peer`: as it now says it is, proved."""
        with self._lock:
            found = self._known.get(url)
            if found is not None:
                found.state, found.peer = "ok", peer or found.peer
                found.backoff.reset()
                found.probe_at = self._clock() + _FRESH_SECONDS

    def failed(self, url: str, error: PServerError) -> None:
        """It did not answer, or not as a peer should."""
        with self._lock:
            found = self._known.get(url)
            if found is None:
                return
            news = found.state != "dead"
            found.state, found.probe_at = "dead", self._clock() + found.backoff.after_failure()
            if isinstance(error, Refused) and not found.given.peer_id:
                found.peer = None  # perhaps another peer lives there now: ask again
        _log.log(logging.INFO if news else logging.DEBUG, "neighbour %s is left out for a while: %s", url, error)

    def tick(self, now: float) -> float:
        """Probe those whose time has come; when to be called again."""
        with self._lock:
            due = [each.given.url for each in self._current() if each.probe_at <= now]
        for url in due:
            if not self._stopped.is_set():
                self._probe(url)
        with self._lock:
            return min([now + _LOOK_SECONDS, *(each.probe_at for each in self._current())])

    def _probe(self, url: str) -> None:
        try:
            peer = self.resolve(url, PROBE_SECONDS)
            if peer is not None:
                self.answered(url, self._client.ping(peer, PROBE_SECONDS))
        except PServerError as error:
            self.failed(url, error)

    def _current(self) -> list[_Neighbour]:
        """The neighbours of now, in order; called with the lock held. Those no longer assigned are forgotten."""
        given = self._configured or [peer for peer in self._assigned() if peer.peer_id != self._own_peer_id]
        before, self._known = self._known, {}
        for peer in given[:MAX_NEIGHBOURS]:
            known = before.get(peer.url)
            if known is None or known.given.peer_id != peer.peer_id:
                backoff = Backoff(_FIRST_REST, _LONGEST_REST, self._chance)
                known = _Neighbour(peer, peer if peer.peer_id else None, backoff)
            self._known[peer.url] = known
        return [each for each in self._known.values() if each.peer is None or each.peer.peer_id != self._own_peer_id]

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                until = self.tick(self._clock())
            except Exception:
                _log.exception("the probes of neighbours go on after an unexpected failure")
                until = self._clock() + _LOOK_SECONDS
            self._stopped.wait(max(0.05, until - self._clock()))


def _given(text: str) -> Peer:
    peer_id, _at, url = text.rpartition("@")
    return Peer(peer_id, url, url)
