"""`make up`, `make client`, `make down`: also after what was up has died."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.processes import wait_for

ROOT = Path(__file__).resolve().parents[2]
# The real thing, but of two peers with a small file each.
SMALL = """
import sys
from demo import cluster
cluster.NAMES = ("a", "b")
cluster._fill = lambda peers: [(peer.share / "notes.txt").write_text(peer.name) for peer in peers]
sys.exit(cluster.main())
"""


class Cluster:
    """`demo.cluster` in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / ".cluster"
        self._folder_above = folder

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", SMALL, *words],
            cwd=self._folder_above,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def record(self, text: str) -> None:
        self.folder.mkdir()
        (self.folder / "cluster.json").write_text(text)

    @property
    def pids(self) -> dict[str, int]:
        recorded = json.loads((self.folder / "cluster.json").read_text())
        return {name: one["pid"] for name, one in recorded.items()}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.run("down")


def lives(pid: int) -> bool:
    """A process that has ended but is not yet waited for has no words."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def test_a_dead_cluster_is_started_anew_and_a_living_one_is_left(cluster: Cluster) -> None:
    # As after a restart of the machine: one number is free, the other another process's.
    dead = {
        name: {"pid": pid, "module": "pserver", "client": {}} for name, pid in (("a", 2**22 + 1), ("b", os.getpid()))
    }
    cluster.record(json.dumps(dead))
    (cluster.folder / "old").touch()
    assert cluster.run("client").stderr == "Nothing is up, what was is dead. To start it: make up\n"
    up = cluster.run("up")
    assert up.returncode == 0, up.stderr
    assert not (cluster.folder / "old").exists()
    before = cluster.pids
    again = cluster.run("up")
    assert (again.returncode, cluster.pids) == (1, before)
    assert "up already" in again.stderr
    assert cluster.run("client", "locator").stderr == "There is no peer 'locator'; there are: a, b\n"

    os.kill(before["a"], signal.SIGKILL)
    wait_for("a is dead", lambda: not lives(before["a"]))
    in_part = cluster.run("up")
    assert in_part.stderr == "It is up in part, but dead: a. To start all anew: make down, then make up\n"
    assert cluster.run("client").stderr == "Peer a is dead. To start all anew: make down, then make up\n"
    assert "peer b" in cluster.run("client", "b").stderr  # the shell's first line: anna is logged in
    for secret in [*cluster.folder.rglob("*.password"), cluster.folder / "network.key"]:
        assert secret.stat().st_mode & 0o077 == 0
        assert secret.read_text().strip() not in up.stdout + up.stderr

    assert cluster.run("down").returncode == 0
    assert not cluster.folder.exists()
    assert not any(lives(pid) for pid in before.values())


def test_a_record_that_was_cut_off_does_no_harm(cluster: Cluster) -> None:
    cluster.record('{"a": {"pi')
    assert cluster.run("client").stderr == "Nothing is up. To start it: make up\n"
    assert cluster.run("down").returncode == 0
    assert not cluster.folder.exists()
