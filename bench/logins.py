"""50 logins a second with wrong passwords at one peer: how soon others are answered meanwhile.

`python -m bench.logins` prints the rows. Asked are a file of the flooded peer's share, its /healthz, and a lookup of
another peer, one after another; each against the same without the flood.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

from bench.rows import Row, at_most, main
from demo.processes import Locator, Peer, Server, wait_for

A_SECOND = 50
SECONDS, QUICK_SECONDS = 20.0, 5.0
MOST_MS = 250.0
_PASSWORD = "correct horse battery"
_USERS = 500


def run(quick: bool = False) -> list[Row]:
    """Without the flood, and with it."""
    seconds = QUICK_SECONDS if quick else SECONDS
    with tempfile.TemporaryDirectory() as folder, _network(Path(folder)) as (flooded, other):
        questions = questions_to(flooded, other)
        idle = percentiles(answer_times(questions, seconds))
        with flood(flooded, []):
            busy = percentiles(answer_times(questions, seconds))
    rows: list[Row] = []
    for what in questions:
        rows.append(at_most(f"{A_SECOND} wrong logins/s: {what}, 99th percentile", busy[what], "ms", MOST_MS))
        rows.append(Row("  over no flood", busy[what] / idle[what], "x"))
    return rows


@contextmanager
def flood(peer: Peer, statuses: list[int]) -> Iterator[None]:
    """So many logins a second, of ever other users, until the end; their statuses (0: no answer)."""
    over = threading.Event()

    def try_one(number: int) -> None:
        body = {"user": f"user{number % _USERS}", "password": f"wrong {number}"}
        try:
            statuses.append(requests.post(_url(peer, "/login"), json=body, timeout=30).status_code)
        except requests.RequestException:
            statuses.append(0)

    def go() -> None:
        with ThreadPoolExecutor(40) as pool:
            number = 0
            while not over.wait(1.0 / A_SECOND):
                pool.submit(try_one, number)
                number += 1
            pool.shutdown(cancel_futures=True)

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def questions_to(flooded: Peer, other: Peer) -> Mapping[str, Callable[[], object]]:
    """What is asked, by what it is; each raises if it is not answered well. A person signs up at each for it."""
    (flooded.share / "a.txt").write_text("a")
    anna, bob = _signed_up(flooded, "anna"), _signed_up(other, "bob")
    wait_for("a.txt is found", lambda: bob.get(_url(other, "/lookup"), params={"what": "a.txt"}, timeout=30).ok)
    return {
        "a file of the flooded peer": lambda: _good(anna.get(_url(flooded, "/files/a.txt"), timeout=30)),
        "its /healthz": lambda: _good(requests.get(f"{flooded.addresses['client']}/healthz", timeout=30)),
        "a lookup of another peer": lambda: _good(
            bob.get(_url(other, "/lookup"), params={"what": "a.txt"}, timeout=30)
        ),
    }


def answer_times(questions: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, list[float]]:
    """How long each answer took, in seconds, asked in turn for so long."""
    took: dict[str, list[float]] = {what: [] for what in questions}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for what, ask in questions.items():
            began = time.monotonic()
            ask()
            took[what].append(time.monotonic() - began)
    return took


def percentiles(took: Mapping[str, list[float]]) -> dict[str, float]:
    """The 99th percentiles in milliseconds."""
    return {what: 1000 * sorted(times)[int(0.99 * len(times))] for what, times in took.items()}


@contextmanager
def _network(folder: Path) -> Iterator[tuple[Peer, Peer]]:
    locator = Locator(folder / "locator", LOCATOR_ACCOUNTS="on", LOCATOR_SIGNUP="open")
    servers: list[Server] = [locator]
    try:
        locator.start()
        flooded, other = (Peer(folder / name, name, locator.address) for name in ("flooded", "other"))
        for peer in (flooded, other):
            servers.append(peer)
            peer.start()
        yield flooded, other
    finally:
        for server in reversed(servers):
            server.stop()


def _signed_up(peer: Peer, user: str) -> requests.Session:
    session = requests.Session()

    def token() -> str | None:
        with suppress(requests.RequestException, ValueError):
            body = {"user": user, "password": _PASSWORD}
            found: str | None = requests.post(_url(peer, "/signup"), json=body, timeout=30).json().get("session")
            return found
        return None

    session.headers["Authorization"] = f"Bearer {wait_for(f'{user} can sign up', token)}"
    return session


def _url(peer: Peer, path: str) -> str:
    return f"{peer.addresses['client']}/client/v1{path}"


def _good(answer: requests.Response) -> None:
    answer.raise_for_status()


if __name__ == "__main__":
    sys.exit(main(run, "a flood of logins"))
