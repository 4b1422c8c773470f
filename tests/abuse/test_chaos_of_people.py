"""People place files on each other's peers, cancel that, and want them gone, while everything is killed and stopped.

Afterwards: no wrong byte, no lost account, nothing of dead transfers, and no placed copy that nobody can have dropped.
"""

import contextlib
import hashlib
import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from demo.processes import Locator, Peer, Server, wait_for

pytestmark = pytest.mark.abuse
SEED = 20251120
BLOWS = 12  # kill -9 or SIGSTOP, of anybody
SIZES = (1_000, 60_000, 400_000, 3_000_000, 9_000_000)
PASSWORD = "correct horse"
NETWORK_KEY = hashlib.sha256(b"the key of this town").hexdigest()
_ENDED = {"done", "cancelled"}


class Household:
    """A peer and its person. `originals`: name to sha256 of the files that it had from the beginning."""

    def __init__(self, folder: Path, name: str, locator: Locator) -> None:
        self.peer = Peer(folder / name, name, locator.address, PSERVER_NETWORK_KEY=NETWORK_KEY, PSERVER_KEEP_FREE="0")
        self.originals: dict[str, str] = {}
        self.downloads: set[str] = set()  # names that this household asked for
        self.failures: list[str] = []
        self._session = ""
        for size in SIZES:
            content = random.Random(f"{SEED}{name}{size}").randbytes(size)
            (self.peer.share / f"{name}-{size}.bin").write_bytes(content)
            self.originals[f"{name}-{size}.bin"] = hashlib.sha256(content).hexdigest()

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """The JSON answer; None where there is none, or the peer is dead."""
        url, headers = f"{self.peer.addresses['client']}/client/v1{path}", {"Authorization": f"Bearer {self._session}"}
        try:
            answer = requests.request(method, url, headers=headers, timeout=20, **more)
        except requests.RequestException:
            return None
        if answer.status_code >= 500 and answer.status_code not in {503, 507}:
            self.failures.append(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def begin(self, verb: str) -> bool:
        """Sign up, or log in. The session is kept."""
        said = self.ask("POST", f"/{verb}", json={"user": f"user-{self.peer.name}", "password": PASSWORD}) or {}
        self._session = said.get("session", self._session)
        return "session" in said

    def transfers(self) -> list[Any]:
        return list((self.ask("GET", "/transfers") or {"transfers": [{"id": "?", "state": "unknown"}]})["transfers"])

    def drop(self, name: str) -> None:
        """Want the copies of an own file gone everywhere else."""
        found = self.ask("GET", f"/files/{name}") or {}
        self.ask("POST", "/drops", json={"what": f"id:{found.get('file_id', '0' * 64)}"})

    def shared(self) -> dict[str, bytes]:
        """What the peer has indexed: name to file id."""
        return {one["name"]: bytes.fromhex(one["file_id"]) for one in self.ask("GET", "/files")["files"]}

    def clear_up(self) -> bool:
        """End all that has not ended; whether nothing was left."""
        left = [one["id"] for one in self.transfers() if one["state"] not in _ENDED]
        for transfer_id in left:
            self.ask("DELETE", f"/transfers/{transfer_id}")
        return not left


class Town:
    """A locator and three households."""

    def __init__(self, folder: Path) -> None:
        people = {"LOCATOR_ACCOUNTS": "on", "LOCATOR_SIGNUP": "open", "LOCATOR_NETWORK_KEY": NETWORK_KEY}
        self.locator = Locator(folder / "locator", LOCATOR_LEASE_SECONDS="3", LOCATOR_GRACE_SECONDS="3", **people)
        self.locator.start()
        self.houses = [Household(folder, name, self.locator) for name in "abc"]
        self.servers: list[Server] = [*(house.peer for house in self.houses), self.locator]

    def originals(self) -> dict[str, str]:
        return {name: sha256 for house in self.houses for name, sha256 in house.originals.items()}

    def placements(self) -> set[tuple[bytes, str, str]]:
        """What the locator knows: file id, user, target."""
        path = self.locator.folder / "accounts.sqlite"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            rows = db.execute("SELECT file_id, name, target FROM placements JOIN users USING (user_no)").fetchall()
        return {(file_id, user, target.hex()) for file_id, user, target in rows}

    def orders_wait(self) -> bool:
        path = self.locator.folder / "accounts.sqlite"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return bool(db.execute("SELECT 1 FROM placements WHERE order_id IS NOT NULL").fetchall())


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path)
    try:
        for house in made.houses:
            house.peer.start()
        for house in made.houses:
            wait_for("they have signed up", partial(house.begin, "signup"))
        yield made
    finally:
        for server in made.servers:
            server.stop()
    assert not [server.folder.name for server in made.servers if "Traceback" in server.log]


def live(town: Town, house: Household, chance: random.Random, enough: threading.Event) -> None:
    """One thing after another."""
    own = list(house.originals)[1:]  # the smallest is downloaded only, the next both, the others placed only
    others = [other.peer.name for other in town.houses if other is not house]
    while not enough.wait(chance.uniform(0, 0.1)):
        name = chance.choice(own)
        match chance.choice(("upload", "regret", "regret", "cancel", "drop", "download", "search")):
            case "upload":
                house.ask("POST", "/uploads", json={"name": name, "to": [chance.choice(others)]})
            case "regret":
                house.ask("POST", "/uploads", json={"name": name, "to": others})
                enough.wait(chance.uniform(0, 0.6))
                house.drop(name)
            case "cancel":
                begun = house.ask("POST", "/uploads", json={"name": name, "to": others}) or {}
                enough.wait(chance.uniform(0, 0.3))
                house.ask("DELETE", f"/transfers/{begun.get('id', '0' * 8)}")
            case "drop":
                house.drop(name)
            case "download":
                wanted = chance.choice(
                    [name for name in town.originals() if name.endswith(("-1000.bin", "-60000.bin"))]
                )
                house.downloads.add(wanted)
                house.ask("POST", "/downloads", json={"what": wanted})
            case _:
                house.ask("GET", "/search", params={"words": "bin"})


def strike(server: Server, chance: random.Random, pause: Callable[[float], object]) -> None:
    if chance.random() < 0.5:
        server.kill()
        pause(chance.uniform(0, 0.8))
        server.start()
    else:
        server.freeze()
        pause(chance.uniform(0.1, 4))
        server.thaw()


def suffer(town: Town) -> None:
    chance, enough = random.Random(SEED), threading.Event()
    threads = [
        threading.Thread(target=live, args=(town, house, random.Random(f"{SEED}{house.peer.name}{number}"), enough))
        for house in town.houses
        for number in range(2)
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in range(BLOWS):
            enough.wait(chance.uniform(0.3, 1.5))
            strike(chance.choice(town.servers), chance, enough.wait)
    finally:
        enough.set()
        for thread in threads:
            thread.join()


def notes(house: Household) -> set[tuple[bytes, str, bool]]:
    """Who placed what there, as the peer has noted it: file id, user, whether it has landed."""
    path = Path(house.peer.settings["PSERVER_STATE_DIR"]) / "transfers.sqlite"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT file_id, user, landed FROM placed").fetchall()
    return {(file_id, user, bool(landed)) for file_id, user, landed in rows}


def has_no_partials(peer: Peer) -> bool:
    return not list((peer.share / ".p2p-partial").iterdir())


def assert_all_is_well(town: Town, house: Household) -> None:
    peer, originals, known = house.peer, town.originals(), notes(house)
    own_id = house.ask("GET", "/status")["peer"]["peer_id"]
    shared = house.shared()
    for path in peer.share.glob("[!.]*"):
        plain = path.name.replace(" (2)", "").replace(" (3)", "")
        assert hashlib.sha256(path.read_bytes()).hexdigest() == originals[plain], path.name
        if plain not in house.originals and plain not in house.downloads:
            placed_by = {user for file_id, user, _ in known if file_id == shared[path.name]}
            assert placed_by, f"nobody's: {path.name}"
            assert "" not in placed_by, f"was taken for the host's: {path.name}"
    nobody_can_drop = {(file_id, user, own_id) for file_id, user, _ in known if user} - town.placements()
    assert not nobody_can_drop
    assert all(landed for _, _, landed in known)
    assert not house.failures
    assert peer.process is not None and psutil.Process(peer.process.pid).num_fds() < 200


def test_whatever_happens_each_copy_is_right_and_somebodys(town: Town) -> None:
    suffer(town)
    for house in town.houses:
        wait_for("they log in", partial(house.begin, "login"), 60)
    wait_for("nothing is under way", lambda: all([house.clear_up() for house in town.houses]), 60)  # noqa: C419  # each
    wait_for("all orders are carried out", lambda: not town.orders_wait(), 60)
    for house in town.houses:
        wait_for("its partial files are gone", partial(has_no_partials, house.peer))
        assert_all_is_well(town, house)
    assert not [one.folder.name for one in town.servers if " ERROR " in one.log or "internal error" in one.log]
