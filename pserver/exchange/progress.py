"""What moves right now: the live side of a transfer, and the transfer as people see it (record and live together)."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from pserver.exchange.bottleneck import DISK, Effort, Work, of_standstill
from pserver.exchange.given import merged, over
from pserver.exchange.meter import Meter
from pserver.exchange.sources import Source
from pserver.exchange.transfer import Item, Target, Transfer
from pserver.model import Peer
from pserver.views import ItemView, SourceView, TargetView, TransferView


@dataclass(frozen=True, slots=True)
class FileProgress:
    """How one file that is being fetched stands. `unrecorded`: bytes written beyond those recorded as done.

    `on_disk`: what goes on is only between this peer and its disk.
    """

    number: int
    unrecorded: int
    standstill: str | None
    sources: tuple[SourceView, ...]
    on_disk: bool = False


class Live:
    """The live side of one running transfer. Thread-safe. `now` is the clock of the engine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._meter = Meter()
        self._files: dict[int, Callable[[float], FileProgress]] = {}
        self._effort = Effort()
        self._gave: tuple[SourceView, ...] = ()  # the sources of files that are no longer being fetched

    def arrived(self, count: int, now: float) -> None:
        """Bytes came."""
        with self._lock:
            self._meter.add(count, now)

    @property
    def received(self) -> int:
        """Bytes that came in all."""
        return self._meter.total

    def waited(self, peer: str, seconds: float, now: float) -> None:
        """A worker waited for the peer of that name to send."""
        with self._lock:
            self._effort.waited(peer, seconds, now)

    def worked(self, work: Work, seconds: float, now: float) -> None:
        """A worker did this for so long."""
        with self._lock:
            self._effort.worked(work, seconds, now)

    def gave(self, views: Iterable[SourceView]) -> None:
        """What the sources of a file gave that is no longer being fetched from them, or of a time before."""
        with self._lock:
            self._gave = merged((*self._gave, *map(over, views)))

    def sources(self, now: float) -> tuple[SourceView, ...]:
        """All that the transfer was read from until now, each peer once."""
        live = [view for file in self.files(now) for view in file.sources]
        peers = {view.peer.peer_id for view in live}
        with self._lock:  # of a peer that is read from again, what was held against it is past
            gave = [replace(one, state="ok", why=None) if one.peer.peer_id in peers else one for one in self._gave]
        return merged((*gave, *live))

    def bottleneck(self, files: Sequence[FileProgress], now: float) -> str | None:
        """What holds it up now; None if that is not known. `files`: those of now."""
        standstill = _standstill(files)
        if standstill is not None:
            return of_standstill(standstill, (v.peer.name for file in files for v in file.sources if v.state == "slow"))
        if files and all(file.on_disk for file in files):
            return DISK
        with self._lock:
            return self._effort.bottleneck(now)

    def file_began(self, number: int, look: Callable[[float], FileProgress]) -> None:
        """That file is being fetched; `look(now)` tells how it stands."""
        with self._lock:
            self._files[number] = look

    def file_ended(self, number: int) -> None:
        """That file is no longer being fetched."""
        with self._lock:
            self._files.pop(number, None)

    def rate(self, now: float) -> float:
        """Bytes a second, over the last few seconds."""
        with self._lock:
            return self._meter.rate(now)

    def stands_still(self, now: float) -> bool:
        """Whether none of its files moves, and it is known why."""
        files = self.files(now)
        return bool(files) and _standstill(files) is not None

    def files(self, now: float) -> list[FileProgress]:
        """How the files that are being fetched stand."""
        with self._lock:
            looks = list(self._files.values())
        return [look(now) for look in looks]  # outside the lock: each takes that of its file


def source_view(source: Source, peer: Peer, given: int, now: float) -> SourceView:
    """A source as people see it, that gave so many bytes."""
    rate = source.meter.rate(now)
    return SourceView(peer, source.state(now), rate, source.pieces, source.errors, source.why, given)


def transfer_view(
    transfer: Transfer,
    items: Iterable[Item],
    targets: Iterable[Target],
    live: Live | None,
    now: float,
    *,
    gave: tuple[SourceView, ...] = (),
) -> TransferView:
    """The transfer as it stands: as it is recorded, with what is live if it is running, else with what sources gave."""
    files = live.files(now) if live is not None else []
    rate = live.rate(now) if live is not None else 0.0
    targets = list(targets)
    done, total = _bytes(transfer, targets, files)
    return TransferView(
        id=transfer.id,
        kind=transfer.kind,
        label=transfer.label,
        state=transfer.state,
        bytes_total=total,
        bytes_done=done,
        files_total=transfer.files_total,
        files_done=transfer.files_done,
        rate=rate,
        eta_seconds=(total - done) / rate if rate else None,
        created=transfer.created,
        ended=transfer.ended,
        standstill=_standstill(files) or _pause(transfer),
        error=transfer.error,
        sources=live.sources(now) if live is not None else gave,
        targets=tuple(TargetView(one.peer, one.state, one.bytes_done, one.error) for one in targets),
        items=tuple(_item_view(item, files) for item in items),
        bottleneck=live.bottleneck(files, now) if live is not None else None,
    )


def _bytes(transfer: Transfer, targets: list[Target], files: list[FileProgress]) -> tuple[int, int]:
    if targets:  # an upload: its items are as many as peers shall hold it; failed ones are replaced by others
        done = sum(target.bytes_done for target in targets if target.state not in {"failed", "cancelled"})
        return min(done, transfer.bytes_total), transfer.bytes_total
    done = transfer.bytes_done + sum(file.unrecorded for file in files)
    return min(done, transfer.bytes_total), transfer.bytes_total


def _standstill(files: Sequence[FileProgress]) -> str | None:
    """Why nothing moves, if no file moves."""
    if any(file.standstill is None for file in files):
        return None
    return next((file.standstill for file in files), None)


def _pause(transfer: Transfer) -> str | None:
    """Why it was paused, where nobody asked for that."""
    return transfer.error[1] if transfer.state == "paused" and transfer.error is not None else None


def _item_view(item: Item, files: list[FileProgress]) -> ItemView:
    state = "running" if item.state == "placing" else item.state
    more = sum(file.unrecorded for file in files if file.number == item.number)
    done = min(item.bytes_done + more, item.size)
    return ItemView(item.name, item.final_name, item.file_id, item.size, state, done, item.error)
