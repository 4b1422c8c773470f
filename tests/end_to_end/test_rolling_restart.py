"""An upgrade as the docs describe it: every process is restarted in turn (SIGTERM) while people go on working.

All that is asked for is done in the end, every byte is right, and nobody is told that a file does not exist which
does. A person whose own PServer is just away (exit code 5) tries again, as a person does.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import requests

from demo.processes import DidNotHappen, Peer, Server, wait_for
from tests.end_to_end.conftest import Person, World
from tests.end_to_end.test_main_job import MIB, make_file, same

FILES, ROUNDS, ENOUGH = 400, 2, 8
NOT_THERE = 5  # pclient's exit code if its own PServer does not answer
_PATIENCE = 90.0


def _name(number: int) -> str:
    return f"file-{number:03}.bin"


@dataclass
class Seen:
    """What happened, by whoever it happened to."""

    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def goes_on(self) -> bool:
        return not self.over.is_set() and not self.wrong


class Streams:
    """People at the peers c and d who work without a pause. Each file lies at a and at b from the start."""

    def __init__(self, peers: dict[str, Peer], outside: Path) -> None:
        self.seen = Seen()
        self._peers, self._outside = peers, outside

    def download_by_terminal(self) -> None:
        """At c, one after the other: `pclient download`."""
        for name in self._names(0):
            self._patiently("download", self._peers["c"], "download", name)
            if not same(self._peers["a"].share / name, self._peers["c"].share / name):
                self.seen.wrong.append(f"{name} is not at c as it is at a")

    def download_by_rest(self) -> None:
        """At d, by the client API; a transfer is followed over restarts by its id."""
        person = Person(self._peers["d"])
        for name in self._names(1):
            begun = _in_time(person, "POST", "/downloads", {"what": name})
            if "id" not in begun:
                self.seen.wrong.append(f"download of {name} at d: {begun}")
                return
            ended = self._ended(person, begun["id"])
            if ended["state"] != "done" or not same(self._peers["a"].share / name, self._peers["d"].share / name):
                self.seen.wrong.append(f"{name} at d: {ended}")
                return
            self.seen.done["rest"] += 1

    def upload_by_terminal(self) -> None:
        """At c: `pclient upload` of a new file, which some other peer is to hold, too."""
        for name in self._names(2):
            path = make_file(self._outside / f"up-{name}", MIB + 7, name.encode())
            said = self._patiently("upload", self._peers["c"], "upload", str(path))
            copies = [peer.share / path.name for peer in self._peers.values() if f"\t{peer.name}\t" in said]
            if not copies or not all(same(path, copy) for copy in copies):
                self.seen.wrong.append(f"{path.name} is not where it was uploaded to: {said}")

    def look_up(self) -> None:
        """At each peer in turn: a file that a and b hold is never "not found"."""
        while self.seen.goes_on():
            for peer in self._peers.values():
                self._look_up_at(peer)
            self.seen.over.wait(0.05)

    def _look_up_at(self, peer: Peer) -> None:
        try:
            answer = Person(peer).ask("GET", "/lookup", None, params={"what": _name(FILES - 1)})
        except requests.RequestException:
            return  # it is just away
        if "groups" in answer:
            self.seen.done["lookup"] += 1
            if not answer["groups"][0]["holders"]:
                self.seen.wrong.append(f"{peer.name} says that nobody holds it: {answer}")
        elif answer["code"] == "not_found":
            self.seen.wrong.append(f"{peer.name} says that there is no such file: {answer}")
        else:
            self.seen.done[f"lookup {answer['code']}"] += 1

    def _names(self, place: int) -> Iterator[str]:
        for number in range(place, FILES - 1, 3):
            if not self.seen.goes_on():
                return
            yield _name(number)

    def _patiently(self, what: str, peer: Peer, *words: str) -> str:
        """What it says once it is done. Any other exit code than "not reachable" is wrong: AssertionError."""

        def tried() -> CompletedProcess[str] | None:
            ended = peer.client(*words, seconds=_PATIENCE)
            return ended if ended.returncode != NOT_THERE else None

        ended = wait_for(f"{words} at {peer.name}", tried, _PATIENCE)
        assert ended.returncode == 0, f"{words} at {peer.name}: {ended.returncode} {ended.stdout} {ended.stderr}"
        self.seen.done[what] += 1
        return ended.stdout

    def _ended(self, person: Person, transfer_id: str) -> dict[str, Any]:
        def over() -> dict[str, Any] | None:
            found = _in_time(person, "GET", f"/transfers/{transfer_id}")
            return None if found["state"] in {"queued", "running"} else found

        return wait_for(f"{transfer_id} ends at {person.peer.name}", over, _PATIENCE)


def _in_time(person: Person, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
    """The answer of a peer that may just be away."""

    def ask() -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = person.ask(method, path, None, json=body)
        except requests.RequestException:
            return None
        return answer

    return wait_for(f"{person.peer.name} answers", ask, _PATIENCE)


@contextmanager
def _working(streams: Streams) -> Iterator[Seen]:
    """All of them at once; whatever one of them stumbles over is wrong."""

    def kept(work: Callable[[], None]) -> None:
        try:
            work()
        except (DidNotHappen, AssertionError, KeyError, OSError) as error:
            streams.seen.wrong.append(f"{work.__name__}: {type(error).__name__} {error}")

    works = (streams.download_by_terminal, streams.download_by_rest, streams.upload_by_terminal, streams.look_up)
    threads = [threading.Thread(target=kept, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield streams.seen
    finally:
        streams.seen.over.set()
        for thread in threads:
            thread.join()


def _restart(server: Server) -> None:
    assert server.stop() == 0, server.log
    server.start()


def _all_well(world: World, peers: dict[str, Peer]) -> bool:
    """What the docs tell to wait for before the next one: each peer is ready, and what a and b hold is known."""
    holders = [Person(peer).holders(_name(FILES - 1)) for peer in peers.values()]
    return all({"a", "b"} == each for each in holders)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_rolling_restart_under_load_loses_nothing(world: World) -> None:
    peers = {name: world.peer(name, start=False, PSERVER_UPLOAD_RATE=str(2 * MIB)) for name in "abcd"}
    for number in range(FILES):
        for holder in "ab":
            make_file(peers[holder].share / _name(number), MIB + number, b"%d" % number)
    for peer in peers.values():
        peer.start()
    wait_for("a and b are known to hold it all", lambda: _all_well(world, peers))
    with _working(Streams(peers, world.folder)) as seen:
        for _ in range(ROUNDS):
            for server in (world.locator, *peers.values()):
                before = seen.done.copy()
                _restart(server)
                wait_for("all is well again", lambda: seen.wrong or _all_well(world, peers), 60)
                wait_for("work goes on", lambda before=before: seen.wrong or _moved_on(before, seen.done), 60)  # type: ignore[misc]
                assert not seen.wrong, "\n".join([server.folder.name, *seen.wrong])
    assert not seen.wrong, "\n".join(seen.wrong)
    assert all(seen.done[what] >= ENOUGH for what in ("download", "rest", "upload", "lookup")), seen.done


def _moved_on(before: Counter[str], now: Counter[str]) -> bool:
    return all(now[what] > before[what] for what in ("download", "rest", "upload", "lookup"))
