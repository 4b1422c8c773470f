"""Progress, as it is shown: a bar that is redrawn on a terminal, else one line at the start and one at each turn."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pclient import text
from pclient.model import Transfer
from pclient.talk import Talk

if TYPE_CHECKING:
    from rich.console import RenderableType

_BAR_CELLS = 24


@dataclass(frozen=True, slots=True)
class Moment:
    """Where something stands. Bytes, bytes a second, seconds. `note`: why it does not move, or the like."""

    label: str
    state: str
    done: int
    total: int
    rate: float = 0.0
    remaining: float | None = None
    sources: int | None = None
    note: str = ""

    @property
    def share(self) -> float:
        """0 to 1."""
        return min(self.done / self.total, 1.0) if self.total > 0 else 0.0


def of_transfer(transfer: Transfer) -> Moment:
    """Where a transfer stands."""
    good = [source for source in transfer["sources"] if source["state"] in {"ok", "slow"}]
    return Moment(
        label=f"{transfer['kind']} {transfer['label']}",
        state=transfer["state"],
        done=transfer["bytes_done"],
        total=transfer["bytes_total"],
        rate=transfer["rate"],
        remaining=transfer["eta_seconds"],
        sources=len(good) if transfer["kind"] != "upload" else None,
        note=transfer["standstill"] or "",
    )


class Display(Protocol):
    """Shows moments one after another."""

    def show(self, moment: Moment) -> None:
        """Show where it stands now."""


@contextmanager
def displayed(talk: Talk) -> Iterator[Display]:
    """A display on stderr, gone from the screen at the end."""
    if not talk.moving:
        yield _Lines(talk)
        return
    from rich.live import Live
    from rich.text import Text

    talk.flush()
    live = Live(
        Text(""),
        console=talk.progress_console(),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        vertical_overflow="crop",
    )
    with live:
        yield _Bar(lambda moment: live.update(drawn(moment, live.console.width), refresh=True))


class _Lines:
    """Off a terminal: says only that it began, and when its state changes (queued, running, paused)."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._last: tuple[str, str] | None = None

    def show(self, moment: Moment) -> None:
        """See Display."""
        now = (moment.label, moment.state)
        if now != self._last and moment.state not in {"done", "failed", "cancelled"}:
            figures = f", {text.size(moment.done)} of {text.size(moment.total)}" if moment.total else ""
            self._talk.say(f"{moment.label}: {moment.state}{figures}")
        self._last = now


class _Bar:
    def __init__(self, draw: Callable[[Moment], None]) -> None:
        self._draw = draw

    def show(self, moment: Moment) -> None:
        """See Display."""
        self._draw(moment)


def figures(moment: Moment) -> str:
    """ "42 %  1.2 GiB of 3.4 GiB  12.3 MiB/s  2 min 05 s left  3 sources"."""
    parts = [f"{int(moment.share * 100):>3} %", f"{text.size(moment.done)} of {text.size(moment.total)}"]
    if moment.state != "running":
        parts.append(moment.state)
    elif moment.rate > 0:
        parts.append(text.rate(moment.rate))
    if moment.remaining is not None:
        parts.append(f"{text.duration(moment.remaining)} left")
    if moment.sources is not None:
        parts.append(text.count_of(moment.sources, "source"))
    return "  ".join(parts)


def drawn(moment: Moment, width: int) -> "RenderableType":
    """Two lines, three with a note, none longer than `width` cells."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    def line(content: str, style: str = "") -> Text:
        shown = Text(text.harmless(content), style=style, no_wrap=True, overflow="ellipsis")
        shown.truncate(width, overflow="ellipsis")
        return shown

    grid = Table.grid(padding=(0, 1))
    bar_cells = min(_BAR_CELLS, max(width - 60, 5))
    bar = ProgressBar(total=max(moment.total, 1), completed=min(moment.done, max(moment.total, 1)), width=bar_cells)
    grid.add_row(bar, line(figures(moment)))
    notes = [line(moment.note, "yellow")] if moment.note else []
    return Group(line(moment.label), grid, *notes)
