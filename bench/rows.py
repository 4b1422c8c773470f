"""A measured figure, what it should be, and how figures are shown. Every benchmark gives a list of these."""

import argparse
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

RUNS = 5
QUICK_RUNS = 1
_BOUND = re.compile(r"\s*(≥|≤|<|>)\s*([0-9][0-9.,]*)")
_HEAD = ("what", "value", "unit", "target", "met")


class CannotRun(Exception):
    """A benchmark cannot run here: the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `target`: "≥ 1.5", "< 160" or "" for none; `ok`: whether it is met, None where there is none."""

    what: str
    value: float
    unit: str
    target: str = ""
    ok: bool | None = None
    note: str = ""

    @property
    def bound(self) -> tuple[str, float] | None:
        """The comparison ("≥", "≤", "<", ">") and the number of the target."""
        found = _BOUND.match(self.target)
        return (found[1], float(found[2].replace(",", ""))) if found else None

    @property
    def times_target(self) -> float | None:
        """How often the target is reached: 1.0 just so, less is a miss, whichever way the target points."""
        if self.bound is None:
            return None
        way, number = self.bound
        above, below = (self.value, number) if way in "≥>" else (number, self.value)
        return above / below if below else None

    @property
    def verdict(self) -> str:
        """Yes, no, or nothing where there is no target."""
        return {True: "yes", False: "no", None: ""}[self.ok]


def at_least(what: str, value: float, unit: str, bound: float, note: str = "") -> Row:
    """A figure that should be as large as `bound` or larger."""
    return Row(what, value, unit, f"≥ {bound:g}", value >= bound, note)


def at_most(what: str, value: float, unit: str, bound: float, note: str = "") -> Row:
    """A figure that should be as small as `bound` or smaller."""
    return Row(what, value, unit, f"≤ {bound:g}", value <= bound, note)


def below(what: str, value: float, unit: str, bound: float, note: str = "") -> Row:
    """A figure that should be smaller than `bound`."""
    return Row(what, value, unit, f"< {bound:g}", value < bound, note)


def as_row(said: Row | Mapping[str, object]) -> Row:
    """A Row, also of a dict with its fields: what, value, unit, and perhaps target, ok, note."""
    if isinstance(said, Row):
        return said
    ok, value = said.get("ok"), said["value"]
    if not isinstance(value, int | float) or not (ok is None or isinstance(ok, bool)):
        raise TypeError(f"this is no row of figures: {dict(said)}")
    texts = {name: str(said.get(name) or "") for name in ("what", "unit", "target", "note")}
    return Row(value=float(value), ok=ok, **texts)


def number(value: float) -> str:
    """With the digits that matter."""
    if value and abs(value) < 0.995:
        return f"{value:.3f}"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"


def table(rows: Sequence[Row]) -> str:
    """The rows as plain text in columns, notes below the row that they belong to."""
    cells = [_HEAD, *((row.what, number(row.value), row.unit, row.target, row.verdict) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    lines = [_line(cells[0], widths), _line(["-" * width for width in widths], widths)]
    for row, line in zip(rows, cells[1:], strict=True):
        lines.append(_line(line, widths))
        if row.note:
            lines.append(f"    {row.note}")
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    texts = [cells[0].ljust(widths[0]), cells[1].rjust(widths[1])]
    texts += [cell.ljust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join(texts).rstrip()


def in_turn(runs: int, contestants: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """What each contestant measured, `runs` times, all of them in turn so that a noisy moment is noisy for all."""
    measured: dict[str, list[float]] = {name: [] for name in contestants}
    for run in range(runs):
        for name, measure in contestants.items():
            measured[name].append(measure())
            say(f"  run {run + 1} of {runs}, {name}: {number(measured[name][-1])}")
    return measured


def medians(measured: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of each contestant."""
    return {name: statistics.median(values) for name, values in measured.items()}


def spread(values: Sequence[float], unit: str) -> str:
    """Of how many runs a median is, and between what they lay: for a note."""
    if len(values) == 1:
        return "one run"
    return f"{len(values)} runs, {number(min(values))} to {number(max(values))} {unit}"


def say(text: str) -> None:
    """A line of what is going on, on stderr."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main(run: Callable[[bool], Sequence[Row]], what: str) -> int:
    """The command line of one benchmark: runs it and prints its table. 1 if a target is missed, 2 if it cannot run."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--quick", action="store_true", help="once and with little: to try it, not to quote it")
    try:
        rows = run(parser.parse_args().quick)
    except CannotRun as error:
        print(error, file=sys.stderr)
        return 2
    print(table(rows))
    return 1 if any(row.ok is False for row in rows) else 0
