"""The suite's own processes for benchmarks: a locator, peers, and a person who asks a peer by its REST API."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.lab import Lab
from demo.processes import DidNotHappen, Locator, Peer, Server, wait_for

NETWORK_KEY = "the key of a network that lives for one benchmark"
_POLL_SECONDS = 0.01
_STATES_OF_AN_END = frozenset({"done", "failed", "cancelled", "paused"})


class Person:
    """What the client of `peer` does, by bare HTTP: it costs the two sides little. In `node` of a lab, or here."""

    def __init__(self, peer: Peer, lab: Lab | None = None, node: int = 0) -> None:
        self.peer = peer
        self._lab, self._node = lab, node
        token = Path(peer.settings["PSERVER_STATE_DIR"]) / "client-token"
        self._headers = {"Authorization": f"Bearer {token.read_text()}", "Content-Type": "application/json"}
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """What the client API answers, or None for "not found". Any: its JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.peer.addresses["client"] + path, data, self._headers, method=method)
        try:
            with self._there(), self._opener.open(request, timeout=60) as response:
                said = response.read()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise DidNotHappen(f"{method} {path}: {error.code} {error.read().decode()}") from None
        return json.loads(said) if said else None

    def find(self, what: str) -> Any:
        """The group that a lookup finds, or None. Any: JSON."""
        found = self.ask("GET", "/client/v1/lookup?" + urllib.parse.urlencode({"what": what}))
        return found["groups"][0] if found and found["groups"] else None

    def download(self, what: str, name: str | None = None, source: str | None = None) -> str:
        """Begin a download; its id."""
        begun = self.ask("POST", "/client/v1/downloads", {"what": what, "as": name, "from": source})
        if begun is None:
            raise DidNotHappen(f"{what} is not found")
        return str(begun["id"])

    def transfer(self, transfer_id: str) -> Any:
        """How it stands. Any: JSON."""
        return self.ask("GET", f"/client/v1/transfers/{transfer_id}")

    def wait(self, transfer_id: str, seconds: float, poll_seconds: float = _POLL_SECONDS) -> None:
        """Until it is done; DidNotHappen if it ends otherwise or does not in time."""
        ends = time.monotonic() + seconds
        while (now := self.transfer(transfer_id))["state"] not in _STATES_OF_AN_END:
            if time.monotonic() > ends:
                raise DidNotHappen(f"{self.peer.name}: not done after {seconds:g} s: {now}")
            time.sleep(poll_seconds)
        if now["state"] != "done":
            raise DidNotHappen(f"{self.peer.name}: the transfer ended as {now['state']}: {now['error']}")

    def await_checked(self, name: str) -> None:
        """Wait for the pass that a peer makes over a downloaded file, so that it does not disturb who comes next."""
        path = "/client/v1/files/" + urllib.parse.quote(name)
        wait_for(f"{self.peer.name} has checked {name}", lambda: self.ask("GET", path)["sha256_checked"], 120)

    def forget(self, name: str) -> None:
        """Remove a file from the own share, and wait until the locator no longer knows of it."""
        file_id = self.ask("GET", "/client/v1/files/" + urllib.parse.quote(name))["file_id"]
        self.ask("DELETE", "/client/v1/files/" + urllib.parse.quote(name))
        wait_for(f"{self.peer.name} no longer holds {name}", lambda: not self._holds(file_id))

    def _holds(self, file_id: str) -> bool:
        group = self.find(f"id:{file_id}")
        return group is not None and any(one["peer"]["name"] == self.peer.name for one in group["holders"])

    @contextmanager
    def _there(self) -> Iterator[None]:
        if self._lab is None:
            yield
        else:
            with self._lab.inside(self._node):
                yield


class Network:
    """A locator and peers, on loopback or each in a node of a lab. A context manager: all end with it.

    In a lab the locator is in node 1, which has to be there, and peers where they are told to be.
    """

    def __init__(self, folder: Path, lab: Lab | None = None) -> None:
        self._folder = folder
        self._lab = lab
        self._servers: list[Server] = []

    def __enter__(self) -> "Network":
        settings = {"LOCATOR_NETWORK_KEY": NETWORK_KEY}
        if self._lab is not None:
            settings["LOCATOR_LISTEN"] = f"{self._lab.address(1)}:51015"
        self.locator = Locator(self._folder / "locator", **settings)
        try:
            self._start(self.locator, 1)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as stack:  # one that does not end keeps no other from ending
            for server in self._servers:
                stack.callback(server.stop)

    def peer(self, name: str, node: int = 0, share: Path | None = None, **settings: str) -> Person:
        """Start a peer; `share`: a folder that may have files already."""
        wanted = {"PSERVER_NETWORK_KEY": NETWORK_KEY, "PSERVER_KEEP_FREE": "0"} | settings
        if share is not None:
            wanted["PSERVER_SHARE_DIR"] = str(share)
        if self._lab is not None:
            wanted["PSERVER_LISTEN"] = f"{self._lab.address(node)}:8001"
        peer = Peer(self._folder / name, name, self.locator.address, **wanted)
        self._start(peer, node)
        return Person(peer, self._lab, node)

    def _start(self, server: Server, node: int) -> None:
        self._servers.append(server)
        if self._lab is None:
            server.start()
        else:
            with self._lab.inside(node):
                server.start()


def wait_until_found(person: Person, what: str, holders: Sequence[str], seconds: float = 120) -> str:
    """Wait until `person` finds `what` at all these peers (by name); its file id."""

    def found() -> str | None:
        group = person.find(what)
        if group is None or not set(holders) <= {one["peer"]["name"] for one in group["holders"]}:
            return None
        return str(group["file_id"])

    return wait_for(f"{what} is found at {', '.join(holders)}", found, seconds)


def status_kib(server: Server, field: str) -> int:
    """A size in KiB from /proc/PID/status: VmHWM is the peak of the resident memory, VmRSS what it is now."""
    assert server.process is not None
    with open(f"/proc/{server.process.pid}/status") as status:
        for line in status:
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
    raise KeyError(field)
