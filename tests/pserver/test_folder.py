"""The share folder on disk: nothing outside is ever opened."""

import errno
import os
import resource
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pserver.disk.folder import Folder
from pserver.model import NotFound, Unavailable
from tests.pserver.folder_lab import folder_fixture, place, read  # noqa: F401


def test_a_file_is_read(folder: Folder) -> None:
    (folder.path / "a" / "b").mkdir(parents=True)
    (folder.path / "a" / "b" / "c.txt").write_text("deep")
    assert read(folder, b"a/b/c.txt") == b"deep"
    assert folder.stat(b"a/b/c.txt").st_size == 4


@pytest.mark.parametrize(
    "raw_name",
    [
        b"",
        b"/",
        b"..",
        b"../outside",
        b"a/../../outside",
        b"a/..",
        b"./a",
        b"a//x",
        b"a/",
        b"a",
        b"missing",
        b"link",
        b"loop",
        b"linked/outside",
        b"inner/x",
        b"absolute",
        b"a/x/y",
        b"hidden/.secret",
        b".p2p-partial/part",
        b"a/x\0y",
        b"x" * 300,
        b"/proc/self/root/etc/passwd",
    ],
)
def test_what_is_no_file_of_the_share_is_not_opened(folder: Folder, tmp_path: Path, raw_name: bytes) -> None:
    (tmp_path / "outside").write_text("secret")
    for name in ("a", "hidden"):
        (folder.path / name).mkdir()
    for path in ("a/x", "hidden/.secret", ".p2p-partial/part"):
        (folder.path / path).write_text("")
    (folder.path / "link").symlink_to("a/x")
    (folder.path / "loop").symlink_to("loop")
    (folder.path / "linked").symlink_to("..")
    (folder.path / "inner").symlink_to("a")
    (folder.path / "absolute").symlink_to("/etc/passwd")
    with pytest.raises((NotFound, Unavailable)):
        os.close(folder.open_read(raw_name))
    if raw_name:
        with pytest.raises((NotFound, Unavailable)):
            folder.remove(raw_name)
    assert (tmp_path / "outside").exists()


def test_a_fifo_does_not_hang(folder: Folder) -> None:
    os.mkfifo(folder.path / "fifo")
    with pytest.raises(NotFound, match="regular"):
        folder.open_read(b"fifo")


def test_descriptors_are_not_inherited_and_none_are_left(folder: Folder) -> None:
    (folder.path / "a").mkdir()
    (folder.path / "a" / "f").write_text("x")
    before = len(os.listdir("/proc/self/fd"))
    opened = folder.open_read(b"a/f")
    assert not os.get_inheritable(opened)
    assert not os.get_inheritable(folder.partial_fd)
    os.close(opened)
    for raw in (b"a", b"a/missing", b"missing/f", b"a/f/x"):
        with pytest.raises(NotFound):
            folder.open_read(raw)
    place(folder, "a/b/new")
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_unreadable_file_is_told_in_words(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    (folder.path / "f").write_text("x")
    monkeypatch.setattr("pserver.disk.folder.open_beneath", refuse)
    monkeypatch.setattr("pserver.disk.folder.os.open", refuse)
    with pytest.raises(Unavailable, match="cannot be read: Permission denied"):
        folder.open_read(b"f")


# Making, leaving, coming back


def test_the_folder_and_the_partial_folder_are_made(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "new")
    partial_folder = tmp_path / "new" / ".p2p-partial"
    assert stat.S_IMODE(partial_folder.stat().st_mode) == 0o700
    assert os.path.samestat(os.fstat(folder.partial_fd), partial_folder.stat())
    folder.close()


def test_a_lax_partial_folder_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / ".p2p-partial").mkdir()
    (tmp_path / ".p2p-partial").chmod(0o777)
    Folder(tmp_path).close()
    assert stat.S_IMODE((tmp_path / ".p2p-partial").stat().st_mode) == 0o700


@pytest.mark.parametrize(("path", "word"), [("no/share", "cannot be made: No such"), ("file", "not a folder")])
def test_a_wrong_path_is_told_in_words(tmp_path: Path, path: str, word: str) -> None:
    (tmp_path / "file").write_text("")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Unavailable, match=word):
        Folder(tmp_path / path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_partial_folder_that_is_a_link_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / ".p2p-partial").symlink_to(tmp_path / "elsewhere")
    folder = Folder(tmp_path / "share")
    with pytest.raises(Unavailable, match="cannot be written to"):
        _ = folder.partial_fd
    folder.close()


def test_running_out_of_descriptors_says_nothing_about_the_folder(folder: Folder) -> None:
    (folder.path / "a").write_text("here")
    opened = folder.open_read(b"a")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))  # no descriptor more, whichever numbers are free
    try:
        with pytest.raises(Unavailable, match="Too many open files"):
            folder.refresh()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        os.close(opened)
    assert read(folder, b"a") == b"here"  # without another refresh


def test_a_folder_that_goes_away_serves_nothing_until_it_is_back(folder: Folder) -> None:
    (folder.path / "f").write_text("here")
    identity, partial_fd = folder.identity, folder.partial_fd
    elsewhere = folder.path.with_name("elsewhere")
    folder.path.rename(elsewhere)
    with pytest.raises(Unavailable, match="cannot be read"):
        folder.refresh()
    away: list[Callable[[], object]] = [
        lambda: folder.open_read(b"f"),
        lambda: folder.partial_fd,
        folder.free_bytes,
    ]
    for refused in away:
        with pytest.raises(Unavailable):
            refused()
    elsewhere.rename(folder.path)
    assert folder.refresh()
    assert not folder.refresh()
    assert read(folder, b"f") == b"here"
    assert (folder.identity, folder.partial_fd) == (identity, partial_fd)
    assert place(folder, "g") == "g"


def test_another_folder_in_its_place_has_another_identity(folder: Folder) -> None:
    before = folder.identity
    folder.path.rename(folder.path.with_name("old"))
    folder.path.mkdir()
    assert folder.refresh()
    assert folder.identity != before
    assert place(folder, "f") == "f"
    assert (folder.path / "f").exists()


def test_a_deleted_partial_folder_is_made_again(folder: Folder) -> None:
    (folder.path / ".p2p-partial").rmdir()
    assert not folder.refresh()
    assert place(folder, "f") == "f"


def test_a_partial_folder_deleted_in_mid_work_is_made_again_at_once(folder: Folder) -> None:
    number = folder.partial_fd
    before = len(os.listdir("/proc/self/fd"))
    for name in ("f", "g"):
        (folder.path / ".p2p-partial").rmdir()
        folder.write_group([("part", b"new")])
        assert folder.place("part", name) == name
    assert folder.partial_fd == number
    assert stat.S_IMODE((folder.path / ".p2p-partial").stat().st_mode) == 0o700
    assert len(os.listdir("/proc/self/fd")) == before


def test_with_the_whole_share_deleted_the_partial_folder_is_not_made_elsewhere(folder: Folder) -> None:
    shutil.rmtree(folder.path)
    with pytest.raises(Unavailable, match="cannot be written to"):
        _ = folder.partial_fd
    folder.path.mkdir()
    assert folder.refresh()
    assert place(folder, "f") == "f"


def test_room_is_told(folder: Folder) -> None:
    assert folder.free_bytes() > 0


def test_remove(folder: Folder) -> None:
    (folder.path / "d").mkdir()
    (folder.path / "d" / "f").write_text("x")
    folder.remove(b"d/f")
    assert not (folder.path / "d" / "f").exists()
    for raw in (b"d", b"d/f", b".p2p-share-id"):
        with pytest.raises(NotFound):
            folder.remove(raw)
