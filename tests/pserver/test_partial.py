"""The partial file: room taken at once, trusted where recorded, hashed where not, never left behind."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pserver.disk.folder import Folder
from pserver.exchange.bitfield import pack, packed_bytes, unpack
from pserver.exchange.partial import SYNC_BYTES, SYNC_SECONDS, Partial, partial_base, remove_orphans
from pserver.model import NoRoom, Unavailable
from pserver.pieces import Manifest
from tests.pserver.fake_source import manifest_of
from tests.pserver.test_download import PIECE, content_of

BASE = partial_base(b"\1" * 32, "0123abcd", 7)
CONTENT = content_of(5.5)
MANIFEST = manifest_of(CONTENT)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path / "share")
    yield made
    made.close()


def piece_of(number: int) -> memoryview:
    offset, length = MANIFEST.span(number)
    return memoryview(CONTENT)[offset : offset + length]


def names(folder: Folder) -> list[str]:
    return sorted(os.listdir(folder.partial_fd))


def test_all_room_is_taken_at_once(folder: Folder) -> None:
    partial = Partial(folder, BASE, MANIFEST, None)
    found = os.stat(BASE, dir_fd=folder.partial_fd)
    assert found.st_size == len(CONTENT)
    assert found.st_blocks * 512 >= len(CONTENT)
    assert (partial.fresh, partial.complete, partial.bytes_done) == (True, False, 0)
    partial.close()


def test_without_room_nothing_is_left_behind(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_fd: int, _offset: int, _length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(NoRoom):
        Partial(folder, BASE, MANIFEST, None)
    assert names(folder) == []
    with pytest.raises(NoRoom):
        Partial(folder, BASE, MANIFEST, None, reserve=1 << 60)
    assert names(folder) == []


def test_what_is_synced_is_recorded_and_trusted_and_no_more(folder: Folder) -> None:
    partial, recorded = Partial(folder, BASE, MANIFEST, None), [(b"", 0)]
    partial.write(5, piece_of(5))
    partial.write(1, piece_of(1))
    assert partial.bytes_done == PIECE + PIECE // 2
    assert partial.recorded_bytes == 0
    partial.sync(1.0, lambda packed, size: recorded.append((packed, size)))
    partial.write(2, piece_of(2))
    assert recorded[-1] == (bytes([0b01000100]), PIECE + PIECE // 2)
    assert partial.recorded_bytes == PIECE + PIECE // 2
    partial.close()
    again = Partial(folder, BASE, MANIFEST, recorded[-1][0])
    assert (again.fresh, again.flags) == (False, bytes([0, 1, 0, 0, 0, 1]))
    again.close()


def test_nothing_is_recorded_before_it_is_on_the_disk(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    partial, order = Partial(folder, BASE, MANIFEST, None), list[str]()

    def fdatasync(_fd: int) -> None:
        order.append("synced")
        partial.write(1, piece_of(1))  # by a worker, meanwhile

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    partial.write(0, piece_of(0))
    partial.sync(0.0, lambda packed, _size: order.append(f"recorded {packed[0]:08b}"))
    assert order == ["synced", "recorded 10000000"]
    partial.close()


def test_pieces_written_but_not_recorded_are_found_by_their_hashes(folder: Folder) -> None:
    partial = Partial(folder, BASE, MANIFEST, None)
    for number in (0, 3, 5):
        partial.write(number, piece_of(number))
    os.pwrite(partial._fd, b"torn", 4 * PIECE)
    partial.close()
    again = Partial(folder, BASE, MANIFEST, pack(bytes(6)))
    again.find_unrecorded(lambda: memoryview(bytearray(PIECE)), lambda: False)
    assert again.flags == bytes([1, 0, 0, 1, 0, 1])
    again.find_unrecorded(lambda: memoryview(bytearray(PIECE)), lambda: True)
    again.close()


def test_a_partial_cut_short_by_a_crash_is_made_anew(folder: Folder) -> None:
    Partial(folder, BASE, MANIFEST, None).close()
    os.truncate(f"/proc/self/fd/{folder.partial_fd}/{BASE}", 100)
    again = Partial(folder, BASE, MANIFEST, pack(bytes([1] * 6)))
    assert (again.fresh, again.bytes_done) == (True, 0), "a record without its file is worth nothing"
    again.close()


def test_a_link_in_its_place_is_not_followed(folder: Folder, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(bytes(len(CONTENT)))
    os.symlink(victim, BASE, dir_fd=folder.partial_fd)
    with pytest.raises(Unavailable):
        Partial(folder, BASE, MANIFEST, pack(bytes(6)))
    partial = Partial(folder, BASE, MANIFEST, None)  # a new one takes its place
    partial.write(0, piece_of(0))
    partial.close()
    assert victim.read_bytes() == bytes(len(CONTENT))


def test_it_is_synced_after_so_many_bytes_or_seconds(folder: Folder) -> None:
    partial, nothing = Partial(folder, BASE, MANIFEST, None), (lambda _packed, _size: None)
    assert not partial.sync_due(0.0)
    assert not partial.sync_due(99.0), "nothing was written"
    partial.write(0, piece_of(0))
    partial.sync(100.0, nothing)
    partial.write(1, piece_of(1))
    assert not partial.sync_due(100.0 + SYNC_SECONDS - 0.1)
    assert partial.sync_due(100.0 + SYNC_SECONDS)
    partial.sync(103.0, nothing)
    for _ in range(SYNC_BYTES // PIECE):
        assert not partial.sync_due(103.0)
        partial.write(1, piece_of(1))
    assert partial.sync_due(103.0)
    partial.close()


def test_an_empty_file_has_a_partial_too(folder: Folder) -> None:
    partial = Partial(folder, BASE, Manifest(0, PIECE, b"\0" * 32, b""), None)
    assert (partial.complete, partial.bytes_done) == (True, 0)
    partial.sync(0.0, lambda packed, size: None)
    partial.close()


def test_orphans_are_removed_and_nothing_else(folder: Folder) -> None:
    kept, orphan, other = BASE, partial_base(b"\2" * 32, "0123abcd", 8), "tus-something"
    for name in (kept, orphan, other, orphan + ".x"):
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=folder.partial_fd))
    assert remove_orphans(folder, {("0123abcd", 7)}) == 1
    assert names(folder) == sorted([kept, other, orphan + ".x"])


@pytest.mark.parametrize("pieces", [0, 1, 7, 8, 9, 64, 1000])
def test_bitfields_are_packed_and_unpacked(pieces: int) -> None:
    flags = bytes(number % 3 == 0 for number in range(pieces))
    packed = bytearray(packed_bytes(pieces))
    for number in range(0, pieces, 3):
        packed[number >> 3] |= 0x80 >> (number & 7)
    assert pack(flags) == bytes(packed)
    assert unpack(bytes(packed), pieces) == flags


@pytest.mark.parametrize(("packed", "pieces"), [(b"", 1), (b"\0\0", 8), (b"\x01", 7), (b"\xff\x80", 8)])
def test_what_is_no_bitfield_is_refused(packed: bytes, pieces: int) -> None:
    with pytest.raises(ValueError, match="bitfield"):
        unpack(packed, pieces)


def test_bit_7_of_byte_0_is_piece_0() -> None:
    assert pack(bytes([1, 0, 0, 0, 0, 0, 0, 0, 0, 1])) == bytes([0x80, 0x40])
