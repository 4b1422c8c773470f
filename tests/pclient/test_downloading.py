"""The command `download`."""

from collections.abc import Callable

from tests.pclient.conftest import Desk, interrupt
from tests.pclient.fake_pserver import FakePServer, Remote, hex_id, samples

Seat = Callable[..., Desk]


def test_download_by_name_by_id_and_by_sha256(desk: Desk, fake: FakePServer) -> None:
    group = samples()[0].group()
    for what, name in (
        ("docs/report.pdf", "a.pdf"),
        (f"id:{group['file_id']}", "b.pdf"),
        (f"sha256:{group['sha256']}", "c"),
    ):
        assert desk.run("download", what, "--as", name) == 0, desk.said
        assert desk.rows == [[name, "420000", group["file_id"]]]
        assert fake.share.pop(name) == samples()[0].content
    assert desk.said.splitlines() == ["download c: running, 0 B of 410.2 KiB", "download of c is done, 410.2 KiB"]


def test_a_download_that_fails_or_is_cancelled_is_exit_code_1(desk: Desk, fake: FakePServer) -> None:
    fake.step_at_look = None
    desk.clock.events = [lambda: fake.fail("00000001", "no source is left\x1b[2J")]
    transfer = desk.json("download", "docs/report.pdf", code=1)
    assert (transfer["state"], transfer["saved"]) == ("failed", [])
    assert "no source is left\\x1b[2J" in desk.said
    desk.clock.events = [lambda: fake.transfers["00000002"].update(state="cancelled")]
    assert desk.run("download", "docs/report.pdf") == 1
    assert "was cancelled" in desk.said


def test_what_is_there_already_is_done_at_once_and_said_to_be_there(desk: Desk, fake: FakePServer) -> None:
    fake.share["docs/report.pdf"] = samples()[0].content
    file_id = samples()[0].file_id
    for what in ("docs/report.pdf", f"id:{file_id}"):
        assert desk.run("download", what) == 0
        assert desk.said == "docs/report.pdf is in your share already\n"
        assert desk.rows == [["docs/report.pdf", "420000", file_id]]
    assert desk.run("download", "docs/report.pdf", "--as", "docs/report.pdf") == 0
    assert desk.said == "docs/report.pdf is in your share\n"
    assert desk.run("download", "docs/report.pdf", "--detach") == 0
    assert desk.clock.waits == []


def test_what_is_there_under_another_name_is_said_to_be_there_so(desk: Desk, fake: FakePServer) -> None:
    fake.share["LICENSE"] = samples()[0].content
    assert desk.run("download", "docs/report.pdf") == 0
    assert desk.said == "docs/report.pdf is in your share already, as LICENSE\n"
    fake.copies = False
    assert desk.run("download", "docs/report.pdf", "--as", "sub/x") == 0
    assert desk.said == "note: it is in your share already, as LICENSE; not copied to sub/x\n"
    assert desk.rows[0][0] == "LICENSE"
    fake.copies = True
    assert desk.run("download", "docs/report.pdf", "--as", "sub/x") == 0
    assert (desk.rows[0][0], desk.said) == ("sub/x", "sub/x is in your share\n")


def test_a_folder_that_is_there_already(desk: Desk, fake: FakePServer) -> None:
    assert desk.run("download", "docs/", "--from", "bob") == 0
    assert desk.run("download", "docs/", "--from", "bob") == 0
    assert desk.said == "docs/ is in your share already, 2 files\n"


def test_a_name_that_other_content_has_is_told(desk: Desk, fake: FakePServer) -> None:
    fake.share["docs/report.pdf"] = b"mine"
    assert desk.run("download", "docs/report.pdf") == 0
    assert "note: your share has another docs/report.pdf: this one is called docs/report (2).pdf" in desk.said


def test_of_a_held_file_the_choice_makes_no_copy(seat: Seat, fake: FakePServer) -> None:
    fake.share["mine"] = b"one"
    fake.remotes[3].held.append(("alice", "mine"))
    assert seat("2").run("download", "same.txt") == 0  # the other is not held, and gets the name that was asked
    assert fake.downloads[-1]["as"] == "same.txt"
    desk = seat("1")
    assert desk.run("download", "same.txt") == 0
    assert fake.downloads[-1] == {"what": f"id:{hex_id(b'one')}", "as": None, "from": None, "choose": None}
    assert "same.txt is in your share already, as mine" in desk.said


def test_an_ambiguous_name_takes_the_most_held_and_says_which(desk: Desk, fake: FakePServer) -> None:
    assert desk.run("download", "same.txt") == 0
    assert fake.share["same.txt"] == b"two!"
    assert "same.txt means 2 different things; taken, as most peers hold it: same.txt" in desk.said
    assert hex_id(b"two!")[:12] in desk.said


def test_an_ambiguous_name_is_asked_about_on_a_terminal(seat: Seat, fake: FakePServer) -> None:
    desk = seat("7", "x", "1")
    assert desk.run("download", "same.txt") == 0
    assert fake.share["same.txt"] == b"one"
    assert len(desk.questions) == 3
    assert "  1  same.txt  3 B  held by bob  id:" in desk.said
    assert "  2  same.txt  4 B  held by carol, dave  id:" in desk.said
    assert seat("").run("download", "same.txt") == 1


def test_a_folder_of_several_peers(desk: Desk, seat: Seat, fake: FakePServer) -> None:
    fake.remotes += [Remote(b"other", [("carol", "docs/other.txt")])]
    assert desk.run("download", "docs/", "--from", "carol") == 0
    assert list(fake.share) == ["docs/other.txt"]
    assert seat("2").run("download", "docs/") == 0
    assert len(fake.transfers) == 2
    assert desk.run("download", "docs/") == 0
    assert "docs/ means 2 different things; taken, as it has most files: bob" in desk.said
    assert "docs/report.pdf" in fake.share


def test_a_folder_of_more_files_than_an_answer_holds(desk: Desk, fake: FakePServer) -> None:
    fake.remotes = [Remote(f"{n}".encode(), [("bob", f"many/{n:03}")]) for n in range(250)]
    assert desk.run("download", "many/") == 0
    assert len(desk.rows) == 250
    fake.items_paged = False  # a PServer that knows no items_from
    assert desk.run("download", "many/") == 0
    assert len(desk.rows) == 100


def test_a_person_sees_the_beginning_of_a_long_list_of_what_came(seat: Seat, fake: FakePServer) -> None:
    fake.remotes = [Remote(f"{n}".encode(), [("bob", f"many/{n:03}")]) for n in range(250)]
    desk = seat()
    assert desk.run("download", "many/") == 0
    shown = desk.out.getvalue().splitlines()
    assert sum("many/" in line for line in shown) == 20
    assert shown[-1] == "… and 230 more"
    fake.remotes = fake.remotes[:20]
    fake.share.clear()
    assert desk.run("download", "many/") == 0
    assert "more" not in desk.out.getvalue()


def test_detach_returns_at_once(desk: Desk, fake: FakePServer) -> None:
    fake.step_at_look = None
    assert desk.run("download", "docs/report.pdf", "--detach") == 0
    assert desk.clock.waits == []
    assert "pclient watch 00000001" in desk.said
    assert desk.json("download", "docs/report.pdf", "--detach")["state"] == "running"
    assert desk.run("download", "docs/report.pdf", "--detach", "--save", "x") == 2


def test_ctrl_c_leaves_the_transfer_running_and_says_so(desk: Desk, fake: FakePServer) -> None:
    fake.step_at_look = None
    desk.clock.events = [interrupt]
    assert desk.run("download", "docs/report.pdf") == 130
    assert fake.transfers["00000001"]["state"] == "running"
    assert "download 00000001 goes on at the PServer. To look at it: pclient watch 00000001" in desk.said
