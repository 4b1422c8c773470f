"""The way of many small files into the share together: known already, or from others in bundles, landed in groups.

1. Those that were being placed when this peer crashed are found again, in one walk: done.
2. Those that a folder has under their names already: done.
3. Those whose content the share has under another name are copied.
4. The rest is asked of a peer that is thought to have all of it; what that one did not give, of others that a lookup
   of all of them finds.

Whatever that does not bring, for whatever reason, is given back, to be fetched one by one: that has the patience, and
says what is wrong with each.
"""

import hashlib
import logging
import threading
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace

from pserver.disk.small import read_small
from pserver.exchange.bundle_call import BundleCall
from pserver.exchange.engine import Engine, Stopped
from pserver.exchange.landing_group import Arrived
from pserver.exchange.progress import Live
from pserver.exchange.suppliers import Suppliers
from pserver.exchange.transfer import Item, Transfer
from pserver.model import Holder, NoRoom, Peer, PServerError
from pserver.pieces import MIN_PIECE_BYTES, SmallFile
from pserver.remote.bundle_frames import MAX_BUNDLE_BYTES, MAX_BUNDLE_FILES, BadBundle, ProvedFile, proved
from pserver.remote.peer_http import PeerBusy, PeerDead, PeerLied, PeerStalled
from pserver.views import SourceView

_log = logging.getLogger(__name__)
_FRAME_BYTES = 128  # of a file in a bundle, besides its content
Left = tuple[Item, list[Holder]]


def is_small(item: Item) -> bool:
    """Whether an item can come in a bundle: of one piece, as far as is known, and what it is does not need a look."""
    return item.size <= MIN_PIECE_BYTES and item.state != "running" and item.sha256 is None and not item.alternatives


def batches(items: Sequence[Item]) -> list[list[Item]]:
    """Small items, cut into as many as one bundle can have."""
    cut: list[list[Item]] = []
    room = 0
    for item in items:
        size = item.size + _FRAME_BYTES
        if not cut or size > room or len(cut[-1]) == MAX_BUNDLE_FILES:
            cut.append([])
            room = MAX_BUNDLE_BYTES
        cut[-1].append(item)
        room -= size
    return cut


class Batch:
    """The items of one batch: those that are `missing`, by their file ids, and those that were `left` to others."""

    def __init__(self, items: Iterable[Item]) -> None:
        self.missing: dict[bytes, list[Item]] = {}
        self.left: list[Left] = []
        self.holders: dict[bytes, list[Holder]] = {}
        for item in items:
            self.missing.setdefault(item.file_id, []).append(item)

    def items(self) -> list[Item]:
        """Those missing."""
        return [item for items in self.missing.values() for item in items]

    def done(self, numbers: Container[int]) -> None:
        """The items of these numbers are no longer missing."""
        rest = [item for item in self.items() if item.number not in numbers]
        self.missing = {}
        for item in rest:
            self.missing.setdefault(item.file_id, []).append(item)

    def doubt(self, items: Iterable[Item]) -> None:
        """It is not known whether these were placed: whoever fetches them next shall look."""
        for item in items:
            same = self.missing.get(item.file_id, [])
            same[:] = [replace(one, state="placing") if one.number == item.number else one for one in same]

    def leave(self, items: Iterable[Item]) -> None:
        """These are left to others."""
        leaving = list(items)
        if not leaving:
            return
        self.left += ((item, self.holders.get(item.file_id, [])) for item in leaving)
        self.done({item.number for item in leaving})


class Bundles:
    """Brings the small files of one transfer. Thread-safe: several batches at once."""

    def __init__(self, engine: Engine, transfer: Transfer, live: Live, stopped: threading.Event) -> None:
        self._engine = engine
        self._transfer = transfer
        self._live = live
        self._stopped = stopped
        self._suppliers = Suppliers(transfer.hints, engine.peers.peer_id)

    def bring(self, items: Sequence[Item]) -> list[Left]:
        """Bring those items, one batch; those it could not, each with who has it if that was looked up. Stopped."""
        landed = self._engine.landing.find_all_landed(self._transfer.id, items)
        batch = Batch(item for item in items if item.number not in landed)
        with self._engine.claims.hold_free(batch.missing) as claimed:
            batch.leave(item for item in batch.items() if item.file_id not in claimed)
            try:
                self._take_held(batch)
                self._fetch(batch)
            except PServerError as error:  # of the disk or of a record: what it means for each file, each will say
                _log.info("small files of transfer %s are fetched one by one: %s", self._transfer.id, error)
            batch.leave(batch.items())
        return batch.left

    # --- what is here already -----------------------------------------------------------------------------------

    def _take_held(self, batch: Batch) -> None:
        share = self._engine.share
        if not self._transfer.tree:  # any name of the share will do: which, is for one by one
            held = share.rows_with_hashes(list(batch.missing))
            batch.leave(item for item in batch.items() if item.file_id in held)
            return
        rows = share.by_names(item.name for item in batch.items())
        there = [item for item in batch.items() if item.name in rows and rows[item.name].file_id == item.file_id]
        if there:
            numbers = {item.number for item in there}
            self._engine.transfers.end_group(self._transfer.id, numbers, {})
            batch.done(numbers)
        copies = [file for file in read_small(share, list(batch.missing), MAX_BUNDLE_BYTES) if file.state == "here"]
        self._land(batch, list(_those_proved(copies)))

    # --- what others have ---------------------------------------------------------------------------------------

    def _fetch(self, batch: Batch) -> None:
        tried: set[str] = set()
        looked = False
        while batch.missing:
            if self._stopped.is_set():
                raise Stopped
            chosen = None if self._suppliers.slow and not looked else self._choose(batch, tried)
            if chosen is None and looked:
                return
            if chosen is None:
                batch.holders, looked = self._look_up(list(batch.missing)), True
                continue
            tried.add(chosen[0].peer_id)
            number = -1 - batch.missing[chosen[1][0]][0].number  # of no item: what came is that of many
            call = self._call(*chosen, number)
            if self._land(batch, call.files) and call.later:
                tried.discard(chosen[0].peer_id)

    def _choose(self, batch: Batch, tried: set[str]) -> tuple[Peer, list[bytes]] | None:
        now = self._engine.clock()
        asked = {peer_id for peer_id in self._suppliers.known(batch.holders) if self._is_out(peer_id, now)}
        return self._suppliers.choose(list(batch.missing), batch.holders, tried | asked)

    def _is_out(self, peer_id: str, now: float) -> bool:
        return self._engine.bans.banned(peer_id, now) or self._engine.silent.banned(peer_id, now)

    def _look_up(self, file_ids: list[bytes]) -> dict[bytes, list[Holder]]:
        try:
            return {file_id: group.holders for file_id, group in self._engine.find_holders(file_ids).items()}
        except PServerError as error:
            _log.info("the holders of %d files cannot be looked up now: %s", len(file_ids), error)
            return {}

    def _call(self, peer: Peer, file_ids: list[bytes], number: int) -> BundleCall:
        """One bundle, until it has ended; seen meanwhile as the file of that number. Raises Stopped."""
        call = BundleCall(self._engine, peer, file_ids, number, live=self._live)
        self._live.file_began(number, call.look)
        try:
            self._engine.workers.submit(call.run)
            if not call.wait(self._stopped):
                raise Stopped
        finally:
            self._live.file_ended(number)
            self._judge(call)
        return call

    def _judge(self, call: BundleCall) -> None:
        """What follows for the peer from how its bundle ended."""
        peer_id, now, failure = call.peer.peer_id, self._engine.clock(), call.failure
        if isinstance(failure, PeerLied):
            self._engine.tally.wrong()
            self._engine.bans.add(peer_id, now)
        elif isinstance(failure, PeerDead | PeerStalled):
            self._engine.silent.add(peer_id, now)
        # Whoever refuses, or does not know bundles, will not do better next time.
        useless = failure is not None and not isinstance(failure, PeerDead | PeerStalled | PeerBusy)
        self._suppliers.ended(peer_id, call.seconds > self._engine.limits.slow_bundle_seconds, useless)
        size = sum(file.manifest.size for file in call.files)
        self._engine.tally.right(len(call.files))
        why = None if failure is None else str(failure)
        state = "ok" if failure is None else "gone"
        errors = int(failure is not None)
        self._live.gave([SourceView(call.peer, state, 0.0, len(call.files), errors, why, size)])

    # --- into the share -----------------------------------------------------------------------------------------

    def _land(self, batch: Batch, files: Sequence[ProvedFile]) -> int:
        """Land what came for the items of the batch; how many of them are done by that. Raises NoRoom, Unavailable."""
        arrived = [_arrived(item, file) for file in files for item in batch.missing.get(file.file_id, ())]
        # A size that is not the one that was announced: one by one, that is put right.
        batch.leave(one.item for one in arrived if one.item.size != one.manifest.size)
        fitting = [one for one in arrived if one.item.size == one.manifest.size]
        if not fitting or self._stopped.is_set():
            return 0
        self._check_room(sum(one.manifest.size for one in fitting))
        began = self._engine.clock()
        try:
            landed = self._engine.group_landing.land(self._transfer.id, fitting)
        except PServerError:
            batch.doubt(one.item for one in fitting)
            raise
        now = self._engine.clock()
        self._live.worked("disk", now - began, now)
        batch.done(landed)
        return len(landed)

    def _check_room(self, size: int) -> None:
        if self._engine.folder.free_bytes() - self._engine.limits.reserve_bytes < size:
            raise NoRoom("there is not enough room in the share folder")


def _arrived(item: Item, file: ProvedFile) -> Arrived:
    # Checked here, while it is in memory, the sha256 need not be checked in another pass over the file.
    right = hashlib.sha256(file.content).digest() == file.manifest.sha256
    return Arrived(item, file.manifest, file.content, right)


def _those_proved(files: Iterable[SmallFile]) -> Iterator[ProvedFile]:
    for file in files:
        try:
            yield proved(file)
        except BadBundle:
            pass  # it changed as it was read; it comes from others
