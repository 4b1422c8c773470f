"""Listing a share: what is offered, and what is passed over with its reason."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from pserver.disk.folder import Folder
from pserver.disk.walk import Walk
from pserver.model import Unavailable
from tests.pserver.folder_lab import NFD, folder_fixture  # noqa: F401


def test_a_walk_finds_what_is_shared_and_says_what_is_not(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("x")
    for path in ("a", "d/e/f", f"{NFD}/{NFD}", "d/.hidden", ".git/config", ".p2p-partial/part"):
        (folder.path / path).parent.mkdir(parents=True, exist_ok=True)
        (folder.path / path).write_text("x")
    (folder.path / "link").symlink_to(tmp_path / "outside")
    (folder.path / "up").symlink_to("..")
    os.mkfifo(folder.path / "fifo")
    with open(os.fsencode(folder.path) + b"/bad\xff", "w"):
        pass
    passed: dict[str, str] = {}
    walk = Walk(folder, passed.__setitem__)
    assert sorted(raw for batch in walk for raw, _ in batch) == [b"a", f"{NFD}/{NFD}".encode(), b"d/e/f"]
    assert sorted(walk.folders) == [b"", NFD.encode(), b"d", b"d/e"]
    assert walk.broken == []
    assert sorted(passed) == ["bad\\xff", "fifo", "link", "up"]
    assert "UTF-8" in passed["bad\\xff"]
    assert "link" in passed["link"]


def test_a_walk_survives_a_tree_deeper_than_names_can_be(folder: Folder) -> None:
    held = os.open(folder.path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("dd", dir_fd=held)
        inner = os.open("dd", os.O_RDONLY, dir_fd=held)
        os.close(held)
        held = inner
    os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=held))
    os.close(held)
    passed: dict[str, str] = {}
    try:
        assert [raw for batch in Walk(folder, passed.__setitem__) for raw, _ in batch] == []
    finally:
        subprocess.run(["rm", "-r", folder.path / "dd"], check=True)  # too deep for pytest's own cleaning
    assert len(passed) == 1
    assert "1024 bytes" in next(iter(passed.values()))


def test_an_unreadable_subfolder_is_empty_and_a_broken_one_unknown(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("denied", "broken", "fine"):
        (folder.path / name).mkdir()
        (folder.path / name / "f").write_text("x")
    open_folder = Folder.open_folder
    errors = {b"denied": PermissionError(errno.EACCES, "no"), b"broken": OSError(errno.EIO, "I/O error")}

    def failing(self: Folder, raw_name: bytes) -> int:
        if raw_name in errors:
            raise Unavailable("it cannot be read") from errors[raw_name]
        return open_folder(self, raw_name)

    monkeypatch.setattr(Folder, "open_folder", failing)
    passed: dict[str, str] = {}
    walk = Walk(folder, passed.__setitem__)
    assert [raw for batch in walk for raw, _ in batch] == [b"fine/f"]
    assert walk.broken == [b"broken"]
    assert sorted(passed) == ["broken/", "denied/"]
