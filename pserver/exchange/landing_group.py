"""How many small files that came together get their final names: the steps of `landing`, each taken for all of them.

  1. all are written to partials, and synced
  2. it is recorded, of all in one transaction, that the partials with these inodes are whole and about to be placed
  3. each gets its final name (a rename that never replaces); then the folders are synced, each once
  4. the share indexes them, without hashing them again
  5. the items are recorded as done

After a crash before 3 they come again: that costs less than to remember them. After a crash in 3 or later, those that
have their names are found again by their inodes, in one walk through the share, and proved before that is believed.
"""

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pserver.disk.folder import Folder, stamp_of
from pserver.disk.group import Placed
from pserver.disk.rows import Indexed
from pserver.disk.share import Share
from pserver.exchange.bitfield import pack
from pserver.exchange.item_rows import Written
from pserver.exchange.partial import partial_base, remove_partial
from pserver.exchange.transfer import Item, Recorded
from pserver.exchange.transfers import Transfers
from pserver.model import PServerError
from pserver.pieces import Manifest

_log = logging.getLogger(__name__)
_ONE_PIECE = pack(b"\1")


class Arrived(NamedTuple):
    """The whole content of an item, proved to be that of the manifest. `sha256_checked`: its sha256 is right too."""

    item: Item
    manifest: Manifest
    content: bytes
    sha256_checked: bool


class GroupLanding:
    """Brings many small files of a transfer into the share. Thread-safe."""

    def __init__(self, folder: Folder, share: Share, transfers: Transfers) -> None:
        self._folder = folder
        self._share = share
        self._transfers = transfers
        self._one_at_a_time = threading.Lock()

    def land(self, transfer_id: str, arrived: Sequence[Arrived]) -> set[int]:
        """Give them their final names; the numbers of the items that have them now, and are done.

        Of the others there is nothing left here. Raises NoRoom, Unavailable; then the partials may be left.
        """
        # Most of it are short system calls: two groups at once would only take the interpreter from each other at each.
        with self._one_at_a_time:
            return self._land(transfer_id, arrived)

    def _land(self, transfer_id: str, arrived: Sequence[Arrived]) -> set[int]:
        bases = [partial_base(one.item.file_id, transfer_id, one.item.number) for one in arrived]
        inodes = self._folder.write_group([(base, one.content) for base, one in zip(bases, arrived, strict=True)])
        self._transfers.begin_placing_group(transfer_id, list(map(_written, arrived, inodes)))
        placed = self._folder.place_group([(base, one.item.name) for base, one in zip(bases, arrived, strict=True)])
        self._remove(base for base, at in zip(bases, placed, strict=True) if at is None)
        landed = [(one, at) for one, at in zip(arrived, placed, strict=True) if at is not None]
        self._index(landed, dict(zip([one.item.number for one in arrived], inodes, strict=True)))
        return self._end(transfer_id, landed)

    def _index(self, landed: Sequence[tuple[Arrived, Placed]], inodes: Mapping[int, int]) -> None:
        """Index those that still are what was placed; the scanner looks after the others."""
        rows = [
            Indexed(at.name, at.raw_name, stamp_of(at.found), one.manifest, one.sha256_checked)
            for one, at in landed
            if (at.found.st_ino, at.found.st_size) == (inodes[one.item.number], one.manifest.size)
        ]
        try:
            refused = self._share.put_many(rows)
        except PServerError as error:
            # They have their names, so they are downloaded; the next scan indexes them.
            _log.warning("%d downloaded files are not indexed yet: %s", len(rows), error)
            return
        for row in refused:
            _log.warning("the downloaded '%s' is not indexed: another file has that name", row.name)

    def _end(self, transfer_id: str, landed: Sequence[tuple[Arrived, Placed]]) -> set[int]:
        numbers = {one.item.number for one, _ in landed}
        if numbers:
            renamed = {one.item.number: at.name for one, at in landed if at.name != one.item.name}
            self._transfers.end_group(transfer_id, numbers, renamed)
        return numbers

    def _remove(self, bases: Iterable[str]) -> None:
        for base in bases:
            remove_partial(self._folder, base)


def _written(one: Arrived, inode: int) -> Written:
    whole = _ONE_PIECE if one.manifest.size else b""
    return Written(one.item.number, Recorded(one.manifest.encode(), whole, inode))
