"""Real processes in a temporary folder; all are stopped at the end, and no log may hold a traceback."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from demo.processes import DidNotHappen, Locator, Peer, Server, wait_for


class Person:
    """Somebody at a peer, who talks to its client API, with the client token or (logged in) with `session`."""

    def __init__(self, peer: Peer, session: str | None = None) -> None:
        self.peer = peer
        self.session = session

    def ask(self, method: str, path: str, expect: int | None = 200, **arguments: Any) -> Any:
        """The JSON answer (whatever the API says: Any); asserts the status unless `expect` is None."""
        token = self.session
        if token is None:
            token = (Path(self.peer.settings["PSERVER_STATE_DIR"]) / "client-token").read_text().strip()
        answer = requests.request(
            method,
            f"{self.peer.addresses['client']}/client/v1{path}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
            **arguments,
        )
        assert expect is None or answer.status_code == expect, f"{answer.status_code}: {answer.text}"
        return answer.json() if answer.content else None

    def search(self, words: str) -> Any:
        """The answer to a search."""
        return self.ask("GET", "/search", params={"words": words})

    def holders(self, what: str) -> set[str]:
        """The names of the peers that hold what is looked up; none if it is not found."""
        answer = self.ask("GET", "/lookup", expect=None, params={"what": what})
        return {h["peer"]["name"] for group in answer.get("groups", []) for h in group["holders"]}

    def start_download(self, what: str, more: dict[str, str] | None = None) -> str:
        """Begin a download (with `more` in the request) and return its transfer id."""
        answer = self.ask("POST", "/downloads", expect=None, json={"what": what} | (more or {}))
        assert "id" in answer, answer
        return str(answer["id"])

    def transfer(self, transfer_id: str) -> Any:
        """A transfer as it stands."""
        return self.ask("GET", f"/transfers/{transfer_id}")

    def ended(self, transfer_id: str, seconds: float = 60) -> Any:
        """Wait until a transfer has ended, and return it."""

        def over() -> Any:
            found = self.transfer(transfer_id)
            return found if found["state"] in {"done", "failed", "cancelled"} else None

        return wait_for(f"transfer {transfer_id} ends", over, seconds)

    def download(self, what: str, seconds: float = 60, more: dict[str, str] | None = None) -> Any:
        """Download and wait; asserts that it was done."""
        found = self.ended(self.start_download(what, more), seconds)
        assert found["state"] == "done", found
        return found


class World:
    """A locator and as many peers as a test wants."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.locator = Locator(
            folder / "locator", LOCATOR_LEASE_SECONDS="3", LOCATOR_GRACE_SECONDS="3", LOCATOR_LOG_LEVEL="debug"
        )
        self.servers: list[Server] = [self.locator]

    def peer(self, name: str, *, start: bool = True, **settings: str) -> Peer:
        """A new peer of that name, started unless told not to."""
        locators = self.locator.addresses.get("locator", "none")
        made = Peer(self.folder / name, name, locators, **{"PSERVER_KEEP_FREE": "0", **settings})
        self.servers.append(made)
        if start:
            made.start()
        return made

    def found(self, asker: Peer, what: str, *holders: str) -> None:
        """Wait until `asker` finds exactly these holders."""
        person = Person(asker)
        wait_for(
            f"{asker.name} finds {what} at {holders}, not at {person.holders(what)}",
            lambda: person.holders(what) == set(holders),
        )

    def stop(self) -> list[str]:
        """Stop all; returns what went wrong."""
        wrong = []
        for server in reversed(self.servers):
            try:
                server.stop()
            except DidNotHappen as error:
                wrong.append(str(error))
            if "Traceback" in server.log:
                wrong.append(f"{server.folder.name} logged a traceback:\n{server.log}")
        return wrong


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world with its locator running."""
    made = World(tmp_path)
    made.locator.start()
    yield made
    wrong = made.stop()
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def empty_world(tmp_path: Path) -> Iterator[World]:
    """A world whose locator was not started."""
    made = World(tmp_path)
    yield made
    wrong = made.stop()
    assert not wrong, "\n".join(wrong)
