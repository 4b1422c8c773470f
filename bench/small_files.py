"""A folder of many small files over loopback, in memory: PServer's folder download against aria2 with a list.

`python -m bench.small_files` prints the rows. Ours begins with POST /client/v1/downloads of the folder and ends with
state "done": each file verified, placed and indexed. aria2c is told every URL and checks nothing.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import others
from bench.folders import memory_folder
from bench.ours import Network, wait_until_found
from bench.rows import QUICK_RUNS, RUNS, Row, at_least, in_turn, main, medians, spread
from demo.processes import wait_for

FULL_FILES = 10_000
QUICK_FILES = 2_000
FILE_BYTES = 4096
AT_ONCE = 16
_FOLDER = "docs"
_SECONDS = 600


def run(quick: bool = False) -> list[Row]:
    """Both, in turn."""
    others.need("nginx", "aria2c")
    count, runs = (QUICK_FILES, QUICK_RUNS) if quick else (FULL_FILES, RUNS)
    with memory_folder(count * FILE_BYTES * 4) as folder, _Contest.in_folder(folder, count, runs) as contest:
        measured = in_turn(runs, {"ours": contest.ours, "aria2c": contest.aria2})
    return _rows(measured, count)


class _Contest:
    """The folder, whoever serves it, and a new reader for each run: files a second."""

    def __init__(self, folder: Path, count: int, runs: int, network: Network, stack: ExitStack) -> None:
        self._folder, self._count = folder, count
        self._share = folder / "share"
        self._names = _make_files(self._share / _FOLDER, count)
        source = network.peer("source", share=self._share)
        self._readers = [network.peer(f"reader-{run}") for run in range(runs)]
        wait_for("everything is indexed", lambda: self._is_known(source.ask("GET", "/client/v1/status")), _SECONDS)
        for name in (self._names[0], self._names[-1]):
            wait_until_found(self._readers[0], f"{_FOLDER}/{name}", ["source"])
        url = stack.enter_context(others.nginx(self._share, folder / "nginx"))
        self._links = folder / "links"
        self._links.write_text("".join(f"{url}/{_FOLDER}/{name}\n" for name in self._names))

    def _is_known(self, status: dict[str, dict[str, int]]) -> bool:
        return status["share"]["files"] == self._count and status["share"]["hashing"] == 0

    @classmethod
    @contextmanager
    def in_folder(cls, folder: Path, count: int, runs: int) -> Iterator["_Contest"]:
        """With everything running."""
        with Network(folder) as network, ExitStack() as stack:
            yield cls(folder, count, runs, network, stack)

    def ours(self) -> float:
        """PServer to PServer, the folder as the source has it."""
        reader = self._readers.pop()
        began = time.perf_counter()
        reader.wait(reader.download(f"{_FOLDER}/", source="source"), _SECONDS, poll_seconds=0.05)
        return self._rate(time.perf_counter() - began, reader.peer.share / _FOLDER)

    def aria2(self) -> float:
        """From nginx."""
        into = self._folder / "fetched"
        rate = self._rate(others.aria2_list(self._links, into, AT_ONCE), into)
        shutil.rmtree(into)
        return rate

    def _rate(self, seconds: float, into: Path) -> float:
        for name in self._names:
            if (into / name).read_bytes() != (self._share / _FOLDER / name).read_bytes():
                raise AssertionError(f"{name} is not what was sent")
        return self._count / seconds


def _make_files(folder: Path, count: int) -> list[str]:
    folder.mkdir(parents=True)
    names = [f"file-{number:05}.bin" for number in range(count)]
    for name in names:
        (folder / name).write_bytes(os.urandom(FILE_BYTES))
    return names


def _rows(measured: dict[str, list[float]], count: int) -> list[Row]:
    rates = medians(measured)
    theirs = spread(measured["aria2c"], "files/s")
    what = f"a folder of {count:,} files of {FILE_BYTES >> 10} KiB, in memory"
    return [
        Row(f"{what}: PServer", rates["ours"], "files/s", note=spread(measured["ours"], "files/s")),
        Row(f"  aria2c -i list -j{AT_ONCE} from nginx", rates["aria2c"], "files/s", note=theirs),
        at_least("  PServer's rate over aria2c's", rates["ours"] / rates["aria2c"], "x", 1.0),
    ]


if __name__ == "__main__":
    sys.exit(main(run, __doc__))
