"""The shell: its lines, its numbers, its help."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pclient import shell
from pclient.commands import VERBS
from pclient.model import PClientError
from pclient.shell import Shell
from tests.pclient.conftest import Desk, interrupt
from tests.pclient.fake_pserver import TOKEN, FakePServer, Remote, samples


def test_a_banner_says_who_and_how_we_are(desk: Desk, fake: FakePServer) -> None:
    fake.share = {"a": b"1234"}
    assert desk.shell() == 0
    assert desk.said.startswith("pclient 0.1.0: peer alice, 1 file shared, 4 B; connected\n")


def test_a_hostile_peer_name_does_nothing_to_prompt_or_banner(desk: Desk, fake: FakePServer) -> None:
    fake.name = "a\x1b[2J\u202e"
    desk.shell()
    assert "\x1b" not in desk.said
    assert "\u202e" not in desk.said


def test_a_pserver_that_is_away_does_not_end_the_shell(desk: Desk, fake: FakePServer) -> None:
    fake.token = "another"
    assert desk.shell("status", "help") == 4
    assert "does not accept our client token" in desk.said
    fake.token = TOKEN


def test_lines_are_commands(desk: Desk, fake: FakePServer) -> None:
    assert desk.shell("  ", "search report", "pclient peers", "quit", "status") == 0
    assert desk.rows[0][0] == "docs/report.pdf"
    assert desk.rows[-1][0] == "dave"
    assert ("GET", "/client/v1/search") in fake.requests


@pytest.mark.parametrize("line", ["quit", "exit", " quit "])
def test_leaving(desk: Desk, line: str) -> None:
    assert desk.shell(line, "bogus") == 0


def test_leaving_takes_no_more_words(desk: Desk) -> None:
    assert desk.shell("quit now") == 2
    assert "error: say quit alone" in desk.said


def test_numbers_are_lines_of_the_last_list(desk: Desk, fake: FakePServer) -> None:
    assert desk.shell("search report", "download 1", "info 1") == 0, desk.said
    assert fake.share["docs/report.pdf"] == samples()[0].content
    assert "line 1 is docs/report.pdf" in desk.said
    # Whatever is not a line of it is a name: a file really called 2, before anything was listed.
    fresh = Desk(desk.client.api._wire.url, Path(desk.client.history_file).parent, False, None)
    assert fresh.shell("download 2") == 0
    assert fake.share["2"] == b"three"


def test_a_number_beyond_the_list_is_a_name(desk: Desk) -> None:
    assert desk.shell("search report", "download 99") == 3
    assert desk.shell("download 0") == 3
    assert desk.shell(f"download {'9' * 5000}") == 3


def test_the_beginning_of_an_id_just_seen_will_do(desk: Desk, fake: FakePServer) -> None:
    beginning = samples()[0].file_id[:12]
    assert desk.shell(f"info id:{beginning}") == 2
    assert "info NAME" in desk.said
    for shown in ("search report", "files --peer bob", "info docs/report.pdf", "download docs/report.pdf"):
        fresh = Desk(desk.client.api._wire.url, Path(desk.client.history_file).parent, False, None)
        assert (
            fresh.shell(shown, f"info id:{beginning}", f"download id:{beginning.upper()}", f"link id:{beginning}") == 0
        )
    assert fake.downloads[-1]["what"] == f"id:{samples()[0].file_id}"


def test_a_beginning_that_several_ids_have_is_not_guessed_at(desk: Desk, fake: FakePServer) -> None:
    fake.remotes = [Remote(f"{n}".encode(), [("bob", f"song {n}")]) for n in range(20)]
    digit = max("0123456789abcdef", key=lambda d: sum(one.file_id.startswith(d) for one in fake.remotes))
    assert desk.shell("search song", f"info id:{digit}") == 2
    assert f"have an id that begins with {digit}: give more digits" in desk.said


def test_a_line_that_is_held_is_not_copied_under_the_name_listed(desk: Desk, fake: FakePServer) -> None:
    fake.share["mine"] = samples()[0].content
    fake.remotes[0].held.append(("alice", "mine"))
    assert desk.shell("search report", "download 1", "download 1 --as other", "files", "download 1") == 0
    assert [asked["as"] for asked in fake.downloads] == [None, "other", None]
    assert "docs/report.pdf is in your share already, as mine" in desk.said
    desk.shell("files --peer bob", "download 1")
    assert fake.downloads[-1]["as"] == "docs/report.pdf"


def test_outside_of_the_shell_a_number_is_a_name(desk: Desk, fake: FakePServer) -> None:
    desk.run("download", "2")
    assert fake.share["2"] == b"three"


def test_json_is_for_one_line_only(desk: Desk) -> None:
    desk.shell("peers --json", "peers")
    assert desk.out.getvalue().startswith('{"peers"')
    assert desk.out.getvalue().splitlines()[-1].startswith("dave\t")


def test_ctrl_c_while_watching_leaves_it_in_the_background(desk: Desk, fake: FakePServer) -> None:
    fake.step_at_look = None
    desk.clock.events = [interrupt]
    assert desk.shell("download docs/report.pdf", "transfers") == 130
    assert "goes on at the PServer. To look at it: watch 00000001 or transfers\n" in desk.said
    assert "1 transfer still in work at the PServer" in desk.said


def test_what_ended_in_the_background_is_announced_before_the_next_prompt(desk: Desk, fake: FakePServer) -> None:
    fake.step_at_look = None
    said: list[str] = []
    lines = iter(["download docs/report.pdf --detach", "help", "quit"])

    def read(_prompt: str) -> str:
        said.append(desk.said)
        line = next(lines)
        if line == "help":
            fake.step("00000001")
        return line

    Shell(desk.client, read).run()
    assert "is done" not in said[1]
    assert said[2].endswith("[00000001] download of docs/report.pdf is done, 410.2 KiB\n")
    assert "still in work" not in desk.said


def test_ctrl_c_at_the_prompt_empties_the_line(desk: Desk) -> None:
    assert desk.shell(KeyboardInterrupt, KeyboardInterrupt, "help") == 0


def test_unbalanced_quotes_are_told(desk: Desk) -> None:
    assert desk.shell("download 'x", 'info "', "info \\") == 1
    assert desk.said.count("a quote is not closed") == 2
    assert "the last backslash escapes nothing" in desk.said


def test_lines_pasted_together_are_commands_one_after_the_other(desk: Desk) -> None:
    assert desk.shell("peers bob\n\n  peers carol\nquit now") == 2
    assert [row[0] for row in desk.rows] == ["bob", "carol"]
    assert "alice> peers carol\n" in desk.said and "error: say quit alone" in desk.said
    assert desk.shell("peers bob\nquit\npeers dave") == 0
    assert desk.rows[-1][0] == "bob"
    assert shell.commands_in("info 'a\nb'\npeers\ninfo 'c") == ["info 'a\nb'", "peers", "info 'c"]


def test_a_misspelt_command(desk: Desk) -> None:
    assert desk.shell("serach x", "help dowload", "zzz") == 1
    assert desk.said.count("did you mean search?") == 1 and desk.said.count("did you mean download?") == 1
    assert "there is no command 'zzz'; `help` lists them" in desk.said


def test_quoting() -> None:
    assert shell.split("download 'my file.txt' \"it's\" a\\ b #x") == ["download", "my file.txt", "it's", "a b", "#x"]
    with pytest.raises(PClientError):
        shell.split("it's")


def test_help(desk: Desk) -> None:
    assert desk.shell("help", "help download", "help bogus") == 1
    for verb in VERBS:
        assert re.search(rf"\b{verb.name}\b", desk.out.getvalue().split("Usage")[0])
    assert "--save DIR" in desk.out.getvalue()
    assert "`info 2`" in desk.out.getvalue()
    assert max(map(len, desk.out.getvalue().splitlines())) <= 100


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_help_breaks_between_words(seat: Callable[..., Desk], width: int) -> None:
    desk = seat(width=width)
    desk.shell("help", *[f"help {verb.name}" for verb in VERBS])
    lines = desk.out.getvalue().splitlines()
    assert max(map(len, lines)) <= min(width, 100)
    words = " ".join(lines).split()
    assert width < 80 or next(at for at, line in enumerate(lines) if line.startswith("Usage")) < 24
    for verb in VERBS:
        assert set((verb.help or "").split()) <= set(words), verb.name
    assert set(shell._HINTS[1].split()) <= set(words)
    assert {"NAME|FOLDER/|id:HEX|sha256:HEX", "[[pause|resume|cancel]", "ID...]"} <= set(words)


@given(st.lists(st.text(max_size=40), max_size=3))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_line_ends_the_shell_or_acts_on_the_terminal(desk: Desk, lines: list[str]) -> None:
    commands = [f"{verb} {line}" for line in lines for verb in ("info", "peers", "download --as", "")]
    ended = Desk(desk.client.api._wire.url, Path(desk.client.history_file).parent, False, None)
    ended.client.api = desk.client.api
    ended.shell(*[line for line in commands if line.strip() not in {"quit", "exit"}], "search report")
    assert ended.rows[-1][0].startswith("docs/")
    assert not {c for c in ended.said if c < " " and c != "\n"}
