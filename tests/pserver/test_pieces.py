"""The format that names files: golden vectors, and properties of every size."""

import hashlib
import os
import struct
import tempfile
from dataclasses import replace

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from pserver.pieces import (
    MAX_FILE_BYTES,
    MAX_PIECE_BYTES,
    MIN_PIECE_BYTES,
    BadManifest,
    Manifest,
    decode_manifest,
    hash_file,
    max_manifest_bytes,
    piece_count_for,
    piece_size_for,
)

KIB = 1024
# Of files whose byte number n is n mod 251: (size, file id, how many pieces). These must never change: they are how
# every peer names files. Worked out by `_encoded_by_hand` below, which shares no code with the program.
GOLDEN = [
    (0, "17098c6d97f87e1cabd52c64353c217a75f7748108ef1b6ed91100e482e20690", 0),
    (1, "317ce2a7a61bf16d1498c952ee9d2d5e912d06d05034163189fd9910e17a3da9", 1),
    (256 * KIB, "4b42ced8a10e99e0b1534b063ef4d53bbb9f6cd52240fc10fe958235159a8539", 1),
    (256 * KIB + 1, "fc51dab2e47d29cd558deb7d1bb6094235f9787e2503635b5fca397ebd49d5e0", 2),
    (1_000_003, "6a0429c92ae57525a2a03d32d99132083494924a156e7831db49d155d433f7fe", 4),
]


def content(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def manifest_of(data: bytes, buffer_bytes: int = MIN_PIECE_BYTES) -> Manifest:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return hash_file(file.fileno(), len(data), bytearray(buffer_bytes))


def _encoded_by_hand(data: bytes, piece_size: int) -> bytes:
    pieces = [data[at : at + piece_size] for at in range(0, len(data), piece_size)]
    head = b"P2PFILE\x01" + struct.pack(">QQ", len(data), piece_size) + hashlib.sha256(data).digest()
    return head + b"".join(blake3(piece).digest() for piece in pieces)


@pytest.mark.parametrize(("size", "file_id", "pieces"), GOLDEN)
def test_golden_vectors(size: int, file_id: str, pieces: int) -> None:
    manifest = manifest_of(content(size))
    assert manifest.encode() == _encoded_by_hand(content(size), 256 * KIB)
    assert manifest.file_id.hex() == file_id
    assert manifest.piece_count == pieces


@pytest.mark.parametrize(
    ("size", "piece_size", "pieces"),
    [
        (0, 256 * KIB, 0),
        (256 * KIB * 1024, 256 * KIB, 1024),
        (256 * KIB * 1024 + 1, 512 * KIB, 513),
        (10 * KIB**3, 16 * KIB**2, 640),
        (16 * KIB**3, 16 * KIB**2, 1024),
        (16 * KIB**3 + 1, 16 * KIB**2, 1025),
        (KIB**4, 16 * KIB**2, 65536),
    ],
)
def test_piece_sizes(size: int, piece_size: int, pieces: int) -> None:
    assert (piece_size_for(size), piece_count_for(size)) == (piece_size, pieces)


@given(st.one_of(st.integers(0, MAX_FILE_BYTES), st.integers(0, 44).map(lambda power: 1 << power)), st.integers(-1, 1))
def test_the_piece_size_is_the_smallest_allowed(near: int, off: int) -> None:
    size = max(near + off, 0)
    piece_size = piece_size_for(size)
    assert MIN_PIECE_BYTES <= piece_size <= MAX_PIECE_BYTES
    assert piece_size.bit_count() == 1
    assert piece_size == MAX_PIECE_BYTES or piece_count_for(size) <= 1024
    assert piece_size == MIN_PIECE_BYTES or (piece_size // 2) * 1024 < size
    assert 0 <= piece_count_for(size) * piece_size - size < piece_size


@given(st.integers(0, 1 << 36), st.data())
def test_spans_cover_the_file(size: int, data: st.DataObject) -> None:
    count = piece_count_for(size)
    manifest = Manifest(size, piece_size_for(size), bytes(32), bytes(32 * count))
    if count == 0:
        return
    piece = data.draw(st.integers(0, count - 1))
    offset, length = manifest.span(piece)
    assert offset == piece * manifest.piece_size
    assert length == (manifest.piece_size if piece < count - 1 else size - offset)
    assert length > 0


@given(st.binary(max_size=2000))
def test_a_manifest_decodes_to_itself(data: bytes) -> None:
    manifest = manifest_of(data)
    encoded = manifest.encode()
    assert decode_manifest(encoded, manifest.file_id) == manifest
    assert len(encoded) == max_manifest_bytes(len(data))


@given(st.integers(0, 87), st.integers(1, 255))
def test_no_byte_can_be_changed(at: int, change: int) -> None:
    manifest = manifest_of(b"some bytes")
    encoded = bytearray(manifest.encode())
    encoded[at] ^= change
    with pytest.raises(BadManifest):
        decode_manifest(bytes(encoded), manifest.file_id)


@given(st.binary(max_size=200))
def test_any_bytes_under_their_own_hash_are_refused_or_right(encoded: bytes) -> None:
    file_id = blake3(encoded).digest()
    try:
        assert decode_manifest(encoded, file_id).encode() == encoded
    except BadManifest:
        pass


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": MAX_FILE_BYTES + 1},
        {"size": 11 + 256 * KIB},
        {"piece_size": 512 * KIB},
        {"piece_size": 0},
        {"piece_hashes": b""},
        {"piece_hashes": bytes(64)},
        {"piece_hashes": bytes(31)},
    ],
)
def test_a_manifest_that_hashes_right_and_is_wrong_is_refused(wrong: dict[str, int]) -> None:
    manifest = replace(manifest_of(b"some bytes!"), **wrong)  # type: ignore[arg-type]  # fields of several types
    with pytest.raises(BadManifest):
        decode_manifest(manifest.encode(), manifest.file_id)


def test_another_version_is_refused() -> None:
    encoded = b"P2PFILE\x02" + manifest_of(b"x").encode()[8:]
    with pytest.raises(BadManifest, match="version"):
        decode_manifest(encoded, blake3(encoded).digest())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 3 * MIN_PIECE_BYTES), st.sampled_from([MIN_PIECE_BYTES, MAX_PIECE_BYTES]))
def test_hashing_does_not_depend_on_the_buffer(size: int, buffer_bytes: int) -> None:
    data = content(size)
    manifest = manifest_of(data, buffer_bytes)
    assert manifest.encode() == _encoded_by_hand(data, MIN_PIECE_BYTES)
    for piece in range(manifest.piece_count):
        offset, length = manifest.span(piece)
        assert manifest.piece_hash(piece) == blake3(data[offset : offset + length]).digest()


@pytest.mark.parametrize(("really", "word"), [(9, "shrank"), (11, "grew"), (0, "shrank")])
def test_a_file_of_another_length_is_refused(really: int, word: str) -> None:
    with tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), really)
        with pytest.raises(BadManifest, match=word):
            hash_file(file.fileno(), 10, bytearray(MIN_PIECE_BYTES))


def test_hashing_stops_between_pieces() -> None:
    with tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), 10 * MIN_PIECE_BYTES)
        asked = iter([False, False, True])
        with pytest.raises(BadManifest, match="stopped"):
            hash_file(file.fileno(), 10 * MIN_PIECE_BYTES, bytearray(MIN_PIECE_BYTES), lambda: next(asked))
        assert next(asked, None) is None
