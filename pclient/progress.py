"""Progress, as it is shown: a bar that is redrawn on a terminal, else one line at the start and one at each turn."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pclient import text
from pclient.model import ENDED, Transfer
from pclient.talk import Talk

if TYPE_CHECKING:
    from rich.console import RenderableType

_BAR_CELLS = 24
_WIDTH_FOR_A_BAR = 70  # on a narrower terminal the figures need the room
_LABEL_SECONDS = 5.0  # off a terminal: how often at most it is said that another file's turn has come
_NUMBERS = re.compile(r"[0-9.]+")


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
def displayed(talk: Talk, clock: Callable[[], float]) -> Iterator[Display]:
    """A display on stderr, gone from the screen at the end. `clock` in seconds."""
    if not talk.moving:
        yield _Lines(talk, clock)
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
    """Off a terminal: says that it began, and 1. each change of its state (queued, running, paused), 2. why it stands
    still, when that begins or changes (not that fewer seconds remain), 3. seldom, that it moves again or is at
    another file.
    """

    def __init__(self, talk: Talk, clock: Callable[[], float]) -> None:
        self._talk = talk
        self._clock = clock
        self._said = ("", "", "")  # label, state, note
        self._said_at = 0.0

    def show(self, moment: Moment) -> None:
        """See Display."""
        now = (moment.label, moment.state, _NUMBERS.sub("", moment.note))
        if moment.state not in ENDED and now != self._said and self._is_due(now):
            figures = f", {text.size(moment.done)} of {text.size(moment.total)}" if moment.total else ""
            note = f"; {moment.note}" if moment.note else ""
            self._talk.say(f"{moment.label}: {moment.state}{figures}{note}")
            self._said, self._said_at = now, self._clock()

    def _is_due(self, now: tuple[str, str, str]) -> bool:
        _, state, note = now
        turned = state != self._said[1] or (note != "" and note != self._said[2])
        return turned or self._clock() - self._said_at >= _LABEL_SECONDS


class _Bar:
    def __init__(self, draw: Callable[[Moment], None]) -> None:
        self._draw = draw

    def show(self, moment: Moment) -> None:
        """See Display."""
        self._draw(moment)


def figures(moment: Moment, width: int = 1000) -> str:
    """ "42 %  1.2 GiB of 3.4 GiB  12.3 MiB/s  2 min 05 s left  3 sources": as many of them as fit, each whole."""
    parts = _parts(moment)
    while len(parts) > 1 and text.cells(_joined(parts)) > width:
        parts.remove(max(parts, key=lambda part: part[0]))
    return _joined(parts)


def _parts(moment: Moment) -> list[tuple[int, str]]:
    """The figures from left to right, each with its rank: the highest is missed least."""
    parts = [(0, f"{int(moment.share * 100):>3} %"), (3, f"{text.size(moment.done)} of {text.size(moment.total)}")]
    if moment.state != "running":
        parts.append((1, moment.state))
    elif moment.rate > 0:
        parts.append((2, text.rate(moment.rate)))
    if moment.remaining is not None:
        parts.append((1, f"{text.duration(moment.remaining)} left"))
    if moment.sources is not None:
        parts.append((4, text.count_of(moment.sources, "source")))
    return parts


def _joined(parts: Sequence[tuple[int, str]]) -> str:
    return "  ".join(shown for _, shown in parts)


def drawn(moment: Moment, width: int) -> "RenderableType":
    """What it is, the figures, and why it stands still; no line longer than `width` cells."""
    from rich.console import Group
    from rich.text import Text

    def lines(content: str, style: str = "") -> Text:
        return Text(content, style=style, overflow="fold")

    label = lines(text.shortened(text.harmless(moment.label), width))
    notes = [lines("\n".join(text.wrapped(text.harmless(moment.note), width)), "yellow")] if moment.note else []
    return Group(label, _with_bar(moment, width) if width >= _WIDTH_FOR_A_BAR else figures(moment, width), *notes)


def _with_bar(moment: Moment, width: int) -> "RenderableType":
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    total = max(moment.total, 1)
    cells = min(_BAR_CELLS, width - 60)
    bar = ProgressBar(total=total, completed=min(moment.done, total), width=cells)
    grid = Table.grid(padding=(0, 1))
    grid.add_row(bar, figures(moment, width - cells - 1))
    return grid
