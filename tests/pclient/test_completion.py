"""What the shell remembers and offers, and its line editor."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from pclient import shell
from pclient.commands import VERBS
from pclient.completion import Offer, offers, typed
from pclient.model import PClientError
from pclient.prompt import ShellCompleter, line_editor, open_history
from pclient.seen import Seen
from pclient.shell import Shell
from tests.pclient.conftest import Desk
from tests.pclient.fake_pserver import FakePServer, Remote, samples


@pytest.fixture
def seen() -> Seen:
    found = Seen()
    found.groups([one.group() for one in samples()], continues=False)  # type: ignore[misc]  # the fake's JSON
    found.transfers.add({"00000001": "docs/report.pdf", "00000002": "same\x1b"})
    return found


def texts(line: str, seen: Seen) -> list[str]:
    return [offer.text for offer in offers(line, VERBS, seen)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("se", ["search "]),
        ("q", ["quit "]),
        ("help dow", ["download "]),
        ("download --d", ["--detach "]),
        ("remove --e", ["--everywhere "]),
        ("remove docs/r", ["docs/report.pdf "]),
        ("log", ["login ", "logout "]),
        ("logout --", ["--everywhere ", "--json "]),
        ("signup --p", ["--password-stdin "]),
        ("upload x --to c", ["carol "]),
        ("files --peer ", ["bob ", "carol ", "dave "]),
        ("download docs/r", ["docs/report.pdf "]),
        ("info report", ["'report 2025.pdf' "]),
        ("info 'report 2", ["'report 2025.pdf' "]),
        ("transfers p", ["pause "]),
        ("transfers pause 00000001", ["00000001 "]),
        ("transfers cancel a", ["all "]),
        ("transfers 0000", ["00000001 ", "00000002 "]),
        ("watch 00000002", ["00000002 "]),
        ("bogus x", []),
        ("peers d", ["dave "]),
    ],
)
def test_completion(seen: Seen, line: str, expected: list[str]) -> None:
    assert texts(line, seen) == expected


def test_the_newest_list_is_offered_first_and_each_in_its_own_order() -> None:
    found = Seen()

    def listed(names: str, continues: bool = False) -> None:
        found.groups([Remote(n.encode(), [("bob", n)]).group() for n in names.split()], continues)  # type: ignore[misc]

    listed("a1 a2 a3")
    listed("a5 a2 a4")
    listed("a0 a6", continues=True)  # the second page
    assert texts("info a", found) == ["a5 ", "a2 ", "a4 ", "a0 ", "a6 ", "a1 ", "a3 "]
    found.begun([{"id": "2", "label": "new"}, {"id": "1", "label": "old"}])  # type: ignore[typeddict-item]
    assert texts("watch ", found) == ["2 ", "1 "]


def test_what_was_seen_is_bounded() -> None:
    found = Seen()
    for number in range(8):
        found.peer_names([f"{number}-{one}" for one in range(1000)])
    offered = [name for name, _ in found.peers.items()]
    assert len(offered) == 5000
    assert (offered[0], offered[-1]) == ("7-0", "3-999")


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
