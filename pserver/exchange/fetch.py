"""The way of one wanted file into the share: known already, or its manifest, its pieces, its landing.

1. It was being placed when this peer crashed: found again, done.
2. The share has it: done under the name it has; for a file of a folder, copied to the name that it has there.
3. Else the manifest is had from any peer (it proves itself), the partial is opened, the pieces are pulled.
4. A wanted sha256 is compared with all of the content; if it differs, the next file that claims it is tried.
"""

import hashlib
import logging
import os
import threading
from collections.abc import Sequence

from blake3 import blake3

from pserver.exchange.bitfield import pack
from pserver.exchange.engine import Engine, Stopped
from pserver.exchange.given import to_text
from pserver.exchange.partial import Partial, partial_base, remove_partial
from pserver.exchange.progress import FileProgress, Live
from pserver.exchange.pull import Pull
from pserver.exchange.transfer import Item, Recorded, Transfer
from pserver.model import FileEntry, Holder, PServerError, SharedFile, Unavailable
from pserver.pieces import BadManifest, Manifest, decode_manifest, read_exactly
from pserver.remote.peer_http import PeerDead, PeerLied, PeerStalled

_log = logging.getLogger(__name__)
_HASH_BYTES = 1 << 20


class WrongContent(PServerError):
    """The file's content does not have the sha256 that was asked for."""

    code = "wrong-content"


class Fetch:
    """Fetches one item of a transfer. `holders`: who is known to have it. Run once."""

    def __init__(
        self,
        engine: Engine,
        transfer: Transfer,
        item: Item,
        holders: Sequence[Holder],
        *,
        live: Live,
        stopped: threading.Event,
    ) -> None:
        self._engine = engine
        self._transfer = transfer
        self._item = item
        self._holders = {holder.peer.peer_id: holder for holder in holders}
        self._live = live
        self._stopped = stopped
        self._partial: Partial | None = None
        self._pull: Pull | None = None
        self._standstill: str | None = None
        self._announced = False

    def run(self) -> str:
        """Get it; its final name, which is recorded. Raises Stopped, or a PServerError that says why it cannot be."""
        landed = self._engine.landing.find_landed(self._transfer.id, self._item)
        if landed is not None:
            return landed
        self._live.file_began(self._item.number, self._look)
        try:
            return self._first_right((self._item.file_id, *self._item.alternatives))
        finally:
            self._live.file_ended(self._item.number)

    def _first_right(self, file_ids: Sequence[bytes]) -> str:
        for position, file_id in enumerate(file_ids):
            if self._engine.claims.held(file_id):
                self._standstill = "another transfer is fetching the same file"
            with self._engine.claims.hold(file_id, self._stopped):
                self._standstill = None
                try:
                    return self._held(file_id) or self._bring(file_id)
                except WrongContent:
                    if position == len(file_ids) - 1:
                        raise
            self._holders.clear()  # they were those of the file that was wrong
        raise AssertionError("a file has at least one id")

    # --- what is here already -----------------------------------------------------------------------------------

    def _held(self, file_id: bytes) -> str | None:
        """The name under which the share has the file, if that will do."""
        held = self._engine.share.by_file_id(file_id)
        if held is None or not self._has_wanted_sha256(held):
            return None
        if self._transfer.tree and held.name != self._item.name:
            same = self._engine.share.by_name(self._item.name)
            if same is None or same.file_id != file_id:
                return None  # to be copied
            held = same
        # An earlier run of this transfer may have begun to fetch what another brought meanwhile.
        remove_partial(self._engine.folder, partial_base(file_id, self._transfer.id, self._item.number))
        self._engine.transfers.end_held(self._transfer.id, self._item.number, held)
        return held.name

    def _has_wanted_sha256(self, held: SharedFile) -> bool:
        if self._item.sha256 is None:
            return True
        if held.sha256_checked:
            return held.sha256 == self._item.sha256
        with self._engine.share.open(held) as opened, self._engine.buffers.lend(_HASH_BYTES) as buffer:
            whole = hashlib.sha256()
            while count := os.readv(opened.fileno(), [buffer]):
                whole.update(buffer[:count])
                self._check_not_stopped()
        right = whole.digest() == held.sha256
        self._engine.share.mark_sha256_checked(held.file_id, right)
        return right and held.sha256 == self._item.sha256

    def _copy_held(self, file_id: bytes, partial: Partial) -> None:
        """Take from the own share what it has of the file; whatever goes wrong, the rest is pulled."""
        held = self._engine.share.by_file_id(file_id)
        if held is None:
            return
        manifest = partial.manifest
        try:
            with self._engine.share.open(held) as opened, self._engine.buffers.lend(manifest.piece_size) as buffer:
                for piece in range(manifest.piece_count):
                    self._check_not_stopped()
                    offset, length = manifest.span(piece)
                    read_exactly(opened.fileno(), offset, buffer[:length])
                    if blake3(buffer[:length]).digest() == manifest.piece_hash(piece):
                        partial.write(piece, buffer[:length])
        except (PServerError, BadManifest, OSError):
            pass  # it changed or went meanwhile

    # --- what others have ---------------------------------------------------------------------------------------

    def _bring(self, file_id: bytes) -> str:
        base = partial_base(file_id, self._transfer.id, self._item.number)
        recorded = self._engine.transfers.recorded(self._transfer.id, self._item.number)
        manifest = self._recorded_manifest(recorded, file_id)
        if manifest is None:
            manifest, recorded = self._fetch_manifest(file_id), None
        reserve = self._engine.limits.reserve_bytes
        packed = recorded.bitfield if recorded is not None else None
        if recorded is None:  # the file may be larger than whoever told of it said
            self._engine.quota.check(manifest.size - self._item.size)
        partial = Partial(self._engine.folder, base, manifest, packed, reserve)
        try:
            self._partial = partial
            if partial.fresh and self._worth_recording(manifest):
                self._begin(file_id, partial)
            self._fill(file_id, partial)
            return self._engine.landing.land(self._transfer.id, self._item, partial, self._item.sha256 is not None)
        except WrongContent:
            remove_partial(self._engine.folder, base)
            raise
        finally:
            self._withdraw(file_id)
            self._partial = self._pull = None
            partial.close()

    def _fill(self, file_id: bytes, partial: Partial) -> None:
        if partial.manifest.piece_count:
            with self._engine.buffers.lend(partial.manifest.piece_size) as buffer:
                partial.find_unrecorded(lambda: buffer, self._stopped.is_set)
            self._copy_held(file_id, partial)
        if not partial.complete:
            self._pull_into(file_id, partial)
        wanted = self._item.sha256
        if wanted is not None:
            found = partial.sha256(self._stopped.is_set)
            self._check_not_stopped()
            if found != wanted:
                raise WrongContent("the file that claims this sha256 has another one: whoever indexed it was wrong")

    def _pull_into(self, file_id: bytes, partial: Partial) -> None:
        pull = Pull(self._engine, file_id, partial, self._live)
        self._pull = pull
        self._engine.serving.begin(partial, self._item.name, pull.asked_by)
        for holder in self._known_holders(file_id):
            pull.add(holder)
        try:
            with self._engine.shares.one_more():
                pull.run(self._stopped, self._record, lambda: self._announce(partial))
        finally:
            self._pull, gave = None, pull.sources(self._engine.clock())
            self._live.gave(gave)

    def _announce(self, partial: Partial) -> None:
        manifest = partial.manifest
        entry = FileEntry(self._item.name, manifest.file_id, manifest.size, manifest.sha256, False, partial=True)
        try:
            self._engine.share.announce_partial(entry)
            self._announced = True
        except PServerError as error:
            _log.info("'%s' is not announced while it is being downloaded: %s", self._item.name, error)

    def _withdraw(self, file_id: bytes) -> None:
        """Serve the partial no more; if it landed, the share has the file by now."""
        self._engine.serving.end(file_id)
        if self._announced:
            self._announced = False
            try:
                self._engine.share.withdraw_partial(file_id)
            except PServerError as error:
                _log.warning("others think that '%s' is still being downloaded here: %s", self._item.name, error)

    def _worth_recording(self, manifest: Manifest) -> bool:
        """A file of one piece is there or not: after a restart it begins anew."""
        return manifest.piece_count > 1 or manifest.size != self._item.size

    def _begin(self, file_id: bytes, partial: Partial) -> None:
        known = Recorded(partial.manifest.encode(), pack(partial.flags), 0)
        number, size = self._item.number, partial.manifest.size
        self._engine.transfers.begin_item(self._transfer.id, number, file_id, size, known)

    def _record(self, packed: bytes, size: int) -> None:
        self._engine.transfers.save_progress(self._transfer.id, self._item.number, packed, size)
        self._engine.transfers.save_sources(self._transfer.id, to_text(self._live.sources(self._engine.clock())))

    def _recorded_manifest(self, recorded: Recorded | None, file_id: bytes) -> Manifest | None:
        if recorded is None:
            return None
        try:
            return decode_manifest(recorded.manifest, file_id)
        except BadManifest:
            return None  # of another file that was tried for this sha256

    def _fetch_manifest(self, file_id: bytes) -> Manifest:
        """From the first peer that gives it. Raises Stopped; Unavailable after all patience."""
        limits, began = self._engine.limits, self._engine.clock()
        wait = limits.look_again_seconds
        while True:
            for holder in self._known_holders(file_id):
                self._check_not_stopped()
                manifest = self._ask_manifest(holder, file_id)
                if manifest is not None:
                    return manifest
            self._standstill = self._standstill or "no source has the file now"
            if self._engine.clock() - began + wait > limits.patience_seconds:
                raise Unavailable(f"nothing came for {limits.patience_seconds:.0f} s: {self._standstill}")
            self._stopped.wait(wait)
            self._check_not_stopped()
            wait = min(wait * 2, limits.look_for_more_seconds)
            self._look_up(file_id)

    def _ask_manifest(self, holder: Holder, file_id: bytes) -> Manifest | None:
        now = self._engine.clock()
        if self._engine.bans.banned(holder.peer.peer_id, now):
            return None
        try:
            manifest, _ = self._engine.peers.manifest(holder.peer, file_id)
        except PServerError as error:
            self._standstill = str(error)
            if isinstance(error, PeerLied):
                self._engine.bans.add(holder.peer.peer_id, now)
            elif isinstance(error, PeerDead | PeerStalled):
                self._engine.silent.add(holder.peer.peer_id, self._engine.clock())
            return None
        self._standstill = None
        return manifest

    def _known_holders(self, file_id: bytes) -> list[Holder]:
        if not self._holders:
            self._look_up(file_id)
        own, now = self._engine.peers.peer_id, self._engine.clock()
        others = [holder for peer_id, holder in self._holders.items() if peer_id != own]
        return sorted(others, key=lambda holder: self._engine.silent.banned(holder.peer.peer_id, now))

    def _look_up(self, file_id: bytes) -> None:
        try:
            group = self._engine.find_holders([file_id]).get(file_id)
        except PServerError as error:
            self._standstill = str(error)
            return
        for holder in group.holders if group is not None else ():
            self._holders[holder.peer.peer_id] = holder

    # --- for others to see --------------------------------------------------------------------------------------

    def _look(self, now: float) -> FileProgress:
        pull, partial = self._pull, self._partial
        unrecorded = 0 if partial is None else max(partial.bytes_done - partial.recorded_bytes, 0)
        if pull is None:
            return FileProgress(self._item.number, unrecorded, self._standstill, (), partial is not None)
        return FileProgress(self._item.number, unrecorded, pull.standstill, pull.sources(now))

    def _check_not_stopped(self) -> None:
        if self._stopped.is_set():
            raise Stopped
