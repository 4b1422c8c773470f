"""Many small files written and placed together: synced before they have a name, never replacing one."""

import os
from collections.abc import Callable

import pytest

import pserver.disk.group
from pserver.disk.folder import Folder, stamp_of
from pserver.disk.kernel import sync_file_system, syncs_whole
from pserver.model import NoRoom
from tests.pserver.folder_lab import NFC, NFD, folder_fixture, placing_fixture  # noqa: F401

FILES = [(f"part-{number}", b"content" * number) for number in range(20)]


@pytest.fixture(name="writing", params=["whole", "each"])
def writing_fixture(request: pytest.FixtureRequest, placing: Folder, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A share folder on a file system that is synced as a whole, and on one where each file is."""
    monkeypatch.setattr(pserver.disk.group, "syncs_whole", lambda _: request.param == "whole")
    return placing


def test_files_are_written_and_placed(writing: Folder) -> None:
    inodes = writing.write_group(FILES)
    wanted = [(base, f"docs/{number % 3}/{base}") for number, (base, _) in enumerate(FILES)]
    placed = writing.place_group(wanted)
    for (_, name), (_, content), at, inode in zip(wanted, FILES, placed, inodes, strict=True):
        assert at is not None
        assert (at.name, at.raw_name, at.found.st_ino) == (name, name.encode(), inode)
        assert (writing.path / name).read_bytes() == content
        assert stamp_of(at.found) == stamp_of((writing.path / name).stat())
    assert os.listdir(writing.partial_fd) == []


def test_what_a_crash_left_is_written_anew(writing: Folder) -> None:
    (writing.path / ".p2p-partial" / "part-3").write_bytes(b"longer than what comes" * 100)
    writing.write_group(FILES)
    assert (writing.path / ".p2p-partial" / "part-3").read_bytes() == FILES[3][1]


def test_nothing_is_replaced_and_one_that_cannot_be_placed_keeps_no_other(writing: Folder) -> None:
    (writing.path / "a.txt").write_text("old")
    (writing.path / "b").write_text("a file")
    (writing.path / f"{NFD}.txt").write_text("old")
    writing.write_group(FILES)
    names = ["a.txt", "b/x", "b/y", f"{NFC}.txt", f"{NFC}.txt", "../out", ".hidden", "c", "a.txt", "x" * 300, "d/e"]
    placed = writing.place_group([(f"part-{number}", name) for number, name in enumerate(names)])
    assert [at.name if at else None for at in placed] == [
        "a (2).txt", "b (2)/x", "b (2)/y", f"{NFC} (2).txt", f"{NFC} (3).txt",
        None, None, "c", "a (3).txt", None, "d/e",
    ]  # fmt: skip
    assert (writing.path / "a.txt").read_text() == "old"
    assert not (writing.path.parent / "out").exists()
    assert {"part-5", "part-6", "part-9"} <= set(os.listdir(writing.partial_fd))


def test_a_partial_that_is_missing_is_passed_over(writing: Folder) -> None:
    writing.write_group(FILES[:1])
    placed = writing.place_group([("missing", "a"), ("part-0", "b")])
    assert [at.name if at else None for at in placed] == [None, "b"]


def test_links_and_folders_that_change_hands_are_not_followed(writing: Folder) -> None:
    (writing.path / "in").symlink_to(writing.path.parent)
    writing.write_group(FILES[:2])
    placed = writing.place_group([("part-0", "in/a"), ("part-1", "in/b")])
    assert [at.name if at else None for at in placed] == ["in (2)/a", "in (2)/b"]


def test_data_comes_before_names_and_each_folder_is_synced_once(
    writing: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    real_sync, real_fsync = sync_file_system, os.fsync

    def noted(word: str, real: Callable[[int], None]) -> Callable[[int], None]:
        def sync(fd: int) -> None:
            lying = sorted(path.name for path in writing.path.rglob("*.txt") if path.parent.name != ".p2p-partial")
            steps.append(f"{word} {os.readlink(f'/proc/self/fd/{fd}').removeprefix(str(writing.path))} {lying}")
            real(fd)

        return sync

    monkeypatch.setattr(pserver.disk.group, "sync_file_system", noted("whole", real_sync))
    monkeypatch.setattr("os.fsync", noted("one", real_fsync))
    (writing.path / "d").mkdir()
    (writing.path / "e").mkdir()
    writing.write_group([("p1", b"1"), ("p2", b"2"), ("p3", b"3")])
    writing.place_group([("p1", "d/1.txt"), ("p2", "d/2.txt"), ("p3", "e/3.txt")])
    data = [step for step in steps if "[]" in step]
    assert len(data) == (1 if data[0].startswith("whole") else 3), "before any file has its name"
    assert steps[len(data) :] == [
        "one /d ['1.txt', '2.txt']",
        "one /e ['1.txt', '2.txt', '3.txt']",
        "one /.p2p-partial ['1.txt', '2.txt', '3.txt']",
    ]


def test_a_full_disk_is_told(writing: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.write", lambda fd, content: max(len(content) - 1, 0))
    with pytest.raises(NoRoom):
        writing.write_group(FILES[3:])


def test_what_is_synced_as_a_whole_is_known_by_its_file_system() -> None:
    procfs = os.open("/proc", os.O_RDONLY)
    try:
        assert not syncs_whole(procfs)
        with pytest.raises(OSError, match="Bad file"):
            sync_file_system(-1)
        assert not syncs_whole(-1)
    finally:
        os.close(procfs)
