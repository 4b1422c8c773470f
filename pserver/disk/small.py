"""Reading many small files of the share at once: one look into the index for all, one open folder for neighbours.

A file of at most one piece costs more to find than to read. Each is checked as any file that is served: it is what
its row says before it is read and after, or else it is not given and the scanner is told.
"""

import os
from collections.abc import Iterable, Sequence

from pserver.disk.folder import stamp_of
from pserver.disk.neighbours import Neighbours
from pserver.disk.share import Share, file_stamp
from pserver.model import NotFound, PServerError, SharedFile
from pserver.pieces import MIN_PIECE_BYTES, Manifest, SmallFile

_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC  # non-blocking: a FIFO must not hang


def read_small(share: Share, file_ids: Sequence[bytes], most_bytes: int) -> list[SmallFile]:
    """Those files, in that order, with at most `most_bytes` of manifests and contents; those beyond are for later.

    The contents are not hashed: whoever takes them does that. Raises Unavailable.
    """
    rows = share.rows_with_hashes(file_ids)
    left, full = most_bytes, False
    found: list[SmallFile] = []
    with Neighbours(share.folder) as opened:
        for file_id in file_ids:
            if full:
                found.append(SmallFile(file_id, "later"))
                continue
            file = _read_any(share, opened, file_id, rows.get(file_id, []))
            left -= len(file.manifest) + len(file.content)
            full = left < 0
            found.append(SmallFile(file_id, "later") if full else file)
    return found


def _read_any(share: Share, opened: Neighbours, file_id: bytes, rows: Iterable[tuple[SharedFile, bytes]]) -> SmallFile:
    """The file from the first of its names under which it still is what it was."""
    result = SmallFile(file_id, "gone")
    for row, piece_hashes in rows:
        if row.size > MIN_PIECE_BYTES:
            return SmallFile(file_id, "large")
        content = _read(share, opened, row)
        if content is not None:
            manifest = Manifest(row.size, MIN_PIECE_BYTES, row.sha256, piece_hashes)
            return SmallFile(file_id, "here", manifest.encode(), content)
        result = SmallFile(file_id, "changed")
    return result


def _read(share: Share, opened: Neighbours, row: SharedFile) -> bytes | None:
    try:
        content = _content(*opened.at(row.raw_name), row)
    except (OSError, NotFound):
        content = None
    except PServerError:
        return None  # the share is away
    if content is None:
        share.suspect(row.raw_name)
    return content


def _content(base: bytes, folder_fd: int, row: SharedFile) -> bytes | None:
    """The content, if the file is what its row says before and after. Raises OSError."""
    stamp = file_stamp(row)
    opened = os.open(base, _FILE, dir_fd=folder_fd)
    try:
        if stamp_of(os.fstat(opened)) != stamp:
            return None
        content = os.read(opened, row.size + 1)
        same = len(content) == row.size and stamp_of(os.fstat(opened)) == stamp
    finally:
        os.close(opened)
    return content if same else None
