"""People, with real processes: logging in, what a session opens, uploads in a person's name, removing everywhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.processes import Peer, wait_for
from tests.end_to_end.conftest import Person, World

pytestmark = pytest.mark.long  # they wait for leases and for what peers believe for ten seconds
PASSWORD = "correct horse battery"


@pytest.fixture
def people(tmp_path: Path) -> Iterator[World]:
    """A world whose locator has accounts on, and signup open."""
    made = World(tmp_path)
    made.locator.settings |= {"LOCATOR_ACCOUNTS": "on", "LOCATOR_SIGNUP": "open"}
    made.locator.start()
    yield made
    wrong = made.stop()
    assert not wrong, "\n".join(wrong)


def sign_up(peer: Peer, user: str) -> Person:
    """A new person of that name, logged in at `peer`."""
    begun = Person(peer, "").ask("POST", "/signup", 201, json={"user": user, "password": PASSWORD})
    return Person(peer, begun["session"])


def log_in(peer: Peer, user: str) -> Person:
    """The person of that name, logged in at `peer`."""
    return Person(peer, Person(peer, "").ask("POST", "/login", json={"user": user, "password": PASSWORD})["session"])


def code(answer: Any) -> str:
    return str(answer["code"])


def share(world: World, person: Person, name: str, content: bytes) -> str:
    """Put a file into the share of that person's peer, and wait until the locator knows; its file id."""
    (person.peer.share / name).write_bytes(content)
    wait_for(f"{name} is found", lambda: person.holders(name) == {person.peer.name})
    return str(person.ask("GET", f"/files/{name}")["file_id"])


def upload(person: Person, name: str, *to: str) -> Any:
    """Upload, and wait until it ended or stands still."""
    begun = person.ask("POST", "/uploads", 202, json={"name": name, "to": list(to)})

    def over() -> Any:
        found = person.transfer(begun["id"])
        return found if found["state"] in {"done", "failed", "paused"} else None

    return wait_for("the upload ends", over)


def gone(peer: Peer, name: str) -> None:
    wait_for(f"{name} is gone from {peer.name}", lambda: not (peer.share / name).exists())


def test_sessions_at_two_peers(people: World) -> None:
    a, b = people.peer("a"), people.peer("b")
    assert code(Person(a).ask("GET", "/status", 401)) == "login_required"
    ann = sign_up(a, "ann")
    assert ann.ask("GET", "/whoami")["user"] == "ann"
    assert code(Person(b, "").ask("POST", "/login", 401, json={"user": "ann", "password": "x"})) == "wrong_login"
    assert code(Person(b, "").ask("POST", "/signup", 409, json={"user": "ann", "password": PASSWORD})) == "user_taken"
    there = log_in(b, "ann")
    assert Person(b, ann.session).ask("GET", "/whoami")["user"] == "ann", "a session is good at every peer"
    ann.ask("POST", "/logout", 204, json={"everywhere": True})
    assert code(ann.ask("GET", "/whoami", 401)) == "login_required"
    wait_for("b hears of it", lambda: there.ask("GET", "/whoami", None).get("code") == "login_required", 30)
    secrets = [PASSWORD, str(ann.session), str(there.session)]
    assert not [secret for secret in secrets for server in people.servers if secret in server.log]
    kept = b"".join(path.read_bytes() for path in people.folder.rglob("*") if path.is_file())
    assert not [secret for secret in secrets if secret.encode() in kept], "in no file, of the locator or of a peer"


def test_a_disabled_account_and_a_locator_that_is_away(people: World) -> None:
    a = people.peer("a")
    ann, bob = sign_up(a, "ann"), sign_up(a, "bob")
    assert people.locator.command("user", "disable", "bob").returncode == 0
    wait_for("bob is out", lambda: bob.ask("GET", "/whoami", None).get("code") == "login_required", 30)
    people.locator.stop()
    wait_for("a notices", lambda: Person(a).ask("GET", "/whoami", None).get("role") == "owner", 30)
    assert ann.ask("GET", "/whoami")["user"] == "ann", "within the grace"
    assert code(Person(a, "").ask("POST", "/login", 503, json={"user": "ann", "password": PASSWORD})) == "unavailable"
    people.locator.start()
    wait_for("accounts are in force again", lambda: Person(a).ask("GET", "/whoami", None).get("code"), 30)
    assert ann.ask("GET", "/whoami")["accounts"]


def test_uploads_and_removing_them_everywhere(people: World) -> None:
    a, b, c, away = (people.peer(name) for name in ("a", "b", "c", "away"))
    ann, bob = sign_up(a, "ann"), sign_up(c, "bob")
    at_b = log_in(b, "ann")
    share(people, ann, "one.txt", b"placed by ann at b and away")
    share(people, ann, "two.txt", b"placed by ann and by bob")
    share(people, ann, "three.txt", b"placed by ann, and downloaded by its host")
    for name in ("one.txt", "two.txt", "three.txt"):
        assert upload(ann, name, "b")["state"] == "done"
    assert upload(ann, "one.txt", "away")["state"] == "done"
    bob.download("two.txt")
    assert upload(bob, "two.txt", "b")["state"] == "done"
    at_b.download("three.txt")
    away.stop()
    wait_for("away is away", lambda: "away" not in ann.holders("one.txt"))

    ordered = [ann.ask("DELETE", f"/files/{name}", params={"everywhere": 1}) for name in ("one.txt", "two.txt")]
    assert [(one["removed"], one["ordered_present"], one["ordered_away"]) for one in ordered] == [
        (True, ["b"], 1),
        (True, ["b"], 0),
    ]
    three = ann.ask("GET", "/files/three.txt")["file_id"]
    assert ann.ask("POST", "/drops", json={"what": f"id:{three}"})["ordered_present"] == ["b"]
    assert (a.share / "three.txt").exists() and not (a.share / "one.txt").exists()
    gone(b, "one.txt")
    away.start()
    gone(away, "one.txt")
    wait_for("nobody has it", lambda: not bob.holders("one.txt"))
    assert (b.share / "two.txt").exists() and (b.share / "three.txt").exists()
    two = bob.ask("GET", "/files/two.txt")["file_id"]
    bob.ask("POST", "/drops", json={"what": f"id:{two}"})
    gone(b, "two.txt")
    assert (b.share / "three.txt").exists() and (c.share / "two.txt").exists()


def test_an_upload_needs_a_person(empty_world: World) -> None:
    people = empty_world
    # b is known for a while after it died: nothing can be offered to it before a was restarted.
    people.locator.settings |= {"LOCATOR_ACCOUNTS": "on", "LOCATOR_SIGNUP": "open", "LOCATOR_LEASE_SECONDS": "60"}
    people.locator.start()
    a, b = people.peer("a"), people.peer("b")
    ann = sign_up(a, "ann")
    share(people, ann, "file.bin", b"x" * 100_000)
    wait_for("b is found", lambda: len(ann.ask("GET", "/peers")["peers"]) == 2)
    b.kill()
    begun = ann.ask("POST", "/uploads", 202, json={"name": "file.bin", "to": ["b"]})
    a.kill()
    a.start()
    b.start()
    wait_for("it stands still", lambda: "log in" in (ann.transfer(begun["id"])["standstill"] or ""))
    assert not (b.share / "file.bin").exists()
    ann.ask("POST", f"/transfers/{begun['id']}/resume")
    assert ann.ended(begun["id"])["state"] == "done"
    assert (b.share / "file.bin").read_bytes() == b"x" * 100_000
