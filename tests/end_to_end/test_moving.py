"""A machine whose address changes: real processes in network namespaces of their own, so only for root on Linux."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.processes import Locator, Peer, wait_for

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="network namespaces need root and `ip`"),
]
MOST_SECONDS = 60.0  # a look each 15 s, and until the lost connection to the locator is noticed


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


class Machine:
    """A namespace with one interface and a bridge to containers that no other machine reaches."""

    def __init__(self, name: str) -> None:
        self.name = name
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")

    def ip(self, *words: str) -> None:
        run("ip", "-n", self.name, *words)

    def bring(self, server: Locator | Peer) -> None:
        """Start that server here: what it runs is the same, in this namespace."""
        server.prefix = ("ip", "netns", "exec", self.name)
        server.start()


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    ending = secrets.token_hex(3)
    made = Machine(f"p2p-l-{ending}"), Machine(f"p2p-p-{ending}")
    try:
        ends = f"l{ending}", f"p{ending}"
        run("ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for machine, end, address in zip(made, ends, ("10.77.0.1/24", "10.77.0.2/24"), strict=True):
            run("ip", "link", "set", end, "netns", machine.name, "name", "eth0")
            machine.ip("addr", "add", address, "dev", "eth0")
            machine.ip("link", "set", "eth0", "up")
        made[1].ip("link", "add", "docker0", "type", "bridge")
        made[1].ip("addr", "add", "172.17.0.1/16", "dev", "docker0")
        made[1].ip("link", "set", "docker0", "up")
        yield made
    finally:
        for machine in made:
            run("ip", "netns", "del", machine.name)


def test_a_peer_follows_its_machine_to_another_address(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    one, other = machines
    key = {"NETWORK_KEY": secrets.token_hex(32)}
    locator = Locator(tmp_path / "locator", **{f"LOCATOR_{name}": value for name, value in key.items()})
    locator.settings["LOCATOR_LISTEN"] = "0.0.0.0:51015"
    peer = Peer(tmp_path / "a", "a", "10.77.0.1:51015", **{f"PSERVER_{name}": value for name, value in key.items()})
    peer.settings |= {"PSERVER_LISTEN": "0.0.0.0:8001", "PSERVER_CLIENT_LISTEN": "127.0.0.1:8101"}
    try:
        one.bring(locator)
        other.bring(peer)
        assert " as http://10.77.0.2:8001" in peer.log
        wait_for("it is registered", lambda: "INFO pserver.network.membership: registered" in peer.log)
        other.ip("addr", "del", "10.77.0.2/24", "dev", "eth0")
        other.ip("addr", "add", "10.77.0.9/24", "dev", "eth0")
        wait_for("it has moved", lambda: "now reach this peer at http://10.77.0.9:8001" in peer.log, MOST_SECONDS)
        wait_for(
            "it is registered again", lambda: "registered with" in peer.log.rpartition("now reach")[2], MOST_SECONDS
        )
        assert "172.17.0.1" not in peer.log
    finally:
        peer.stop()
        locator.stop()
