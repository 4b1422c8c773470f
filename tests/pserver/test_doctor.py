"""How each fact about a peer is judged, and that there is something to do wherever it is not well."""

from pathlib import Path

import pytest

from pserver.disk.scan import ScanStatus
from pserver.findings import FAIL, OK, WARN, Finding
from pserver.model import Peer
from pserver.network.membership_actions import LocatorStatus, Reachable
from pserver.running.doctor import (
    how_to_be_reached,
    of_accounts,
    of_address,
    of_clocks,
    of_locators,
    of_neighbours,
    of_open_files,
    of_room,
    of_settings,
    of_share,
    of_versions,
    of_watching,
)

A, B = "a.example:51015", "b.example:51015"
SCANNED = ScanStatus(scanning=False, hashing=0, error=None, watching=True)
ANN, BOB = Peer("aa" * 32, "ann", "http://10.0.0.1:8001"), Peer("bb" * 32, "bob", "http://10.0.0.2:8001")


def states(findings: object) -> list[str]:
    return [one.state for one in findings]  # type: ignore[attr-defined]  # an iterable of Findings


def assert_helps(one: Finding, state: str, *words: str) -> None:
    assert one.state == state
    assert one.advice
    assert all(word in one.detail + one.advice for word in words), one


def test_settings() -> None:
    assert states(of_settings([], is_open=False)) == [OK]
    odd, is_open = of_settings(["PSERVER_X is no setting"], is_open=True)
    assert_helps(odd, WARN, "PSERVER_X")
    assert_helps(is_open, WARN, "anybody", "network key")


def test_one_locator_that_answers_is_enough() -> None:
    fine = LocatorStatus(A, "registered")
    assert states(of_locators([fine])) == [OK]
    assert states(of_locators([fine, LocatorStatus(B, "unreachable", "away")])) == [OK, WARN]
    [dead] = of_locators([LocatorStatus(A, "unreachable", "connection refused")])
    assert_helps(dead, FAIL, "connection refused", "51015", "PSERVER_LOCATORS")
    [dead] = of_locators([LocatorStatus(A, "unreachable", f"the locator at {A} cannot be reached: no route")])
    assert dead.detail == f"{A}: cannot be reached: no route"
    [refused] = of_locators([LocatorStatus(A, "refused", "token refused")])
    assert_helps(refused, FAIL, "token refused", "network key")
    assert states(of_locators([LocatorStatus(A, "trying")])) == [WARN]
    assert states(of_locators([])) == [OK]


def test_clocks() -> None:
    assert list(of_clocks([(A, None)])) == []
    assert states(of_clocks([(A, 0.4), (B, None)])) == [OK]
    [apart] = of_clocks([(A, 40.0)])
    assert_helps(apart, FAIL, "40 s", "timedatectl")


def test_versions() -> None:
    assert list(of_versions("1.0", [(A, "")])) == []
    assert states(of_versions("1.0", [(A, "1.0"), (B, "0.9")])) == [OK, WARN]


def test_accounts() -> None:
    assert list(of_accounts(wanted=False, in_force=False)) == []
    assert states(of_accounts(wanted=True, in_force=True)) == [OK]
    [away] = of_accounts(wanted=True, in_force=False)
    assert_helps(away, WARN, "no locator answers", "PSERVER_SESSION_GRACE")


def test_the_address() -> None:
    url = "http://10.0.0.1:8001"
    assert of_address(url, Reachable(True, ""), networked=True).state == OK
    assert "no locator has tried" in of_address(url, Reachable(None, ""), networked=True).detail
    assert "no locator to try" in of_address(url, Reachable(None, ""), networked=False).detail
    nobody = of_address(url, Reachable(False, f"{url} refused the connection. Let it in"), networked=True)
    assert nobody.detail == f"{url} refused the connection"
    assert_helps(nobody, FAIL, "refused the connection", "TCP 8001", "security group", "PSERVER_ADVERTISE_URL")
    assert "TCP 443" in how_to_be_reached("https://peer.example")


def test_neighbours() -> None:
    assert of_neighbours([(ANN, "ok"), (BOB, "dead")], networked=True).state == OK
    assert of_neighbours([], networked=True).state == OK
    assert_helps(of_neighbours([(ANN, "dead")], networked=True), WARN, "ann")
    assert_helps(of_neighbours([(ANN, "dead")], networked=False), FAIL, "ann")
    assert_helps(of_neighbours([], networked=False), FAIL, "PSERVER_NEIGHBOURS")
    assert of_neighbours([(ANN, "unknown")], networked=True).state == WARN


def test_the_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert of_share(tmp_path, SCANNED).state == OK
    away = ScanStatus(scanning=False, hashing=0, error="the share is away", watching=True)
    assert_helps(of_share(tmp_path, away), FAIL, "the share is away", str(tmp_path))
    allowed = {"r": True, "w": False}
    monkeypatch.setattr("pserver.running.doctor.os.access", lambda _path, mode: allowed["w" if mode == 2 else "r"])
    assert_helps(of_share(tmp_path, SCANNED), FAIL, "cannot be written", "ReadWritePaths")
    allowed["r"] = False
    assert_helps(of_share(tmp_path, SCANNED), FAIL, "cannot be read")


def test_the_room() -> None:
    assert of_room(10 << 30, 1 << 30).detail.startswith("9.0 GiB")
    assert_helps(of_room(1 << 20, 1 << 30), WARN, "PSERVER_KEEP_FREE")


def test_watching() -> None:
    assert of_watching(SCANNED, 8192).state == OK
    blind = ScanStatus(False, 0, None, watching=False, not_watching_why="too many folders")
    assert_helps(of_watching(blind, 8192), WARN, "too many folders", "8192", "max_user_watches=32768")
    assert of_watching(ScanStatus(True, 0, None, watching=False, scanned=False), 8192).state == OK


def test_open_files() -> None:
    assert_helps(of_open_files(256), WARN, "256", "LimitNOFILE")
    assert states([of_open_files(1024), of_open_files(-1)]) == [OK, OK]
