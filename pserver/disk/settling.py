"""When a file has stopped changing. Pure: stamps and times come as arguments.

A file has settled when its stamp is QUIET_SECONDS old, or was seen unchanged for that long. The second rule serves
files whose times lie in the future, or come from another machine's clock.
"""

from enum import Enum

from pserver.disk.folder import Stamp

QUIET_SECONDS = 2.0
_NANOSECONDS = 1_000_000_000


class Verdict(Enum):
    """What a look at a file's stamp says."""

    SETTLED = "settled"
    WAITING = "waiting"
    MOVING = "moving"  # it changed again since the last look


class Settling:
    """The files that are waited for, by raw name. Times are Unix time in seconds."""

    def __init__(self, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._quiet = quiet_seconds
        self._since: dict[bytes, tuple[Stamp, float]] = {}  # oldest first: who is seen anew goes to the end

    def look(self, raw_name: bytes, stamp: Stamp, now: float) -> Verdict:
        """The file has that stamp now. SETTLED files are no longer waited for, all others are."""
        seen = self._since.get(raw_name)
        if max(stamp[1], stamp[2]) <= (now - self._quiet) * _NANOSECONDS or (
            seen is not None and seen[0] == stamp and now >= seen[1] + self._quiet
        ):
            self.forget(raw_name)
            return Verdict.SETTLED
        if seen is not None and seen[0] == stamp and seen[1] <= now:
            return Verdict.WAITING
        self.forget(raw_name)
        self._since[raw_name] = (stamp, now)
        return Verdict.WAITING if seen is None or seen[0] == stamp else Verdict.MOVING

    def forget(self, raw_name: bytes) -> None:
        """Wait for that file no longer."""
        self._since.pop(raw_name, None)

    def due(self, now: float) -> list[bytes]:
        """The files to look at again now."""
        found: list[bytes] = []
        for raw_name, (_, since) in self._since.items():
            if since <= now < since + self._quiet:
                break
            found.append(raw_name)
        return found

    def next_due(self) -> float | None:
        """When `due` will next name a file; None if none is waited for."""
        for _, since in self._since.values():
            return since + self._quiet
        return None

    def __contains__(self, raw_name: object) -> bool:
        return raw_name in self._since

    def __len__(self) -> int:
        return len(self._since)
