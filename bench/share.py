"""How fast a share is indexed, and what it costs to find out that nothing changed.

`python -m bench.share` prints the rows. Each ratio is of two things measured in turn within one run: medians of five.
"""

import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from pserver.disk.folder import Folder
from pserver.disk.scan import Scanner
from pserver.disk.share import Share

Row = dict[str, object]
RUNS = 5
LARGE_FILES = 8
LARGE_BYTES = 128 * 1024 * 1024
SMALL_FILES = 100_000
SMALL_BYTES = 1024
FILES_A_FOLDER = 500
_CHUNK = 1024 * 1024
_QUIET_SECONDS = 2.1  # a file is hashed once it has not changed for 2 s
_PATIENCE_SECONDS = 600


def run() -> list[Row]:
    """All measurements of the share."""
    with tempfile.TemporaryDirectory(prefix="bench-share-") as folder:
        return [*_large(Path(folder) / "large"), *_small(Path(folder) / "small")]


def _large(base: Path) -> list[Row]:
    share = base / "share"
    share.mkdir(parents=True)
    block = os.urandom(_CHUNK)
    for number in range(LARGE_FILES):
        with (share / f"large-{number}.bin").open("wb") as file:
            for part in range(LARGE_BYTES // _CHUNK):
                file.write(block[part:] + block[:part])
    time.sleep(_QUIET_SECONDS)
    ours, bare = _in_turn(
        lambda run: _indexing(share, base / f"{run}.sqlite", LARGE_FILES), lambda run: _hashing_bare(share)
    )
    total = LARGE_FILES * LARGE_BYTES
    ratio = bare / ours
    return [
        _row("index 1 GiB in large files", total / ours / 1e6, "MB/s"),
        _row("BLAKE3 plus SHA-256 of the same in one bare loop", total / bare / 1e6, "MB/s"),
        _row("index 1 GiB: rate as a ratio of the bare loop", ratio, "x", "≥ 0.8", ratio >= 0.8),
    ]


def _small(base: Path) -> list[Row]:
    share = base / "share"
    content = os.urandom(SMALL_BYTES - 8)
    for number in range(SMALL_FILES):
        folder = share / f"folder-{number // FILES_A_FOLDER:03}"
        if number % FILES_A_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"file-{number:06}.txt").write_bytes(content + number.to_bytes(8))
    time.sleep(_QUIET_SECONDS)
    index = base / "index.sqlite"
    first = _indexing(share, index, SMALL_FILES)
    ours, walk = _in_turn(lambda run: _second_start(share, index), lambda run: _walking(share))
    ratio = ours / walk
    return [
        _row("first scan of 100,000 files of 1 KiB", SMALL_FILES / first, "files/s"),
        _row("os.walk with os.stat of 100,000 files", walk * 1000, "ms"),
        _row("second start's scan of 100,000 unchanged files", ours * 1000, "ms"),
        _row("second start's scan as a ratio of os.walk with stat", ratio, "x", "≤ 2", ratio <= 2),
    ]


def _in_turn(ours: Callable[[int], float], theirs: Callable[[int], float]) -> tuple[float, float]:
    """The medians of both, in seconds, taken in turn."""
    theirs(-1)  # warm: the page and dentry caches are for both
    times = [(ours(run), theirs(run)) for run in range(RUNS)]
    return statistics.median(a for a, _ in times), statistics.median(b for _, b in times)


def _indexing(folder: Path, index: Path, files: int) -> float:
    """Seconds from the start of a scanner until every file is in the index."""
    share = Share(index, Folder(folder))
    scanner = Scanner(share)
    begun = time.perf_counter()
    scanner.start()
    while share.totals()[0] < files:
        if time.perf_counter() - begun > _PATIENCE_SECONDS:
            raise TimeoutError(f"only {share.totals()[0]} of {files} files were indexed")
        time.sleep(0.002)
    taken = time.perf_counter() - begun
    _close(share, scanner)
    return taken


def _second_start(folder: Path, index: Path) -> float:
    """Seconds that opening the index and the scan of a start take when nothing changed."""
    begun = time.perf_counter()
    share = Share(index, Folder(folder))
    scanner = Scanner(share, watch=False)
    scanner.tick(time.time())
    taken = time.perf_counter() - begun
    if scanner.status().hashing:
        raise RuntimeError("unchanged files were hashed again")
    _close(share, scanner)
    return taken


def _close(share: Share, scanner: Scanner) -> None:
    scanner.stop()
    share.close()
    share.folder.close()


def _walking(folder: Path) -> float:
    begun = time.perf_counter()
    for above, _, names in os.walk(folder):
        for name in names:
            os.stat(os.path.join(above, name))
    return time.perf_counter() - begun


def _hashing_bare(folder: Path) -> float:
    buffer = memoryview(bytearray(_CHUNK))
    begun = time.perf_counter()
    for path in sorted(folder.glob("*.bin")):
        ours, plain = blake3(), hashlib.sha256()
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                ours.update(buffer[:count])
                plain.update(buffer[:count])
        ours.digest(), plain.digest()
    return time.perf_counter() - begun


def _row(what: str, value: float, unit: str, target: str = "", ok: bool | None = None) -> Row:
    return {"what": what, "value": round(value, 3), "unit": unit, "target": target, "ok": ok}


if __name__ == "__main__":
    for row in run():
        print(row)
