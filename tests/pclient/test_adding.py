"""add: files and folders, sent in resumable chunks."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pclient import local_files
from pclient.local_files import LeftOut, LocalFile
from pclient.model import NotFound, WrongUsage
from pclient.sending import CHUNK_BYTES
from tests.pclient.conftest import Desk, interrupt
from tests.pclient.fake_pserver import FakePServer

BIG = os.urandom(1024) * (2 * CHUNK_BYTES // 1024) + b"the end"


@pytest.fixture
def big(tmp_path: Path) -> str:
    (tmp_path / "big.bin").write_bytes(BIG)
    return str(tmp_path / "big.bin")


def test_a_file_is_sent_and_waited_for_until_it_is_indexed(desk: Desk, fake: FakePServer, big: str) -> None:
    fake.hashing["big.bin"] = 3
    fake.share.clear()
    assert desk.run("add", big) == 0, desk.said
    assert fake.share == {"big.bin": BIG}
    assert desk.rows[0][:2] == ["big.bin", str(len(BIG))]
    assert len(desk.clock.waits) == 3
    assert [method for method, path in fake.requests if "tus" in path] == ["POST", *["PATCH"] * 3, "DELETE"]
    assert fake.uploads == {}  # nothing is kept at the PServer, but the file


@pytest.mark.parametrize("trouble", ["drop", "half", "checksum", "lost"])
def test_a_broken_connection_is_resumed(desk: Desk, fake: FakePServer, big: str, trouble: str) -> None:
    fake.broken = ["", trouble, "", trouble]
    assert desk.run("add", big) == 0, desk.said
    assert fake.share == {"big.bin": BIG}
    assert "HEAD" in {method for method, _ in fake.requests}


def test_an_answer_that_is_lost_at_the_very_end_costs_nothing(desk: Desk, fake: FakePServer, tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"12345")
    fake.broken = ["lost"]
    assert desk.run("add", str(tmp_path / "small")) == 0
    assert list(fake.share) == ["small"]


def test_that_the_upload_cannot_be_forgotten_does_no_harm(desk: Desk, fake: FakePServer, tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"12345")
    fake.answer_all = lambda handler: handler.command == "DELETE" and not handler.break_off()
    assert desk.run("add", str(tmp_path / "small")) == 0, desk.said
    assert fake.share == {"small": b"12345"}


def test_many_files_are_told_of_at_the_start_seldom_and_at_the_end(
    desk: Desk, fake: FakePServer, tmp_path: Path
) -> None:
    (tmp_path / "many").mkdir()
    for number in range(100):
        (tmp_path / "many" / f"{number:03}").write_text("x" * number)
    fake.hashing = {f"many/{number:03}": 3 for number in range(100)}
    assert desk.run("add", str(tmp_path / "many")) == 0
    lines = desk.said.splitlines()
    assert lines[0] == "adding 100 files: running"
    assert lines[-1] == "100 files in your share, 4.8 KiB"
    assert "waiting until many/000 is indexed: hashing" in lines
    assert 5 < len(lines) < 20, lines  # in 60 s, at most one in 5
    assert len(desk.rows) == 100


def test_a_person_sees_which_of_several_files_is_sent(seat: Callable[..., Desk], tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name in "ab":
        (tmp_path / "d" / name).write_text(name)
    desk = seat()
    assert desk.run("add", str(tmp_path / "d")) == 0
    assert "sending d/b (2 of 2)" in desk.said


def test_trying_ends(desk: Desk, fake: FakePServer, big: str) -> None:
    fake.broken = ["drop"] * 100
    assert desk.run("add", big) == 5
    assert len(desk.clock.waits) < 20
    assert sum(desk.clock.waits) < 60
    assert fake.uploads == {}  # nothing stays at the PServer


def test_no_room_is_told_at_once(desk: Desk, fake: FakePServer, tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**30 + 1)
    assert desk.run("add", str(tmp_path / "huge")) == 1
    assert "there is no room for that" in desk.said
    assert desk.clock.waits == []


def test_ctrl_c_while_sending_leaves_nothing(desk: Desk, fake: FakePServer, big: str) -> None:
    fake.broken = ["drop"]
    desk.clock.events = [interrupt]
    assert desk.run("add", big) == 130
    assert "it was not added" in desk.said
    assert (fake.share, fake.uploads) == ({}, {})


def test_a_file_that_changes_meanwhile_is_not_added(desk: Desk, fake: FakePServer, big: str) -> None:
    fake.broken = ["drop"]
    desk.clock.events = [lambda: Path(big).write_bytes(BIG + b"more")]
    assert desk.run("add", big) == 1
    assert "changed while it was sent" in desk.said
    assert (fake.share, fake.uploads) == ({}, {})


def test_an_empty_file(desk: Desk, fake: FakePServer, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert desk.run("add", str(tmp_path / "empty")) == 0, desk.said
    assert fake.share == {"empty": b""}


def test_the_token_goes_nowhere_else(desk: Desk, fake: FakePServer, big: str) -> None:
    desk.run("add", big)  # the fake's Location names another host
    assert {one["Host"].split(":")[0] for one in fake.headers} == {"127.0.0.1"}


def test_what_is_there_already_is_not_sent_again(desk: Desk, fake: FakePServer, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"same")
    fake.share = {"a.txt": b"same"}
    assert desk.run("add", str(tmp_path / "a.txt")) == 0
    assert list(fake.share) == ["a.txt"]
    (tmp_path / "a.txt").write_bytes(b"diff")
    assert desk.run("add", str(tmp_path / "a.txt")) == 0
    assert fake.share == {"a.txt": b"same", "a (2).txt": b"diff"}
    assert "this one is now called a (2).txt" in desk.said


def test_a_folder_keeps_its_name_and_leaves_out_what_cannot_be_shared(
    desk: Desk, fake: FakePServer, tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    (docs / "deep").mkdir(parents=True)
    (docs / "a.txt").write_text("a")
    (docs / "deep" / "u\u0308.txt").write_text("b")  # NFD, as from a Mac
    (docs / ".hidden").write_text("no")
    (docs / "link").symlink_to("a.txt")
    (docs / "linked").symlink_to("deep")
    (Path(os.fsdecode(os.fsencode(str(docs)) + b"/bad\xff"))).write_text("no")
    assert desk.run("add", str(docs)) == 1
    assert fake.share == {"docs/a.txt": b"a", "docs/deep/\u00fc.txt": b"b"}
    for left_out in ("link: is a link", "linked: is a link to a folder", "bad\\udcff: a file name must be valid UTF-8"):
        assert left_out in desk.said
    answer = desk.json("add", str(docs), code=1)
    assert (len(answer["files"]), len(answer["failed"])) == (2, 3)


def test_as_names_a_file_or_a_folder(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").touch()
    (tmp_path / "f").touch()
    assert local_files.meant_by([str(tmp_path / "f")], "b/c.txt") == [LocalFile(tmp_path / "f", "b/c.txt")]
    assert local_files.meant_by([str(tmp_path / "d")], "e/") == [LocalFile(tmp_path / "d" / "x", "e/x")]
    for wrong in ("../x", "/x", "", ".x", "a//b", "n\0"):
        with pytest.raises(WrongUsage):
            local_files.meant_by([str(tmp_path / "f")], wrong)
    with pytest.raises(WrongUsage, match="one path"):
        local_files.meant_by([str(tmp_path / "f"), str(tmp_path / "d")], "x")


def test_paths_that_cannot_be_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "f").touch()
    for missing in ("nowhere", "f/x"):
        with pytest.raises(NotFound):
            local_files.meant_by([missing], None)
    for wrong in ("pipe", "nul\0", "x" * 5000):
        with pytest.raises(WrongUsage):
            local_files.meant_by([wrong], None)
    assert local_files.meant_by(["."], None)[0] == LocalFile(Path("f"), f"{tmp_path.name}/f")


def test_an_unreadable_folder_below_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d").mkdir()
    denied = PermissionError(13, "Permission denied", str(tmp_path / "d"))

    def scandir(path: str) -> object:
        raise denied

    monkeypatch.setattr(os, "scandir", scandir)
    assert local_files.meant_by([str(tmp_path / "d")], None) == [
        LeftOut(tmp_path / "d", "cannot be read: Permission denied")
    ]


def test_upload_adds_first(desk: Desk, fake: FakePServer, tmp_path: Path) -> None:
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "1").write_text("1")
    (tmp_path / "up" / "2").write_text("2")
    assert desk.run("upload", str(tmp_path / "up"), "--to", "bob") == 0
    assert list(fake.share) == ["up/1", "up/2"]
    assert [one["state"] for one in fake.transfers.values()] == ["done", "done"]


def test_ctrl_c_leaves_uploads_running(desk: Desk, fake: FakePServer, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    fake.step_at_look = None
    desk.clock.events = [interrupt]
    assert desk.run("upload", str(tmp_path / "a"), "--to", "bob") == 130
    assert fake.transfers["00000001"]["state"] == "running"
    assert "upload 00000001 goes on at the PServer" in desk.said
    assert desk.run("upload", str(tmp_path / "a"), "--to", "bob", "--detach") == 0


def test_ctrl_c_while_the_pserver_is_away_says_when_uploads_go_on(
    desk: Desk, fake: FakePServer, tmp_path: Path
) -> None:
    (tmp_path / "d").mkdir()
    for name in "ab":
        (tmp_path / "d" / name).write_text(name)
    fake.step_at_look = None

    def away() -> None:
        fake.answer_all = lambda handler: not handler.break_off()

    desk.clock.events = [away, lambda: None, interrupt]
    assert desk.run("upload", str(tmp_path / "d"), "--to", "bob") == 130
    assert "2 uploads will go on when the PServer is back" in desk.said
