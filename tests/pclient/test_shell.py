"""The shell: its lines, its memory, its editor."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from pclient import shell
from pclient.client import Seen
from pclient.commands import VERBS
from pclient.completion import Offer, offers, typed
from pclient.model import PClientError
from pclient.prompt import ShellCompleter, line_editor, open_history
from pclient.shell import Shell
from tests.pclient.conftest import Desk, interrupt
from tests.pclient.fake_pserver import TOKEN, FakePServer, samples


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


def test_quoting() -> None:
    assert shell.split("download 'my file.txt' \"it's\" a\\ b #x") == ["download", "my file.txt", "it's", "a b", "#x"]
    with pytest.raises(PClientError):
        shell.split("it's")


def test_help(desk: Desk) -> None:
    assert desk.shell("help", "help download", "help bogus") == 1
    for verb in VERBS:
        assert f"\n{verb.name}" in "\n" + desk.out.getvalue()
    assert "--save DIR" in desk.out.getvalue()
    assert "`info 2`" in desk.out.getvalue()
    assert max(map(len, desk.out.getvalue().splitlines())) <= 100


@given(st.lists(st.text(max_size=40), max_size=3))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_line_ends_the_shell_or_acts_on_the_terminal(desk: Desk, lines: list[str]) -> None:
    commands = [f"{verb} {line}" for line in lines for verb in ("info", "peers", "download --as", "")]
    ended = Desk(desk.client.api._wire.url, Path(desk.client.history_file).parent, False, None)
    ended.client.api = desk.client.api
    ended.shell(*[line for line in commands if line.strip() not in {"quit", "exit"}], "search report")
    assert ended.rows[-1][0].startswith("docs/")
    assert not {c for c in ended.said if c < " " and c != "\n"}


# Completion


@pytest.fixture
def seen() -> Seen:
    found = Seen()
    found.groups([one.group() for one in samples()], continues=False)  # type: ignore[misc]  # the fake's JSON
    found.transfers = {"00000001": "docs/report.pdf", "00000002": "same\x1b"}
    return found


def texts(line: str, seen: Seen) -> list[str]:
    return [offer.text for offer in offers(line, VERBS, seen)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("se", ["search "]),
        ("q", ["quit "]),
        ("help do", ["download "]),
        ("download --d", ["--detach "]),
        ("upload x --to c", ["carol "]),
        ("files --peer ", ["bob ", "carol ", "dave "]),
        ("download docs/r", ["docs/report.pdf "]),
        ("info report", ["'report 2025.pdf' "]),
        ("info 'report 2", ["'report 2025.pdf' "]),
        ("transfers p", ["pause "]),
        ("transfers pause 00000001", ["00000001 "]),
        ("watch 00000002", ["00000002 "]),
        ("bogus x", []),
        ("peers d", ["dave "]),
    ],
)
def test_completion(seen: Seen, line: str, expected: list[str]) -> None:
    assert texts(line, seen) == expected


def test_a_hostile_name_is_completed_by_its_id_and_shown_harmlessly(seen: Seen) -> None:
    (offer,) = offers("download evil", VERBS, seen)
    assert offer == Offer(f"id:{samples()[2].file_id} ", "evil\\x1b[31m\\n\\u202ereport.exe", 4)
    assert [one.shown for one in offers("watch 00000002", VERBS, seen)] == ["00000002  same\\x1b"]


def test_a_hostile_peer_name_is_not_offered(seen: Seen) -> None:
    seen.peer_names(["evil\x1b", "evil\u202e", "evil"])
    assert texts("files --peer ev", seen) == ["evil "]


def test_local_paths(seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my folder").mkdir()
    (tmp_path / "my folder" / "a b.txt").touch()
    (tmp_path / "my file").touch()
    (tmp_path / "my\x1bevil").touch()
    (tmp_path / ".hidden").touch()
    assert texts("add m", seen) == ["'my file' ", "'my folder/'"]
    assert texts("add 'my folder/'a", seen) == ["'my folder/a b.txt' "]
    assert texts("download x --save ", seen) == ["'my folder/'"]
    assert texts("upload .h", seen) == [".hidden "]
    assert texts("add /nowhere/x", seen) == []
    assert texts("add nul\0", seen) == []


@given(st.text(st.sampled_from("ab '\"\\-/\x1b"), max_size=20))
@settings(deadline=None)
def test_taking_a_line_apart_agrees_with_shlex(line: str) -> None:
    found = typed(line)
    assert 0 <= found.length <= len(line)
    try:
        words = shell.split(line)
    except PClientError:
        return
    if "\\" not in line:  # within double quotes shlex keeps some backslashes
        assert [*found.words, *([found.word] if found.length else [])] == words


# The line editor


@pytest.fixture
def keys() -> Iterator[PipeInput]:
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        yield pipe


def test_the_editor_remembers(keys: PipeInput, desk: Desk, tmp_path: Path) -> None:
    history = tmp_path / "state" / "pclient" / "history"
    read, ask = line_editor(history, desk.client.seen)
    keys.send_text("search report\n" + "\x03" + "answer\n" + "\x04")
    assert read("> ") == "search report"
    with pytest.raises(KeyboardInterrupt):
        read("> ")
    assert ask("really? ") == "answer"
    with pytest.raises(EOFError):
        read("> ")
    assert "search report" in history.read_text()
    assert "answer" not in history.read_text()
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert stat.S_IMODE(history.parent.stat().st_mode) == 0o700


def test_the_editor_completes(seen: Seen) -> None:
    (found,) = ShellCompleter(seen).get_completions(Document("download report"), CompleteEvent())
    assert (found.text, found.start_position, found.display_text) == ("'report 2025.pdf' ", -6, "report 2025.pdf")


def test_a_whole_session_with_keys(
    keys: PipeInput, seat: Callable[..., Desk], fake: FakePServer, tmp_path: Path
) -> None:
    desk = seat()
    read, desk.client.talk.ask_with = line_editor(tmp_path / "history", desk.client.seen)
    keys.send_text("search same\ndownload same.txt\n2\nquit\n")
    assert Shell(desk.client, read).run() == 0
    assert fake.share["same.txt"] in {b"one", b"two!"}
    assert "2 different files are called same.txt" in desk.said


def test_a_history_that_cannot_be_kept_costs_nothing_else(keys: PipeInput, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert type(open_history(tmp_path / "file" / "x" / "history")).__name__ == "InMemoryHistory"
    history = open_history(tmp_path / "gone" / "history")
    os.unlink(tmp_path / "gone" / "history")
    os.rmdir(tmp_path / "gone")
    history.append_string("a line")
    assert history.get_strings() == ["a line"]


def test_a_history_readable_by_others_is_made_private(tmp_path: Path) -> None:
    (tmp_path / "history").touch(mode=0o644)
    open_history(tmp_path / "history")
    assert stat.S_IMODE((tmp_path / "history").stat().st_mode) == 0o600


def test_no_command_is_named_like_a_word_of_the_shell() -> None:
    assert not {str(verb.name) for verb in VERBS} & {"help", "quit", "exit"}
    assert all(isinstance(verb, click.Command) for verb in VERBS)
