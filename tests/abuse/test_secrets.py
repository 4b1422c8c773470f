"""No secret leaves: not in logs at DEBUG, not in process arguments, errors, or files that others can read."""

import json
from pathlib import Path

import pytest

from demo.processes import wait_for
from tests.abuse.secrets_world import Secretive, found_in, open_to_others, watched_arguments
from tests.end_to_end.conftest import World

pytestmark = [pytest.mark.abuse, pytest.mark.timeout(300)]


def people_come_and_go(net: Secretive) -> None:
    """All that is done with passwords and sessions, wrong ones too."""
    password, new, wrong = (net.known[word] for word in ("password", "new password", "wrong password"))
    assert net.client(net.a, "signup", "anna", "--password-stdin", given=f"{password}\n").returncode == 0
    for user, tried in (("anna", wrong), ("nobody", wrong), ("anna", ""), ("an na", wrong)):
        assert net.client(net.b, "login", user, "--password-stdin", given=f"{tried}\n").returncode != 0
    net.client(net.a, "passwd", "--password-stdin", given=f"{wrong}\n{new}\n")
    assert net.client(net.a, "passwd", "--password-stdin", given=f"{password}\n{new}\n").returncode == 0
    assert net.client(net.b, "login", "anna", "--password-stdin", given=f"{new}\n").returncode == 0
    url = f"{net.a.addresses['client']}/client/v1/login"
    begun = net.ask("POST", url, json={"user": "anna", "password": new})
    net.known["a session"] = begun.json()["session"]
    for body in ({"user": "anna", "password": [wrong]}, {"user": wrong, "password": wrong}, {"password": wrong}):
        net.ask("POST", url, json=body)
    net.ask(
        "POST",
        url,
        data=json.dumps({"user": "anna", "password": wrong})[:-1],
        headers={"Content-Type": "application/json"},
    )
    net.ask("POST", f"{url}?password={wrong}", json={})


def files_move(net: Secretive) -> None:
    """The other commands of the client, and what fails of them."""
    (net.a.share / "a.txt").write_text("a" * 5000)
    (net.b.share / "b.txt").write_text("b" * 5000)
    wait_for("b.txt is found", lambda: net.client(net.a, "info", "b.txt").returncode == 0)
    wait_for("a.txt is here", lambda: net.client(net.b, "info", "a.txt").returncode == 0)
    linked = net.client(net.a, "--json", "link", "a.txt")
    net.said.pop(-2)  # the link is what was asked for
    net.known["a link"] = json.loads(linked.stdout)["url"].split("/links/")[1].split("/")[0]
    for words in (
        ["status"], ["peers"], ["files"], ["search", "txt"], ["download", "b.txt"], ["upload", "a.txt", "--to", "b"],
        ["transfers"], ["download", "nothing.txt"], ["info", "id:" + "0" * 64], ["remove", "nothing.txt"], ["whoami"],
        ["upload", "/nowhere"], ["files", "--peer", "nobody"], ["transfers", "cancel", "00000000"], ["nonsense"],
    ):  # fmt: skip
        net.client(net.a, *words)


def strangers_try(net: Secretive) -> None:
    """Requests in which secrets stand where they do not belong, or which are wrong in other ways."""
    link, session = net.known["a link"], net.known["a session"]
    peer, client = net.a.addresses["peer"], net.a.addresses["client"]
    for path in (
        f"file/{link}",
        link,
        f"{link}/file/x%00",
        f"{link}x/file/a.txt",
        f"{link}/torrent/a",
        f"{link}/none/a",
    ):
        net.ask("GET", f"{peer}/peer/v1/links/{path}")
    assert net.ask("GET", f"{peer}/peer/v1/links/{link}/file/a.txt", headers={"Range": "bytes=9-1"}).status_code == 200
    net.ask("GET", f"{peer}/peer/v1/links/{link}/file/a.txt", headers={"Range": "bytes=99999999-"})
    for token in (link, session, net.known["client token of b"], net.known["network key"]):
        assert net.ask("GET", f"{peer}/peer/v1/ping?nonce={'0' * 32}", token).status_code == 401
        net.ask("GET", f"{client}/client/v1/files/none", token)
        net.ask("GET", f"{client}/client/v1/nowhere", token)
        net.ask("BREW", f"{client}/client/v1/status", token)
        net.ask("POST", f"{client}/client/v1/downloads", token, data="{", headers={"Content-Type": "application/json"})
        net.ask("GET", f"{client}/client/v1/status", token, headers={"Host": "elsewhere.example"})
        net.ask("GET", f"{client}/client/v1/status", token, headers={"X-Long": "x" * 300_000})


def test_secrets_stay_where_they_belong(empty_world: World) -> None:
    net = Secretive(empty_world)
    with watched_arguments() as arguments:
        people_come_and_go(net)
        files_move(net)
        strangers_try(net)
        net.client(net.b, "logout")
    net.learn_keys()
    assert len(net.known) >= 11 and len(arguments) > 10
    assert found_in(net.logs(), net.known) == []
    assert found_in("\n".join(arguments), net.known) == []
    assert found_in("\n".join(net.said), net.known) == []
    _kept_from_others(net)
    _kept_in_no_file(net)


def _kept_from_others(net: Secretive) -> None:
    """Of what the processes wrote, others can read nothing but what is shared (and the logs that this test made)."""
    found = open_to_others(net.world.folder)
    shares = [net.a.share, net.b.share]
    assert [path for path in found if path.name != "log" and not any(share in path.parents for share in shares)] == []


def _kept_in_no_file(net: Secretive) -> None:
    """Passwords, sessions of others and links are in no file at all; nor in the databases, but for their hashes."""
    kept = {name: net.known[name] for name in ("password", "new password", "wrong password", "a session", "a link")}
    files = [path for path in net.world.folder.rglob("*") if path.is_file() and "share" not in path.parts]
    assert any(path.name == "client-token" for path in files)
    assert {str(path): found for path in files if (found := _found(path, kept))} == {}
    holding = {path.name for path in files if net.known["network key"].encode() in path.read_bytes()}
    assert holding == {"network.key"}


def _found(path: Path, kept: dict[str, str]) -> list[str]:
    content = path.read_bytes()
    return [name for name, secret in kept.items() if secret.encode() in content]
