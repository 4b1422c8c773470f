"""The quota of the share: how many bytes it may have in all, whoever puts them there.

What counts: the files that are indexed, what the downloads that live will bring, and what the own person's open
uploads will. Files that a person puts into the folder by hand count, but nothing can refuse them.
"""

from collections.abc import Callable
from typing import Protocol

from pserver.model import NoRoom
from pserver.sizes import human_size


class Files(Protocol):
    """What the quota needs of the share."""

    def totals(self) -> tuple[int, int]: ...


class Promises(Protocol):
    """What the quota needs of the records of transfers."""

    def promised_bytes(self) -> int: ...


class Quota:
    """`most`: bytes; None: no quota. `uploads`: bytes of the own person's open uploads, once there are such."""

    def __init__(self, most: int | None, share: Files, transfers: Promises) -> None:
        self._most = most
        self._share = share
        self._transfers = transfers
        self.uploads: Callable[[], int] = int

    def beside_uploads(self) -> int | None:
        """What is left of it if there were no open uploads; None: no quota. May be less than nothing."""
        if self._most is None:
            return None
        return self._most - self._share.totals()[1] - self._transfers.promised_bytes()

    def left(self) -> int | None:
        """How many bytes more the share may have; None: no quota."""
        left = self.beside_uploads()
        return None if left is None else max(left - self.uploads(), 0)

    def check(self, size: int) -> None:
        """Raise NoRoom if that many bytes more are too many."""
        left = self.left()
        if left is not None and size > left:
            raise NoRoom(f"this needs {human_size(size)}, and the quota of the share leaves {human_size(left)}")
