"""The units and the small scripts that they run, without booting anything."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SYSTEMD = ROOT / "systemd"
UNITS = ["central-server.service", "pserver@.service"]
_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


@_analyze
@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_has_no_misspelt_line(unit: str, tmp_path: Path) -> None:
    programs = tmp_path / "current"
    for name in ("bin/pserver", "bin/central-server", "libexec/restart-pause", "libexec/new-machine"):
        (programs / name).parent.mkdir(parents=True, exist_ok=True)
        (programs / name).touch(mode=0o755)
    text = (SYSTEMD / unit).read_text().replace("/opt/p2p-file-sharing", str(tmp_path))
    (tmp_path / unit).write_text(text)
    assert _verify(tmp_path / unit).returncode == 0, _verify(tmp_path / unit).stderr
    (tmp_path / unit).write_text(text.replace("ProtectClock=", "ProtectClok="))
    assert _verify(tmp_path / unit).returncode != 0  # or this test sees nothing


def _verify(unit: Path) -> subprocess.CompletedProcess[str]:
    instance = unit.with_name(unit.name.replace("@.", "@peer1."))
    if instance != unit:
        shutil.copy(unit, instance)
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(instance)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@_analyze
@pytest.mark.parametrize("unit", UNITS)
def test_a_service_is_exposed_to_little(unit: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(SYSTEMD / unit)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


def test_the_settings_in_the_units_and_examples_exist() -> None:
    from tests.test_docs import _code_settings, _settings_in

    written = _settings_in(*(f"systemd/{path.name}" for path in SYSTEMD.iterdir()))
    assert not {name for name in written if not {name, name.removesuffix("_FILE")} & _code_settings()}


def _pause(state: Path, ends: int, result: str = "signal", code: str = "killed", status: str = "KILL") -> list[str]:
    """The sleeps that `ends` ends in a row lead to."""
    (state / "bin").mkdir(exist_ok=True)
    (state / "bin" / "sleep").write_text(f'#!/bin/sh\necho "$1" >> {state}/sleeps\n')
    (state / "bin" / "sleep").chmod(0o755)
    environment = {
        "PATH": f"{state}/bin:{os.environ['PATH']}",
        "STATE_DIRECTORY": str(state),
        "SERVICE_RESULT": result,
        "EXIT_CODE": code,
        "EXIT_STATUS": status,
    }
    for _ in range(ends):
        subprocess.run([SYSTEMD / "restart-pause"], env=environment, check=True, stderr=subprocess.DEVNULL)
    return (state / "sleeps").read_text().split() if (state / "sleeps").exists() else []


def test_five_ends_a_minute_cost_nothing_and_more_a_pause(tmp_path: Path) -> None:
    assert _pause(tmp_path, 5) == []
    assert _pause(tmp_path, 2) == ["10", "10"]
    (tmp_path / ".ends").write_text("1000\n" * 50)  # long ago
    (tmp_path / "sleeps").unlink()
    assert _pause(tmp_path, 1) == []


def test_no_pause_where_no_start_follows(tmp_path: Path) -> None:
    assert _pause(tmp_path, 8, "success", "exited", "0") == []
    assert _pause(tmp_path, 8, "exit-code", "exited", "2") == []
    assert _pause(tmp_path, 8, "exit-code", "exited", "3") == []


def _start(state: Path, machine: str) -> bool:
    """Start on a machine of that number; whether the peer still has its key."""
    (state / "state").mkdir(exist_ok=True)
    (state / "number").write_text(machine)
    subprocess.run(
        [SYSTEMD / "new-machine", "peer1"],
        env={"PATH": os.environ["PATH"], "STATE_DIRECTORY": str(state), "P2P_MACHINE_ID": str(state / "number")},
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return (state / "state" / "peer.key").exists()


def test_a_copied_key_is_put_aside_on_another_machine(tmp_path: Path) -> None:
    _start(tmp_path, "i-0aaaa")
    (tmp_path / "state" / "peer.key").write_text("key")
    assert _start(tmp_path, "i-0aaaa")
    assert not _start(tmp_path, "i-0bbbb")
    assert (tmp_path / "state" / "peer.key.old").read_text() == "key"


def test_a_machine_without_a_number_keeps_its_key(tmp_path: Path) -> None:
    _start(tmp_path, "i-0aaaa")
    (tmp_path / "state" / "peer.key").write_text("key")
    assert _start(tmp_path, "not specified")
    assert _start(tmp_path, "i-0aaaa")


def test_the_record_of_a_machine_follows_no_link(tmp_path: Path) -> None:
    """It is written as root into a folder of the peer's."""
    (tmp_path / "victim").write_text("untouched")
    (tmp_path / ".machine").symlink_to(tmp_path / "victim")
    _start(tmp_path, "i-0aaaa")
    assert (tmp_path / "victim").read_text() == "untouched"
    assert (tmp_path / ".machine").read_text() == "i-0aaaa\n"
