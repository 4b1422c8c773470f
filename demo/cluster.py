"""A cluster for playing, which stays until it is taken down: `make up`, `make client`, `make down`."""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TypedDict

from demo import files
from demo.people import People
from demo.processes import DidNotHappen, Locator, Peer, Server, environment, wait_for

FOLDER = Path(".cluster")
NAMES = ("a", "b", "c", "d")
_PERSON_AT = {"a": "anna", "b": "anna", "c": "bert", "d": "bert"}
_ADMIN = "root"


class _Recorded(TypedDict):
    pid: int
    module: str
    client: dict[str, str]


def up() -> int:
    """Start a locator with accounts and four peers with something to share, log people in, and say how to use them."""
    recorded = _recorded()
    living = _living(recorded)
    if living:
        print(_why_not_up(recorded, living), file=sys.stderr)
        return 1
    if recorded:
        print("What was up is dead; its files are removed, and it starts anew.", file=sys.stderr)
    down()
    folder = FOLDER.absolute()
    key = folder / "network.key"
    people = People(folder / "people", sorted({*_PERSON_AT.values(), _ADMIN}))
    locator = Locator(
        folder / "locator", LOCATOR_NETWORK_KEY_FILE=str(key), LOCATOR_ACCOUNTS="on", LOCATOR_SIGNUP="open"
    )
    servers: list[Server] = [locator]
    try:
        _done(locator.command("keygen", str(key)))
        locator.start()
        _done(locator.command("user", "add", _ADMIN, "--admin", "--password-stdin", given=people.password(_ADMIN)))
        peers = [Peer(folder / name, name, locator.address, PSERVER_NETWORK_KEY_FILE=str(key)) for name in NAMES]
        _fill(peers)
        for peer in peers:
            servers.append(peer)
            peer.start()
        _log_in(peers, people)
        for peer in peers:
            wait_for(f"peer {peer.name} has indexed its share", functools.partial(_indexed, peer))
    finally:
        _record(servers)
    for peer in peers:
        print(f"peer {peer.name}: {_PERSON_AT[peer.name]} is logged in, shares {peer.share}")
    print(f"\nAccounts: {', '.join(people.names)} ({_ADMIN} is an admin); passwords: {FOLDER}/people. Signup is open.")
    print("\nmake client          the interactive client of peer a\nmake client PEER=b   that of peer b")
    print("make down            stop all and remove .cluster")
    return 0


def client(name: str) -> NoReturn:
    """Become the interactive client of the peer of that name."""
    recorded = _recorded()
    living = _living(recorded)
    if not living:
        sys.exit(f"Nothing is up{', what was is dead' if recorded else ''}. To start it: make up")
    if name not in set(recorded) & set(NAMES):
        sys.exit(f"There is no peer {name!r}; there are: {', '.join(sorted(set(recorded) & set(NAMES)))}")
    if name not in living:
        sys.exit(f"Peer {name} is dead. To start all anew: make down, then make up")
    os.execve(sys.executable, [sys.executable, "-m", "pclient"], environment(recorded[name]["client"]))


def down() -> int:
    """Stop all and remove the folder."""
    recorded = _recorded()
    for one in reversed(list(recorded.values())):
        _stop(one["pid"], one["module"])
    shutil.rmtree(FOLDER, ignore_errors=True)
    return 0


def _living(recorded: Mapping[str, _Recorded]) -> set[str]:
    return {name for name, one in recorded.items() if _is_ours(one["pid"], one["module"])}


def _why_not_up(recorded: Mapping[str, _Recorded], living: set[str]) -> str:
    dead = ", ".join(sorted(set(recorded) - living))
    if dead:
        return f"It is up in part, but dead: {dead}. To start all anew: make down, then make up"
    return "It is up already (make client opens its client, make down stops it)."


def _log_in(peers: list[Peer], people: People) -> None:
    """Each person makes an account at the first of their peers, and with it logs in at the others."""
    known: set[str] = set()
    for peer in peers:
        who = _PERSON_AT[peer.name]
        verb = "login" if who in known else "signup"
        _done(peer.client(verb, who, "--password-stdin", given=people.password(who)))
        known.add(who)


def _done(ended: "subprocess.CompletedProcess[str]") -> None:
    if ended.returncode != 0:
        raise DidNotHappen(f"{' '.join(ended.args[2:])} failed: {ended.stderr.strip()}")


def _indexed(peer: Peer) -> bool:
    status = json.loads(peer.client("--json", "status").stdout)
    shared = sum(path.is_file() for path in peer.share.rglob("[!.]*"))
    return bool(status["share"]["files"] == shared)


def _fill(peers: list[Peer]) -> None:
    a, b, c, _ = peers
    files.license_text(a.share / "LICENSE")
    files.package("json", a.share / "json")
    files.archive(b.share / "library.tar", 200 << 20)
    files.package("email", b.share / "email")
    files.module("json/decoder.py", c.share / "decoder.py")


def _record(servers: list[Server]) -> None:
    recorded: dict[str, _Recorded] = {}
    for server in servers:
        name = server.name if isinstance(server, Peer) else "locator"
        settings = server.client_environment() if isinstance(server, Peer) and server.addresses else {}
        recorded[name] = {
            "pid": server.process.pid if server.process else 0,
            "module": server.module,
            "client": settings,
        }
    (FOLDER / "cluster.json").write_text(json.dumps(recorded))


def _recorded() -> dict[str, _Recorded]:
    with suppress(FileNotFoundError, ValueError):
        return json.loads((FOLDER / "cluster.json").read_text())  # type: ignore[no-any-return]  # what _record wrote
    return {}


def _stop(pid: int, module: str) -> None:
    """End the process, if it is still the one that was started and no other that got its number."""
    if not _is_ours(pid, module):
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    wait_for(f"process {pid} ends", lambda: not _is_ours(pid, module))


def _is_ours(pid: int, module: str) -> bool:
    process = Path(f"/proc/{pid}")
    try:
        words, settings = (process / "cmdline").read_bytes().split(b"\0"), (process / "environ").read_bytes()
    except OSError:
        return False
    return module.encode() in words and bytes(FOLDER.absolute()) in settings


def main() -> int:
    """`up`, `down` or `client [NAME]`."""
    match sys.argv[1:]:
        case ["up"]:
            try:
                return up()
            except DidNotHappen as error:
                print(f"{error}\nTo clear up what did start: make down", file=sys.stderr)
                return 1
        case ["down"]:
            return down()
        case ["client", *names]:
            client(names[0] if names else "a")
    print("usage: python -m demo.cluster up | client [NAME] | down", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
