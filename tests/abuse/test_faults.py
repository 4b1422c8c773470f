"""ENOSPC, EIO and EMFILE in a running peer, while it downloads, takes uploads, indexes and serves.

Of each fault: nothing that failed is said to be done, and nothing wrong gets a name or reaches another peer; when the
fault ends, the same process does it all; no descriptor stays open.
"""

import secrets
from base64 import b64encode
from collections.abc import Callable
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import requests

from demo.processes import Peer, wait_for
from tests.abuse import faults
from tests.end_to_end.conftest import Person, World

pytestmark = [pytest.mark.abuse, pytest.mark.timeout(300)]

MIB = 1 << 20
TUS = {"Tus-Resumable": "1.0.0"}


class Victim:
    """The peer that suffers, what it has, and what it is asked to do."""

    def __init__(self, world: World, **settings: str) -> None:
        self.source = world.peer("source", start=False)
        self.peer = world.peer("victim", start=False, PSERVER_LOG_LEVEL="debug", **settings)
        self.own = self.write(self.peer, "own.bin", 3 * MIB)
        self.big = self.write(self.source, "big.bin", 24 * MIB)
        self.later = self.write(self.source, "later.bin", 3 * MIB)
        self.source.start()
        self.peer.start()
        self.person, self.other = Person(self.peer), Person(self.source)
        world.found(self.source, "own.bin", "victim")
        world.found(self.peer, "big.bin", "source")
        world.found(self.peer, "later.bin", "source")
        self.sent = secrets.token_bytes(5 * MIB)

    @staticmethod
    def write(peer: Peer, name: str, size: int) -> bytes:
        data = secrets.token_bytes(size)
        (peer.share / name).write_bytes(data)
        return data

    def tus(self, method: str, path: str = "", **arguments: Any) -> requests.Response:
        """One request of tus."""
        token = (Path(self.peer.settings["PSERVER_STATE_DIR"]) / "client-token").read_text().strip()
        headers = {**TUS, "Authorization": f"Bearer {token}", **arguments.pop("headers", {})}
        url = path if path.startswith("http") else self.peer.addresses["client"] + (path or "/client/v1/tus")
        return requests.request(method, url, headers=headers, timeout=30, **arguments)

    def create(self, name: str) -> requests.Response:
        """Begin to send `sent`."""
        said = {
            "Upload-Length": str(len(self.sent)),
            "Upload-Metadata": f"filename {b64encode(name.encode()).decode()}",
        }
        return self.tus("POST", headers=said)

    def send_rest(self, path: str) -> requests.Response:
        """Send what is missing."""
        offset = int(self.tus("HEAD", path).headers["Upload-Offset"])
        said = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        return self.tus("PATCH", path, headers=said, data=self.sent[offset:])

    def try_all(self) -> str:
        """Ask for all while the fault lasts; what says that it was done must have been. The id of the download."""
        for name in ("hurt.txt", "docs/hurt too.txt"):
            (self.peer.share / name).parent.mkdir(exist_ok=True)
            (self.peer.share / name).write_bytes(name.encode() * 1000)
        transfer = quietly(lambda: self.person.start_download("big.bin"))
        made = quietly(lambda: self.create("during.bin"))
        if made is not None and made.status_code == 201:
            done = quietly(lambda: self.send_rest(made.headers["Location"]))
            if done is not None and done.status_code == 204:
                self.holds(done.headers["P2P-Name"], self.sent)
        fetched = quietly(lambda: self.other.start_download("own.bin", {"as": "fetched.bin"}))
        if transfer is not None:
            self.settle(transfer)
        if fetched is not None:
            wait_for("the other peer's download moves or stands", lambda: self.other.transfer(fetched), 20)
        self.nothing_wrong()
        return transfer or ""

    def settle(self, transfer: str) -> None:
        """Wait until the download stands still, or has ended; done means that it is there."""

        def told() -> Any:
            found = quietly(lambda: self.person.transfer(transfer))
            return found and (found["state"] in {"done", "failed", "paused"} or found["standstill"]) and found

        found = quietly(lambda: wait_for("the download says what is wrong", told, 15))
        if found is not None and found["state"] == "done":
            self.holds("big.bin", self.big)

    def nothing_wrong(self) -> None:
        """What has a name in a share is right."""
        expected = {
            "big.bin": self.big, "later.bin": self.later, "own.bin": self.own, "fetched.bin": self.own,
            "during.bin": self.sent, "after.bin": self.sent, "hurt.txt": b"hurt.txt" * 1000,
            "hurt too.txt": b"docs/hurt too.txt" * 1000,
        }  # fmt: skip
        for share in (self.peer.share, self.source.share):
            for path in share.rglob("[!.]*"):
                if path.is_file() and ".p2p-partial" not in path.parts:
                    name = path.name.replace(" (2)", "")
                    assert sha256(path.read_bytes()).digest() == sha256(expected[name]).digest(), path

    def holds(self, name: str, data: bytes) -> None:
        assert (self.peer.share / name.replace("%20", " ")).read_bytes() == data

    def all_works(self, world: World, transfer: str) -> None:
        """The fault is over: everything can be done, by the same process."""
        if transfer:
            wait_for("the failed download can go on", lambda: self.goes_on(transfer), 60)
        else:
            self.person.download("big.bin")
        assert self.person.download("later.bin")["state"] == "done"
        made = wait_for("an upload can begin", lambda: created(self.create("after.bin")), 30)
        wait_for("an upload is taken", lambda: self.send_rest(made).status_code == 204, 30)
        wait_for("the victim is a member again", lambda: "victim" in self.other.holders("own.bin"), 60)
        assert self.other.download("own.bin", more={"as": "fetched.bin"})["state"] == "done"
        for name in ("hurt.txt", "docs/hurt too.txt", "big.bin", "later.bin", "after.bin"):
            wait_for(f"{name} is announced", lambda name=name: "victim" in self.other.holders(name), 60)  # type: ignore[misc]
        self.nothing_wrong()

    def goes_on(self, transfer: str) -> bool:
        found = self.person.transfer(transfer)
        if found["state"] in {"failed", "paused"}:
            self.person.ask("POST", f"/transfers/{transfer}/resume", expect=None)
        return bool(found["state"] == "done")


def created(answer: requests.Response) -> str | None:
    return answer.headers["Location"] if answer.status_code == 201 else None


def quietly(ask: Callable[[], Any]) -> Any:
    """What was answered; None if there was no right answer, as may be while the fault lasts."""
    try:
        return ask()
    except (requests.RequestException, AssertionError, KeyError):
        return None


def suffer(world: World, victim: Victim, fault: Callable[[], AbstractContextManager[None]]) -> None:
    """Let it work before, during and after the fault."""
    victim.person.ask("GET", "/status")
    before = faults.files_open(victim.peer)
    with fault():
        transfer = victim.try_all()
    victim.all_works(world, transfer)
    faults.no_leak(victim.peer, before)


@pytest.mark.skipif(bool(faults.MISSING), reason=f"not installed (Debian: fiu-utils): {', '.join(faults.MISSING)}")
@pytest.mark.parametrize("fault", sorted(faults.CALLS))
def test_calls_that_fail(world: World, tmp_path: Path, fault: str) -> None:
    victim = Victim(world, **faults.faulty(tmp_path))
    suffer(world, victim, lambda: faults.failing(victim.peer, fault))


@pytest.mark.parametrize("spare", [0, 3])
def test_descriptors_run_out(world: World, spare: int) -> None:
    victim = Victim(world)
    suffer(world, victim, lambda: faults.without_descriptors(victim.peer, spare))
