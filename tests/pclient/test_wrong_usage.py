"""What is typed wrongly, and how that is told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pclient.commands import VERBS
from tests.pclient.conftest import Desk
from tests.pclient.fake_pserver import FakePServer

Seat = Callable[..., Desk]


def test_wrong_usage_is_told_in_a_line(desk: Desk) -> None:
    assert desk.run("bogus\x1b[31m") == 2
    assert "\x1b" not in desk.said
    assert desk.run("download") == 2
    assert desk.run("search", "x", "--limit", "0") == 2
    assert desk.run("search", " ") == 2
    assert "at least one word" in desk.said


@pytest.mark.parametrize(
    "words",
    [
        ["info", ""],
        ["download", " "],
        ["remove", "", "--yes"],
        ["link", ""],
        ["add", ""],
        ["upload", ""],
        ["upload", "a.txt", "--to", ""],
        ["download", "a.txt", "--as", ""],
        ["download", "a.txt", "--from", ""],
        ["files", "--peer", ""],
    ],
)
def test_an_empty_name_is_told_without_asking_anybody(desk: Desk, fake: FakePServer, words: list[str]) -> None:
    assert desk.run(*words) == 2
    assert "is empty: say which" in desk.said
    assert fake.requests == []


def test_how_many_replicas_there_can_be(desk: Desk, fake: FakePServer) -> None:
    fake.share = {"a.txt": b"1"}
    for number in ("0", "65", "x"):
        assert desk.run("upload", "a.txt", "--replicas", number) == 2
    assert desk.run("upload", "a.txt", "--replicas", "64") == 0


@pytest.mark.parametrize("words", ["info id:2ab8047cf829", "download id:2AB8", "link sha256:2ab8"])
def test_a_short_id_is_told_to_be_one(desk: Desk, fake: FakePServer, words: str) -> None:
    assert desk.run(*words.split()) == 2
    assert "has 64 digits" in desk.said
    assert "pclient info NAME" in desk.said
    assert fake.requests == []


@pytest.mark.parametrize("width", [20, 40, 60])
def test_on_a_narrow_terminal_talk_breaks_between_words(seat: Seat, width: int) -> None:
    desk = seat(width=width)
    assert desk.run("transfers", "1", "2") == 2
    lines = desk.said.replace("\x1b[31m", "").replace("\x1b[0m", "").splitlines()
    assert max(map(len, lines)) <= max(width, len("pause|resume|cancel"))
    assert " ".join(line.strip() for line in lines).startswith("error: say: transfers, or transfers ID, or transfers")


def test_off_a_terminal_talk_is_one_line(url: str, tmp_path: Path) -> None:
    desk = Desk(url, tmp_path, terminal=False, answers=None, width=20)
    assert desk.run("transfers", "1", "2") == 2
    assert desk.said.count("\n") == 1


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
