"""Pieces and manifests: how the bytes of a file are named and checked. Pure but for `hash_file`'s reads.

A file is cut into pieces of one size (the last may be shorter). `piece hash = BLAKE3(piece)`; the manifest lists
them with the file's size and sha256; `file id = BLAKE3(manifest, encoded)`. So the id commits to the piece list
and the piece list to the bytes, and a manifest from a stranger proves itself.
"""

import hashlib
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from blake3 import blake3

HASH_BYTES = 32
MIN_PIECE_BYTES = 256 * 1024
MAX_PIECE_BYTES = 16 * 1024 * 1024
MAX_PIECES_WANTED = 1024
MAX_FILE_BYTES = 1 << 44  # 16 TiB: a manifest of 32 MiB
_VERSION = 1
_HEADER = struct.Struct(">8sQQ32s")  # magic and version, size, piece size, sha256
_MAGIC = b"P2PFILE" + bytes([_VERSION])


class BadManifest(ValueError):
    """These bytes are not a manifest, or not the one that was asked for."""


def piece_size_for(file_bytes: int) -> int:
    """The piece size of a file of that size: the least power of two in 256 KiB..16 MiB giving ≤ 1,024 pieces."""
    piece_bytes = MIN_PIECE_BYTES
    while piece_bytes < MAX_PIECE_BYTES and piece_bytes * MAX_PIECES_WANTED < file_bytes:
        piece_bytes *= 2
    return piece_bytes


def piece_count_for(file_bytes: int) -> int:
    """How many pieces a file of that size has; an empty file has none."""
    return -(-file_bytes // piece_size_for(file_bytes))


@dataclass(frozen=True)
class Manifest:
    """What proves a file's bytes. `piece_hashes`: 32 bytes a piece, one after another."""

    size: int
    piece_size: int
    sha256: bytes
    piece_hashes: bytes

    @property
    def piece_count(self) -> int:
        """The number of pieces; 0 for an empty file."""
        return len(self.piece_hashes) // HASH_BYTES

    def piece_hash(self, piece: int) -> bytes:
        """The BLAKE3 hash (32 bytes) of that piece."""
        return self.piece_hashes[piece * HASH_BYTES : (piece + 1) * HASH_BYTES]

    def span(self, piece: int) -> tuple[int, int]:
        """Where the piece lies: (offset, length) in bytes."""
        offset = piece * self.piece_size
        return offset, min(self.piece_size, self.size - offset)

    def encode(self) -> bytes:
        """The canonical bytes: what is hashed, stored and sent."""
        return _HEADER.pack(_MAGIC, self.size, self.piece_size, self.sha256) + self.piece_hashes

    @cached_property
    def file_id(self) -> bytes:
        """BLAKE3 of the encoding, 32 bytes."""
        return blake3(self.encode()).digest()


@dataclass(frozen=True, slots=True)
class Want:
    """Pieces of which another peer may choose up to `most` in a row to send, and those that the asker has, if it says.

    Both packed (bit 7 of byte 0 first). `choices` begins with piece `first`, a multiple of 8.
    """

    first: int
    choices: bytes
    most: int = 1
    has: bytes | None = None


@dataclass(frozen=True, slots=True)
class SmallFile:
    """A file of at most one piece, as one of several that are read or sent together.

    `state`: here, gone, changed, large (it has more than one piece) or later (the answer was full before it). The
    encoded `manifest` and the `content` are empty unless it is here.
    """

    file_id: bytes
    state: str
    manifest: bytes = b""
    content: bytes = b""


def decode_manifest(encoded: bytes, file_id: bytes) -> Manifest:
    """The manifest in `encoded`, proved to be the one of `file_id`; else BadManifest."""
    if blake3(encoded).digest() != file_id:
        raise BadManifest("the manifest is not that of the file asked for")
    if len(encoded) < _HEADER.size:
        raise BadManifest("the manifest is too short")
    magic, size, piece_size, sha256 = _HEADER.unpack_from(encoded)
    piece_hashes = encoded[_HEADER.size :]
    if magic != _MAGIC:
        raise BadManifest("the manifest is of a version that this peer does not know")
    if size > MAX_FILE_BYTES or piece_size != piece_size_for(size):
        raise BadManifest("the manifest's sizes are not allowed")
    if len(piece_hashes) != piece_count_for(size) * HASH_BYTES:
        raise BadManifest("the manifest has the wrong number of pieces")
    manifest = Manifest(size, piece_size, sha256, piece_hashes)
    vars(manifest)["file_id"] = file_id  # just proved: need not be hashed again
    return manifest


def max_manifest_bytes(file_bytes: int) -> int:
    """How long the encoded manifest of a file of that size is."""
    return _HEADER.size + piece_count_for(file_bytes) * HASH_BYTES


def hash_file(fd: int, size: int, buffer: bytearray, stopped: Callable[[], bool] = lambda: False) -> Manifest:
    """Read `size` bytes of `fd` from its start and make their manifest.

    `buffer` is scratch space of at least one piece (MAX_PIECE_BYTES serves every file). Raises BadManifest if
    the file is shorter or longer than `size` (it changed), or when `stopped` says so between pieces.
    """
    piece_size = piece_size_for(size)
    whole, hashes, offset = hashlib.sha256(), bytearray(), 0
    view = memoryview(buffer)
    while offset < size:
        if stopped():
            raise BadManifest("hashing was stopped")
        piece = view[: min(piece_size, size - offset)]
        read_exactly(fd, offset, piece)
        hashes += blake3(piece).digest()
        whole.update(piece)
        offset += len(piece)
    if os.pread(fd, 1, size):
        raise BadManifest("the file grew while it was read")
    return Manifest(size, piece_size, whole.digest(), bytes(hashes))


def read_exactly(fd: int, offset: int, into: memoryview) -> None:
    """Fill `into` from `fd` at `offset`; BadManifest if the file ends before that."""
    done = 0
    while done < len(into):
        count = os.preadv(fd, [into[done:]], offset + done)
        if count == 0:
            raise BadManifest("the file shrank while it was read")
        done += count
