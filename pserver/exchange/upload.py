"""Uploads: making other peers hold a file. The target pulls it; the uploading peer offers and looks on.

One thread looks after all uploads; a small pool does the asking, so that a target that hangs delays no other.
What a step decides is written down before the next, so an upload goes on where it was after a restart.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from protos.logs import working_on
from pserver.exchange.asking import Asking, Grants, OfferClient
from pserver.exchange.grants import LOG_IN
from pserver.exchange.progress import Live
from pserver.exchange.transfer import ENDED, Item, Target, Transfer, Wanted
from pserver.exchange.transfers import Transfers, new_id
from pserver.model import (
    Conflict,
    NotFound,
    Peer,
    PServerError,
    SharedFile,
    Unavailable,
)

_ASKERS = 4
_LOCATOR_PATIENCE = 5.0  # seconds; a person waits for the answer
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """Seconds: how often a target is asked how far it is, and for how long it may be out of reach."""

    look_seconds: float = 0.25
    patience_seconds: float = 120.0


class Place(Protocol):
    """Has the locator choose targets. `patience`: for so many seconds one that is away is asked again."""

    def __call__(
        self, file_id: bytes, size: int, count: int, exclude: Sequence[str], patience: float = 0.0
    ) -> list[Peer]: ...


class Uploads:
    """Offers files of the own share to other peers. Thread-safe.

    `place` has the locator choose targets; `own_url()` is the address under which targets reach this peer; `grants`:
    where accounts can be on. An upload that needs a person who is logged in, and has none, is paused with the error
    "login_required" once nothing else of it moves.
    """

    def __init__(
        self,
        transfers: Transfers,
        peers: OfferClient,
        place: Place,
        own_url: Callable[[], str],
        *,
        grants: Grants | None = None,
        limits: UploadLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._transfers = transfers
        self._place = place
        self._limits = limits or UploadLimits()
        self._clock = clock
        self._asking = Asking(peers, own_url, grants, self._limits.patience_seconds, clock)
        self._wall = wall
        self._wake = threading.Event()
        self._stopped = False
        self._live: dict[str, Live] = {}
        self._thread = threading.Thread(target=self._run, name="uploads", daemon=True)
        self._pool = ThreadPoolExecutor(_ASKERS, "upload")

    def start(self, file: SharedFile, to: Sequence[Peer], replicas: int, session: str | None = None) -> Transfer:
        """Make each peer of `to`, or else `replicas` peers that the locator chooses, hold `file`.

        `session`: of the person who wants it, where accounts are on. The peers named by a person are kept as the
        transfer's hints: for one of those that fails no other is chosen. Unavailable if no peer can take it.
        """
        targets = list(to) or self._place(file.file_id, file.size, replicas, (), _LOCATOR_PATIENCE)
        if not targets:
            raise Unavailable("no other peer has room for it and takes uploads now (or all of them hold it already)")
        wanted = [Wanted(file.name, file.file_id, file.size, file.sha256)] * max(len(to), replicas)
        transfer_id = new_id()
        self._asking.hold(transfer_id, session)  # before it is there to be looked after
        made = self._transfers.create(
            "upload", file.name, wanted, self._wall(), hints=to, targets=targets, transfer_id=transfer_id
        )
        self._wake.set()
        return made

    def cancel(self, transfer: Transfer) -> None:
        """End a live upload, and tell its targets that did not finish to drop it; one that ends now is left."""
        try:
            self._transfers.move(transfer.id, "cancelled", self._wall())
        except Conflict:
            return
        self._asking.forget(transfer.id)
        self._withdraw_all(transfer.id)

    def _withdraw_all(self, transfer_id: str) -> None:
        for target in self._transfers.targets(transfer_id):
            if target.state not in ENDED:
                self._transfers.set_target(transfer_id, replace(target, state="cancelled"))
                self._pool.submit(self._withdraw, target)

    def resume(self, transfer: Transfer, session: str | None = None) -> Transfer:
        """Let a failed upload try its failed targets again, or one go on that waits for a person who is logged in.

        Conflict in any other state.
        """
        if transfer.state not in {"done", "cancelled"}:
            self._asking.hold(transfer.id, session)
        if transfer.state == "running" and self._asking.waits_for_login(transfer.id):  # others of its targets take it
            self._wake.set()
            return transfer
        moved = self._transfers.move(transfer.id, "queued", self._wall())
        for target in self._transfers.targets(transfer.id):
            if target.state in {"failed", "cancelled"}:
                self._transfers.set_target(transfer.id, replace(target, state="queued", error=None, offer_id=None))
        self._wake.set()
        return moved

    def pause(self, transfer: Transfer) -> Transfer:
        """Always a Conflict: the targets do the work."""
        raise Conflict(f"upload {transfer.id} is carried out by the peers that take it: it can only be cancelled")

    def live(self, transfer_id: str) -> Live | None:
        """What moves right now, for its view."""
        return self._live.get(transfer_id)

    def begin(self) -> None:
        """Take up what an earlier process left, and begin to look after uploads."""
        self._thread.start()

    def stop(self) -> None:
        """Look after them no more; targets go on by themselves."""
        self._stopped = True
        self._wake.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._thread.is_alive():
            self._thread.join(5)

    def tick(self) -> bool:
        """Take each live upload one step further; whether any is live."""
        live = [one for one in self._transfers.in_states(("queued", "running")) if one.kind == "upload"]
        for transfer in live:
            try:
                with working_on(request=f"{transfer.kind}-{transfer.id}", transfer=transfer.id):
                    self._step(transfer)
            except (NotFound, Conflict):
                continue  # it was cancelled or forgotten meanwhile
        return bool(live)

    def _run(self) -> None:
        while not self._stopped:
            self._wake.clear()
            try:
                busy = self.tick()
            except Exception:
                if self._stopped:
                    return
                _log.exception("looking after uploads failed; trying again")
                busy = True
            self._wake.wait(self._limits.look_seconds if busy else None)

    def _step(self, transfer: Transfer) -> None:
        if transfer.state == "queued":
            transfer = self._transfers.move(transfer.id, "running", self._wall())
        (item,) = self._transfers.items(transfer.id, -1, 1)
        targets = self._transfers.targets(transfer.id)
        grants = self._asking.granted(transfer.id, item, targets)
        # Each in a context of its own, in which what is asked and logged carries the ids of this transfer.
        asking = [
            partial(copy_context().run, self._asking.ask, transfer.id, item, target, grants) for target in targets
        ]
        asked = list(self._pool.map(lambda ask: ask(), asking))
        self._record(transfer, targets, asked)
        if self._transfers.get(transfer.id).state == "cancelled":  # while they were asked, so some have just taken it
            self._withdraw_all(transfer.id)
            return
        self._replace_failed(transfer, item, asked)
        self._conclude(transfer)

    def _record(self, transfer: Transfer, before: Sequence[Target], after: Sequence[Target]) -> None:
        live = self._live.setdefault(transfer.id, Live())
        for old, new in zip(before, after, strict=True):
            if old != new:
                self._transfers.set_target(transfer.id, new)
                live.arrived(max(new.bytes_done - old.bytes_done, 0), self._clock())

    def _replace_failed(self, transfer: Transfer, item: Item, targets: Sequence[Target]) -> None:
        """Where the locator chose, have it choose others for those that failed."""
        good = sum(target.state not in {"failed", "cancelled"} for target in targets)
        missing = transfer.files_total - good
        if transfer.hints or missing <= 0:
            return
        tried = [target.peer.peer_id for target in targets]
        try:
            others = self._place(item.file_id, item.size, missing, tried)
        except PServerError:
            return  # no locator now: those that are left decide
        for peer in others:
            self._transfers.set_target(transfer.id, Target(peer))

    def _conclude(self, transfer: Transfer) -> None:
        targets = self._transfers.targets(transfer.id)
        done = [target for target in targets if target.state == "done"]
        for number in range(transfer.files_done, min(len(done), transfer.files_total)):
            self._transfers.end_item(transfer.id, number, transfer.label)
        live = [target for target in targets if target.state not in ENDED]
        if self._asking.waits_for_login(transfer.id) and all(target.offer_id is None for target in live):
            self._live.pop(transfer.id, None)
            self._transfers.move(transfer.id, "paused", self._wall(), ("login_required", LOG_IN))
        if live:
            return
        self._asking.forget(transfer.id)
        self._live.pop(transfer.id, None)
        if len(done) >= transfer.files_total:
            self._transfers.move(transfer.id, "done", self._wall())
        else:
            error = ("not-placed", _why(transfer, targets, len(done)))
            self._transfers.move(transfer.id, "failed", self._wall(), error)

    def _withdraw(self, target: Target) -> None:
        if self._wanted_by_others(target):
            return
        try:
            self._asking.withdraw(target)
        except PServerError as error:
            _log.info("%s was not told that its offer is withdrawn: %s", target.peer.name, error)

    def _wanted_by_others(self, target: Target) -> bool:
        """Whether another upload goes on by the same offer: of one file, a peer takes one from us, for all."""
        live = [one for one in self._transfers.all() if one.kind == "upload" and one.state not in ENDED]
        offers = ((other.peer.peer_id, other.offer_id) for one in live for other in self._transfers.targets(one.id))
        return (target.peer.peer_id, target.offer_id) in offers


def _why(transfer: Transfer, targets: Sequence[Target], done: int) -> str:
    failed = "; ".join(f"{one.peer.name}: {one.error or one.state}" for one in targets if one.state != "done")
    missing = "" if failed else "no further peer has room and takes uploads"
    return f"{done} of {transfer.files_total} peers hold it now. {failed or missing}"
