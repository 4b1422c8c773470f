"""`central-server --check`: what it prints, what it notices, and that it changes nothing."""

import hashlib
import sqlite3
from pathlib import Path

import pytest

from central_server.__main__ import main
from central_server.check import check
from central_server.settings import read_settings


def problems(folder: Path, **settings: str) -> list[str]:
    lines, is_well = check(read_settings({"LOCATOR_STATE_DIR": str(folder), **settings}))
    found = [line for line in lines if line.startswith("problem: ")]
    assert is_well != bool(found)
    return found


def test_a_good_start_is_well_and_nothing_is_made(tmp_path: Path) -> None:
    assert problems(tmp_path / "state") == []
    assert not (tmp_path / "state").exists()


def test_a_store_of_a_newer_version(tmp_path: Path) -> None:
    made = sqlite3.connect(tmp_path / "locator.sqlite")
    made.execute("PRAGMA user_version = 99")
    made.close()
    [line] = problems(tmp_path)
    assert "newer version" in line


def test_a_key_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "locator.key").write_text("no key")
    [line] = problems(tmp_path)
    assert "holds no key of the locator" in line


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    secret = hashlib.sha256(b"some key").hexdigest()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCATOR_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LOCATOR_NETWORK_KEY", secret)
    assert main(["--check"]) == 0
    said = capsys.readouterr().out
    assert "all is well" in said and "given (not shown)" in said and secret not in said
    monkeypatch.setenv("LOCATOR_STATE_DIR", "/dev/null/state")
    assert main(["--check"]) == 2
    monkeypatch.setenv("LOCATOR_LEASE_SECONDS", "never")
    assert main(["--check"]) == 2
