"""What follows from looking at the files of the share: hash, wait, drop a row, or nothing.

A look compares a file's stamp with its row. There are four cases:

1. the same: nothing to do, ever; so a restart hashes nothing again;
2. gone, or nothing that is shared: the row goes;
3. new or different, and still changing: looked at again later; a row whose file surely has other bytes goes now;
4. new or different, and settled: hashed, and the row written if the stamp is still the same after that.

Rows go only if the share is really there: if it is another folder than the one indexed and holds nothing to share, a
disk is taken to be missing (its mount point is an empty folder).
"""

import os
import stat
from collections.abc import Callable, Iterable

from protos.names import InvalidName
from pserver.disk.folder import Stamp, stamp_of
from pserver.disk.hashing import Hashed, Hashing
from pserver.disk.neighbours import Neighbours
from pserver.disk.rows import Indexed
from pserver.disk.settling import Settling, Verdict
from pserver.disk.share import SKIPPED_SHOWN, Share, file_stamp
from pserver.disk.walk import Walk, display_name, name_of
from pserver.model import NotFound, SharedFile, Unavailable

_MOST_SKIPPED = 10_000  # more than these are counted, not remembered
_ROWS_AT_ONCE = 2000  # dropped in one transaction: a stop need not wait for more
_SECOND = "another file has the same name in another Unicode form"


class Looker:
    """Looks at files of `share` when told to, until `stopped` says so. Not thread-safe: one thread calls it.

    `folders`: the folders of the share seen so far, raw name to inode. `doubt`: why the last scan dropped nothing.
    `missed`: something could not be looked at for a reason that may pass; whoever has seen that sets it back.
    """

    def __init__(self, share: Share, hashing: Hashing, settling: Settling, stopped: Callable[[], bool]) -> None:
        self.folders: dict[bytes, int] = {}
        self.doubt: str | None = None
        self.missed = False
        self._share = share
        self._hashing = hashing
        self._settling = settling
        self._stopped = stopped
        self._skipped: dict[str, str] = {}
        self._skipped_more = 0
        self._seconds: set[bytes] = set()  # raw names passed over for _SECOND: looked at again when a row goes
        self._distrust = False  # something went or changed since it was given to be hashed: check before writing

    def scan(self, now: float) -> None:
        """Look at everything. Raises Unavailable if the share cannot be read; then no row was dropped."""
        self._skipped.clear()
        self._skipped_more = 0
        known = self._share.known()
        indexed_before = len(known)
        walk = Walk(self._share.folder, self._skip)
        seen = self._compare(walk, known, now)
        if self._stopped():
            return
        self.folders = walk.folders
        self.missed = self.missed or bool(walk.broken)
        identity = self._share.folder.identity
        another = self._share.indexed_folder not in (None, identity)
        if another and indexed_before and not seen:
            self.doubt = (
                f"the share folder {self._share.folder.path} is empty, and is not the folder that was indexed: is its "
                f"disk mounted? Put a file into it to share it all the same"
            )
            return
        self.doubt = None
        self._drop(known, walk, now)
        if self._share.indexed_folder != identity:
            self._share.indexed_folder = identity

    def look_at_many(self, raw_names: Iterable[bytes], now: float) -> None:
        """As `look_at` for each of them; those that are as their rows say cost little."""
        ordered = sorted(raw_names)
        rows = self._share.stamps_of(ordered) if len(ordered) > 1 else {}
        with Neighbours(self._share.folder) as there:
            for raw_name in ordered:
                if self._stopped():
                    return
                if raw_name in rows and _stamp(there, raw_name) == rows[raw_name]:
                    self._settling.forget(raw_name)
                else:
                    self.look_at(raw_name, now)

    def look_at(self, raw_name: bytes, now: float, urgent: bool = False) -> None:
        """Look at that file, or at a folder and all below it. `urgent`: hash it first, and without waiting."""
        try:
            there = self._share.folder.stat(raw_name)
        except NotFound:
            self._gone(raw_name, now)
        except Unavailable:
            self.missed = True  # it cannot be said what is there; the next scan will
        else:
            self._seen(raw_name, there.st_mode, stamp_of(there), now, urgent)

    def write_hashed(self, now: float) -> None:
        """Write the rows of the files that were hashed, all in one transaction."""
        results = self._hashing.take()
        if not results:
            return
        good = [one for one in results if one.manifest is not None and (not self._distrust or self._is_still(one))]
        try:
            refused = self._share.put_many([_row(one) for one in good]) if good else []
        finally:
            self._hashing.settle(results)
        written = {one.raw_name for one in good}
        for result in results:
            self._after_hashing(result, result.raw_name in written, now)
        for one in refused:
            self._pass_second(one.raw_name)
        self._distrust = self._distrust and bool(self._hashing)

    def check_one_sha256(self) -> None:
        """Hash a file of which only others said its sha256: what it really is goes into the index."""
        for file in self._share.unchecked(1):
            self._hashing.submit(file.raw_name, file_stamp(file))

    def publish_skipped(self) -> None:
        """Tell the share what is not shared, and why."""
        first = list(self._skipped.items())[:SKIPPED_SHOWN]
        self._share.note_skipped(len(self._skipped) + self._skipped_more, first)

    def _scan_below(self, raw_name: bytes, now: float) -> None:
        known = self._known_at(raw_name)
        walk = Walk(self._share.folder, self._skip, raw_name)
        self._compare(walk, known, now)
        if self._stopped():
            return
        self.folders.update(walk.folders)
        self.missed = self.missed or bool(walk.broken)
        self._drop(known, walk, now)

    def _compare(self, walk: Walk, known: dict[bytes, Stamp], now: float) -> int:
        """Take from `known` what the walk finds, look at what differs; how many files were found."""
        seen = 0
        take = known.pop
        for found in walk:
            seen += len(found)
            for raw_name, stamp in found:
                before = take(raw_name, None)
                if before != stamp:
                    self._differs(raw_name, stamp, before, now)
            if self._stopped():
                break
        return seen

    def _drop(self, vanished: dict[bytes, Stamp], walk: Walk, now: float) -> None:
        """Drop the rows of what the walk did not find, but for what lies where it could not look."""
        broken = tuple(folder + b"/" for folder in walk.broken)
        self._forget({raw: stamp for raw, stamp in vanished.items() if not raw.startswith(broken)}, now)

    def _seen(self, raw_name: bytes, mode: int, stamp: Stamp, now: float, urgent: bool) -> None:
        if stat.S_ISDIR(mode):
            self._scan_below(raw_name, now)
            return
        if not stat.S_ISREG(mode):
            self._gone(raw_name, now)
            self._skip(display_name(raw_name), "it is not a regular file")
            return
        try:
            row = self._share.by_name(name_of(raw_name))
        except InvalidName as error:
            self._skip(display_name(raw_name), str(error))
            return
        before = file_stamp(row) if row is not None and row.raw_name == raw_name else None
        if before == stamp:
            self._settling.forget(raw_name)
        else:
            self._differs(raw_name, stamp, before, now, urgent)

    def _differs(self, raw_name: bytes, stamp: Stamp, before: Stamp | None, now: float, urgent: bool = False) -> None:
        if raw_name in self._hashing:
            self._distrust = True
            return
        if before is None and not raw_name.isascii() and self._is_second(raw_name):
            self._pass_second(raw_name)
            return
        verdict = Verdict.SETTLED if urgent else self._settling.look(raw_name, stamp, now)
        if verdict is Verdict.SETTLED:
            self._settling.forget(raw_name)
            self._hashing.submit(raw_name, stamp, urgent)
        if before is not None and (before[0] != stamp[0] or verdict is Verdict.MOVING):
            self._forget({raw_name: before}, now)

    def _gone(self, raw_name: bytes, now: float) -> None:
        self._distrust = True
        self._settling.forget(raw_name)
        self._skipped.pop(display_name(raw_name), None)
        self._seconds.discard(raw_name)
        for folder in [raw for raw in self.folders if raw == raw_name or raw.startswith(raw_name + b"/")]:
            del self.folders[folder]
        self._forget(self._known_at(raw_name), now)

    def _fail(self, raw_name: bytes, why: str) -> None:
        """The file cannot be hashed: it is not shared."""
        self._skip(display_name(raw_name), why)
        row = self._row_of(raw_name)
        if row is not None:
            self._share.forget_vanished({raw_name: file_stamp(row)})

    def _forget(self, vanished: dict[bytes, Stamp], now: float) -> None:
        if not vanished:
            return
        rows = list(vanished.items())
        for begin in range(0, len(rows), _ROWS_AT_ONCE):
            if self._stopped():
                return
            self._share.forget_vanished(dict(rows[begin : begin + _ROWS_AT_ONCE]))
        waiting, self._seconds = self._seconds, set()
        for raw_name in waiting:
            self.look_at(raw_name, now)

    def _after_hashing(self, result: Hashed, written: bool, now: float) -> None:
        if result.why_not:
            self._fail(result.raw_name, result.why_not)
            self.missed = self.missed or result.passing
        elif not written:
            self.look_at(result.raw_name, now)
        elif self._skipped:
            self._skipped.pop(display_name(result.raw_name), None)

    def _is_still(self, result: Hashed) -> bool:
        try:
            return stamp_of(self._share.folder.stat(result.raw_name)) == result.stamp
        except (NotFound, Unavailable):
            return False

    def _known_at(self, raw_name: bytes) -> dict[bytes, Stamp]:
        """What is indexed under that raw name as a file, and as a folder: one may have become the other."""
        known = self._share.known(raw_name)
        row = self._row_of(raw_name)
        if row is not None:
            known[raw_name] = file_stamp(row)
        return known

    def _row_of(self, raw_name: bytes) -> SharedFile | None:
        try:
            row = self._share.by_name(name_of(raw_name))
        except InvalidName:
            return None
        return row if row is not None and row.raw_name == raw_name else None

    def _is_second(self, raw_name: bytes) -> bool:
        row = self._share.by_name(name_of(raw_name))
        return row is not None and row.raw_name != raw_name and self._share.is_there(row.raw_name)

    def _pass_second(self, raw_name: bytes) -> None:
        self._seconds.add(raw_name)
        self._skip(display_name(raw_name), _SECOND)

    def _skip(self, shown: str, why: str) -> None:
        if shown in self._skipped or len(self._skipped) < _MOST_SKIPPED:
            self._skipped[shown] = why
        else:
            self._skipped_more += 1


def _stamp(there: Neighbours, raw_name: bytes) -> Stamp | None:
    try:
        base, folder_fd = there.at(raw_name)
        return stamp_of(os.stat(base, dir_fd=folder_fd, follow_symlinks=False))
    except (OSError, NotFound, Unavailable):
        return None


def _row(result: Hashed) -> Indexed:
    assert result.manifest is not None
    return Indexed(name_of(result.raw_name), result.raw_name, result.stamp, result.manifest, sha256_checked=True)
