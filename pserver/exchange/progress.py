"""What moves right now: the live side of a transfer, and the transfer as people see it (record and live together)."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pserver.exchange.meter import Meter
from pserver.exchange.sources import Source
from pserver.exchange.transfer import Item, Target, Transfer
from pserver.model import ItemView, Peer, SourceView, TargetView, TransferView


@dataclass(frozen=True, slots=True)
class FileProgress:
    """How one file that is being fetched stands. `unrecorded`: bytes written beyond those recorded as done."""

    number: int
    unrecorded: int
    standstill: str | None
    sources: tuple[SourceView, ...]


class Live:
    """The live side of one running transfer. Thread-safe. `now` is the clock of the engine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._meter = Meter()
        self._files: dict[int, Callable[[float], FileProgress]] = {}

    def arrived(self, count: int, now: float) -> None:
        """Bytes came."""
        with self._lock:
            self._meter.add(count, now)

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

    def files(self, now: float) -> list[FileProgress]:
        """How the files that are being fetched stand."""
        with self._lock:
            looks = list(self._files.values())
        return [look(now) for look in looks]  # outside the lock: each takes that of its file


def source_view(source: Source, peer: Peer, now: float) -> SourceView:
    """A source as people see it."""
    rate = source.meter.rate(now)
    return SourceView(peer, source.state(now), rate, source.pieces, source.errors, source.why)


def transfer_view(
    transfer: Transfer, items: Iterable[Item], targets: Iterable[Target], live: Live | None, now: float
) -> TransferView:
    """The transfer as it stands: as it is recorded, with what is live if it is running."""
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
        standstill=_standstill(files),
        error=transfer.error,
        sources=_merged(files),
        targets=tuple(TargetView(one.peer, one.state, one.bytes_done, one.error) for one in targets),
        items=tuple(_item_view(item, files) for item in items),
    )


def _bytes(transfer: Transfer, targets: list[Target], files: list[FileProgress]) -> tuple[int, int]:
    if targets:  # an upload: its items are as many as peers shall hold it; failed ones are replaced by others
        done = sum(target.bytes_done for target in targets if target.state not in {"failed", "cancelled"})
        return min(done, transfer.bytes_total), transfer.bytes_total
    done = transfer.bytes_done + sum(file.unrecorded for file in files)
    return min(done, transfer.bytes_total), transfer.bytes_total


def _standstill(files: list[FileProgress]) -> str | None:
    """Why nothing moves, if no file moves."""
    if any(file.standstill is None for file in files):
        return None
    return next((file.standstill for file in files), None)


def _item_view(item: Item, files: list[FileProgress]) -> ItemView:
    state = "running" if item.state == "placing" else item.state
    more = sum(file.unrecorded for file in files if file.number == item.number)
    done = min(item.bytes_done + more, item.size)
    return ItemView(item.name, item.final_name, item.file_id, item.size, state, done, item.error)


def _merged(files: list[FileProgress]) -> tuple[SourceView, ...]:
    """The sources of all files, each peer once: sums, and the worst that is known of it."""
    merged: dict[str, SourceView] = {}
    for view in (view for file in files for view in file.sources):
        before = merged.get(view.peer.peer_id)
        merged[view.peer.peer_id] = view if before is None else _both(before, view)
    return tuple(sorted(merged.values(), key=lambda view: -view.rate))


def _both(one: SourceView, other: SourceView) -> SourceView:
    worst = max((one, other), key=lambda view: ("ok", "slow", "gone", "banned").index(view.state))
    return SourceView(
        one.peer,
        worst.state,
        one.rate + other.rate,
        one.pieces + other.pieces,
        one.errors + other.errors,
        worst.why,
    )
