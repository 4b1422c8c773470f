"""Being told by the kernel what changes in the share.

Each folder is watched by itself, not the tree by recursion: the watcher's own recursion follows symbolic links out
of the share and into loops, and hears every write to a partial file. So who uses this says which folders there are,
and makes a new watch when there are new ones.
"""

import os
import threading
from collections.abc import Callable, Collection
from pathlib import Path

from watchfiles._rust_notify import RustNotify

from pserver.model import Unavailable

_DEBOUNCE_MS = 400
_ATTEMPTS = 3
_STEP_MS = 200  # how often a waiting thread looks whether it shall stop


class Watch:
    """Watches those folders (raw names in the share, b"" the share itself) and calls `touched` with raw names.

    `touched` is called from a thread of this watch, b"" standing for the share itself; `ended` if watching fails.
    Raises Unavailable, with the reason, if they cannot be watched: most often there are more folders than the
    system lets a user watch.
    """

    def __init__(
        self,
        root: Path,
        folders: Collection[bytes],
        touched: Callable[[set[bytes]], None],
        ended: Callable[[str], None],
    ) -> None:
        self._root = os.path.realpath(root)
        self._touched = touched
        self._ended = ended
        self._stopping = threading.Event()
        paths = [f"{self._root.rstrip('/')}/{os.fsdecode(folder)}" for folder in folders]
        try:
            self._notify = _notify(paths)
        except Exception as error:  # whatever the watcher's library raises, the scans go on without it
            raise Unavailable(f"changes are not seen at once: {error}") from error
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stop watching; waits at most `timeout` seconds for the thread."""
        self._stopping.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            with self._notify:
                while isinstance(changes := self._wait(), set):
                    self._touched({raw for _, path in changes if (raw := self._raw(path)) is not None})
        except Exception as error:
            if not self._stopping.is_set():
                self._ended(f"changes are not seen at once: {error}")

    def _wait(self) -> object:
        changes: object = None
        while not isinstance(changes, set) and changes != "stop":
            changes = self._notify.watch(_DEBOUNCE_MS, _STEP_MS, 60_000, self._stopping)
        return changes

    def _raw(self, path: str) -> bytes | None:
        if path == self._root:
            return b""
        above = self._root.rstrip("/") + "/"
        return os.fsencode(path.removeprefix(above)) if path.startswith(above) else None


def _notify(paths: list[str]) -> RustNotify:
    for _ in range(_ATTEMPTS - 1):
        try:
            return RustNotify(*_options([path for path in paths if Path(path).is_dir()]))
        except FileNotFoundError:  # a folder went away since it was seen to be there
            continue
    return RustNotify(*_options(paths))


def _options(paths: list[str]) -> tuple[list[str], bool, bool, int, bool, bool]:
    debug = force_polling = recursive = False
    return paths, debug, force_polling, 300, recursive, True
