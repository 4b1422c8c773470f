"""The suite as services on three machines: what was installed works, and comes back by itself whatever happens."""

import hashlib
import json
import time
from typing import Any

import pytest

from demo.processes import DidNotHappen, wait_for
from tests.deploy.conftest import Fleet
from tests.deploy.machine import Machine

pytestmark = [pytest.mark.long, pytest.mark.timeout(400), pytest.mark.xdist_group("machines")]


def test_the_main_job_by_a_member_of_the_group(fleet: Fleet) -> None:
    fleet[0].sh("head -c 30000000 /dev/urandom > /home/alice/film.bin; chown alice /home/alice/film.bin")
    wanted = fleet[0].run("sha256sum", "/home/alice/film.bin").split()[0]
    fleet[0].person("add", "/home/alice/film.bin")
    _found(fleet[2], "film.bin", "peer1")
    fleet[2].person("download", "film.bin", "--save", "/home/alice")
    assert fleet[2].run("sha256sum", "/home/alice/film.bin").split()[0] == wanted
    _found(fleet[1], "film.bin", "peer1", "peer3")
    fleet[2].sh("echo mine > /home/alice/notes.txt; chmod o+r /home/alice/notes.txt")
    fleet[2].person("upload", "/home/alice/notes.txt", "--to", "peer2")
    _found(fleet[0], "notes.txt", "peer2", "peer3")
    assert "sharing 1 file" in _status_soon(fleet[1], "pserver@peer2", "sharing 1 file")
    assert "locator reachable" in fleet[1].show("pserver@peer2", "StatusText")


def test_who_is_not_in_the_group_is_told_what_to_do(fleet: Fleet) -> None:
    with pytest.raises(DidNotHappen, match=r"exit 4(.|\n)*usermod -aG p2p"):
        fleet[0].run("runuser", "-u", "bob", "--", "pclient", "files")


def test_root_needs_no_group(fleet: Fleet) -> None:
    assert fleet[0].run("pclient", "status")


def test_the_key_is_read_by_the_service_only_and_nobody_is_warned_of_it(fleet: Fleet) -> None:
    assert "can read" not in fleet[0].log("pserver@peer1") + fleet[0].log("central-server")
    with pytest.raises(DidNotHappen, match="Permission denied"):
        fleet[0].run("runuser", "-u", "alice", "--", "cat", "/etc/p2p/network.key")


@pytest.mark.parametrize("unit", ["pserver@peer1.service", "central-server.service"])
def test_what_was_killed_is_back_at_once(fleet: Fleet, unit: str, record_property: Any) -> None:
    machine, before = fleet[0], fleet[0].show(unit, "MainPID")
    machine.run("kill", "-9", before)
    killed = time.monotonic()
    _is_back(machine, unit, before)
    record_property("seconds", round(time.monotonic() - killed, 2))
    print(f"{unit} was back {time.monotonic() - killed:.2f} s after kill -9")
    fleet.all_see_all()


@pytest.mark.parametrize(("number", "unit"), [(1, "pserver@peer2.service"), (0, "central-server.service")])
def test_what_hangs_is_killed_and_started_anew(fleet: Fleet, number: int, unit: str) -> None:
    machine = fleet[number]
    assert machine.show(unit, "WatchdogUSec") == "30s"  # too long for a test
    override = f"/run/systemd/system/{unit}.d"
    machine.sh(f"mkdir -p {override}; printf '[Service]\\nWatchdogSec=4s\\n' > {override}/quick.conf")
    machine.run("systemctl", "daemon-reload")
    machine.start(unit)
    before = machine.show(unit, "MainPID")
    machine.run("kill", "-STOP", before)
    _is_back(machine, unit, before)
    assert "Watchdog timeout" in machine.log(unit)
    machine.sh(f"rm -r {override}; systemctl daemon-reload")
    machine.start(unit)
    fleet.all_see_all()


def test_a_fault_that_lasts_is_waited_for_without_spinning(fleet: Fleet) -> None:
    """The port is taken: the peer tries again and again, with pauses, and runs when it is free."""
    machine, unit = fleet[2], fleet.unit(2)
    machine.sh(f"systemctl stop {unit}; systemd-run --unit=thief python3 -m http.server 8001")
    wait_for("the port is taken", lambda: "8001" in machine.run("ss", "-Htln", "sport", "=", ":8001"))
    machine.sh(f"systemctl start {unit} || true")
    wait_for("it pauses", lambda: "the next start is in" in machine.log(unit), 60)
    machine.run("systemctl", "stop", "thief")
    wait_for("it runs", lambda: machine.show(unit, "ActiveState") == "active", 60)
    fleet.all_see_all()


def test_a_wrong_setting_stops_it_with_its_name(fleet: Fleet) -> None:
    machine, unit = fleet[2], fleet.unit(2)
    machine.sh("cp /etc/p2p/peer3.env /etc/p2p/good; echo PSERVER_UPLOAD_RATE=fast >> /etc/p2p/peer3.env")
    machine.sh(f"systemctl restart {unit} || true")
    assert machine.show(unit, "ActiveState") == "failed"
    assert "PSERVER_UPLOAD_RATE" in machine.log(unit)
    machine.run("mv", "/etc/p2p/good", "/etc/p2p/peer3.env")
    machine.start(unit)
    fleet.all_see_all()


def test_after_a_power_loss_everything_is_back_and_a_download_goes_on(fleet: Fleet) -> None:
    fleet[0].sh("head -c 150000000 /dev/urandom > /home/alice/big.bin; chown alice /home/alice/big.bin")
    fleet[0].person("add", "/home/alice/big.bin")
    _found(fleet[2], "big.bin", "peer1")
    fleet[2].person("download", "big.bin", "--detach")
    wait_for("some of it is there", lambda: _done(fleet[2]) > 1)
    fleet[2].lose_power()
    fleet[0].lose_power()  # the locator too
    fleet[0].boot()
    fleet[2].boot()
    fleet.all_see_all()
    wait_for("the download has ended", lambda: "big.bin" in fleet[2].person("files"), 60)
    assert _sha256(fleet[0], "big.bin", 1) == _sha256(fleet[2], "big.bin", 3)


def test_after_a_reboot_everything_is_back(fleet: Fleet) -> None:
    for machine in (fleet[0], fleet[1]):
        machine.shut_down()
    for machine in (fleet[0], fleet[1]):
        machine.boot()
    fleet.all_see_all()


def test_a_copy_of_a_machine_gets_a_key_of_its_own(fleet: Fleet) -> None:
    """The image of a peer started on other hardware; and what happens where the hardware has no number."""
    machine, unit = fleet[2], fleet.unit(2)
    own = _peer_id(machine)
    override = f"/etc/systemd/system/{unit}.d"
    machine.sh(
        f"mkdir -p {override}; printf '[Service]\\nEnvironment=P2P_MACHINE_ID=/etc/number\\n' > {override}/n.conf"
    )
    machine.sh("echo i-0aaaa > /etc/number; systemctl daemon-reload")
    machine.start(unit)
    assert _peer_id(machine) == own
    machine.sh("echo i-0bbbb > /etc/number")
    machine.start(unit)
    assert _peer_id(machine) != own
    assert "is a copy of another one" in machine.log(unit)
    machine.sh(f"rm -r {override}; systemctl daemon-reload")
    machine.start(unit)
    fleet.all_see_all()


def test_two_with_one_key_do_not_take_turns_for_ever(fleet: Fleet) -> None:
    """A second peer with the state of the first takes its place; the first stops, and says who it was."""
    machine, unit = fleet[1], fleet.unit(1)
    machine.sh(
        "cp -a /var/lib/private/pserver/peer2 /var/lib/private/pserver/copy\n"
        "sed 's/8001/8002/; s/peer2/copy/' /etc/p2p/peer2.env > /etc/p2p/copy.env\n"
        "echo PSERVER_CLIENT_LISTEN=127.0.0.1:8102 >> /etc/p2p/copy.env\n"
        "systemctl start pserver@copy"
    )
    wait_for("the first has stopped", lambda: machine.show(unit, "ActiveState") == "failed", 60)
    assert machine.show(unit, "ExecMainStatus") == "3"
    assert f"{machine.address}:8002" in machine.log(unit)
    machine.sh(
        "systemctl stop pserver@copy\n"
        "PSERVER_STATE_DIR=/var/lib/pserver/copy/state pserver --new-identity\n"
        f"systemctl start pserver@copy {unit}"
    )
    wait_for("both are members", lambda: {"peer2", "copy"} <= set(_words(fleet[0].person("peers"))), 60)
    machine.sh("systemctl stop pserver@copy; rm -r /var/lib/private/pserver/copy /etc/p2p/copy.env")


def test_an_upgrade_leaves_what_runs_alone_and_can_be_taken_back(fleet: Fleet) -> None:
    machine = fleet[0]
    old, pid = machine.run("readlink", "/opt/p2p-file-sharing/current"), machine.show("pserver@peer1", "MainPID")
    machine.sh("cp -r /lab/checkout /srv/newer; echo '# newer' >> /srv/newer/pserver/__init__.py")
    said = machine.run("make", "-C", "/srv/newer", "install", online=True, seconds=300)
    assert "systemctl restart" in said
    assert machine.run("readlink", "/opt/p2p-file-sharing/current") != old
    assert machine.show("pserver@peer1", "MainPID") == pid
    machine.start("pserver@peer1", "central-server")
    fleet.all_see_all()
    machine.run("make", "-C", "/srv/newer", "rollback")
    assert machine.run("readlink", "/opt/p2p-file-sharing/current") == old
    machine.start("pserver@peer1", "central-server")
    fleet.all_see_all()


def _found(machine: Machine, name: str, *holders: str) -> None:
    def there() -> bool:
        try:
            found = json.loads(machine.person("--json", "info", name))
        except DidNotHappen:  # not found yet
            return False
        return {one["peer"]["name"] for group in found["groups"] for one in group["holders"]} == set(holders)

    wait_for(f"{machine.name} finds {name} at {holders}", there, 40)


def _is_back(machine: Machine, unit: str, before: str) -> None:
    wait_for(
        f"{unit} is back",
        lambda: machine.show(unit, "ActiveState") == "active" and machine.show(unit, "MainPID") not in {before, "0"},
        60,
    )


def _status_soon(machine: Machine, unit: str, words: str) -> str:
    return wait_for(f"{unit} says {words}", lambda: _if_in(words, machine.show(unit, "StatusText")), 40)


def _if_in(words: str, text: str) -> str | None:
    return text if words in text else None


def _done(machine: Machine) -> int:
    found = json.loads(machine.person("--json", "transfers"))
    transfers = found["transfers"] if isinstance(found, dict) else found
    return sum(int(one["bytes_done"]) for one in transfers if one["state"] == "running")


def _sha256(machine: Machine, name: str, number: int) -> str:
    return hashlib.sha256(
        (machine.root / f"var/lib/private/pserver/peer{number}/share/{name}").read_bytes()
    ).hexdigest()


def _peer_id(machine: Machine) -> str:
    found = wait_for("it answers", lambda: _status(machine))
    return str(found["peer"]["peer_id"])


def _status(machine: Machine) -> Any:
    try:
        return json.loads(machine.person("--json", "status"))
    except DidNotHappen:
        return None


def _words(text: str) -> list[str]:
    return text.split()
