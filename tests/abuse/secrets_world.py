"""A little network with everything on, whose secrets are known, and where they must not be. No tests here."""

import re
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import requests

from demo.processes import Peer, wait_for
from tests.end_to_end.conftest import World

# What a signed token of ours (a peer's, a link, a grant) and a session look like.
_SIGNED = re.compile(r"eyJ[\w-]{10,}\.eyJ[\w-]{20,}\.[\w-]{20,}")
_SESSION = re.compile(r"p2ps_[\w-]{20,}")


class Secretive:
    """Two peers and a locator, with a network key, accounts, DEBUG logs; it remembers what was answered."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.known: dict[str, str] = {"network key": secrets.token_hex(32)}
        for word in ("password", "new password", "wrong password"):
            self.known[word] = f"{word.split()[0]}-{secrets.token_urlsafe(16)}"
        self.said: list[str] = []  # what programs printed, and what errors said
        key = self.known["network key"]
        world.locator.settings |= {
            "LOCATOR_NETWORK_KEY": key,
            "LOCATOR_ACCOUNTS": "on",
            "LOCATOR_SIGNUP": "open",
            "LOCATOR_LOG_LEVEL": "debug",
        }
        world.locator.start()
        file = world.folder / "network.key"
        file.touch(mode=0o600)
        file.write_text(key)
        self.a = world.peer("a", PSERVER_NETWORK_KEY=key, PSERVER_LOG_LEVEL="debug")
        self.b = world.peer("b", PSERVER_NETWORK_KEY_FILE=str(file), PSERVER_LOG_LEVEL="debug")
        for peer in (self.a, self.b):
            wait_for("there are accounts", lambda peer=peer: self.client(peer, "whoami").returncode == 4)  # type: ignore[misc]
            self.known[f"client token of {peer.name}"] = (peer.folder / "state" / "client-token").read_text().strip()

    def client(self, peer: Peer, *words: str, given: str = "") -> "CompletedProcess[str]":
        """One command of the client, whatever comes of it."""
        done = peer.client(*words, given=given)
        self.said += [done.stdout, done.stderr]
        return done

    def ask(self, method: str, url: str, token: str = "", **arguments: Any) -> requests.Response:
        """One request; what an error says is remembered."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = requests.request(method, url, headers=headers | arguments.pop("headers", {}), timeout=30, **arguments)
        if answer.status_code >= 400:
            self.said.append(f"{answer.headers}\n{answer.text}")
        return answer

    def learn_keys(self) -> None:
        """The private keys of all, a line of each."""
        for path in self.world.folder.rglob("*.key"):
            lines = [line for line in path.read_text().splitlines() if line and not line.startswith("-")]
            if path.name != "network.key" and lines:
                self.known[f"the key in {path}"] = lines[0]

    def logs(self) -> str:
        """All logs of all processes."""
        return "\n".join(server.log for server in self.world.servers)


def found_in(text: str, known: dict[str, str]) -> list[str]:
    """Which of the secrets, and what looks like a token, is in the text."""
    found = [name for name, secret in known.items() if secret in text]
    return found + [f"a token: {each[:24]}..." for each in [*_SIGNED.findall(text), *_SESSION.findall(text)]]


def open_to_others(root: Path) -> list[Path]:
    """The files below that others on this machine can read: no folder on the way keeps them out."""
    found: list[Path] = []
    for path in root.iterdir():
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            if mode & 0o011:
                found += open_to_others(path)
        elif stat.S_ISREG(mode) and mode & 0o044:
            found.append(path)
    return found


@contextmanager
def watched_arguments() -> Iterator[set[str]]:
    """The command lines of all processes that ran meanwhile, as `ps` of anybody shows them."""
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()
