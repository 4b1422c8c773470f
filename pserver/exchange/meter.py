"""How fast something is: bytes a second over the last few seconds. Pure: the time is an argument."""

from collections import deque

WINDOW_SECONDS = 5.0
_SLOT_SECONDS = 0.25


class Meter:
    """Counts bytes; `now` is seconds of any clock that never goes back."""

    def __init__(self) -> None:
        self._slots: deque[tuple[float, int]] = deque()  # (when it began, bytes)
        self._bytes = 0
        self.total = 0  # bytes since it was made
        self._began: float | None = None
        self.last: float | None = None  # when bytes last came

    def add(self, count: int, now: float) -> None:
        """`count` bytes came."""
        self._drop(now)
        if self._began is None:
            self._began = now
        if self._slots and now - self._slots[-1][0] < _SLOT_SECONDS:
            began, before = self._slots[-1]
            self._slots[-1] = (began, before + count)
        else:
            self._slots.append((now, count))
        self._bytes += count
        self.total += count
        self.last = now

    def began(self, now: float) -> None:
        """What is measured begins (again) now: the silence before does not count."""
        if not self._slots:
            self._began = now

    def rate(self, now: float) -> float:
        """Bytes a second over the last 5 s, or since it began; 0.0 if nothing came."""
        self._drop(now)
        if self._began is None or not self._slots:
            return 0.0
        return self._bytes / max(min(now - self._began, WINDOW_SECONDS), _SLOT_SECONDS)

    def _drop(self, now: float) -> None:
        while self._slots and self._slots[0][0] < now - WINDOW_SECONDS:
            self._bytes -= self._slots.popleft()[1]
