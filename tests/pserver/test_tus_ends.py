"""How uploads by tus end: finished ones are soon forgotten, dropped ones give their room back, crashes lose no name."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pserver.api import tus
from pserver.api.tus import FINISHED_SECONDS, LIFETIME_SECONDS, MAX_UPLOADS, TusUploads
from pserver.api.tus_files import DataGone, Record, base_of
from pserver.disk.folder import Folder
from pserver.model import NoRoom, NotFound, Unavailable
from tests.pserver.web_lab import NOW, ClientLab, FakeShareFolder, problem_of

GIB = 1 << 30


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def folder(tmp_path: Path) -> FakeShareFolder:
    return FakeShareFolder(tmp_path)


@pytest.fixture
def uploads(folder: FakeShareFolder) -> TusUploads:
    return TusUploads(folder, lambda _: None)


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path / "share")
    yield made
    made.close()


def _finished(uploads: TusUploads, name: str, now: float = NOW) -> str:
    upload = uploads.create(name, 1, now)
    assert uploads.append(upload.id, 0, b"x", now).final_name is not None
    return upload.id


# ---- how many


def test_finished_uploads_do_not_count_as_open(uploads: TusUploads) -> None:
    for number in range(MAX_UPLOADS + 1):
        assert uploads.create(f"empty-{number}", 0, NOW).final_name is not None
    _finished(uploads, "one more")


def test_a_finished_upload_is_remembered_for_minutes(uploads: TusUploads, folder: FakeShareFolder) -> None:
    done = _finished(uploads, "a")
    almost = NOW + FINISHED_SECONDS - 1
    uploads.tick(almost)
    assert uploads.find(done, almost).final_name == "a"
    uploads.tick(NOW + FINISHED_SECONDS)
    assert os.listdir(folder.partial) == [] and (folder.path / "a").exists()
    with pytest.raises(NotFound):
        uploads.find(done, NOW + FINISHED_SECONDS)


def test_of_too_many_finished_the_oldest_are_forgotten(
    uploads: TusUploads, folder: FakeShareFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tus, "MAX_FINISHED", 2)
    still_open = uploads.create("open", 2, NOW)
    done = [_finished(uploads, f"f{number}", NOW + number) for number in range(4)]
    uploads.tick(NOW + 4)
    for gone in done[:2]:
        with pytest.raises(NotFound):
            uploads.find(gone, NOW + 4)
    assert [uploads.find(kept, NOW + 4).final_name for kept in done[2:]] == ["f2", "f3"]
    assert uploads.find(still_open.id, NOW + 4).offset == 0
    assert {path.name for path in folder.path.glob("f*")} == {"f0", "f1", "f2", "f3"}


# ---- room


def test_what_shall_stay_free_stays_free(folder: FakeShareFolder) -> None:
    folder.room = 100
    uploads = TusUploads(folder, lambda _: None, reserve_bytes=30)
    with pytest.raises(NoRoom):
        uploads.create("a", 71, NOW)
    uploads.create("a", 70, NOW)
    folder.room = 10  # less than shall stay free: nothing but an empty file fits
    assert uploads.create("b", 0, NOW).final_name == "b"


def test_no_room_says_how_much_is_promised_in_sizes_for_people(tmp_path: Path) -> None:
    lab = ClientLab(tmp_path)
    lab.folder.room = 10 * GIB
    lab.uploads.create("first", 7 * GIB + GIB // 2, NOW)
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(4 * GIB), "Upload-Metadata": "filename Yg=="}
    said = problem_of(lab.http.post("/client/v1/tus", headers=headers), 507, "no-room")["detail"]
    assert "4.0 GiB" in said and "room for 2.5 GiB" in said and "7.5 GiB are promised" in said


def test_a_dropped_upload_gives_its_room_back_after_an_hour(uploads: TusUploads, folder: FakeShareFolder) -> None:
    folder.room = 100
    dropped = uploads.create("a", 100, NOW)
    uploads.append(dropped.id, 0, b"0", NOW + 60)
    assert LIFETIME_SECONDS <= 3600
    with pytest.raises(NoRoom):
        uploads.create("b", 50, NOW + 60)
    uploads.tick(NOW + 60 + 3600)
    uploads.create("b", 50, NOW + 60 + 3600)


def test_expiries_of_an_older_version_are_cut_short(folder: FakeShareFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tus, "LIFETIME_SECONDS", 24 * 3600)
    upload = TusUploads(folder, lambda _: None).create("a", 5, NOW)
    monkeypatch.undo()
    assert TusUploads(folder, lambda _: None).find(upload.id, NOW).expires == NOW + LIFETIME_SECONDS


# ---- a crash around the moment that gives the final name


@pytest.mark.parametrize("name", ["a", "docs/ä.txt"])
@pytest.mark.parametrize("taken", [False, True])
def test_after_a_crash_between_placing_and_recording_the_name_is_known(share: Folder, name: str, taken: bool) -> None:
    if taken:
        (share.path / name).parent.mkdir(exist_ok=True)
        (share.path / name).write_bytes(b"another")

    def die(_: str) -> None:
        raise Killed

    uploads = TusUploads(share, die)
    upload = uploads.create(name, 4, NOW)
    with pytest.raises(Killed):
        uploads.append(upload.id, 0, b"0123", NOW)
    revived = TusUploads(share, lambda _: None)
    found = revived.find(upload.id, NOW + 1)
    assert found.offset == 4 and found.final_name is not None and (found.final_name != name) == taken
    assert (share.path / found.final_name).read_bytes() == b"0123"
    revived.tick(NOW + 1)  # from now on it is recorded, and also known where the file is gone again
    (share.path / found.final_name).unlink()
    assert TusUploads(share, lambda _: None).find(upload.id, NOW + 2).final_name == found.final_name


def test_a_crash_before_the_placing_places_it_later(share: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> str:
        raise Killed

    uploads = TusUploads(share, lambda _: None)
    upload = uploads.create("a", 4, NOW)
    with monkeypatch.context() as patched:
        patched.setattr(share, "place", die)
        with pytest.raises(Killed):
            uploads.append(upload.id, 0, b"0123", NOW)
    committed: list[str] = []
    revived = TusUploads(share, committed.append)
    found = revived.find(upload.id, NOW + 1)
    assert (found.offset, found.final_name) == (4, None)
    revived.tick(NOW + 1)
    assert revived.find(upload.id, NOW + 1).final_name == "a" and committed == ["a"]


def test_after_a_crash_a_stranger_with_the_same_inode_is_not_taken_for_the_file(share: Folder) -> None:
    uploads = TusUploads(share, lambda _: None)
    upload = uploads.create("a", 4, NOW)
    uploads.append(upload.id, 0, b"0123", NOW)
    (share.path / "a").write_bytes(b"other content")
    with pytest.raises(NotFound):
        TusUploads(share, lambda _: None).find(upload.id, NOW + 1)
    assert os.listdir(share.path / ".p2p-partial") == [] and (share.path / "a").read_bytes() == b"other content"


def test_a_crash_that_left_the_file_with_both_names_leaves_one(share: Folder) -> None:
    """As where the file system can only link and unlink."""
    uploads = TusUploads(share, lambda _: None)
    upload = uploads.create("a", 4, NOW)
    uploads.append(upload.id, 0, b"0123", NOW)
    os.link(share.path / "a", share.path / ".p2p-partial" / base_of(upload.id))
    revived = TusUploads(share, lambda _: None)
    revived.tick(NOW + 1)
    assert revived.find(upload.id, NOW + 1).final_name == "a"
    assert sorted(os.listdir(share.path)) == [".p2p-partial", ".p2p-share-id", "a"]
    assert not (share.path / ".p2p-partial" / base_of(upload.id)).exists()


def test_the_record_is_on_the_disk_before_the_name_is_given(share: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    uploads = TusUploads(share, lambda _: calls.append("committed"))
    save, place = uploads._files.save, share.place

    def noted_save(key: str, record: Record) -> None:
        calls.append("save" if record.inode is None else "save with inode")
        save(key, record)

    def noted_place(base: str, name: str) -> str:
        calls.append("place")
        return place(base, name)

    upload = uploads.create("a", 1, NOW)
    monkeypatch.setattr(uploads._files, "save", noted_save)
    monkeypatch.setattr(share, "place", noted_place)
    uploads.append(upload.id, 0, b"x", NOW)
    uploads.tick(NOW + 1)
    uploads.tick(NOW + 2)
    assert calls == ["save with inode", "place", "committed", "save"]


# ---- the folder of partials is deleted in the middle


def test_with_its_bytes_deleted_an_upload_ends_and_others_begin(share: Folder) -> None:
    uploads = TusUploads(share, lambda _: None)
    lost = [uploads.create(name, 4, NOW) for name in ("a", "b")]
    uploads.append(lost[1].id, 0, b"01", NOW)
    shutil.rmtree(share.path / ".p2p-partial")
    with pytest.raises(DataGone, match="send it again"):
        uploads.append(lost[0].id, 0, b"01", NOW)
    uploads.tick(NOW + 3)
    for gone in lost:
        with pytest.raises(NotFound):
            uploads.find(gone.id, NOW + 3)
    _finished(uploads, "c", NOW + 3)
    assert (share.path / "c").read_bytes() == b"x"


def test_a_share_that_is_away_makes_no_upload_forgotten(share: Folder) -> None:
    uploads = TusUploads(share, lambda _: None)
    upload = uploads.create("a", 4, NOW)
    share.path.rename(share.path.with_name("elsewhere"))
    with pytest.raises(Unavailable):
        share.refresh()
    with pytest.raises(Unavailable):
        uploads.append(upload.id, 0, b"01", NOW)
    share.path.with_name("elsewhere").rename(share.path)
    share.refresh()
    assert uploads.append(upload.id, 0, b"0123", NOW).final_name == "a"
