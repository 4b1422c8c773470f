"""Waiting longer after each failure, and not in step with everybody else who failed at the same moment."""

from collections.abc import Callable

Chance = Callable[[], float]  # like random.random: from 0 up to, not including, 1


class Backoff:
    """Delays from `first` seconds, doubling up to `most`; each is shortened by up to a half, by `chance`."""

    def __init__(self, first: float, most: float, chance: Chance) -> None:
        self._first = first
        self._most = most
        self._chance = chance
        self._failures = 0

    def after_failure(self) -> float:
        """Count one more failure; the seconds to wait after it."""
        whole = min(self._most, self._first * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return whole * (1.0 - self._chance() / 2)

    def reset(self) -> None:
        """It went well: the next failure is a first one."""
        self._failures = 0
