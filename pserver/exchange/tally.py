"""How many pieces came and were right or wrong, over all downloads: for whoever watches."""

import threading


class PieceTally:
    """Thread-safe. One call a piece, never one a read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._right = self._wrong = 0

    def right(self, count: int = 1) -> None:
        """So many pieces verified."""
        with self._lock:
            self._right += count

    def wrong(self) -> None:
        """A piece, or a bundle, was not what it should be."""
        with self._lock:
            self._wrong += 1

    def counts(self) -> tuple[int, int]:
        """(right, wrong) so far."""
        with self._lock:
            return self._right, self._wrong
