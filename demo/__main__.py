"""Plays the main job with real processes: a locator with accounts, four peers, and the real `pclient` of each.

Each command is shown as a person would type it, with what it prints. Every byte that moved is compared. Exits with
1, and says what went wrong, if anything did; cleans up in every case.
"""

import filecmp
import functools
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demo import files
from demo.people import People
from demo.processes import DidNotHappen, Locator, Peer, Server, environment, wait_for
from demo.terminal import on_a_terminal

ARCHIVE_BYTES = 48 << 20


class Stage:
    """The processes on stage, and the means to show what a person at one of the peers does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.desk = folder / "desk"  # where the person keeps files that no share has yet
        self.key = folder / "network.key"
        self.people = People(self.desk, ("anna", "bert", "root"))
        self.locator = Locator(
            folder / "locator",
            LOCATOR_NETWORK_KEY_FILE=str(self.key),
            LOCATOR_ACCOUNTS="on",
            LOCATOR_SIGNUP="open",
        )
        self.peers: dict[str, Peer] = {}

    def say(self, text: str) -> None:
        """A line of narration."""
        print(f"\n\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)

    def play(self, name: str, command: str, *, whose: str | None = None, expect: int = 0) -> None:
        """Run a `pclient` command at that peer, in the person's folder, on this very terminal.

        `whose`: the person whose password is given on stdin.
        """
        print(f"{name}$ pclient {command}", end="", flush=True)
        settings = self.peers[name].client_environment()
        self._show(["pclient", *shlex.split(command)], settings, whose, expect)

    def tend(self, command: str, *, whose: str | None = None) -> None:
        """The same of a `central-server` command, at the locator."""
        print(f"locator$ central-server {command}", end="", flush=True)
        self._show(["central_server", *shlex.split(command)], self.locator.settings, whose, 0)

    def _show(self, command: list[str], settings: Mapping[str, str], whose: str | None, expect: int) -> None:
        stdin = None if whose is None else self.people.password_file(whose)
        print("" if stdin is None else f" --password-stdin < {stdin.name}", flush=True)
        words = command if stdin is None else [*command, "--password-stdin"]
        status = on_a_terminal([sys.executable, "-m", *words], environment(settings), self.desk, stdin)
        if status != expect:
            raise DidNotHappen(f"{' '.join(command)} ended with {status}, not with {expect}")

    def ask(self, name: str, command: str) -> Any:
        """What a command says in JSON (Any: it is as the command makes it), without showing it."""
        ended = self.peers[name].client("--json", *shlex.split(command))
        return json.loads(ended.stdout) if ended.returncode == 0 else None

    def same(self, name: str, shared: str, original: Path) -> None:
        """Compare a file in a peer's share, or all files of a folder there, with the originals, byte for byte."""
        originals = sorted(original.iterdir()) if original.is_dir() else [original]
        for one in originals:
            found = self.peers[name].share / shared / one.relative_to(original)
            if not filecmp.cmp(found, one, shallow=False):
                raise DidNotHappen(f"{found} differs from {one}")
        compared = f"{sum(one.stat().st_size for one in originals):,} bytes"
        compared += f" of {len(originals)} files" if len(originals) > 1 else ""
        print(f"  = {compared} compared: the same", flush=True)


def main() -> int:
    """Play all the acts; 0 if everything went as it should."""
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="p2p-demo-"))
    stage = Stage(folder)
    try:
        for act in ACTS:
            act(stage)
    except (DidNotHappen, OSError, subprocess.SubprocessError) as error:
        print(f"\nThe demo FAILED: {error}", file=sys.stderr)
        _show_logs(stage)
        return 1
    finally:
        _clear(stage)
    print(f"\nThe demo passed, in {time.monotonic() - began:.0f} s.")
    return 0


def open_the_stage(stage: Stage) -> None:
    """A network key, a locator and four peers, three of which share something."""
    stage.say("A network key keeps strangers' programs out; the locator and every peer have it")
    stage.tend("keygen ../network.key")
    stage.say("A locator and four peers on loopback; a, b and c share real files, d has none")
    stage.locator.start()
    for name in "abcd":
        stage.peers[name] = Peer(
            stage.folder / name, name, stage.locator.address, PSERVER_NETWORK_KEY_FILE=str(stage.key)
        )
    files.license_text(stage.peers["a"].share / "LICENSE")
    files.package("json", stage.peers["a"].share / "json")
    files.archive(stage.peers["b"].share / "archive" / "library.tar", ARCHIVE_BYTES)
    files.package("email", stage.peers["b"].share / "email")
    files.license_text(stage.peers["c"].share / "licences" / "MIT.txt")
    for peer in stage.peers.values():
        peer.start()
    for peer in stage.peers.values():
        wait_for(f"{peer.name} knows that there are accounts", functools.partial(_wants_login, peer))


def log_in(stage: Stage) -> None:
    """A stranger is refused; two people sign up, and an admin is made at the locator."""
    stage.say("the network has accounts: whoever has not logged in is refused")
    stage.play("d", "search json decoder", expect=4)
    stage.say("signup is open here: anna makes an account at d (a password is typed unseen, or given on stdin)")
    stage.play("d", "signup anna", whose="anna")
    stage.play("d", "whoami")
    stage.say("bert makes one at c; with the same account he logs in at a and b")
    stage.play("c", "signup bert", whose="bert")
    stage.play("a", "login bert", whose="bert")
    stage.play("b", "login bert", whose="bert")
    stage.say("an admin is made at the locator's machine")
    stage.tend("user add root --admin", whose="root")
    stage.tend("user list")
    for name, word in (("a", "license"), ("b", "library"), ("c", "mit")):
        wait_for(f"what {name} shares is found from d", functools.partial(_found, stage, "d", word))


def look_around(stage: Stage) -> None:
    """Status, peers, search, info."""
    stage.say("d asks its own PServer how it is, who is there, and what there is")
    stage.play("d", "status")
    stage.play("d", "peers")
    stage.play("d", "search json decoder")
    stage.say("the same bytes under two names are one file with two holders")
    stage.play("d", "info LICENSE")
    stage.play("d", "info no-such-file", expect=3)


def download(stage: Stage) -> None:
    """By name, by id, by sha256, and a folder."""
    a, b = stage.peers["a"], stage.peers["b"]
    stage.say("d downloads by name, straight from the peer that has it")
    stage.play("d", "download archive/library.tar")
    stage.same("d", "archive/library.tar", b.share / "archive" / "library.tar")
    wanted = stage.ask("d", "info json/decoder.py")["groups"][0]
    stage.say("by file id")
    stage.play("d", f"download id:{wanted['file_id']} --as decoder-by-id.py")
    stage.same("d", "decoder-by-id.py", a.share / "json" / "decoder.py")
    scanner = stage.ask("c", "info json/scanner.py")["groups"][0]
    stage.say("by sha256, as any other tool prints it; --save also writes it out beside the person")
    stage.play("c", f"download sha256:{scanner['sha256']} --as scanner.py --save .")
    stage.same("c", "scanner.py", a.share / "json" / "scanner.py")
    if not filecmp.cmp(stage.desk / "scanner.py", a.share / "json" / "scanner.py", shallow=False):
        raise DidNotHappen("the saved file differs")
    stage.say("a folder, as peer b has it")
    stage.play("d", "download email/ --from b")
    stage.same("d", "email", b.share / "email")


def upload(stage: Stage) -> None:
    """Onto a chosen peer, and onto two that the locator chooses."""
    report = files.archive(stage.desk / "report.tar", 8 << 20)
    notes = files.module("json/encoder.py", stage.desk / "notes.py")
    stage.say("d has a file of its own and makes peer c hold it")
    stage.play("d", "upload report.tar --to c")
    stage.same("c", "report.tar", report)
    stage.say("another one, onto any two peers")
    stage.play("d", "upload notes.py --replicas 2")
    holders = [name for name in "abc" if (stage.peers[name].share / "notes.py").exists()]
    if len(holders) != 2:
        raise DidNotHappen(f"two peers should hold notes.py; these do: {holders}")
    for name in holders:
        stage.same(name, "notes.py", notes)


def remove_everywhere(stage: Stage) -> None:
    """What a person's uploads placed, that person can take back, others cannot, an admin can; an absent peer hears."""
    report = stage.ask("d", "info report.tar")["groups"][0]["file_id"]
    stage.say("anna takes notes.py back: her own copy goes, and those that her upload placed")
    stage.play("d", "remove notes.py --everywhere --yes")
    wait_for(
        "no peer has notes.py", lambda: not any((peer.share / "notes.py").exists() for peer in stage.peers.values())
    )
    stage.say("what she placed, bert cannot have dropped")
    stage.play("a", f"remove id:{report} --everywhere --yes", expect=3)
    stage.say("an admin can, even while the peer that holds the copy is away: it hears of it when it is back")
    stage.peers["c"].stop()
    stage.play("a", "login root", whose="root")
    stage.play("a", f"remove id:{report} --everywhere --yes")
    stage.peers["c"].start()
    wait_for("c has dropped report.tar", lambda: not (stage.peers["c"].share / "report.tar").exists())
    stage.play("c", "files")


def a_peer_leaves(stage: Stage) -> None:
    """b stops; what it shared is still found where there is another copy."""
    stage.say("b leaves; the archive is still there, since d has a copy")
    stage.peers["b"].stop()
    stage.play("a", "peers")
    stage.play("a", "download archive/library.tar")
    stage.same("a", "archive/library.tar", stage.peers["d"].share / "archive" / "library.tar")


def the_locator_dies(stage: Stage) -> None:
    """kill -9; peers find what neighbours hold without it; then it is back, its index lost, its accounts not."""
    stage.say("the locator dies (kill -9): what neighbours hold is still found, and the answer says it is incomplete")
    stage.locator.kill()
    stage.play("c", "search report")
    stage.say("it is started again with its index lost: the peers announce all of it anew; who is logged in still is")
    stage.locator.forget()
    stage.locator.start()
    wait_for("the index is rebuilt", lambda: _complete(stage, "c", "json decoder"), 60)
    stage.play("c", "search json decoder")
    stage.play("c", "download json/decoder.py")
    stage.same("c", "json/decoder.py", stage.peers["a"].share / "json" / "decoder.py")


def _wants_login(peer: Peer) -> bool:
    return peer.client("whoami").returncode == 4


def _found(stage: Stage, name: str, words: str) -> bool:
    answer = stage.ask(name, f"search {words}")  # None while nothing is found
    return bool(answer and answer["groups"])


def _complete(stage: Stage, name: str, words: str) -> bool:
    answer = stage.ask(name, f"search {words}")
    return bool(answer and answer["groups"] and answer["complete"])


def _show_logs(stage: Stage) -> None:
    for server in (stage.locator, *stage.peers.values()):
        print(f"\n--- the end of the log of {server.folder.name}", file=sys.stderr)
        print("\n".join(server.log.splitlines()[-30:]), file=sys.stderr)


def _clear(stage: Stage) -> None:
    servers: list[Server] = [*stage.peers.values(), stage.locator]
    for server in servers:
        try:
            server.stop()
        except DidNotHappen as error:
            print(error, file=sys.stderr)
    shutil.rmtree(stage.folder)


ACTS = (
    open_the_stage,
    log_in,
    look_around,
    download,
    upload,
    remove_everywhere,
    a_peer_leaves,
    the_locator_dies,
)

if __name__ == "__main__":
    sys.exit(main())
