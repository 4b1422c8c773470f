"""Keeping the index true to the disk: how a file comes in, and when what is looked at."""

import errno
import os
from collections.abc import Callable

import pytest

import pserver.disk.hashing
import pserver.disk.scan
from pserver.disk.scan import CHECK_SECONDS, MISSED_SECONDS, RESCAN_SECONDS, RESCAN_UNWATCHED_SECONDS, Scanner
from pserver.model import NoRoom, Unavailable
from pserver.pieces import Manifest, hash_file
from tests.pserver.scan_lab import LATER, NFD, Lab, lab_fixture, wait_for  # noqa: F401


def test_what_lies_in_the_share_is_indexed(lab: Lab) -> None:
    for name in ("a.txt", "docs/deep/b.txt", "empty"):
        lab.write(name, "" if name == "empty" else name)
    lab.write(".hidden")
    lab.write(".p2p-partial/part")
    (lab.path / "link").symlink_to("a.txt")
    lab.look()
    assert lab.names() == ["a.txt", "docs/deep/b.txt", "empty"]
    assert lab.share.totals() == (3, len("a.txtdocs/deep/b.txt"))
    found = lab.share.by_name("a.txt")
    assert found is not None
    assert found.sha256_checked
    assert lab.skipped() == {"link": "it is a symbolic link"}


def test_nothing_is_hashed_twice_also_after_a_restart(lab: Lab) -> None:
    lab.write("a")
    lab.write(f"{NFD}/b")
    lab.look()
    assert len(lab.hashed) == 2
    lab.look()
    lab.restart()
    lab.look()
    assert len(lab.hashed) == 2


def test_a_changed_file_is_hashed_again(lab: Lab) -> None:
    path = lab.write("a", "old")
    lab.look()
    before, stamp = lab.content_id("a"), path.stat()
    path.write_text("new")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # same size, same mtime
    lab.look()
    assert lab.content_id("a") != before
    assert lab.hashed == ["a", "a"]


def test_a_replaced_file_is_hashed_again(lab: Lab) -> None:
    path = lab.write("a", "old")
    lab.look()
    before = lab.content_id("a")
    other = lab.base / "other"
    other.write_text("new")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    lab.look()
    assert lab.content_id("a") != before


def test_a_file_is_hashed_once_it_has_not_changed_for_two_seconds(lab: Lab) -> None:
    path = lab.write("a", "1")
    now = path.stat().st_ctime
    scanner = lab.scanner
    scanner.tick(now + 0.5)
    assert scanner.is_pending("a")
    assert scanner.status().hashing == 1
    path.write_text("22")
    scanner.tick(path.stat().st_ctime + 1.9)
    scanner.tick(path.stat().st_ctime + 1.99)
    assert b"a" not in scanner._hashing
    lab.now = path.stat().st_ctime
    lab.tick(2.6)
    assert (lab.hashed, lab.names()) == (["a"], ["a"])
    assert not scanner.is_pending("a")
    assert scanner.status().hashing == 0


def test_the_next_tick_is_when_something_is_due(lab: Lab) -> None:
    path = lab.write("a")
    made = path.stat().st_ctime
    assert lab.scanner.tick(made + 0.5) == pytest.approx(made + 2.5)
    lab.tick()
    assert lab.scanner.tick(lab.now) == pytest.approx(lab.now + pserver.disk.scan.CHECK_SECONDS)
    assert lab.scanner.tick(lab.now + RESCAN_UNWATCHED_SECONDS) > lab.now + RESCAN_UNWATCHED_SECONDS


def test_a_scan_comes_by_itself_also_when_the_clock_is_set_back(lab: Lab) -> None:
    lab.look()
    lab.write("a")
    lab.tick(1)
    assert lab.names() == []
    lab.tick(RESCAN_SECONDS)
    assert lab.names() == ["a"]
    lab.write("b")
    lab.tick(-1_000_000)
    assert lab.scanner.is_pending("b")


def test_a_file_that_changes_while_it_is_hashed_is_hashed_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lab.write("a", "old")

    def changing(fd: int, size: int, buffer: bytearray, stopped: Callable[[], bool]) -> Manifest:
        lab.hashed.append("a")
        manifest = hash_file(fd, size, buffer, stopped)
        if len(lab.hashed) == 1:
            path.write_text("new")
        return manifest

    monkeypatch.setattr(pserver.disk.hashing, "hash_file", changing)
    lab.look()
    lab.tick()
    with lab.share.open(lab.share.files("", "", 1)[0]) as opened:
        assert opened.read() == b"new"
    assert lab.hashed == ["a", "a"]
    lab.look()
    assert lab.hashed == ["a", "a"]
    assert lab.share.sequence == 1  # no row was ever written for what was no longer there


def hash_without_writing(lab: Lab) -> None:
    lab.now += LATER
    lab.scanner.tick(lab.now)
    wait_for(lambda: not lab.scanner._hashing._threads)


def test_a_file_that_changes_before_its_row_is_written_is_hashed_again(lab: Lab) -> None:
    path = lab.write("a", "old")
    hash_without_writing(lab)
    path.write_text("newer")
    lab.scanner._looker.look_at(b"a", lab.now)
    lab.tick()
    with lab.share.open(lab.share.files("", "", 1)[0]) as opened:
        assert opened.read() == b"newer"
    assert lab.share.sequence == 1


def test_files_that_go_before_their_rows_are_written_are_not_written(lab: Lab) -> None:
    for name in ("a", "d/b", "c"):
        lab.write(name)
    hash_without_writing(lab)
    (lab.path / "a").unlink()
    (lab.path / "d").rename(lab.base / "out")
    for touched in (b"a", b"d"):
        lab.scanner._looker.look_at(touched, lab.now)
    lab.tick(0.1)
    assert lab.names() == ["c"]


def test_hash_now_does_not_wait(lab: Lab) -> None:
    lab.look()
    path = lab.write("a")
    lab.scanner.hash_now(b"a")
    assert lab.scanner.is_pending("a")
    lab.now = path.stat().st_ctime - LATER
    lab.tick()
    assert lab.names() == ["a"]
    assert not lab.scanner.is_pending("a")


def test_an_adopted_file_is_not_hashed(lab: Lab) -> None:
    lab.write("a", "content")
    lab.look()
    found = lab.share.by_name("a")
    assert found is not None
    manifest = lab.share.manifest(found.file_id)
    assert manifest is not None
    lab.write(".p2p-partial/part", "content")
    lab.share.adopt(lab.share.folder.place("part", "b"), manifest, sha256_checked=True)
    lab.scanner.look_at(b"b")
    lab.look()
    assert lab.names() == ["a", "b"]
    assert lab.hashed == ["a"]


def adopt_unchecked(lab: Lab, content: str, claimed_sha256: bytes | None) -> None:
    lab.write("original", content)
    lab.look()
    (row,) = lab.share.files("", "", 1)
    manifest = lab.share.manifest(row.file_id)
    assert manifest is not None
    lab.write(".p2p-partial/part", content)
    if claimed_sha256 is not None:
        manifest = Manifest(manifest.size, manifest.piece_size, claimed_sha256, manifest.piece_hashes)
    lab.share.adopt(lab.share.folder.place("part", "copy"), manifest, sha256_checked=False)


def test_a_downloaded_file_is_checked_when_there_is_nothing_else_to_do(lab: Lab) -> None:
    adopt_unchecked(lab, "content", None)
    sequence = lab.share.sequence
    lab.tick(1)
    lab.tick(1)
    assert lab.share.unchecked(10) == []
    assert lab.share.sequence == sequence + 1
    assert lab.hashed == ["original", "copy"]


def test_a_downloaded_file_is_not_checked_while_people_wait_for_something(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    adopt_unchecked(lab, "content", None)
    monkeypatch.setattr(lab.scanner, "_busy", lambda: True)
    lab.tick(1)
    lab.tick(1)
    assert lab.hashed == ["original"]


def test_a_downloaded_file_with_a_false_sha256_gets_its_true_id(lab: Lab) -> None:
    adopt_unchecked(lab, "content", bytes(32))
    assert lab.content_id("copy") != lab.content_id("original")
    lab.tick(1)
    lab.tick(1)
    assert lab.content_id("copy") == lab.content_id("original")
    assert lab.share.unchecked(10) == []


def test_many_files_are_written_together(lab: Lab) -> None:
    for number in range(200):
        lab.write(f"d{number % 7}/{number}", str(number))
    heard: list[int] = []
    lab.share.on_change(lambda: heard.append(lab.share.sequence))
    lab.look()
    assert len(lab.names()) == 200
    assert len(heard) < 20


# The share itself


def test_a_share_that_is_away_keeps_its_index(lab: Lab) -> None:
    lab.write("a")
    lab.look()
    elsewhere = lab.base / "elsewhere"
    lab.path.rename(elsewhere)
    lab.tick()
    assert lab.names() == ["a"]
    assert "cannot be read" in (lab.scanner.status().error or "")
    with pytest.raises(Unavailable):
        lab.share.open(lab.share.files("", "", 1)[0])
    elsewhere.rename(lab.path)
    lab.write("b")
    lab.tick(CHECK_SECONDS + 1)
    assert lab.names() == ["a", "b"]
    assert lab.scanner.status().error is None
    assert lab.hashed == ["a", "b"]


@pytest.mark.parametrize("restarted", [False, True])
def test_an_empty_folder_in_the_place_of_the_share_is_a_missing_disk(lab: Lab, restarted: bool) -> None:
    lab.write("a")
    lab.look()
    lab.path.rename(lab.base / "disk")
    lab.path.mkdir()
    if restarted:
        lab.restart()
    lab.tick()
    assert lab.names() == ["a"]
    assert "is its disk mounted" in (lab.scanner.status().error or "")
    lab.write("b")
    lab.tick(CHECK_SECONDS + 1)
    assert lab.names() == ["b"]
    assert lab.scanner.status().error is None


def test_the_same_disk_at_another_start_is_the_same_share(lab: Lab) -> None:
    lab.write("a")
    lab.look()
    lab.path.rename(lab.base / "disk")
    lab.path.mkdir()
    lab.tick()
    (lab.path / ".p2p-partial").rmdir()
    (lab.path / ".p2p-share-id").unlink()
    lab.path.rmdir()
    (lab.base / "disk").rename(lab.path)
    (lab.path / "a").unlink()
    lab.tick()
    assert lab.names() == []  # its own folder, really empty
    assert lab.scanner.status().error is None


def test_an_index_that_cannot_be_written_is_told_and_made_up_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write("a")

    def full(*_: object) -> None:
        raise NoRoom("there is no room left for the index")

    monkeypatch.setattr(lab.share, "write_rows", full)
    monkeypatch.setattr(pserver.disk.scan, "RETRY_SECONDS", 0.0)
    lab.scanner = Scanner(lab.share, watch=False, quiet_seconds=0.0)
    lab.scanner.start()
    wait_for(lambda: lab.scanner.status().error == "there is no room left for the index")
    monkeypatch.undo()
    wait_for(lambda: lab.names() == ["a"])
    wait_for(lambda: lab.scanner.status().error is None)


def test_a_file_that_could_not_be_opened_for_a_while_is_looked_at_soon(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.look()

    def no_descriptors(raw_name: bytes) -> int:
        raise Unavailable("it cannot be read: Too many open files") from OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as while_it_lasts:
        while_it_lasts.setattr(lab.share.folder, "open_read", no_descriptors)
        lab.write("a")
        lab.look()
        assert lab.names() == [] and "a" in lab.skipped()
    lab.tick(MISSED_SECONDS / 2)
    assert lab.names() == []
    lab.tick(MISSED_SECONDS)
    assert lab.names() == ["a"]


def test_a_file_that_may_not_be_read_is_not_looked_at_again_and_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def denied(raw_name: bytes) -> int:
        tried.append(raw_name)
        raise Unavailable("it cannot be read: Permission denied") from PermissionError(
            errno.EACCES, "Permission denied"
        )

    monkeypatch.setattr(lab.share.folder, "open_read", denied)
    lab.write("a")
    lab.look()
    for _ in range(3):
        lab.tick(MISSED_SECONDS)
    assert tried == [b"a"]
