"""What an idle PServer with an empty share costs: resident memory, and time of a core.

`python -m bench.memory` prints the rows. It is registered at a locator, so its heartbeats are included.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from bench.ours import Network, Person, status_kib
from bench.rows import QUICK_RUNS, RUNS, Row, at_most, below, main, medians, spread
from demo.processes import Server, wait_for

MOST_MIB = 90
MOST_PERCENT = 1.0
FULL_SECONDS = 20.0
QUICK_SECONDS = 5.0


def run(quick: bool = False) -> list[Row]:
    """Several PServers at once, each measured once."""
    seconds, runs = (QUICK_SECONDS, QUICK_RUNS) if quick else (FULL_SECONDS, RUNS)
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as folder, Network(Path(folder)) as network:
        peers = [network.peer(f"peer-{run}") for run in range(runs)]
        wait_for("all are registered and their shares are scanned", lambda: all(map(_is_settled, peers)))
        time.sleep(seconds / 4)  # what a start leaves to be done
        before = [_cpu_seconds(peer.peer) for peer in peers]
        began = time.monotonic()
        time.sleep(seconds)
        taken = time.monotonic() - began
        busy = [_cpu_seconds(peer.peer) - cpu for peer, cpu in zip(peers, before, strict=True)]
        sizes = [status_kib(peer.peer, "VmRSS") / 1024 for peer in peers]
    return _rows(sizes, [each / taken * 100 for each in busy], seconds)


def _rows(sizes: list[float], percents: list[float], seconds: float) -> list[Row]:
    found = medians({"size": sizes, "percent": percents})
    return [
        at_most("an idle PServer: resident memory", found["size"], "MiB", MOST_MIB, spread(sizes, "MiB")),
        below(f"  part of a core over {seconds:g} s", found["percent"], "%", MOST_PERCENT, spread(percents, "%")),
    ]


def _is_settled(peer: Person) -> bool:
    status = peer.ask("GET", "/client/v1/status")
    return not status["share"]["scanning"] and all(one["state"] == "registered" for one in status["locators"])


def _cpu_seconds(server: Server) -> float:
    """User and system time of a process so far; of a tick each, which is 10 ms here as a rule."""
    assert server.process is not None
    after_name = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main(run, __doc__))
