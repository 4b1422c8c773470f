"""Memory-backed folders for benchmarks, and what is put into them. Left-overs of killed runs are removed."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.rows import CannotRun

MEMORY = Path("/dev/shm")
_PREFIX = "p2p-bench-"
_NAME = re.compile(rf"{_PREFIX}(\d+)-.*")
_BLOCK_BYTES = 4 << 20


@contextmanager
def memory_folder(room_bytes: int) -> Iterator[Path]:
    """A folder in memory that goes away in the end. CannotRun if there is no room for so much."""
    if not MEMORY.is_dir():
        raise CannotRun(f"there is no memory-backed folder {MEMORY}")
    _remove_leftovers()
    free = min(shutil.disk_usage(MEMORY).free, _available_bytes())
    if free < room_bytes:
        raise CannotRun(f"this needs {room_bytes >> 20} MiB of memory for its files, there are {free >> 20}")
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=MEMORY))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def random_file(path: Path, size: int) -> Path:
    """A file of random bytes, no two blocks alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        while size:
            count = min(size, _BLOCK_BYTES)
            file.write(os.urandom(count))
            size -= count
    return path


def _remove_leftovers() -> None:
    for path in MEMORY.glob(f"{_PREFIX}*"):
        named = _NAME.fullmatch(path.name)
        if named and not Path(f"/proc/{named[1]}").exists():
            shutil.rmtree(path, ignore_errors=True)


def _available_bytes() -> int:
    with open("/proc/meminfo") as meminfo:
        for line in meminfo:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    return 0
