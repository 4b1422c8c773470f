"""Listing what a share holds: every file to offer with its stamp, and what is passed over with the reason.

Through folder descriptors, following no link. One folder is open at a time, each opened from the share's root, so
depth costs no descriptors and no recursion. A folder so deep that no name below it could be legal is passed over.
"""

import os
import unicodedata
from collections.abc import Callable, Iterator

from protos.names import MAX_NAME_BYTES, InvalidName, check_name
from pserver.disk.folder import Folder, Stamp
from pserver.model import NotFound, PServerError, Unavailable

Found = list[tuple[bytes, Stamp]]  # raw name in the share, stamp
PassOver = Callable[[str, str], None]  # called with a name as it can be shown, and why it is not shared


class Walk:
    """One walk over the share, or over what lies below `start` (raw, "a/b").

    `folders`: those seen so far, raw (b"" for the share itself), with their inodes. `broken`: those whose reading
    failed for a reason that says nothing about their files (an I/O error): what was known below them is to be kept.
    """

    def __init__(self, folder: Folder, pass_over: PassOver, start: bytes = b"") -> None:
        self.folders: dict[bytes, int] = {}
        self.broken: list[bytes] = []
        self._folder = folder
        self._pass_over = pass_over
        self._waiting = [start]

    def __iter__(self) -> Iterator[Found]:
        """The files of one folder after another. Raises Unavailable if the share itself cannot be read."""
        while self._waiting:
            raw = self._waiting.pop()
            try:
                yield self._list(raw)
            except NotFound:
                continue  # gone since its parent was listed
            except PServerError as error:
                if not raw:
                    raise
                self._fail(raw, error, error.__cause__)

    def _fail(self, raw: bytes, error: PServerError, cause: BaseException | None) -> None:
        self._pass_over(display_name(raw) + "/", str(error))
        if not isinstance(cause, PermissionError):
            self.broken.append(raw)

    def _list(self, raw: bytes) -> Found:
        opened = self._folder.open_folder(raw)
        self.folders[raw] = os.fstat(opened).st_ino
        try:
            with os.scandir(opened) as entries:
                return self._sort(os.fsdecode(raw) + "/" if raw else "", entries)
        except OSError as error:
            # The folder is there but cannot be listed to its end: no word on what it holds.
            self._fail(raw, Unavailable(f"it cannot be read: {error.strerror}"), error)
            return []
        finally:
            os.close(opened)

    def _sort(self, above: str, entries: "os._ScandirIterator[str]") -> Found:
        # The loop that a scan of many files spends its time in: plain names are judged by two cheap looks.
        found: Found = []
        add = found.append
        longest_plain = MAX_NAME_BYTES - len(above.encode())
        for entry in entries:
            name = entry.name
            if name[0] == ".":
                continue
            if entry.is_file(follow_symlinks=False):
                if (not name.isascii() or len(name) > longest_plain) and not self._is_legal(above + name):
                    continue
                try:
                    at = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                add((_raw(above + name), (at.st_size, at.st_mtime_ns, at.st_ctime_ns, at.st_ino)))
            elif entry.is_dir(follow_symlinks=False):
                if self._is_legal(above + name):
                    self._waiting.append(_raw(above + name))
            else:
                what = "a symbolic link" if entry.is_symlink() else "not a regular file"
                self._pass_over(display_name(_raw(above + name)), f"it is {what}")
        return found

    def _is_legal(self, shown: str) -> bool:
        try:
            name_of(_raw(shown))
        except InvalidName as error:
            self._pass_over(display_name(_raw(shown)), str(error))
            return False
        return True


def _raw(shown: str) -> bytes:
    return shown.encode() if shown.isascii() else os.fsencode(shown)


def name_of(raw_name: bytes) -> str:
    """The name under which a file with those bytes as its name on disk is shared. Raises InvalidName."""
    try:
        shown = raw_name.decode()
    except UnicodeDecodeError:
        raise InvalidName("its name is not valid UTF-8") from None
    return check_name(shown if shown.isascii() else unicodedata.normalize("NFC", shown))


def display_name(raw_name: bytes) -> str:
    """Those bytes as text that can be shown and sent: what is not UTF-8 becomes escapes."""
    return raw_name.decode(errors="backslashreplace")
