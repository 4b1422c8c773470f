"""Who uses the PServer: signup, login, logout, whoami, passwd."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pclient.model import Refused
from pclient.wire import is_loopback
from tests.pclient.conftest import Desk
from tests.pclient.fake_people import EXPIRES, FakePeople
from tests.pclient.fake_pserver import TOKEN, FakePServer

Seat = Callable[..., Desk]


@pytest.fixture
def anna(desk: Desk, people: FakePeople) -> Iterator[Desk]:
    """Off a terminal, logged in."""
    desk.give("anna's secret")
    assert desk.run("login", "anna", "--password-stdin") == 0
    yield desk
    said = desk.said + desk.out.getvalue()
    assert "secret" not in said and "p2ps_" not in said


def shown(fake: FakePServer) -> str:
    """What the last request proved itself with."""
    return fake.headers[-1].get("Authorization", "").removeprefix("Bearer ")


def test_a_login_is_asked_for_and_then_used(seat: Seat, fake: FakePServer, people: FakePeople) -> None:
    desk = seat("anna", "anna's secret")
    assert desk.run("login") == 0
    assert desk.questions == ["User: ", "(unseen) Password of anna: "]
    assert desk.said.startswith("logged in as anna, until 2027-01-")
    assert desk.out.getvalue() == ""
    (secret,) = people.sessions
    assert desk.run("peers") == 0
    assert shown(fake) == secret
    assert secret in seat().client.credentials.file.path.read_text()  # and by the next program


def test_a_stranger_is_told_to_log_in(desk: Desk, people: FakePeople) -> None:
    for command in (["peers"], ["whoami"], ["passwd", "--password-stdin"], ["logout", "--everywhere"], ["upload", "x"]):
        assert desk.run(*command) == 4
        assert desk.said.startswith("error: nobody is logged in: log in with `pclient login`"), command


def test_without_a_token_to_read_one_can_log_in(desk: Desk, fake: FakePServer, people: FakePeople) -> None:
    def no_token() -> str:
        raise Refused("there is no client token")

    desk.client.credentials.read_token = no_token
    assert desk.run("peers") == 4
    assert "log in with `pclient login`" in desk.said
    desk.give("anna's secret")
    assert desk.run("login", "anna", "--password-stdin") == 0
    assert desk.run("peers") == 0
    fake.people = None
    assert desk.run("peers") == 4
    assert "there is no client token" in desk.said


def test_a_wrong_login_is_refused_and_changes_nothing(anna: Desk, people: FakePeople) -> None:
    before = dict(people.sessions)
    anna.give("anna's secret?")
    assert anna.run("login", "anna", "--password-stdin") == 4
    assert anna.said == "error: there is no such user, the password is wrong, or the account is disabled\n"
    people.wait = 90
    anna.give("x")
    assert anna.run("login", "anna", "--password-stdin") == 4
    assert anna.said == "error: too many tries (try again in 1 min 30 s)\n"
    assert people.sessions == before
    assert anna.run("peers") == 0


def test_a_session_that_ended_says_log_in_again(anna: Desk, people: FakePeople) -> None:
    people.sessions.clear()
    assert anna.run("peers") == 4
    assert anna.said == "error: the session of anna has ended: log in again with `pclient login`\n"


def test_a_new_login_in_another_program_is_noticed(anna: Desk, seat: Seat, people: FakePeople) -> None:
    (first,) = people.sessions
    other = seat("", "anna's secret")
    assert other.run("login") == 0
    assert other.questions[0] == "User [anna]: "
    assert first not in people.sessions, "the session that was replaced has ended"
    assert anna.run("peers") == 0


def test_with_accounts_off_a_session_does_not_stand_in_the_way(anna: Desk, fake: FakePServer) -> None:
    fake.people, people = None, fake.people
    assert anna.run("peers") == 0
    assert shown(fake) == TOKEN
    before = len(fake.requests)
    assert anna.run("status") == 0
    assert len(fake.requests) == before + 1, "what was accepted last is shown first"
    fake.people = people
    assert anna.run("whoami") == 0
    assert anna.rows == [["anna", "member", str(EXPIRES)]]


def test_without_a_locator_the_token_counts(anna: Desk, fake: FakePServer, people: FakePeople) -> None:
    people.away = True
    assert anna.run("peers") == 0
    assert shown(fake) == TOKEN
    people.away = False
    assert anna.run("whoami") == 0
    assert anna.rows[0][0] == "anna"
    people.away, fake.token = True, "of another user's PServer"
    assert anna.run("peers") == 1
    assert "whose session it is cannot be asked" in anna.said


def test_signup_asks_twice_for_a_good_password(seat: Seat, people: FakePeople) -> None:
    desk = seat("short", "long enough", "long enugh", "long enough", "long enough")
    assert desk.run("signup", "bert") == 0
    assert desk.questions == [
        *["(unseen) A password for bert: "] * 2,
        "(unseen) The same again: ",
        "(unseen) A password for bert: ",
        "(unseen) The same again: ",
    ]
    assert "a password has 8 to 256 characters" in desk.said and "were not the same" in desk.said
    assert people.passwords["bert"] == "long enough"
    assert seat("carl", "").run("signup") == 1
    assert "carl" not in people.passwords


def test_a_signup_that_is_refused(desk: Desk, people: FakePeople) -> None:
    desk.give("long enough")
    assert desk.run("signup", "anna", "--password-stdin") == 4
    assert "the name anna is taken" in desk.said
    people.signup_open = False
    desk.give("long enough")
    assert desk.run("signup", "bert", "--password-stdin") == 4
    assert "ask an admin" in desk.said
    desk.give("short")
    assert desk.run("signup", "bert", "--password-stdin") == 2
    assert set(people.passwords) == {"anna", "root"}


def test_accounts_that_are_off_are_told_before_a_password_is_asked_for(seat: Seat) -> None:
    desk = seat("long enough", "long enough")
    for command in ("login", "signup"):
        assert desk.run(command, "anna") == 1
        assert desk.questions == [] and "nobody has to log in" in desk.said


def test_the_owner_of_a_peer_without_accounts(desk: Desk) -> None:
    assert desk.run("whoami") == 0
    assert desk.rows == [["", "owner", ""]]
    assert desk.run("logout") == 0
    assert desk.said == "nobody was logged in\n"


def test_logout(anna: Desk, seat: Seat, people: FakePeople) -> None:
    people.begin("anna")
    assert anna.json("logout") == {"logged_out": "anna"}
    assert len(people.sessions) == 1
    assert not anna.client.credentials.file.path.exists()
    again = seat("anna's secret")
    again.run("login", "anna")
    assert again.run("logout", "--everywhere") == 0
    assert people.sessions == {}
    assert again.said == "anna is logged out everywhere\n"


def test_a_logout_that_fails_can_be_tried_again_and_one_that_comes_too_late_is_one(
    anna: Desk, fake: FakePServer, people: FakePeople
) -> None:
    def unavailable(handler: object) -> bool:
        handler.answer(503, b"busy", {"Content-Type": "text/plain"})  # type: ignore[attr-defined]  # the fake's
        return True

    fake.answer_all = unavailable
    assert anna.run("logout") == 1
    assert anna.client.credentials.file.path.exists()
    fake.answer_all = None
    people.sessions.clear()
    assert anna.run("logout", "--everywhere") == 4
    assert anna.run("logout") == 0
    assert not anna.client.credentials.file.path.exists()


def test_passwd_ends_the_other_sessions_and_keeps_this_one(anna: Desk, fake: FakePServer, people: FakePeople) -> None:
    people.begin("anna")
    anna.give("wrong password", "the new secret")
    asked = len(fake.requests)
    assert anna.run("passwd", "--password-stdin") == 4
    assert anna.said == "error: the old password is wrong: nothing was changed\n"
    assert len(fake.requests) == asked + 1, "a wrong password is tried once"
    anna.give("anna's secret", "the new secret")
    assert anna.run("passwd", "--password-stdin") == 0
    assert (people.passwords["anna"], len(people.sessions)) == ("the new secret", 1)
    assert anna.run("peers") == 0


def test_passwd_on_a_terminal_asks_for_the_old_one_and_twice_for_the_new(seat: Seat, people: FakePeople) -> None:
    desk = seat("anna's secret", "anna's secret", "the new secret", "the new secret")
    assert desk.json("login", "anna") == {"user": "anna", "role": "member", "expires": EXPIRES}
    desk.client.talk.as_json = False
    assert desk.run("passwd") == 0
    assert [question.removeprefix("(unseen) ") for question in desk.questions[1:]] == [
        "The old password of anna: ",
        "The new one: ",
        "The same again: ",
    ]
    said = desk.said.replace("\n", " ")
    assert said.startswith("anna has a new password; all other sessions have ended. Logged in here, until 2027")
    assert people.passwords["anna"] == "the new secret"


def test_whoami_on_a_terminal(seat: Seat, fake: FakePServer, people: FakePeople) -> None:
    desk = seat("root's secret")
    desk.run("login", "root")
    assert "logged in as root (admin), until" in desk.said
    assert desk.json("whoami") == {"accounts": True, "user": "root", "role": "admin", "expires": EXPIRES}
    desk.client.talk.as_json = False
    assert desk.run("whoami") == 0
    assert desk.out.getvalue().startswith("root (admin), logged in until 2027-01-")
    fake.people = None
    assert desk.run("whoami") == 0
    assert desk.out.getvalue().startswith("the owner of this PServer")


@pytest.mark.parametrize("command", ["login", "signup"])
def test_a_password_is_never_an_argument(desk: Desk, people: FakePeople, command: str) -> None:
    assert desk.run(command, "anna", "anna's secret") == 2
    assert "never part of the command" in desk.said and "secret" not in desk.said


def test_nobody_to_ask_and_nothing_given(desk: Desk, seat: Seat, people: FakePeople) -> None:
    assert desk.run("login", "anna") == 2
    assert "--password-stdin" in desk.said
    assert desk.run("login") == 2
    assert desk.run("login", "anna", "--password-stdin") == 1
    assert "no password was given" in desk.said
    desk.give("not UTF-8: \udcff")
    assert desk.run("login", "anna", "--password-stdin") == 2
    assert seat().run("login", "anna", "--password-stdin") == 2, "stdin is a terminal, which would show it"
    assert seat("").run("login") == 1
    assert people.sessions == {}


@pytest.mark.parametrize("command", [["login", "anna"], ["signup", "anna"]])
def test_no_password_goes_over_an_open_way(tmp_path: Path, command: list[str]) -> None:
    desk = Desk("http://pserver.example:8101", tmp_path, False, None)
    desk.give("anna's secret")
    assert desk.run(*command, "--password-stdin") == 4
    assert "no password is sent to http://pserver.example:8101" in desk.said


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [("localhost", True), ("127.0.0.9", True), ("::1", True), ("10.0.0.1", False), ("localhost.example", False)],
)
def test_what_stays_on_this_machine(host: str, is_ours: bool) -> None:
    assert is_loopback(host) is is_ours


def test_the_shell_says_who_is_logged_in(seat: Seat, people: FakePeople) -> None:
    desk = seat("anna's secret")
    desk.client.talk.colour = False
    assert desk.shell("peers", "pclient login anna", "logout") == 0
    assert desk.prompts == ["pclient> ", "pclient> ", "anna@alice> ", "alice> "]
    assert desk.said.startswith("nobody is logged in: log in with `pclient login`")
    assert "peer alice, 0 files shared" in desk.said
    assert "error: nobody is logged in" in desk.said  # of `peers`


def test_no_secret_is_in_what_is_shown_of_an_error(anna: Desk, fake: FakePServer, people: FakePeople) -> None:
    fake.people = None
    assert anna.run("peers") == 0  # the session was refused, the token accepted: both are remembered
    proofs = anna.client.credentials
    shown = f"{proofs!r} {proofs.session!r}"
    assert "p2ps_" not in shown and TOKEN not in shown
