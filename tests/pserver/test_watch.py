"""Seeing changes at once, and the threads that do the work."""

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import pserver.disk.hashing
import pserver.disk.watch
from pserver.disk.scan import RESCAN_UNWATCHED_SECONDS, Scanner
from pserver.pieces import BadManifest, Manifest, hash_file
from tests.pserver.scan_lab import LATER, PATIENCE_SECONDS, Lab, lab_fixture, wait_for  # noqa: F401


@pytest.fixture
def watching(lab: Lab) -> Lab:
    lab.write("a")
    lab.scanner = Scanner(lab.share, threads=2, quiet_seconds=0.05)
    lab.scanner.start()
    wait_for(lambda: lab.names() == ["a"] and lab.scanner.status().watching)
    return lab


def test_changes_are_seen(watching: Lab, tmp_path: Path) -> None:
    watching.write("new/deep/b")
    wait_for(lambda: watching.names() == ["a", "new/deep/b"])
    watching.write("new/deep/c")
    wait_for(lambda: watching.names() == ["a", "new/deep/b", "new/deep/c"])
    (watching.path / "new").rename(watching.path / "moved")
    wait_for(lambda: watching.names() == ["a", "moved/deep/b", "moved/deep/c"])
    before = watching.content_id("moved/deep/c")
    watching.write("moved/deep/c", "changed")
    wait_for(lambda: watching.share.by_name("moved/deep/c") and watching.content_id("moved/deep/c") != before)
    (watching.path / "moved").rename(tmp_path / "out")
    wait_for(lambda: watching.names() == ["a"])


def test_writing_partial_files_and_behind_links_wakes_nobody(
    watching: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside").mkdir()
    (watching.path / "link").symlink_to(tmp_path / "outside")
    touched: list[bytes] = []
    touch = watching.scanner._touch

    def noting(raw_names: set[bytes]) -> None:
        touched.extend(raw_names)
        touch(raw_names)

    monkeypatch.setattr(watching.scanner._watch, "_touched", noting)
    watching.write(".p2p-partial/part")
    (tmp_path / "outside" / "f").write_text("x")
    watching.write("last")
    wait_for(lambda: "last" in watching.names())
    assert not [raw for raw in touched if raw.startswith((b".p2p-partial/", b"link/"))]


def test_without_watches_it_scans_more_often_and_says_so(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "OS file watch limit reached.")

    monkeypatch.setattr(pserver.disk.watch, "RustNotify", refuse)
    lab.scanner = Scanner(lab.share)
    lab.look()
    status = lab.scanner.status()
    assert not status.watching
    assert "limit reached" in (status.not_watching_why or "")
    assert "limit reached" in caplog.text
    lab.write("a")
    lab.tick(RESCAN_UNWATCHED_SECONDS)
    assert lab.names() == ["a"]


def test_it_stops_in_the_midst_of_a_large_file(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lab.write("large")
    os.truncate(path, 1 << 40)
    begun = threading.Event()

    def endless(fd: int, size: int, buffer: bytearray, stopped: Callable[[], bool]) -> Manifest:
        begun.set()
        while not stopped():
            time.sleep(0.001)
        raise BadManifest("stopped")

    monkeypatch.setattr(pserver.disk.hashing, "hash_file", endless)
    lab.scanner = Scanner(lab.share, quiet_seconds=0.0)
    lab.scanner.start()
    assert begun.wait(PATIENCE_SECONDS)
    started = time.monotonic()
    lab.scanner.stop()
    assert time.monotonic() - started < 2
    assert lab.names() == []
    assert not [thread for thread in threading.enumerate() if thread.name in ("scan", "hash", "watch")]


def test_an_idle_scanner_has_no_hashing_threads_and_no_buffers(lab: Lab) -> None:
    lab.write("a")
    lab.look()
    assert lab.scanner._hashing._threads == set()


def test_large_files_keep_neither_small_nor_urgent_ones_waiting(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def slow(fd: int, size: int, buffer: bytearray, stopped: Callable[[], bool]) -> Manifest:
        if size > 1:
            assert go_on.wait(3 * PATIENCE_SECONDS)
        return hash_file(fd, size, buffer, stopped)

    monkeypatch.setattr(pserver.disk.hashing, "hash_file", slow)
    lab.write("large", "large")
    lab.scanner.look_again()
    lab.now += LATER
    lab.scanner.tick(lab.now)
    wait_for(lambda: not lab.scanner._hashing._queue)
    lab.write("small")
    lab.scanner.look_at(b"small")
    lab.now += LATER
    wait_for(lambda: (lab.scanner.tick(lab.now), lab.names())[1] == ["small"])
    lab.write("second large", "large")
    lab.scanner.look_again()
    lab.now += LATER
    lab.scanner.tick(lab.now)
    wait_for(lambda: not lab.scanner._hashing._queue)
    lab.write("urgent")
    lab.scanner.hash_now(b"urgent")
    wait_for(lambda: (lab.scanner.tick(lab.now), lab.names())[1] == ["small", "urgent"])
    go_on.set()
    wait_for(lambda: (lab.scanner.tick(lab.now), len(lab.names()))[1] == 4)
