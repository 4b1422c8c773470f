"""A share folder, opened below and placed into in both of the ways there are."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

import pserver.disk.folder
import pserver.disk.place
from pserver.disk.folder import Folder
from pserver.disk.kernel import NotSupported

NFD = unicodedata.normalize("NFD", "café")
NFC = unicodedata.normalize("NFC", "café")


@pytest.fixture(name="folder", params=["openat2", "steps"])
def folder_fixture(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """A share folder, opened below in both ways."""
    if request.param == "steps":
        monkeypatch.setattr(pserver.disk.folder, "has_open_beneath", lambda: False)
    made = Folder(tmp_path / "share")
    yield made
    made.close()


@pytest.fixture(name="placing", params=["renameat2", "link"])
def placing_fixture(request: pytest.FixtureRequest, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A share folder, with and without renameat2."""
    if request.param == "link":

        def refuse(*_: object) -> None:
            raise NotSupported

        monkeypatch.setattr(pserver.disk.place, "rename_without_replacing", refuse)
    return folder


def partial(folder: Folder, content: str = "new") -> str:
    (folder.path / ".p2p-partial" / "part").write_text(content)
    return "part"


def place(folder: Folder, name: str, content: str = "new") -> str:
    return folder.place(partial(folder, content), name)


def read(folder: Folder, raw_name: bytes) -> bytes:
    with open(folder.open_read(raw_name), "rb") as file:
        return file.read()
