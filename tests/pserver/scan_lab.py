"""A share and its scanner whose time is the test's."""

import os
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import pserver.disk.hashing
from pserver.disk.folder import Folder
from pserver.disk.scan import Scanner
from pserver.disk.share import Share
from pserver.pieces import Manifest, hash_file

NFC, NFD = "café", unicodedata.normalize("NFD", "café")
PATIENCE_SECONDS = 20.0
LATER = 100.0  # every file made in a test has settled by then


class Lab:
    """A share and its scanner, whose time is ours: each `look` is a full scan some seconds later."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.path = base / "share"
        self.path.mkdir(exist_ok=True)
        self.hashed: list[str] = []
        self.open()

    def open(self) -> None:
        self.share = Share(self.base / "index.sqlite", Folder(self.path))
        self.scanner = Scanner(self.share, threads=2, watch=False)
        self.now = time.time() + LATER

    def close(self) -> None:
        self.scanner.stop()
        self.share.close()
        self.share.folder.close()

    def restart(self) -> None:
        self.close()
        self.open()

    def write(self, name: str, content: str = "x") -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def look(self) -> None:
        self.scanner.look_again()
        self.tick()

    def tick(self, later: float = LATER) -> None:
        """Ticks until what was found is in the index."""
        self.now += later
        self.scanner.tick(self.now)
        wait_for(self.nothing_hashes)

    def nothing_hashes(self) -> bool:
        self.scanner.tick(self.now)
        return not self.scanner._hashing

    def names(self) -> list[str]:
        return [file.name for file in self.share.files("", "", 1000)]

    def skipped(self) -> dict[str, str]:
        return dict(self.share.skipped()[1])

    def content_id(self, name: str) -> bytes:
        found = self.share.by_name(name)
        assert found is not None
        return found.file_id


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "that did not happen"
        time.sleep(0.005)


@pytest.fixture(name="lab")
def lab_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setattr("pserver.database._SYNCHRONOUS", "OFF")  # no test here cuts the power
    made = Lab(tmp_path)

    def noting(fd: int, size: int, buffer: bytearray, stopped: Callable[[], bool]) -> Manifest:
        made.hashed.append(os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), made.path))
        return hash_file(fd, size, buffer, stopped)

    monkeypatch.setattr(pserver.disk.hashing, "hash_file", noting)
    yield made
    made.close()
