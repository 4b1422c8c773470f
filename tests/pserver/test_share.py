"""The share: its index and its files together."""

import hashlib
import os
import unicodedata
from dataclasses import replace

import pytest

from pserver.disk.share import Share, file_stamp
from pserver.model import Conflict, NotFound
from tests.pserver.share_lab import add, manifest, row_only, share_fixture, write  # noqa: F401

NFC, NFD = "café", unicodedata.normalize("NFD", "café")


def test_a_file_is_found_in_every_way(share: Share) -> None:
    file = add(share, "docs/a.txt", b"content")
    assert share.by_name("docs/a.txt") == file
    assert share.by_file_id(manifest(b"content").file_id) == file
    assert share.by_sha256(hashlib.sha256(b"content").digest()) == file
    assert share.manifest(file.file_id) == manifest(b"content")
    assert share.known() == {b"docs/a.txt": file_stamp(file)}
    assert share.totals() == (1, 7)
    assert share.by_name("docs") is None
    assert share.by_file_id(bytes(32)) is None
    assert share.by_sha256(bytes(32)) is None
    assert share.manifest(bytes(32)) is None


def test_an_unchecked_sha256_is_not_trusted(share: Share) -> None:
    file = add(share, "a", b"content", checked=False)
    assert share.by_sha256(file.sha256) is None
    assert share.unchecked(10) == [file]
    share.mark_sha256_checked(file.file_id, ok=True)
    found = share.by_sha256(file.sha256)
    assert found == replace(file, sha256_checked=True, sequence=file.sequence + 1)
    assert share.unchecked(10) == []


def test_a_wrong_sha256_drops_the_file_and_has_it_looked_at(share: Share) -> None:
    suspects: list[bytes] = []
    share.on_suspect(suspects.append)
    file = add(share, "a", b"content", checked=False)
    share.mark_sha256_checked(file.file_id, ok=False)
    assert share.by_name("a") is None
    assert suspects == [b"a"]


def test_of_several_names_one_that_is_still_right_is_given(share: Share) -> None:
    for name in ("a", "b", "c"):
        add(share, name, b"same")
    (share.folder.path / "a").unlink()
    write(share, "b", b"other")
    found = share.by_file_id(manifest(b"same").file_id)
    assert found is not None
    assert found.name == "c"
    by_sha256 = share.by_sha256(hashlib.sha256(b"same").digest())
    assert by_sha256 == found


def test_a_manifest_stays_as_long_as_one_name_needs_it(share: Share) -> None:
    file_id = add(share, "a", b"same").file_id
    add(share, "b", b"same")
    share.forget(["a"])
    assert share.manifest(file_id) is not None
    add(share, "b", b"other")
    assert share.manifest(file_id) is None
    with share._database.reading() as db:
        assert db.execute("SELECT count(*) FROM manifests").fetchone() == (1,)


# Names that are the same in NFC


def test_the_second_of_two_names_is_refused_while_the_first_is_there(share: Share) -> None:
    write(share, NFD)
    first, second = row_only(NFC, raw_name=NFD.encode()), row_only(NFC)
    assert share.put_many([first]) == []
    assert share.put_many([second]) == [second]
    with pytest.raises(Conflict):
        share.put(NFC, NFC.encode(), (1, 1, 1, 1), manifest(b"x"), True)
    found = share.by_name(NFC)
    assert found is not None
    assert found.raw_name == NFD.encode()
    (share.folder.path / NFD).unlink()
    assert share.put_many([second]) == []


# Files


def test_an_opened_file_is_a_file_and_knows_when_it_changed(share: Share) -> None:
    file = add(share, "a", b"content")
    with share.open(file) as opened:
        opened.seek(3)
        assert (opened.tell(), opened.read(2), opened.read()) == (3, b"te", b"nt")
        assert os.fstat(opened.fileno()).st_size == 7
        assert opened.still_same()
        before = (share.folder.path / "a").stat()
        (share.folder.path / "a").write_bytes(b"CONTENT")
        os.utime(share.folder.path / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
        assert not opened.still_same()


@pytest.mark.parametrize("change", [b"CONTENT", b"con", b""])
def test_a_changed_file_is_not_opened_and_is_looked_at(share: Share, change: bytes) -> None:
    suspects: list[bytes] = []
    share.on_suspect(suspects.append)
    file = add(share, "a", b"content")
    before = (share.folder.path / "a").stat()
    (share.folder.path / "a").write_bytes(change)
    os.utime(share.folder.path / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(Conflict) as raised:
        share.open(file)
    assert raised.value.code == "changed"
    (share.folder.path / "a").unlink()
    with pytest.raises(NotFound):
        share.open(file)
    assert suspects == [b"a", b"a"]


def test_adopting_a_placed_file(share: Share) -> None:
    (share.folder.path / ".p2p-partial" / "part").write_bytes(b"content")
    name = share.folder.place("part", f"docs/{NFC}.txt")
    file = share.adopt(name, manifest(b"content"), sha256_checked=False)
    assert (file.name, file.sha256_checked, file.file_id) == (name, False, manifest(b"content").file_id)
    with share.open(file) as opened:
        assert opened.read() == b"content"
    with pytest.raises(NotFound):
        share.adopt("missing", manifest(b"content"), True)
    with pytest.raises(Conflict):
        share.adopt(name, manifest(b"longer content"), True)


def test_adopting_into_a_folder_of_another_unicode_form(share: Share) -> None:
    (share.folder.path / NFD).mkdir()
    (share.folder.path / ".p2p-partial" / "part").write_bytes(b"content")
    file = share.adopt(share.folder.place("part", f"{NFC}/a"), manifest(b"content"), True)
    assert (file.name, file.raw_name) == (f"{NFC}/a", f"{NFD}/a".encode())


def test_rows_written_since_are_not_forgotten(share: Share) -> None:
    old = share.known() | {b"a": file_stamp(add(share, "a", b"old"))}
    add(share, "a", b"newer")
    share.forget_vanished(old)
    assert share.by_name("a") is not None
    share.forget_vanished(share.known())
    assert share.by_name("a") is None
