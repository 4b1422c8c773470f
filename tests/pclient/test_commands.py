"""The commands, off a terminal and on one."""

from collections.abc import Callable

import pytest

from pclient.commands import VERBS
from tests.pclient.conftest import Desk, interrupt
from tests.pclient.fake_pserver import FakePServer, Remote, hex_id, peer, samples

Seat = Callable[..., Desk]


def test_search_prints_a_line_a_file(desk: Desk) -> None:
    assert desk.run("search", "report") == 0
    assert desk.rows[0] == ["docs/report.pdf", "420000", "2", samples()[0].file_id]
    assert desk.rows[1][0] == "evil\\x1b[31m\\n\\u202ereport.exe"


def test_search_pages_by_itself_up_to_the_limit(desk: Desk, fake: FakePServer) -> None:
    fake.remotes = [Remote(f"{n}".encode(), [("bob", f"song {n}")]) for n in range(130)]
    assert desk.run("search", "song") == 0
    assert len(desk.rows) == 50
    assert "there are more: --all" in desk.said
    assert desk.run("search", "song", "--limit", "7") == 0
    assert len(desk.rows) == 7
    assert desk.run("search", "song", "--all") == 0
    assert [row[0] for row in desk.rows] == [f"song {n}" for n in range(130)]
    assert len(desk.json("search", "song", "--all")["groups"]) == 130


def test_a_search_without_a_result_is_exit_code_3(desk: Desk) -> None:
    assert desk.run("search", "nowhere") == 3
    assert (desk.out.getvalue(), desk.said) == ("", "error: nothing matches\n")
    assert desk.json("search", "nowhere", code=3)["groups"] == []


def test_an_incomplete_answer_is_said_to_be_one(desk: Desk, fake: FakePServer) -> None:
    fake.complete = False
    desk.run("search", "report")
    assert "note: no locator could be asked" in desk.said


def test_info_prints_a_line_a_holder(desk: Desk) -> None:
    assert desk.run("info", "same.txt") == 0
    assert [(row[3], row[5], row[6]) for row in desk.rows] == [
        ("bob", "same.txt", "checked"),
        ("carol", "same.txt", "checked"),
        ("dave", "same.txt", "checked"),
    ]
    assert desk.run("info", "nowhere.txt") == 3
    assert desk.said == "error: no peer that could be asked has nowhere.txt\n"


def test_info_on_a_terminal_shows_ids_in_full(seat: Seat) -> None:
    desk = seat()
    assert desk.run("info", "docs/report.pdf") == 0
    group = samples()[0].group()
    assert f"id:{group['file_id']}" in desk.out.getvalue()
    assert f"sha256:{group['sha256']}" in desk.out.getvalue()
    assert "report 2025.pdf" in desk.out.getvalue()


def test_files_and_peers(desk: Desk, fake: FakePServer) -> None:
    fake.share = {"a.txt": b"1", "docs/b.txt": b"22"}
    fake.page = 1
    desk.run("files")
    assert [row[:2] + row[3:] for row in desk.rows] == [["a.txt", "1", "ok"], ["docs/b.txt", "2", "ok"]]
    desk.run("files", "docs/")
    assert [row[0] for row in desk.rows] == ["docs/b.txt"]
    desk.run("files", "--limit", "1")
    assert [row[0] for row in desk.rows] == ["a.txt"]
    desk.run("files", "--peer", "carol")
    assert [row[0] for row in desk.rows] == ["report 2025.pdf", "same.txt"]
    assert desk.run("files", "--peer", "nobody") == 3
    desk.run("peers")
    assert [row[0] for row in desk.rows] == ["bob", "carol", "dave"]
    assert [one["peer"]["name"] for one in desk.json("peers", "carol")["peers"]] == ["carol"]
    assert set(desk.json("files", "--peer", "bob")) == {"files", "via", "complete"}


def test_status(desk: Desk) -> None:
    assert desk.run("status") == 0
    facts = dict(row for row in desk.rows if row[0] != "not shared")
    assert facts["peer"] == "alice"
    assert facts["locator"] == "127.0.0.1:51015: registered"
    assert ["not shared", "evil\\x1b[31m: it is a link"] in desk.rows
    assert ["not shared", "and 2 more"] in desk.rows


def test_remove_asks_on_a_terminal_and_refuses_off_it(desk: Desk, seat: Seat, fake: FakePServer) -> None:
    fake.share = {"a.txt": b"1"}
    assert desk.run("remove", "a.txt") == 2
    assert "--yes" in desk.said
    assert seat("n").run("remove", "a.txt") == 1
    assert seat("").run("remove", "a.txt") == 1
    assert "a.txt" in fake.share
    assert seat("y").run("remove", "a.txt") == 0
    assert fake.share == {}
    assert desk.run("remove", "a.txt", "--yes") == 3


def test_download_by_name_by_id_and_by_sha256(desk: Desk, fake: FakePServer) -> None:
    group = samples()[0].group()
    for what, name in (
        ("docs/report.pdf", "a.pdf"),
        (f"id:{group['file_id']}", "b.pdf"),
        (f"sha256:{group['sha256']}", "c"),
    ):
        assert desk.run("download", what, "--as", name) == 0, desk.said
        assert desk.rows == [[name, "420000", group["file_id"]]]
        assert fake.share[name] == samples()[0].content
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


def test_what_is_there_already_is_done_at_once(desk: Desk, fake: FakePServer) -> None:
    fake.share["docs/report.pdf"] = samples()[0].content
    assert desk.run("download", "docs/report.pdf") == 0
    assert desk.clock.waits == []


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


def test_transfers_are_listed_shown_paused_resumed_cancelled(desk: Desk, fake: FakePServer) -> None:
    fake.step_at_look = None
    desk.run("download", "docs/report.pdf", "--detach")
    desk.run("download", "same.txt", "--detach")
    fake.step("00000001", 0.5)
    desk.run("transfers")
    assert [row[:5] for row in desk.rows][1] == ["00000001", "download", "running", "210000", "420000"]
    assert desk.run("transfers", "pause", "00000001") == 0
    assert fake.transfers["00000001"]["state"] == "paused"
    assert desk.run("transfers", "pause", "00000001") == 1
    assert "error: it is paused: it cannot pause" in desk.said
    assert desk.json("transfers", "resume", "00000001")["state"] == "running"
    fake.transfers["00000001"]["standstill"] = "no source answers; next try in 8 s"
    desk.run("transfers", "00000001")
    assert ["waits", "no source answers; next try in 8 s"] in desk.rows
    fake.transfers["00000001"].update(standstill=None, bottleneck="peer b is slow")
    desk.run("transfers", "00000001")
    assert ["held up by", "peer b is slow"] in desk.rows
    desk.run("transfers")
    assert "peer b is slow" in [row for row in desk.rows if row[0] == "00000001"][-1]
    assert desk.run("transfers", "cancel", "00000001") == 0
    assert fake.transfers["00000001"]["state"] == "cancelled"
    assert desk.run("transfers", "cancel", "00000001") == 0
    assert "had ended and is forgotten" in desk.said


@pytest.mark.parametrize("words", [["pause"], ["pause", "1", "2"], ["stop", "1"], ["1", "pause"]])
def test_transfers_said_wrongly(desk: Desk, words: list[str]) -> None:
    assert desk.run("transfers", *words) in {2, 3}


def test_a_transfer_that_is_not_there(desk: Desk, fake: FakePServer) -> None:
    for given in ("ffff", "../status", "", "\x1b"):
        assert desk.run("transfers", given) == 3
        assert desk.run("watch", given) == 3
    desk.run("download", "same.txt", "--detach")
    desk.run("download", "docs/report.pdf", "--detach")
    assert desk.run("transfers", "0000") == 3
    assert "more than one" in desk.said


def test_watch_waits_for_the_end(desk: Desk, fake: FakePServer) -> None:
    fake.step_at_look = None
    desk.run("download", "docs/report.pdf", "--detach")
    desk.clock.events = [lambda: fake.step("00000001")]
    assert desk.run("watch", "00000001") == 0
    assert "is done" in desk.said


def test_wrong_usage_is_told_in_a_line(desk: Desk) -> None:
    assert desk.run("bogus\x1b[31m") == 2
    assert "\x1b" not in desk.said
    assert desk.run("download") == 2
    assert desk.run("search", "x", "--limit", "0") == 2
    assert desk.run("search", " ") == 2
    assert "at least one word" in desk.said


@pytest.mark.parametrize("broken", [{}, {"groups": 3}, {"groups": [{}]}, {"groups": None, "complete": 1, "via": []}])
def test_an_answer_that_makes_no_sense_is_told_in_a_line(desk: Desk, fake: FakePServer, broken: object) -> None:
    def answer(handler: object) -> bool:
        handler.json(broken)  # type: ignore[attr-defined]  # the fake's handler
        return True

    fake.answer_all = answer
    assert desk.run("search", "x") == 1
    assert desk.said.startswith("error: internal error: ")
    assert desk.said.count("\n") == 1


def test_every_command_takes_json_and_has_help() -> None:
    for verb in VERBS:
        assert verb.help
        assert any("--json" in option.opts for option in verb.params)


def test_upload_to_named_peers(desk: Desk, fake: FakePServer) -> None:
    fake.share = {"a.txt": b"1"}
    assert desk.run("upload", "a.txt", "--to", "bob", "--to", "carol") == 0
    assert [row[:2] + row[3:4] for row in desk.rows] == [["a.txt", "bob", "done"], ["a.txt", "carol", "done"]]
    assert len(desk.json("upload", "a.txt", "--replicas", "2")["transfers"][0]["targets"]) == 2
    assert desk.json("upload", "a.txt")["transfers"][0]["targets"][0]["peer"] == peer("bob")
    assert desk.run("upload", "a.txt", "--to", "nobody") == 3
    assert desk.run("upload", "nowhere.txt", "--to", "bob") == 3


def test_an_ambiguous_peer_is_never_guessed(desk: Desk, seat: Seat, fake: FakePServer) -> None:
    fake.share = {"a.txt": b"1"}
    assert desk.run("upload", "a.txt", "--to", "twin") == 1
    assert peer("twin")["peer_id"] in desk.said
    assert fake.transfers == {}
    assert desk.run("files", "--peer", "twin") == 1
    assert peer("twin")["peer_id"] in desk.said
    assert desk.run("download", "docs/", "--from", "twin") == 1
    assert peer("twin")["peer_id"] in desk.said
    assert fake.transfers == {}
    fake.remotes += [Remote(b"t", [("twin2", "docs/t")])]
    assert seat("2").run("files", "--peer", "twin") == 0
    assert seat("2").run("download", "docs/", "--from", "twin", "--detach") == 0
    assert fake.transfers.pop("00000001")["sources"][0]["peer"] == peer("twin2")
    chosen = seat("2")
    assert chosen.run("upload", "a.txt", "--to", "twin") == 0
    assert fake.transfers["00000001"]["targets"][0]["peer"]["peer_id"] == peer("twin2")["peer_id"]
