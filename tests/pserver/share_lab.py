"""A share with its index, and what tests put into it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from pserver.disk.folder import Folder, Stamp, stamp_of
from pserver.disk.rows import Indexed
from pserver.disk.share import Share
from pserver.model import SharedFile
from pserver.pieces import Manifest


@pytest.fixture(name="share")
def share_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Share]:
    monkeypatch.setattr("pserver.database._SYNCHRONOUS", "OFF")  # no test here cuts the power
    made = open_share(tmp_path)
    yield made
    made.close()
    made.folder.close()


def open_share(base: Path, reach: int = 1000) -> Share:
    return Share(base / "share.sqlite", Folder(base / "share"), reach)


def manifest(content: bytes) -> Manifest:
    pieces = blake3(content).digest() if content else b""
    return Manifest(len(content), 256 * 1024, hashlib.sha256(content).digest(), pieces)


def write(share: Share, name: str, content: bytes = b"x") -> Stamp:
    path = share.folder.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return stamp_of(path.stat())


def add(share: Share, name: str, content: bytes = b"x", checked: bool = True) -> SharedFile:
    share.put(name, name.encode(), write(share, name, content), manifest(content), checked)
    row = share.by_name(name)
    assert row is not None
    return row


def row_only(name: str, content: bytes = b"x", raw_name: bytes | None = None) -> Indexed:
    return Indexed(
        name, name.encode() if raw_name is None else raw_name, (len(content), 1, 2, 3), manifest(content), True
    )
