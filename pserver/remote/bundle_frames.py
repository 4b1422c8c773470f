"""A bundle as it travels: many small files in one answer, each in a frame of its own. Pure.

The frames stand in the order of the ids asked for, one each and nothing between them: a byte that says what became
of the file, a byte 0, the length of the manifest (2 bytes) and of the content (4 bytes), most significant byte first;
then the encoded manifest, then the content. Both are empty unless the file is here. A frame proves itself as any file
does: the id is the hash of the manifest, and the manifest has the hash of the one piece.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from blake3 import blake3

from pserver.model import InvalidRequest
from pserver.pieces import MIN_PIECE_BYTES, BadManifest, Manifest, SmallFile, decode_manifest, max_manifest_bytes

MAX_BUNDLE_FILES = 512
MAX_BUNDLE_BYTES = 4 << 20  # of manifests and contents; one file always fits
STATES = ("here", "gone", "changed", "large", "later")
_HEAD = struct.Struct(">BxHI")
_NUMBERS = {state: number for number, state in enumerate(STATES)}
_MAX_MANIFEST_BYTES = max_manifest_bytes(MIN_PIECE_BYTES)
MAX_ANSWER_BYTES = MAX_BUNDLE_BYTES + MAX_BUNDLE_FILES * _HEAD.size


class BadBundle(ValueError):
    """These bytes are not the bundle that was asked for."""


class ProvedFile(NamedTuple):
    """A small file that proved to be the one of its id: its bytes are those of the manifest."""

    file_id: bytes
    manifest: Manifest
    content: bytes


def frames_of(files: Iterable[SmallFile]) -> Iterator[bytes]:
    """The parts of a bundle, to be sent one after another."""
    for file in files:
        yield _HEAD.pack(_NUMBERS[file.state], len(file.manifest), len(file.content))
        if file.manifest:
            yield file.manifest
            yield file.content


def files_in(received: memoryview, asked: Sequence[bytes]) -> Iterator[SmallFile]:
    """The files in what was received of a bundle of the `asked` ids, as far as their frames are whole.

    Raises BadBundle at the first frame that is not as agreed, and if more follows after the last one. The files are
    not proved yet.
    """
    at = 0
    for file_id in asked:
        if len(received) - at < _HEAD.size:
            return
        state, manifest_bytes, content_bytes = _head(received, at)
        at += _HEAD.size
        end = at + manifest_bytes + content_bytes
        if end > len(received):
            return
        middle = at + manifest_bytes
        yield SmallFile(file_id, state, bytes(received[at:middle]), bytes(received[middle:end]))
        at = end
    if at != len(received):
        raise BadBundle("more follows after the last file of the bundle")


def proved(file: SmallFile) -> ProvedFile:
    """The file, if its manifest is that of its id and its content that of the manifest; else BadBundle."""
    try:
        manifest = decode_manifest(file.manifest, file.file_id)
    except BadManifest as error:
        raise BadBundle(str(error)) from None
    hashes = blake3(file.content).digest() if manifest.size else b""
    if len(file.content) != manifest.size or hashes != manifest.piece_hashes:
        raise BadBundle("the content is not that of the manifest")
    return ProvedFile(file.file_id, manifest, file.content)


def checked_ids(file_ids: object) -> list[bytes]:
    """The ids in a request's JSON. InvalidRequest unless they are 1 to 512 different ids of 64 hex digits each."""
    if not isinstance(file_ids, list) or not 0 < len(file_ids) <= MAX_BUNDLE_FILES:
        raise InvalidRequest(f"file_ids: must be a list of 1 to {MAX_BUNDLE_FILES} file ids")
    try:
        found = [bytes.fromhex(file_id) for file_id in file_ids]
    except (TypeError, ValueError):
        raise InvalidRequest("file_ids: must be 64 lower-case hex digits each") from None
    if any(one.hex() != file_id for one, file_id in zip(found, file_ids, strict=True)) or {*map(len, found)} != {32}:
        raise InvalidRequest("file_ids: must be 64 lower-case hex digits each")
    if len(set(found)) != len(found):
        raise InvalidRequest("file_ids: must be different from each other")
    return found


def _head(received: memoryview, at: int) -> tuple[str, int, int]:
    number, manifest_bytes, content_bytes = _HEAD.unpack_from(received, at)
    if number >= len(STATES):
        raise BadBundle("a frame has a state that there is not")
    here = number == 0
    if here != (manifest_bytes > 0) or manifest_bytes > _MAX_MANIFEST_BYTES:
        raise BadBundle("a frame has no manifest, or one too long")
    if content_bytes > MIN_PIECE_BYTES or (content_bytes and not here):
        raise BadBundle("a frame has more content than it can")
    return STATES[number], manifest_bytes, content_bytes
