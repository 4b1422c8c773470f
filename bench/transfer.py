"""One large file from one source over loopback, in memory-backed folders: PServer against curl, aria2, libtorrent.

`python -m bench.transfer` prints the rows. A run of ours begins with POST /client/v1/downloads and ends with the
transfer's state "done": verified, synced, placed under its name and indexed. curl checks nothing; aria2c checks the
sha-256, libtorrent its pieces.
"""

import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import others, torrent
from bench.folders import memory_folder, random_file
from bench.ours import Network, status_kib, wait_until_found
from bench.rows import QUICK_RUNS, RUNS, Row, at_least, below, in_turn, main, medians, spread

FULL_BYTES = 2 << 30
QUICK_BYTES = 512 << 20
PEAK_MIB = 160
TARGETS = {"curl": 1.0, "aria2c": 2.5, "libtorrent": 3.0}
_NAMES = {
    "curl": "`curl -o` from nginx (checks nothing)",
    "aria2c": "aria2c with its sha-256 check, from nginx",
    "libtorrent": "libtorrent seed to leech",
}
_FILE = "large.bin"
_SECONDS = 300


def run(quick: bool = False) -> list[Row]:
    """All four, in turn."""
    others.need("nginx", "curl", "aria2c")
    torrent.need()
    size, runs = (QUICK_BYTES, QUICK_RUNS) if quick else (FULL_BYTES, RUNS)
    with memory_folder(size * 5 // 2) as folder, _Contest.in_folder(folder, size) as contest:
        measured = in_turn(
            runs,
            {"ours": contest.ours, "curl": contest.curl, "aria2c": contest.aria2, "libtorrent": contest.libtorrent},
        )
        peaks = [status_kib(person.peer, "VmHWM") / 1024 for person in (contest.source, contest.reader)]
    return _rows(measured, peaks, size)


class _Contest:
    """The file, whoever serves it, and a way to fetch it for each tool: rates in GB/s."""

    def __init__(self, folder: Path, size: int, network: Network, stack: ExitStack) -> None:
        self._folder, self._size = folder, size
        self._file = random_file(folder / "share" / _FILE, size)
        with self._file.open("rb") as file:
            self._sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self._torrent = folder / "large.torrent"
        torrent.make(self._file, self._torrent)
        self.source = network.peer("source", share=self._file.parent)
        self.reader = network.peer("reader")
        self._file_id = wait_until_found(self.reader, _FILE, ["source"])
        self._url = f"{stack.enter_context(others.nginx(self._file.parent, folder / 'nginx'))}/{_FILE}"

    @classmethod
    @contextmanager
    def in_folder(cls, folder: Path, size: int) -> Iterator["_Contest"]:
        """With everything running."""
        with Network(folder) as network, ExitStack() as stack:
            yield cls(folder, size, network, stack)

    def ours(self) -> float:
        """PServer to PServer."""
        wait_until_found(self.reader, f"id:{self._file_id}", ["source"])
        began = time.perf_counter()
        self.reader.wait(self.reader.download(f"id:{self._file_id}"), _SECONDS)
        taken = time.perf_counter() - began
        self.reader.await_checked(_FILE)
        self._check(self.reader.peer.share / _FILE)
        self.reader.forget(_FILE)
        return self._rate(taken)

    def curl(self) -> float:
        """From nginx."""
        return self._to_file(lambda to: others.curl(self._url, to))

    def aria2(self) -> float:
        """From nginx."""
        return self._to_file(lambda to: others.aria2(self._url, to, self._sha256))

    def libtorrent(self) -> float:
        """One seed, one leech."""
        folder = self._folder / "leech"
        with (
            torrent.seed(self._torrent, self._file.parent) as address,
            torrent.leeches(self._torrent, folder, [0]) as leech,
        ):
            taken = leech.run(address)
        (folder / "0" / _FILE).unlink()
        (folder / "0").rmdir()
        return self._rate(taken)

    def _to_file(self, fetch: Callable[[Path], float]) -> float:
        to = self._folder / "fetched.bin"
        taken = fetch(to)
        to.unlink()
        return self._rate(taken)

    def _rate(self, seconds: float) -> float:
        return self._size / seconds / 1e9

    def _check(self, path: Path) -> None:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self._sha256:
                raise AssertionError(f"{path} is not what was sent")


def _rows(measured: dict[str, list[float]], peaks: list[float], size: int) -> list[Row]:
    rates = medians(measured)
    what = f"{size >> 20} MiB, one source, loopback, in memory"
    rows = [Row(f"{what}: PServer to PServer", rates["ours"], "GB/s", note=spread(measured["ours"], "GB/s"))]
    for name in TARGETS:
        rows.append(Row(f"  {_NAMES[name]}", rates[name], "GB/s", note=spread(measured[name], "GB/s")))
    for name, bound in TARGETS.items():
        rows.append(at_least(f"  PServer's rate over that of {name}", rates["ours"] / rates[name], "x", bound))
    for side, peak in zip(("serving", "reading"), peaks, strict=True):
        rows.append(below(f"  peak memory of the {side} PServer", peak, "MiB", PEAK_MIB))
    return rows


if __name__ == "__main__":
    sys.exit(main(run, __doc__))
