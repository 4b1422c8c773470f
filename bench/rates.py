"""PSERVER_UPLOAD_RATE and PSERVER_DOWNLOAD_RATE: how well they hold, and how evenly they are shared. On loopback.

`python -m bench.rates` prints the rows. Upload: 1, 4 and 16 readers with valid tokens ask for large ranges, or for
small ones each on a new connection, as fast as they get them. Download: a peer fetches a file from 1, 2 and 8 sources
(two connections each: 2, 4 and 16), and what is counted is what it has verified. Each for some seconds, after one to
warm up. The figure is the rate over that asked for; between readers the largest part over the smallest.
"""

import functools
import http.client
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.folders import memory_folder, random_file
from bench.ours import NETWORK_KEY, Network, Person, wait_until_found
from bench.rows import QUICK_RUNS, RUNS, Row, at_least, at_most, in_turn, main, medians, spread
from protos.tokens import Issuer

RATE = 20 << 20
FILE_BYTES = 160 << 20
READERS = (1, 4, 16)
SOURCES = (1, 2, 8)
LARGE, SMALL = 32 << 20, 64 << 10  # bytes
WARM_SECONDS, FULL_SECONDS, QUICK_SECONDS = 1.0, 4.0, 2.0
LEAST, MOST, MOST_UNEVEN = 0.95, 1.05, 1.25
_READ_BYTES = 64 << 10


def run(quick: bool = False) -> list[Row]:
    """Both directions, each number of connections, in turn."""
    seconds, runs = (QUICK_SECONDS, QUICK_RUNS) if quick else (FULL_SECONDS, RUNS)
    with memory_folder(FILE_BYTES * (len(SOURCES) + 3)) as folder, _Contest.in_folder(folder, seconds) as contest:
        up = [
            (f"up {n} {size}", functools.partial(contest.upload, n, size)) for size in (LARGE, SMALL) for n in READERS
        ]
        down = [(f"down {n}", functools.partial(contest.download, n)) for n in SOURCES]
        measured = in_turn(runs, dict([*up, *down]))
    return _rows(measured, contest.uneven)


class _Contest:
    """A peer with an upload rate, sources without, and a reader with a download rate."""

    def __init__(self, folder: Path, seconds: float, network: Network) -> None:
        self._seconds = seconds
        self.uneven: dict[int, list[float]] = {count: [] for count in READERS}
        file = random_file(folder / "slow" / "slow.bin", FILE_BYTES)
        self._slow = network.peer("slow", share=file.parent, PSERVER_UPLOAD_RATE=str(RATE))
        for count in SOURCES:
            random_file(folder / _name(count), FILE_BYTES)
        for number in range(max(SOURCES)):
            _start_source(network, folder, number)
        self._reader = network.peer("reader", PSERVER_DOWNLOAD_RATE=str(RATE))
        for count in SOURCES:
            wait_until_found(self._reader, _name(count), [f"source-{number}" for number in range(count)])
        self._file_id = wait_until_found(self._reader, "slow.bin", ["slow"])
        self._slow_id = self._slow.ask("GET", "/client/v1/status")["peer"]["peer_id"]

    @classmethod
    @contextmanager
    def in_folder(cls, folder: Path, seconds: float) -> Iterator["_Contest"]:
        """With the peers running."""
        with Network(folder / "network") as network:
            yield cls(folder, seconds, network)

    def upload(self, count: int, range_bytes: int) -> float:
        """The rate of so many readers that ask for such ranges, over that asked for."""
        readers = [_Reader(self._slow, self._slow_id, self._file_id, range_bytes) for _ in range(count)]
        try:
            time.sleep(WARM_SECONDS)
            began, before = time.perf_counter(), [reader.count for reader in readers]
            time.sleep(self._seconds)
            parts = [reader.count - then for reader, then in zip(readers, before, strict=True)]
            taken = time.perf_counter() - began
        finally:
            for reader in readers:
                reader.stop()
        if range_bytes == LARGE:
            self.uneven[count].append(max(parts) / max(min(parts), 1))
        return sum(parts) / taken / RATE

    def download(self, sources: int) -> float:
        """The rate of a download from so many sources, over that asked for."""
        transfer = self._reader.download(_name(sources))
        time.sleep(WARM_SECONDS)
        began, before = time.perf_counter(), self._reader.transfer(transfer)["bytes_done"]
        time.sleep(self._seconds)
        done, taken = self._reader.transfer(transfer)["bytes_done"] - before, time.perf_counter() - began
        self._reader.ask("DELETE", f"/client/v1/transfers/{transfer}")
        return float(done / taken / RATE)


class _Reader:
    """Reads ranges of the file one after another, each on a connection of its own, until stopped."""

    def __init__(self, source: Person, peer_id: str, file_id: str, range_bytes: int) -> None:
        self.count = 0
        self._host = source.peer.addresses["peer"].removeprefix("http://")
        self._path = f"/peer/v1/files/{file_id}"
        token = Issuer(Ed25519PrivateKey.generate(), NETWORK_KEY.encode()).token(peer_id, "file", time.time(), file_id)
        self._headers = {"Authorization": f"Bearer {token}", "Range": f"bytes=0-{range_bytes - 1}"}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """End it, and wait until it has."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        buffer = bytearray(_READ_BYTES)
        while not self._stopped.is_set():
            connection = http.client.HTTPConnection(self._host, timeout=60)
            connection.request("GET", self._path, headers=self._headers)
            answer = connection.getresponse()
            assert answer.status == 206, answer.status
            while not self._stopped.is_set() and (count := answer.readinto(buffer)):
                self.count += count
            connection.close()


def _name(sources: int) -> str:
    return f"from-{sources}.bin"


def _start_source(network: Network, folder: Path, number: int) -> None:
    share = folder / f"share-{number}"
    share.mkdir()
    for count in SOURCES:
        if number < count:
            (share / _name(count)).hardlink_to(folder / _name(count))
    network.peer(f"source-{number}", share=share)


def _rows(measured: dict[str, list[float]], uneven: dict[int, list[float]]) -> list[Row]:
    found, rows = medians(measured), []
    for name, what in _titles().items():
        note = spread(measured[name], "x")
        rows.append(at_least(what, found[name], "x", LEAST, note))
        rows.append(at_most("  and", found[name], "x", MOST))
    for count, ratios in medians({str(count): ratios for count, ratios in uneven.items()}).items():
        if count != "1":
            rows.append(at_most(f"largest over smallest part of {count} readers", ratios, "x", MOST_UNEVEN))
    return rows


def _titles() -> dict[str, str]:
    asked = f"of {RATE >> 20} MiB/s asked for"
    large = {f"up {n} {LARGE}": f"upload {asked}: {n} readers, ranges of {LARGE >> 20} MiB" for n in READERS}
    small = {f"up {n} {SMALL}": f"upload {asked}: {n} readers, {SMALL >> 10} KiB a connection" for n in READERS}
    return large | small | {f"down {n}": f"download {asked}: {n * 2} connections" for n in SOURCES}


if __name__ == "__main__":
    sys.exit(main(run, __doc__))
