"""Runs all benchmarks, prints their tables, and writes docs/BENCHMARKS.md with a picture.

`python -m bench [--quick] [--only NAME ...] [--into FOLDER]`. One that cannot run here says why and is skipped. Exits
with 1 if a target was missed or a benchmark broke, and 0 else.
"""

import argparse
import importlib
import inspect
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import machine, report
from bench.report import Outcome
from bench.rows import CannotRun, Row, as_row, say, table

NAMES = (
    "transfer",
    "sources",
    "swarm",
    "small_files",
    "many_readers",
    "hostile",
    "logins",
    "hostile_grpc",
    "rates",
    "share",
    "locator",
    "fleet",
    "client",
    "memory",
)  # in the order of the page
_DOCS = Path(__file__).resolve().parent.parent / "docs"


def main() -> int:
    """All of it."""
    asked = _arguments()
    outcomes = [_outcome(name, asked.quick) for name in asked.only or NAMES]
    _write(outcomes, asked.into, asked.quick)
    broken = [outcome.name for outcome in outcomes if outcome.skipped and outcome.skipped.startswith("it broke")]
    missed = [row.what for outcome in outcomes for row in outcome.rows if row.ok is False]
    return 1 if broken or missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="once each and with little: to try it, not to quote it")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=NAMES, help=f"some of: {', '.join(NAMES)}")
    parser.add_argument("--into", type=Path, default=_DOCS, metavar="FOLDER", help="where the page goes (docs)")
    return parser.parse_args()


def _outcome(name: str, quick: bool) -> Outcome:
    say(f"bench.{name}")
    began, about = time.monotonic(), ""
    try:
        module = importlib.import_module(f"bench.{name}")
        about = module.__doc__ or ""
        rows = [as_row(row) for row in _run(module.run, quick)]
    except CannotRun as error:
        outcome = Outcome(name, about, (), str(error))
    except Exception as error:
        traceback.print_exc()
        outcome = Outcome(name, about, (), f"it broke: {type(error).__name__}: {error}".splitlines()[0])
    else:
        outcome = Outcome(name, about, rows)
    shown = table(outcome.rows) if outcome.rows else f"skipped: {outcome.skipped}"
    print(f"\n{name} ({time.monotonic() - began:.0f} s)\n{shown}", flush=True)
    return outcome


def _run(run: Callable[..., Sequence[Row]], quick: bool) -> Sequence[Row]:
    """Some benchmarks have one size only."""
    return run(quick) if inspect.signature(run).parameters else run()


def _write(outcomes: Sequence[Outcome], folder: Path, quick: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        report.picture(outcomes, folder / report.PICTURE)
        pictured = True
    except ImportError as error:
        say(f"no picture: {error}")
        pictured = False
    page = report.markdown(outcomes, machine.facts(), quick, pictured)
    (folder / "BENCHMARKS.md").write_text(page, encoding="utf-8")
    say(f"{folder / 'BENCHMARKS.md'} is written")


if __name__ == "__main__":
    sys.exit(main())
