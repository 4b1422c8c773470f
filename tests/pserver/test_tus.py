"""The rules of uploads by tus, over real files in a temporary folder; and the same over HTTP."""

import base64
import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.http import parse_date
from werkzeug.test import TestResponse

from protos.names import InvalidName
from pserver.api import tus
from pserver.api.tus import (
    LIFETIME_SECONDS,
    Locked,
    TooLarge,
    TusUploads,
    WrongChecksum,
)
from pserver.api.tus_api import MAX_PATCH_BYTES
from pserver.api.tus_files import Record, base_of
from pserver.api.tus_headers import parse_checksum, parse_metadata
from pserver.disk.folder import Folder
from pserver.model import Conflict, InvalidRequest, NoRoom, NotFound, Unavailable
from pserver.pieces import MAX_FILE_BYTES
from tests.pserver.web_lab import NOW, ClientLab, FakeShareFolder, problem_of


@pytest.fixture
def folder(tmp_path: Path) -> FakeShareFolder:
    return FakeShareFolder(tmp_path)


@pytest.fixture
def committed() -> list[str]:
    return []


@pytest.fixture
def uploads(folder: FakeShareFolder, committed: list[str]) -> TusUploads:
    return TusUploads(folder, committed.append)


def _left(folder: FakeShareFolder) -> list[str]:
    return sorted(os.listdir(folder.partial))


def test_the_bytes_arrive_in_pieces_and_become_a_file(
    uploads: TusUploads, folder: FakeShareFolder, committed: list[str]
) -> None:
    upload = uploads.create("docs/a", 10, NOW)
    assert uploads.append(upload.id, 0, b"0123", NOW).offset == 4
    assert not committed and not (folder.path / "docs").exists()
    done = uploads.append(upload.id, 4, b"456789", NOW + 1)
    assert (done.offset, done.final_name) == (10, "docs/a")
    assert (folder.path / "docs/a").read_bytes() == b"0123456789" and committed == ["docs/a"]
    assert uploads.find(upload.id, NOW + 2).final_name == "docs/a"
    assert uploads.append(upload.id, 10, b"", NOW + 2).final_name == "docs/a" and committed == ["docs/a"]


def test_a_taken_name_is_not_replaced(uploads: TusUploads, folder: FakeShareFolder, committed: list[str]) -> None:
    (folder.path / "a").write_bytes(b"old")
    upload = uploads.create("a", 3, NOW)
    assert uploads.append(upload.id, 0, b"new", NOW).final_name == "a (2)"
    assert (folder.path / "a").read_bytes() == b"old" and committed == ["a (2)"]


def test_an_empty_file_is_there_at_once(uploads: TusUploads, folder: FakeShareFolder, committed: list[str]) -> None:
    assert uploads.create("empty", 0, NOW).final_name == "empty"
    assert (folder.path / "empty").read_bytes() == b"" and committed == ["empty"]


@pytest.mark.parametrize("name", ["", "/a", "../a", "a\0b", ".hidden", "x" * 256, "e\u0301"])
def test_a_name_that_cannot_be_one_creates_nothing(uploads: TusUploads, folder: FakeShareFolder, name: str) -> None:
    with pytest.raises(InvalidName):
        uploads.create(name, 1, NOW)
    assert _left(folder) == []


def test_room_is_promised_to_open_uploads(uploads: TusUploads, folder: FakeShareFolder) -> None:
    folder.room = 100
    first = uploads.create("a", 60, NOW)
    with pytest.raises(NoRoom):
        uploads.create("b", 41, NOW)
    uploads.create("b", 40, NOW)
    folder.room = 70  # 30 bytes of the first are on the disk now
    uploads.append(first.id, 0, bytes(30), NOW)
    with pytest.raises(NoRoom):
        uploads.create("c", 1, NOW)
    uploads.terminate(first.id, NOW)
    uploads.create("c", 30, NOW)
    with pytest.raises(TooLarge):
        uploads.create("d", MAX_FILE_BYTES + 1, NOW)


def test_there_are_only_so_many_uploads(uploads: TusUploads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tus, "MAX_UPLOADS", 2)
    uploads.create("a", 1, NOW), uploads.create("b", 1, NOW)
    with pytest.raises(Unavailable):
        uploads.create("c", 1, NOW)


def test_a_wrong_offset_and_too_many_bytes_change_nothing(uploads: TusUploads) -> None:
    upload = uploads.create("a", 4, NOW)
    uploads.append(upload.id, 0, b"01", NOW)
    for offset in (0, 1, 3, 4):
        with pytest.raises(Conflict) as caught:
            uploads.append(upload.id, offset, b"x", NOW)
        assert caught.value.code == "offset"
    with pytest.raises(TooLarge):
        uploads.append(upload.id, 2, b"234", NOW)
    assert uploads.find(upload.id, NOW).offset == 2


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_wrong_checksum_keeps_nothing(uploads: TusUploads, folder: FakeShareFolder, algorithm: str) -> None:
    upload = uploads.create("a", 4, NOW)
    digest = hashlib.new(algorithm, b"good").digest()
    with pytest.raises(WrongChecksum):
        uploads.append(upload.id, 0, b"evil", NOW, (algorithm, digest))
    assert uploads.find(upload.id, NOW).offset == 0
    assert (folder.partial / base_of(upload.id)).read_bytes() == b""
    assert uploads.append(upload.id, 0, b"good", NOW, (algorithm, digest)).final_name == "a"


def test_one_append_at_a_time(uploads: TusUploads, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = uploads.create("a", 2, NOW)
    seen: list[type[Exception]] = []

    def meanwhile(*_: object) -> None:
        for attempt in (lambda: uploads.append(upload.id, 0, b"x", NOW), lambda: uploads.terminate(upload.id, NOW)):
            with pytest.raises(Locked) as caught:
                attempt()
            seen.append(caught.type)
        uploads.tick(NOW + LIFETIME_SECONDS * 2)  # passes over an upload that is being worked on
        assert uploads.find(upload.id, NOW).offset == 0

    monkeypatch.setattr(uploads._files, "write", meanwhile)
    assert uploads.append(upload.id, 0, b"x", NOW).offset == 1
    assert seen == [Locked, Locked]


def test_termination(uploads: TusUploads, folder: FakeShareFolder) -> None:
    upload = uploads.create("a", 4, NOW)
    uploads.append(upload.id, 0, b"01", NOW)
    uploads.terminate(upload.id, NOW)
    assert _left(folder) == []
    for call in (lambda: uploads.find(upload.id, NOW), lambda: uploads.terminate(upload.id, NOW)):
        with pytest.raises(NotFound):
            call()
    done = uploads.create("b", 1, NOW)
    uploads.append(done.id, 0, b"x", NOW)
    uploads.terminate(done.id, NOW)
    assert (folder.path / "b").read_bytes() == b"x" and _left(folder) == []


def test_expiry_is_a_lifetime_after_the_last_append(uploads: TusUploads, folder: FakeShareFolder) -> None:
    upload = uploads.create("a", 4, NOW)
    assert upload.expires == NOW + LIFETIME_SECONDS
    uploads.append(upload.id, 0, b"0", NOW + 1000)
    late = NOW + LIFETIME_SECONDS + 999
    uploads.tick(late)
    assert uploads.find(upload.id, late).offset == 1
    with pytest.raises(NotFound):  # at once, also before a tick
        uploads.find(upload.id, late + 1)
    uploads.tick(late + 1)
    assert _left(folder) == []


# ---- what a crash leaves: a second TusUploads over the same folder knows only the disk


def _again(folder: FakeShareFolder, committed: list[str]) -> TusUploads:
    return TusUploads(folder, committed.append)


def test_after_a_restart_the_offset_is_what_was_durable(
    uploads: TusUploads, folder: FakeShareFolder, committed: list[str]
) -> None:
    upload = uploads.create("a", 10, NOW, "filename YQ==")
    uploads.append(upload.id, 0, b"0123", NOW + 1)  # within 2 s: written, not yet recorded
    assert _again(folder, committed).find(upload.id, NOW).offset == 0
    uploads.append(upload.id, 4, b"45", NOW + 2.5)
    revived = _again(folder, committed)
    found = revived.find(upload.id, NOW + 3)
    assert (found.offset, found.size, found.name, found.metadata) == (6, 10, "a", "filename YQ==")
    assert found.expires == NOW + 2.5 + LIFETIME_SECONDS
    assert revived.append(upload.id, 6, b"6789", NOW + 3).final_name == "a"
    assert (folder.path / "a").read_bytes() == b"0123456789"
    assert _again(folder, committed).find(upload.id, NOW + 4).final_name == "a"


def test_data_is_synced_before_its_offset_is_recorded_and_at_least_every_so_many_bytes(
    uploads: TusUploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tus, "SYNC_BYTES", 8)
    calls: list[str] = []
    files = uploads._files
    sync, save = files.sync, files.save

    def noted_sync(key: str) -> None:
        calls.append("sync")
        sync(key)

    def noted_save(key: str, record: Record) -> None:
        calls.append(f"save {record.offset}")
        save(key, record)

    monkeypatch.setattr(files, "sync", noted_sync)
    monkeypatch.setattr(files, "save", noted_save)
    upload = uploads.create("a", 100, NOW)
    calls.clear()
    for offset in range(0, 12, 4):
        uploads.append(upload.id, offset, b"1234", NOW)
    assert calls == ["sync", "save 8"]
    uploads.tick(NOW + 1)
    assert calls == ["sync", "save 8"]
    uploads.tick(NOW + 2)
    assert calls == ["sync", "save 8", "sync", "save 12"]
    uploads.tick(NOW + 9)
    assert len(calls) == 4


def test_what_a_crash_left_half_is_cleared_away(folder: FakeShareFolder, committed: list[str]) -> None:
    record = {"name": "a", "size": 5, "metadata": "", "offset": 0, "expires": NOW + 9, "final_name": None}
    (folder.partial / "tus-0.json").write_text(json.dumps(record))  # its data is gone
    (folder.partial / "tus-1").write_bytes(b"data without a record")
    (folder.partial / "tus-2.json").write_text("{half")
    (folder.partial / "tus-2").write_bytes(b"x")
    (folder.partial / "tus-3.json.new").write_text("{")
    (folder.partial / "tus-4.json").write_text(json.dumps({"name": "a"}))
    (folder.partial / "download-5").write_bytes(b"not ours")
    _again(folder, committed).tick(NOW)
    assert _left(folder) == ["download-5"]


def test_a_file_that_could_not_be_placed_is_tried_again(
    uploads: TusUploads, folder: FakeShareFolder, committed: list[str]
) -> None:
    upload = uploads.create("a", 1, NOW)
    folder.place_error = Unavailable("the share is away")
    with pytest.raises(Unavailable):
        uploads.append(upload.id, 0, b"x", NOW)
    assert uploads.find(upload.id, NOW).offset == 1
    uploads.tick(NOW + 1)  # logs, and lives on
    folder.place_error = None
    uploads.tick(NOW + 2)
    assert committed == ["a"] and uploads.find(upload.id, NOW + 2).final_name == "a"


def test_a_full_disk_is_no_room_and_loses_nothing(
    uploads: TusUploads, folder: FakeShareFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = uploads.create("a", 4, NOW)
    uploads.append(upload.id, 0, b"01", NOW)
    real = os.pwrite

    def full(fd: int, data: bytes, offset: int) -> int:
        if offset > 2:
            raise OSError(28, "No space left on device")
        return real(fd, bytes(data)[:1], offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(NoRoom):
        uploads.append(upload.id, 2, b"23", NOW)
    monkeypatch.setattr(os, "pwrite", real)
    assert uploads.find(upload.id, NOW).offset == 2
    uploads.append(upload.id, 2, b"23", NOW)
    assert (folder.path / "a").read_bytes() == b"0123"


def test_while_the_share_is_away_all_is_unavailable_and_comes_back(committed: list[str], tmp_path: Path) -> None:
    class AwayFolder(FakeShareFolder):
        away = True

        @property
        def partial_fd(self) -> int:
            if self.away:
                raise Unavailable("the share folder is away")
            return self.fd

        @partial_fd.setter
        def partial_fd(self, fd: int) -> None:
            self.fd = fd

    folder = AwayFolder(tmp_path)
    uploads = TusUploads(folder, committed.append)
    for call in (lambda: uploads.create("a", 1, NOW), lambda: uploads.find("x", NOW), lambda: uploads.tick(NOW)):
        with pytest.raises(Unavailable):
            call()
    folder.away = False
    assert uploads.create("a", 1, NOW).offset == 0


def test_over_the_real_folder(tmp_path: Path, committed: list[str]) -> None:
    share = tmp_path / "share"
    folder = Folder(share)
    try:
        for expected in ("docs/a.txt", "docs/a (2).txt"):
            uploads = TusUploads(folder, committed.append)
            upload = uploads.create("docs/a.txt", 4, NOW)
            uploads.append(upload.id, 0, b"01", NOW + 3)
            uploads = TusUploads(folder, committed.append)
            assert uploads.append(upload.id, 2, b"23", NOW + 4).final_name == expected
            assert (share / expected).read_bytes() == b"0123"
        uploads.tick(NOW + 4 + LIFETIME_SECONDS)
        assert not os.listdir(share / ".p2p-partial") and len(committed) == 2
    finally:
        folder.close()


@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=60), cuts=st.lists(st.integers(0, 20), max_size=12), crash=st.integers(0, 12))
def test_any_cutting_with_a_crash_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, cuts: list[int], crash: int
) -> None:
    folder, committed = FakeShareFolder(tmp_path_factory.mktemp("share")), list[str]()
    uploads = _again(folder, committed)
    now = NOW
    upload = uploads.create("a", len(data), now)
    for step, length in enumerate([*cuts, len(data)]):
        if step == crash:
            uploads = _again(folder, committed)
        now += step % 3
        offset = uploads.find(upload.id, now).offset
        uploads.append(upload.id, offset, data[offset : offset + length], now)
    rest = uploads.find(upload.id, now).offset
    uploads.append(upload.id, rest, data[rest:], now)
    assert (folder.path / "a").read_bytes() == data and committed == ["a"]
    os.close(folder.partial_fd)


@given(st.text(max_size=40))
def test_any_header_is_read_or_refused(header: str) -> None:
    for parse in (parse_metadata, parse_checksum):
        try:
            parse(header)
        except InvalidRequest as error:
            assert "Upload-" in str(error)


def test_a_checksum_that_is_not_even_ascii_is_refused() -> None:
    for header in ("sha256 \u00e9", "sha1 \u20ac=="):
        with pytest.raises(InvalidRequest, match="Upload-Checksum"):
            parse_checksum(header)


def test_metadata() -> None:
    assert parse_metadata("filename ZsOkLnR4dA==, empty,private ") == {"filename": "fä.txt", "empty": "", "private": ""}


# ---- over HTTP

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}
ROOT = "/client/v1/tus"


@pytest.fixture
def lab(tmp_path: Path) -> ClientLab:
    return ClientLab(tmp_path)


def _encoded(text: str) -> str:
    return "filename " + base64.b64encode(text.encode()).decode()


def _create(lab: ClientLab, name: str, size: int) -> TestResponse:
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": _encoded(name)}
    answer = lab.http.post(ROOT, headers=headers)
    assert answer.headers["Tus-Resumable"] == "1.0.0"
    return answer


def _patch(lab: ClientLab, where: str, offset: object, body: bytes, **more: str) -> TestResponse:
    headers = {**BYTES, "Upload-Offset": str(offset), **{name.replace("_", "-"): value for name, value in more.items()}}
    return lab.http.patch(where, data=body, headers=headers)


def test_what_the_server_can_do(lab: ClientLab) -> None:
    answer = lab.http.options(ROOT)
    assert answer.status_code == 204 and answer.headers["Tus-Version"] == "1.0.0"
    assert answer.headers["Tus-Extension"] == "creation,termination,checksum,expiration"
    assert answer.headers["Tus-Checksum-Algorithm"] == "sha1,sha256"
    assert answer.headers["Tus-Max-Size"] == str(MAX_FILE_BYTES)


def test_a_whole_upload(lab: ClientLab) -> None:
    created = _create(lab, "docs/ä b", 6)
    assert created.status_code == 201
    where = created.headers["Location"]
    assert where.startswith(ROOT + "/")
    answer = _patch(
        lab, where, 0, b"012", Upload_Checksum="sha1 " + base64.b64encode(hashlib.sha1(b"012").digest()).decode()
    )
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "3")
    expires = parse_date(answer.headers["Upload-Expires"])
    assert expires is not None and expires.timestamp() == NOW + LIFETIME_SECONDS
    head = lab.http.head(where, headers=TUS)
    assert (head.headers["Upload-Offset"], head.headers["Upload-Length"]) == ("3", "6")
    assert head.headers["Upload-Metadata"] == _encoded("docs/ä b") and head.headers["Cache-Control"] == "no-store"
    assert "P2P-Name" not in head.headers
    answer = _patch(lab, where, 3, b"345")
    assert answer.status_code == 204 and answer.headers["P2P-Name"] == "docs/%C3%A4%20b"
    assert lab.http.head(where, headers=TUS).headers["P2P-Name"] == "docs/%C3%A4%20b"
    assert (lab.folder.path / "docs/ä b").read_bytes() == b"012345" and lab.committed == ["docs/ä b"]


def test_the_errors_over_http(lab: ClientLab) -> None:
    where = _create(lab, "a", 4).headers["Location"]
    problem_of(_patch(lab, where, 1, b"x"), 409, "offset")
    problem_of(_patch(lab, where, 0, b"01234"), 413, "too-large")
    problem_of(_patch(lab, where, 0, bytes(MAX_PATCH_BYTES + 1)), 413, "too-large")
    problem_of(_patch(lab, where, 0, b"x", Upload_Checksum="sha256 AAAA"), 460, "checksum")
    problem_of(_patch(lab, where, 0, b"x", Upload_Checksum="md5 AAAA"), 400, "invalid")
    problem_of(_patch(lab, where, 0, b"x", Upload_Checksum="sha1 ?"), 400, "invalid")
    problem_of(_patch(lab, where, 0, b"x", Content_Type="application/json"), 415, "invalid")
    for offset in ("-1", "x", "", "1_0", "9" * 19):
        assert "Upload-Offset" in problem_of(_patch(lab, where, offset, b"x"), 422, "invalid")["detail"]
    problem_of(_patch(lab, ROOT + "/nothing", 0, b"x"), 404, "not-found")
    assert lab.http.head(ROOT + "/nothing", headers=TUS).status_code == 404
    answer = lab.http.patch(where, headers={**BYTES, "Tus-Resumable": "0.9"})
    problem_of(answer, 412, "invalid")
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert lab.http.head(where, headers=TUS).headers["Upload-Offset"] == "0"
    assert lab.http.delete(where, headers=TUS).status_code == 204
    problem_of(lab.http.delete(where, headers=TUS), 404, "not-found")
    assert not os.listdir(lab.folder.partial)


def test_a_patch_may_have_all_of_its_8_mib(lab: ClientLab) -> None:
    where = _create(lab, "a", MAX_PATCH_BYTES).headers["Location"]
    assert _patch(lab, where, 0, bytes(MAX_PATCH_BYTES)).status_code == 204


def test_a_locked_upload_over_http(lab: ClientLab) -> None:
    where = _create(lab, "a", 4).headers["Location"]
    lock = lab.uploads._uploads(NOW)[where.rpartition("/")[2]].lock
    with lock:
        problem_of(_patch(lab, where, 0, b"x"), 423, "locked")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Length": "5"}, 422),
        ({"Upload-Length": "5", "Upload-Metadata": ""}, 400),
        ({"Upload-Length": "5", "Upload-Metadata": "filename ?"}, 400),
        ({"Upload-Length": "5", "Upload-Metadata": "filename /w=="}, 400),
        ({"Upload-Length": "5", "Upload-Metadata": "filename " + "A" * 5_000}, 422),
        ({"Upload-Length": "5", "Upload-Metadata": "filename Li4="}, 422),
        ({"Upload-Metadata": "filename YQ=="}, 422),
        ({"Upload-Length": "-5", "Upload-Metadata": "filename YQ=="}, 422),
        ({"Upload-Defer-Length": "1", "Upload-Metadata": "filename YQ=="}, 422),
        ({"Upload-Length": str(MAX_FILE_BYTES + 1), "Upload-Metadata": "filename YQ=="}, 413),
    ],
)
def test_a_bad_creation(lab: ClientLab, headers: dict[str, str], status: int) -> None:
    problem_of(lab.http.post(ROOT, headers={**TUS, **headers}), status, "too-large" if status == 413 else "invalid")
    assert not os.listdir(lab.folder.partial)


def test_no_room_over_http(lab: ClientLab) -> None:
    lab.folder.room = 5
    problem_of(_create(lab, "a", 6), 507, "no-room")
