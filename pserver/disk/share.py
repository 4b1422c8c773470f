"""The share: its index and its files, together.

A file is what its row says only while its stamp (size, mtime, ctime, inode) is that of the row: `open` gives no
other, and what it gives can tell whether it still is. Whoever finds a file changed tells the scanner, not the index.
"""

import io
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pserver.disk.folder import Folder, Stamp, stamp_of
from pserver.disk.index import TOMBSTONE_REACH, Index
from pserver.disk.rows import Indexed
from pserver.model import Conflict, FileEntry, NotFound, PServerError, SharedFile, Unavailable
from pserver.pieces import Manifest

_log = logging.getLogger(__name__)
SKIPPED_SHOWN = 100


class OpenedFile(io.FileIO):
    """A file of the share, open for reading: an ordinary binary file that knows what it was when it was opened."""

    def __init__(self, descriptor: int, stamp: Stamp) -> None:
        super().__init__(descriptor, "rb")
        self._stamp = stamp

    def still_same(self) -> bool:
        """Whether nobody has written to the file since it was indexed. One fstat."""
        return stamp_of(os.fstat(self.fileno())) == self._stamp


class Share(Index):
    """What this peer shares from `folder`, with its index in the SQLite file at `path`. Thread-safe."""

    def __init__(self, path: Path, folder: Folder, tombstone_reach: int = TOMBSTONE_REACH) -> None:
        super().__init__(path, tombstone_reach)
        self.folder = folder
        self._on_change: list[Callable[[], None]] = []
        self._on_suspect: list[Callable[[bytes], None]] = []
        self._skipped: tuple[int, list[tuple[str, str]]] = (0, [])

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each growth of the sequence, outside all locks, in the thread that made it grow."""
        self._on_change.append(callback)

    def on_suspect(self, callback: Callable[[bytes], None]) -> None:
        """Call `callback` with the raw name of a file that was found to differ from its row."""
        self._on_suspect.append(callback)

    def by_file_id(self, file_id: bytes) -> SharedFile | None:
        """A file with that id: of several the first that is still what its row says."""
        return self._best(self.all_by_file_id(file_id))

    def by_sha256(self, sha256: bytes) -> SharedFile | None:
        """A file with that sha256, which this peer computed itself: of several the first still as in its row."""
        return self._best(self.all_by_sha256(sha256))

    def put(self, name: str, raw_name: bytes, stamp: Stamp, manifest: Manifest, sha256_checked: bool) -> None:
        """Index one file. Raises Conflict if another file on disk has that name (in NFC)."""
        if self.put_many([Indexed(name, raw_name, stamp, manifest, sha256_checked)]):
            raise Conflict(f"another file in the share is called '{name}' too, in another Unicode form")

    def put_many(self, indexed: Iterable[Indexed]) -> list[Indexed]:
        """Index those files in one transaction; gives back those whose name another file on disk has."""
        refused, grown = self.write_rows(indexed, self.is_there)
        if grown:
            self._tell_change()
        return refused

    def announce_partial(self, entry: FileEntry) -> None:
        """Tell others that this peer is downloading that file and serves what it has; not if its name is in use."""
        if self.put_partial_row(entry):
            self._tell_change()

    def withdraw_partial(self, file_id: bytes) -> None:
        """Tell them no longer; of a file that was put under the name meanwhile they are told as of any other."""
        if self.drop_partial_row(file_id):
            self._tell_change()

    def forget(self, names: Iterable[str]) -> None:
        """Drop those names from the index; the files are left alone."""
        if self.drop_rows(names):
            self._tell_change()

    def forget_vanished(self, known: Mapping[bytes, Stamp]) -> None:
        """Drop the rows of those raw names, unless they were written anew since they had those stamps."""
        if self.drop_vanished(known):
            self._tell_change()

    def mark_sha256_checked(self, file_id: bytes, ok: bool) -> None:
        """Note whether the sha256 that the manifest of that file claims was found right.

        If not, the rows are dropped: whoever made the manifest lied, so these files have another id.
        """
        held = [] if ok else self.all_by_file_id(file_id)
        if self.check_sha256(file_id) if ok else self.drop_rows(file.name for file in held):
            self._tell_change()
        for file in held:
            self.suspect(file.raw_name)

    def adopt(self, name: str, manifest: Manifest, sha256_checked: bool) -> SharedFile:
        """Index the file that was just placed under `name`, whose bytes are known to be those of `manifest`.

        The scanner does not hash it again. Raises NotFound, Conflict (it is not as long as the manifest says, or
        another file has that name), Unavailable.
        """
        raw_name = self.folder.raw_name(name)
        stamp = stamp_of(self.folder.stat(raw_name))
        if stamp[0] != manifest.size:
            raise Conflict(f"'{name}' changed after it was finished", code="changed")
        self.put(name, raw_name, stamp, manifest, sha256_checked)
        adopted = self.by_name(name)
        if adopted is None:  # removed again in this instant
            raise NotFound(f"'{name}' is no longer in the share")
        return adopted

    def open(self, file: SharedFile) -> OpenedFile:
        """The file's bytes. Raises NotFound, Unavailable, or Conflict with code "changed" if it is no longer as
        indexed; of both the scanner is told."""
        try:
            descriptor = self.folder.open_read(file.raw_name)
        except NotFound:
            self.suspect(file.raw_name)
            raise
        opened = OpenedFile(descriptor, file_stamp(file))
        if opened.still_same():
            return opened
        opened.close()
        self.suspect(file.raw_name)
        raise Conflict(f"'{file.name}' has changed since it was indexed; it is indexed anew", code="changed")

    def remove_indexed(self, file: SharedFile) -> None:
        """Delete that file, and its row, if it is what its row says. Raises what `open` raises."""
        self.open(file).close()
        self.folder.remove(file.raw_name)
        self.forget([file.name])

    def suspect(self, raw_name: bytes) -> None:
        """Tell the scanner to look at that file again."""
        for callback in self._on_suspect:
            callback(raw_name)

    def is_there(self, raw_name: bytes) -> bool:
        """Whether something lies under that name in the folder; True if that cannot be told."""
        try:
            self.folder.stat(raw_name)
        except NotFound:
            return False
        except PServerError:
            return True  # cannot be told: leave what is indexed
        return True

    def skipped(self) -> tuple[int, list[tuple[str, str]]]:
        """What lies in the folder and is not shared: how many, and of the first 100 (name as shown, why)."""
        return self._skipped

    def note_skipped(self, count: int, first: list[tuple[str, str]]) -> None:
        """Say what `skipped` answers from now on."""
        self._skipped = (count, first[:SKIPPED_SHOWN])

    def _best(self, files: list[SharedFile]) -> SharedFile | None:
        if len(files) > 1:
            return next((file for file in files if self._is_as_indexed(file)), files[0])
        return files[0] if files else None

    def _is_as_indexed(self, file: SharedFile) -> bool:
        try:
            return stamp_of(self.folder.stat(file.raw_name)) == file_stamp(file)
        except PServerError:
            return False

    def _tell_change(self) -> None:
        for callback in self._on_change:
            try:
                callback()
            except Exception:
                _log.exception("a listener to changes of the share failed")


def file_stamp(file: SharedFile) -> Stamp:
    """The stamp in the file's row."""
    return file.size, file.mtime_ns, file.ctime_ns, file.inode


def free_bytes(share: Share) -> int:
    """Room on the share's disk in bytes; 0 while the folder is away."""
    try:
        return share.folder.free_bytes()
    except Unavailable:
        return 0
