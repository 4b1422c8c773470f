"""Giving a partial its final name: nothing is ever replaced."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.names import InvalidName, check_name
from pserver.disk.folder import Folder
from pserver.disk.place import numbered
from pserver.model import Conflict, InvalidRequest, NoRoom, NotFound
from tests.pserver.folder_lab import NFC, NFD, folder_fixture, place, placing_fixture  # noqa: F401


def test_a_partial_gets_its_name(placing: Folder) -> None:
    assert place(placing, "docs/deep/a.txt") == "docs/deep/a.txt"
    assert (placing.path / "docs/deep/a.txt").read_text() == "new"
    assert os.listdir(placing.partial_fd) == []


def test_nothing_is_ever_replaced(placing: Folder) -> None:
    (placing.path / "a.txt").write_text("old")
    (placing.path / "a (2).txt").symlink_to("nowhere")
    (placing.path / "a (3).txt").mkdir()
    assert place(placing, "a.txt") == "a (4).txt"
    assert (placing.path / "a.txt").read_text() == "old"
    assert (placing.path / "a (2).txt").is_symlink()


def test_folders_on_the_way_are_numbered_when_something_else_is_there(placing: Folder, tmp_path: Path) -> None:
    (placing.path / "docs").write_text("a file")
    (placing.path / "linked").symlink_to(tmp_path)
    assert place(placing, "docs/a.txt") == "docs (2)/a.txt"
    assert place(placing, "docs/b.txt") == "docs (2)/b.txt"
    assert place(placing, "linked/c.txt") == "linked (2)/c.txt"
    assert not (tmp_path / "c.txt").exists()


def test_a_name_taken_in_another_unicode_form_is_numbered(placing: Folder) -> None:
    (placing.path / f"{NFD}.txt").write_text("old")
    assert place(placing, f"{NFC}.txt") == f"{NFC} (2).txt"


def test_a_folder_in_another_unicode_form_is_the_folder(placing: Folder) -> None:
    (placing.path / NFD).mkdir()
    assert place(placing, f"{NFC}/a.txt") == f"{NFC}/a.txt"
    assert (placing.path / NFD / "a.txt").exists()
    assert placing.raw_name(f"{NFC}/a.txt") == f"{NFD}/a.txt".encode()


@pytest.mark.parametrize("name", ["", "/a", "../a", "a/../b", ".hidden", "a/.p2p-partial/x", NFD, "x" * 256])
def test_an_illegal_name_is_refused(placing: Folder, name: str) -> None:
    with pytest.raises(InvalidRequest):
        place(placing, name)
    assert os.listdir(placing.partial_fd) == ["part"]


def test_a_missing_partial_is_told(placing: Folder) -> None:
    with pytest.raises(NotFound):
        placing.place("missing", "a.txt")


def test_a_full_disk_is_told_and_the_partial_kept(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pserver.disk.place.rename_without_replacing", refuse)
    with pytest.raises(NoRoom):
        place(folder, "a.txt")
    assert os.listdir(folder.partial_fd) == ["part"]


def test_too_many_of_one_name(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pserver.disk.place._HIGHEST_NUMBER", 2)
    for expected in ("a", "a (2)"):
        assert place(folder, "a") == expected
    with pytest.raises(Conflict):
        place(folder, "a")


def test_both_folders_are_synced(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr("pserver.disk.place.os.fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    place(folder, "new/a.txt")
    share = str(folder.path)
    assert synced == [share, f"{share}/new", f"{share}/.p2p-partial"]


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("a", "a (2)"),
        ("a.txt", "a (2).txt"),
        ("a.tar.gz", "a (2).tar.gz"),
        ("v1.2 final", "v1.2 final (2)"),
        ("a (2).txt", "a (2) (2).txt"),
        ("x" * 255, "x" * 251 + " (2)"),
        ("x" * 251 + ".txt", "x" * 247 + " (2).txt"),
        ("é" * 127, "é" * 125 + " (2)"),
    ],
)
def test_numbers_come_before_the_suffix(name: str, second: str) -> None:
    assert list(zip(range(2), numbered(name, 255), strict=False)) == [(0, name), (1, second)]


@given(st.text(min_size=1, max_size=300), st.integers(0, 5000))
def test_a_numbered_name_is_a_name(name: str, number: int) -> None:
    try:
        check_name(name.replace("/", ""))
    except InvalidName:
        return
    one = name.replace("/", "")
    candidates = numbered(one, 255)
    seen = [next(candidates) for _ in range(number % 50 + 2)]
    assert [check_name(candidate) for candidate in seen] == seen
    assert len(set(seen)) == len(seen)


def test_a_long_path_stays_legal_when_it_is_numbered(folder: Folder) -> None:
    name = "/".join(["d" * 203] * 4 + ["f" * 208])
    assert len(name) == 1024
    assert place(folder, name) == name
    second = place(folder, name)
    assert second.endswith(" (2)")
    assert check_name(second) == second
