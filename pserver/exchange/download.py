"""Downloads: what a person (or an offer of another peer) may do with them, and which of them run.

A transfer runs in a Job of its own, a few at once, the others wait their turn in the order of their making. What a
person decides is recorded first; a job that still runs is then told, and ends by itself within a second or so.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from pserver.disk.folder import Folder
from pserver.disk.share import Share
from pserver.exchange.engine import Bans, Claims, Engine, FindHolders, Limits, Shares
from pserver.exchange.given import from_text, to_text
from pserver.exchange.job import Job, remove_partials
from pserver.exchange.landing import Landing
from pserver.exchange.landing_group import GroupLanding
from pserver.exchange.partial import remove_orphans
from pserver.exchange.progress import Live, transfer_view
from pserver.exchange.proofs import Proofs
from pserver.exchange.quota import Quota
from pserver.exchange.serving import Serving
from pserver.exchange.tally import PieceTally
from pserver.exchange.throttle import Throttle
from pserver.exchange.transfer import ENDED, Transfer, Wanted
from pserver.exchange.transfers import Transfers
from pserver.exchange.workers import Buffers, Workers
from pserver.model import Conflict, InvalidRequest, NoRoom, NotFound, Peer, PServerError, SharedFile
from pserver.remote.peers import PeerClient
from pserver.views import TransferView

_log = logging.getLogger(__name__)
KINDS = ("download", "incoming")
_ITEMS_SHOWN = 100
_STOP_SECONDS = 5.0


class Downloads:
    """All downloads of this peer. Thread-safe. Needs `resume_all` once before anything moves, `stop` at the end.

    `find_holders` looks up a batch of file ids (raw) and may raise Unavailable. `clock` is seconds that never go
    back, `wall` Unix seconds. Transfers of other kinds in the same `transfers` are left alone, but can be viewed.
    """

    def __init__(
        self,
        folder: Folder,
        share: Share,
        transfers: Transfers,
        peers: PeerClient,
        find_holders: FindHolders,
        *,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        own: Callable[[], Peer] | None = None,
        quota: Quota | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._transfers = transfers
        throttle = Throttle(limits.rate, clock)
        workers = Workers(limits.connections * 2, "download")
        proofs = Proofs(peers.ping, clock, workers.submit)
        self.serving = Serving(clock, proofs)
        self._engine = Engine(
            folder=folder,
            share=share,
            transfers=transfers,
            landing=Landing(folder, share, transfers),
            group_landing=GroupLanding(folder, share, transfers),
            peers=peers,
            find_holders=find_holders,
            limits=limits,
            workers=workers,
            buffers=Buffers(),
            bans=Bans(limits.ban_seconds),
            silent=Bans(limits.silent_seconds),
            claims=Claims(),
            shares=Shares(throttle.connections(limits.connections), limits.buffer_bytes),
            throttle=throttle,
            clock=clock,
            wall=wall,
            own=own,
            quota=quota or Quota(None, share, transfers),
            proofs=proofs,
            serving=self.serving,
            tally=PieceTally(),
        )
        patience = min(limits.patience_seconds, limits.incoming_patience_seconds)
        self._incoming_engine = replace(self._engine, limits=replace(limits, patience_seconds=patience))
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._received = 0  # bytes, of jobs that have ended
        self._started = False
        self._stopped = False
        self._put_off = False  # whether some wait that could not be started

    def resume_all(self) -> None:
        """At start: remove partial files of no use, and go on with what was running or waiting when the peer ended."""
        try:
            removed = remove_orphans(self._engine.folder, self._transfers.partials())
            if removed:
                _log.info("%d partial files of no transfer removed", removed)
        except PServerError as error:
            _log.warning("partial files of no use are not removed now: %s", error)
        for transfer in self._transfers.in_states(["running"]):
            if transfer.kind in KINDS:
                self._transfers.move(transfer.id, "queued", self._engine.wall())
        self._started = True
        self._schedule()

    def stop(self) -> None:
        """Stop what runs; it goes on at the next start. Returns within a few seconds."""
        with self._lock:
            self._stopped = True
            jobs = list(self._jobs.values())
        for job in jobs:
            job.stop()
        ends = time.monotonic() + _STOP_SECONDS
        for job in jobs:
            job.wait(max(ends - time.monotonic(), 0.1))
        self._engine.workers.stop()
        self._engine.buffers.free()

    def tick(self) -> None:
        """Let those that wait have the slots of those that stand still. To be called every few seconds."""
        if self._jobs or self._put_off:
            self._schedule_or_put_off()

    def busy(self) -> bool:
        """Whether any download runs."""
        return bool(self._jobs)

    def received(self) -> int:
        """How many bytes of files came from other peers since the start."""
        with self._lock:
            return self._received + sum(job.live.received for job in self._jobs.values())

    def pieces(self) -> tuple[int, int]:
        """How many pieces (and files of one piece) came and were right, and how many were not."""
        return self._engine.tally.counts()

    def start(
        self,
        label: str,
        wanted: Sequence[Wanted],
        *,
        kind: str = "download",
        hints: Sequence[Peer] = (),
        tree: bool = False,
        asker: str | None = None,
        user: str | None = None,
    ) -> Transfer:
        """Begin to get these files. State "done" if the share has all of them already.

        One file that is wanted already, under the same name, is not wanted twice: that transfer goes on.

        `label`: what the transfer is called. `hints`: peers known to have them (kept for a restart); others are
        looked up. `tree`: the files are a folder, each gets its own name even if its content is here under another.
        `asker`, `user`: of an incoming one the peer id (hex) of who offered it, and whose upload it is, where accounts
        are on. Raises InvalidRequest (nothing is wanted), NoRoom, Unavailable.
        """
        if not wanted:
            raise InvalidRequest("there is nothing to download")
        here = self._engine.share.by_names(one.name for one in wanted) if tree else {}
        missing = [one for one in wanted if not _is(one, here.get(one.name) if tree else self._held(one))]
        same = self._same(kind, wanted, asker, bool(missing)) if not tree else None
        if same is not None:
            return same
        self._check_room(sum(one.size for one in missing))
        now, own = self._engine.wall(), self._engine.peers.peer_id
        known = [peer for peer in hints if peer.peer_id != own]
        transfer = self._transfers.create(kind, label, wanted, now, hints=known, tree=tree, asker=asker, user=user)
        if not missing:
            return self._end_at_once(transfer)
        self._schedule()
        return self._transfers.get(transfer.id)

    def pause(self, transfer_id: str) -> Transfer:
        """Halt it until it is resumed. NotFound, Conflict."""
        with self._lock:
            paused = self._transfers.move(transfer_id, "paused", self._engine.wall())
            self._stop_job(transfer_id)
        return paused

    def resume(self, transfer_id: str) -> Transfer:
        """Let a paused or failed one go on from where it was. NotFound, Conflict, NoRoom."""
        before = self._transfers.get(transfer_id)
        if before.state == "failed":  # what it lacks was promised to nobody since
            self._engine.quota.check(before.bytes_total - before.bytes_done)
        self._transfers.move(transfer_id, "queued", self._engine.wall())
        self._schedule()
        return self._transfers.get(transfer_id)

    def cancel(self, transfer_id: str) -> None:
        """Cancel a live one, its partial data is removed; forget one that ended. NotFound.

        One that ends in this instant is not cancelled; nor is one that others offered while it gets its final name.
        """
        with self._lock:
            if self._transfers.get(transfer_id).state in ENDED:
                self._remove_partials(transfer_id)
                self._transfers.forget(transfer_id)
                return
            try:
                self._transfers.move(transfer_id, "cancelled", self._engine.wall())
            except Conflict:
                return
            if not self._stop_job(transfer_id):
                self._remove_partials(transfer_id)

    def view(self, transfer_id: str, items_from: int = 0) -> TransferView:
        """One transfer of any kind as it stands, with 100 of its files from number `items_from` on. NotFound."""
        transfer = self._transfers.get(transfer_id)
        items = self._transfers.items(transfer_id, items_from - 1, _ITEMS_SHOWN)
        targets = self._transfers.targets(transfer_id)
        live, gave = self._live(transfer_id), from_text(self._transfers.sources(transfer_id))
        return transfer_view(transfer, items, targets, live, self._engine.clock(), gave=gave)

    def views(self) -> list[TransferView]:
        """All transfers of any kind that live and the last that ended, newest first, without their files."""
        now = self._engine.clock()
        return [
            transfer_view(one, (), self._transfers.targets(one.id), self._live(one.id), now)
            for one in self._transfers.all()
        ]

    # --- which of them run --------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        """Start the jobs of those that wait, as far as there is room for more."""
        with self._lock:
            if self._stopped or not self._started:
                return
            for transfer in self._transfers.in_states(["queued"]):
                # A job that was told to stop may not have ended yet: it is started anew when it has.
                if transfer.kind in KINDS and transfer.id not in self._jobs and self._has_slot(transfer.kind):
                    self._run(transfer)

    def _schedule_or_put_off(self) -> None:
        """For those whom nobody hears: what cannot be started now (the record is not readable) a later tick starts."""
        try:
            self._schedule()
            self._put_off = False
        except PServerError as error:
            if not self._put_off:
                _log.warning("the transfers that wait cannot be started now: %s", error)
            self._put_off = True

    def _has_slot(self, kind: str) -> bool:
        """The own person's transfers and those that others offered have slots of their own."""
        limits, now = self._engine.limits, self._engine.clock()
        most = limits.transfers if kind == "download" else limits.incoming
        jobs = [job for job in self._jobs.values() if job.transfer.kind == kind]
        moving = sum(not job.live.stands_still(now) for job in jobs)
        return moving < most and len(jobs) < most * limits.standing

    def _run(self, transfer: Transfer) -> None:
        gave = from_text(self._transfers.sources(transfer.id))
        try:
            running = self._transfers.move(transfer.id, "running", self._engine.wall())
        except (Conflict, NotFound):
            return  # in this instant it ended (all of it is here), or its person cancelled or paused it
        engine = self._engine if transfer.kind == "download" else self._incoming_engine
        job = self._jobs[transfer.id] = Job(engine, running, self._job_ended)
        job.live.gave(gave)
        job.start()

    def _job_ended(self, job: Job) -> None:
        transfer_id = job.transfer.id
        self._keep_sources(job)
        with self._lock:
            del self._jobs[transfer_id]
            self._received += job.live.received
            idle = not self._jobs
        try:
            if self._transfers.get(transfer_id).state == "cancelled":
                self._remove_partials(transfer_id)
        except NotFound:
            pass  # it was forgotten
        except PServerError as error:
            _log.warning("whether transfer %s was cancelled cannot be seen now: %s", transfer_id, error)
        if idle:
            self._engine.buffers.free()
        self._schedule_or_put_off()

    def _keep_sources(self, job: Job) -> None:
        try:
            self._transfers.save_sources(job.transfer.id, to_text(job.live.sources(self._engine.clock())))
        except PServerError as error:
            _log.warning("what the sources of transfer %s gave is not recorded: %s", job.transfer.id, error)

    def _stop_job(self, transfer_id: str) -> bool:
        """Tell the job of that transfer to stop; False if there is none."""
        job = self._jobs.get(transfer_id)
        if job is not None:
            job.stop()
        return job is not None

    def _live(self, transfer_id: str) -> Live | None:
        with self._lock:
            job = self._jobs.get(transfer_id)
        return None if job is None else job.live

    # --- before a start -----------------------------------------------------------------------------------------

    def _same(self, kind: str, wanted: Sequence[Wanted], asker: str | None, missing: bool) -> Transfer | None:
        """The transfer that gets, or got, just this already; one that is paused or failed goes on."""
        if len(wanted) != 1:
            return None
        states = ("queued", "running", "paused", "failed") if missing else ("done",)
        found = self._transfers.find_single(kind, wanted[0], asker, states)
        if found is not None and found.state in {"paused", "failed"}:
            return self.resume(found.id)
        return found

    def _held(self, one: Wanted) -> SharedFile | None:
        return self._engine.share.by_file_id(one.file_id)

    def _check_room(self, size: int) -> None:
        room = self._engine.folder.free_bytes() - self._engine.limits.reserve_bytes
        self._engine.quota.check(size)
        if size > room:
            raise NoRoom(f"this needs {size} bytes, and the share folder has room for {max(room, 0)}")

    def _end_at_once(self, transfer: Transfer) -> Transfer:
        after = -1
        while items := self._transfers.open_items(transfer.id, after, 1000):
            for item in items:
                held = self._engine.share.by_name(item.name) if transfer.tree else None
                held = held or self._engine.share.by_file_id(item.file_id)
                if held is None:  # it vanished in this instant
                    self._transfers.end_item(transfer.id, item.number, item.name)
                else:
                    self._transfers.end_held(transfer.id, item.number, held)
            after = items[-1].number
        return self._transfers.move(transfer.id, "done", self._engine.wall())

    def _remove_partials(self, transfer_id: str) -> None:
        try:
            remove_partials(self._engine, transfer_id)
        except PServerError as error:
            _log.warning("partial files of transfer %s are removed at the next start: %s", transfer_id, error)


def _is(one: Wanted, held: SharedFile | None) -> bool:
    """Whether what the share has is what is wanted."""
    if held is None or held.file_id != one.file_id:
        return False
    return one.sha256 is None or (held.sha256_checked and held.sha256 == one.sha256)
