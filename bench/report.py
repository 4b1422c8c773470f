"""docs/BENCHMARKS.md and its picture, made of what the benchmarks measured."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.rows import Row, number

PICTURE = "benchmarks.svg"
_LABEL_CHARACTERS = 64
_MET, _MISSED = "#3a7d44", "#b3392f"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one benchmark: rows, or why there are none."""

    name: str
    about: str
    rows: Sequence[Row]
    skipped: str | None = None


def markdown(outcomes: Sequence[Outcome], facts: Mapping[str, str], quick: bool, pictured: bool) -> str:
    """The whole page."""
    parts = ["# Benchmarks", _introduction(quick), _machine(facts), _verdict(outcomes)]
    if pictured:
        parts.append(f"![How often each target is reached]({PICTURE})")
    return "\n\n".join([*parts, *map(_section, outcomes)]) + "\n"


def picture(outcomes: Sequence[Outcome], path: Path) -> None:
    """A bar for each target: how often it is reached. Raises ImportError without matplotlib (extra `dev`)."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "benchmarks"  # the same figures make the same file
    from matplotlib import pyplot, ticker

    bars = [(_label(outcome.name, row), row) for outcome in outcomes for row in outcome.rows if row.times_target]
    figure, axes = pyplot.subplots(figsize=(10, 1.2 + 0.34 * len(bars)), layout="constrained")
    values = [row.times_target or 0.0 for _, row in bars]
    colours = [_MET if row.ok else _MISSED for _, row in bars]
    axes.barh(range(len(bars)), [value - 1 for value in values], left=1, color=colours)
    axes.set_yticks(range(len(bars)), [label for label, _ in bars], fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_xlabel("times the target (right of the line: met; logarithmic)")
    for position, value in enumerate(values):
        axes.text(value, position, f" {value:.2f}", va="center", fontsize=8)
    axes.margins(x=0.12)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _introduction(quick: bool) -> str:
    text = (
        "Made by `make bench` (as root, for the network lab). Every ratio is of medians, of things measured in turn in "
        "one run on one machine, against the real peers. A module alone: `python -m bench.NAME`; `--quick` runs it "
        "once with less, to try it."
    )
    if quick:
        text += "\n\n**These are figures of a quick run: once each, with little. Not to be quoted.**"
    return "\n".join(textwrap.wrap(text, 118, replace_whitespace=False))


def _machine(facts: Mapping[str, str]) -> str:
    return "| machine | |\n| --- | --- |\n" + "\n".join(f"| {name} | {value} |" for name, value in facts.items())


def _verdict(outcomes: Sequence[Outcome]) -> str:
    judged = [row for outcome in outcomes for row in outcome.rows if row.ok is not None]
    missed = [row.what for row in _whole(judged) if not row.ok]
    text = f"{len(judged) - len(missed)} of {len(judged)} targets met."
    skipped = [outcome.name for outcome in outcomes if outcome.skipped]
    return text + (f" Skipped: {', '.join(skipped)}." if skipped else "")


def _section(outcome: Outcome) -> str:
    head = f"## {outcome.name}\n\n{_plain(outcome.about)}\n\n    python -m bench.{outcome.name}"
    if outcome.skipped:
        return f"{head}\n\nSkipped: {outcome.skipped}"
    lines = ["| what | value | unit | target | met | runs |", "| --- | ---: | --- | --- | --- | --- |"]
    lines += [_table_line(row) for row in _whole(outcome.rows)]
    return f"{head}\n\n" + "\n".join(lines)


def _table_line(row: Row) -> str:
    met = f"**{row.verdict}**" if row.ok is False else row.verdict
    cells = (row.what, number(row.value), row.unit, row.target, met, row.note)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _whole(rows: Sequence[Row]) -> list[Row]:
    """As they are; a name that begins with blanks belongs to the one above and says so by an ellipsis."""
    return [Row(re.sub(r"^ +", "… ", row.what), row.value, row.unit, row.target, row.ok, row.note) for row in rows]


def _label(name: str, row: Row) -> str:
    what = textwrap.shorten(row.what, _LABEL_CHARACTERS, placeholder=" …")
    return f"{name}: {what} ({row.target} {row.unit})"


def _plain(about: str) -> str:
    """The docstring without the line on how to run it, which the section has."""
    return re.sub(r"`python -m bench\.\w+` prints the rows\. ?", "", about).strip()
