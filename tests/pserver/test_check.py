"""`pserver --check`: what it notices, and that it changes nothing."""

import sqlite3
from pathlib import Path

from pserver.running.check import check
from pserver.settings import read_settings


def checked(folder: Path, **settings: str) -> tuple[list[str], list[str]]:
    """The lines, and those of problems."""
    places = {"PSERVER_STATE_DIR": str(folder / "state"), "PSERVER_SHARE_DIR": str(folder / "share")}
    lines, is_well = check(read_settings({**places, "PSERVER_LOCATORS": "127.0.0.1:51015", **settings}))
    found = [line for line in lines if line.startswith("problem: ")]
    assert is_well != bool(found)
    return lines, found


def test_a_good_start_is_well_and_nothing_is_made(tmp_path: Path) -> None:
    lines, found = checked(tmp_path)
    assert found == [] and lines[-1] == "all is well"
    assert "note: others will be told http://127.0.0.1:8001" in lines
    assert list(tmp_path.iterdir()) == []


def test_a_locator_that_is_not_found_is_a_note(tmp_path: Path) -> None:
    lines, found = checked(tmp_path, PSERVER_LOCATORS="no-such-host.invalid:51015")
    assert found == [] and any(line.startswith("note: the locator no-such-host.invalid:51015") for line in lines)


def test_a_share_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    [line] = checked(tmp_path, PSERVER_SHARE_DIR=str(tmp_path / "not" / "there"))[1]
    assert "cannot be made" in line


def test_keys_databases_and_certificates(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "peer.key").write_text("no key")
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("index.sqlite", "transfers.sqlite"):
        made = sqlite3.connect(state / name)
        made.execute("PRAGMA user_version = 99")
        made.close()
    found = "\n".join(checked(tmp_path, PSERVER_CA_FILE=str(tmp_path / "ca.pem"))[1])
    assert "peer.key holds no key" in found and "ca.pem holds no certificates" in found
    assert found.count("newer version") == 2
