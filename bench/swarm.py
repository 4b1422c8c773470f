"""Fan-out: one seed, N peers that begin together, every link 80 Mbit/s both ways. Needs root (see bench.lab).

`python -m bench.swarm` prints the rows. A time is from the first peer's beginning until the last has the whole file,
verified (ours: committed). Beside it the bound: max(F/us, F/dmin, N·F/(us+Σui)), with what curl gets through such a
link as its speed.
"""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import others, torrent
from bench.folders import memory_folder, random_file
from bench.lab import Lab, check_can_run
from bench.ours import Network, Person, wait_until_found
from bench.rows import QUICK_RUNS, RUNS, Row, at_least, at_most, in_turn, main, medians, say, spread

LINK_MBIT = 80.0
LIMITS = {8: 12.5, 16: 13.5}  # seconds
OVER_LIBTORRENT = 1.6
FILE_BYTES = 100 << 20
QUICK_PEERS = (8,)
_FILE = "large.bin"
_SECONDS = 300
_POLL_SECONDS = 0.2  # more often would cost the peers, which share this machine, a tenth of it
_UNASKED = 0.9  # of the time that one alone with the seed needs: before that nobody can be done, so nobody is asked
_LOCATOR, _SEED, _FIRST = 1, 2, 3  # nodes


def run(quick: bool = False) -> list[Row]:
    """Each number of peers in a lab of its own."""
    check_can_run()
    others.need("nginx", "curl")
    torrent.need()
    runs = QUICK_RUNS if quick else RUNS
    return [row for count in (QUICK_PEERS if quick else LIMITS) for row in _fan_out(count, runs)]


def _fan_out(count: int, runs: int) -> list[Row]:
    nodes = dict.fromkeys(range(1, _FIRST + count), LINK_MBIT)
    with memory_folder(FILE_BYTES * (count + 3)) as folder, Lab(nodes) as lab, ExitStack() as stack:
        say(f"{count} peers: starting them")
        contest = stack.enter_context(_Contest.in_lab(folder, lab, count))
        speed = contest.link_speed()
        measured = in_turn(runs, {"ours": contest.ours, "libtorrent": contest.libtorrent})
    return _rows(count, speed, measured)


class _Contest:
    """The seed's file and the peers, ours and libtorrent's, in the same nodes."""

    def __init__(self, folder: Path, lab: Lab, count: int, network: Network) -> None:
        self._folder, self._lab, self._count = folder, lab, count
        self._unasked_seconds = 0.0
        self._file = random_file(folder / "share" / _FILE, FILE_BYTES)
        self._torrent = folder / "large.torrent"
        torrent.make(self._file, self._torrent)
        network.peer("seed", _SEED, share=self._file.parent)
        with ThreadPoolExecutor(4) as pool:
            begun = [pool.submit(network.peer, f"peer-{node}", node) for node in self._nodes]
            self._peers: list[Person] = [each.result() for each in begun]
        self._file_id = wait_until_found(self._peers[-1], _FILE, ["seed"])

    @classmethod
    @contextmanager
    def in_lab(cls, folder: Path, lab: Lab, count: int) -> Iterator["_Contest"]:
        """With everything running."""
        with Network(folder, lab) as network:
            yield cls(folder, lab, count, network)

    @property
    def _nodes(self) -> range:
        return range(_FIRST, _FIRST + self._count)

    def link_speed(self) -> float:
        """Bytes a second that curl gets from nginx at the seed's node; to be asked before the others."""
        to = self._folder / "fetched.bin"
        with ExitStack() as stack:
            with self._lab.inside(_SEED):
                url = stack.enter_context(
                    others.nginx(self._file.parent, self._folder / "nginx", self._lab.address(_SEED))
                )
            with self._lab.inside(_FIRST):
                taken = others.curl(f"{url}/{_FILE}", to)
        to.unlink()
        self._unasked_seconds = _UNASKED * taken
        return FILE_BYTES / taken

    def ours(self) -> float:
        """Seconds until the last peer is done."""
        for peer in self._peers:
            wait_until_found(peer, f"id:{self._file_id}", ["seed"])
        began = time.perf_counter()
        with ThreadPoolExecutor(self._count) as pool:
            ends = list(pool.map(self._fetch, self._peers))
        say(f"    each after: {' '.join(f'{end - began:.1f}' for end in sorted(ends))} s")
        for peer in self._peers:
            peer.forget(_FILE)
        return max(ends) - began

    def _fetch(self, peer: Person) -> float:
        transfer = peer.download(f"id:{self._file_id}")
        time.sleep(self._unasked_seconds)
        peer.wait(transfer, _SECONDS, _POLL_SECONDS)
        return time.perf_counter()

    def libtorrent(self) -> float:
        """The same of libtorrent."""
        folder = self._folder / "leeches"
        with ExitStack() as stack:
            with self._lab.inside(_SEED):
                seeding = torrent.seed(self._torrent, self._file.parent, self._lab.address(_SEED))
                address = stack.enter_context(seeding)
            leeches = stack.enter_context(torrent.leeches(self._torrent, folder, self._nodes, self._lab))
            taken = leeches.run(address)
        for node in self._nodes:
            (folder / str(node) / _FILE).unlink()
            (folder / str(node)).rmdir()
        return taken


def _rows(count: int, speed: float, measured: dict[str, list[float]]) -> list[Row]:
    times = medians(measured)
    what = f"1 to {count}, {FILE_BYTES >> 20} MiB, links of {LINK_MBIT:g} Mbit/s"
    bound = max(FILE_BYTES / speed, count * FILE_BYTES / (speed * (count + 1)))
    note = f"{spread(measured['ours'], 's')}; the bound is {bound:.1f} s"
    theirs = spread(measured["libtorrent"], "s")
    return [
        at_most(f"{what}: the last PServer is done", times["ours"], "s", LIMITS[count], note),
        Row("  the last libtorrent is done", times["libtorrent"], "s", note=theirs),
        at_least("  libtorrent's time over PServer's", times["libtorrent"] / times["ours"], "x", OVER_LIBTORRENT),
    ]


if __name__ == "__main__":
    sys.exit(main(run, __doc__))
