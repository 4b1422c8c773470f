"""Faults made in a running PServer: calls that fail as a full or dying disk would, descriptors that run out.

Failing calls come from libfiu (Debian: fiu-utils), loaded into the process and steered from outside; it reaches what
goes through the C library, for every descriptor. Descriptors run out by lowering the process's own limit.
"""

import errno
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.processes import Peer, wait_for

LIBRARIES = ("/usr/lib/fiu/fiu_run_preload.so", "/usr/lib/fiu/fiu_posix_preload.so")
MISSING = [path for path in LIBRARIES if not Path(path).exists()] or ([] if shutil.which("fiu-ctrl") else ["fiu-ctrl"])
# What each fault makes fail. Not write(2): it also carries the log and the wake-ups between threads.
CALLS = {
    "ENOSPC": ("posix/io/rw/pwrite", "posix/io/rw/pwritev", "posix/io/rw/ftruncate"),
    "EIO when writing": ("posix/io/rw/pwrite", "posix/io/sync/fsync", "posix/io/sync/fdatasync"),
    "EIO when reading": ("posix/io/rw/pread", "posix/io/rw/preadv"),
}


def faulty(folder: Path) -> dict[str, str]:
    """Settings with which a process starts so that calls of it can be made to fail."""
    return {"LD_PRELOAD": " ".join(LIBRARIES), "FIU_CTRL_FIFO": str(folder / "fiu")}


@contextmanager
def failing(peer: Peer, fault: str) -> Iterator[None]:
    """All those calls of the peer's process fail until the end."""
    number = errno.ENOSPC if fault == "ENOSPC" else errno.EIO
    for call in CALLS[fault]:
        _steer(peer, f"enable name={call},failinfo={number}")
    try:
        yield
    finally:
        for call in CALLS[fault]:
            _steer(peer, f"disable name={call}")


@contextmanager
def without_descriptors(peer: Peer, spare: int = 0) -> Iterator[None]:
    """The peer's process can open `spare` descriptors more than it has open now, until the end."""
    pid = pid_of(peer)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    highest = max(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir())
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1 + spare, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def pid_of(peer: Peer) -> int:
    """Of its running process."""
    assert peer.process is not None
    return peer.process.pid


def descriptors(peer: Peer) -> list[str]:
    """What the peer's process has open: files and pipes, by what they are."""
    found = []
    for each in Path(f"/proc/{pid_of(peer)}/fd").iterdir():
        try:
            found.append(str(each.readlink()))
        except FileNotFoundError:  # closed meanwhile
            continue
    return sorted(found)


def files_open(peer: Peer) -> list[str]:
    """The descriptors that are no sockets: connections are kept for a while, and come and go."""
    return [each for each in descriptors(peer) if not each.startswith("socket:")]


def no_leak(peer: Peer, before: list[str]) -> None:
    """Wait until the peer has no more files open than before, but for a few of its databases and folders."""
    wait_for(
        f"the descriptors of {peer.name} are back at {len(before)}",
        lambda: len(files_open(peer)) <= len(before) + 4,
        60,
    )


def _steer(peer: Peer, command: str) -> None:
    prefix = f"{peer.settings['FIU_CTRL_FIFO']}-{pid_of(peer)}"
    done = subprocess.run(["fiu-ctrl", "-c", command, prefix], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0 and "rror" not in done.stdout + done.stderr, done.stdout + done.stderr
