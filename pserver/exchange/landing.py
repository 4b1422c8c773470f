"""How a file whose pieces are all there gets its final name, so that a crash at any point does no harm.

  1. all of it is synced
  2. it is recorded that the partial with this inode is whole and about to be placed
  3. the folder gives it a final name (a rename that never replaces, synced)
  4. the share indexes it, without hashing it again
  5. the item is recorded as done, under that name

After a crash before 3 the partial is there and goes on from 1. After a crash after 3 the file is found again by the
inode, which a rename keeps; its content is compared with the manifest before that is believed.
"""

import logging
from collections.abc import Iterator, Sequence

from blake3 import blake3

from pserver.disk.folder import Folder
from pserver.disk.share import Share
from pserver.disk.walk import Walk, name_of
from pserver.exchange.bitfield import pack
from pserver.exchange.partial import Partial, partial_base, remove_partial
from pserver.exchange.transfer import Item, Recorded
from pserver.exchange.transfers import Transfers
from pserver.model import PServerError
from pserver.pieces import BadManifest, Manifest, decode_manifest, read_exactly

_log = logging.getLogger(__name__)


class Landing:
    """Brings finished files into the share. Thread-safe."""

    def __init__(self, folder: Folder, share: Share, transfers: Transfers) -> None:
        self._folder = folder
        self._share = share
        self._transfers = transfers

    def land(self, transfer_id: str, item: Item, partial: Partial, sha256_checked: bool) -> str:
        """Give the complete `partial` its final name, and return that. Raises what Folder.place raises."""
        partial.finish()
        manifest = partial.manifest
        whole = Recorded(manifest.encode(), pack(partial.flags), partial.inode)
        self._transfers.begin_placing(transfer_id, item.number, manifest.file_id, manifest.size, whole)
        name = self._folder.place(partial.base, item.name)
        self._adopt(name, manifest, sha256_checked)
        self._transfers.end_item(transfer_id, item.number, name)
        return name

    def find_landed(self, transfer_id: str, item: Item) -> str | None:
        """The final name of an item that was being placed when this peer crashed, if it was placed; it is then done."""
        return self.find_all_landed(transfer_id, [item]).get(item.number)

    def find_all_landed(self, transfer_id: str, items: Sequence[Item]) -> dict[int, str]:
        """Of those items that were being placed when this peer crashed, and were: number to final name. Now done."""
        placing: dict[int, tuple[Item, Manifest]] = {}  # by inode
        for item in items:
            recorded = self._transfers.recorded(transfer_id, item.number) if item.state == "placing" else None
            if recorded is not None:
                placing[recorded.inode] = item, decode_manifest(recorded.manifest, item.file_id)
        return {
            item.number: self._end_found(transfer_id, item, manifest, raw)
            for item, manifest, raw in self._find(placing)
        }

    def _end_found(self, transfer_id: str, item: Item, manifest: Manifest, raw_name: bytes) -> str:
        name = name_of(raw_name)
        # Where the file system cannot rename without replacing, a crash may have left the file with both names.
        remove_partial(self._folder, partial_base(item.file_id, transfer_id, item.number))
        self._adopt(name, manifest, sha256_checked=item.sha256 is not None)
        self._transfers.end_item(transfer_id, item.number, name)
        return name

    def _adopt(self, name: str, manifest: Manifest, sha256_checked: bool) -> None:
        try:
            self._share.adopt(name, manifest, sha256_checked)
        except PServerError as error:
            # It has its name, so the download is done; the next scan sees what became of it.
            _log.warning("the downloaded '%s' is not indexed yet: %s", name, error)

    def _find(self, placing: dict[int, tuple[Item, Manifest]]) -> Iterator[tuple[Item, Manifest, bytes]]:
        """Those of them that lie in the share, each with its raw name: in one walk, and none without need."""
        if not placing:
            return
        for found in Walk(self._folder, lambda _name, _why: None):
            for raw_name, stamp in found:
                item, manifest = placing.get(stamp[3], (None, None))
                if item is None or manifest is None or stamp[0] != manifest.size:
                    continue
                if self._is_content(raw_name, manifest):
                    del placing[stamp[3]]
                    yield item, manifest, raw_name

    def _is_content(self, raw_name: bytes, manifest: Manifest) -> bool:
        with open(self._folder.open_read(raw_name), "rb", buffering=0) as opened:
            buffer = memoryview(bytearray(manifest.piece_size))
            for piece in range(manifest.piece_count):
                offset, length = manifest.span(piece)
                try:
                    read_exactly(opened.fileno(), offset, buffer[:length])
                except BadManifest:
                    return False
                if blake3(buffer[:length]).digest() != manifest.piece_hash(piece):
                    return False
        return True
