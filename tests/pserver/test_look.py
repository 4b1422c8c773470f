"""What a look at the disk does to the index: every way in which a file changes and goes."""

import errno
import os

import pytest

from pserver.disk.folder import Folder
from pserver.model import Unavailable
from tests.pserver.scan_lab import NFC, NFD, Lab, lab_fixture  # noqa: F401


def test_a_vanished_file_leaves_the_index(lab: Lab) -> None:
    for name in ("a", "d/b", "d/e/c"):
        lab.write(name)
    lab.look()
    (lab.path / "a").unlink()
    (lab.path / "d").rename(lab.path / "f")
    lab.look()
    assert lab.names() == ["f/b", "f/e/c"]


@pytest.mark.parametrize("touched", ["a", "d", "d/e/c"])
def test_what_was_touched_is_looked_at_alone(lab: Lab, touched: str) -> None:
    for name in ("a", "d/b", "d/e/c", "other"):
        lab.write(name)
    lab.look()
    names = set(lab.names())
    gone = {name for name in names if name == touched or name.startswith(touched + "/")}
    (lab.path / touched).rename(lab.base / "out")
    (lab.path / "other").unlink()
    lab.scanner.look_at(touched.encode())
    lab.tick(0.1)
    assert set(lab.names()) == names - gone
    (lab.base / "out").rename(lab.path / touched)
    lab.scanner.look_at(touched.encode())
    lab.tick(0.1)
    assert set(lab.names()) == names


def test_many_that_were_touched_together_are_told_apart(lab: Lab) -> None:
    for name in ("same", "longer", "gone", "d/same", "d/linked"):
        lab.write(name)
    lab.look()
    lab.write("longer", "xx")
    (lab.path / "gone").unlink()
    (lab.path / "d/linked").unlink()
    (lab.path / "d/linked").symlink_to("same")
    for name in ("same", "longer", "gone", "d/same", "d/linked", "never", "e/never"):
        lab.scanner.look_at(name.encode())
    lab.tick(0.1)
    assert lab.names() == ["d/same", "longer", "same"]
    longer = lab.share.by_name("longer")
    assert longer is not None
    assert longer.size == 2


@pytest.mark.parametrize("becomes", ["link", "folder", "fifo"])
def test_a_file_that_becomes_something_else_leaves(lab: Lab, becomes: str) -> None:
    path = lab.write("a")
    lab.look()
    path.unlink()
    if becomes == "link":
        path.symlink_to("/etc/passwd")
    elif becomes == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    lab.scanner.look_at(b"a")
    lab.tick(0.1)
    assert lab.names() == []


def test_a_file_that_keeps_growing_leaves_until_it_is_quiet(lab: Lab) -> None:
    path = lab.write("log", "1")
    lab.look()
    path.write_text("22")
    lab.scanner.look_at(b"log")
    lab.scanner.tick(path.stat().st_ctime + 1)
    assert lab.names() == []
    lab.tick()
    assert lab.names() == ["log"]


def test_a_file_found_changed_by_a_reader_is_looked_at(lab: Lab) -> None:
    path = lab.write("a", "old")
    lab.look()
    (row,) = lab.share.files("", "", 1)
    path.unlink()
    with pytest.raises(Exception, match="no such file"):
        lab.share.open(row)
    lab.tick(0.1)
    assert lab.names() == []


def test_an_unreadable_file_leaves_and_is_reported(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lab.write("a", "old")
    lab.write("b")
    lab.look()
    open_read = Folder.open_read

    def denying(self: Folder, raw_name: bytes) -> int:
        if raw_name == b"a":
            raise Unavailable("it cannot be read: Permission denied") from PermissionError(errno.EACCES, "no")
        return open_read(self, raw_name)

    monkeypatch.setattr(Folder, "open_read", denying)
    path.write_text("new")  # as long as before: only the failed reading says that the row is wrong
    lab.look()
    assert lab.names() == ["b"]
    assert lab.skipped() == {"a": "it cannot be read: Permission denied"}
    monkeypatch.undo()
    lab.look()
    assert (lab.names(), lab.skipped()) == (["a", "b"], {})


def test_of_two_names_that_are_the_same_one_is_shared(lab: Lab) -> None:
    lab.write(NFD, "first")
    lab.look()
    lab.write(NFC, "second")
    for _ in range(2):
        lab.look()
        assert lab.names() == [NFC]
        assert list(lab.skipped()) == [NFC]
    assert lab.hashed == [NFD]
    (lab.path / NFD).unlink()
    lab.scanner.look_at(NFD.encode())
    lab.tick(0.1)
    assert lab.hashed == [NFD, NFC]
    assert (lab.names(), lab.skipped()) == ([NFC], {})


def test_two_such_names_at_once(lab: Lab) -> None:
    lab.write(NFD, "first")
    lab.write(NFC, "second")
    lab.look()
    assert lab.names() == [NFC]
    assert lab.share.skipped()[0] == 1


def test_names_that_differ_in_case_are_two(lab: Lab) -> None:
    lab.write("A")
    lab.write("a")
    lab.look()
    assert lab.names() == ["A", "a"]
