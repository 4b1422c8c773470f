"""What tools other than ours know a file by: SHA-1 and SHA-256 of its pieces. Values only, no I/O.

Metalink (RFC 5854) and BitTorrent (BEP 3) know no BLAKE3. Their piece hashes are not announced and not kept with the
index, since most files are never asked for in that way: they are made when somebody asks (disk/digesting.py).
"""

import struct
from dataclasses import dataclass

from blake3 import blake3

SHA1_BYTES, SHA256_BYTES = 20, 32
MIN_PIECE_BYTES = 256 * 1024
MAX_PIECE_BYTES = 64 * 1024 * 1024  # the largest that BitTorrent clients commonly take
_PIECES_WANTED = 2048  # a .meta4 of 160 KB, a .torrent of 40 KB
_CHECK_BYTES = 32
_HEADER = struct.Struct(">8sQQ32s")  # magic and version, size, piece size, sha256
_MAGIC = b"P2PDIGS\x01"


class BadDigests(ValueError):
    """These bytes are not the digests of a file, or not of that size."""


@dataclass(frozen=True, slots=True)
class Digests:
    """The digests of a file of `size` bytes, computed from its bytes: of all of it, and of each piece in order."""

    size: int
    piece_size: int
    sha256: bytes
    sha1_pieces: bytes
    sha256_pieces: bytes

    def encode(self) -> bytes:
        """As they are kept and sent: with a checksum at the end, so that half of it is never taken for all."""
        header = _HEADER.pack(_MAGIC, self.size, self.piece_size, self.sha256)
        body = header + self.sha1_pieces + self.sha256_pieces
        return body + blake3(body).digest()


@dataclass(frozen=True, slots=True)
class Making:
    """Digests that are being made: how many of the file's bytes have been read."""

    bytes_done: int
    size: int


@dataclass(frozen=True, slots=True)
class Offered:
    """A file and who serves all of it: the bases of their peer APIs, the asked peer's own first if it is one."""

    name: str
    file_id: bytes
    size: int
    holders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LinkView:
    """A link to a file: its token, and when it ends (Unix time)."""

    offered: Offered
    token: str
    expires: float


def digest_piece_size(file_bytes: int) -> int:
    """The piece size in documents: the least power of two in 256 KiB..64 MiB giving at most 2,048 pieces."""
    piece_bytes = MIN_PIECE_BYTES
    while piece_bytes < MAX_PIECE_BYTES and piece_bytes * _PIECES_WANTED < file_bytes:
        piece_bytes *= 2
    return piece_bytes


def encoded_bytes(file_bytes: int) -> int:
    """How long the encoded digests of a file of that size are."""
    pieces = -(-file_bytes // digest_piece_size(file_bytes))
    return _HEADER.size + pieces * (SHA1_BYTES + SHA256_BYTES) + _CHECK_BYTES


def decode_digests(encoded: bytes, file_bytes: int) -> Digests:
    """The digests in `encoded`, of a file of that size; else BadDigests. Nothing here proves them right."""
    body, check = encoded[:-_CHECK_BYTES], encoded[-_CHECK_BYTES:]
    if len(encoded) != encoded_bytes(file_bytes) or blake3(body).digest() != check:
        raise BadDigests("these are no digests of a file of that size, or not all of them")
    magic, size, piece_size, sha256 = _HEADER.unpack_from(body)
    if (magic, size, piece_size) != (_MAGIC, file_bytes, digest_piece_size(file_bytes)):
        raise BadDigests("these are the digests of another file, or of another version")
    middle = _HEADER.size + -(-size // piece_size) * SHA1_BYTES
    return Digests(size, piece_size, sha256, body[_HEADER.size : middle], body[middle:])
