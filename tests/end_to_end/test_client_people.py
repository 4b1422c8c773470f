"""What the client says and does about people, where only a real locator and real PServers show whether it is right."""

import json
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from demo.processes import Locator, Peer, wait_for
from tests.end_to_end.conftest import World

pytestmark = pytest.mark.long  # passwords are slow to hash, and to notice an ended session takes ten seconds
PASSWORD = "correct horse battery"


class Network(World):
    """A world whose locator has accounts on; anybody may sign up."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.locator = Locator(folder / "locator", LOCATOR_ACCOUNTS="on", LOCATOR_SIGNUP="open")
        self.servers = [self.locator]

    def member(self, name: str) -> Peer:
        """A new peer, once it knows that there are accounts."""
        peer = self.peer(name)
        wait_for(f"{name} wants a login", lambda: peer.client("whoami").returncode == 4)
        return peer


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    made = Network(tmp_path)
    made.locator.start()
    yield made
    wrong = made.stop()
    assert not wrong, "\n".join(wrong)


def log_in(peer: Peer, verb: str = "login", user: str = "anna", password: str = PASSWORD) -> "CompletedProcess[str]":
    return peer.client(verb, user, "--password-stdin", given=f"{password}\n")


def good(ended: "CompletedProcess[str]") -> str:
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_person_logs_in_and_out(network: Network) -> None:
    a = network.member("a")
    stranger = a.client("files")
    assert stranger.returncode == 4
    assert stranger.stderr.startswith("error: nobody is logged in: log in with")
    good(log_in(a, "signup", "Anna"))
    assert good(a.client("whoami")).startswith("anna\tmember\t")
    taken = log_in(a, "signup")
    assert (taken.returncode, "taken" in taken.stderr) == (4, True)
    assert log_in(a, password="another one").returncode == 4
    good(a.client("passwd", "--password-stdin", given=f"{PASSWORD}\n{PASSWORD}!\n"))
    good(a.client("files"))
    good(a.client("logout"))
    assert a.client("files").returncode == 4
    assert list(a.folder.rglob("sessions/*")) == []


def test_sessions_end_everywhere_and_with_the_account(network: Network) -> None:
    a, b = network.member("a"), network.member("b")
    good(log_in(a, "signup"))
    good(log_in(b))
    good(b.client("files"))
    good(a.client("logout", "--everywhere"))
    wait_for("b has noticed", lambda: "anna has ended: log in again" in b.client("files").stderr, 15)
    good(log_in(b))
    assert good(network.locator.command("user", "disable", "anna"))
    wait_for("b has noticed", lambda: b.client("files").returncode == 4, 15)
    assert log_in(b).returncode == 4
    assert good(b.client("logout")) == ""


def test_too_many_tries_are_told_when_to_try_again(network: Network) -> None:
    a = network.member("a")
    said = wait_for("it is slowed down", lambda: _slowed(log_in(a)))
    assert "try again in" in said


def _slowed(ended: "CompletedProcess[str]") -> str:
    assert ended.returncode == 4, ended.stderr
    return ended.stderr if "too many" in ended.stderr.lower() else ""


def test_without_the_locator_people_go_on(network: Network) -> None:
    a = network.member("a")
    good(log_in(a, "signup"))
    good(a.client("files"))
    network.locator.kill()
    good(a.client("files"))
    a.stop()
    a.start()  # it knows no session now, nor that there are accounts: the token of its owner will do
    good(a.client("files"))
    network.locator.start()
    wait_for("it is registered", lambda: good(a.client("whoami")).startswith("anna\t"))


def test_an_upload_whose_session_has_ended_says_log_in_and_goes_on_after_it(network: Network) -> None:
    a, b = network.member("a"), network.member("b")
    good(log_in(a, "signup"))
    (network.folder / "notes.txt").write_text("notes")
    b.kill()  # the locator knows it for a while, and nothing can be offered to it
    begun = a.client("--json", "upload", str(network.folder / "notes.txt"), "--to", "b", "--detach")
    transfer = json.loads(good(begun))["transfers"][0]["id"]
    a.kill()
    a.start()
    wait_for("a is registered", lambda: good(a.client("whoami")).startswith("anna\t"))
    b.start()
    wait_for("it says so", lambda: "log in, then resume it" in a.client("transfers", transfer).stdout, 60)
    good(a.client("transfers", "resume", transfer))
    wait_for("b has it", (b.share / "notes.txt").exists, 60)
    good(a.client("remove", "notes.txt", "--everywhere", "--yes"))
    wait_for("b has it no more", lambda: not (b.share / "notes.txt").exists())
