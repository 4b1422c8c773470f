"""One locator and fleets of 50 to 1,000 peers: what it costs, how fast it answers, how soon a restart is over.

`python -m bench.fleet` prints the rows. The peers are simulated in two processes (real rules, messages, tokens and
connections; no disk), share 200 files each, replace one every 10 seconds, and send a heartbeat every 8 to 10. Beside
them somebody asks for 20 lookups and a search a second. All peers of a size come at one moment, which is the worst.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.fleet_world import Fleet, Lookups, Size
from bench.rows import Row, at_most, say, table

SIZES, QUICK_SIZES = (50, 100, 200, 500, 1000), (50, 100)
SECONDS, QUICK_SECONDS = 60.0, 10.0
JUDGED = 500  # the size that has targets
MOST_PERCENT = 50.0
MOST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Restart:
    """One restart: seconds from the start of the new process until it listened and until all were back, how many
    lookups were asked from then to then, how many of these had no answer, and the slowest answer (seconds)."""

    listening: float
    back: float
    asked: int
    unanswered: int
    slowest: float


@dataclass(frozen=True, slots=True)
class Steady:
    """A while in which nothing special happens. Milliseconds; `unanswered`: lookups that got an error."""

    percent: float
    rss_mib: float
    p50: float
    p99: float
    unanswered: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One size. `joined`: seconds until all that came at one moment were in."""

    peers: int
    joined: float
    steady: Steady
    kept: Restart
    lost: Restart
    load: float


def run(quick: bool = False) -> list[Row]:
    """All sizes."""
    sizes, seconds = (QUICK_SIZES, QUICK_SECONDS) if quick else (SIZES, SECONDS)
    return rows([measure(Size(peers), seconds) for peers in sizes])


def measure(size: Size, seconds: float) -> Measured:
    """A fleet of that size: it joins, is watched for so long, and sees two restarts of its locator."""
    with tempfile.TemporaryDirectory(prefix="bench-fleet-") as folder:
        fleet = Fleet(Path(folder), size)
        fleet.locator.start()
        try:
            began = time.monotonic()
            fleet.launch()
            joined = fleet.all_back(began)
            say(f"{size.peers} peers are in after {joined:.1f} s")
            steady, load = _steady(fleet, seconds), os.getloadavg()[1]
            kept, lost = (_restarted(fleet, lose=lose) for lose in (False, True))
        finally:
            fleet.end()
    return Measured(size.peers, joined, steady, kept, lost, load)


def _steady(fleet: Fleet, seconds: float) -> Steady:
    time.sleep(seconds / 6)  # what the joining leaves to be done
    with fleet.probed() as seen:
        before, began = fleet.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        percent = 100 * (fleet.cpu_seconds() - before) / (time.monotonic() - began)
        rss = fleet.rss_mib()
    times = sorted(1000 * took for _, took, holders in seen.locates if holders >= 0)
    unanswered = sum(holders < 0 for _, _, holders in seen.locates)
    return Steady(percent, rss, times[len(times) // 2], times[int(0.99 * len(times))], unanswered)


def _restarted(fleet: Fleet, *, lose: bool) -> Restart:
    with fleet.probed() as seen:
        fleet.locator.stop()
        if lose:
            fleet.locator.forget()
        began = time.monotonic()
        fleet.locator.start()
        listening = time.monotonic() - began
        back = fleet.all_back(began)
    say(f"{fleet.size.peers} peers are back after {back:.1f} s, store {'lost' if lose else 'kept'}")
    return _restart(seen, began, listening, back)


def _restart(seen: Lookups, began: float, listening: float, back: float) -> Restart:
    """From the first lookup on that found the locator, however it was answered: a client may still be connecting."""
    up = [each for each in seen.locates if began + listening <= each[0] <= began + back]
    first = next((at for at, (_, _, holders) in enumerate(up) if holders >= 0), len(up))
    then = up[first:]
    slowest = max((took for _, took, holders in then if holders >= 0), default=float("nan"))
    return Restart(listening, back, len(then), sum(holders < 0 for _, _, holders in then), slowest)


def rows(measured: Sequence[Measured]) -> list[Row]:
    """Those of each size, and how the load grows with it."""
    return [row for each in measured for row in _rows(each)] + _growth(measured)


def _rows(each: Measured) -> list[Row]:
    judged = each.peers == JUDGED
    steady, note = each.steady, f"load average {each.load:.1f}"
    cpu = (f"{each.peers} peers: time of a core", steady.percent, "%")
    back = [
        (f"  all back after a restart, store {how}", restart.back, "s", _told(restart))
        for how, restart in (("kept", each.kept), ("lost", each.lost))
    ]
    return [
        at_most(*cpu, MOST_PERCENT, note) if judged else Row(*cpu, note=note),
        Row("  resident memory", steady.rss_mib, "MiB"),
        Row("  Locate, median", steady.p50, "ms"),
        Row("  Locate, 99th percentile", steady.p99, "ms", note=f"{steady.unanswered} without an answer"),
        Row("  all in, having come at one moment", each.joined, "s"),
        *(
            at_most(what, seconds, unit, MOST_SECONDS, told) if judged else Row(what, seconds, unit, note=told)
            for what, seconds, unit, told in back
        ),
    ]


def _told(restart: Restart) -> str:
    return (
        f"it listened after {restart.listening:.1f} s; of {restart.asked} lookups from then on {restart.unanswered} "
        f"had no answer, the slowest took {1000 * restart.slowest:.0f} ms"
    )


def _growth(measured: Sequence[Measured]) -> list[Row]:
    """The straight line through the sizes (least squares), and where it reaches the whole core.

    None for small fleets, whose part that does not grow would hide the one that does.
    """
    if len(measured) < 2 or max(each.peers for each in measured) < JUDGED:
        return []
    peers, percents = [each.peers for each in measured], [each.steady.percent for each in measured]
    middle, level = sum(peers) / len(peers), sum(percents) / len(percents)
    slope = sum((n - middle) * (p - level) for n, p in zip(peers, percents, strict=True))
    slope /= sum((n - middle) ** 2 for n in peers)
    return [
        Row("each 100 peers more: time of a core", 100 * slope, "%"),
        Row("at that rate a core is full at", middle + (100 - level) / slope, "peers"),
    ]


def picture(measured: Sequence[Measured], path: Path) -> None:
    """Time of a core and memory against the number of peers. ImportError without matplotlib (extra `bench`)."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "fleet"  # the same figures make the same file
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    peers = [each.peers for each in measured]
    left.plot(peers, [each.steady.percent for each in measured], "o-", color="#3a7d44")
    left.plot([JUDGED], [MOST_PERCENT], "v", color="#b3392f")
    left.set(xlabel="peers", ylabel="% of a core, steady (triangle: the target)", ylim=(0, None))
    for how, marks in (("kept", "o-"), ("lost", "s--")):
        right.plot(peers, [getattr(each, how).back for each in measured], marks, label=f"store {how}")
    right.set(xlabel="peers", ylabel="seconds until all are back after a restart", ylim=(0, None))
    right.legend()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="small and short: to try it, not to quote it")
    parser.add_argument("--peers", type=int, nargs="+", metavar="N", help="these sizes")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw it, too (.svg)")
    asked = parser.parse_args()
    sizes = asked.peers or (QUICK_SIZES if asked.quick else SIZES)
    measured = [measure(Size(peers), QUICK_SECONDS if asked.quick else SECONDS) for peers in sizes]
    found = rows(measured)
    print(table(found))
    if asked.picture:
        picture(measured, asked.picture)
    return 1 if any(row.ok is False for row in found) else 0


if __name__ == "__main__":
    sys.exit(_main())
