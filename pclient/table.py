"""Rows of cells, and their two looks: fitted to a terminal, or one tab-separated line a row for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pclient import text

if TYPE_CHECKING:
    from rich.table import Table as RichTable

_GAP = 2
_RULED_GAP = 3  # beneath a header rich puts one more cell between two columns
_MIN_WRAPPED = 20  # the width below which a wrapped column is not worth the others


class Cell(NamedTuple):
    """What a person sees, and what a program reads. Both harmless."""

    shown: str
    plain: str


@dataclass(frozen=True, slots=True)
class Column:
    """`wraps`: long cells go on in the next line. `rank`: on a narrow terminal the highest ranks are left out."""

    title: str
    right: bool = False
    wraps: bool = False
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and their rows. Off a terminal a column titled "#" is left out: it counts for people."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    has_header: bool = True


def word(value: object) -> Cell:
    """Text from anywhere, made harmless."""
    shown = text.harmless(str(value))
    return Cell(shown, shown)


def name(raw: str) -> Cell:
    """The name of a file, folder or peer: no two different ones look the same."""
    shown = text.name(raw)
    return Cell(shown, shown)


def size(count: int) -> Cell:
    """Bytes: in units for people, plain digits for programs."""
    return Cell(text.size(count), str(int(count)))


def short_id(hex_id: str) -> Cell:
    """An id: its beginning for people."""
    whole = text.harmless(hex_id)
    return Cell(text.short_id(whole), whole)


def plain_lines(table: Table) -> list[str]:
    """A line a row, tab-separated, nothing cut off."""
    kept = [index for index, column in enumerate(table.columns) if column.title != "#"]
    return ["\t".join(row[index].plain for index in kept) for row in table.rows]


def fitted(table: Table, width: int) -> "RichTable":
    """As a rich table that fits `width` character cells."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    kept = _columns_that_fit(table, width)
    made = RichTable(
        box=box.SIMPLE_HEAD if table.has_header else None,
        show_edge=False,
        pad_edge=False,
        padding=(0, _GAP, 0, 0),
        show_header=table.has_header,
    )
    for index in kept:
        column = table.columns[index]
        made.add_column(
            Text(column.title),
            justify="right" if column.right else "left",
            no_wrap=not column.wraps,
            overflow="fold",
            min_width=_needed(table, index) if column.wraps else None,
        )
    for row in table.rows:
        made.add_row(*(Text(row[index].shown) for index in kept))
    return made


def _columns_that_fit(table: Table, width: int) -> list[int]:
    kept = list(range(len(table.columns)))
    gap = _RULED_GAP if table.has_header else _GAP
    needed = {index: _needed(table, index) + gap for index in kept}
    while sum(needed[index] for index in kept) > width:
        last = max(kept, key=lambda index: (table.columns[index].rank, index))
        if table.columns[last].rank == 0:
            break
        kept.remove(last)
    return kept


def _needed(table: Table, index: int) -> int:
    from rich.cells import cell_len

    cells = [cell_len(row[index].shown) for row in table.rows]
    if table.columns[index].wraps:
        cells = [min(max(cells, default=0), _MIN_WRAPPED)]
    return max([len(table.columns[index].title) if table.has_header else 0, *cells])
