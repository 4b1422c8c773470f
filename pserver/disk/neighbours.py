"""Reaching many files of the share one after another: the folder of the last one is kept open, for the next is most
likely in it too. Opened as everything in the share is: below the held folder, through no link.
"""

import os

from pserver.disk.folder import Folder


class Neighbours:
    """Files of `folder`. A context manager; not thread-safe. What lies in a folder is seen as of when it is asked."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._above: bytes | None = None
        self._opened = -1

    def at(self, raw_name: bytes) -> tuple[bytes, int]:
        """The last part of the name, and the descriptor of the folder that it is in. Raises NotFound, Unavailable."""
        above, _, base = raw_name.rpartition(b"/")
        if above != self._above:
            self.close()
            self._opened = self._folder.open_folder(above)
            self._above = above
        return base, self._opened

    def close(self) -> None:
        """Let go of the last folder."""
        self._above = None
        if self._opened >= 0:
            os.close(self._opened)
            self._opened = -1

    def __enter__(self) -> "Neighbours":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
