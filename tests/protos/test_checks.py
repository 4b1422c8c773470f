"""What `--check` sees, and what it does not show."""

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from protos.checks import database_problem, folder_problem, shown, tell


@dataclass(frozen=True)
class Tls:
    key: Path


@dataclass(frozen=True)
class Some:
    listen: tuple[str, int]
    network_key: bytes | None
    tls: Tls | None
    uploads: bool
    names: tuple[str, ...]
    warnings: tuple[str, ...]


SETTINGS = Some(("0.0.0.0", 8001), b"top secret", Tls(Path("/k.pem")), True, ("a", "b"), ("odd",))


def test_values_are_shown_and_secrets_are_not() -> None:
    assert dict(shown(SETTINGS)) == {
        "listen": "0.0.0.0:8001",
        "network_key": "given (not shown)",
        "tls.key": "/k.pem",
        "uploads": "on",
        "names": "a, b",
    }
    lines, is_well = tell(SETTINGS, {"tls.key": "TLS_KEY"}, SETTINGS.warnings, [])
    assert is_well and "note: odd" in lines and "secret" not in "".join(lines)
    assert "TLS_KEY      /k.pem" in lines
    assert tell(SETTINGS, {"tls.key": "TLS_KEY"}, [], ["it burns"]) == (
        [*lines[:-2], "problem: it burns", "problems were found"],
        False,
    )


def test_a_folder_is_there_or_can_be_made(tmp_path: Path) -> None:
    assert folder_problem(tmp_path) is None
    assert folder_problem(tmp_path / "new") is None
    assert folder_problem(tmp_path / "new" / "deeper") is None
    assert folder_problem(tmp_path / "new" / "deeper", above=False) is not None
    (tmp_path / "file").touch()
    assert "no folder" in str(folder_problem(tmp_path / "file"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot be read and written" in str(folder_problem(tmp_path))
    tmp_path.chmod(0o700)


def test_a_database_is_of_a_known_version(tmp_path: Path) -> None:
    path = tmp_path / "some.sqlite"
    assert database_problem(path, 1) is None
    made = sqlite3.connect(path)
    made.execute("PRAGMA user_version = 2")
    made.close()
    assert database_problem(path, 2) is None
    assert "newer version" in str(database_problem(path, 1))
    path.write_bytes(b"no database at all" * 100)
    assert "cannot be read" in str(database_problem(path, 1))
