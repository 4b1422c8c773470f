"""download --save: checked, atomic, never over a file, never out of the folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pclient import saving
from pclient.model import PClientError
from tests.pclient.conftest import Desk, interrupt
from tests.pclient.fake_pserver import FakePServer, Remote, samples

REPORT = samples()[0].content


def test_a_file_is_saved_under_the_last_part_of_its_name(desk: Desk, tmp_path: Path) -> None:
    there = tmp_path / "new"
    assert desk.run("download", "docs/report.pdf", "--save", str(there)) == 0, desk.said
    assert [one.name for one in there.iterdir()] == ["report.pdf"]
    assert (there / "report.pdf").read_bytes() == REPORT
    assert desk.rows[0][3] == str(there / "report.pdf")
    assert desk.json("download", "docs/report.pdf", "--as", "x/y.pdf", "--save", str(there))["saved"] == [
        str(there / "y.pdf")
    ]


def test_a_folder_keeps_its_shape(desk: Desk, fake: FakePServer, tmp_path: Path) -> None:
    fake.remotes = [Remote(b"1", [("bob", "a/b/one")]), Remote(b"2", [("bob", "a/b/c/two")])]
    assert desk.run("download", "a/b/", "--save", str(tmp_path / "to")) == 0
    assert (tmp_path / "to" / "b" / "one").read_bytes() == b"1"
    assert (tmp_path / "to" / "b" / "c" / "two").read_bytes() == b"2"


def test_off_a_terminal_nothing_is_replaced(desk: Desk, fake: FakePServer, tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_text("mine")
    assert desk.run("download", "docs/report.pdf", "--save", str(tmp_path)) == 1
    assert "exists and is not replaced. The file is in your share, as docs/report.pdf" in desk.said
    assert (tmp_path / "report.pdf").read_text() == "mine"
    assert fake.share["docs/report.pdf"] == REPORT


def test_what_is_there_already_with_the_same_bytes_is_left(
    desk: Desk, seat: Callable[..., Desk], tmp_path: Path
) -> None:
    (tmp_path / "report.pdf").write_bytes(REPORT)
    before = (tmp_path / "report.pdf").stat()
    assert desk.json("download", "docs/report.pdf", "--save", str(tmp_path))["saved"] == [str(tmp_path / "report.pdf")]
    assert seat().run("download", "docs/report.pdf", "--save", str(tmp_path)) == 0
    assert f"{tmp_path / 'report.pdf'} is there already" in desk.said
    assert (tmp_path / "report.pdf").stat().st_ino == before.st_ino
    assert [one.name for one in tmp_path.iterdir()] == ["report.pdf"]
    (tmp_path / "report.pdf").write_bytes(REPORT[:-1] + b"!")  # as long, but other bytes
    assert desk.run("download", "docs/report.pdf", "--save", str(tmp_path)) == 1


def test_a_link_to_the_same_bytes_is_not_the_file(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(REPORT)
    (tmp_path / "report.pdf").symlink_to("elsewhere")
    assert desk.run("download", "docs/report.pdf", "--save", str(tmp_path)) == 1


def test_on_a_terminal_another_name_is_offered(seat: Callable[..., Desk], tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_text("mine")
    (tmp_path / "report (2).pdf").symlink_to("nowhere")
    assert seat("no").run("download", "docs/report.pdf", "--save", str(tmp_path)) == 1
    assert seat("y").run("download", "docs/report.pdf", "--save", str(tmp_path)) == 0
    assert (tmp_path / "report.pdf").read_text() == "mine"
    assert (tmp_path / "report (3).pdf").read_bytes() == REPORT


def test_a_file_that_comes_into_being_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "temporary").write_text("new")
    (tmp_path / "target").write_text("mine")
    with pytest.raises(FileExistsError):
        saving._put_in_place(tmp_path / "temporary", tmp_path / "target")
    assert (tmp_path / "target").read_text() == "mine"


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(_self: Path, _target: Path) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    (tmp_path / "temporary").write_text("new")
    saving._put_in_place(tmp_path / "temporary", tmp_path / "target")
    assert (tmp_path / "target").read_text() == "new"
    (tmp_path / "temporary").write_text("newer")
    with pytest.raises(FileExistsError):
        saving._put_in_place(tmp_path / "temporary", tmp_path / "target")


def test_bytes_that_are_not_those_of_the_sha256_are_not_saved(desk: Desk, fake: FakePServer, tmp_path: Path) -> None:
    fake.corrupt_content = True
    there = tmp_path / "to"
    assert desk.run("download", "docs/report.pdf", "--save", str(there)) == 1
    assert "is not what its sha256 says" in desk.said
    assert list(there.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["../out", "/etc/out", "a/../../out", "a//out", "", ".", "..", ".hidden", "a/\0", "x" * 256]
)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "to"
    folder.mkdir()
    with pytest.raises(PClientError, match="cannot save"):
        saving.place(folder, name)
    assert list(folder.iterdir()) == []


def test_no_link_in_the_folder_leads_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "to" / "docs").symlink_to(tmp_path / "out")
    with pytest.raises(PClientError, match="is a link"):
        saving.place(tmp_path / "to", "docs/x")
    (tmp_path / "to" / "file").touch()
    with pytest.raises(PClientError, match="cannot make the folder"):
        saving.place(tmp_path / "to", "file/x")


def test_a_folder_that_cannot_be_one(desk: Desk, fake: FakePServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    above = str(tmp_path / "no" / "such")
    for wrong in (str(tmp_path / "file"), str(tmp_path / "file" / "x"), "nul\0", "y" * 300, above, ""):
        assert desk.run("download", "docs/report.pdf", "--save", wrong) == 2
    desk.run("download", "docs/report.pdf", "--save", above)
    assert f"there is no folder {tmp_path / 'no'}; make it first" in desk.said
    assert fake.transfers == {}  # told before anything began


def test_ctrl_c_says_that_nothing_is_saved(desk: Desk, fake: FakePServer, tmp_path: Path) -> None:
    fake.step_at_look = None
    desk.clock.events = [interrupt]
    assert desk.run("download", "docs/report.pdf", "--save", str(tmp_path / "to")) == 130
    assert "nothing is saved to a folder" in desk.said
