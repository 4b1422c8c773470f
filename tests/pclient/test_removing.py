"""remove: here, and where an upload has placed a copy."""

from collections.abc import Callable

import pytest

from tests.pclient.conftest import Desk
from tests.pclient.fake_people import FakePeople, Placed
from tests.pclient.fake_pserver import FakePServer, hex_id, samples

Seat = Callable[..., Desk]
NOTES = hex_id(b"notes")


@pytest.fixture
def anna(desk: Desk, fake: FakePServer, people: FakePeople) -> Desk:
    """Off a terminal, logged in, with a file that her uploads and one of bert's have placed."""
    fake.share = {"notes.txt": b"notes"}
    people.placed = [
        Placed("notes.txt", NOTES, "anna", "bob"),
        Placed("notes.txt", NOTES, "anna", "carol"),
        Placed("notes.txt", NOTES, "anna", "dave", away=True),
        Placed("notes.txt", NOTES, "bert", "erin"),
    ]
    desk.give("anna's secret")
    assert desk.run("login", "anna", "--password-stdin") == 0
    return desk


def test_everywhere_removes_here_and_where_own_uploads_placed_it(
    anna: Desk, fake: FakePServer, people: FakePeople
) -> None:
    assert anna.run("remove", "notes.txt", "--everywhere") == 2
    assert fake.share
    assert anna.run("remove", "notes.txt", "--everywhere", "--yes") == 0
    assert anna.said.splitlines() == [
        "removed notes.txt from your share",
        "2 peers are told to drop it: bob, carol",
        "1 peer is away, and is told when it is back",
    ]
    assert fake.share == {}
    assert [one.peer for one in people.placed] == ["erin"]
    assert anna.run("remove", "notes.txt", "--everywhere", "--yes") == 3
    assert "no peer holds a copy of notes.txt that an upload of yours placed" in anna.said


def test_without_an_own_copy_the_placed_ones_go(anna: Desk, fake: FakePServer) -> None:
    fake.share.clear()
    answer = anna.json("remove", f"id:{NOTES}", "--everywhere", "--yes")
    assert answer == {
        "name": f"id:{NOTES}",
        "file_id": NOTES,
        "ordered_present": ["bob", "carol"],
        "ordered_away": 1,
    }
    assert anna.run("remove", "nowhere.txt", "--everywhere", "--yes") == 3
    assert anna.run("remove", f"id:{NOTES[:12]}", "--everywhere", "--yes") == 2


def test_an_id_leaves_the_own_share_as_it_is(anna: Desk, fake: FakePServer) -> None:
    assert anna.run("remove", f"id:{NOTES}", "--everywhere", "--yes") == 0
    assert set(fake.share) == {"notes.txt"}


def test_the_question_says_what_will_be_deleted(anna: Desk, seat: Seat, fake: FakePServer, people: FakePeople) -> None:
    desk = seat("n", "y")
    assert desk.run("remove", "notes.txt", "--everywhere") == 1
    assert (len(people.placed), set(fake.share)) == (4, {"notes.txt"})
    assert [question.replace("\n", " ") for question in desk.questions] == [
        "Remove notes.txt (5 B) from your share and from the peers on which your uploads placed it? "
        "It is deleted from the disks. [y/N] "
    ]
    assert desk.run("remove", "notes.txt", "--everywhere") == 0


def test_an_admin_has_any_placed_copy_dropped(anna: Desk, seat: Seat, people: FakePeople) -> None:
    root = seat("root's secret", "y")
    root.run("login", "root")
    assert root.run("remove", "notes.txt", "--everywhere") == 0
    assert "on which an upload placed it?" in root.questions[-1].replace("\n", " ")
    assert people.placed == []


def test_what_is_ambiguous_is_asked_and_off_a_terminal_never_guessed(
    anna: Desk, seat: Seat, people: FakePeople
) -> None:
    two = samples()[4]
    people.placed = [Placed("same.txt", two.file_id, "anna", "carol")]
    assert anna.run("remove", "same.txt", "--everywhere", "--yes") == 1
    assert f"id:{two.file_id}" in anna.said
    assert len(people.placed) == 1
    chosen = seat("2")
    assert chosen.run("remove", "same.txt", "--everywhere", "--yes") == (0 if people.placed == [] else 3)


def test_a_folder_is_not_removed_everywhere_either(anna: Desk, fake: FakePServer) -> None:
    fake.share["docs/a.txt"] = b"1"
    assert anna.run("remove", "docs/", "--everywhere", "--yes") == 2
    assert "docs/a.txt" in fake.share


def test_accounts_that_are_off_are_told(desk: Desk, fake: FakePServer) -> None:
    fake.share = {"notes.txt": b"notes"}
    assert desk.run("remove", "notes.txt", "--everywhere", "--yes") == 1
    assert "accounts off" in desk.said
    assert fake.share
