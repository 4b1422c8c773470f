"""Bundles as they travel: what is whole and true is found in them, and nothing else is believed."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pserver.model import InvalidRequest
from pserver.pieces import MIN_PIECE_BYTES, SmallFile
from pserver.remote.bundle_frames import (
    MAX_BUNDLE_FILES,
    STATES,
    BadBundle,
    checked_ids,
    files_in,
    frames_of,
    proved,
)
from tests.pserver.fake_source import manifest_of


def small(content: bytes) -> SmallFile:
    manifest = manifest_of(content)
    return SmallFile(manifest.file_id, "here", manifest.encode(), content)


def lacking(number: int, state: str) -> SmallFile:
    return SmallFile(bytes([number]) * 32, state)


def bundle(files: list[SmallFile]) -> tuple[memoryview, list[bytes]]:
    return memoryview(b"".join(frames_of(files))), [file.file_id for file in files]


FILES = [small(b""), lacking(1, "gone"), small(b"a" * 300), lacking(2, "changed"), lacking(3, "large"), small(b"b")]


def test_what_is_packed_is_found_again() -> None:
    received, ids = bundle([*FILES, lacking(4, "later")])
    assert list(files_in(received, ids)) == [*FILES, lacking(4, "later")]


@given(st.integers(0, 600))
def test_of_a_bundle_that_ends_early_the_whole_files_are_found(length: int) -> None:
    received, ids = bundle(FILES)
    found = list(files_in(received[:length], ids))
    assert found == FILES[: len(found)]
    assert len(b"".join(frames_of(found))) <= length
    if len(found) < len(FILES):
        assert len(b"".join(frames_of(FILES[: len(found) + 1]))) > min(length, len(received))


@given(st.binary(max_size=400))
def test_garbage_is_no_bundle_or_ends_somewhere(garbage: bytes) -> None:
    try:
        files = list(files_in(memoryview(garbage), [b"1" * 32, b"2" * 32]))
    except BadBundle:
        return
    for file in files:
        if file.state == "here":
            with pytest.raises(BadBundle):
                proved(file)


def frame(state: int, manifest_bytes: int, content: bytes = b"", manifest: bytes | None = None) -> bytes:
    manifest = b"m" * min(manifest_bytes, 200) if manifest is None else manifest
    return struct.pack(">BxHI", state, manifest_bytes, len(content)) + manifest + content


@pytest.mark.parametrize(
    "wrong",
    [
        frame(len(STATES), 0),
        frame(255, 88, b"x"),
        frame(0, 0),
        frame(0, 0, b"x"),
        frame(0, 89),
        frame(0, 0xFFFF),
        frame(1, 88),
        frame(1, 0, b"x"),
        frame(4, 0, b"x"),
        struct.pack(">BxHI", 0, 88, MIN_PIECE_BYTES + 1),
        struct.pack(">BxHI", 0, 88, 0xFFFFFFFF),
    ],
)
def test_a_frame_that_no_honest_peer_makes_is_refused(wrong: bytes) -> None:
    good, ids = bundle([small(b"good")])
    found = []
    with pytest.raises(BadBundle):
        for file in files_in(memoryview(bytes(good) + wrong), [*ids, b"x" * 32]):
            found.append(file)
    assert found == [small(b"good")], "what came before it is not lost"


def test_more_than_was_asked_for_is_refused() -> None:
    received, ids = bundle(FILES)
    with pytest.raises(BadBundle):
        list(files_in(received, ids[:-1]))
    with pytest.raises(BadBundle):
        list(files_in(memoryview(bytes(received) + b"\0"), ids))


@pytest.mark.parametrize("content", [b"", b"x", b"y" * MIN_PIECE_BYTES])
def test_a_file_proves_itself(content: bytes) -> None:
    file = small(content)
    found = proved(file)
    assert (found.file_id, found.content, found.manifest) == (file.file_id, content, manifest_of(content))


def test_no_other_bytes_prove_to_be_the_file() -> None:
    one, other = small(b"one"), small(b"two")
    swapped = SmallFile(one.file_id, "here", other.manifest, other.content)
    mixed = SmallFile(one.file_id, "here", one.manifest, other.content)
    longer = SmallFile(one.file_id, "here", one.manifest, b"one ")
    filled = SmallFile(small(b"").file_id, "here", small(b"").manifest, b"x")
    flipped = SmallFile(one.file_id, "here", one.manifest[:-1] + b"\0", b"one")
    for wrong in (swapped, mixed, longer, filled, flipped):
        with pytest.raises(BadBundle):
            proved(wrong)


def test_a_file_of_several_pieces_is_no_small_one() -> None:
    content = bytes(MIN_PIECE_BYTES + 1)
    manifest = manifest_of(content)
    with pytest.raises(BadBundle):
        proved(SmallFile(manifest.file_id, "here", manifest.encode(), content))


def test_ids_that_are_asked_for_are_checked() -> None:
    ids = [bytes([number // 256, number % 256]) * 16 for number in range(MAX_BUNDLE_FILES)]
    assert checked_ids([one.hex() for one in ids]) == ids
    for wrong in ([*(one.hex() for one in ids), "00" * 32], ["00" * 31 + " 0"], ["00" * 32, "00" * 32], ["AA" * 32]):
        with pytest.raises(InvalidRequest):
            checked_ids(wrong)
