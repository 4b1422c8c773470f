"""This peer as others reach it, which can change while it runs: a machine gets another address by DHCP, or moves."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from pserver.model import Peer

LOOK_SECONDS = 15.0
_log = logging.getLogger(__name__)


class Here:
    """Called, it is this peer as of now. Thread-safe.

    `find_url` says where others reach it (None: nowhere, now); it may take a while.
    """

    def __init__(self, peer: Peer, find_url: Callable[[], str | None]) -> None:
        self._peer = peer
        self._find_url = find_url

    def __call__(self) -> Peer:
        """This peer; no other part keeps its address for long."""
        return self._peer

    def look(self) -> bool:
        """Find the address anew; whether it is another one. While the network is away, the old one stays."""
        url = self._find_url()
        if url is None or url == self._peer.url:
            return False
        _log.warning("others now reach this peer at %s, no longer at %s", url, self._peer.url)
        self._peer = replace(self._peer, url=url)
        return True


class Lookout:
    """Looks every so often, in a thread of its own between `start` and `stop`, and tells when this peer has moved."""

    def __init__(self, here: Here, moved: Callable[[], object], seconds: float = LOOK_SECONDS) -> None:
        self._here = here
        self._moved = moved
        self._seconds = seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="address", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, without waiting for a lookup of names that is under way."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                if self._here.look():
                    self._moved()
            except Exception:
                _log.exception("looking for this peer's address goes on after an unexpected failure")
