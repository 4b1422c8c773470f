"""The commands, off a terminal and on one."""

from collections.abc import Callable

from tests.pclient.conftest import Desk
from tests.pclient.fake_pserver import FakePServer, Remote, peer, samples

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
    assert desk.run("search", "nowhere") == 1
    assert desk.said == "error: nothing found, but no locator could be asked: other peers may have it\n"


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
    assert [row[0] for row in desk.rows] == ["a.txt"] and desk.said == "1 file; there are more\n"
    desk.run("files", "--peer", "carol")
    assert [row[0] for row in desk.rows] == ["report 2025.pdf", "same.txt"]
    assert desk.run("files", "--peer", "nobody") == 3
    desk.run("peers")
    assert [row[0] for row in desk.rows] == ["bob", "carol", "dave"]
    assert [one["peer"]["name"] for one in desk.json("peers", "carol")["peers"]] == ["carol"]
    assert set(desk.json("files", "--peer", "bob")) == {"files", "via", "complete"}


def test_status(desk: Desk, fake: FakePServer) -> None:
    assert desk.run("status") == 0
    facts = dict(row for row in desk.rows if row[0] != "not shared")
    assert facts["peer"] == "alice"
    assert facts["locator"] == "127.0.0.1:51015: registered"
    fake.locators = [{"address": "a:1", "state": "unreachable", "why": "the locator at a:1 cannot be reached: away"}]
    desk.run("status")
    assert ["locator", "a:1: unreachable (cannot be reached: away)"] in desk.rows
    assert ["not shared", "evil\\x1b[31m: it is a link"] in desk.rows
    assert ["not shared", "and 2 more"] in desk.rows


def test_status_of_a_peer_that_is_not_well_says_where_to_look(seat: Seat, fake: FakePServer) -> None:
    person = seat()
    person.run("status")
    assert "none in work" in person.out.getvalue() and "doctor" not in person.said
    fake.reachable = False
    person.run("status")
    assert "`pclient doctor` says what to do" in person.said


def test_a_long_name_that_is_not_shared_is_shortened_for_a_person_only(
    desk: Desk, seat: Seat, fake: FakePServer
) -> None:
    fake.skipped = "beginning" + "x" * 200 + "the end"
    desk.run("status")
    assert ["not shared", f"{fake.skipped}: it is a link"] in desk.rows
    person = seat()
    person.run("status")
    assert f"beginning{'x' * 11}…{'x' * 12}the end: it is a link" in person.out.getvalue()


def test_names_with_backslashes_are_told_apart(desk: Desk, fake: FakePServer) -> None:
    fake.share = {"a\\n": b"1", "a\n": b"2"}
    desk.run("files")
    assert [row[0] for row in desk.rows] == ["a\\n", "a\\\\n"]
    assert {one["name"] for one in desk.json("files")["files"]} == set(fake.share)


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


def test_a_folder_is_not_removed_whole(desk: Desk, fake: FakePServer) -> None:
    fake.share = {"docs/a.txt": b"1", "docs2/b": b"2"}
    for folder in ("docs", "docs/"):
        assert desk.run("remove", folder, "--yes") == 2
        assert "docs/ is a folder: they are not removed whole. To see its files: pclient files docs/" in desk.said
    assert desk.run("remove", "doc", "--yes") == 3
    assert len(fake.share) == 2


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
