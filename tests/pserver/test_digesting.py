"""Digests: made in the background, right, kept within bounds, and never of a file that has changed."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.processes import wait_for
from pserver.digests import BadDigests, Digests, Making, decode_digests, digest_piece_size, encoded_bytes
from pserver.disk.digesting import Digesting
from pserver.disk.share import OpenedFile, Share
from pserver.model import Conflict, NotFound, SharedFile, Unavailable
from tests.pserver.share_lab import add, share_fixture  # noqa: F401  # a fixture

MIB = 1 << 20
CONTENT = hashlib.shake_128(b"seed").digest(5 * MIB // 2)
Make = Callable[..., Digesting]


@pytest.fixture
def make(share: Share, tmp_path: Path) -> Iterator[Make]:
    made: list[Digesting] = []

    def build(**more: int) -> Digesting:
        made.append(Digesting(share, tmp_path / "digests", **more))
        return made[-1]

    yield build
    for each in made:
        each.stop()


def done(maker: Digesting, file: SharedFile) -> Digests:
    """Ask until they are made."""

    def ready() -> Digests | None:
        found = maker.get(file)
        return found if isinstance(found, Digests) else None

    return wait_for("the digests are made", ready)


# --- what they are


@pytest.mark.parametrize("content", [b"", b"x", CONTENT[: MIB // 4], CONTENT], ids=len)
def test_the_digests_of_a_file(share: Share, make: Make, content: bytes) -> None:
    found = done(make(), add(share, "a", content))
    step = MIB // 4
    pieces = [content[start : start + step] for start in range(0, len(content), step)]
    assert (found.size, found.piece_size) == (len(content), step)
    assert found.sha256 == hashlib.sha256(content).digest()
    assert found.sha1_pieces == b"".join(hashlib.sha1(piece).digest() for piece in pieces)
    assert found.sha256_pieces == b"".join(hashlib.sha256(piece).digest() for piece in pieces)


def test_the_first_answer_is_that_they_are_being_made(share: Share, make: Make) -> None:
    assert make().get(add(share, "a", CONTENT)) == Making(0, len(CONTENT))


@settings(deadline=None)
@given(st.integers(0, 1 << 44))
def test_there_are_few_pieces_and_none_too_large(size: int) -> None:
    piece = digest_piece_size(size)
    assert MIB // 4 <= piece <= 64 * MIB
    assert piece.bit_count() == 1
    assert size <= piece * 2048 or piece == 64 * MIB
    assert encoded_bytes(size) < 16 * MIB


@settings(deadline=None)
@given(st.integers(0, 3 * MIB), st.data())
def test_what_is_not_whole_is_not_believed(size: int, data: st.DataObject) -> None:
    pieces = -(-size // (MIB // 4))
    digests = Digests(size, MIB // 4, b"s" * 32, b"1" * 20 * pieces, b"2" * 32 * pieces)
    encoded = digests.encode()
    assert decode_digests(encoded, size) == digests
    assert len(encoded) == encoded_bytes(size)
    at = data.draw(st.integers(0, len(encoded) - 1))
    for bent in (encoded[:at], encoded[:at] + bytes([encoded[at] ^ 1]) + encoded[at + 1 :], encoded + b"x", b""):
        with pytest.raises(BadDigests):
            decode_digests(bent, size)
    with pytest.raises(BadDigests):
        decode_digests(encoded, size + 1)


# --- how they are kept


def test_they_are_made_once_and_kept_over_a_restart(
    share: Share, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = add(share, "a", CONTENT)
    first = done(make(), file)
    monkeypatch.setattr(OpenedFile, "readinto", None)  # it would fail if it read
    assert make().get(file) == first
    assert [path.name for path in (tmp_path / "digests").iterdir()] == [file.file_id.hex()]
    assert (tmp_path / "digests").stat().st_mode & 0o077 == 0


def test_what_a_power_loss_left_is_made_anew(share: Share, make: Make, tmp_path: Path) -> None:
    file = add(share, "a", CONTENT)
    first = done(make(), file)
    kept = tmp_path / "digests" / file.file_id.hex()
    kept.write_bytes(kept.read_bytes()[:-1])
    (tmp_path / "digests" / "half.new").write_bytes(b"x")
    assert done(make(), file) == first
    assert [path.name for path in (tmp_path / "digests").iterdir()] == [file.file_id.hex()]


def test_what_was_not_asked_for_longest_goes_first(share: Share, make: Make, tmp_path: Path) -> None:
    files = [add(share, str(n), bytes([n]) * 1000) for n in range(4)]
    maker = make(kept_bytes=2 * encoded_bytes(1000))
    for now, file in enumerate(files[:3]):
        done(maker, file)
        os.utime(tmp_path / "digests" / file.file_id.hex(), (now, now))
    assert {path.name for path in (tmp_path / "digests").iterdir()} == {file.file_id.hex() for file in files[1:3]}
    maker.get(files[1])  # it was used: now it is the newer one
    done(maker, files[3])
    assert {path.name for path in (tmp_path / "digests").iterdir()} == {files[1].file_id.hex(), files[3].file_id.hex()}


# --- what goes wrong


def test_a_file_that_has_changed_or_vanished_is_not_described(share: Share, make: Make) -> None:
    file, gone = add(share, "a", CONTENT), add(share, "b", b"b")
    maker = make()
    done(maker, file), done(maker, gone)
    (share.folder.path / "a").write_bytes(CONTENT[::-1])
    (share.folder.path / "b").unlink()
    with pytest.raises(Conflict) as caught:
        maker.get(file)
    assert caught.value.code == "changed"
    with pytest.raises(NotFound):
        maker.get(gone)


def test_a_file_that_changes_while_it_is_read_gets_no_digests(
    share: Share, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = add(share, "a", CONTENT)
    monkeypatch.setattr(OpenedFile, "still_same", lambda opened: opened.tell() == 0)
    maker = make()
    maker.get(file)
    wait_for("it was read", lambda: maker._thread is None)
    assert not list((tmp_path / "digests").iterdir())


def test_a_failure_is_told_once_and_then_it_is_tried_anew(
    share: Share, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, maker = add(share, "a", CONTENT), make()

    def broken(*_: object) -> int:
        raise OSError(5, "the disk is broken")

    with monkeypatch.context() as patched:
        patched.setattr(OpenedFile, "readinto", broken)
        maker.get(file)
        wait_for("it was tried", lambda: maker._thread is None)
    with pytest.raises(Unavailable, match="the disk is broken"):
        maker.get(file)
    assert done(maker, file).size == len(CONTENT)


def test_only_so_many_files_wait(share: Share, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [add(share, str(n), bytes([n])) for n in range(3)]
    maker = make(most_waiting=1)
    monkeypatch.setattr(threading.Thread, "start", lambda _thread: None)
    monkeypatch.setattr(threading.Thread, "join", lambda _thread, _timeout: None)
    assert maker.get(files[0]) == maker.get(files[0]) == Making(0, 1)  # asked twice, it waits once
    with pytest.raises(Unavailable, match="too many"):
        maker.get(files[1])


def test_a_stop_ends_the_reading(share: Share, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file, maker = add(share, "a", CONTENT), make()
    monkeypatch.setattr(OpenedFile, "readinto", lambda _opened, _buffer: maker._stopping.wait(30) and 1)
    maker.get(file)
    maker.stop()
    assert maker._thread is None
    assert not list((tmp_path / "digests").iterdir())
    with pytest.raises(Unavailable):
        maker.get(add(share, "b", b"b"))
