"""Four sources of 80 Mbit/s each for one reader with 400: all of them used, and what one that turns slow costs.

`python -m bench.sources` prints the rows. Needs root (see bench.lab). The sum is what four curls get together from
nginx at the four sources. In the second part one link drops to 1 Mbit/s when half of the file is there; the finish is
compared with: that moment, plus the time that the other three, at curl's speed, need for what was missing then.
"""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import others
from bench.folders import memory_folder, random_file
from bench.lab import Lab, check_can_run
from bench.ours import Network, wait_until_found
from bench.rows import QUICK_RUNS, RUNS, Row, at_least, below, in_turn, main, medians, say, spread
from demo.processes import DidNotHappen

FULL_BYTES = 400 << 20
QUICK_BYTES = 160 << 20
SOURCE_MBIT, READER_MBIT, SLOW_MBIT = 80.0, 400.0, 1.0
OF_THE_SUM = 0.95
LATER = 1.15
_LOCATOR, _READER, _SOURCES = 1, 2, (3, 4, 5, 6)
_FILE = "large.bin"
_SECONDS = 600
_POLL_SECONDS = 0.02


def run(quick: bool = False) -> list[Row]:
    """Both parts and curl's speed, in turn."""
    check_can_run()
    others.need("nginx", "curl")
    size, runs = (QUICK_BYTES, QUICK_RUNS) if quick else (FULL_BYTES, RUNS)
    rates = {_LOCATOR: READER_MBIT, _READER: READER_MBIT, **dict.fromkeys(_SOURCES, SOURCE_MBIT)}
    with memory_folder(size * (len(_SOURCES) + 3)) as folder, Lab(rates) as lab, ExitStack() as stack:
        contest = stack.enter_context(_Contest.in_lab(folder, lab, size))
        measured = in_turn(runs, {"curl": contest.curl, "ours": contest.ours, "one drops": contest.one_drops})
    return _rows(measured, size)


class _Contest:
    """Four PServers and four nginx with the same file, and one reader."""

    def __init__(self, folder: Path, lab: Lab, size: int, network: Network, stack: ExitStack) -> None:
        self._folder, self._lab, self._size = folder, lab, size
        self._sum = 0.0
        file = random_file(folder / "share" / _FILE, size)
        shares = [self._linked(node, file) for node in _SOURCES]  # all before any is indexed: a link changes the ctime
        self._urls = [self._serve(node, share, network, stack) for node, share in zip(_SOURCES, shares, strict=True)]
        self._reader = network.peer("reader", _READER)
        self._names = [f"source-{node}" for node in _SOURCES]
        self._file_id = wait_until_found(self._reader, _FILE, self._names)

    @classmethod
    @contextmanager
    def in_lab(cls, folder: Path, lab: Lab, size: int) -> Iterator["_Contest"]:
        """With everything running."""
        with Network(folder, lab) as network, ExitStack() as stack:
            yield cls(folder, lab, size, network, stack)

    def _linked(self, node: int, file: Path) -> Path:
        share = self._folder / f"share-{node}"
        share.mkdir()
        (share / _FILE).hardlink_to(file)
        return share

    def _serve(self, node: int, share: Path, network: Network, stack: ExitStack) -> str:
        network.peer(f"source-{node}", node, share=share)
        with self._lab.inside(node):
            server = others.nginx(share, self._folder / f"nginx-{node}", self._lab.address(node))
            return f"{stack.enter_context(server)}/{_FILE}"

    def curl(self) -> float:
        """MB/s of four curls together, each from its own nginx."""
        with ThreadPoolExecutor(len(self._urls)) as pool:
            times = list(pool.map(self._curl, self._urls))
        self._sum = sum(self._size / taken for taken in times)
        return self._sum / 1e6

    def _curl(self, url: str) -> float:
        with self._lab.inside(_READER):
            return others.curl(url, Path("/dev/null"))

    def ours(self) -> float:
        """MB/s of a download from the four PServers."""
        wait_until_found(self._reader, f"id:{self._file_id}", self._names)
        began = time.perf_counter()
        self._reader.wait(self._reader.download(f"id:{self._file_id}"), _SECONDS)
        taken = time.perf_counter() - began
        self._reader.forget(_FILE)
        return self._size / taken / 1e6

    def one_drops(self) -> float:
        """The time a download takes of which one source drops half-way, over that with only three from then on."""
        wait_until_found(self._reader, f"id:{self._file_id}", self._names)
        began = time.perf_counter()
        transfer = self._reader.download(f"id:{self._file_id}")
        done = self._await_half(transfer)
        try:
            self._lab.set_rate(_SOURCES[0], SLOW_MBIT)
            dropped = time.perf_counter() - began
            self._reader.wait(transfer, _SECONDS)
            taken = time.perf_counter() - began
        finally:
            self._lab.set_rate(_SOURCES[0], SOURCE_MBIT)
        self._reader.forget(_FILE)
        three = self._sum * (len(_SOURCES) - 1) / len(_SOURCES)
        expected = dropped + (self._size - done) / three
        say(f"    dropped after {dropped:.1f} s, expected {expected:.1f} s, took {taken:.1f} s")
        return taken / expected

    def _await_half(self, transfer: str) -> int:
        ends = time.monotonic() + _SECONDS
        while time.monotonic() < ends:
            done = int(self._reader.transfer(transfer)["bytes_done"])
            if done >= self._size / 2:
                return done
            time.sleep(_POLL_SECONDS)
        raise DidNotHappen("half of the file never came")


def _rows(measured: dict[str, list[float]], size: int) -> list[Row]:
    found = medians(measured)
    what = f"{len(_SOURCES)} sources of {SOURCE_MBIT:g} Mbit/s, reader {READER_MBIT:g}, {size >> 20} MiB"
    nominal = len(_SOURCES) * SOURCE_MBIT / 8
    later = spread(measured["one drops"], "x")
    return [
        Row(f"{what}: PServer", found["ours"], "MB/s", note=spread(measured["ours"], "MB/s")),
        Row("  four curls from the four, together", found["curl"], "MB/s", note=spread(measured["curl"], "MB/s")),
        at_least("  PServer over that sum", found["ours"] / found["curl"], "x", OF_THE_SUM),
        Row("  PServer over the nominal sum, headers of TCP and IP included", found["ours"] / nominal, "x"),
        below("  one drops to 1 Mbit/s half-way: time over that with three", found["one drops"], "x", LATER, later),
    ]


if __name__ == "__main__":
    sys.exit(main(run, __doc__))
